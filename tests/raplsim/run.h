/* The life of a running simulator: prepare the directory, mount, tell that it is ready, serve until
 * SIGTERM or `quit`, and take everything down. Called by main.c; one thread. */
#pragma once

#include "tests/raplsim/options.h"

/* Returns the program's exit status; what failed has then been said on stderr. Without
 * options->foreground the caller's process returns once the child is ready. */
int run(const struct options *options);
