/* page_history.h: what is told of the past, as time, gaps and accounts come and go. */
#include "common/page_history.h"
#include "common/page_json.h"
#include "tests/unit/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CROWD (PAGE_SERIES_MAX + 20)

struct fixture {
	struct manual_clock clock;
	struct page_history *history;
	struct page_account accounts[CROWD];
	char names[CROWD][16];
	uint64_t drawn_uw[CROWD]; /* by each, from one tick to the next */
	size_t count;
	struct page_view view;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.count = 2};
	manual_clock_init(&fixture.clock, (struct mono_time){100 * CLOCK_NS_PER_SECOND},
			  (struct wall_time){1000000 * CLOCK_NS_PER_SECOND});
	for (size_t i = 0; i < CROWD; i++) {
		(void)snprintf(fixture.names[i], sizeof(fixture.names[i]), "a%zu", i);
		fixture.accounts[i].name = fixture.names[i];
		fixture.drawn_uw[i] = (i + 1) * 1000000;
	}
	fixture.view = (struct page_view){.machine = "guest",
					  .up = true,
					  .age_ns = 40 * CLOCK_NS_PER_MS,
					  .group_count = 1,
					  .groups = {{.kind = "unit", .of_members = "processes"}}};
	*state = &fixture;
	return page_history_create(&fixture.history);
}

static int teardown(void **state)
{
	page_history_destroy(((struct fixture *)*state)->history);
	return 0;
}

/* Time passes; the accounts draw what they do, idle 10 W and others 5 W. */
static void tick(struct fixture *fixture, uint64_t elapsed_ms)
{
	struct page_view *view = &fixture->view;

	manual_clock_advance(&fixture->clock, elapsed_ms * CLOCK_NS_PER_MS);
	view->time = clock_now_mono(&fixture->clock.clock);
	view->total.idle_uj += 10000 * elapsed_ms;
	view->total.other_uj += 5000 * elapsed_ms;
	view->total.energy_uj += 15000 * elapsed_ms;
	for (size_t i = 0; i < fixture->count; i++) {
		uint64_t used_uj = fixture->drawn_uw[i] / 1000 * elapsed_ms;

		fixture->accounts[i].power_uw = fixture->drawn_uw[i];
		fixture->accounts[i].energy_uj += used_uj;
		view->total.energy_uj += used_uj;
	}
	view->groups[0].accounts = fixture->accounts;
	view->groups[0].count = fixture->count;
	page_history_add(fixture->history, view, &fixture->clock.clock);
}

/* NULL: of the first kind. */
static json_t *told_of(const struct fixture *fixture, enum page_range range, const char *kind)
{
	char *text = page_history_json(fixture->history, &fixture->clock.clock, range, kind);
	json_t *document;

	assert_non_null(text);
	document = json_loads(text, 0, NULL);
	assert_non_null(document);
	free(text);
	return document;
}

static json_t *told(const struct fixture *fixture, enum page_range range)
{
	return told_of(fixture, range, NULL);
}

static json_t *column(const json_t *document, const char *name)
{
	json_t *accounts = json_object_get(document, "accounts");
	json_t *account;
	size_t i;

	json_array_foreach(accounts, i,
			   account) if (strcmp(json_string_value(json_object_get(account, "name")),
					       name) == 0) return json_object_get(account,
										  "power_uw");
	return json_object_get(document, name);
}

/* PAGE_UNKNOWN: null, or no such column or row. */
static uint64_t at(const json_t *document, const char *name, size_t index)
{
	const json_t *value = json_array_get(column(document, name), index);

	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : PAGE_UNKNOWN;
}

static void test_empty(void **state)
{
	json_t *document = told(*state, PAGE_RANGE_MINUTES);

	assert_int_equal(json_array_size(column(document, "t_ms")), 0);
	assert_int_equal(json_array_size(json_object_get(document, "accounts")), 0);
	json_decref(document);
}

/* The first point has no power: nothing was before it. */
static void test_power_is_growth(void **state)
{
	struct fixture *fixture = *state;
	json_t *document;

	for (int i = 0; i < 3; i++)
		tick(fixture, 1000);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(column(document, "t_ms")), 3);
	assert_int_equal(at(document, "t_ms", 2), UINT64_C(1000003000));
	assert_int_equal(at(document, "total_uw", 0), PAGE_UNKNOWN);
	assert_int_equal(at(document, "total_uw", 1), 18000000);
	assert_int_equal(at(document, "a0", 2), 1000000);
	assert_int_equal(at(document, "a1", 2), 2000000);
	assert_int_equal(at(document, "idle_uw", 2), 10000000);
	assert_int_equal(at(document, "other_uw", 2), 5000000);
	json_decref(document);
}

/* Who asks often gets no more points, and loses no energy. */
static void test_same_sample_and_early_ones(void **state)
{
	struct fixture *fixture = *state;
	json_t *document;

	tick(fixture, 1000);
	for (int i = 0; i < 20; i++) {
		tick(fixture, 100);
		page_history_add(fixture->history, &fixture->view, &fixture->clock.clock);
	}
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(column(document, "t_ms")), 3);
	assert_int_equal(at(document, "total_uw", 2), 18000000);
	json_decref(document);
}

/* A time without figures is a gap on both sides of which power is known, and not across. */
static void test_gap(void **state)
{
	struct fixture *fixture = *state;
	json_t *document;

	tick(fixture, 1000);
	tick(fixture, 1000);
	fixture->view.up = false;
	for (int i = 0; i < 5; i++) {
		manual_clock_advance(&fixture->clock, CLOCK_NS_PER_SECOND);
		page_history_add(fixture->history, &fixture->view, &fixture->clock.clock);
	}
	fixture->view.up = true;
	tick(fixture, 1000);
	tick(fixture, 1000);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(column(document, "t_ms")), 5);
	assert_int_equal(at(document, "total_uw", 1), 18000000);
	assert_int_equal(at(document, "total_uw", 2), PAGE_UNKNOWN);
	assert_int_equal(at(document, "total_uw", 3), PAGE_UNKNOWN);
	assert_int_equal(at(document, "total_uw", 4), 18000000);
	json_decref(document);
}

/* A ledger that was replaced by an emptier one is no negative power. */
static void test_counters_that_go_back(void **state)
{
	struct fixture *fixture = *state;
	json_t *document;

	tick(fixture, 1000);
	tick(fixture, 1000);
	fixture->view.total.energy_uj = 0;
	tick(fixture, 1000);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(at(document, "total_uw", 2), PAGE_UNKNOWN);
	assert_int_equal(at(document, "a0", 2), PAGE_UNKNOWN);
	json_decref(document);
}

/* A page that was opened goes on from the counters at the last point, at the time that is told of
 * it. */
static void test_where_a_page_goes_on(void **state)
{
	struct fixture *fixture = *state;
	json_t *document, *now;
	char *text;

	tick(fixture, 1000);
	tick(fixture, 1000);
	/* Asked only now; and the clock on the wall was set meanwhile. */
	manual_clock_advance(&fixture->clock, 700 * CLOCK_NS_PER_MS);
	fixture->clock.wall.ns -= 3600 * CLOCK_NS_PER_SECOND;
	document = told(fixture, PAGE_RANGE_MINUTES);
	text = page_json(&fixture->view, &fixture->clock.clock, NULL);
	assert_non_null(text);
	now = json_loads(text, 0, NULL);
	free(text);
	assert_int_equal(at(document, "t_ms", 1), UINT64_C(1000002000) - 3600 * 1000);
	assert_int_equal(json_integer_value(json_object_get(now, "t_ms")), at(document, "t_ms", 1));
	assert_int_equal(json_integer_value(json_object_get(document, "energy_uj")),
			 fixture->view.total.energy_uj);
	assert_int_equal(json_integer_value(json_object_get(document, "idle_uj")),
			 fixture->view.total.idle_uj);
	assert_int_equal(
	    json_integer_value(json_object_get(
		json_array_get(json_object_get(document, "accounts"), 0), "energy_uj")),
	    fixture->accounts[0].energy_uj);
	json_decref(now);
	json_decref(document);
	fixture->view.up = false;
	page_history_add(fixture->history, &fixture->view, &fixture->clock.clock);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_true(json_is_null(json_object_get(document, "energy_uj")));
	json_decref(document);
}

/* Two threads show views: an older one may come after a younger. */
static void test_a_view_that_comes_late(void **state)
{
	struct fixture *fixture = *state;
	struct page_view late;
	json_t *document;

	tick(fixture, 1000);
	late = fixture->view;
	tick(fixture, 1000);
	fixture->view.up = false;
	page_history_add(fixture->history, &fixture->view, &fixture->clock.clock);
	page_history_add(fixture->history, &late, &fixture->clock.clock);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(column(document, "t_ms")), 3);
	json_decref(document);
}

/* Each kind has its own accounts, also where names are the same; a kind that comes later has no
 * past, and one that nobody knows nothing. */
static void test_kinds(void **state)
{
	struct fixture *fixture = *state;
	struct page_account user = {.name = "a0", .power_uw = 7000000};
	json_t *document;

	tick(fixture, 1000);
	tick(fixture, 1000);
	fixture->view.groups[1] = (struct page_group){
	    .kind = "user", .of_members = "processes", .count = 1, .accounts = &user};
	fixture->view.group_count = 2;
	for (int i = 0; i < 2; i++) {
		user.energy_uj += 7000000;
		tick(fixture, 1000);
	}
	document = told_of(fixture, PAGE_RANGE_MINUTES, "user");
	assert_string_equal(json_string_value(json_object_get(document, "kind")), "user");
	assert_int_equal(json_array_size(json_object_get(document, "accounts")), 1);
	assert_int_equal(at(document, "total_uw", 3), 18000000);
	assert_int_equal(at(document, "a0", 3), 7000000);
	assert_int_equal(at(document, "a0", 2), PAGE_UNKNOWN);
	json_decref(document);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_string_equal(json_string_value(json_object_get(document, "kind")), "unit");
	assert_int_equal(at(document, "a0", 3), 1000000);
	json_decref(document);
	document = told_of(fixture, PAGE_RANGE_MINUTES, "pod");
	assert_int_equal(json_array_size(json_object_get(document, "accounts")), 0);
	assert_int_equal(at(document, "total_uw", 3), 18000000);
	json_decref(document);
}

/* The rings are bounded, and tell their range. */
static void test_hours(void **state)
{
	struct fixture *fixture = *state;
	json_t *minutes, *hour;

	for (int i = 0; i < 2 * 3600; i++)
		tick(fixture, 1000);
	minutes = told(fixture, PAGE_RANGE_MINUTES);
	hour = told(fixture, PAGE_RANGE_HOUR);
	assert_int_equal(json_array_size(column(minutes, "t_ms")), 301);
	assert_int_equal(json_array_size(column(hour, "t_ms")), 361);
	assert_int_equal(at(minutes, "total_uw", 0), 18000000);
	assert_int_equal(at(hour, "total_uw", 360), 18000000);
	assert_int_equal(at(hour, "a1", 360), 2000000);
	json_decref(minutes);
	json_decref(hour);
}

/* More accounts than there are series: the largest have one, and a newcomer that draws more. */
static void test_crowd(void **state)
{
	struct fixture *fixture = *state;
	json_t *document;

	fixture->count = CROWD - 1;
	for (int i = 0; i < 400; i++)
		tick(fixture, 1000);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(json_object_get(document, "accounts")), PAGE_SERIES_MAX);
	json_decref(document);
	fixture->count = CROWD;
	fixture->drawn_uw[CROWD - 1] = 1000000000;
	for (int i = 0; i < 3; i++)
		tick(fixture, 1000);
	document = told(fixture, PAGE_RANGE_MINUTES);
	assert_int_equal(json_array_size(json_object_get(document, "accounts")), PAGE_SERIES_MAX);
	/* Of the time before it had a series nothing is told of it. */
	assert_int_equal(at(document, fixture->names[CROWD - 1], 300), 1000000000);
	assert_int_equal(at(document, fixture->names[CROWD - 1], 297), PAGE_UNKNOWN);
	json_decref(document);
}

#define WITH_HISTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_HISTORY(test_empty),
	    WITH_HISTORY(test_power_is_growth),
	    WITH_HISTORY(test_same_sample_and_early_ones),
	    WITH_HISTORY(test_gap),
	    WITH_HISTORY(test_counters_that_go_back),
	    WITH_HISTORY(test_where_a_page_goes_on),
	    WITH_HISTORY(test_a_view_that_comes_late),
	    WITH_HISTORY(test_kinds),
	    WITH_HISTORY(test_hours),
	    WITH_HISTORY(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
