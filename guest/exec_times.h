/*
 * exec_times.h: what CPU time the tree of `exec` has used so far, those that still run included.
 *
 * Beside exec_tree.h, which knows it of the processes that have ended. The tree is found by what
 * the kernel lists as this process's children, and theirs; whoever outlives its parent comes to
 * this process, so none is missed. What each one has used is asked of its own clock, in
 * nanoseconds; what its children had used that it waited for comes in ticks, and exactly when it
 * ends itself. One thread.
 */
#ifndef WATTPORT_GUEST_EXEC_TIMES_H
#define WATTPORT_GUEST_EXEC_TIMES_H

#include "common/sysroot.h"
#include "common/topology.h"

#include <stddef.h>
#include <stdint.h>

/* Further ones count when they have ended. */
#define EXEC_TIMES_PROCESS_MAX 4096

struct exec_times;

struct exec_times_look {
	size_t process_count;
	uint64_t time_ns;
	uint64_t memory_bytes;
};

/* -EOPNOTSUPP where this kernel does not list children; -ENOMEM. Both outlive it. */
int exec_times_create(const struct sysroot *root, const struct topology *topology,
		      struct exec_times **ret_times);
void exec_times_destroy(struct exec_times *times);

/*
 * A look at all that live now. place_ns[] of the topology's CPUs gets what came since the look
 * before, where each was last seen; nothing is taken from it.
 */
void exec_times_look(struct exec_times *times, uint64_t place_ns[],
		     struct exec_times_look *ret_look);

#endif
