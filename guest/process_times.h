/*
 * process_times.h: which processes there are, whose they are and what CPU time each has used.
 *
 * The guest's sampler, below the units: looks at the processes of those control groups alone that
 * have used CPU time since the last look, for in all others none has. A process is known by its
 * number and the time of its start, so that one which comes by the number of another is not taken
 * for it.
 *
 * Times come in nanoseconds where a descriptor is kept on the process (schedstat, of processes with
 * one thread), which is so for the newest and busiest PROCESS_DESCRIPTOR_MAX, and else in ticks of
 * 10 ms. Sums are right in the long run either way. One thread.
 */
#ifndef WATTPORT_GUEST_PROCESS_TIMES_H
#define WATTPORT_GUEST_PROCESS_TIMES_H

#include "common/clock.h"
#include "common/sysroot.h"
#include "common/topology.h"
#include "guest/account_seats.h"
#include "guest/cgroup_times.h"
#include "guest/unit_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_MAX	       32768 /* beyond it they count in their units alone */
#define PROCESS_DESCRIPTOR_MAX 1024
#define PROCESS_COMM_SIZE      64 /* of kernel threads it is longer than 16 */

/* What is not known of one of which the kernel told the end alone. */
enum process_doubt {
	PROCESS_DOUBT_NONE,
	PROCESS_DOUBT_FIRST, /* it was a process' first thread, but perhaps not its last */
	PROCESS_DOUBT_ANY,   /* it may have been any thread of any process */
};

struct process {
	int32_t pid; /* 0: free */
	uint64_t start_ticks;
	uint32_t uid;
	char comm[PROCESS_COMM_SIZE];
	uint32_t unit;	 /* index in the roster */
	uint64_t cgroup; /* its serial */
	uint64_t time_ns;
	uint64_t growth_ns; /* since the look before */
	uint64_t exited_ns; /* of threads of which the kernel told that they ended */
	int32_t parent;
	bool threads;  /* it has, or had, several */
	bool ended;    /* found ended in this look, in which it is told for the last time */
	bool fleeting; /* known from its end alone */
	bool told;     /* the kernel told of its end */
	enum process_doubt doubt;
	struct account_rank rank;
	/* process_times.c's own. */
	int fd; /* of its schedstat or stat, or -1 */
	bool by_schedule;
	uint32_t cpu;
	uint64_t look;	 /* the last in which it was seen */
	uint64_t verify; /* the look in which its owner is read again */
	uint32_t next;	 /* in its bucket */
};

struct process_times;

/* Root and clock outlive it. 0 or -ENOMEM. */
int process_times_create(const struct sysroot *root, const struct clock *clock,
			 struct process_times **ret_times);
void process_times_destroy(struct process_times *times);

/*
 * Looks at the processes of all control groups that used time, and tells the units how many they
 * have and where these were. Where control groups do not tell the root's time, it becomes the root
 * unit's. Without any, all processes are the root unit's. 0, or -ENOMEM: some were left out.
 */
int process_times_look(struct process_times *times, struct cgroup_times *cgroups,
		       enum cgroup_version version, struct unit_roster *roster,
		       const struct topology *topology);

/* Forgets those that ended, after what the look told was divided. */
void process_times_forget(struct process_times *times);

/* That unit is no more: its processes, if any are left, have none. */
void process_times_leave(struct process_times *times, uint32_t unit);

/* The living process of that number, or one that this look found ended, or NULL. */
struct process *process_times_find(struct process_times *times, int32_t pid);

/* The one before it of that number, which has ended; or NULL. */
struct process *process_times_find_before(struct process_times *times,
					  const struct process *process);

/* Asks for it now: whether it lives, and in *ret_leaderless whether its first thread has ended
 * nevertheless, and others have not. */
bool process_times_lives(struct process_times *times, struct process *process,
			 bool *ret_leaderless);

/* Asks for it now: whether it has or had several threads. */
bool process_times_threads(struct process_times *times, struct process *process);

/* When the look before the last began: all that lived then and had used time is known. */
uint64_t process_times_before_ns(const struct process_times *times);

/*
 * One that began after the last look and lives, by asking for its control group: the next look
 * tells what it has used. NULL where it is no more, or there is no room.
 */
struct process *process_times_adopt(struct process_times *times, struct cgroup_times *cgroups,
				    enum cgroup_version version, struct unit_roster *roster,
				    int32_t pid);

/* One of which only its end is known; NULL where there is no room. */
struct process *process_times_add_ended(struct process_times *times, int32_t pid);

/* All of them: entries with pid 0 are free. */
size_t process_times_count(const struct process_times *times);
struct process *process_times_get(struct process_times *times, size_t index);

static inline void cleanup_process_times_value(struct process_times *const *times)
{
	process_times_destroy(*times);
}
#define cleanup_process_times __attribute__((cleanup(cleanup_process_times_value)))

#endif
