/*
 * accounts_internal.h: what accounts.c (the round of a tick), accounts_divide.c (a unit's energy
 * among its processes) and accounts_show.c (the view) share.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_INTERNAL_H
#define WATTPORT_GUEST_ACCOUNTS_INTERNAL_H

#include "guest/account_seats.h"
#include "guest/accounts.h"
#include "guest/cgroup_mounts.h"
#include "guest/cgroup_times.h"
#include "guest/sampler_guest.h"
#include "guest/unit_roster.h"

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
	bool begun;
	struct mono_time begin;
	struct mono_time last;
	uint64_t interval_ns;	    /* up to the last tick; 0: nothing was divided in it */
	uint64_t told_uj[ZONE_MAX]; /* the zones' energy at the tick before */
	struct meter_reading reading;
	const struct accounts_view *view;
};

/* Makes the view of the tick. 0 or -ENOMEM. */
int accounts_show(struct accounts *accounts);

#endif
