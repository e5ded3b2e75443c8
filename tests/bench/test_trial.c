#include "tests/bench/error_table.h"
#include "tests/unit/check.h"

#define HOSTS	4
#define SECONDS 120

static struct error_table *table_of(enum host_class host_class, uint64_t seed)
{
	static struct trial_result result;
	struct error_table *table = NULL;

	assert_int_equal(error_table_create(&table), 0);
	CHECK_POINTER(table);
	for (uint64_t host = 0; host < HOSTS; host++) {
		struct trial_plan plan = {.host_class = host_class,
					  .seed = seed + host,
					  .learn_s = SECONDS,
					  .judge_s = SECONDS};

		assert_int_equal(trial_run(&plan, &result), 0);
		assert_true(result.conserved);
		assert_int_equal(error_table_add(table, &result), 0);
	}
	assert_true(error_table_machines(table) > 0);
	return table;
}

/* On hosts of every class nothing is lost, and everybody finds something. */
static void test_energy_is_conserved_on_every_class(void **state)
{
	(void)state;
	for (int class = 0; class < HOST_CLASS_COUNT; class ++) {
		struct error_table *table = table_of((enum host_class) class, 1);

		for (size_t model = 0; model < TRIAL_MODEL_COUNT; model++)
			assert_true(error_table_total(table, model).bias > -0.99);
		error_table_destroy(table);
	}
}

static void test_ours_beats_a_share_by_capacity(void **state)
{
	struct error_table *table = table_of(HOST_EQUAL, 100);
	double theirs = error_table_total(table, TRIAL_PEERS + PEER_CAPACITY).mean;

	(void)state;
	for (size_t model = 0; model < TRIAL_OURS_COUNT; model++)
		assert_true(error_table_total(table, model).mean < theirs);
	error_table_destroy(table);
}

static void test_a_trial_can_be_repeated(void **state)
{
	static struct trial_result first, again;
	struct trial_plan plan = {
	    .host_class = HOST_MIXED, .seed = 5, .learn_s = SECONDS, .judge_s = SECONDS};

	(void)state;
	assert_int_equal(trial_run(&plan, &first), 0);
	assert_int_equal(trial_run(&plan, &again), 0);
	assert_true(first.vm_count > 0);
	assert_int_equal(first.vm_count, again.vm_count);
	assert_memory_equal(&first, &again, sizeof(first));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_energy_is_conserved_on_every_class),
	    cmocka_unit_test(test_ours_beats_a_share_by_capacity),
	    cmocka_unit_test(test_a_trial_can_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
