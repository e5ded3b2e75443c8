/* top_accounts.h: what a guest's accounts look like as rows, and what the host's state makes of it.
 */
#include "common/cleanup.h"
#include "guest/accounts_view_internal.h"
#include "guest/top_accounts.h"
#include "tests/unit/check.h"

#include <stdio.h>

static void put_account(struct account *account, const char *name, uint64_t energy_uj)
{
	(void)snprintf(account->name, sizeof(account->name), "%s", name);
	(void)snprintf(account->detail, sizeof(account->detail), "system.slice");
	account->members = 3;
	account->cpu_ns = 7000000;
	account->total = (struct account_use){energy_uj, energy_uj / 10};
	account->zones[0] = account->total;
}

/* Two units, a process and a slice; 10 J in all. */
static struct accounts_view *make_view(void)
{
	struct accounts_view_shape shape = {.zone_count = 1};
	struct accounts_view *view = NULL;

	shape.counts[ACCOUNT_UNIT] = 2;
	shape.counts[ACCOUNT_PROCESS] = 1;
	shape.counts[ACCOUNT_SLICE] = 1;
	assert_int_equal(accounts_view_create(&shape, &view), 0);
	CHECK_POINTER(view);
	view->reading.up = view->reading.opened = true;
	view->reading.from_tree = view->reading.has_info = true;
	view->reading.time.ns = 77;
	view->reading.info = (struct tree_info){.age_ms = 250, .estimate = true};
	(void)snprintf(view->reading.info.source, sizeof(view->reading.info.source), "model");
	view->interval_ns = CLOCK_NS_PER_SECOND;
	view->age_ns = 60 * CLOCK_NS_PER_SECOND;
	(void)snprintf(view->zones[0].id, ZONE_ID_SIZE, "package-0");
	view->reading.zone_count = 1;
	view->reading.zones[0] = (struct meter_zone){.id = "package-0", .available = true};
	view->total.energy_uj = 10000000;
	view->total.power_uw = 1000000;
	view->total.idle_uj = 3000000;
	view->total.other_uj = 1000000;
	put_account(&view->groups[ACCOUNT_UNIT].accounts[0], "nginx.service", 4000000);
	put_account(&view->groups[ACCOUNT_UNIT].accounts[1], "cron.service", 1500000);
	view->groups[ACCOUNT_UNIT].accounts[1].members = 0;
	view->groups[ACCOUNT_UNIT].rest.total.energy_uj = 500000;
	put_account(&view->groups[ACCOUNT_PROCESS].accounts[0], "nginx", 4000000);
	view->groups[ACCOUNT_PROCESS].accounts[0].pid = 4711;
	view->groups[ACCOUNT_PROCESS].pending_uj = 2000000;
	put_account(&view->groups[ACCOUNT_SLICE].accounts[0], "system.slice", 5500000);
	return view;
}

static uint64_t page_sum(const struct top_frame *frame, size_t index)
{
	const struct top_page *page = &frame->pages[index];
	uint64_t sum_uj =
	    page->rest.energy_uj + page->pending_uj + frame->idle_uj + frame->other_uj;

	for (size_t i = 0; i < page->row_count; i++)
		sum_uj += page->rows[i].amount.energy_uj;
	return sum_uj;
}

static void test_pages(void **state)
{
	struct accounts_view *view = make_view();
	cleanup_top_frame struct top_frame frame = {.page_count = 0};
	const struct top_row *row;

	(void)state;
	assert_int_equal(top_accounts_fill(view, &frame), 0);
	assert_int_equal(frame.page_count, ACCOUNT_KIND_COUNT);
	assert_true(frame.fresh && frame.sampled && frame.estimate && frame.learning);
	assert_string_equal(frame.source, "host's model, isolated view");
	assert_int_equal(frame.age_ns, 250 * CLOCK_NS_PER_MS);
	assert_int_equal(frame.since_ns, view->age_ns);
	assert_int_equal(page_sum(&frame, 0), frame.measured.energy_uj);
	assert_string_equal(frame.pages[0].title, "units");
	row = &frame.pages[0].rows[0];
	assert_string_equal(row->name, "nginx.service");
	assert_string_equal(row->detail, "system.slice");
	assert_true(row->amount.has_power && !row->faint);
	assert_int_equal(row->amount.power_uw, 400000);
	assert_true(frame.pages[0].rows[1].faint);
	check_contains(row->facts[row->fact_count - 1].value, " mW");
	/* What is not divided yet is in the sum of its page. */
	assert_string_equal(frame.pages[1].rows[0].name, "nginx [4711]");
	assert_int_equal(page_sum(&frame, 1), frame.measured.energy_uj);
	assert_int_equal(frame.pages[3].kind, TOP_NESTED);
	/* Whether the kernel tells of processes that end, and of how many it did. */
	assert_string_equal(frame.pages[0].rest_name, "ended, and others");
	assert_string_equal(frame.pages[1].rest_name, "ended unseen, and others");
	view->exits = (struct accounts_exits){.counted = true, .ended = 1234};
	top_frame_clear(&frame);
	assert_int_equal(top_accounts_fill(view, &frame), 0);
	assert_string_equal(frame.pages[1].rest_name, "1234 ended, and others");
	/* A zone that cannot be read now has no power. */
	view->reading.zones[0].available = false;
	top_frame_clear(&frame);
	assert_int_equal(top_accounts_fill(view, &frame), 0);
	row = &frame.pages[0].rows[0];
	assert_null(strchr(row->facts[row->fact_count - 1].value, 'W'));
	accounts_view_release(view);
}

/* Where the host is gone there is no power, and the reason is told; what was divided stays. */
static void test_not_up(void **state)
{
	struct accounts_view *view = make_view();
	cleanup_top_frame struct top_frame frame = {.page_count = 0};

	(void)state;
	view->reading.up = false;
	(void)diag_error(&view->reading.reason, -EAGAIN, "the host's data is 42 s old");
	assert_int_equal(top_accounts_fill(view, &frame), 0);
	assert_false(frame.fresh || frame.measured.has_power ||
		     frame.pages[0].rows[0].amount.has_power);
	assert_true(frame.sampled);
	assert_string_equal(frame.notice.text, "the host's data is 42 s old");
	assert_int_equal(frame.pages[0].rows[0].amount.energy_uj, 4000000);
	accounts_view_release(view);
}

/* The first view has no power yet, which is not 0. */
static void test_first_view(void **state)
{
	struct accounts_view *view = make_view();
	cleanup_top_frame struct top_frame frame = {.page_count = 0};

	(void)state;
	view->interval_ns = 0;
	view->reading.from_tree = false;
	assert_int_equal(top_accounts_fill(view, &frame), 0);
	assert_true(frame.fresh);
	assert_false(frame.measured.has_power || frame.pages[0].rows[0].amount.has_power);
	assert_string_equal(frame.source, "own powercap");
	accounts_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_not_up),
	    cmocka_unit_test(test_first_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
