/*
 * top_fixture.h: frames for the tests of `top`: services and users of a machine, with names that
 * hurt, whose figures add up.
 */
#ifndef WATTPORT_TESTS_UNIT_TOP_FIXTURE_H
#define WATTPORT_TESTS_UNIT_TOP_FIXTURE_H

#include "common/top_history.h"

#define TOP_FIXTURE_TIME_NS UINT64_C(1000000000000)

/*
 * Fills the frame as it is that many seconds after TOP_FIXTURE_TIME_NS: each row has used its power
 * since. A failure fails the running cmocka test.
 */
void top_fixture_fill(struct top_frame *frame, uint64_t seconds);

/* The history of a minute and a half, up to that second, with a pause of half a minute in it. */
void top_fixture_remember(struct top_history *history, uint64_t seconds);

#endif
