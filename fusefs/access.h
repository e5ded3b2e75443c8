/*
 * access.h: who may read a tree's counters.
 *
 * With guest-view = isolated anybody may: they tell nothing about others. With guest-view = exact
 * they do, so only root (which virtiofsd is) and the machine's own QEMU may. Asked when a file is
 * opened; what is open stays readable, as everywhere. One thread.
 */
#ifndef WATTPORT_FUSEFS_ACCESS_H
#define WATTPORT_FUSEFS_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Who asks, as the kernel says: `thread` is a thread's id, 0 where it is not in our namespace. */
struct access_caller {
	uid_t user;
	pid_t thread;
};

/* Whether the caller may read what belongs to root and the process `owner` (0: nobody runs it). */
bool access_allows(int proc_fd, struct access_caller caller, int32_t owner);

/* The process that a thread belongs to, from the text of its `status`; 0 if it does not say. */
int32_t access_parse_process(const char *status);

#endif
