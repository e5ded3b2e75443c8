/* decimal.h: every digit of an integer is in its text, and no other. */
#include "common/decimal.h"
#include "tests/unit/check.h"

#include <string.h>

static void check(uint64_t magnitude, unsigned int places, const char *expected)
{
	char text[DECIMAL_SIZE];

	assert_int_equal(decimal_format(magnitude, places, text), strlen(expected));
	assert_string_equal(text, expected);
}

static void test_point(void **state)
{
	(void)state;
	check(0, 0, "0");
	check(0, 6, "0.000000");
	check(7, 0, "7");
	check(1, 6, "0.000001");
	check(999999, 6, "0.999999");
	check(1000000, 6, "1.000000");
	check(12500000, 6, "12.500000");
}

static void test_largest(void **state)
{
	(void)state;
	check(UINT64_MAX, 0, "18446744073709551615");
	check(UINT64_MAX, 6, "18446744073709.551615");
	check(UINT64_MAX, DECIMAL_PLACES_MAX, "18446744.073709551615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_point),
	    cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
