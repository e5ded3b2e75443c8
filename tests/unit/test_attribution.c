#include "common/attribution.h"
#include "tests/unit/check.h"

#include <stdbool.h>

#define ROUNDS 20000

__extension__ typedef unsigned __int128 wide;

static struct attribution_scratch scratch;
static struct attribution_claim claims[ATTRIBUTION_CLAIM_MAX];

static uint64_t shares_sum(size_t count)
{
	uint64_t sum_uj = 0;

	for (size_t i = 0; i < count; i++)
		sum_uj += claims[i].share_uj;
	return sum_uj;
}

/* Whole parts only, or one more: no claim is further from its quota than the rule allows. */
static void check_quota(uint64_t energy_uj, size_t count)
{
	wide total = 0;

	for (size_t i = 0; i < count; i++)
		total += claims[i].weight;
	for (size_t i = 0; i < count; i++) {
		uint64_t whole_uj = (uint64_t)((wide)energy_uj * claims[i].weight / total);

		assert_in_range(claims[i].share_uj, whole_uj, whole_uj + 1);
		if (claims[i].weight == 0)
			assert_int_equal(claims[i].share_uj, 0);
	}
}

/* Any size there is, small ones as often as large ones. */
static uint64_t random_size(uint64_t *random)
{
	return check_random(random) >> check_random_below(random, 64);
}

static void test_sum_is_exact_for_anything(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = 1 + (size_t)check_random_below(&random, 12);
		uint64_t energy_uj = round % 7 == 0 ? UINT64_C(1) << 63 : random_size(&random);
		uint64_t left_uj;
		bool weighted = false;

		/* The carries of earlier rounds go on: they must not break the sum either. */
		for (size_t i = 0; i < count; i++) {
			claims[i].weight =
			    check_random_below(&random, 4) == 0 ? 0 : random_size(&random);
			weighted = weighted || claims[i].weight > 0;
		}
		left_uj = attribution_divide(energy_uj, claims, count, &scratch);
		assert_int_equal(left_uj, weighted ? 0 : energy_uj);
		assert_int_equal(shares_sum(count) + left_uj, energy_uj);
		if (weighted)
			check_quota(energy_uj, count);
	}
}

static void test_extremes(void **state)
{
	static const uint64_t energies_uj[] = {
	    0, 1, 2, 9999, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};

	(void)state;
	for (size_t row = 0; row < CHECK_COUNT(energies_uj); row++) {
		uint64_t energy_uj = energies_uj[row];

		claims[0] = (struct attribution_claim){.weight = 1};
		assert_int_equal(attribution_divide(energy_uj, claims, 1, &scratch), 0);
		assert_int_equal(claims[0].share_uj, energy_uj);
		claims[0] = (struct attribution_claim){.weight = 0, .share_uj = 5};
		assert_int_equal(attribution_divide(energy_uj, claims, 1, &scratch), energy_uj);
		assert_int_equal(claims[0].share_uj, 0);
		assert_int_equal(attribution_divide(energy_uj, claims, 0, &scratch), energy_uj);
		for (size_t i = 0; i < ATTRIBUTION_CLAIM_MAX; i++)
			claims[i] = (struct attribution_claim){.weight = UINT64_MAX - i};
		assert_int_equal(
		    attribution_divide(energy_uj, claims, ATTRIBUTION_CLAIM_MAX, &scratch), 0);
		assert_int_equal(shares_sum(ATTRIBUTION_CLAIM_MAX), energy_uj);
		check_quota(energy_uj, ATTRIBUTION_CLAIM_MAX);
	}
}

/* Hamilton's method by hand: 10 uJ by 5, 3, 1 of 9: quotas 5.56, 3.33, 1.11. */
static void test_largest_remainder(void **state)
{
	(void)state;
	memset(claims, 0, sizeof(claims[0]) * 3);
	claims[0].weight = 3;
	claims[1].weight = 5;
	claims[2].weight = 1;
	assert_int_equal(attribution_divide(10, claims, 3, &scratch), 0);
	assert_int_equal(claims[0].share_uj, 3);
	assert_int_equal(claims[1].share_uj, 6);
	assert_int_equal(claims[2].share_uj, 1);
	for (int round = 1; round < 9; round++)
		assert_int_equal(attribution_divide(10, claims, 3, &scratch), 0);
	/* Nine rounds are 90 uJ, which divide evenly: nobody is owed anything but roundings. */
	for (size_t i = 0; i < 3; i++)
		assert_in_range((uint64_t)(claims[i].carry + 16), 0, 32);
}

static void test_equal_claims_are_served_in_order(void **state)
{
	(void)state;
	memset(claims, 0, sizeof(claims[0]) * 4);
	for (size_t i = 0; i < 4; i++)
		claims[i].weight = 7;
	for (uint64_t round = 0; round < 4; round++) {
		assert_int_equal(attribution_divide(1, claims, 4, &scratch), 0);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(claims[i].share_uj, i == round);
	}
}

static void test_small_claim_is_served_in_time(void **state)
{
	uint64_t small_uj = 0;

	(void)state;
	memset(claims, 0, sizeof(claims[0]) * 3);
	claims[0].weight = 600;
	claims[1].weight = 1;
	claims[2].weight = 399;
	for (uint64_t round = 1; round <= 100000; round++) {
		assert_int_equal(attribution_divide(1, claims, 3, &scratch), 0);
		small_uj += claims[1].share_uj;
		assert_true(small_uj <= round / 1000 + 1);
		assert_true(small_uj + 1 >= round / 1000);
	}
	assert_in_range(small_uj, 99, 101);
}

static void test_order_of_claims_does_not_matter(void **state)
{
	enum { COUNT = 20 };
	struct attribution_claim permuted[COUNT];
	uint64_t random = 2;

	(void)state;
	memset(claims, 0, sizeof(claims[0]) * COUNT);
	memset(permuted, 0, sizeof(permuted));
	for (size_t i = 0; i < COUNT; i++) {
		claims[i].weight = 1000 * (i + 1) + check_random_below(&random, 900);
		permuted[(i * 7 + 3) % COUNT].weight = claims[i].weight;
	}
	for (int round = 0; round < ROUNDS / 10; round++) {
		uint64_t energy_uj = random_size(&random);

		(void)attribution_divide(energy_uj, claims, COUNT, &scratch);
		(void)attribution_divide(energy_uj, permuted, COUNT, &scratch);
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(claims[i].share_uj,
					 permuted[(i * 7 + 3) % COUNT].share_uj);
			assert_int_equal(claims[i].carry, permuted[(i * 7 + 3) % COUNT].carry);
		}
	}
}

/* Nothing owed from before: the larger weight has no less, and who weighs more than he did, too. */
static void test_more_weight_is_no_less(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = 2 + (size_t)check_random_below(&random, 10);
		uint64_t energy_uj = random_size(&random), share_uj;

		memset(claims, 0, sizeof(claims[0]) * count);
		for (size_t i = 0; i < count; i++)
			claims[i].weight = check_random_below(&random, 1000);
		(void)attribution_divide(energy_uj, claims, count, &scratch);
		for (size_t i = 1; i < count; i++)
			if (claims[i].weight > claims[0].weight)
				assert_true(claims[i].share_uj >= claims[0].share_uj);
			else if (claims[i].weight < claims[0].weight)
				assert_true(claims[i].share_uj <= claims[0].share_uj);
		share_uj = claims[0].share_uj;
		for (size_t i = 0; i < count; i++)
			claims[i].carry = 0;
		claims[0].weight += check_random_below(&random, 1000);
		(void)attribution_divide(energy_uj, claims, count, &scratch);
		assert_true(claims[0].share_uj >= share_uj);
	}
}

static void test_carry_is_bounded(void **state)
{
	(void)state;
	memset(claims, 0, sizeof(claims[0]) * 2);
	claims[0] = (struct attribution_claim){.weight = 1, .carry = INT64_MAX / 2};
	claims[1] = (struct attribution_claim){.weight = 1, .carry = INT64_MIN / 2};
	(void)attribution_divide(1, claims, 2, &scratch);
	assert_int_equal(claims[0].share_uj, 1);
	assert_true(claims[0].carry <= 8 * ATTRIBUTION_CARRY_ONE);
	assert_true(claims[1].carry >= -8 * ATTRIBUTION_CARRY_ONE);
}

static void test_static_part(void **state)
{
	static const struct {
		const char *name;
		uint64_t energy_uj, idle_power_uw, elapsed_ns, debt;
		uint64_t static_uj, debt_after;
	} rows[] = {
	    {"40 W for a second", 100000000, 40000000, 1000000000, 0, 40000000, 0},
	    {"no idle power", 100000000, 0, 1000000000, 0, 0, 0},
	    {"no time", 100, 40000000, 0, 0, 0, 0},
	    {"part of a microjoule waits", 100, 3, 500000000, 0, 1, 500000000},
	    {"and is given", 100, 3, 500000000, 500000000, 2, 0},
	    {"never above the energy", 7, 40000000, 1000000, 0, 7, 39993000000000},
	    {"a counter that stood still", 0, 40000000, 1000000, 0, 0, 40000000000000},
	    {"gives it later", 100000, 40000000, 1000000, 40000000000000, 80000, 0},
	    {"a second's worth at most", 0, 40000000, 5000000000, 0, 0, 40000000000000000},
	    {"also of very much", 1, UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		uint64_t debt = rows[i].debt;
		uint64_t static_uj = attribution_static_uj(rows[i].energy_uj, rows[i].idle_power_uw,
							   rows[i].elapsed_ns, &debt);

		if (static_uj != rows[i].static_uj || debt != rows[i].debt_after)
			fail_msg("%s: %llu uJ, debt %llu", rows[i].name,
				 (unsigned long long)static_uj, (unsigned long long)debt);
	}
}

/* A counter that moves every fourth time loses nothing of its static part. */
static void test_static_part_over_time(void **state)
{
	uint64_t debt = 0, static_uj = 0;

	(void)state;
	for (int tick = 1; tick <= 4000; tick++)
		static_uj +=
		    attribution_static_uj(tick % 4 == 0 ? 400000 : 0, 33333333, 1000000, &debt);
	assert_int_equal(static_uj, 4 * UINT64_C(33333333));
}

static void test_unrented_vcpus(void **state)
{
	(void)state;
	assert_int_equal(attribution_unrented_vcpus(64, 0), 64);
	assert_int_equal(attribution_unrented_vcpus(64, 4), 60);
	assert_int_equal(attribution_unrented_vcpus(64, 64), 0);
	assert_int_equal(attribution_unrented_vcpus(64, 65), 0);
	assert_int_equal(attribution_unrented_vcpus(0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sum_is_exact_for_anything),
	    cmocka_unit_test(test_extremes),
	    cmocka_unit_test(test_largest_remainder),
	    cmocka_unit_test(test_equal_claims_are_served_in_order),
	    cmocka_unit_test(test_small_claim_is_served_in_time),
	    cmocka_unit_test(test_order_of_claims_does_not_matter),
	    cmocka_unit_test(test_more_weight_is_no_less),
	    cmocka_unit_test(test_carry_is_bounded),
	    cmocka_unit_test(test_static_part),
	    cmocka_unit_test(test_static_part_over_time),
	    cmocka_unit_test(test_unrented_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
