/*
 * golden.h: compares what a test made with a file in tests/golden/.
 *
 * With WATTPORT_GOLDEN_UPDATE in the environment (the build target golden-update sets it) the file
 * is written instead, for a person to review with git diff.
 */
#ifndef WATTPORT_TESTS_UNIT_GOLDEN_H
#define WATTPORT_TESTS_UNIT_GOLDEN_H

#include <stddef.h>

/* Fails the running cmocka test, with the first line that differs, unless they are the same. */
void golden_check(const char *name, const char *text, size_t size);

#endif
