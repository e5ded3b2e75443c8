/* top_ledger.h: the ledger as rows, whose sums are what was measured. */
#include "common/cleanup.h"
#include "host/ledger_view.h"
#include "host/top_ledger.h"
#include "tests/unit/check.h"
#include "tests/unit/ledger_fixture.h"

struct scene {
	struct ledger *ledger;
	struct ledger_copy copy;
	struct summary summary;
	struct top_frame frame;
};

static struct scene begin(uint64_t age_ns)
{
	struct scene scene = {.ledger = ledger_fixture_create()};

	assert_int_equal(ledger_copy_of(scene.ledger, &scene.copy), 0);
	assert_int_equal(summary_init(&scene.summary, &scene.copy,
				      (struct mono_time){.ns = LEDGER_FIXTURE_TIME_NS + age_ns}),
			 0);
	assert_int_equal(top_ledger_fill(&scene.copy, &scene.summary, &scene.frame), 0);
	return scene;
}

static void end(struct scene *scene)
{
	top_frame_finish(&scene->frame);
	summary_finish(&scene->summary);
	ledger_copy_free(&scene->copy);
	ledger_destroy(scene->ledger);
}

static void test_rows_rest_other_and_idle_are_all(void **state)
{
	struct scene scene = begin(CLOCK_NS_PER_SECOND);
	const struct top_page *page = &scene.frame.pages[0];
	uint64_t sum_uj = page->rest.energy_uj + scene.frame.other_uj + scene.frame.idle_uj;

	(void)state;
	assert_int_equal(page->row_count, scene.summary.vm_count);
	for (size_t i = 0; i < page->row_count; i++)
		sum_uj += page->rows[i].amount.energy_uj;
	assert_int_equal(sum_uj, scene.frame.measured.energy_uj);
	assert_true(page->rest.energy_uj > scene.summary.away_uj);
	assert_true(scene.frame.fresh && scene.frame.measured.has_power);
	assert_string_equal(scene.frame.source, "powercap, isolated view");
	check_contains(scene.frame.notice.text, "zone package-1-die-0 cannot be read");
	check_contains(scene.frame.notice.text, "no room for some machines");
	end(&scene);
}

static void test_a_row(void **state)
{
	struct scene scene = begin(CLOCK_NS_PER_SECOND);
	const struct top_row *row = &scene.frame.pages[0].rows[1];

	(void)state;
	assert_string_equal(row->name, "web");
	assert_string_equal(row->detail, "running");
	assert_int_equal(row->cpu_ns, 2 * (UINT64_C(1234567891) + 98765432));
	assert_false(row->faint);
	assert_string_equal(row->facts[0].name, "uuid");
	assert_string_equal(row->facts[0].value, "a0b1c2d3-e4f5-4607-9829-3a4b5c6d7e01");
	assert_string_equal(row->facts[1].value, "2 vCPUs, 2.0 GiB held");
	assert_true(scene.frame.pages[0].rows[2].faint);
	end(&scene);
}

/* 10 s are fresh, more are not: then there is no power anywhere. */
static void test_old_figures_have_no_power(void **state)
{
	struct scene scene = begin(10 * CLOCK_NS_PER_SECOND);

	(void)state;
	assert_true(scene.frame.fresh);
	end(&scene);
	scene = begin(10 * CLOCK_NS_PER_SECOND + 1);
	assert_true(scene.frame.sampled);
	assert_false(scene.frame.fresh || scene.frame.measured.has_power ||
		     scene.frame.pages[0].rest.has_power);
	for (size_t i = 0; i < scene.frame.pages[0].row_count; i++)
		assert_false(scene.frame.pages[0].rows[i].amount.has_power);
	assert_string_equal(scene.frame.notice.text,
			    "the last sample is 10 s old: is wattportd running?");
	end(&scene);
}

static void test_no_sample(void **state)
{
	const struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_top_frame struct top_frame frame = {.page_count = 0};

	(void)state;
	assert_int_equal(summary_init(&summary, &copy, (struct mono_time){.ns = 1}), 0);
	assert_int_equal(top_ledger_fill(&copy, &summary, &frame), 0);
	assert_false(frame.sampled || frame.fresh);
	assert_int_equal(frame.page_count, 0);
	assert_string_equal(frame.notice.text, "wattportd has not taken a sample yet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_rest_other_and_idle_are_all),
	    cmocka_unit_test(test_a_row),
	    cmocka_unit_test(test_old_figures_have_no_power),
	    cmocka_unit_test(test_no_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
