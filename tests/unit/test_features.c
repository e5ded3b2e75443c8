#include "common/core_share.h"
#include "common/features.h"
#include "tests/unit/check.h"

/* Three seconds at 2 GHz on half of a core. */
static void test_a_counted_thread(void **state)
{
	const struct features_counters spent = {.has_events = true,
						.time_ns = 3000,
						.cycles = 6000,
						.instructions = 9000,
						.llc_misses = 5};
	struct features features = features_weigh(&spent, CORE_SHARE_ONE / 2, CORE_SHARE_ONE);

	(void)state;
	assert_int_equal(features.amount[FEATURES_THREAD], 3000);
	assert_int_equal(features.amount[FEATURES_CORE], 1500);
	assert_int_equal(features.amount[FEATURES_BLIND], 0);
	assert_int_equal(features.amount[FEATURES_LOADED], 0);
	assert_int_equal(features.amount[FEATURES_CYCLES], 3000);
	assert_int_equal(features.amount[FEATURES_CYCLES_FAST], 6000);
	assert_int_equal(features.amount[FEATURES_INSTRUCTIONS], 9000);
	assert_int_equal(features.amount[FEATURES_INSTRUCTIONS_FAST], 18000);
	assert_int_equal(features.amount[FEATURES_LLC_MISSES], 5);
}

static void test_a_thread_whose_events_are_not_counted(void **state)
{
	const struct features_counters spent = {.time_ns = 3000, .cycles = 6000};
	struct features features = features_weigh(&spent, CORE_SHARE_ONE, CORE_SHARE_ONE / 4);

	(void)state;
	assert_int_equal(features.amount[FEATURES_THREAD], 3000);
	assert_int_equal(features.amount[FEATURES_BLIND], 3000);
	assert_int_equal(features.amount[FEATURES_LOADED], 750);
	assert_int_equal(features.amount[FEATURES_CYCLES], 0);
}

/* Times come late, events do not: no clock of 600 GHz comes of it. */
static void test_the_clock_has_a_limit(void **state)
{
	const struct features_counters spent = {.has_events = true, .time_ns = 10, .cycles = 6000};
	struct features features = features_weigh(&spent, CORE_SHARE_ONE, CORE_SHARE_ONE / 4);

	(void)state;
	assert_int_equal(features.amount[FEATURES_CYCLES_FAST], 48000);
}

/* Counted only where both samples were; a counter that went back gives nothing. */
static void test_what_was_spent(void **state)
{
	struct features_counters previous = {.time_ns = 100, .cycles = 50};
	struct sample_vcpu now = {.time_ns = 130, .has_events = true, .cycles = 20};
	struct features_counters spent = features_spent(&previous, &now);

	(void)state;
	assert_int_equal(spent.time_ns, 30);
	assert_int_equal(spent.cycles, 0);
	assert_false(spent.has_events);
	now.cycles = 25;
	spent = features_spent(&previous, &now);
	assert_int_equal(spent.time_ns, 0);
	assert_int_equal(spent.cycles, 5);
	assert_true(spent.has_events);
}

static void test_amounts_saturate(void **state)
{
	struct features total = features_of_time(UINT64_MAX - 1, 8, 0);
	const struct features more = features_of_time(6, 6, 0);

	(void)state;
	features_add(&total, &more, 1, 2);
	assert_true(total.amount[FEATURES_THREAD] == UINT64_MAX);
	assert_int_equal(total.amount[FEATURES_CORE], 11);
	assert_true(features_scale(UINT64_MAX, 3, 2) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_counted_thread),
	    cmocka_unit_test(test_a_thread_whose_events_are_not_counted),
	    cmocka_unit_test(test_the_clock_has_a_limit),
	    cmocka_unit_test(test_what_was_spent),
	    cmocka_unit_test(test_amounts_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
