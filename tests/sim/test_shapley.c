#include "tests/sim/dice.h"
#include "tests/sim/shapley.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdbool.h>

#define PLAYERS 7

static void assert_near(double found, double wanted, double by)
{
	if (fabs(found - wanted) > by)
		fail_msg("%.12g is not %.12g", found, wanted);
}

static void test_a_pair_shares_all_of_it(void **state)
{
	(void)state;
	assert_near(shapley_pair(3, 5, 6) + shapley_pair(5, 3, 6), 6, 1e-12);
	/* Equals have equal parts. */
	assert_near(shapley_pair(4, 4, 7), 3.5, 1e-12);
	/* Who adds nothing pays nothing. */
	assert_near(shapley_pair(0, 5, 5), 0, 1e-12);
	/* Where nothing is shared each pays his own. */
	assert_near(shapley_pair(3, 5, 8), 3, 1e-12);
}

/* The same from the definition: at each moment evenly among those that run. */
static double any_value(const double busy[], size_t count, size_t player)
{
	double value = 0;

	for (unsigned int set = 0; set < 1U << count; set++) {
		double chance = 1;
		size_t size = 0;

		if ((set >> player & 1) == 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			bool runs = (set >> i & 1) == 1;

			chance *= runs ? busy[i] : 1 - busy[i];
			size += runs ? 1 : 0;
		}
		value += chance / (double)size;
	}
	return value;
}

static void test_any_is_what_the_definition_says(void **state)
{
	struct dice dice;

	(void)state;
	dice_init(&dice, 3, 1);
	for (size_t round = 0; round < 50; round++) {
		double busy[PLAYERS], values[PLAYERS];

		for (size_t i = 0; i < PLAYERS; i++)
			busy[i] = dice_chance(&dice, 0.2) ? (double)dice_below(&dice, 2)
							  : dice_unit(&dice);
		(void)shapley_any(busy, PLAYERS, values);
		for (size_t i = 0; i < PLAYERS; i++)
			assert_near(values[i], any_value(busy, PLAYERS, i), 1e-9);
	}
}

static void test_any_gives_away_exactly_the_whole(void **state)
{
	static const size_t counts[] = {1, 2, 16, 300};
	double busy[300], values[300];
	struct dice dice;

	(void)state;
	dice_init(&dice, 4, 1);
	for (size_t k = 0; k < CHECK_COUNT(counts); k++) {
		double none = 1, sum = 0;

		for (size_t i = 0; i < counts[k]; i++) {
			busy[i] = dice_range(&dice, 0, 0.9);
			none *= 1 - busy[i];
		}
		assert_near(shapley_any(busy, counts[k], values), 1 - none, 1e-12);
		for (size_t i = 0; i < counts[k]; i++) {
			assert_true(values[i] >= 0);
			sum += values[i];
		}
		assert_near(sum, 1 - none, 1e-12);
	}
	assert_near(shapley_any(busy, 0, values), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_pair_shares_all_of_it),
	    cmocka_unit_test(test_any_is_what_the_definition_says),
	    cmocka_unit_test(test_any_gives_away_exactly_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
