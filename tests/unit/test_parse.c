#include "common/parse.h"
#include "tests/unit/check.h"

struct row {
	const char *text;
	int status;
	uint64_t value;
};

/* Outputs are written only on success: this one must survive a refusal. */
static const uint64_t untouched = 4711;

static void check_rows(int (*parse)(const char *, uint64_t *), const struct row rows[],
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = untouched;

		if (parse(rows[i].text, &value) != rows[i].status)
			fail_msg("\"%s\" gives another status", rows[i].text);
		assert_int_equal(value, rows[i].status == 0 ? rows[i].value : untouched);
	}
}

static void test_u64(void **state)
{
	static const struct row rows[] = {
	    {"0", 0, 0},
	    {"007", 0, 7},
	    {"18446744073709551615", 0, UINT64_MAX},
	    {"18446744073709551616", -ERANGE, 0},
	    {"99999999999999999999999", -ERANGE, 0},
	    {"", -EINVAL, 0},
	    {"-1", -EINVAL, 0},
	    {"+1", -EINVAL, 0},
	    {" 1", -EINVAL, 0},
	    {"1 ", -EINVAL, 0},
	    {"1\n", -EINVAL, 0},
	    {"1x", -EINVAL, 0},
	    {"0x1", -EINVAL, 0},
	    {"1.0", -EINVAL, 0},
	};

	(void)state;
	check_rows(parse_u64, rows, CHECK_COUNT(rows));
}

static void test_u64_line(void **state)
{
	static const struct row rows[] = {
	    {"12", 0, 12},	    {"12\n", 0, 12},
	    {"12\n\n", -EINVAL, 0}, {"\n", -EINVAL, 0},
	    {"", -EINVAL, 0},	    {"12\r\n", -EINVAL, 0},
	    {"1 2\n", -EINVAL, 0},  {"18446744073709551616\n", -ERANGE, 0},
	};

	(void)state;
	check_rows(parse_u64_line, rows, CHECK_COUNT(rows));
}

static void test_u32_and_hexadecimal(void **state)
{
	uint32_t value = 5;

	(void)state;
	assert_int_equal(parse_u32("4294967295", &value), 0);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(parse_u32("4294967296", &value), -ERANGE);
	assert_int_equal(parse_u32("x", &value), -EINVAL);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(parse_hex_u32("a", &value), 0);
	assert_int_equal(value, 10);
	assert_int_equal(parse_hex_u32("ffffffff", &value), 0);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(parse_hex_u32("100000000", &value), -ERANGE);
	assert_int_equal(parse_hex_u32("A", &value), -EINVAL);
	assert_int_equal(parse_hex_u32("g", &value), -EINVAL);
	assert_int_equal(parse_hex_u32("0x1", &value), -EINVAL);
	assert_int_equal(parse_hex_u32("", &value), -EINVAL);
	assert_int_equal(value, UINT32_MAX);
}

static void test_columns(void **state)
{
	const char *cursor = " 1\t22  333\n4";
	uint64_t value = untouched;

	(void)state;
	assert_int_equal(parse_next_u64(&cursor, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(parse_next_u64(&cursor, &value), 0);
	assert_int_equal(value, 22);
	assert_int_equal(parse_next_u64(&cursor, &value), 0);
	assert_int_equal(value, 333);
	assert_int_equal(parse_next_u64(&cursor, &value), -ENODATA);
	assert_string_equal(cursor, "\n4");
	assert_int_equal(value, 333);
	cursor = "12x";
	assert_int_equal(parse_next_u64(&cursor, &value), -EINVAL);
	assert_string_equal(cursor, "12x");
	cursor = "   ";
	assert_int_equal(parse_next_u64(&cursor, &value), -ENODATA);
	cursor = "18446744073709551616 1";
	assert_int_equal(parse_next_u64(&cursor, &value), -ERANGE);
}

static void test_bool(void **state)
{
	static const struct {
		const char *text;
		int status;
		bool value;
	} rows[] = {
	    {"yes", 0, true},	     {"true", 0, true},	   {"on", 0, true},
	    {"no", 0, false},	     {"false", 0, false},  {"off", 0, false},
	    {"Yes", -EINVAL, true},  {"1", -EINVAL, true}, {"", -EINVAL, true},
	    {"yes ", -EINVAL, true},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		bool value = true;

		assert_int_equal(parse_bool(rows[i].text, &value), rows[i].status);
		assert_int_equal(value, rows[i].value);
	}
}

static void test_durations(void **state)
{
	static const struct row rows[] = {
	    {"0s", 0, 0},
	    {"20ms", 0, 20000000},
	    {"1.5s", 0, 1500000000},
	    {"1.000000001s", 0, 1000000001},
	    {"0.5min", 0, 30000000000},
	    {"24h", 0, UINT64_C(86400000000000)},
	    {"7d", 0, UINT64_C(604800000000000)},
	    {"3ns", 0, 3},
	    {"1.5us", 0, 1500},
	    {"18446744073s", 0, UINT64_C(18446744073000000000)},
	    {"18446744074s", -ERANGE, 0},
	    {"18446744073.999999999s", -ERANGE, 0},
	    {"1.0000000001s", -EINVAL, 0},
	    {"1.5ns", -EINVAL, 0},
	    {"1.0ns", 0, 1},
	    {"1", -EINVAL, 0},
	    {"s", -EINVAL, 0},
	    {"1.s", -EINVAL, 0},
	    {".5s", -EINVAL, 0},
	    {"1 s", -EINVAL, 0},
	    {"1S", -EINVAL, 0},
	    {"-1s", -EINVAL, 0},
	    {"1e3s", -EINVAL, 0},
	};

	(void)state;
	check_rows(parse_duration_ns, rows, CHECK_COUNT(rows));
}

static void test_powers(void **state)
{
	static const struct row rows[] = {
	    {"12W", 0, 12000000}, {"12.5W", 0, 12500000},
	    {"850mW", 0, 850000}, {"1.2kW", 0, 1200000000},
	    {"3uW", 0, 3},	  {"1.5uW", -EINVAL, 0},
	    {"12", -EINVAL, 0},	  {"12w", -EINVAL, 0},
	    {"12MW", -EINVAL, 0}, {"99999999999kW", -ERANGE, 0},
	};

	(void)state;
	check_rows(parse_power_uw, rows, CHECK_COUNT(rows));
}

static void test_energies(void **state)
{
	static const struct row rows[] = {
	    {"10Wh", 0, UINT64_C(36000000000)},
	    {"0.72Wh", 0, UINT64_C(2592000000)},
	    {"1.5kWh", 0, UINT64_C(5400000000000)},
	    {"335kJ", 0, UINT64_C(335000000000)},
	    {"2MJ", 0, UINT64_C(2000000000000)},
	    {"5J", 0, 5000000},
	    {"1.5mJ", 0, 1500},
	    {"7uJ", 0, 7},
	    {"18446744073709.551615J", 0, UINT64_MAX},
	    {"18446744073709.551615MJ", -ERANGE, 0},
	    {"6000000000kWh", -ERANGE, 0},
	    {"10", -EINVAL, 0},
	    {"10W", -EINVAL, 0},
	    {"10 Wh", -EINVAL, 0},
	    {"-1J", -EINVAL, 0},
	};

	(void)state;
	check_rows(parse_energy_uj, rows, CHECK_COUNT(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_u64_line),
	    cmocka_unit_test(test_u32_and_hexadecimal),
	    cmocka_unit_test(test_columns),
	    cmocka_unit_test(test_bool),
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_powers),
	    cmocka_unit_test(test_energies),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
