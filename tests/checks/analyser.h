/*
 * analyser.h: what clang's static analyser cannot know; tidy.py includes it before each file.
 *
 * The house style hands results out by pointer and written on success alone, with the status as the
 * return value. The analyser follows calls within one file, but there it takes `return -errno` and
 * `return diag_error(...)` for something that may be 0, and then reports the result as garbage.
 * Told that both are negative, it keeps quiet about paths that there are not, and still sees those
 * that there are.
 */
#ifndef WATTPORT_TESTS_ANALYSER_H
#define WATTPORT_TESTS_ANALYSER_H

#include "common/diag.h"

#include <errno.h>

static inline int *analyser_errno(void)
{
	int *value = __errno_location();

	/* Where it is read a call has just failed, and set it above zero (errno(3)). */
	if (*value <= 0)
		__builtin_unreachable();
	return value;
}

static inline int analyser_negative(int error)
{
	if (error >= 0)
		__builtin_unreachable();
	return error;
}

#undef errno
#define errno (*analyser_errno())

/* The parentheses keep the function itself from being taken for the macro. */
#define diag_error(diag, error, ...)                                                               \
	((void)(diag_error)((diag), (error), __VA_ARGS__), analyser_negative(error))

#endif
