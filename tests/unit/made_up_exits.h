/*
 * made_up_exits.h: what the kernel says when tasks end, of a test's making.
 *
 * Messages are laid out as the kernel of each version does, and read by the parser that reads real
 * ones. Who links this with --wrap=process_exits_open and its likes has accounts that get them.
 */
#ifndef WATTPORT_TESTS_MADE_UP_EXITS_H
#define WATTPORT_TESTS_MADE_UP_EXITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MADE_UP_EXIT_SIZE 2048 /* of a message */
#define MADE_UP_EXIT_MAX  4096 /* that wait */

struct made_up_exit {
	unsigned int version; /* of the kernel's structure */
	uint32_t task;
	uint32_t group;
	uint32_t parent;
	uint32_t uid;
	uint64_t cpu_ns;
	uint64_t elapsed_ns; /* of the task */
	uint64_t group_elapsed_ns;
	uint64_t group_ns; /* 0: no aggregate of the group */
	bool last;
	bool forked; /* and has executed nothing since */
};

/* Lays it out; returns its size. */
size_t made_up_exit_write(const struct made_up_exit *exit,
			  unsigned char message[MADE_UP_EXIT_SIZE]);

/* Tells of it, at the next drain. */
void made_up_exits_tell(const struct made_up_exit *exit);

#endif
