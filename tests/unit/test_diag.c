#include "common/diag.h"
#include "tests/unit/check.h"

static void test_an_error_with_its_context(void **state)
{
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_string_equal(diag.text, "");
	assert_int_equal(diag_error(&diag, -EINVAL, "bad %s", "value"), -EINVAL);
	diag_prefix(&diag, "line %d", 7);
	assert_string_equal(diag.text, "line 7: bad value");
	diag_append(&diag, "try %c", 'x');
	assert_string_equal(diag.text, "line 7: bad value; try x");
}

static void test_appending_to_nothing(void **state)
{
	struct diag diag = DIAG_INIT;

	(void)state;
	diag_append(&diag, "first");
	diag_append(&diag, "second");
	assert_string_equal(diag.text, "first; second");
}

static void test_without_a_diag(void **state)
{
	(void)state;
	assert_int_equal(diag_error(NULL, -EIO, "unheard"), -EIO);
	diag_prefix(NULL, "unheard");
	diag_append(NULL, "unheard");
}

static void test_what_does_not_fit_is_cut(void **state)
{
	char longest[2 * DIAG_SIZE_MAX];
	struct diag diag = DIAG_INIT;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)diag_error(&diag, -EINVAL, "%s", longest);
	assert_int_equal(strlen(diag.text), DIAG_SIZE_MAX - 1);
	diag_append(&diag, "more");
	assert_int_equal(strlen(diag.text), DIAG_SIZE_MAX - 1);
	assert_int_equal(diag.text[DIAG_SIZE_MAX - 2], 'x');
	diag_prefix(&diag, "head");
	assert_memory_equal(diag.text, "head: xxx", 9);
	assert_int_equal(strlen(diag.text), DIAG_SIZE_MAX - 1);
	/* A context of any length leaves room for a part of the sentence. */
	(void)diag_error(&diag, -EINVAL, "sentence");
	diag_prefix(&diag, "%s", longest);
	check_contains(diag.text, "x: sentence");
	/* One byte short of full: the mark does not fit whole, nor does anything behind it. */
	(void)diag_error(&diag, -EINVAL, "%.*s", DIAG_SIZE_MAX - 2, longest);
	diag_append(&diag, "more");
	assert_int_equal(strlen(diag.text), DIAG_SIZE_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_error_with_its_context),
	    cmocka_unit_test(test_appending_to_nothing),
	    cmocka_unit_test(test_without_a_diag),
	    cmocka_unit_test(test_what_does_not_fit_is_cut),
	};

	return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
