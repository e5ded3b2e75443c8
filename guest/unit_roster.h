/*
 * unit_roster.h: the units that there are, with the CPU time that each has used.
 *
 * Between the control groups and the division: each control group belongs to a unit by its path;
 * a unit has one or many. Each has its slices, and may be in a container, pod and job. Known by
 * its name, so that a service which is restarted goes on. One thread.
 *
 * There are at most UNIT_MAX at a time. Where more are wanted, those that have done nothing for
 * the longest time make room; where none has been idle, newcomers are one unit together, which is
 * shown in the rest.
 */
#ifndef WATTPORT_GUEST_UNIT_ROSTER_H
#define WATTPORT_GUEST_UNIT_ROSTER_H

#include "common/uuid.h"
#include "common/zone.h"
#include "guest/account_seats.h"
#include "guest/cgroup_path.h"
#include "guest/cgroup_times.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIT_MAX	 512 /* with the next two */
#define UNIT_MORE	 0   /* those for which there was no room */
#define UNIT_ROOT	 1   /* what lies in no control group */
#define UNIT_GROUP_MAX	 256 /* slices, containers, pods or jobs at a time */
#define UNIT_PARENTS_MAX (CGROUP_SLICE_MAX + 3)

/* A slice, container, pod or job: a sum over units. */
struct unit_group {
	uint32_t units; /* that are in it; 0: free */
	enum account_kind kind;
	uint32_t members;
	char name[ACCOUNT_NAME_SIZE];
	char detail[ACCOUNT_DETAIL_SIZE];
	struct account_rank rank;
};

struct unit {
	bool used;
	uint32_t serial; /* with the index, what control groups know it by */
	bool born;	 /* in this step: had not used anything before it */
	uint32_t cgroups;
	uint64_t idle_steps; /* for so many it has done nothing */
	char name[ACCOUNT_NAME_SIZE];
	char detail[ACCOUNT_DETAIL_SIZE];
	struct uuid uuid; /* for the engine */
	uint64_t growth_ns;
	uint64_t memory_bytes;
	uint32_t members; /* processes, as of the last look at them */
	struct account_rank rank;
	size_t parent_count;
	struct unit_group *parents[UNIT_PARENTS_MAX]; /* NULL: there was no room for it */
	enum account_kind parent_kinds[UNIT_PARENTS_MAX];
	/* The sampler's: time by CPU since the unit came, and this step's places. */
	uint64_t *cpu_ns;
	uint64_t *place_ns;
	/* The division's: what the engine had booked to it up to now. */
	uint64_t booked_uj[ZONE_MAX];
	/* What waits for the division among its processes. */
	uint64_t pending_uj[ZONE_MAX];
	uint64_t pending_ns;
	int64_t unseen_ns; /* of its time: of no process; below 0: processes told more */
};

struct unit_roster;

/* For a machine of that many CPUs. 0 or -ENOMEM. */
int unit_roster_create(size_t cpu_count, struct unit_roster **ret_roster);
void unit_roster_destroy(struct unit_roster *roster);

/*
 * Takes a step of the control groups: every control group has its unit afterwards (the number of
 * its owner), and every unit its time. Units that are no more were left by unit_roster_leave().
 */
void unit_roster_step(struct unit_roster *roster, struct cgroup_times *times, bool with_memory);

/* After what the step told was divided: calls `leave` for each unit that is no more, and frees it.
 */
void unit_roster_leave(struct unit_roster *roster,
		       void (*leave)(void *context, size_t index, struct unit *unit),
		       void (*leave_group)(void *context, struct unit_group *group), void *context);

/* The index of the unit that a control group with that owner belongs to. */
size_t unit_roster_of(const struct unit_roster *roster, uint32_t owner);

/* Of index below UNIT_MAX, or NULL where there is none. */
struct unit *unit_roster_unit(struct unit_roster *roster, size_t index);

/* The groups of that kind, UNIT_GROUP_MAX of them. */
struct unit_group *unit_roster_groups(struct unit_roster *roster, enum account_kind kind);

static inline void cleanup_unit_roster_value(struct unit_roster *const *roster)
{
	unit_roster_destroy(*roster);
}
#define cleanup_unit_roster __attribute__((cleanup(cleanup_unit_roster_value)))

#endif
