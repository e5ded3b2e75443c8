/* The true joules as JSON: what tests hold the meter's figures against. Called by commands.c; one
 * thread. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "tests/raplsim/simulator.h"

/* Takes the simulator to this moment and prints one line. The processes must be followed. 0, -errno
 * if the CPU times cannot be read, -ENOMEM. */
int truth_print(struct simulator *simulator, const pid_t *pids, size_t pid_count, FILE *out);
