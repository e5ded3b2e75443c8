/*
 * fault.h: makes the Nth call of a system call or allocation fail.
 *
 * Linked with --wrap (target wattport_fault), so it reaches the project's own objects and no
 * library. One thread arms; whether the fault strikes there or in the others is said when arming.
 */
#ifndef WATTPORT_TESTS_FAULT_H
#define WATTPORT_TESTS_FAULT_H

#include <stdbool.h>

enum fault_call {
	FAULT_OPENAT = 1 << 0, /* open, openat */
	FAULT_PREAD = 1 << 1,  /* read, pread */
	FAULT_WRITE = 1 << 2,  /* write, pwrite */
	FAULT_FSYNC = 1 << 3,
	FAULT_FCHMOD = 1 << 4,
	FAULT_RENAMEAT = 1 << 5, /* renameat, renameat2, linkat */
	FAULT_MEMORY = 1 << 6,	 /* malloc, calloc, realloc, strdup, asprintf: ENOMEM */
	FAULT_UNLINK = 1 << 7,
	FAULT_MAKE = 1 << 8,	   /* mkdirat, symlinkat */
	FAULT_STAT = 1 << 9,	   /* fstat, fstatat, readlinkat, lseek */
	FAULT_LIST = 1 << 10,	   /* fdopendir, readdir */
	FAULT_ROOM = 1 << 11,	   /* ftruncate, posix_fallocate */
	FAULT_MAP = 1 << 12,	   /* mmap */
	FAULT_LOCK = 1 << 13,	   /* flock */
	FAULT_DUPLICATE = 1 << 14, /* fcntl */
	FAULT_SOCKET = 1 << 15,	   /* socket, bind, listen, connect, accept4 */
	FAULT_MESSAGE = 1 << 16,   /* send, recv, sendmsg, recvmsg */
	FAULT_POLL = 1 << 17,	   /* poll, ppoll, epoll_wait */
	FAULT_EVENT = 1 << 18,	   /* eventfd, timerfd, signalfd, inotify, epoll: made and set */
	FAULT_PROCESS = 1 << 19,   /* fork, pthread_create */
	FAULT_MOUNT = 1 << 20,	   /* mount, umount2 */
	FAULT_ANY = (1 << 21) - 1,
	/* Those that a signal may interrupt. */
	FAULT_INTERRUPTIBLE = FAULT_PREAD | FAULT_WRITE | FAULT_MESSAGE | FAULT_POLL,
};

/* The nth call (from 1) of those in `calls` fails once with `error`, a positive errno. */
void fault_arm(unsigned calls, unsigned nth, int error);

/* The same for the calls of all threads but this one. */
void fault_arm_elsewhere(unsigned calls, unsigned nth, int error);

/* Lets everything pass again; whether the armed fault came to happen. */
bool fault_disarm(void);

/* Whether it has happened, still armed. */
bool fault_happened(void);

/* Every write(2), and every read, takes at most that many bytes; 0: as many as it likes. */
void fault_limit_writes(unsigned size);
void fault_limit_reads(unsigned size);

#endif
