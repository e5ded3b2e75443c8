/* quantity.h: every place where the digits or the unit change. */
#include "common/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct quantity_case {
	uint64_t value;
	const char *text;
};

#define CHECK(function, cases)                                                                     \
	for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++) {                          \
		char text[QUANTITY_SIZE] = "";                                                     \
                                                                                                   \
		function((cases)[i].value, text);                                                  \
		assert_string_equal(text, (cases)[i].text);                                        \
	}

static void test_power(void **state)
{
	static const struct quantity_case cases[] = {
	    {0, "0 W"},
	    {1, "0.00 mW"},
	    {5, "0.01 mW"},
	    {999, "1.00 mW"},
	    {9994, "9.99 mW"},
	    {9995, "10.0 mW"},
	    {99950, "100 mW"},
	    {999499, "999 mW"},
	    {999500, "1.00 W"},
	    {1234567, "1.23 W"},
	    {45678901, "45.7 W"},
	    {123456789, "123 W"},
	    {1234567890, "1.23 kW"},
	};

	(void)state;
	CHECK(quantity_power, cases)
}

static void test_energy(void **state)
{
	static const struct quantity_case cases[] = {
	    {1000000, "1.00 J"},
	    {123456789012, "123 kJ"},
	    {9007199254740991, "9.01 GJ"},
	    {UINT64_MAX, "18.4 TJ"},
	};

	(void)state;
	CHECK(quantity_energy, cases)
}

static void test_duration(void **state)
{
	static const struct quantity_case cases[] = {
	    {0, "0.0 s"},
	    {99999999, "0.0 s"},
	    {UINT64_C(59999999999), "59.9 s"},
	    {UINT64_C(60000000000), "1 min 00 s"},
	    {UINT64_C(3599999999999), "59 min 59 s"},
	    {UINT64_C(3600000000000), "1 h 00 min"},
	    {UINT64_C(86399999999999), "23 h 59 min"},
	    {UINT64_C(86400000000000), "1 d 00 h"},
	    {UINT64_MAX, "213503 d 23 h"},
	};

	(void)state;
	CHECK(quantity_duration, cases)
}

static void test_bytes(void **state)
{
	static const struct quantity_case cases[] = {
	    {0, "0 B"},
	    {1023, "1023 B"},
	    {1024, "1.0 KiB"},
	    {1048575, "1023.9 KiB"},
	    {1048576, "1.0 MiB"},
	    {UINT64_C(5) << 29, "2.5 GiB"},
	    {UINT64_MAX, "16383.9 PiB"},
	};

	(void)state;
	CHECK(quantity_bytes, cases)
}

static void test_watt_hours(void **state)
{
	static const struct quantity_case cases[] = {
	    {0, "0 Wh"},
	    {3600000000, "1.00 Wh"},
	    {UINT64_C(3600000000000), "1.00 kWh"},
	    {UINT64_MAX, "5.12 GWh"},
	};

	(void)state;
	CHECK(quantity_watt_hours, cases)
}

static void test_time(void **state)
{
	static const struct quantity_case cases[] = {
	    {0, "0:00.0"},
	    {UINT64_C(59999999999), "0:59.9"},
	    {UINT64_C(3599999999999), "59:59.9"},
	    {UINT64_C(3600000000000), "1:00:00"},
	    {UINT64_C(35999999999999999), "9999:59:59"},
	    {UINT64_C(36000000000000000), "416 d"},
	    {UINT64_MAX, "213503 d"},
	};

	(void)state;
	CHECK(quantity_time, cases)
}

static void test_share(void **state)
{
	static const struct {
		uint64_t part, whole;
		const char *text;
	} cases[] = {
	    {0, 0, "0.0 %"},	  {1, 0, "0.0 %"},   {1, 3, "33.3 %"},
	    {2, 3, "66.7 %"},	  {3, 3, "100.0 %"}, {UINT64_MAX, UINT64_MAX, "100.0 %"},
	    {1, 100000, "0.0 %"}, {3, 2, "150.0 %"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[QUANTITY_SIZE];

		quantity_share(cases[i].part, cases[i].whole, text);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power),      cmocka_unit_test(test_energy),
	    cmocka_unit_test(test_duration),   cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_watt_hours), cmocka_unit_test(test_time),
	    cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
