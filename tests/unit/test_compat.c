/* compat.h: other tools' names for the same numbers, and the document that lists them. */
#include "common/cleanup.h"
#include "common/file.h"
#include "common/metrics.h"
#include "guest/compat.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"
#include "tests/unit/output_fixture.h"

#include <fcntl.h>
#include <stdio.h>

#define BEGIN                                                                                      \
	"<!-- metrics: made from the tables of guest/compat_*.c by the target golden-update -->\n"
#define END "<!-- end of metrics -->\n"
#define ALL 7

/* The page of those tools; belongs to `metrics`. */
static const char *page_of(struct metrics *metrics, const struct accounts_view *view,
			   uint32_t tools, enum metrics_format format)
{
	const struct compat_machine machine = {view, OUTPUT_FIXTURE_HOST, "SYS"};
	const char *text = NULL;
	size_t size = 0;

	metrics_begin(metrics, format);
	compat_write_metrics(metrics, tools, &machine);
	assert_int_equal(metrics_finish(metrics, &text, &size), 0);
	return size > 0 ? text : "";
}

static void test_golden(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	for (uint32_t i = 0; compat_list(i) != NULL; i++) {
		char file[64];
		const char *text =
		    page_of(metrics, output_fixture_view(), UINT32_C(1) << i, METRICS_OPENMETRICS);

		(void)snprintf(file, sizeof(file), "compat-%s.openmetrics", compat_list(i)->name);
		/* metrics_finish() tells the size; the page has no NUL, but no end either. */
		golden_check(file, text, (size_t)(strstr(text, "# EOF\n") + 6 - text));
	}
}

static size_t count_dram_watts(const struct accounts_view *view)
{
	cleanup_metrics struct metrics *metrics = NULL;
	const char *text, *end;
	size_t count = 0;

	assert_int_equal(metrics_create(&metrics), 0);
	text = page_of(metrics, view, ALL, METRICS_OPENMETRICS);
	/* Behind its end it has no NUL. */
	for (end = text; strncmp(end, "# EOF\n", 6) != 0; end = strchr(end, '\n') + 1) {
		const char *watts = strstr(end, "_watts{"), *dram = strstr(end, "zone=\"dram\"");
		const char *next = strchr(end, '\n');

		if (watts != NULL && watts < next && dram != NULL && dram < next)
			count++;
	}
	return count;
}

/* A zone that cannot be read at this moment: nobody's power in it is 0. */
static void test_no_power_of_a_zone_that_is_away(void **state)
{
	(void)state;
	assert_true(count_dram_watts(output_fixture_view()) > 0);
	assert_int_equal(count_dram_watts(output_fixture_away()), 0);
}

static void test_nothing_while_nothing_is_measured(void **state)
{
	cleanup_metrics struct metrics *metrics = NULL;

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	assert_string_equal(page_of(metrics, output_fixture_stale(), ALL, METRICS_TEXT), "");
}

/* Two packages in the wrong order, one in dies. */
static void test_many_packages(void **state)
{
	static const struct {
		const char *id, *place;
	} zones[] = {{"package-0-die-0", "intel-rapl:1"},
		     {"package-0-die-1", "intel-rapl:2"},
		     {"package-1", "intel-rapl:0"},
		     {"dram-0", "intel-rapl:1:0"},
		     {"dram-1", "intel-rapl:0:0"}};
	cleanup_metrics struct metrics *metrics = NULL;
	struct accounts_view view = {.reading = {.up = true, .zone_count = CHECK_COUNT(zones)}};
	const char *text;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(zones); i++) {
		struct meter_zone *zone = &view.reading.zones[i];

		(void)snprintf(zone->id, sizeof(zone->id), "%s", zones[i].id);
		(void)snprintf(zone->place, sizeof(zone->place), "%s", zones[i].place);
		zone->available = true;
		zone->energy_uj = (i + 1) * 1000000;
	}
	assert_int_equal(metrics_create(&metrics), 0);
	text = page_of(metrics, &view, ALL, METRICS_OPENMETRICS);
	check_contains(text,
		       "\nnode_rapl_package_0_die_0_joules_total{index=\"0\",path=\"SYS/class/"
		       "powercap/intel-rapl:1\"} 1.000000\n");
	check_contains(text,
		       "\nnode_rapl_package_joules_total{index=\"1\",path=\"SYS/class/powercap/"
		       "intel-rapl:0\"} 3.000000\n");
	/* The index of dram counts in the order of the directory. */
	check_contains(text, "\nnode_rapl_dram_joules_total{index=\"1\",path=\"SYS/class/powercap/"
			     "intel-rapl:1:0\"} 4.000000\n");
	check_contains(text, "\nscaph_socket_energy_microjoules{socket_id=\"0\"} 3000000\n");
	check_contains(text, "\nscaph_host_energy_microjoules 15000000\n");
	assert_null(strstr(text, "power_microwatts{"));
	/* A zone that cannot be read: what it is a part of is unknown. */
	view.reading.zones[1].available = false;
	text = page_of(metrics, &view, ALL, METRICS_OPENMETRICS);
	assert_null(strstr(text, "\nscaph_host_energy_microjoules "));
	assert_null(strstr(text, "scaph_socket_energy_microjoules{socket_id=\"0\"}"));
	check_contains(text, "\nscaph_socket_energy_microjoules{socket_id=\"1\"} 3000000\n");
}

static void set_zone(struct accounts_view *view, size_t index, const char *id, uint64_t energy_uj)
{
	struct meter_zone *zone = &view->reading.zones[index];

	(void)snprintf(zone->id, sizeof(zone->id), "%s", id);
	zone->available = true;
	zone->energy_uj = energy_uj;
	if (view->reading.zone_count <= index)
		view->reading.zone_count = index + 1;
}

/* One counter has one meaning: what cannot be read for a moment leaves a gap, and no other sum. */
static void test_host_is_the_same_zones_all_along(void **state)
{
	static const char psys_uj[] = "\nscaph_host_energy_microjoules 9000000\n";
	static const char packages_uj[] = "\nscaph_host_energy_microjoules 3000000\n";
	cleanup_metrics struct metrics *metrics = NULL;
	struct accounts_view view = {.reading = {.up = true}};

	(void)state;
	assert_int_equal(metrics_create(&metrics), 0);
	set_zone(&view, 0, "package-0", 3000000);
	check_contains(page_of(metrics, &view, 1, METRICS_TEXT), packages_uj);
	/* psys comes later: the counter has begun without it. */
	set_zone(&view, 1, "psys", 9000000);
	view.reading.zones[1].joined = true;
	check_contains(page_of(metrics, &view, 1, METRICS_TEXT), packages_uj);
	set_zone(&view, 2, "dram-0", 5000000);
	view.reading.zones[2].joined = true;
	view.reading.zones[2].joined_uj = 5000000;
	check_contains(page_of(metrics, &view, 1, METRICS_TEXT), packages_uj);
	view.reading.zones[1].joined = false;
	check_contains(page_of(metrics, &view, 1, METRICS_TEXT), psys_uj);
	view.reading.zones[1].available = false;
	assert_null(
	    strstr(page_of(metrics, &view, 1, METRICS_TEXT), "\nscaph_host_energy_microjoules "));
}

static void test_names(void **state)
{
	struct diag diag = DIAG_INIT;
	uint32_t tools = 99;

	(void)state;
	assert_int_equal(compat_parse("none", &tools, &diag), 0);
	assert_int_equal(tools, 0);
	assert_int_equal(compat_parse(" kepler  scaphandre ", &tools, &diag), 0);
	assert_int_equal(tools, 5);
	assert_int_equal(compat_parse("node", &tools, &diag), 0);
	assert_int_equal(tools, 2);
	assert_int_equal(compat_parse("node ceems", &tools, &diag), -EINVAL);
	check_contains(diag.text, "scaphandre, node and kepler, not of ceems");
}

static const char *type_name(enum metrics_type type)
{
	return type == METRICS_GAUGE ? "gauge" : "counter";
}

static void write_table(FILE *stream)
{
	for (size_t i = 0; compat_list(i) != NULL; i++) {
		const struct compat_tool *tool = compat_list(i);

		(void)fprintf(
		    stream,
		    "\n## %s: `--compat %s`\n\nNames as in %s.\n\n| metric | type | labels "
		    "| the same number as |\n|---|---|---|---|\n",
		    tool->version, tool->name, tool->origin);
		for (size_t j = 0; j < tool->count; j++) {
			const struct compat_metric *metric = &tool->list[j];

			(void)fprintf(stream, "| `%s%s` | %s | %s | %s |\n", metric->family.name,
				      metric->family.type == METRICS_COUNTER ? "_total" : "",
				      type_name(metric->family.type), metric->labels, metric->same);
		}
	}
	(void)fputc('\n', stream);
}

/* The document between its two marks is the table above. */
static void test_document(void **state)
{
	cleanup_fd int directory = open(TEST_DOCUMENTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static char old[65536];
	char *table = NULL, *begin, *end;
	size_t size = 0, length;
	FILE *stream = open_memstream(&table, &size);

	(void)state;
	assert_true(directory >= 0);
	assert_non_null(stream);
	assert_int_equal(file_read_at(directory, "compat-metrics.md", old, sizeof(old), &length),
			 0);
	begin = strstr(old, BEGIN);
	end = strstr(old, END);
	CHECK_POINTER(begin);
	CHECK_POINTER(end);
	write_table(stream);
	assert_int_equal(fclose(stream), 0);
	begin += strlen(BEGIN);
	if (getenv("WATTPORT_GOLDEN_UPDATE") != NULL) {
		char *text = NULL;

		assert_true(asprintf(&text, "%.*s%s%s", (int)(begin - old), old, table, end) > 0);
		assert_int_equal(
		    file_replace_at(directory, "compat-metrics.md", text, strlen(text), 0644), 0);
		free(text);
	} else if ((size_t)(end - begin) != size || memcmp(begin, table, size) != 0) {
		fail_msg("docs/compat-metrics.md is not what the code says: cmake --build "
			 "--preset dev --target golden-update");
	}
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_no_power_of_a_zone_that_is_away),
	    cmocka_unit_test(test_nothing_while_nothing_is_measured),
	    cmocka_unit_test(test_many_packages),
	    cmocka_unit_test(test_host_is_the_same_zones_all_along),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests_name("compat", tests, NULL, NULL);
}
