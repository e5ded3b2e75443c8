#include "tests/sim/dice.h"
#include "tests/unit/check.h"

#include <math.h>

#define ROLLS 100000

static void test_a_seed_is_a_sequence(void **state)
{
	struct dice one, again, other_seed, other_stream;
	size_t same_seed = 0, same_stream = 0;

	(void)state;
	dice_init(&one, 5, 1);
	dice_init(&again, 5, 1);
	dice_init(&other_seed, 6, 1);
	dice_init(&other_stream, 5, 2);
	for (size_t i = 0; i < ROLLS; i++) {
		uint64_t bits = dice_bits(&one);

		assert_true(bits == dice_bits(&again));
		same_seed += bits == dice_bits(&other_seed) ? 1 : 0;
		same_stream += bits == dice_bits(&other_stream) ? 1 : 0;
	}
	assert_int_equal(same_seed, 0);
	assert_int_equal(same_stream, 0);
}

static void test_normal_has_mean_0_and_variance_1(void **state)
{
	struct dice dice;
	double sum = 0, squares = 0;

	(void)state;
	dice_init(&dice, 1, 1);
	for (size_t i = 0; i < ROLLS; i++) {
		double value = dice_normal(&dice);

		assert_true(fabs(value) < 3.5);
		sum += value;
		squares += value * value;
	}
	assert_true(fabs(sum / ROLLS) < 0.02);
	assert_true(fabs(squares / ROLLS - 1) < 0.02);
}

static void test_ranges_are_kept(void **state)
{
	struct dice dice;
	double exponential = 0, middle = 0;
	size_t counts[3] = {0};

	(void)state;
	dice_init(&dice, 2, 1);
	for (size_t i = 0; i < ROLLS; i++) {
		double even = dice_range(&dice, -3, 5), scale = dice_scale(&dice, 0.1, 10);

		assert_true(even >= -3 && even < 5);
		assert_true(scale >= 0.1 && scale <= 10);
		middle += scale < 1 ? 1 : 0;
		counts[dice_below(&dice, 3)]++;
		exponential += dice_exponential(&dice, 7);
	}
	assert_true(fabs(middle / ROLLS - 0.5) < 0.01);
	assert_true(fabs(exponential / ROLLS - 7) < 0.2);
	for (size_t i = 0; i < 3; i++)
		assert_true(fabs((double)counts[i] / ROLLS - 1.0 / 3) < 0.01);
	assert_false(dice_chance(&dice, 0));
	assert_true(dice_chance(&dice, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_seed_is_a_sequence),
	    cmocka_unit_test(test_normal_has_mean_0_and_variance_1),
	    cmocka_unit_test(test_ranges_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
