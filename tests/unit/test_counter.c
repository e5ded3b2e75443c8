#include "common/counter.h"
#include "tests/unit/check.h"

#define SECOND_NS UINT64_C(1000000000)

static const uint64_t range_61_uj = UINT64_C(262143328850);

static void test_modulus_adds_one_hardware_unit(void **state)
{
	static const struct {
		uint64_t range_uj, modulus_uj;
	} rows[] = {
	    {UINT64_C(262143328850), UINT64_C(262143328911)},	      /* 61.035 uJ */
	    {UINT64_C(65532610987), UINT64_C(65532611002)},	      /* 15.258 uJ */
	    {UINT64_C(65712999613), UINT64_C(65712999628)},	      /* 15.3 uJ: server DRAM */
	    {UINT64_C(4294967295000000), UINT64_C(4294967296000000)}, /* 1 J: SPR psys */
	    {UINT64_C(9007199254740991), UINT64_C(9007199254740992)}, /* no hardware: 2^53 - 1 */
	    {999, 1000},
	    {0, 1},
	    {UINT64_MAX, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++)
		assert_int_equal(counter_modulus_uj(rows[i].range_uj), rows[i].modulus_uj);
}

static void test_first_reading_books_nothing(void **state)
{
	struct counter counter = {.primed = false};
	uint64_t energy_uj = 77;

	(void)state;
	assert_int_equal(counter_advance(&counter, 5000, range_61_uj, 1, &energy_uj),
			 COUNTER_FIRST);
	assert_int_equal(energy_uj, 0);
	assert_int_equal(counter_advance(&counter, 5000, range_61_uj, 2, &energy_uj),
			 COUNTER_ADVANCED);
	assert_int_equal(energy_uj, 0);
	assert_int_equal(counter_advance(&counter, 5061, range_61_uj, 3, &energy_uj),
			 COUNTER_ADVANCED);
	assert_int_equal(energy_uj, 61);
}

static void test_wrap_of_one_unit(void **state)
{
	struct counter counter = {.primed = true, .raw_uj = range_61_uj, .time_ns = 0};
	uint64_t energy_uj;

	(void)state;
	assert_int_equal(counter_advance(&counter, 0, range_61_uj, SECOND_NS, &energy_uj),
			 COUNTER_WRAPPED);
	assert_int_equal(energy_uj, 61);
	assert_int_equal(counter.raw_uj, 0);
}

static void test_step_back_books_nothing_and_goes_on(void **state)
{
	struct counter counter = {.primed = true, .raw_uj = 1000000, .time_ns = 0};
	uint64_t energy_uj;

	(void)state;
	/* As a wrap it would need nearly the whole range. */
	assert_int_equal(counter_advance(&counter, 999999, range_61_uj, SECOND_NS, &energy_uj),
			 COUNTER_BACKWARD);
	assert_int_equal(energy_uj, 0);
	assert_int_equal(counter_advance(&counter, 1000060, range_61_uj, 2 * SECOND_NS, &energy_uj),
			 COUNTER_ADVANCED);
	assert_int_equal(energy_uj, 61);
}

/* The same readings are a wrap when the time allows for the power, else a step back. */
static void test_wrap_must_be_possible(void **state)
{
	const uint64_t before_uj = UINT64_C(262143328911) - UINT64_C(5000000000);
	struct counter counter = {.primed = true, .raw_uj = before_uj, .time_ns = 0};
	uint64_t energy_uj;

	(void)state;
	assert_int_equal(counter_advance(&counter, 0, range_61_uj, SECOND_NS - 1, &energy_uj),
			 COUNTER_BACKWARD);
	counter = (struct counter){.primed = true, .raw_uj = before_uj, .time_ns = 0};
	assert_int_equal(counter_advance(&counter, 0, range_61_uj, SECOND_NS, &energy_uj),
			 COUNTER_WRAPPED);
	assert_int_equal(energy_uj, COUNTER_POWER_UW_MAX);
	/* A clock that went back leaves no time at all. */
	counter = (struct counter){.primed = true, .raw_uj = range_61_uj, .time_ns = SECOND_NS};
	assert_int_equal(counter_advance(&counter, 0, range_61_uj, 0, &energy_uj),
			 COUNTER_BACKWARD);
	/* Centuries allow everything below half the range. */
	counter = (struct counter){.primed = true, .raw_uj = range_61_uj, .time_ns = 0};
	assert_int_equal(
	    counter_advance(&counter, range_61_uj / 2 - 62, range_61_uj, UINT64_MAX, &energy_uj),
	    COUNTER_WRAPPED);
	counter = (struct counter){.primed = true, .raw_uj = range_61_uj, .time_ns = 0};
	assert_int_equal(
	    counter_advance(&counter, range_61_uj / 2 - 61, range_61_uj, UINT64_MAX, &energy_uj),
	    COUNTER_BACKWARD);
}

static void test_beyond_the_range_changes_nothing(void **state)
{
	struct counter counter = {.primed = true, .raw_uj = 10, .time_ns = 5};
	uint64_t energy_uj = 1;

	(void)state;
	assert_int_equal(counter_advance(&counter, range_61_uj + 1, range_61_uj, 9, &energy_uj),
			 COUNTER_INVALID);
	assert_int_equal(energy_uj, 0);
	assert_int_equal(counter.raw_uj, 10);
	assert_int_equal(counter.time_ns, 5);
	/* A range that shrinks below the last reading cannot be wrapped. */
	counter.raw_uj = 1000;
	assert_int_equal(counter_advance(&counter, 50, 100, SECOND_NS, &energy_uj),
			 COUNTER_BACKWARD);
}

/*
 * Hardware that counts units without end, seen through 32 bits and the kernel's rounding: what is
 * booked may differ from the truth by the microjoule that each end and each wrap is rounded by.
 */
static void test_property_booked_is_what_was_counted(void **state)
{
	static const uint64_t units_nj[] = {61035, 15258, 15300, 1000000, 1000000000, 1, 999};
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < 7000; i++) {
		uint64_t unit_nj = units_nj[i % CHECK_COUNT(units_nj)];
		uint64_t range_uj = UINT64_C(0xffffffff) * unit_nj / 1000;
		uint64_t start = check_random_below(&seed, UINT64_C(1) << 32);
		uint64_t truth = start, booked_uj = 0, wraps = 0, now_ns = 0, counted_uj;
		struct counter counter = {.primed = false};

		for (size_t step = 0; step < 20; step++) {
			uint64_t raw_uj = (truth & UINT64_C(0xffffffff)) * unit_nj / 1000;
			uint64_t energy_uj, units;
			enum counter_event event =
			    counter_advance(&counter, raw_uj, range_uj, now_ns, &energy_uj);

			assert_int_not_equal(event, COUNTER_BACKWARD);
			assert_int_not_equal(event, COUNTER_INVALID);
			wraps += event == COUNTER_WRAPPED;
			booked_uj += energy_uj;
			if (step == 19)
				break;
			units = check_random_below(&seed, (UINT64_C(1) << 31) - 4000000);
			truth += units;
			/* A little below the largest power. */
			now_ns += units * unit_nj / 1000 * 220 + 1000000;
		}
		counted_uj =
		    (truth - start) / 1000 * unit_nj + (truth - start) % 1000 * unit_nj / 1000;
		assert_in_range(booked_uj + 1, counted_uj - wraps, counted_uj + wraps + 2);
	}
}

/* After a long time: what the zone can draw decides between a wrap and a step back. */
static void test_a_long_time_may_hold_a_wrap(void **state)
{
	const uint64_t modulus_uj = counter_modulus_uj(range_61_uj);
	uint64_t energy_uj;

	(void)state;
	for (int known = 0; known < 2; known++) {
		struct counter counter = {.power_uw_max = known ? 100000000 : 0};

		(void)counter_advance(&counter, 1000, range_61_uj, 0, &energy_uj);
		/* 2621 s at 100 W. */
		assert_int_equal(
		    counter_advance(&counter, 999, range_61_uj, 2622 * SECOND_NS, &energy_uj),
		    known ? COUNTER_WRAPPED : COUNTER_BACKWARD);
		assert_int_equal(energy_uj, known ? modulus_uj - 1 : 0);
		/* No time for it. */
		assert_int_equal(
		    counter_advance(&counter, 998, range_61_uj, 5242 * SECOND_NS, &energy_uj),
		    COUNTER_BACKWARD);
	}
}

static void test_more_wraps_are_suspected(void **state)
{
	struct counter counter = {.power_uw_max = 100000000};

	(void)state;
	assert_false(counter_may_be_more(&counter, 0, range_61_uj, 2621 * SECOND_NS));
	assert_true(counter_may_be_more(&counter, 0, range_61_uj, 2622 * SECOND_NS));
	assert_false(counter_may_be_more(&counter, 100000000, range_61_uj, 2622 * SECOND_NS));
	assert_false(counter_may_be_more(&counter, UINT64_MAX, range_61_uj, UINT64_MAX));
	/* Nobody knows what it draws: then anything a zone can. */
	counter.power_uw_max = 0;
	assert_true(counter_may_be_more(&counter, 0, range_61_uj, 53 * SECOND_NS));
	assert_false(counter_may_be_more(&counter, 0, range_61_uj, 52 * SECOND_NS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_modulus_adds_one_hardware_unit),
	    cmocka_unit_test(test_first_reading_books_nothing),
	    cmocka_unit_test(test_wrap_of_one_unit),
	    cmocka_unit_test(test_step_back_books_nothing_and_goes_on),
	    cmocka_unit_test(test_wrap_must_be_possible),
	    cmocka_unit_test(test_beyond_the_range_changes_nothing),
	    cmocka_unit_test(test_property_booked_is_what_was_counted),
	    cmocka_unit_test(test_a_long_time_may_hold_a_wrap),
	    cmocka_unit_test(test_more_wraps_are_suspected),
	};

	return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
