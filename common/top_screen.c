#include "common/top_screen.h"
#include "common/quantity.h"
#include "common/top_screen_internal.h"

#include <stdint.h>

#define TOP_ROWS_MIN  ((size_t)3) /* rows that are there before sums and keys are */
#define TOP_ROWS_CALM 10	  /* rows and sums with a blank line between them */

/* Which lines each part has. */
struct top_layout {
	struct top_lines head, rows, facts, sums;
	bool keys;
};

bool top_scene_by_energy(const struct top_scene *scene)
{
	return scene->view->sort == TOP_BY_ENERGY;
}

void top_power_text(struct top_amount amount, char *ret_text, size_t size)
{
	char text[QUANTITY_SIZE] = TOP_UNKNOWN;

	if (amount.has_power)
		quantity_power(amount.power_uw, text);
	(void)snprintf(ret_text, size, "%s", text);
}

void top_energy_text(const struct top_view *view, uint64_t energy_uj, char *ret_text, size_t size)
{
	char text[QUANTITY_SIZE];

	if (view->watt_hours)
		quantity_watt_hours(energy_uj, text);
	else
		quantity_energy(energy_uj, text);
	(void)snprintf(ret_text, size, "%s", text);
}

static size_t top_smaller(size_t left, size_t right)
{
	return left < right ? left : right;
}

/* Of what is left, `wanted` lines, but so that `kept` remain. */
static size_t top_layout_take(size_t *left, size_t wanted, size_t kept)
{
	const size_t taken = *left > kept ? top_smaller(*left - kept, wanted) : 0;

	*left -= taken;
	return taken;
}

static struct top_layout top_layout_make(const struct top_scene *scene,
					 const struct top_canvas *canvas,
					 const struct top_balance *balance)
{
	const bool editing = scene->view->editing;
	struct top_layout layout = {.head = {0, top_head_count(scene, canvas)}};
	size_t left = canvas->height - layout.head.count;
	size_t facts, gap = 0;

	layout.keys =
	    scene->interactive && top_layout_take(&left, 1, editing ? 0 : TOP_ROWS_MIN) > 0;
	/* All of the sums or what was measured: some of them would add up to nothing. */
	layout.sums.count = top_layout_take(&left, balance->count,
					    top_smaller(1 + scene->view->count, 2 * TOP_ROWS_MIN));
	if (layout.sums.count < balance->count) {
		left += layout.sums.count;
		layout.sums.count = top_layout_take(&left, balance->count > 0, TOP_ROWS_MIN);
	}
	if ((left >= TOP_ROWS_CALM || scene->whole) && layout.sums.count > 1)
		gap = top_layout_take(&left, 1, 0);
	facts = top_facts_count(scene);
	layout.facts.count = top_layout_take(&left, facts, top_smaller(left, TOP_ROWS_MIN));
	/* What is below the rows comes right after the last one, wherever that is. */
	layout.rows =
	    (struct top_lines){layout.head.count, top_smaller(left, 1 + scene->view->count)};
	layout.facts.first = layout.rows.first + layout.rows.count;
	layout.sums.first = layout.facts.first + layout.facts.count + gap;
	return layout;
}

int top_screen_draw(const struct top_scene *scene, struct top_canvas *canvas)
{
	struct top_balance balance = {.count = 0};
	struct top_layout layout;
	int status = top_view_arrange(scene->view, scene->frame, 0);

	if (status < 0)
		return status;
	if (scene->frame->page_count > 0)
		top_balance_make(scene->frame, scene->history, scene->view, &balance);
	layout = top_layout_make(scene, canvas, &balance);
	/* One line is the titles'. */
	status = top_view_arrange(scene->view, scene->frame,
				  layout.rows.count > 0 ? layout.rows.count - 1 : 0);
	if (status < 0)
		return status;
	top_head_draw(scene, canvas, layout.head);
	if (scene->view->help)
		top_help_draw(
		    scene, canvas,
		    (struct top_lines){layout.head.count, canvas->height - layout.head.count});
	else if (scene->frame->page_count > 0)
		top_table_draw(scene, canvas, layout.rows, &balance, layout.sums);
	if (!scene->view->help && layout.facts.count > 0)
		top_facts_draw(scene, canvas, layout.facts);
	if (layout.keys)
		top_keys_draw(scene, canvas, canvas->height - 1);
	return 0;
}

int top_screen_full_height(const struct top_scene *scene, size_t width, size_t *ret_height)
{
	const struct top_canvas canvas = {.width = width, .height = SIZE_MAX};
	struct top_balance balance = {.count = 0};
	size_t below = 0;
	int status = top_view_arrange(scene->view, scene->frame, 0);

	if (status < 0)
		return status;
	if (scene->frame->page_count > 0) {
		top_balance_make(scene->frame, scene->history, scene->view, &balance);
		below = 1 + scene->view->count;
		below += balance.count + (balance.count > 1);
	}
	*ret_height = top_head_count(scene, &canvas) + below;
	return 0;
}
