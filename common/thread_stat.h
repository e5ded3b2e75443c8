/*
 * thread_stat.h: the line of /proc/PID/stat, of which few fields count.
 *
 * For the sampler, which takes CPU times from it, and for wattport-fs, which takes a process's
 * start: it tells apart two that had the same number. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_THREAD_STAT_H
#define WATTPORT_COMMON_THREAD_STAT_H

#include <stdint.h>

#define THREAD_STAT_SIZE 1024 /* no line is longer */

/* What is used of /proc/PID/stat (proc_pid_stat(5)). */
struct thread_stat {
	char state;	       /* 'R', 'S', ..; 'Z': it has ended, and waits for its parent */
	uint32_t parent;       /* ppid */
	uint64_t time_ticks;   /* utime + stime */
	uint64_t waited_ticks; /* cutime + cstime: of children that it waited for, and theirs */
	uint64_t resident_pages;
	uint64_t start_ticks; /* starttime, since the machine's start */
	uint32_t cpu;	      /* processor: where it last ran */
	uint32_t threads;     /* num_threads: of the process */
};

/* -EINVAL: not such a line. The name in parentheses may hold anything, parentheses too. */
int thread_stat_parse(const char *text, struct thread_stat *ret_stat);

/* Ticks of sysconf(_SC_CLK_TCK) in nanoseconds; saturates. */
uint64_t thread_ticks_to_ns(uint64_t ticks);

#endif
