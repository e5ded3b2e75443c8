/*
 * exec.h: measures the energy of this machine while a command runs.
 *
 * `wattport-agent exec`: a reading right before and right after, and some between, so that counters
 * that wrap during a long command are not lost. What is measured is the machine, not the command
 * alone. One thread; takes over SIGCHLD and the signals that end programs while the command runs.
 */
#ifndef WATTPORT_GUEST_EXEC_H
#define WATTPORT_GUEST_EXEC_H

#include "common/diag.h"
#include "guest/meter.h"

#include <stdint.h>

/* As the shells have it (POSIX 2.8.2). */
#define EXEC_STATUS_CANNOT    126
#define EXEC_STATUS_NOT_FOUND 127
#define EXEC_STATUS_SIGNAL    128

struct exec_result {
	int exit_status; /* of the command, or EXEC_STATUS_SIGNAL and the signal's number */
	uint64_t elapsed_ns;
	uint64_t user_ns; /* CPU time of the command and the children it waited for */
	uint64_t system_ns;
	struct meter_reading before;
	struct meter_reading after;
};

/*
 * Runs the NULL-terminated command. 0 with the result, whatever the command's own status. When it
 * cannot be started, -ENOENT or another errno of posix_spawnp(3), with *diag.
 */
int exec_run(struct meter *meter, char *const command[], struct exec_result *ret_result,
	     struct diag *diag);

/* What a shell would return for a command that could not be started with that error. */
int exec_status_of_error(int error);

#endif
