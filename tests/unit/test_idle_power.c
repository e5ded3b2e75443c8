#include "common/idle_power.h"
#include "tests/unit/check.h"

#define SECOND_NS UINT64_C(1000000000)
#define CPUS	  8

/* A second of a zone of CPUS CPUs at that power and load. */
static uint64_t add(struct idle_power *idle, uint64_t power_uw, uint64_t busy)
{
	return idle_power_add(idle, SECOND_NS, power_uw,
			      SECOND_NS * CPUS / IDLE_POWER_BUSY_SCALE * busy, CPUS);
}

static void check_near(uint64_t found_uw, uint64_t true_uw, uint64_t percent)
{
	assert_in_range(found_uw, true_uw * (100 - percent) / 100, true_uw * (100 + percent) / 100);
}

/* 30 W idle and 90 W more at full load, a watt of noise, every fifth point far above. */
static void test_the_line_is_found_among_wild_points(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct idle_power idle = {0};
		uint64_t random = seed, found_uw = 0;

		for (int second = 0; second < 2 * IDLE_POWER_POINT_MAX; second++) {
			/* Never at rest, or the cap by the smallest power would hide the line. */
			uint64_t busy = 100 + check_random_below(&random, 600);
			uint64_t power_uw = 30000000 + busy * 90000 + 500000;

			power_uw += check_random_below(&random, 1000000);
			power_uw -= 1000000;
			if (second % 5 == 3)
				power_uw += 20000000 + check_random_below(&random, 200000000);
			found_uw = add(&idle, power_uw, busy);
		}
		check_near(found_uw, 30000000, 2);
	}
}

/* The load never falls below 40 %: the line leads on to where nothing was seen. */
static void test_the_line_leads_beyond_what_was_seen(void **state)
{
	struct idle_power idle = {0};
	uint64_t found_uw = 0;

	(void)state;
	for (uint64_t second = 0; second < 30; second++) {
		uint64_t busy = 400 + second * 17 % 500;

		found_uw = add(&idle, 25000000 + busy * 50000, busy);
	}
	check_near(found_uw, 25000000, 2);
}

static void test_level_load_gives_the_prior(void **state)
{
	struct idle_power idle = {0};
	uint64_t random = 3, smallest_uw = UINT64_MAX;

	(void)state;
	for (int second = 0; second < IDLE_POWER_POINT_MAX; second++) {
		uint64_t power_uw = 60000000 + check_random_below(&random, 3000000);
		uint64_t busy = 500 + check_random_below(&random, IDLE_POWER_SPREAD_MIN / 2);

		if (power_uw < smallest_uw)
			smallest_uw = power_uw;
		assert_int_equal(add(&idle, power_uw, busy),
				 smallest_uw * IDLE_POWER_PRIOR_PERCENT / 100);
	}
	/* One second of full load among so many is not yet a slope. */
	assert_int_equal(add(&idle, 150000000, 1000), smallest_uw * IDLE_POWER_PRIOR_PERCENT / 100);
}

static void test_few_points_give_the_prior(void **state)
{
	struct idle_power idle = {0};
	uint64_t last = IDLE_POWER_POINT_MIN - 1;

	(void)state;
	for (uint64_t second = 0; second < last; second++)
		assert_int_equal(add(&idle, 40000000 + second * 10000000, second * 100), 20000000);
	assert_int_equal(add(&idle, UINT64_C(40000000) + UINT64_C(10000000) * last, 100 * last),
			 40000000);
}

/* A line that falls says that something else draws the power. */
static void test_a_falling_line_gives_the_prior(void **state)
{
	struct idle_power idle = {0};
	uint64_t found_uw = 0, busiest = 0;

	(void)state;
	for (uint64_t second = 0; second < 40; second++) {
		uint64_t busy = second * 23 % 1000;

		if (busy > busiest)
			busiest = busy;
		found_uw = add(&idle, 100000000 - busy * 20000, busy);
	}
	assert_int_equal(found_uw, (100000000 - busiest * 20000) * IDLE_POWER_PRIOR_PERCENT / 100);
}

/* Too steep a line would cut the axis below zero. */
static void test_never_negative(void **state)
{
	struct idle_power idle = {0};
	uint64_t found_uw = UINT64_MAX;

	(void)state;
	for (uint64_t second = 0; second < 40; second++) {
		uint64_t busy = 500 + second * 13 % 500;

		found_uw = add(&idle, (busy - 450) * 1000000, busy);
	}
	assert_int_equal(found_uw, 0);
}

static void test_never_above_the_smallest_power(void **state)
{
	uint64_t random = 5;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct idle_power idle = {0};
		uint64_t powers_uw[IDLE_POWER_POINT_MAX];

		for (size_t second = 0; second < (size_t)3 * IDLE_POWER_POINT_MAX; second++) {
			uint64_t power_uw =
			    check_random(&random) >> check_random_below(&random, 64);
			uint64_t found_uw;

			/* What no machine draws is cut, and cannot be the smallest for long. */
			power_uw %= UINT64_C(1) << 50;
			powers_uw[second % IDLE_POWER_POINT_MAX] = power_uw;
			found_uw = add(&idle, power_uw, check_random_below(&random, 1500));
			for (size_t i = 0; i < idle.count; i++)
				assert_true(found_uw <= powers_uw[i]);
		}
	}
}

static void test_points_are_a_second_long(void **state)
{
	struct idle_power idle = {0};

	(void)state;
	for (int tick = 0; tick < 99; tick++)
		assert_int_equal(idle_power_add(&idle, SECOND_NS / 100, 100000, 0, CPUS), 0);
	assert_int_equal(idle_power_add(&idle, SECOND_NS / 100, 100000, 0, CPUS), 5000000);
	/* Four seconds at once are one point of their mean. */
	assert_int_equal(idle_power_add(&idle, 4 * SECOND_NS, 16000000, 0, CPUS), 2000000);
	assert_int_equal(idle.count, 2);
}

/* Minutes later the old points are forgotten: another fan speed, another load. */
static void test_old_points_are_forgotten(void **state)
{
	struct idle_power idle = {0};
	uint64_t found_uw = 0;

	(void)state;
	for (uint64_t second = 0; second < 60; second++)
		(void)add(&idle, 10000000 + second * 17 % 900 * 10000, second * 17 % 900);
	for (uint64_t second = 0; second < IDLE_POWER_POINT_MAX; second++)
		found_uw = add(&idle, 50000000 + second * 17 % 900 * 10000, second * 17 % 900);
	check_near(found_uw, 50000000, 2);
}

static void test_extremes_do_no_harm(void **state)
{
	struct idle_power idle = {0};

	(void)state;
	(void)idle_power_add(&idle, 0, UINT64_MAX, UINT64_MAX, 0);
	(void)idle_power_add(&idle, SECOND_NS, UINT64_MAX, UINT64_MAX, 0);
	for (int i = 0; i < IDLE_POWER_POINT_MAX; i++) {
		(void)idle_power_add(&idle, SECOND_NS, UINT64_MAX, i % 2 == 0 ? UINT64_MAX : 0, 1);
		(void)idle_power_add(&idle, UINT64_MAX, i % 3 == 0 ? UINT64_MAX : 0, 0, SIZE_MAX);
	}
	assert_int_equal(idle_power_add(&idle, SECOND_NS, 0, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_line_is_found_among_wild_points),
	    cmocka_unit_test(test_the_line_leads_beyond_what_was_seen),
	    cmocka_unit_test(test_level_load_gives_the_prior),
	    cmocka_unit_test(test_few_points_give_the_prior),
	    cmocka_unit_test(test_a_falling_line_gives_the_prior),
	    cmocka_unit_test(test_never_negative),
	    cmocka_unit_test(test_never_above_the_smallest_power),
	    cmocka_unit_test(test_points_are_a_second_long),
	    cmocka_unit_test(test_old_points_are_forgotten),
	    cmocka_unit_test(test_extremes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
