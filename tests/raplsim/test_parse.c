#include <errno.h>

#include "tests/raplsim/cpu_list.h"
#include "tests/raplsim/cpu_time_internal.h"
#include "tests/raplsim/parse.h"
#include "tests/raplsim/test.h"

static void test_numbers(void **state)
{
	static const char *const bad[] = {"",	 "-1", "+1", " 1",  "1 ",
					  "0x1", "1.", ".5", "1.5", "a"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_u64(bad[i], &value), -EINVAL);
	assert_int_equal(parse_u64("18446744073709551616", &value), -ERANGE);
	assert_int_equal(value, 7);
	assert_int_equal(parse_u64("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(parse_u64("007", &value), 0);
	assert_int_equal(value, 7);
}

static void test_fractions(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(parse_fixed("61.035", 6, &value), 0);
	assert_int_equal(value, 61035000);
	assert_int_equal(parse_fixed("15.258789", 6, &value), 0);
	assert_int_equal(value, 15258789);
	assert_int_equal(parse_fixed("12", 6, &value), 0);
	assert_int_equal(value, 12000000);
	assert_int_equal(parse_fixed("0.000001", 6, &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(parse_fixed("0.0000001", 6, &value), -EINVAL);
	assert_int_equal(parse_fixed("1.", 6, &value), -EINVAL);
	assert_int_equal(parse_fixed("1.2.3", 6, &value), -EINVAL);
	assert_int_equal(parse_fixed("1.2 ", 6, &value), -EINVAL);
	assert_int_equal(parse_fixed("18446744073709.551616", 6, &value), -ERANGE);
	assert_int_equal(parse_fixed("18446744073709.551615", 6, &value), 0);
}

static void test_cpu_lists(void **state)
{
	static const char *const bad[] = {"x",	 "-1",	"1-",	"3-1",	"1,1",
					  "2,1", "1 2", "1\n2", "0-3,2"};
	unsigned int cpus[CPU_LIST_CPUS_MAX];
	char text[16];

	(void)state;
	assert_int_equal(cpu_list_parse("0-2,5,7-8\n", cpus), 6);
	assert_int_equal(cpus[3], 5);
	assert_int_equal(cpus[5], 8);
	assert_int_equal(cpu_list_format(cpus, 6, text, sizeof(text)), 9);
	assert_string_equal(text, "0-2,5,7-8");
	assert_int_equal(cpu_list_format(cpus, 6, text, 10), 9);
	assert_int_equal(cpu_list_format(cpus, 6, text, 9), -ENOBUFS);
	assert_int_equal(cpu_list_parse("\n", cpus), 0);
	assert_int_equal(cpu_list_parse("0-4095", cpus), CPU_LIST_CPUS_MAX);
	assert_int_equal(cpu_list_parse("0-4096", cpus), -E2BIG);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cpu_list_parse(bad[i], cpus), -EINVAL);
}

static void test_cpuacct(void **state)
{
	static const unsigned int ids[] = {0, 2};
	struct cpu_time_cpus cpus = {ids, 2};
	uint64_t busy_ns[2];

	(void)state;
	assert_int_equal(cpu_time_cpuacct_parse("14990620371 26302138570 99 7 \n", cpus, busy_ns),
			 0);
	assert_int_equal(busy_ns[0], 14990620371);
	assert_int_equal(busy_ns[1], 99);
	assert_int_equal(cpu_time_cpuacct_parse("1 2 \n", cpus, busy_ns), -EINVAL);
	assert_int_equal(cpu_time_cpuacct_parse("", cpus, busy_ns), -EINVAL);
	assert_int_equal(cpu_time_cpuacct_parse("1 x 3\n", cpus, busy_ns), -EINVAL);
}

static void test_stat(void **state)
{
	static const unsigned int ids[] = {0, 2};
	static const char text[] = "cpu  9 9 9 9 9 9 9 9 0 0\n"
				   "cpu0 618 0 672 83083 39 0 7 5 0 0\n"
				   "cpu1 1 1 1 1 1 1 1 1 0 0\n"
				   "cpu2 1377 0 1096 80940 1067 0 23 14 0 0\n"
				   "intr 1 2 3\n";
	struct cpu_time_cpus cpus = {ids, 2};
	uint64_t away_ticks[2];

	(void)state;
	assert_int_equal(cpu_time_stat_parse(text, cpus, away_ticks), 0);
	assert_int_equal(away_ticks[0], 83083 + 39 + 5);
	assert_int_equal(away_ticks[1], 80940 + 1067 + 14);
	assert_int_equal(cpu_time_stat_parse("cpu  1\ncpu0 1 2 3 4\n", cpus, away_ticks), -EINVAL);
	assert_int_equal(cpu_time_stat_parse("cpu  1\nintr 1\n", cpus, away_ticks), -EINVAL);
	assert_int_equal(cpu_time_stat_parse("", cpus, away_ticks), -EINVAL);
}

static void test_script(void **state)
{
	struct cpu_time *source = NULL;
	uint64_t busy_ns[2];

	(void)state;
	assert_int_equal(cpu_time_script_open(2, 100, &source), 0);
	assert_int_equal(cpu_time_script_load(source, 0, 1000, 100), 0);
	assert_int_equal(cpu_time_script_load(source, 1, 1, 100), 0);
	assert_int_equal(cpu_time_script_load(source, 1, 1001, 100), -EINVAL);
	/* Steps of a nanosecond lose nothing. */
	for (uint64_t now_ns = 101; now_ns <= 2100; now_ns++)
		assert_int_equal(cpu_time_read(source, now_ns, busy_ns), 0);
	assert_int_equal(busy_ns[0], 2000);
	assert_int_equal(busy_ns[1], 2);
	assert_int_equal(cpu_time_script_load(source, 0, 0, 3100), 0);
	assert_int_equal(cpu_time_read(source, 9100, busy_ns), 0);
	assert_int_equal(busy_ns[0], 3000);
	assert_int_equal(busy_ns[1], 9);
	cpu_time_destroy(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),   cmocka_unit_test(test_fractions),
	    cmocka_unit_test(test_cpu_lists), cmocka_unit_test(test_cpuacct),
	    cmocka_unit_test(test_stat),      cmocka_unit_test(test_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
