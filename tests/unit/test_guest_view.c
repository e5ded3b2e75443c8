#include "common/guest_view.h"
#include "tests/unit/check.h"

#define SECOND_NS UINT64_C(1000000000)
#define HOUR	  3600

/* 8 CPUs, half of them busy, 10 W a busy CPU, 16 W of static power for 8 units of rent. */
static const struct guest_view_interval host_second = {
    .elapsed_ns = SECOND_NS,
    .dynamic_uj = 40000000,
    .static_uj = 16000000,
    .busy_ns = 4 * SECOND_NS,
    .rent = 8,
};

static struct guest_view_zone seeded_zone(void)
{
	struct guest_view_zone zone = {.seeded = false};

	for (int second = 0; second < 10; second++)
		guest_view_learn(&zone, &host_second);
	assert_true(zone.seeded);
	return zone;
}

static uint64_t shown(const struct guest_view_interval *interval)
{
	return interval->dynamic_uj + interval->static_uj;
}

static void test_exact_until_seeded(void **state)
{
	struct guest_view_zone zone = {.seeded = false};
	struct guest_view_account account = {0};

	(void)state;
	for (int second = 0; second < 9; second++) {
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS, .dynamic_uj = 123, .static_uj = 45, .busy_ns = 9};

		guest_view_learn(&zone, &host_second);
		guest_view_apply(&zone, &account, &own);
		assert_int_equal(own.dynamic_uj, 123);
		assert_int_equal(own.static_uj, 45);
	}
	assert_false(zone.seeded);
	guest_view_learn(&zone, &host_second);
	assert_true(zone.seeded);
	assert_int_equal(zone.dynamic_power_uw, 10000000);
	assert_int_equal(zone.static_power_nw, 2000000000);
}

/* A host at rest tells no coefficient, however long it rests. */
static void test_a_host_at_rest_teaches_nothing(void **state)
{
	struct guest_view_zone zone = {.seeded = false};
	struct guest_view_interval rest = host_second;

	(void)state;
	rest.busy_ns = SECOND_NS / 100 - 1;
	for (int second = 0; second < 100; second++)
		guest_view_learn(&zone, &rest);
	assert_false(zone.seeded);
	guest_view_learn(&zone, &host_second);
	assert_true(zone.seeded);
}

/* The first ten seconds count, the neighbours' later life does not. */
static void test_coefficients_stay(void **state)
{
	struct guest_view_zone zone = seeded_zone();
	struct guest_view_interval later = host_second;

	(void)state;
	later.dynamic_uj *= 7;
	later.static_uj *= 7;
	for (int second = 0; second < 1000; second++)
		guest_view_learn(&zone, &later);
	assert_int_equal(zone.dynamic_power_uw, 10000000);
	assert_int_equal(zone.static_power_nw, 2000000000);
}

/* Whatever the exact share, which depends on the neighbours, the guest is shown its own time. */
static void test_own_time_times_coefficient(void **state)
{
	struct guest_view_zone zone = seeded_zone();

	(void)state;
	for (uint64_t exact_uj = 0; exact_uj < 50000000; exact_uj += 9999999) {
		struct guest_view_account account = {0};
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS,
		    .dynamic_uj = exact_uj,
		    .static_uj = exact_uj / 2,
		    .busy_ns = SECOND_NS / 4,
		    .rent = 2,
		};

		guest_view_apply(&zone, &account, &own);
		assert_int_equal(own.dynamic_uj, 2500000);
		assert_int_equal(own.static_uj, 4000000);
	}
}

static void test_no_rent_has_no_static_part(void **state)
{
	struct guest_view_zone zone = {.seeded = false};
	struct guest_view_account account = {0};
	struct guest_view_interval host = host_second;
	struct guest_view_interval own = {.elapsed_ns = SECOND_NS, .static_uj = 9, .rent = 2};

	(void)state;
	host.rent = 0;
	for (int second = 0; second < 10; second++)
		guest_view_learn(&zone, &host);
	assert_true(zone.seeded);
	guest_view_apply(&zone, &account, &own);
	assert_int_equal(shown(&own), 0);
}

/* 1/7 of a microjoule each time, dynamic and static: not one is lost. */
static void test_remainders_are_never_lost(void **state)
{
	struct guest_view_zone zone = {
	    .seeded = true, .dynamic_power_uw = 1000, .static_power_nw = 1000000};
	struct guest_view_account account = {0};
	uint64_t dynamic_uj = 0, static_uj = 0;

	(void)state;
	for (int tick = 0; tick < 70000; tick++) {
		struct guest_view_interval own = {
		    .elapsed_ns = 142857, .busy_ns = 142857, .rent = 1};

		guest_view_apply(&zone, &account, &own);
		dynamic_uj += own.dynamic_uj;
		static_uj += own.static_uj;
	}
	assert_int_equal(dynamic_uj, UINT64_C(142857) * 70000 / 1000000);
	assert_int_equal(static_uj, UINT64_C(142857) * 70000 / 1000000);
}

/* The sum over short intervals is that of a long one. */
static void test_the_pace_of_samples_does_not_matter(void **state)
{
	struct guest_view_zone zone = seeded_zone();
	struct guest_view_account fine = {0}, coarse = {0};
	uint64_t fine_uj = 0;
	struct guest_view_interval whole = {
	    .elapsed_ns = 9 * SECOND_NS, .busy_ns = 3 * SECOND_NS, .rent = 3};

	(void)state;
	for (int tick = 0; tick < 9000; tick++) {
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS / 1000, .busy_ns = SECOND_NS / 3000, .rent = 3};

		guest_view_apply(&zone, &fine, &own);
		fine_uj += shown(&own);
	}
	guest_view_apply(&zone, &coarse, &whole);
	/* SECOND_NS / 3000 leaves out a third of a nanosecond a tick. */
	assert_in_range(shown(&whole) - fine_uj, 0, 31);
}

/* What a step may be: 5 % down or up, a multiple of 1/128, and only once a period. */
static void check_gain(uint64_t before, uint64_t gain)
{
	assert_int_equal(gain % GUEST_VIEW_GAIN_STEP, 0);
	assert_true(gain * 100 <= before * (100 + GUEST_VIEW_STEP_PERCENT));
	assert_true(gain * 100 >= before * (100 - GUEST_VIEW_STEP_PERCENT));
}

static void test_gain_changes_slowly(void **state)
{
	struct guest_view_zone zone = seeded_zone();
	uint64_t random = 7;

	(void)state;
	for (int host = 0; host < 200; host++) {
		struct guest_view_account account = {0};
		uint64_t before = GUEST_VIEW_GAIN_ONE, period_ns = 0;

		for (int tick = 0; tick < 500; tick++) {
			struct guest_view_interval own = {
			    .elapsed_ns = check_random_below(&random, 200) * SECOND_NS,
			    .dynamic_uj = check_random(&random) >> check_random_below(&random, 64),
			    .busy_ns = check_random_below(&random, 100) * SECOND_NS,
			    .rent = check_random_below(&random, 3),
			};

			own.dynamic_uj >>= 12;
			period_ns += own.elapsed_ns;
			guest_view_apply(&zone, &account, &own);
			check_gain(before, account.gain);
			if (period_ns < GUEST_VIEW_PERIOD_NS)
				assert_int_equal(account.gain, before);
			else
				period_ns = 0;
			before = account.gain;
		}
	}
}

/* An account whose exact share is that many percent of what the coefficients say. */
struct steady {
	struct guest_view_zone zone;
	struct guest_view_account account;
	uint64_t percent;
	uint64_t exact_uj;
	uint64_t shown_uj;
};

static void run_steady(struct steady *steady, int seconds)
{
	for (int second = 0; second < seconds; second++) {
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS,
		    .dynamic_uj = 5000000 * steady->percent / 100,
		    .static_uj = 4000000 * steady->percent / 100,
		    .busy_ns = SECOND_NS / 2,
		    .rent = 2,
		};

		steady->exact_uj += shown(&own);
		guest_view_apply(&steady->zone, &steady->account, &own);
		steady->shown_uj += shown(&own);
	}
}

static void check_total(const struct steady *steady, uint64_t per_mille)
{
	uint64_t gap_uj = steady->exact_uj > steady->shown_uj ? steady->exact_uj - steady->shown_uj
							      : steady->shown_uj - steady->exact_uj;

	if (gap_uj * 1000 > steady->exact_uj * per_mille)
		fail_msg("%llu %%: shown %llu of %llu uJ", (unsigned long long)steady->percent,
			 (unsigned long long)steady->shown_uj,
			 (unsigned long long)steady->exact_uj);
}

static void test_long_run_total_is_true(void **state)
{
	(void)state;
	for (uint64_t percent = 88; percent <= 112; percent += 2) {
		struct steady steady = {.zone = seeded_zone(), .percent = percent};

		run_steady(&steady, HOUR);
		check_total(&steady, 20);
	}
	/* Far from the truth at first it takes longer, but all that was owed is paid. */
	for (uint64_t percent = 50; percent <= 200; percent += 10) {
		struct steady steady = {.zone = seeded_zone(), .percent = percent};

		run_steady(&steady, 48 * HOUR);
		check_total(&steady, 4);
	}
}

/* After what was owed is paid the view rests: the last hours are as true as the total. */
static void test_it_comes_to_rest(void **state)
{
	(void)state;
	for (uint64_t percent = 50; percent <= 200; percent += 25) {
		struct steady steady = {.zone = seeded_zone(), .percent = percent};

		run_steady(&steady, 24 * HOUR);
		steady.exact_uj = 0;
		steady.shown_uj = 0;
		run_steady(&steady, HOUR);
		check_total(&steady, 30);
	}
}

/* A load that the coefficients see ten times too large, and then as it is: no gain is a trap. */
static void test_gain_returns_from_the_smallest(void **state)
{
	struct steady steady = {.zone = seeded_zone(), .percent = 1};

	(void)state;
	run_steady(&steady, 24 * HOUR);
	assert_true(steady.account.gain < GUEST_VIEW_GAIN_ONE / 5);
	assert_true(steady.account.gain > 0);
	steady.percent = 100;
	run_steady(&steady, 72 * HOUR);
	steady.exact_uj = 0;
	steady.shown_uj = 0;
	run_steady(&steady, 24 * HOUR);
	check_total(&steady, 50);
}

static void test_gain_has_a_limit(void **state)
{
	struct steady steady = {.zone = seeded_zone(), .percent = 1000000};

	(void)state;
	run_steady(&steady, 24 * HOUR);
	assert_int_equal(steady.account.gain, GUEST_VIEW_GAIN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exact_until_seeded),
	    cmocka_unit_test(test_a_host_at_rest_teaches_nothing),
	    cmocka_unit_test(test_coefficients_stay),
	    cmocka_unit_test(test_own_time_times_coefficient),
	    cmocka_unit_test(test_no_rent_has_no_static_part),
	    cmocka_unit_test(test_remainders_are_never_lost),
	    cmocka_unit_test(test_the_pace_of_samples_does_not_matter),
	    cmocka_unit_test(test_gain_changes_slowly),
	    cmocka_unit_test(test_long_run_total_is_true),
	    cmocka_unit_test(test_it_comes_to_rest),
	    cmocka_unit_test(test_gain_returns_from_the_smallest),
	    cmocka_unit_test(test_gain_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
