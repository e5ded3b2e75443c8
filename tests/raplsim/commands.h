/* What `raplsim ctl DIR COMMAND...` can ask of the running simulator: one table of commands, each
 * of which writes its answer as text. Called by control.c; one thread. */
#pragma once

#include <stdio.h>

#include "tests/raplsim/simulator.h"

#define COMMANDS_WORDS_MAX 300

/* The exit status of `ctl`. */
enum command_status { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

/* words[0] is the command. The answer, or what is wrong, goes to out. */
enum command_status commands_run(struct simulator *simulator, size_t count, char *const *words,
				 FILE *out);

/* One line for each command. */
void commands_print_usage(FILE *out);
