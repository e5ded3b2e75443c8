/*
 * accounts_internal.h: what accounts.c (the round of a tick), accounts_exits.c (whose end the
 * kernel told of), accounts_divide.c (a unit's energy among its processes) and accounts_show.c (the
 * view) share.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_INTERNAL_H
#define WATTPORT_GUEST_ACCOUNTS_INTERNAL_H

#include "guest/account_seats.h"
#include "guest/accounts.h"
#include "guest/cgroup_mounts.h"
#include "guest/cgroup_times.h"
#include "guest/process_exits.h"
#include "guest/process_times.h"
#include "guest/sampler_guest.h"
#include "guest/unit_roster.h"

#define ACCOUNTS_USER_MAX 512 /* at a time; further ones are in the rest */

/* Looking at the processes may take so much of the time: a hundredth. */
#define ACCOUNTS_LOOK_COST 100

/* So many ticks pass between two looks at most. */
#define ACCOUNTS_LOOK_TICKS_MAX 64

struct accounts_user {
	bool used;
	uint32_t uid;
	uint32_t members;
	uint32_t
	    counted; /* of the count that is under way: who lived before keeps its place in it */
	char name[ACCOUNT_NAME_SIZE];
	struct account_rank rank;
};

/* The looks at the processes, which may be fewer than the ticks. */
struct accounts_looks {
	bool now;	/* in this tick */
	uint32_t every; /* so many ticks */
	uint32_t left;	/* ticks until the next */
	uint64_t cost_ns;
	struct mono_time last;
	uint64_t interval_ns; /* up to the last */
};

struct accounts_division;

struct accounts {
	const struct sysroot *root;
	const struct clock *clock;
	struct meter *meter;
	struct accounts_options options;
	struct cgroup_mounts mounts;
	struct cgroup_times *cgroups;
	struct unit_roster *roster;
	struct sampler_guest *sampler;
	struct ledger *ledger;
	struct engine *engine; /* NULL: no zone was seen yet */
	size_t zone_count;
	struct zone zones[ZONE_MAX]; /* those that add up, in the engine's order */
	bool divides_dram;
	struct account_seats *seats[ACCOUNT_KIND_COUNT];
	struct process_times *processes;
	struct process_exits *exits; /* NULL: not told */
	struct diag exits_reason;    /* why not */
	uint64_t exits_since_ns;     /* who ended before was told of already */
	struct accounts_looks looks;
	struct accounts_division *division;
	uint64_t lost_uj[ZONE_MAX]; /* of processes that nobody saw */
	struct accounts_user users[ACCOUNTS_USER_MAX];
	bool begun;
	struct mono_time begin;
	struct mono_time last;
	uint64_t interval_ns;	    /* up to the last tick; 0: nothing was divided in it */
	uint64_t told_uj[ZONE_MAX]; /* the zones' energy at the tick before */
	struct meter_reading reading;
	const struct accounts_view *view;
};

/* Of processes whose unit is found when all others are known. */
#define ACCOUNTS_NO_UNIT UINT32_MAX

/* accounts_exits.c: gives what the kernel told since the last time to the processes. */
void accounts_take_exits(struct accounts *accounts);

/* accounts_divide.c: 0 or -ENOMEM. */
int accounts_division_create(struct accounts_division **ret_division);
void accounts_division_destroy(struct accounts_division *division);

/* Divides what waits in the units among their processes and users; those that ended leave. */
void accounts_divide_processes(struct accounts *accounts);

/* Makes the view of the tick. 0 or -ENOMEM. */
int accounts_show(struct accounts *accounts);

#endif
