/*
 * cgroup_times.h: how much CPU time each control group has used by itself, step by step.
 *
 * The guest's sampler stands on it. A control group's usage includes that of all below it, and
 * what one has used that was removed stays in its parent's. Its own time is what is left:
 *
 *     own = usage - usage of the children there are - usage of those that went
 *
 * Usages of a tree cannot be read at one instant, so differences of two readings may be off by
 * what ran in between; sums since the start are not, and each step tells by how much these have
 * grown beyond what earlier steps told. Nothing is told twice and nothing is lost.
 *
 * What a control group used between the last step and its removal is seen in its parent alone. It
 * is told as its own, in the step in which it is found gone: among those that went and the parent,
 * by what each used in the step before.
 *
 * There are so many places; what has none counts in the nearest one above that has. Where more are
 * wanted they are divided fairly, at every level of the tree alike: among those that lie in the
 * same one, none has more places below it while another wants some and has less. So whoever makes
 * thousands takes them from itself. Where one has to go it is, of the richest, the one that has
 * never used time or not for the longest; cgroup_places.c has the rule.
 *
 * A control group is known by its inode, so that one which was removed and made again under the
 * same name is two. The roots: version 1 tells the root's usage exactly; version 2's is another
 * sum, in ticks and with interrupts, so there the root has no time, and what uses the root's
 * processes is told by process_times.h. One thread.
 */
#ifndef WATTPORT_GUEST_CGROUP_TIMES_H
#define WATTPORT_GUEST_CGROUP_TIMES_H

#include "guest/cgroup_mounts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_TIMES_MAX      4096 /* control groups that have a place */
#define CGROUP_GIVEN_UP_MAX   64   /* that lose theirs to others in one step */
#define CGROUP_TOLD_MAX	      (CGROUP_TIMES_MAX + CGROUP_GIVEN_UP_MAX) /* that a step tells of */
#define CGROUP_DESCRIPTOR_MAX 1024 /* kept open; what has none is opened at each step */
#define CGROUP_DEPTH_MAX      32

struct cgroup_times;

/* One of them, at the last step; valid until the next. */
struct cgroup_time {
	const char *path;    /* "/system.slice/nginx.service"; the root is "/" */
	bool gone;	     /* in this step it is told for the last time: it was removed, or has to
				go */
	uint64_t growth_ns;  /* its own time in this step */
	uint64_t serial;     /* of all that ever were no other has it; ascending with the index */
	uint32_t *owner;     /* a number of the caller's, 0 at first, kept as long as it is there */
	uint64_t *unseen_ns; /* its time since the caller set this to 0 */
};

/* The mounts outlive it. 0 or -ENOMEM. */
int cgroup_times_create(const struct cgroup_mounts *mounts, struct cgroup_times **ret_times);
void cgroup_times_destroy(struct cgroup_times *times);

/* Looks at all. The first step only begins. Control groups that came since count from their
 * start. 0; -ENOMEM: some found no room, and count in their parent. */
int cgroup_times_step(struct cgroup_times *times);

size_t cgroup_times_count(const struct cgroup_times *times);

/* Of index below the count; parents come before their children. Index 0 is the root. */
struct cgroup_time cgroup_times_get(struct cgroup_times *times, size_t index);

/* The index of the one of that path, or -ENOENT. */
int cgroup_times_find(const struct cgroup_times *times, const char *path);

/* The nearest one above, or 0 for the root's children and the root itself. */
size_t cgroup_times_parent(const struct cgroup_times *times, size_t index);

/* The memory that it and all below it hold, in bytes; 0 where that is not told. */
uint64_t cgroup_times_memory(const struct cgroup_times *times, size_t index);

/* A directory descriptor and the path of its list of processes below it, for openat(2). */
#define CGROUP_FILE_PATH_SIZE 1100
int cgroup_times_processes(const struct cgroup_times *times, size_t index,
			   char ret_path[static CGROUP_FILE_PATH_SIZE]);

static inline void cleanup_cgroup_times_value(struct cgroup_times *const *times)
{
	cgroup_times_destroy(*times);
}
#define cleanup_cgroup_times __attribute__((cleanup(cleanup_cgroup_times_value)))

#endif
