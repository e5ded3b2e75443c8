#include "common/work_kind.h"
#include "tests/unit/check.h"

#include <math.h>

#define UNKNOWN 0.16

/* So many seconds of a busy CPU at so many instructions per cycle, and misses per instruction.
 * Returns how often the VM turned. */
static int seconds_of(struct work_kinds *kinds, struct work_belief *belief, int seconds,
		      double per_cycle, double misses)
{
	const struct features work = {
	    .amount = {[FEATURES_THREAD] = 1000000000,
		       [FEATURES_CYCLES] = 3000000000,
		       [FEATURES_INSTRUCTIONS] = (uint64_t)(3e9 * per_cycle),
		       [FEATURES_LLC_MISSES] = (uint64_t)(3e9 * per_cycle * misses)}};
	int turns = 0;

	for (int second = 0; second < seconds; second++)
		if (work_kinds_turn(kinds, &work, 1, UNKNOWN, belief))
			turns++;
	return turns;
}

static void check_near(double found, double wanted, double margin)
{
	if (!(fabs(found - wanted) <= margin))
		fail_msg("found %g, wanted %g", found, wanted);
}

static void test_what_was_found_of_a_kind_stands_again(void **state)
{
	struct work_kinds kinds = {0};
	struct work_belief belief = {.mean = 0.5, .variance = 0.001};

	(void)state;
	assert_int_equal(seconds_of(&kinds, &belief, 60, 1, 0.001), 0);
	/* Three times as many instructions: next to nothing is known of it. */
	assert_int_equal(seconds_of(&kinds, &belief, 1, 3, 0.001), 1);
	check_near(belief.mean, 0.5 * exp(-log(3) / 0.33), 0.001);
	check_near(belief.variance, UNKNOWN, 0.001);
	belief = (struct work_belief){.mean = -0.2, .variance = 0.002};
	assert_int_equal(seconds_of(&kinds, &belief, 59, 3, 0.001), 0);
	/* Nearly as before. */
	assert_int_equal(seconds_of(&kinds, &belief, 1, 1.1, 0.001), 1);
	check_near(belief.mean, 0.5 * exp(-60 / WORK_KIND_MEMORY_S), 0.002);
	check_near(belief.variance, 0.001 + UNKNOWN * (1 - exp(-120 / WORK_KIND_MEMORY_S)), 0.002);
	assert_int_equal(seconds_of(&kinds, &belief, 1, 3.1, 0.001), 1);
	/* The one second before it was not kept, the first minute of it was. */
	check_near(belief.mean, -0.2, 0.002);
}

/* Misses tell kinds apart as well, if there are far more of them. */
static void test_misses_tell(void **state)
{
	struct work_kinds kinds = {0};
	struct work_belief belief = {.mean = 0.5, .variance = 0.001};

	(void)state;
	assert_int_equal(seconds_of(&kinds, &belief, 10, 1, 0.002), 0);
	assert_int_equal(seconds_of(&kinds, &belief, 10, 1, 0.003), 0);
	assert_int_equal(seconds_of(&kinds, &belief, 10, 1, 0.008), 1);
}

/* What changes little by little is one kind, however far it goes. */
static void test_a_drift_is_no_turn(void **state)
{
	struct work_kinds kinds = {0};
	struct work_belief belief = {.mean = 0.5, .variance = 0.001};

	(void)state;
	for (int i = 0; i < 70; i++)
		assert_int_equal(seconds_of(&kinds, &belief, 1, 0.5 * pow(1.03, i), 0.001), 0);
}

/* More kinds than are kept: those that were not seen for the longest are forgotten. */
static void test_the_oldest_kind_is_forgotten(void **state)
{
	struct work_kinds kinds = {0};
	struct work_belief belief = {.mean = 0.5, .variance = 0.001};

	(void)state;
	for (int i = 0; i <= WORK_KIND_MAX + 1; i++) {
		(void)seconds_of(&kinds, &belief, 10, 0.1 * pow(2, i), 0.001);
		belief = (struct work_belief){.mean = 0.1 * i, .variance = 0.001};
	}
	(void)seconds_of(&kinds, &belief, 1, 0.1 * pow(2, 2), 0.001);
	check_near(belief.variance, 0.001, 0.02);
	check_near(belief.mean, 0.2, 0.02);
	(void)seconds_of(&kinds, &belief, 1, 0.1, 0.001);
	check_near(belief.variance, UNKNOWN, 0.02);
}

/* Without events, and of a VM that hardly runs, nothing is told. */
static void test_without_events_nothing_turns(void **state)
{
	struct work_kinds kinds = {0};
	struct work_belief belief = {.mean = 0.5, .variance = 0.001};
	struct features work = features_of_time(1000000000, 1000000000, 0);

	(void)state;
	assert_false(work_kinds_turn(&kinds, &work, 1, UNKNOWN, &belief));
	(void)seconds_of(&kinds, &belief, 10, 1, 0.001);
	assert_false(work_kinds_turn(&kinds, &work, 1, UNKNOWN, &belief));
	work = (struct features){.amount = {[FEATURES_THREAD] = 1000000,
					    [FEATURES_CYCLES] = 3000000,
					    [FEATURES_INSTRUCTIONS] = 30000000}};
	assert_false(work_kinds_turn(&kinds, &work, 1, UNKNOWN, &belief));
	assert_true(belief.mean == 0.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_found_of_a_kind_stands_again),
	    cmocka_unit_test(test_misses_tell),
	    cmocka_unit_test(test_a_drift_is_no_turn),
	    cmocka_unit_test(test_the_oldest_kind_is_forgotten),
	    cmocka_unit_test(test_without_events_nothing_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
