/* top_screen.h: screens against golden files, sums that add up, and every size there is. */
#include "common/cleanup.h"
#include "common/top_balance.h"
#include "common/top_screen.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"
#include "tests/unit/top_fixture.h"

#include <locale.h>

#define AT 1000 /* seconds */

struct stage {
	struct top_frame frame;
	struct top_history history;
	struct top_view view;
	struct top_scene scene;
};

static struct stage *begin(void)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	CHECK_POINTER(stage);
	top_fixture_remember(&stage->history, AT);
	top_fixture_fill(&stage->frame, AT);
	stage->scene = (struct top_scene){.program = "wattport-agent top",
					  .frame = &stage->frame,
					  .history = &stage->history,
					  .view = &stage->view,
					  .now = stage->frame.time,
					  .interactive = true};
	return stage;
}

static void end(struct stage *stage)
{
	top_view_finish(&stage->view);
	top_frame_finish(&stage->frame);
	free(stage);
}

static char *draw(struct stage *stage, size_t width, size_t height, bool unicode)
{
	cleanup_top_canvas struct top_canvas canvas = {.cells = NULL};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	CHECK_POINTER(stream);
	assert_int_equal(top_canvas_init(&canvas, width, height, unicode), 0);
	assert_int_equal(top_screen_draw(&stage->scene, &canvas), 0);
	assert_int_equal(top_canvas_print(&canvas, stream), 0);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void draw_golden(struct stage *stage, size_t width, size_t height, const char *name)
{
	cleanup_free char *text = draw(stage, width, height, true);

	golden_check(name, text, strlen(text));
}

static void test_sizes_that_people_have(void **state)
{
	struct stage *stage = begin();

	(void)state;
	draw_golden(stage, 80, 24, "top_80x24.text");
	draw_golden(stage, 120, 40, "top_120x40.text");
	draw_golden(stage, 40, 10, "top_40x10.text");
	end(stage);
}

static void test_once(void **state)
{
	struct stage *stage = begin();
	size_t height;

	(void)state;
	stage->scene.interactive = false;
	stage->scene.whole = true;
	stage->frame.page_count = 1; /* the users of the fixture are for Tab */
	assert_int_equal(top_screen_full_height(&stage->scene, 100, &height), 0);
	draw_golden(stage, 100, height, "top_once.text");
	stage->frame.page_count = 2;
	end(stage);
}

static void test_what_keys_show(void **state)
{
	struct stage *stage = begin();

	(void)state;
	stage->view.facts = stage->view.paused = stage->view.watt_hours = true;
	stage->view.sort = TOP_BY_ENERGY;
	(void)snprintf(stage->view.filter, sizeof(stage->view.filter), "%s", "system.slice");
	draw_golden(stage, 80, 24, "top_facts.text");
	stage->view.page = 1;
	stage->view.editing = true;
	stage->view.filter[0] = '\0';
	draw_golden(stage, 80, 24, "top_users.text");
	stage->view.help = true;
	stage->view.editing = false;
	draw_golden(stage, 80, 24, "top_help.text");
	end(stage);
}

/* What is not known has no number; totals stay. */
static void test_old_figures(void **state)
{
	struct stage *stage = begin();
	struct top_page *page = &stage->frame.pages[0];

	(void)state;
	stage->frame.fresh = false;
	stage->frame.estimate = stage->frame.learning = true;
	stage->frame.age_ns = 14 * CLOCK_NS_PER_SECOND;
	stage->scene.now.ns += 14 * CLOCK_NS_PER_SECOND;
	stage->frame.measured.has_power = false;
	for (size_t i = 0; i < page->row_count; i++)
		page->rows[i].amount.has_power = false;
	page->rest.has_power = false;
	(void)diag_error(
	    &stage->frame.notice, -EAGAIN,
	    "the last sample is 14 s old: is wattportd running? A second sentence makes "
	    "this notice so long that it takes two lines");
	draw_golden(stage, 80, 24, "top_old.text");
	end(stage);
}

static void test_nothing_yet(void **state)
{
	struct stage *stage = begin();

	(void)state;
	top_frame_clear(&stage->frame);
	(void)snprintf(stage->frame.place, sizeof(stage->frame.place), "%s", "kvm1");
	(void)diag_error(&stage->frame.notice, -ENOENT,
			 "runtime directory /run/wattport: it does not exist: start wattportd");
	draw_golden(stage, 80, 24, "top_nothing.text");
	end(stage);
}

/* Only ASCII where the locale is not UTF-8. */
static void test_ascii(void **state)
{
	struct stage *stage = begin();
	cleanup_free char *text = draw(stage, 80, 24, false);

	(void)state;
	for (const char *at = text; *at != '\0'; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	golden_check("top_ascii.text", text, strlen(text));
	end(stage);
}

/* Nothing that a terminal obeys, at any size; each line has its width at most. */
static void test_every_size(void **state)
{
	struct stage *stage = begin();

	(void)state;
	(void)diag_error(&stage->frame.notice, -EAGAIN, "a notice that takes some of the lines");
	for (size_t width = 1; width <= 130; width += width < 50 ? 1 : 7) {
		for (size_t height = 1; height <= 45; height++) {
			cleanup_free char *text = NULL;
			size_t lines = 0;

			stage->view.facts = height % 3 == 0;
			stage->view.help = height % 7 == 0;
			stage->view.editing = height % 5 == 0;
			stage->view.page = width % 2;
			text = draw(stage, width, height, true);
			for (char *line = text, *next; *line != '\0'; line = next, lines++) {
				next = strchr(line, '\n');
				CHECK_POINTER(next);
				*next++ = '\0';
				for (const char *at = line; *at != '\0'; at++)
					assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
			}
			assert_int_equal(lines, height);
		}
	}
	end(stage);
}

/* The lines below the rows add up to what was measured, whatever is filtered. */
static void test_sums(void **state)
{
	static const char *const filters[] = {"", "system", "nothing has this"};
	struct stage *stage = begin();

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(filters); i++) {
		struct top_balance balance;
		uint64_t energy_uj = 0, power_uw = 0;
		size_t line;

		(void)snprintf(stage->view.filter, sizeof(stage->view.filter), "%s", filters[i]);
		assert_int_equal(top_view_arrange(&stage->view, &stage->frame, 5), 0);
		top_balance_make(&stage->frame, &stage->history, &stage->view, &balance);
		for (line = 0; line + 1 < balance.count; line++) {
			assert_true(balance.lines[line].amount.has_power);
			energy_uj += balance.lines[line].amount.energy_uj;
			power_uw += balance.lines[line].amount.power_uw;
		}
		assert_int_equal(energy_uj, balance.lines[line].amount.energy_uj);
		assert_int_equal(power_uw, balance.lines[line].amount.power_uw);
		assert_int_equal(power_uw, stage->frame.measured.power_uw);
		/* Idle and other as they were booked. */
		assert_int_equal(balance.lines[line - 1].amount.power_uw, 15700000);
		assert_int_equal(balance.lines[line - 2].amount.power_uw, 4321000);
	}
	end(stage);
}

/* A page that lags behind the first says what it has not divided yet; it adds up all the same. */
static void test_sums_with_what_is_pending(void **state)
{
	struct stage *stage = begin();
	struct top_page *users = &stage->frame.pages[1];
	struct top_balance balance;
	uint64_t energy_uj = 0, power_uw = 0;

	(void)state;
	users->kind = TOP_WHOLE;
	stage->view.page = 1;
	users->pending_uj = stage->frame.measured.energy_uj - stage->frame.idle_uj -
			    stage->frame.other_uj - users->rows[0].amount.energy_uj -
			    users->rows[1].amount.energy_uj;
	assert_int_equal(top_view_arrange(&stage->view, &stage->frame, 5), 0);
	top_balance_make(&stage->frame, &stage->history, &stage->view, &balance);
	assert_int_equal(balance.count, 5);
	assert_string_equal(balance.lines[1].name, "not divided yet");
	for (size_t line = 0; line < 4; line++) {
		energy_uj += balance.lines[line].amount.energy_uj;
		power_uw += balance.lines[line].amount.power_uw;
	}
	assert_int_equal(energy_uj, stage->frame.measured.energy_uj);
	assert_int_equal(power_uw, stage->frame.measured.power_uw);
	assert_int_equal(balance.lines[3].amount.power_uw, 15700000);
	end(stage);
}

/* Before a second sample nobody knows what is idle, and no number is made up. */
static void test_sums_of_one_sample(void **state)
{
	struct stage *stage = begin();
	struct top_balance balance;

	(void)state;
	stage->history = (struct top_history){.count = 0};
	top_history_add(&stage->history, &stage->frame);
	assert_int_equal(top_view_arrange(&stage->view, &stage->frame, 5), 0);
	top_balance_make(&stage->frame, &stage->history, &stage->view, &balance);
	assert_false(balance.lines[balance.count - 2].amount.has_power);
	assert_false(balance.lines[balance.count - 3].amount.has_power);
	assert_true(balance.lines[balance.count - 1].amount.has_power);
	end(stage);
}

static void test_words_are_broken_at_spaces(void **state)
{
	cleanup_top_canvas struct top_canvas canvas = {.cells = NULL};
	cleanup_free char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	(void)state;
	CHECK_POINTER(stream);
	assert_int_equal(top_canvas_init(&canvas, 10, 4, true), 0);
	assert_int_equal(top_canvas_put_lines(&canvas, (struct top_place){0, 1, 99}, 4, TOP_PLAIN,
					      "one two three averyverylongword x"),
			 4);
	assert_int_equal(top_canvas_print(&canvas, stream), 0);
	assert_int_equal(fclose(stream), 0);
	assert_string_equal(text, " one two\n three\n averyvery\n longword\xe2\x80\xa6\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes_that_people_have),
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_what_keys_show),
	    cmocka_unit_test(test_old_figures),
	    cmocka_unit_test(test_nothing_yet),
	    cmocka_unit_test(test_ascii),
	    cmocka_unit_test(test_every_size),
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_sums_with_what_is_pending),
	    cmocka_unit_test(test_sums_of_one_sample),
	    cmocka_unit_test(test_words_are_broken_at_spaces),
	};

	/* The widths of characters must not depend on who runs the test. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
