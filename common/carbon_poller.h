/*
 * carbon_poller.h: a process that reads a file or runs a command again and again, for carbon.h.
 *
 * Apart from its parent, so that nothing that hangs there holds up a measurement, and so that the
 * parent may give up its privileges and reap its own children as it likes: the process is not a
 * child of it. It ends with the pipe's other end, and takes a running command along.
 */
#ifndef WATTPORT_COMMON_CARBON_POLLER_H
#define WATTPORT_COMMON_CARBON_POLLER_H

#include "common/carbon.h"
#include "common/carbon_reading.h"

/* What it writes to the pipe, whole: below PIPE_BUF. */
struct carbon_answer {
	int status; /* 0, or the negative errno of `reason` */
	struct carbon_reading reading;
	struct diag reason;
};

struct carbon_poller_options {
	enum carbon_kind kind; /* CARBON_FILE or CARBON_COMMAND */
	const char *argument;  /* path, or shell command */
	uint64_t period_ns;
	uint64_t limit_ns;
};

/* Starts it; the descriptor is the caller's, does not block, and ends it when closed. */
int carbon_poller_start(const struct carbon_poller_options *options, const struct clock *clock,
			int *ret_fd, struct diag *diag);

#endif
