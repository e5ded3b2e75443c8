/*
 * check.h: cmocka with the headers that it wants before it, and two things that tests share.
 */
#ifndef WATTPORT_TESTS_CHECK_H
#define WATTPORT_TESTS_CHECK_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* assert_non_null() in a form that static analysers understand: nothing goes on behind it. */
#define CHECK_POINTER(pointer)                                                                     \
	do {                                                                                       \
		if ((pointer) == NULL) {                                                           \
			fail_msg("%s is NULL", #pointer);                                          \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Fails and shows both where `text` does not contain `part`. */
static inline void check_contains(const char *text, const char *part)
{
	CHECK_POINTER(text);
	CHECK_POINTER(part);
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* Splitmix64: the same numbers in every run, so that what fails once fails again. */
static inline uint64_t check_random(uint64_t *state)
{
	uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* Below `limit`; the bias of the remainder does not matter here. */
static inline uint64_t check_random_below(uint64_t *state, uint64_t limit)
{
	return check_random(state) % limit;
}

#endif
