#include "tests/bench/error_table.h"
#include "tests/bench/leak_score.h"
#include "tests/unit/check.h"

#include <math.h>

static void assert_near(double found, double wanted)
{
	if (fabs(found - wanted) > 1e-9)
		fail_msg("%.12g is not %.12g", found, wanted);
}

static void result_add(struct trial_result *result, double truth_j, double found_j)
{
	struct trial_vm *vm = &result->vms[result->vm_count++];

	vm->truth = (struct trial_energy){.total_j = truth_j, .dynamic_j = truth_j / 2};
	vm->found[TRIAL_TIME] =
	    (struct trial_energy){.total_j = found_j, .dynamic_j = found_j - truth_j / 2};
}

static void test_errors_are_weighted_by_energy(void **state)
{
	static struct trial_result first, second;
	struct error_table *table = NULL;
	struct error_row row;

	(void)state;
	first.idle_w = 50;
	first.idle_found_w[TRIAL_TIME] = 60;
	second.idle_w = 100;
	second.idle_found_w[TRIAL_TIME] = 90;
	result_add(&first, 900, 990);
	result_add(&second, 60, 30);
	result_add(&second, 40, 80);
	assert_int_equal(error_table_create(&table), 0);
	assert_int_equal(error_table_add(table, &first), 0);
	assert_int_equal(error_table_add(table, &second), 0);
	assert_int_equal(error_table_machines(table), 3);
	row = error_table_total(table, TRIAL_TIME);
	assert_near(row.mean, (90 + 30 + 40) / 1000.0);
	assert_near(row.machine, (0.1 + 0.5 + 1.0) / 3);
	assert_near(row.bias, (90 - 30 + 40) / 1000.0);
	/* 90 % of the energy is off by a tenth, 96 % by a half at most. */
	assert_near(row.p95, 0.5);
	row = error_table_dynamic(table, TRIAL_TIME);
	assert_near(row.mean, 2 * (90 + 30 + 40) / 1000.0);
	row = error_table_static(table, TRIAL_TIME);
	assert_near(row.mean, 0.15);
	assert_near(row.bias, 0.05);
	assert_near(row.p95, 0.2);
	error_table_destroy(table);
}

/* Over the hosts that have it alone, and apart from packages and DRAM. */
static void test_psys_is_judged_by_itself(void **state)
{
	static struct trial_result with, without;
	struct error_table *table = NULL;
	struct error_row row;

	(void)state;
	with.idle_w = without.idle_w = 50;
	with.psys_idle_w = 200;
	with.psys_idle_found_w[TRIAL_TIME] = 190;
	result_add(&with, 900, 900);
	with.vms[0].has_psys = true;
	with.vms[0].psys_truth = (struct trial_energy){.total_j = 2000, .dynamic_j = 500};
	with.vms[0].psys_found[TRIAL_TIME] =
	    (struct trial_energy){.total_j = 2100, .dynamic_j = 450};
	result_add(&without, 60, 60);
	assert_int_equal(error_table_create(&table), 0);
	assert_int_equal(error_table_add(table, &with), 0);
	assert_int_equal(error_table_add(table, &without), 0);
	assert_int_equal(error_table_psys_hosts(table), 1);
	row = error_table_psys_total(table, TRIAL_TIME);
	assert_near(row.mean, 0.05);
	assert_near(row.machine, 0.05);
	assert_near(row.p95, 0.05);
	assert_near(row.bias, 0.05);
	row = error_table_psys_dynamic(table, TRIAL_TIME);
	assert_near(row.mean, 0.1);
	assert_near(row.bias, -0.1);
	row = error_table_psys_static(table, TRIAL_TIME);
	assert_near(row.mean, 0.05);
	assert_near(row.bias, -0.05);
	assert_near(error_table_total(table, TRIAL_TIME).mean, 0);
	error_table_destroy(table);
}

static void test_a_table_without_machines_has_no_error(void **state)
{
	static struct trial_result empty;
	struct error_table *table = NULL;

	(void)state;
	empty.idle_w = 1;
	assert_int_equal(error_table_create(&table), 0);
	assert_int_equal(error_table_add(table, &empty), 0);
	assert_near(error_table_total(table, TRIAL_TIME).mean, 0);
	assert_near(error_table_total(table, TRIAL_TIME).p95, 0);
	error_table_destroy(table);
}

static struct leak_result score_of(const double readings_w[], const bool on[], size_t count,
				   size_t cycle)
{
	struct leak_score *score = NULL;
	struct leak_result result;

	assert_int_equal(leak_score_create(&score), 0);
	for (size_t i = 0; i < count; i++) {
		if (i % cycle == 0)
			leak_score_cycle(score);
		leak_score_add(score, on[i], readings_w[i]);
	}
	result = leak_score_result(score);
	leak_score_destroy(score);
	return result;
}

static void test_states_that_differ_are_told_apart(void **state)
{
	static const double readings_w[] = {9, 11, 12, 14, 9, 11, 12, 14};
	static const bool on[] = {false, false, true, true, false, false, true, true};
	struct leak_result result = score_of(readings_w, on, 8, 4);

	(void)state;
	/* Means 10 and 13, squares of 8 around them over 6 degrees of freedom. */
	assert_near(result.mean_w, 11.5);
	assert_near(result.distance, 3 / sqrt(8.0 / 6));
	assert_near(result.correlation, 1.5 / sqrt(1.5 * 1.5 + 1));
	assert_near(result.steady_distance, 3);
}

static void test_a_drift_does_not_hide_a_leak(void **state)
{
	static const double readings_w[] = {9, 11, 12, 14, 109, 111, 112, 114};
	static const bool on[] = {false, false, true, true, false, false, true, true};
	struct leak_result result = score_of(readings_w, on, 8, 4);

	(void)state;
	assert_true(result.distance < 0.1);
	assert_near(result.steady_distance, 3);
}

/* A coefficient that changes once between on and off is no leak. */
static void test_one_step_is_no_leak(void **state)
{
	static const double readings_w[] = {9, 11, 9, 11, 9, 11, 12, 14, 12, 14, 12, 14};
	static const bool on[] = {false, false, true,  true,  false, false,
				  true,	 true,	false, false, true,  true};
	struct leak_result result = score_of(readings_w, on, 12, 4);

	(void)state;
	assert_near(result.steady_distance, 0);
	assert_true(result.distance > 0.1);
}

static void test_what_does_not_differ_tells_nothing(void **state)
{
	static const double readings_w[] = {5, 5, 5, 5};
	static const bool on[] = {false, true, false, true};
	struct leak_result result = score_of(readings_w, on, 4, 2);

	(void)state;
	assert_near(result.distance, 0);
	assert_near(result.correlation, 0);
	assert_near(result.steady_distance, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_errors_are_weighted_by_energy),
	    cmocka_unit_test(test_psys_is_judged_by_itself),
	    cmocka_unit_test(test_a_table_without_machines_has_no_error),
	    cmocka_unit_test(test_states_that_differ_are_told_apart),
	    cmocka_unit_test(test_a_drift_does_not_hide_a_leak),
	    cmocka_unit_test(test_one_step_is_no_leak),
	    cmocka_unit_test(test_what_does_not_differ_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
