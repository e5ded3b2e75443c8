#include "common/guest_view.h"
#include "tests/unit/check.h"

#define SECOND_NS UINT64_C(1000000000)
#define HOUR	  3600

/* 10 W a busy CPU, 2 W for a unit of rent. */
static const struct guest_view_rates rates = {
    .known = true, .thread_power_uw = 10000000, .rent_power_nw = 2000000000};

static uint64_t shown(const struct guest_view_interval *interval)
{
	return interval->dynamic_uj + interval->static_uj;
}

/* A guest that has come to know the host's rates, as if in an earlier run. */
static struct guest_view_account started(void)
{
	struct guest_view_account account = {0};

	guest_view_resume(&account, rates.thread_power_uw, rates.rent_power_nw);
	return account;
}

/* On a host that is yet to be learned: the exact share, and then what that has cost. */
static void test_rates_come_of_the_own_start(void **state)
{
	struct guest_view_account account = {0};

	(void)state;
	for (int tick = 0; tick < 200; tick++) {
		struct guest_view_interval own = {.elapsed_ns = SECOND_NS / 10,
						  .dynamic_uj = tick < 100 ? 700000 : 9999999,
						  .static_uj = tick < 100 ? 300000 : 1,
						  .busy_ns = SECOND_NS / 20,
						  .rent = 2};

		guest_view_apply(&rates, &account, &own);
		/* What comes later is the neighbours' doing, for all that is known. */
		assert_int_equal(own.dynamic_uj, 700000);
		assert_int_equal(own.static_uj, 300000);
	}
	assert_int_equal(guest_view_rate(&account.dynamic), 14000000);
	assert_int_equal(guest_view_rate(&account.fixed), 1500000000);
}

/* On a host that is known: its rates for a minute, and then the guest's own. */
static void test_rates_of_the_host_are_lent(void **state)
{
	struct guest_view_rates learned = rates;
	struct guest_view_account account = {0};

	(void)state;
	learned.learned = true;
	for (int second = 0; second < 120; second++) {
		struct guest_view_interval own = {.elapsed_ns = SECOND_NS,
						  .dynamic_uj = 7000000,
						  .static_uj = 3000000,
						  .busy_ns = SECOND_NS / 2,
						  .rent = 2};

		guest_view_apply(&learned, &account, &own);
		assert_int_equal(own.dynamic_uj, second < 60 ? 5000000 : 7000000);
		assert_int_equal(own.static_uj, second < 60 ? 4000000 : 3000000);
		/* What becomes of the host's rates it never sees. */
		learned.thread_power_uw += 100000;
	}
}

/* Who rests at first starts from the host's rate for work, once that is known. */
static void test_an_idle_start_takes_the_rates_of_the_host(void **state)
{
	struct guest_view_rates unknown = {.known = false};
	struct guest_view_account account = {0};
	struct guest_view_interval own;

	(void)state;
	for (int second = 0; second < 30; second++) {
		own = (struct guest_view_interval){.elapsed_ns = SECOND_NS,
						   .dynamic_uj = 1000,
						   .static_uj = 2000000,
						   .busy_ns = SECOND_NS / 1000,
						   .rent = 1};
		guest_view_apply(second < 20 ? &unknown : &rates, &account, &own);
		assert_int_equal(account.phase, second < 20 ? GUEST_VIEW_EXACT : GUEST_VIEW_OWN);
	}
	assert_int_equal(guest_view_rate(&account.dynamic), rates.thread_power_uw);
	assert_int_equal(guest_view_rate(&account.fixed), 2000000000);
	own = (struct guest_view_interval){.elapsed_ns = SECOND_NS, .busy_ns = SECOND_NS / 2};
	guest_view_apply(&rates, &account, &own);
	assert_int_equal(own.dynamic_uj, 5000000);
}

/* Whatever the exact share, which depends on the neighbours, the guest is shown its own time. */
static void test_own_time_times_rate(void **state)
{
	(void)state;
	for (uint64_t exact_uj = 0; exact_uj < 50000000; exact_uj += 9999999) {
		struct guest_view_account account = started();
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS,
		    .dynamic_uj = exact_uj,
		    .static_uj = exact_uj / 2,
		    .busy_ns = SECOND_NS / 4,
		    .rent = 2,
		};

		guest_view_apply(&rates, &account, &own);
		assert_int_equal(own.dynamic_uj, 2500000);
		assert_int_equal(own.static_uj, 4000000);
	}
}

/* 1/7 of a microjoule each time, dynamic and static: not one is lost. */
static void test_remainders_are_never_lost(void **state)
{
	struct guest_view_account account = {0};
	uint64_t dynamic_uj = 0, static_uj = 0;

	(void)state;
	guest_view_resume(&account, 1000, 1000000);
	for (int tick = 0; tick < 70000; tick++) {
		struct guest_view_interval own = {
		    .elapsed_ns = 142857, .busy_ns = 142857, .rent = 1};

		guest_view_apply(&rates, &account, &own);
		dynamic_uj += own.dynamic_uj;
		static_uj += own.static_uj;
	}
	assert_int_equal(dynamic_uj, UINT64_C(142857) * 70000 / 1000000);
	assert_int_equal(static_uj, UINT64_C(142857) * 70000 / 1000000);
}

/* The sum over short intervals is that of a long one. */
static void test_the_pace_of_samples_does_not_matter(void **state)
{
	struct guest_view_account fine = started(), coarse = started();
	uint64_t fine_uj = 0;
	struct guest_view_interval whole = {
	    .elapsed_ns = 9 * SECOND_NS, .busy_ns = 3 * SECOND_NS, .rent = 3};

	(void)state;
	for (int tick = 0; tick < 9000; tick++) {
		struct guest_view_interval own = {
		    .elapsed_ns = SECOND_NS / 1000, .busy_ns = SECOND_NS / 3000, .rent = 3};

		guest_view_apply(&rates, &fine, &own);
		fine_uj += shown(&own);
	}
	guest_view_apply(&rates, &coarse, &whole);
	/* SECOND_NS / 3000 leaves out a third of a nanosecond a tick. */
	assert_in_range(shown(&whole) - fine_uj, 0, 31);
}

/* A new run goes on with the rate that the one before had come to. */
static void test_rates_are_resumed(void **state)
{
	struct guest_view_account before = started(), after = {0};
	struct guest_view_interval own;

	(void)state;
	for (int second = 0; second < 3000; second++) {
		own = (struct guest_view_interval){.elapsed_ns = SECOND_NS,
						   .dynamic_uj = 9000000,
						   .static_uj = 1000000,
						   .busy_ns = SECOND_NS / 2,
						   .rent = 1};
		guest_view_apply(&rates, &before, &own);
	}
	assert_true(guest_view_rate(&before.dynamic) > 13000000);
	guest_view_resume(&after, guest_view_rate(&before.dynamic), guest_view_rate(&before.fixed));
	own.dynamic_uj = 0;
	guest_view_apply(&rates, &after, &own);
	assert_int_equal(own.dynamic_uj, guest_view_rate(&before.dynamic) / 2);
	guest_view_resume(&after, 0, 0);
	assert_int_equal(guest_view_rate(&after.dynamic), guest_view_rate(&before.dynamic));
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
	uint64_t random = 7;

	(void)state;
	for (int host = 0; host < 200; host++) {
		struct guest_view_account account = started();
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
			guest_view_apply(&rates, &account, &own);
			check_gain(before, account.dynamic.gain);
			if (period_ns < GUEST_VIEW_PERIOD_NS)
				assert_int_equal(account.dynamic.gain, before);
			else
				period_ns = 0;
			before = account.dynamic.gain;
		}
	}
}

/* An account whose exact share is that many percent of what the coefficients say. */
struct steady {
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
		guest_view_apply(&rates, &steady->account, &own);
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
		struct steady steady = {.account = started(), .percent = percent};

		run_steady(&steady, HOUR);
		check_total(&steady, 20);
	}
	/* Far from the truth at first it takes longer, but all that was owed is paid. */
	for (uint64_t percent = 50; percent <= 200; percent += 10) {
		struct steady steady = {.account = started(), .percent = percent};

		run_steady(&steady, 48 * HOUR);
		check_total(&steady, 4);
	}
}

/* After what was owed is paid the view rests: the last hours are as true as the total. */
static void test_it_comes_to_rest(void **state)
{
	(void)state;
	for (uint64_t percent = 50; percent <= 200; percent += 25) {
		struct steady steady = {.account = started(), .percent = percent};

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
	struct steady steady = {.account = started(), .percent = 1};

	(void)state;
	run_steady(&steady, 24 * HOUR);
	assert_true(steady.account.dynamic.gain < GUEST_VIEW_GAIN_ONE / 5);
	assert_true(steady.account.dynamic.gain > 0);
	steady.percent = 100;
	run_steady(&steady, 72 * HOUR);
	steady.exact_uj = 0;
	steady.shown_uj = 0;
	run_steady(&steady, 24 * HOUR);
	check_total(&steady, 50);
}

static void test_gain_has_a_limit(void **state)
{
	struct steady steady = {.account = started(), .percent = 1000000};

	(void)state;
	run_steady(&steady, 24 * HOUR);
	assert_int_equal(steady.account.dynamic.gain, GUEST_VIEW_GAIN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rates_come_of_the_own_start),
	    cmocka_unit_test(test_rates_of_the_host_are_lent),
	    cmocka_unit_test(test_an_idle_start_takes_the_rates_of_the_host),
	    cmocka_unit_test(test_own_time_times_rate),
	    cmocka_unit_test(test_remainders_are_never_lost),
	    cmocka_unit_test(test_the_pace_of_samples_does_not_matter),
	    cmocka_unit_test(test_rates_are_resumed),
	    cmocka_unit_test(test_gain_changes_slowly),
	    cmocka_unit_test(test_long_run_total_is_true),
	    cmocka_unit_test(test_it_comes_to_rest),
	    cmocka_unit_test(test_gain_returns_from_the_smallest),
	    cmocka_unit_test(test_gain_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
