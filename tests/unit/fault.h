/*
 * fault.h: makes the Nth call of a system call or allocation fail.
 *
 * Linked with --wrap (target wattport_fault), so it reaches the project's own objects and no
 * library. One thread.
 */
#ifndef WATTPORT_TESTS_FAULT_H
#define WATTPORT_TESTS_FAULT_H

#include <stdbool.h>

enum fault_call {
	FAULT_OPENAT = 1 << 0,
	FAULT_PREAD = 1 << 1,
	FAULT_WRITE = 1 << 2,
	FAULT_FSYNC = 1 << 3,
	FAULT_FCHMOD = 1 << 4,
	FAULT_RENAMEAT = 1 << 5,
	FAULT_MEMORY = 1 << 6, /* malloc, calloc, realloc: their errno is ENOMEM */
	FAULT_ANY = (1 << 7) - 1,
};

/* The nth call (from 1) of those in `calls` fails once with `error`, a positive errno. */
void fault_arm(unsigned calls, unsigned nth, int error);

/* Lets everything pass again; whether the armed fault came to happen. */
bool fault_disarm(void);

/* Every write(2) takes at most that many bytes; 0: as many as it likes. */
void fault_limit_writes(unsigned size);

#endif
