/*
 * vm_events.h: which vCPU threads have their events counted.
 *
 * Between thread_events.c, which counts one, and vm_process.c, which has many. What all threads
 * share is here: the descriptors that may go into counting, and the refusal that one thread met and
 * every other would meet, too. Counting is an extra: whatever fails here leaves a thread with its
 * CPU time alone and is told once, by vm_threads_report(). One thread at a time.
 */
#ifndef WATTPORT_HOST_VM_EVENTS_H
#define WATTPORT_HOST_VM_EVENTS_H

#include "common/clock.h"
#include "host/thread_events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After a refusal nobody tries for so long. */
#define VM_EVENTS_RETRY_NS (60 * CLOCK_NS_PER_SECOND)

struct vm_events {
	const struct thread_events_source *source; /* NULL: not wanted */
	/* What is left for all descriptors, and the share of it that may go into counting: files
	 * of times, which matter more, always find their place. */
	size_t *fd_budget;
	size_t fd_share;
	size_t threads; /* that are counted now */
	size_t refused; /* that have run and are not */
	int error;	/* why the last try came to nothing; 0: it did not */
	struct mono_time tried;
};

/*
 * What the thread, which spent so much CPU time since the last call, did in it; begins to count it
 * when it is seen running. True: all that it did up to now is counted. False: nothing is known of
 * it, or not yet; what ret_growth holds then is 0.
 */
bool vm_events_read(struct vm_events *shared, struct thread_events *events, int32_t tid,
		    uint64_t spent_ns, struct mono_time now,
		    struct thread_events_growth *ret_growth);

/* The thread has ended, or is somebody else's by now. */
void vm_events_close(struct vm_events *shared, struct thread_events *events);

#endif
