/* report.h and exporter.h: what people and programs get to see, against golden files. */
#include "common/metrics.h"
#include "common/page_json.h"
#include "guest/exporter.h"
#include "guest/page_guest.h"
#include "guest/report.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT "/run/wattport/tree"

struct case_of {
	const char *name; /* of the golden files */
	struct meter_reading earlier;
	struct meter_reading later;
	struct accounts_exits exits;
};

static struct meter_zone zone_of(const char *id, uint64_t energy_uj, uint64_t power_uw)
{
	struct meter_zone zone = {.available = true,
				  .energy_uj = energy_uj,
				  .has_power = power_uw > 0,
				  .power_uw = power_uw};

	(void)snprintf(zone.id, sizeof(zone.id), "%s", id);
	return zone;
}

/* Two readings 2 s apart of a tree with a package at 12.5 W and a DRAM zone at 1.25 W. */
static void fill_case(struct case_of *filled, const char *name)
{
	struct meter_reading reading = {
	    .time = {5 * CLOCK_NS_PER_SECOND},
	    .up = true,
	    .opened = true,
	    .from_tree = true,
	    .has_info = true,
	    .info = {.age_ms = 3,
		     .source = "powercap",
		     .uuid = "11111111-2222-3333-4444-555555555555"},
	    .zone_count = 2,
	    .zones = {zone_of("package-0", 100000000, 0), zone_of("dram-0", 7000000, 0)},
	};

	*filled = (struct case_of){
	    .name = name, .earlier = reading, .exits = {.counted = true, .ended = 37}};
	reading.time.ns += 2 * CLOCK_NS_PER_SECOND;
	reading.zones[0] = zone_of("package-0", 125000001, 12500000);
	reading.zones[1] = zone_of("dram-0", 9500000, 1250000);
	filled->later = reading;
}

static void fill_estimate(struct case_of *filled)
{
	fill_case(filled, "estimate");
	(void)snprintf(filled->later.info.source, sizeof(filled->later.info.source), "model");
	filled->later.info.estimate = true;
	filled->later.info.exact = true;
}

/* The host went away: zones keep their last energy, and power is unknown. */
static void fill_stale(struct case_of *filled)
{
	fill_case(filled, "stale");
	filled->later.up = false;
	filled->later.info.age_ms = 83000;
	filled->exits.lost = 2;
	filled->later.zones[0].has_power = false;
	filled->later.zones[1].available = false;
	(void)diag_error(&filled->later.reason, -ESTALE,
			 "the host measures no more: its data is 83 s old");
}

static void fill_bare(struct case_of *filled)
{
	fill_case(filled, "bare");
	filled->exits = (struct accounts_exits){.reason = "the kernel tells root alone"};
	filled->later.from_tree = false;
	filled->later.has_info = false;
}

/* The host's tree is there, and what the host says of it is not. */
static void fill_silent(struct case_of *filled)
{
	fill_case(filled, "silent");
	filled->later.up = false;
	filled->later.has_info = false;
	filled->later.info = (struct tree_info){.age_ms = 0};
	(void)diag_error(&filled->later.reason, -EIO,
			 "the tree at " AT " does not tell how old its data is");
}

static void fill_nothing(struct case_of *filled)
{
	fill_case(filled, "nothing");
	filled->earlier = (struct meter_reading){.time = {CLOCK_NS_PER_SECOND}};
	filled->later = (struct meter_reading){.time = {2 * CLOCK_NS_PER_SECOND}};
	(void)diag_error(&filled->later.reason, -ENOENT, "there is no <tree> at " AT);
}

/* Compares what `write` puts into a stream with the golden file NAME-CASE.SUFFIX. */
static void check_golden(const char *name, const struct case_of *shown, const char *text,
			 size_t size)
{
	char file[128];

	(void)snprintf(file, sizeof(file), "agent-%s.%s", shown->name, name);
	golden_check(file, text, size);
}

static void check_status(const struct case_of *shown, const char *name,
			 int (*write)(FILE *, const struct report_status *))
{
	const struct report_status report = {&shown->earlier, &shown->later, AT, &shown->exits};
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(write(stream, &report), 0);
	assert_int_equal(fclose(stream), 0);
	check_golden(name, shown, text, size);
	free(text);
}

/* Half of the way there, with what lies between by even parts. */
static struct meter_reading between(const struct case_of *shown, uint64_t part, uint64_t whole)
{
	struct meter_reading reading = shown->later;

	reading.time.ns = shown->earlier.time.ns +
			  clock_elapsed_ns(shown->earlier.time, shown->later.time) * part / whole;
	for (size_t i = 0; i < shown->earlier.zone_count; i++)
		reading.zones[i].energy_uj =
		    shown->earlier.zones[i].energy_uj +
		    (shown->later.zones[i].energy_uj - shown->earlier.zones[i].energy_uj) * part /
			whole;
	return reading;
}

/* A result with three phases of two labels, and with grams of CO2e for three quarters of it. */
static struct exec_result *fill_result(const struct case_of *shown)
{
	static const char *const labels[] = {"train", "eval \033[2J \"x\"", "train"};
	struct carbon_figure figure = {
	    .known = true, .intensity_mg_per_kwh = 56000, .source = "as given"};
	struct exec_result *result = calloc(1, sizeof(*result));

	CHECK_POINTER(result);
	*result = (struct exec_result){
	    .exit_status = 3,
	    .began = {UINT64_C(1717157400123456789)},
	    .elapsed_ns = clock_elapsed_ns(shown->earlier.time, shown->later.time),
	    .user_ns = 1500 * CLOCK_NS_PER_MS,
	    .system_ns = 20 * CLOCK_NS_PER_MS,
	    .process_count = 2,
	    .has_busy = true,
	    .busy_ns = 1900 * CLOCK_NS_PER_MS,
	    .own_cpu_ns = 4 * CLOCK_NS_PER_MS,
	    .period_ns = 10 * CLOCK_NS_PER_MS,
	    .edge_ns = 20000,
	    .marks_possible = true,
	    .before = shown->earlier,
	    .after = shown->later,
	    .has_carbon = true,
	    .peak = peak_create(PEAK_WINDOW_NS_MIN, &shown->earlier),
	    .phases = phases_create(&shown->earlier),
	};
	CHECK_POINTER(result->peak);
	CHECK_POINTER(result->phases);
	for (uint64_t i = 0; i < 4; i++) {
		const uint64_t command_uj[ZONE_MAX] = {i * 1000000, i * 50001};
		struct meter_reading reading = between(shown, i + 1, 4);

		if (i > 0)
			phases_cut(result->phases, labels[i - 1]);
		if (i == 3) {
			figure.known = false;
			(void)diag_error(&figure.reason, -ENOENT, "the last figure is 130 min old");
		}
		phases_book(result->phases, &reading, &figure);
		phases_give(result->phases, phases_number(result->phases), command_uj);
		peak_take(result->peak, &reading);
	}
	phases_end(result->phases);
	result->has_shares = true;
	result->shares[0] = (struct exec_share_zone){
	    .divided = true, .command_uj = 6000000, .other_uj = 9000001, .idle_uj = 10000000};
	result->shares[1] = (struct exec_share_zone){.divided = true,
						     .idle_given = true,
						     .command_uj = 300006,
						     .other_uj = 199994,
						     .idle_uj = 2000000};
	/* The machine of this case is one whose kernel lists no children. */
	if (strcmp(shown->name, "bare") == 0) {
		result->has_shares = false;
		(void)diag_error(&result->shares_reason, -EOPNOTSUPP, "nobody tells");
	}
	result->carbon = figure;
	result->co2e = phases_whole(result->phases)->co2e;
	result->command_co2e = phases_whole(result->phases)->command_co2e;
	return result;
}

static int write_csv(FILE *stream, const struct report_exec *report)
{
	return report_exec_csv(stream, report, true);
}

static void check_exec(const struct case_of *shown, const char *name,
		       int (*write)(FILE *, const struct report_exec *))
{
	cleanup_exec_result struct exec_result *result = fill_result(shown);
	cleanup_equivalents struct equivalents *equivalents = NULL;
	char program[] = "stress", option[] = "a \"b\"\033[2J";
	char *command[] = {program, option, NULL};
	struct report_exec report = {.result = result, .command = command, .at = AT};
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_int_equal(equivalents_load("/nonexistent/file", &equivalents, NULL), 0);
	report.equivalents = equivalents;
	assert_non_null(stream);
	assert_int_equal(write(stream, &report), 0);
	assert_int_equal(fclose(stream), 0);
	check_golden(name, shown, text, size);
	free(text);
}

static void check_metrics(const struct case_of *shown)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text = NULL;
	size_t size = 0;

	assert_int_equal(metrics_create(&metrics), 0);
	metrics_begin(metrics, METRICS_TEXT);
	exporter_write_metrics(metrics, &shown->later);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	check_golden("metrics", shown, text, size);
}

/* What the page for people asks for; without accounts: these have tests of their own. */
static void check_page(const struct case_of *shown)
{
	struct manual_clock clock;
	struct page_view view;
	char *text;

	manual_clock_init(&clock, shown->later.time,
			  (struct wall_time){UINT64_C(1767225600) * CLOCK_NS_PER_SECOND});
	assert_int_equal(page_guest_view(&shown->later, NULL, &view), 0);
	text = page_json(&view, &clock.clock, NULL);
	page_guest_release(&view);
	assert_non_null(text);
	check_golden("page.json", shown, text, strlen(text));
	free(text);
}

static void check_all(const struct case_of *shown)
{
	check_status(shown, "status", report_status_text);
	check_status(shown, "status.json", report_status_json);
	check_exec(shown, "exec", report_exec_text);
	check_exec(shown, "exec.json", report_exec_json);
	check_exec(shown, "exec.csv", write_csv);
	check_metrics(shown);
	check_page(shown);
}

static void test_tree(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_case(&shown, "tree");
	check_all(&shown);
}

static void test_estimate(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_estimate(&shown);
	check_all(&shown);
}

static void test_stale(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_stale(&shown);
	check_all(&shown);
}

static void test_bare_metal(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_bare(&shown);
	check_all(&shown);
}

static void test_silent(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_silent(&shown);
	check_all(&shown);
}

static void test_nothing(void **state)
{
	static struct case_of shown;

	(void)state;
	fill_nothing(&shown);
	check_all(&shown);
}

static void test_a_full_disk_is_told(void **state)
{
	static struct case_of shown;
	FILE *stream = fopen("/dev/full", "w");
	const struct report_status report = {
	    .earlier = &shown.earlier, .later = &shown.later, .at = AT};

	(void)state;
	fill_case(&shown, "tree");
	assert_non_null(stream);
	assert_int_equal(report_status_text(stream, &report), -EIO);
	(void)fclose(stream);
	stream = fopen("/dev/full", "w");
	assert_non_null(stream);
	assert_int_equal(report_status_json(stream, &report), -EIO);
	(void)fclose(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tree),
	    cmocka_unit_test(test_estimate),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_bare_metal),
	    cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_a_full_disk_is_told),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
