/* The command line of `raplsim run`. Parsed once by main.c; pure but for messages to stderr. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "tests/raplsim/simulator.h"

struct options {
	const char *dir;
	const char *pid_file; /* NULL for none. */
	bool foreground;
	struct simulator_config simulator;
};

/* arguments[0] is "run". 0, or -EINVAL once what is wrong has been said on stderr. */
int options_parse(int count, char **arguments, struct options *ret_options);
void options_print_usage(FILE *out);
