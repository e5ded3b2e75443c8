/*
 * top_guard.h: a process that mends the terminal when `top` is killed.
 *
 * Of what ends a process, SIGKILL and an assertion leave it no time to give the terminal back as it
 * was. So a child waits for its parent's end, and has all that is needed: it was forked when curses
 * had begun. Where the parent ends in order, the child does nothing.
 */
#ifndef WATTPORT_COMMON_TOP_GUARD_H
#define WATTPORT_COMMON_TOP_GUARD_H

#include <sys/types.h>

struct top_guard {
	pid_t pid;
	int fd; /* its end is our end */
};

/* After curses has begun. 0 or -errno: then nobody guards. */
int top_guard_start(struct top_guard *ret_guard);

/* After curses has ended. */
void top_guard_stop(struct top_guard *guard);

#endif
