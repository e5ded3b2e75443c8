#include <errno.h>
#include <string.h>

#include "tests/raplsim/faults.h"
#include "tests/raplsim/test.h"

static int setup(void **state)
{
	struct faults *faults = NULL;

	assert_int_equal(faults_create(3, &faults), 0);
	*state = faults;
	return 0;
}

static int teardown(void **state)
{
	faults_destroy(*state);
	return 0;
}

static void set(struct faults *faults, const char *kind, uint64_t reads)
{
	struct fault fault;

	assert_int_equal(fault_parse(kind, &fault), 0);
	fault.reads_left = reads;
	faults_set(faults, 1, fault);
}

/* Reads file 1, whose content is true_text, and wants what was served or the error. */
static void assert_read(struct faults *faults, const char *true_text, int result,
			const char *served)
{
	char text[32];
	uint64_t delay_ms = 99;

	memcpy(text, true_text, strlen(true_text) + 1);
	assert_int_equal(faults_read(faults, 1, text, sizeof(text), &delay_ms), result);
	if (result >= 0)
		assert_string_equal(text, served);
	assert_int_equal(delay_ms, 0);
}

static void test_errors(void **state)
{
	static const struct {
		const char *kind;
		int error;
	} errors[] = {{"eio", EIO}, {"enodata", ENODATA}, {"eacces", EACCES}, {"missing", ENODEV}};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		set(*state, errors[i].kind, FAULTS_FOREVER);
		assert_read(*state, "5\n", -errors[i].error, NULL);
		assert_read(*state, "5\n", -errors[i].error, NULL);
		faults_clear(*state);
		assert_read(*state, "5\n", 2, "5\n");
	}
}

static void test_fault_heals_after_its_reads(void **state)
{
	set(*state, "eio", 2);
	assert_read(*state, "5\n", -EIO, NULL);
	assert_read(*state, "5\n", -EIO, NULL);
	assert_read(*state, "5\n", 2, "5\n");
	set(*state, "eacces", 1);
	assert_int_equal(faults_open(*state, 1), -EACCES);
	assert_int_equal(faults_open(*state, 1), 0);
	set(*state, "missing", 1);
	assert_true(faults_hides(*state, 1));
	assert_false(faults_hides(*state, 0));
	assert_true(faults_lookup_fails(*state, 1));
	assert_false(faults_lookup_fails(*state, 1));
}

static void test_false_content(void **state)
{
	set(*state, "empty", FAULTS_FOREVER);
	assert_read(*state, "5\n", 0, "");
	set(*state, "garbage", FAULTS_FOREVER);
	assert_read(*state, "5\n", 5, "4\xff?x\n");
}

static void test_frozen_value_is_the_last_one_served(void **state)
{
	assert_read(*state, "1000\n", 5, "1000\n");
	set(*state, "freeze", FAULTS_FOREVER);
	assert_read(*state, "2000\n", 5, "1000\n");
	assert_read(*state, "3000\n", 5, "1000\n");
	faults_clear(*state);
	assert_read(*state, "4000\n", 5, "4000\n");
}

static void test_value_nobody_read_freezes_at_the_first(void **state)
{
	set(*state, "freeze", FAULTS_FOREVER);
	assert_read(*state, "2000\n", 5, "2000\n");
	assert_read(*state, "3000\n", 5, "2000\n");
}

static void test_backward_goes_back_at_each_read(void **state)
{
	assert_read(*state, "2500000\n", 8, "2500000\n");
	set(*state, "backward", FAULTS_FOREVER);
	assert_read(*state, "2600000\n", 8, "1500000\n");
	assert_read(*state, "2700000\n", 7, "500000\n");
	assert_read(*state, "2800000\n", 2, "0\n");
	assert_read(*state, "2900000\n", 2, "0\n");
	faults_clear(*state);
	assert_read(*state, "3000000\n", 8, "3000000\n");
}

static void test_slow_is_right_but_late(void **state)
{
	char text[32] = "7\n";
	uint64_t delay_ms;

	set(*state, "slow:60000", 1);
	assert_int_equal(faults_read(*state, 1, text, sizeof(text), &delay_ms), 2);
	assert_string_equal(text, "7\n");
	assert_int_equal(delay_ms, FAULTS_DELAY_MS_MAX);
	assert_read(*state, "8\n", 2, "8\n");
}

static void test_unknown_faults_are_refused(void **state)
{
	static const char *const bad[] = {"",	   "EIO",    "eio ",	"slow",
					  "slow:", "slow:x", "slow:-1", "slow:60001"};
	struct fault fault = {.kind = FAULT_EMPTY};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fault_parse(bad[i], &fault), -EINVAL);
	assert_int_equal(fault.kind, FAULT_EMPTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fault_heals_after_its_reads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_false_content, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_frozen_value_is_the_last_one_served, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_value_nobody_read_freezes_at_the_first, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_backward_goes_back_at_each_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_slow_is_right_but_late, setup, teardown),
	    cmocka_unit_test(test_unknown_faults_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
