/* top_history.h: spans, what is in none, and how idle and other compare. */
#include "common/top_history.h"
#include "tests/unit/check.h"
#include "tests/unit/top_fixture.h"

#define SECOND CLOCK_NS_PER_SECOND

static struct top_frame frame_at(uint64_t seconds, uint64_t power_uw)
{
	struct top_frame frame = {.sampled = true, .fresh = true};

	frame.time.ns = seconds * SECOND;
	frame.measured.has_power = true;
	frame.measured.power_uw = power_uw;
	return frame;
}

static void test_spans_have_the_highest_power(void **state)
{
	struct top_history history = {.count = 0};
	uint64_t powers_uw[4];

	(void)state;
	for (uint64_t second = 100; second <= 103; second++) {
		const struct top_frame frame = frame_at(second, second);

		top_history_add(&history, &frame);
		top_history_add(&history, &frame); /* the same sample again is none */
	}
	assert_int_equal(history.count, 4);
	top_history_spans(&history, (struct mono_time){103 * SECOND}, powers_uw, 4);
	assert_int_equal(powers_uw[3], 103); /* 102, 103 */
	assert_int_equal(powers_uw[2], 101);
	assert_int_equal(powers_uw[1], TOP_HISTORY_NONE);
	assert_int_equal(powers_uw[0], TOP_HISTORY_NONE);
}

/* Samples that are rarer than spans stand for what follows, but not for ever. */
static void test_gaps_are_gaps(void **state)
{
	const struct top_frame early = frame_at(100, 7), late = frame_at(120, 9);
	struct top_history history = {.count = 0};
	uint64_t powers_uw[11];

	(void)state;
	top_history_add(&history, &early);
	top_history_add(&history, &late);
	top_history_spans(&history, (struct mono_time){120 * SECOND}, powers_uw, 11);
	assert_int_equal(powers_uw[10], 9);
	for (size_t i = 6; i < 10; i++)
		assert_int_equal(powers_uw[i], TOP_HISTORY_NONE);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(powers_uw[i], 7);
}

static void test_only_the_last_are_kept(void **state)
{
	struct top_history history = {.count = 0};
	uint64_t powers_uw[TOP_HISTORY_MAX];

	(void)state;
	for (uint64_t i = 1; i <= TOP_HISTORY_MAX + 1; i++) {
		const struct top_frame frame = frame_at(i * 2, i);

		top_history_add(&history, &frame);
	}
	top_history_spans(&history, (struct mono_time){(TOP_HISTORY_MAX + 1) * 2 * SECOND},
			  powers_uw, TOP_HISTORY_MAX);
	for (uint64_t i = 0; i < TOP_HISTORY_MAX; i++)
		assert_int_equal(powers_uw[i], i + 2);
	/* Before the clock began there is nothing. */
	top_history_spans(&history, (struct mono_time){SECOND}, powers_uw, 3);
	assert_int_equal(powers_uw[0], TOP_HISTORY_NONE);
}

static void test_idle_and_other(void **state)
{
	struct top_frame frame = frame_at(1, 1);
	struct top_history history = {.count = 0};

	(void)state;
	frame.idle_uj = 1000;
	frame.other_uj = 5000;
	top_history_add(&history, &frame);
	assert_false(history.has_split);
	frame.time.ns += SECOND;
	frame.idle_uj += 30;
	frame.other_uj += 10;
	top_history_add(&history, &frame);
	assert_true(history.has_split);
	assert_int_equal(history.idle_of_both.part, 30);
	assert_int_equal(history.idle_of_both.whole, 40);
	/* A new ledger counts from its beginning. */
	frame.time.ns += SECOND;
	frame.idle_uj = 0;
	top_history_add(&history, &frame);
	assert_false(history.has_split);
}

/* What is not known now has no power, and what was known of idle no longer holds. */
static void test_old_figures_are_no_power(void **state)
{
	struct top_frame frame = frame_at(1, 1);
	struct top_history history = {.count = 0};

	(void)state;
	top_history_add(&history, &frame);
	frame = frame_at(2, 1);
	frame.idle_uj = 1;
	top_history_add(&history, &frame);
	assert_true(history.has_split);
	frame.fresh = false;
	top_history_add(&history, &frame);
	assert_false(history.has_split);
	frame.time.ns += SECOND;
	top_history_add(&history, &frame);
	assert_int_equal(history.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spans_have_the_highest_power),
	    cmocka_unit_test(test_gaps_are_gaps),
	    cmocka_unit_test(test_only_the_last_are_kept),
	    cmocka_unit_test(test_idle_and_other),
	    cmocka_unit_test(test_old_figures_are_no_power),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
