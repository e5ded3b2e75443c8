/* page_host.h, as page_json.h writes it: against golden files. */
#include "common/cleanup.h"
#include "common/page_json.h"
#include "host/ledger_view.h"
#include "host/page_host.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"
#include "tests/unit/ledger_fixture.h"

#define SECOND CLOCK_NS_PER_SECOND

/* The fixture's ledger as it is that long after its last sample. */
static void check_after(uint64_t age_ns, const char *golden)
{
	const struct mono_time now = {LEDGER_FIXTURE_TIME_NS + age_ns};
	struct manual_clock clock;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_copy struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_page_host struct page_view view = {.group_count = 0};
	cleanup_free char *text = NULL;
	struct diag reason = DIAG_INIT;

	assert_int_equal(ledger_copy_of(ledger, &copy), 0);
	manual_clock_init(&clock, now, (struct wall_time){UINT64_C(1767225600) * SECOND});
	assert_int_equal(summary_init(&summary, &copy, now), 0);
	(void)summary_check_fresh(&summary, &reason);
	assert_int_equal(page_host_view(&copy, &summary, &reason, &view), 0);
	/* What the page adds up is what there is. */
	{
		uint64_t sum_uj =
		    view.total.idle_uj + view.total.other_uj + view.groups[0].rest.energy_uj;

		for (size_t i = 0; i < view.groups[0].count; i++)
			sum_uj += view.groups[0].accounts[i].energy_uj;
		assert_int_equal(sum_uj, view.total.energy_uj);
	}
	text = page_json(&view, &clock.clock, NULL);
	assert_non_null(text);
	golden_check(golden, text, strlen(text));
}

static void test_fresh(void **state)
{
	(void)state;
	check_after(SECOND / 4, "page_host.json");
}

/* No power of a time of which nothing is known. */
static void test_stale(void **state)
{
	(void)state;
	check_after(83 * SECOND, "page_host_stale.json");
}

static void test_no_ledger(void **state)
{
	cleanup_free char *text = NULL;
	struct diag reason = DIAG_INIT;
	struct manual_clock clock;
	struct page_view view;

	(void)state;
	manual_clock_init(&clock, (struct mono_time){0}, (struct wall_time){0});
	(void)diag_error(&reason, -ENOENT, "start wattportd");
	assert_int_equal(page_host_view(NULL, NULL, &reason, &view), 0);
	text = page_json(&view, &clock.clock, NULL);
	assert_non_null(text);
	golden_check("page_host_none.json", text, strlen(text));
	page_host_release(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fresh),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_no_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
