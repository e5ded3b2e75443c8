/*
 * process_times_internal.h: what process_times.c (the table, and one process) and process_look.c
 * (a look at all of them) share.
 */
#ifndef WATTPORT_GUEST_PROCESS_TIMES_INTERNAL_H
#define WATTPORT_GUEST_PROCESS_TIMES_INTERNAL_H

#include "guest/process_times.h"

#define PROCESS_BUCKETS	    8192
#define PROCESS_STATUS_SIZE 4096
#define PROCESS_FILE_SIZE   64

/* A control group that there is, in the last look. */
struct process_cgroup {
	uint64_t serial;
	bool looked_at; /* all processes in it were seen */
};

struct process_times {
	const struct sysroot *root;
	const struct clock *clock;
	uint64_t look;
	uint64_t looked_ns; /* since the machine's start: when the last look began */
	uint64_t before_ns; /* and the one before it */
	size_t descriptors;
	size_t count;  /* entries ever used */
	uint32_t free; /* the first free entry below, or PROCESS_NONE */
	size_t cgroup_count;
	struct process_cgroup cgroups[CGROUP_TOLD_MAX]; /* by ascending serial */
	char *list;					/* of process numbers */
	size_t list_size;
	uint32_t buckets[PROCESS_BUCKETS];
	struct process processes[PROCESS_MAX];
};

/* The path of a file of that process, below /proc. */
void process_file(int32_t pid, const char *name, char ret_path[static PROCESS_FILE_SIZE]);

/* One that was not known. All that it has used is of this interval, where it began in it. */
void process_meet(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit);

/* One that is in that control group now. */
void process_see(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit);

#endif
