/*
 * pid_file.h: a file that names a process and is locked while that process lives.
 *
 * Tells a new wattport-fs who serves its runtime directory: the number in the file is for people,
 * the lock is the proof. It is a record lock (fcntl(2)), for which the kernel itself says who holds
 * it, so no number that went to another process is ever believed; it belongs to the process that
 * took it, goes with it however it ends, and is not inherited. For the owner alone (mode 0600):
 * whoever may read a file may also lock it. The holder must not close any descriptor of the file
 * before its end, for that lets go of the lock. One thread.
 */
#ifndef WATTPORT_FUSEFS_PID_FILE_H
#define WATTPORT_FUSEFS_PID_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/* Who holds the lock; the pidfd means that process and no other, for ever, and is the caller's. */
struct pid_file_holder {
	pid_t pid;
	int pidfd;
};

/* Opens the file of that name, made if need be. */
int pid_file_open(int dir_fd, const char *name, int *ret_fd);

/* Locks it for this process and writes down its number. -EBUSY: somebody else holds it. */
int pid_file_lock(int fd);

/* The same, once nobody else holds it: waits for that. */
int pid_file_await(int fd);

/* Whether the descriptor's file is still the one of that name: its last holder takes it away. */
bool pid_file_is_current(int fd, int dir_fd, const char *name);

/* -ESRCH: nobody holds it. -EXDEV: a process that cannot be seen from here, in another container.
 */
int pid_file_holder(int fd, struct pid_file_holder *ret_holder);

/* SIGKILL, and waits until the process is gone. -ETIMEDOUT: the kernel does not let it go. */
int pid_file_end(const struct pid_file_holder *holder);

#endif
