/* exporter_metrics.h: the whole page of a host against golden files, in both formats. */
#include "common/cleanup.h"
#include "host/exporter_metrics.h"
#include "host/ledger_view.h"
#include "tests/unit/golden.h"
#include "tests/unit/ledger_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void check_page(enum metrics_format format, uint64_t age_ns, const char *golden)
{
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_copy struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_metrics struct metrics *metrics = NULL;
	const struct mono_time now = {.ns = LEDGER_FIXTURE_TIME_NS + age_ns};
	const char *text;
	size_t size;

	assert_int_equal(ledger_copy_of(ledger, &copy), 0);
	assert_int_equal(summary_init(&summary, &copy, now), 0);
	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, format);
	exporter_metrics_write(metrics, &copy, &summary);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	golden_check(golden, text, size);
}

static void test_text(void **state)
{
	(void)state;
	check_page(METRICS_TEXT, 250000000, "exporter.txt");
}

static void test_openmetrics(void **state)
{
	(void)state;
	check_page(METRICS_OPENMETRICS, 250000000, "exporter.openmetrics");
}

/* Totals stay, power is not known any more. */
static void test_stale(void **state)
{
	(void)state;
	check_page(METRICS_TEXT, SUMMARY_AGE_NS_MAX + 1, "exporter_stale.txt");
}

static void test_no_ledger(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text;
	size_t size;

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, METRICS_OPENMETRICS);
	exporter_metrics_write(metrics, NULL, NULL);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	golden_check("exporter_no_ledger.openmetrics", text, size);
}

/* A ledger before its first sample: no age, no zones, no machines, and still a valid page. */
static void test_no_sample(void **state)
{
	struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text;
	size_t size;

	(void)state;
	assert_int_equal(summary_init(&summary, &copy, (struct mono_time){.ns = 1}), 0);
	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, METRICS_TEXT);
	exporter_metrics_write(metrics, &copy, &summary);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	golden_check("exporter_no_sample.txt", text, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),      cmocka_unit_test(test_openmetrics),
	    cmocka_unit_test(test_stale),     cmocka_unit_test(test_no_ledger),
	    cmocka_unit_test(test_no_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
