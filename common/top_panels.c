#include "common/top_screen_internal.h"

#include <string.h>

#define TOP_MARGIN	    1
#define TOP_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The rows that are on the screen, of all: "1-12 of 45". */
static size_t top_keys_draw_range(const struct top_scene *scene, struct top_canvas *canvas,
				  size_t line)
{
	const struct top_view *view = scene->view;
	struct top_place place = {line, 0, canvas->width};
	char text[TOP_TEXT_SIZE];

	if (view->shown == view->count || view->help)
		return 0;
	(void)snprintf(text, sizeof(text), "%zu-%zu of %zu", view->first + (view->shown > 0),
		       view->first + view->shown, view->count);
	return top_canvas_put_right(canvas, place, TOP_FAINT, text) + 2;
}

/* In the columns up to `end`. */
static void top_keys_draw_filter(const struct top_scene *scene, struct top_canvas *canvas,
				 size_t line, size_t end)
{
	const char *cursor = canvas->unicode ? "\xe2\x96\x8f" : "_";
	const char *hint = "Esc shows all again";
	struct top_place place = {line, TOP_MARGIN, canvas->width};

	place.column += top_canvas_put(canvas, place, TOP_ACCENT, "/");
	place.column += top_canvas_put(canvas, place, TOP_STRONG, scene->view->filter);
	if (scene->view->editing) {
		place.column += top_canvas_put(canvas, place, TOP_ACCENT, cursor);
		hint = "Enter keeps it, Esc ends it";
	}
	place.column += 2;
	if (place.column + strlen(hint) < end)
		(void)top_canvas_put(canvas, place, TOP_FAINT, hint);
}

void top_keys_draw(const struct top_scene *scene, struct top_canvas *canvas, size_t line)
{
	static const struct {
		const char *key, *does;
		bool pages; /* only where there are several */
	} keys[] = {
	    {"?", "help", false},    {"q", "quit", false},	  {"Tab", "kind", true},
	    {"/", "filter", false},  {"p e c n", "order", false}, {"Enter", "details", false},
	    {"u", "Wh or J", false}, {"Space", "pause", false},
	};
	const size_t end = canvas->width - top_keys_draw_range(scene, canvas, line);
	struct top_place place = {line, TOP_MARGIN, canvas->width};

	if (scene->view->help) {
		(void)top_canvas_put(canvas, place, TOP_FAINT, "any key goes back");
		return;
	}

	if (scene->view->editing || scene->view->filter[0] != '\0') {
		top_keys_draw_filter(scene, canvas, line, end);
		return;
	}
	for (size_t i = 0; i < TOP_COUNT_OF(keys); i++) {
		const size_t width = strlen(keys[i].key) + 1 + strlen(keys[i].does);

		if (keys[i].pages && scene->frame->page_count < 2)
			continue;
		if (place.column + width > end)
			break;
		place.width = strlen(keys[i].key);
		place.column += top_canvas_put(canvas, place, TOP_STRONG, keys[i].key) + 1;
		place.width = strlen(keys[i].does);
		place.column += top_canvas_put(canvas, place, TOP_FAINT, keys[i].does) + 3;
	}
}

void top_help_draw(const struct top_scene *scene, struct top_canvas *canvas, struct top_lines lines)
{
	static const struct {
		const char *key, *does;
		bool pages; /* only where there are several */
	} help[] = {
	    {"p e c n", "order by power, energy, CPU time, name", false},
	    {"s r", "the next order; the other way round", false},
	    {"/ text", "only what has it in its name or second column", false},
	    {"Tab", "the next kind: services, processes, users, ...", true},
	    {"Enter", "all that is known of the chosen row", false},
	    {"arrows j k", "choose; PgUp, PgDn, Home and End, too", false},
	    {"u", "watt-hours or joules", false},
	    {"Space", "pause, and go on", false},
	    {"Esc", "leave details, then the filter", false},
	    {"q", "quit", false},
	    {"", "", false},
	    {"-", "not known at the moment, which is not 0", false},
	    {"not assigned", "power at rest that no row has to carry", false},
	    {"other", "work that belongs to no row", false},
	};
	const size_t key_width = 14;

	struct top_lines left = lines;

	for (size_t i = 0; i < TOP_COUNT_OF(help) && left.count > 1; i++) {
		struct top_place place = {left.first, TOP_MARGIN, key_width};

		if (help[i].pages && scene->frame->page_count < 2)
			continue;
		left = (struct top_lines){left.first + 1, left.count - 1};
		(void)top_canvas_put(canvas, place, TOP_STRONG, help[i].key);
		place.column += key_width;
		place.width = canvas->width;
		(void)top_canvas_put(canvas, place, TOP_PLAIN, help[i].does);
	}
}

static const struct top_row *top_facts_row(const struct top_scene *scene)
{
	const struct top_view *view = scene->view;

	if (!view->facts || view->help || view->cursor >= view->count)
		return NULL;
	return top_view_row(view, scene->frame, view->cursor);
}

size_t top_facts_count(const struct top_scene *scene)
{
	const struct top_row *row = top_facts_row(scene);

	return row == NULL ? 0 : row->fact_count + 2;
}

/* A blank line where there is room for it, its whole name, and what is known. */
void top_facts_draw(const struct top_scene *scene, struct top_canvas *canvas,
		    struct top_lines lines)
{
	const struct top_row *row = top_facts_row(scene);
	const size_t name_width = 24;
	size_t rest = lines.count;

	if (row == NULL)
		return;
	if (rest > row->fact_count + 1)
		rest--;
	lines = (struct top_lines){lines.first + lines.count - rest, rest};
	(void)top_canvas_put(canvas, (struct top_place){lines.first, TOP_MARGIN, canvas->width},
			     TOP_STRONG, row->name);
	for (size_t i = 0; i < row->fact_count && i + 1 < lines.count; i++) {
		struct top_place place = {lines.first + 1 + i, TOP_MARGIN + 2, name_width};

		(void)top_canvas_put(canvas, place, TOP_FAINT, row->facts[i].name);
		place.column += name_width;
		place.width = canvas->width;
		(void)top_canvas_put(canvas, place, TOP_PLAIN, row->facts[i].value);
	}
}
