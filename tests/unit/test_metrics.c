/* metrics.h: both formats against golden files, numbers at their edges, the bounds of the page. */
#include "common/cleanup.h"
#include "common/metrics.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

static const struct metrics_family family_gauge = {
    .name = "example_power_watts", .type = METRICS_GAUGE, .unit = "watts", .help = "Power."};

static void write_page(struct metrics *metrics, enum metrics_format format)
{
	static const struct metrics_family families[] = {
	    {"example_build", METRICS_INFO, NULL, "What was built."},
	    {"example_energy_joules", METRICS_COUNTER, "joules", "A back\\slash and\na new line."},
	    {"example_duration_seconds", METRICS_HISTOGRAM, "seconds", "How long it took."},
	    {"example_error", METRICS_GAUGE, NULL, "A signed number."},
	};
	static const struct metrics_label version[] = {{"version", "1.2.3"}};
	static const struct metrics_label odd[] = {
	    {"name", "quote\" back\\slash\nnew line, J\xc3\xbcrgen \xf0\x9f\x94\x8b \xff\xc3"},
	    {"empty", ""},
	};
	static const uint64_t bounds_us[] = {5, 10, 25, 100, 2500, 1000000, 2500000};
	static const uint64_t counts[] = {1, 0, 2, 3, 4, 5, 6, 7};
	const struct metrics_histogram histogram = {
	    .bounds_us = bounds_us, .counts = counts, .count = 8, .sum_ns = 12345678901};

	metrics_begin(metrics, format);
	metrics_begin_family(metrics, &families[0]);
	metrics_add(metrics, version, 1, metrics_integer(1));
	metrics_begin_family(metrics, &families[1]);
	metrics_add(metrics, odd, 2, metrics_micro(12345678));
	metrics_begin_family(metrics, &families[2]);
	metrics_add_histogram(metrics, &histogram);
	metrics_begin_family(metrics, &families[3]);
	metrics_add(metrics, NULL, 0, metrics_signed(-7));
}

static void check_page(enum metrics_format format, const char *golden)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text;
	size_t size;

	assert_int_equal(metrics_create(&metrics), 0);
	/* The second page is the same as the first: nothing is left over. */
	for (size_t i = 0; i < 2; i++) {
		write_page(metrics, format);
		assert_int_equal(metrics_finish(metrics, &text, &size), 0);
		golden_check(golden, text, size);
	}
}

static void test_text(void **state)
{
	(void)state;
	check_page(METRICS_TEXT, "metrics.txt");
}

static void test_openmetrics(void **state)
{
	(void)state;
	check_page(METRICS_OPENMETRICS, "metrics.openmetrics");
}

static void check_value(struct metrics *metrics, struct metrics_value value, const char *expected)
{
	const char *text, *number;
	cleanup_free char *copy = NULL;
	size_t size;

	metrics_begin(metrics, METRICS_TEXT);
	metrics_begin_family(metrics, &family_gauge);
	metrics_add(metrics, NULL, 0, value);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	copy = strndup(text, size - 1);
	assert_non_null(copy);
	number = strrchr(copy, ' ') + 1;
	assert_string_equal(number, expected);
}

static void test_values_are_exact(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	check_value(metrics, metrics_integer(0), "0");
	check_value(metrics, metrics_integer(10), "10");
	check_value(metrics, metrics_integer(UINT64_MAX), "18446744073709551615");
	check_value(metrics, metrics_micro(0), "0.000000");
	check_value(metrics, metrics_micro(1), "0.000001");
	check_value(metrics, metrics_micro(999999), "0.999999");
	check_value(metrics, metrics_micro(1000000), "1.000000");
	/* 2^53 + 1 is the first integer that a double cannot hold. */
	check_value(metrics, metrics_micro(9007199254740993), "9007199254.740993");
	check_value(metrics, metrics_micro(UINT64_MAX), "18446744073709.551615");
	check_value(metrics, metrics_nano(1500000000), "1.500000000");
	check_value(metrics, metrics_signed(INT64_MIN), "-9223372036854775808");
	check_value(metrics, metrics_signed(INT64_MAX), "9223372036854775807");
	check_value(metrics, metrics_signed(0), "0");
}

static void test_empty_page(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text;
	size_t size;

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, METRICS_TEXT);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	assert_int_equal(size, 0);
	metrics_begin(metrics, METRICS_OPENMETRICS);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	assert_int_equal(size, strlen("# EOF\n"));
}

/* A page that does not fit is refused, whole; the writer is good for the next one. */
static void test_bound(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const size_t value_size = (size_t)16 << 20;
	cleanup_free char *value = malloc(value_size);
	struct metrics_label label = {.name = "x", .value = value};
	const char *text;
	size_t size;

	(void)state;
	assert_non_null(value);
	memset(value, 'y', value_size - 1);
	value[value_size - 1] = '\0';
	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, METRICS_TEXT);
	metrics_begin_family(metrics, &family_gauge);
	for (size_t i = 0; i <= METRICS_SIZE_MAX / value_size; i++)
		metrics_add(metrics, &label, 1, metrics_integer(i));
	assert_int_equal(metrics_finish(metrics, &text, &size), -EFBIG);
	check_value(metrics, metrics_integer(7), "7");
}

static void test_negotiate(void **state)
{
	/* As Prometheus 2.42 asks, an older one, and a browser. */
	static const char prometheus[] =
	    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
	    "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
	static const char prometheus_2_5[] =
	    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
	static const char browser[] =
	    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

	(void)state;
	assert_int_equal(metrics_negotiate(NULL), METRICS_TEXT);
	assert_int_equal(metrics_negotiate("*/*"), METRICS_TEXT);
	assert_int_equal(metrics_negotiate(""), METRICS_TEXT);
	assert_int_equal(metrics_negotiate(prometheus), METRICS_OPENMETRICS);
	assert_int_equal(metrics_negotiate(prometheus_2_5), METRICS_TEXT);
	assert_int_equal(metrics_negotiate(browser), METRICS_TEXT);
	assert_int_equal(metrics_negotiate("application/openmetrics-text"), METRICS_OPENMETRICS);
	assert_int_equal(metrics_negotiate("text/plain;q=0.4,application/openmetrics-text;q=0.3"),
			 METRICS_TEXT);
	assert_non_null(strstr(metrics_content_type(METRICS_TEXT), "version=0.0.4"));
	assert_non_null(strstr(metrics_content_type(METRICS_OPENMETRICS), "version=1.0.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_openmetrics),
	    cmocka_unit_test(test_values_are_exact),
	    cmocka_unit_test(test_empty_page),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_negotiate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
