/* The processes whose share of the truth somebody asked for: the CPU time of all their threads, and
 * the joules this cost. A process is followed from the first question on, so that a later change of
 * power falls on the time after it alone. Threads that have ended keep what they spent.
 * Reads /proc; one thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_MAX	    256
#define PROCESSES_COMM_SIZE 64

struct processes;

struct process_thread {
	pid_t tid;
	char comm[PROCESSES_COMM_SIZE];
	uint64_t cpu_ns;
};

struct process {
	pid_t pid;
	uint64_t cpu_ns;  /* Of all threads, those that ended while it was followed included. */
	uint64_t true_uj; /* What they cost: CPU time before the first question at its power. */
	const struct process_thread *threads; /* Until the next call. */
	size_t thread_count;
};

int processes_create(struct processes **ret_processes);
void processes_destroy(struct processes *processes);

/* Follows pid. 0 also if it is followed already; -ESRCH if there is no such process, -E2BIG past
 * PROCESSES_MAX, -ENOMEM. */
int processes_follow(struct processes *processes, pid_t pid);

/* Books to every followed process the CPU time since the last call, at busy_uw. */
void processes_sample(struct processes *processes, uint64_t busy_uw);

/* What the last sample found. pid must be followed. */
struct process processes_get(const struct processes *processes, pid_t pid);
