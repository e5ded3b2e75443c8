/*
 * process_exits.h: the kernel tells of each process that ends, and what CPU time it has used.
 *
 * Beside process_times.h, which never sees a process that lives for less than the time between two
 * looks, and of others not their last moments. Linux' taskstats (Documentation/accounting/
 * taskstats.rst) sends a message at the end of every task, in nanoseconds, to who has asked for it;
 * asking needs CAP_NET_ADMIN, and to be in the machine's own namespaces; listening needs nothing.
 *
 * Where it is refused nothing but this is missing: a unit's energy is known without it. Messages
 * that found no room in the socket are counted, and what they told of is the unit's rest. One
 * thread.
 */
#ifndef WATTPORT_GUEST_PROCESS_EXITS_H
#define WATTPORT_GUEST_PROCESS_EXITS_H

#include "common/diag.h"
#include "common/sysroot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_EXIT_COMM_SIZE 32 /* of the kernel's structure */

/* What has ended. */
enum process_exit_kind {
	PROCESS_EXIT_THREAD,  /* a thread of a process that goes on */
	PROCESS_EXIT_PROCESS, /* the process, with its last thread */
	/* Kernels before 6.0 do not tell a thread from a process that never had two. Nor do they
	 * tell whose thread it was: `pid` is its own number, and the process' if it was one. */
	PROCESS_EXIT_UNKNOWN,
};

/* One task that has ended: a process, or a thread of one. */
struct process_exit {
	enum process_exit_kind kind;
	int32_t pid;	/* of the process */
	int32_t parent; /* of it; 1 where that had ended before */
	uint32_t uid;
	char comm[PROCESS_EXIT_COMM_SIZE];
	uint64_t cpu_ns;     /* of this task */
	uint64_t group_ns;   /* of all tasks that the process ever had; 0: not told */
	uint64_t elapsed_ns; /* from the process' begin to this end, without suspension */
	bool older;	     /* that is from the task's begin: the process may have begun before */
	bool leads;	     /* the task gave the process its number */
};

struct process_exits;

/* Asks for the messages. 0, or -errno with what is missing in *diag. */
int process_exits_open(const struct sysroot *root, struct process_exits **ret_exits,
		       struct diag *diag);
void process_exits_close(struct process_exits *exits);

/* Takes all messages that have come; calls `take` for each task. Returns whether it was all: who
 * ends processes faster than they can be read is not waited for. */
bool process_exits_drain(struct process_exits *exits,
			 void (*take)(void *context, const struct process_exit *exit),
			 void *context);

/* Tasks that were told of; times that there was no room. */
uint64_t process_exits_ended(const struct process_exits *exits);
uint64_t process_exits_lost(const struct process_exits *exits);

/* Of one netlink message: 0; -ENOMSG: it tells of no task's end; -EBADMSG. */
int process_exits_parse(const void *message, size_t size, struct process_exit *ret_exit);

static inline void cleanup_process_exits_value(struct process_exits *const *exits)
{
	process_exits_close(*exits);
}
#define cleanup_process_exits __attribute__((cleanup(cleanup_process_exits_value)))

#endif
