/*
 * thread_time.h: the CPU time of one thread, out of /proc.
 *
 * The finest grain of the sampler. The decoders are pure; struct thread_time keeps the descriptors
 * of one thread, so that a reading is one pread(2). One thread at a time.
 */
#ifndef WATTPORT_HOST_THREAD_TIME_H
#define WATTPORT_HOST_THREAD_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define THREAD_TIME_PATH_SIZE 32 /* "PID/task/TID" and its like */

/* The first number of /proc/PID/schedstat: nanoseconds on a CPU. */
int thread_schedstat_parse(const char *text, uint64_t *ret_time_ns);

/* What a thread of QEMU does, by its name. */
enum thread_role {
	THREAD_OTHER,	  /* emulator, I/O, vhost: overhead */
	THREAD_VCPU,	  /* "CPU 3/KVM", "CPU 3/TCG" */
	THREAD_ALL_VCPUS, /* "ALL CPUs/TCG": one thread that emulates them in turn */
};

/* *ret_vcpu is written for THREAD_VCPU alone. */
enum thread_role thread_role_of(const char *comm, uint32_t *ret_vcpu);

enum thread_time_kind {
	THREAD_SCHEDSTAT, /* nanoseconds */
	THREAD_STAT,	  /* steps of 10 ms */
};

/*
 * Which of the files tells the times of a process's threads. False: neither has moved yet, so it
 * cannot be known, and THREAD_SCHEDSTAT is taken for now; ask again.
 */
bool thread_time_find_kind(int proc_fd, int32_t pid, enum thread_time_kind *ret_kind);

/* Kept descriptors; -1 where the file is opened for each reading instead. */
struct thread_time {
	enum thread_time_kind kind;
	int time_fd; /* schedstat or stat, as `kind` says */
	int stat_fd; /* for the last CPU, where `kind` is THREAD_SCHEDSTAT */
	char path[THREAD_TIME_PATH_SIZE];
};

/*
 * Opens the files of the thread whose directory is `path` below proc_fd. Without `keep`, or when
 * there are no descriptors or no memory for it, nothing is kept and each reading opens anew. 0, or
 * -ESRCH when there is no such thread, or the error of openat(2).
 */
int thread_time_open(struct thread_time *thread, int proc_fd, const char *path,
		     enum thread_time_kind kind, bool keep);
void thread_time_close(struct thread_time *thread);

/* Keeps a descriptor from now on, if there is one to be had. -ESRCH: the thread has ended. */
int thread_time_keep(struct thread_time *thread, int proc_fd);

/* Whether a reading costs one pread(2). */
bool thread_time_kept(const struct thread_time *thread);

/* CPU time since the thread's start. -ESRCH: it has ended. */
int thread_time_read(struct thread_time *thread, int proc_fd, uint64_t *ret_time_ns);

/* The CPU it last ran on; -ESRCH: it has ended. `keep` as in thread_time_open(). */
int thread_time_read_cpu(struct thread_time *thread, int proc_fd, bool keep, uint32_t *ret_cpu);

#endif
