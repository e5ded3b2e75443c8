/* top_view.h: order, filter, the chosen row, and what each key does. */
#include "common/top_view.h"
#include "tests/unit/check.h"
#include "tests/unit/top_fixture.h"

#include <locale.h>

struct scene {
	struct top_frame frame;
	struct top_view view;
};

static struct scene begin(void)
{
	struct scene scene = {.view = {.page = 0}};

	top_fixture_fill(&scene.frame, 100);
	return scene;
}

static void end(struct scene *scene)
{
	top_view_finish(&scene->view);
	top_frame_finish(&scene->frame);
}

static const char *name_at(struct scene *scene, size_t line)
{
	return top_view_row(&scene->view, &scene->frame, line)->name;
}

static void arrange(struct scene *scene, size_t rows)
{
	assert_int_equal(top_view_arrange(&scene->view, &scene->frame, rows), 0);
}

/* The key, and the screen of five rows that follows. */
static void press(struct scene *scene, unsigned int key)
{
	assert_int_equal(top_view_key(&scene->view, &scene->frame, key), TOP_STAY);
	arrange(scene, 5);
}

static void type(struct scene *scene, const char *text)
{
	for (; *text != '\0'; text++)
		press(scene, (unsigned char)*text);
}

static void test_orders(void **state)
{
	static const struct {
		unsigned int key;
		const char *first, *last;
	} orders[] = {
	    {'e', "postgresql@15-main.service", "getty@tty1.service"},
	    {'c', "a-name-that-is-much-longer-than-any-column-can-be.service", "cron.service"},
	    {'p', "postgresql@15-main.service", "getty@tty1.service"},
	    {'n', "J\xc3\xbcrgen-\xe6\x97\xa5\xe6\x9c\xac.service",
	     "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d.service"},
	};
	struct scene scene = begin();

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(orders); i++) {
		press(&scene, orders[i].key);
		assert_string_equal(name_at(&scene, 0), orders[i].first);
		assert_string_equal(name_at(&scene, scene.view.count - 1), orders[i].last);
		press(&scene, 'r');
		assert_string_equal(name_at(&scene, 0), orders[i].last);
		press(&scene, 'r');
	}
	end(&scene);
}

/* Rows whose power is not known are behind those whose power is 0. */
static void test_unknown_power_is_last(void **state)
{
	struct scene scene = begin();
	struct top_page *page = &scene.frame.pages[0];

	(void)state;
	page->rows[0].amount.has_power = false;
	arrange(&scene, 5);
	assert_string_equal(name_at(&scene, page->row_count - 1), "nginx.service");
	end(&scene);
}

static void test_filter(void **state)
{
	struct scene scene = begin();

	(void)state;
	press(&scene, '/');
	type(&scene, "NGinq");
	assert_int_equal(scene.view.count, 0);
	press(&scene, TOP_KEY_ERASE);
	assert_int_equal(scene.view.count, 1);
	assert_string_equal(name_at(&scene, 0), "nginx.service");
	press(&scene, TOP_KEY_ENTER);
	press(&scene, 'p'); /* an order again, not text */
	assert_string_equal(scene.view.filter, "NGin");
	press(&scene, TOP_KEY_ESCAPE);
	assert_int_equal(scene.view.count, scene.frame.pages[0].row_count);
	/* The second column counts, too, and so do letters outside ASCII, in any case. */
	press(&scene, '/');
	type(&scene, "docker.SL");
	assert_int_equal(scene.view.count, 1);
	press(&scene, TOP_KEY_ESCAPE);
	press(&scene, '/');
	press(&scene, 0xdc);
	press(&scene, 'R');
	assert_int_equal(scene.view.count, 1);
	press(&scene, TOP_KEY_ERASE);
	press(&scene, TOP_KEY_ERASE);
	press(&scene, TOP_KEY_ERASE);
	assert_string_equal(scene.view.filter, "");
	end(&scene);
}

/* A filter takes no control character, and no more than it has room for. */
static void test_filter_is_bounded(void **state)
{
	struct scene scene = begin();

	(void)state;
	press(&scene, '/');
	press(&scene, 0x1b);
	press(&scene, 0x9b);
	press(&scene, TOP_KEY_UP);
	press(&scene, 'a');
	assert_string_equal(scene.view.filter, "a");
	for (size_t i = 0; i < TOP_FILTER_SIZE; i++)
		press(&scene, 0x65e5);
	assert_true(strlen(scene.view.filter) < TOP_FILTER_SIZE);
	assert_int_equal((strlen(scene.view.filter) - 1) % 3, 0);
	end(&scene);
}

/* It is the row that is chosen, not its place: that moves with the order. */
static void test_the_chosen_row_is_followed(void **state)
{
	struct scene scene = begin();
	struct top_row *nginx = &scene.frame.pages[0].rows[0];

	(void)state;
	arrange(&scene, 5);
	press(&scene, 'j');
	assert_string_equal(name_at(&scene, scene.view.cursor), "nginx.service");
	nginx->amount.power_uw = 1;
	arrange(&scene, 5);
	assert_string_equal(name_at(&scene, scene.view.cursor), "nginx.service");
	assert_true(scene.view.cursor >= scene.view.first);
	assert_true(scene.view.cursor < scene.view.first + scene.view.shown);
	/* Where it is gone, what now stands in its place is chosen. */
	nginx->identity++;
	scene.view.cursor = 3;
	arrange(&scene, 5);
	assert_int_equal(scene.view.cursor, 3);
	assert_int_equal(scene.view.chosen, top_view_row(&scene.view, &scene.frame, 3)->identity);
	end(&scene);
}

static void test_walking(void **state)
{
	struct scene scene = begin();
	const size_t last = scene.frame.pages[0].row_count - 1;

	(void)state;
	arrange(&scene, 5);
	press(&scene, TOP_KEY_UP);
	assert_int_equal(scene.view.cursor, 0);
	press(&scene, TOP_KEY_PAGE_DOWN);
	assert_int_equal(scene.view.cursor, 5);
	assert_int_equal(scene.view.first, 1);
	press(&scene, TOP_KEY_END);
	assert_int_equal(scene.view.cursor, last);
	assert_int_equal(scene.view.first + scene.view.shown, last + 1);
	press(&scene, TOP_KEY_DOWN);
	assert_int_equal(scene.view.cursor, last);
	press(&scene, TOP_KEY_PAGE_UP);
	assert_int_equal(scene.view.cursor, last - 5);
	press(&scene, TOP_KEY_HOME);
	assert_int_equal(scene.view.cursor, 0);
	assert_int_equal(scene.view.first, 0);
	end(&scene);
}

static void test_pages(void **state)
{
	struct scene scene = begin();

	(void)state;
	arrange(&scene, 5);
	press(&scene, TOP_KEY_TAB);
	assert_int_equal(scene.view.page, 1);
	assert_int_equal(scene.view.count, 2);
	press(&scene, TOP_KEY_TAB);
	assert_int_equal(scene.view.page, 0);
	press(&scene, TOP_KEY_TAB_BACK);
	assert_int_equal(scene.view.page, 1);
	/* A page that is gone, and a frame without any. */
	scene.frame.page_count = 1;
	arrange(&scene, 5);
	assert_int_equal(scene.view.page, 0);
	scene.frame.page_count = 0;
	arrange(&scene, 5);
	assert_int_equal(scene.view.count, 0);
	press(&scene, TOP_KEY_TAB);
	press(&scene, TOP_KEY_END);
	press(&scene, TOP_KEY_ENTER);
	scene.frame.page_count = 2;
	end(&scene);
}

static void test_choices(void **state)
{
	struct scene scene = begin();

	(void)state;
	arrange(&scene, 5);
	press(&scene, 'u');
	assert_true(scene.view.watt_hours);
	press(&scene, ' ');
	assert_true(scene.view.paused);
	press(&scene, TOP_KEY_ENTER);
	assert_true(scene.view.facts);
	press(&scene, TOP_KEY_ESCAPE);
	assert_false(scene.view.facts);
	/* Help goes with any key, which does nothing else. */
	press(&scene, '?');
	assert_true(scene.view.help);
	press(&scene, 'q');
	assert_false(scene.view.help);
	press(&scene, 's');
	assert_int_equal(scene.view.sort, TOP_BY_ENERGY);
	press(&scene, TOP_KEY_NONE);
	press(&scene, 0x10ffff);
	assert_int_equal(top_view_key(&scene.view, &scene.frame, 'q'), TOP_QUIT);
	end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_unknown_power_is_last),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_filter_is_bounded),
	    cmocka_unit_test(test_the_chosen_row_is_followed),
	    cmocka_unit_test(test_walking),
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_choices),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
