/*
 * thread_events.h: what a thread has done on its CPUs, as the processor counts it.
 *
 * Beside thread_time.h, for vCPU threads: cycles, instructions and misses of the last-level cache,
 * in host and guest alike, through perf_event_open(2). The three are one group, so they count at
 * the same times and one read(2) gets all of them. Where there are more events than counters the
 * kernel takes turns; then what was counted is scaled up to the time in which it should have been.
 * One thread at a time.
 */
#ifndef WATTPORT_HOST_THREAD_EVENTS_H
#define WATTPORT_HOST_THREAD_EVENTS_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum thread_event {
	THREAD_CYCLES,
	THREAD_INSTRUCTIONS,
	THREAD_LLC_MISSES,
	THREAD_EVENT_COUNT,
};

/* As in struct perf_event_attr. */
struct thread_event_kind {
	uint32_t type;
	uint64_t config;
};

/* What is counted, and how that is asked for: the seam at which tests have a PMU of their own. */
struct thread_events_source {
	struct thread_event_kind kinds[THREAD_EVENT_COUNT];
	/* A descriptor, or a negative errno. */
	int (*open)(const struct perf_event_attr *attribute, int32_t tid, int group_fd);
};

/* perf_event_open(2), for any CPU, closed on exec. */
int thread_events_system_open(const struct perf_event_attr *attribute, int32_t tid, int group_fd);

/* The processor's own counters. */
extern const struct thread_events_source thread_events_hardware;

/* One reading of a group; cumulative since it was opened. */
struct thread_events_reading {
	uint64_t enabled_ns; /* the thread ran */
	uint64_t running_ns; /* and the group had its turn */
	uint64_t raw[THREAD_EVENT_COUNT];
};

struct thread_events {
	int fds[THREAD_EVENT_COUNT]; /* the first is the group's; all -1: closed */
	bool counted;		     /* what has happened until the last reading is known */
	bool refused;		     /* it should be counted and is not: vm_events.h */
	struct thread_events_reading last;
};

struct thread_events_growth {
	uint64_t count[THREAD_EVENT_COUNT];
};

/* Closed; nothing to undo. */
void thread_events_init(struct thread_events *events);

/*
 * Begins to count a thread. 0, or: -ESRCH it has ended; -EACCES, -EPERM not allowed; -ENOENT,
 * -EOPNOTSUPP, -ENODEV there is nothing that counts these; -EMFILE, -ENFILE, -ENOMEM a shortage;
 * -ENOSYS. All or nothing.
 */
int thread_events_open(struct thread_events *events, const struct thread_events_source *source,
		       int32_t tid);

/* What the negative errno of thread_events_open() means, and what would help: literals. */
const char *thread_events_reason(int error);
const char *thread_events_remedy(int error);

void thread_events_close(struct thread_events *events);
bool thread_events_opened(const struct thread_events *events);

/*
 * What has been counted since the last reading that was. 1; 0: the thread ran and the group had no
 * turn, so nobody knows yet: a later reading brings it in. -EIO: the group is gone.
 */
int thread_events_read(struct thread_events *events, struct thread_events_growth *ret_growth);

/*
 * The arithmetic of that, pure: from `*last` to `now`, and `*last` moves on. What went back (it
 * must not) makes no growth and is gone on from.
 */
bool thread_events_advance(struct thread_events_reading *last,
			   const struct thread_events_reading *now,
			   struct thread_events_growth *ret_growth);

#endif
