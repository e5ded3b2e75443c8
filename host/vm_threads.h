/*
 * vm_threads.h: the CPU time of every machine of the roster.
 *
 * Between the roster and the sample. Each running machine's QEMU is followed by a vm_process with
 * kept descriptors; machines whose provider tells times itself are booked from the roster. Sums
 * never go back: not when threads or processes end, nor when a machine is started again. Those of a
 * machine that has left the roster rest for a while and go on if it returns. A machine that cannot
 * be read is reported and does not hold up the others. One thread at a time.
 */
#ifndef WATTPORT_HOST_VM_THREADS_H
#define WATTPORT_HOST_VM_THREADS_H

#include "common/clock.h"
#include "common/sample.h"
#include "common/sysroot.h"
#include "host/thread_events.h"
#include "host/vm_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rest of the process may need beside the threads: sources, sockets, libraries. */
#define VM_THREADS_FD_RESERVE 256

/* So long the sums of a machine that nobody knows any more are kept, and of so many at most. */
#define VM_THREADS_REST_NS  (UINT64_C(3600) * CLOCK_NS_PER_SECOND)
#define VM_THREADS_REST_MAX VM_ROSTER_VM_MAX

struct vm_threads_context {
	const struct sysroot *root;
	size_t package_count; /* of the host: with one alone, nobody asks where a vCPU ran */
	size_t fd_budget;     /* descriptors that may be kept, see vm_threads_raise_fd_limit() */
	const struct thread_events_source *events; /* what to count of vCPUs; NULL: nothing */
};

/* How it goes, as of the last vm_threads_read(). */
struct vm_threads_report {
	size_t followed;       /* processes */
	size_t failed;	       /* running machines that could not be read, or only in part */
	int error;	       /* of one of those */
	size_t unkept;	       /* threads that are opened for each reading: descriptors are short */
	size_t short_machines; /* machines with threads that there are too few descriptors for */
	size_t jiffies;	       /* machines whose time is known in steps of 10 ms only */
	size_t unseen;	       /* running machines whose process is not to be seen from here */
	size_t missed;	       /* machines that found no room in the sample */
	size_t counted;	       /* vCPU threads whose events are counted */
	size_t refused;	       /* vCPU threads that have run and whose events are not */
	int uncounted;	       /* 0, or the errno for which they are not */
};

struct vm_threads;

/* Raises the soft limit of open files to the hard one. Returns how many threads may be kept. */
size_t vm_threads_raise_fd_limit(void);

int vm_threads_create(const struct vm_threads_context *context, struct vm_threads **ret_threads);
void vm_threads_destroy(struct vm_threads *threads);

/*
 * Takes a new roster over; it has to live until the next one is. On -ENOMEM some machines are left
 * out until it succeeds: call it again.
 */
int vm_threads_follow(struct vm_threads *threads, const struct vm_roster *roster,
		      struct mono_time now);

/* Adds every machine of the roster to the sample. 0, also when some could not be read. */
int vm_threads_read(struct vm_threads *threads, struct mono_time now, struct sample *sample);

const struct vm_threads_report *vm_threads_report(const struct vm_threads *threads);

static inline void cleanup_vm_threads_value(struct vm_threads *const *threads)
{
	vm_threads_destroy(*threads);
}
#define cleanup_vm_threads __attribute__((cleanup(cleanup_vm_threads_value)))

#endif
