/* served.h: the promises to readers, over random accounts, pauses and kills. */
#include "common/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS CLOCK_NS_PER_MS

static struct mono_time at(uint64_t ns)
{
	return (struct mono_time){.ns = ns};
}

static void test_starts_above_zero(void **state)
{
	struct served served = {0};

	(void)state;
	assert_int_equal(served_advance(&served, 0, at(0)), 1);
	served = (struct served){0};
	assert_int_equal(served_advance(&served, 41, at(1000 * MS)), 42);
}

static void test_resting_account(void **state)
{
	struct served served = {0};

	(void)state;
	assert_int_equal(served_advance(&served, 100, at(10 * MS)), 101);
	assert_int_equal(served_advance(&served, 100, at(10 * MS)), 101);
	assert_int_equal(served_advance(&served, 100, at(11 * MS - 1)), 101);
	assert_int_equal(served_advance(&served, 100, at(11 * MS)), 102);
	assert_int_equal(served_advance(&served, 100, at(1011 * MS)), 1102);
}

/* Reads that come faster than the step must not reset the clock of the step. */
static void test_fast_reader_sees_steps(void **state)
{
	struct served served = {0};
	uint64_t first = served_advance(&served, 7, at(MS));
	uint64_t last = first;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		last = served_advance(&served, 7, at(MS + i * 100000));
	assert_int_equal(last - first, 100);
}

static void test_falls_in_with_the_account(void **state)
{
	struct served served = {0};

	(void)state;
	assert_int_equal(served_advance(&served, 1000, at(0)), 1001);
	/* The account fell back by 500 (an older state was taken up) and grows by 10 a ms. */
	for (uint64_t ms = 1; ms <= 55; ms++)
		assert_int_equal(served_advance(&served, 500 + 10 * ms, at(ms * MS)), 1001 + ms);
	assert_int_equal(served_advance(&served, 500 + 10 * 56, at(56 * MS)), 1061);
	assert_int_equal(served_advance(&served, 500 + 10 * 57, at(57 * MS)), 1071);
}

static void test_clock_and_numbers_at_their_ends(void **state)
{
	struct served served = {0};

	(void)state;
	assert_int_equal(served_advance(&served, UINT64_MAX, at(0)), UINT64_MAX);
	assert_int_equal(served_advance(&served, 0, at(UINT64_MAX)), UINT64_MAX);
	served = (struct served){.value_uj = 5, .time_ns = 100 * MS};
	/* A clock that is behind what another process stored: no step, and none back. */
	assert_int_equal(served_advance(&served, 0, at(0)), 5);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/*
 * Random readers of a random account. Never back; strictly up between any two reads a millisecond
 * apart (checked against every read of the last millisecond and more, by the oldest that is at
 * least that old); at least the account; ahead of it by no more than 1 uJ a ms of the whole run and
 * what the account lost when it fell back.
 */
static void test_property(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		uint64_t random = seed, now = next_random(&random), start = now;
		uint64_t account = next_random(&random), lost = 0;
		uint64_t times[2000], values[2000];
		struct served served = {0};
		size_t old = 0;

		for (size_t i = 0; i < 2000; i++) {
			struct served copy;

			now += next_random(&random) % (seed % 7 == 0 ? 40 * MS : 2 * MS);
			if (next_random(&random) % 3 == 0)
				account += next_random(&random) % 100000;
			if (next_random(&random) % 100 == 0) {
				uint64_t loss = next_random(&random) % 50000 % (account + 1);

				account -= loss;
				lost += loss;
			}
			copy = served;
			values[i] = served_advance(&served, account, at(now));
			times[i] = now;
			/* Killed between the two stores, then asked again: still not less. */
			copy.value_uj = served.value_uj;
			assert_true(served_advance(&copy, account, at(now)) >= values[i]);
			assert_true(values[i] > account);
			assert_true(values[i] - account <= 1 + (now - start) / MS + lost);
			if (i > 0)
				assert_true(values[i] >= values[i - 1]);
			while (old + 1 < i && now - times[old + 1] >= MS)
				old++;
			if (i > 0 && now - times[old] >= MS)
				assert_true(values[i] > values[old]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starts_above_zero),
	    cmocka_unit_test(test_resting_account),
	    cmocka_unit_test(test_fast_reader_sees_steps),
	    cmocka_unit_test(test_falls_in_with_the_account),
	    cmocka_unit_test(test_clock_and_numbers_at_their_ends),
	    cmocka_unit_test(test_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
