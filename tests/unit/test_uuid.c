#include "common/uuid.h"
#include "tests/unit/check.h"

static void test_both_cases_are_read_and_lower_case_written(void **state)
{
	char text[UUID_TEXT_SIZE];
	struct uuid uuid, same;

	(void)state;
	assert_int_equal(uuid_parse("01234567-89AB-cdef-0123-456789abcdef", &uuid), 0);
	assert_int_equal(uuid.bytes[0], 0x01);
	assert_int_equal(uuid.bytes[4], 0x89);
	assert_int_equal(uuid.bytes[15], 0xef);
	uuid_format(&uuid, text);
	assert_string_equal(text, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(uuid_parse(text, &same), 0);
	assert_true(uuid_equal(&uuid, &same));
	assert_false(uuid_is_nil(&uuid));
}

static void test_anything_else_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "01234567-89ab-cdef-0123-456789abcde",
	    "01234567-89ab-cdef-0123-456789abcdef0",
	    "01234567-89ab-cdef-0123-456789abcdef\n",
	    "0123456789abcdef0123456789abcdef0000",
	    "01234567-89ab-cdef-0123_456789abcdef",
	    "g1234567-89ab-cdef-0123-456789abcdef",
	    "{1234567-89ab-cdef-0123-456789abcde}",
	    "01234567-89ab-cdef-0123-456789abcde\xc3",
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(texts); i++) {
		struct uuid uuid = {.bytes = {7}};

		assert_int_equal(uuid_parse(texts[i], &uuid), -EINVAL);
		assert_int_equal(uuid.bytes[0], 7);
	}
}

static void test_order_and_nil(void **state)
{
	const struct uuid nil = {.bytes = {0}}, low = {.bytes = {0, 1}}, high = {.bytes = {0xff}};

	(void)state;
	assert_true(uuid_is_nil(&nil));
	assert_true(uuid_compare(&low, &high) < 0);
	assert_true(uuid_compare(&high, &low) > 0);
	assert_int_equal(uuid_compare(&low, &low), 0);
	assert_false(uuid_equal(&nil, &low));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_cases_are_read_and_lower_case_written),
	    cmocka_unit_test(test_anything_else_is_refused),
	    cmocka_unit_test(test_order_and_nil),
	};

	return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
