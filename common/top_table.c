#include "common/features.h"
#include "common/quantity.h"
#include "common/top_screen_internal.h"

#define TOP_MARGIN     1
#define TOP_GAP	       2
#define TOP_NAME_MIN   12 /* columns of a name that tells anything */
#define TOP_NAME_GOOD  20
#define TOP_NAME_MAX   40 /* of a screen that has room for longer bars */
#define TOP_DETAIL_MAX 16
#define TOP_BAR_MIN    8
#define TOP_BAR_MAX    48
#define TOP_BAR_STEPS  8 /* of a column */

/* How wide each column is; 0: it is left out. */
struct top_columns {
	size_t name, detail, power, bar, share, energy, cpu;
};

/* One column of `width` is added where the name keeps so many. */
static size_t top_columns_add(struct top_columns *columns, size_t width, size_t name_min)
{
	if (columns->name < name_min + TOP_GAP + width)
		return 0;
	columns->name -= TOP_GAP + width;
	return width;
}

static size_t top_widest(const struct top_scene *scene, bool details)
{
	const struct top_page *page = &scene->frame->pages[scene->view->page];
	size_t widest = glyph_text_width(details ? page->detail : page->column);

	for (size_t i = 0; i < page->row_count; i++) {
		const struct top_row *row = &page->rows[i];
		const size_t width = glyph_text_width(details ? row->detail : row->name);

		widest = width > widest ? width : widest;
	}
	return widest;
}

/* By what matters most; a bar rather than long names, unless these are cut. */
static struct top_columns top_columns_make(const struct top_scene *scene, size_t width)
{
	struct top_columns columns = {.name = width > TOP_MARGIN ? width - TOP_MARGIN : 0};
	size_t name, detail, more;

	columns.power = top_columns_add(&columns, 8, 8);
	columns.energy = top_columns_add(&columns, 8, TOP_NAME_MIN);
	columns.share = top_columns_add(&columns, 7, TOP_NAME_MIN);
	columns.cpu = top_columns_add(&columns, 9, TOP_NAME_MIN);
	columns.bar = top_columns_add(&columns, TOP_BAR_MIN, TOP_NAME_GOOD);
	detail = top_widest(scene, true);
	detail = detail > TOP_DETAIL_MAX ? TOP_DETAIL_MAX : detail;
	columns.detail = top_columns_add(&columns, detail, TOP_NAME_GOOD);
	name = top_widest(scene, false);
	name = name < TOP_NAME_GOOD ? TOP_NAME_GOOD : name;
	name = name > TOP_NAME_MAX ? TOP_NAME_MAX : name;
	more = columns.name > name ? columns.name - name : 0;
	if (columns.bar > 0 && more > 0) {
		more = more > TOP_BAR_MAX - columns.bar ? TOP_BAR_MAX - columns.bar : more;
		columns.bar += more;
		columns.name -= more;
	}
	return columns;
}

/* A line of the table, before it has a place. */
struct top_texts {
	const char *name, *detail;
	char power[QUANTITY_SIZE], share[QUANTITY_SIZE], energy[QUANTITY_SIZE], cpu[QUANTITY_SIZE];
	uint64_t bar, bar_whole; /* how much of the bar is full */
	enum top_style style, name_style;
	enum top_style power_style;
};

static void top_put_bar(struct top_canvas *canvas, struct top_place place,
			const struct top_texts *texts)
{
	static const char *const parts[TOP_BAR_STEPS] = {"",
							 "\xe2\x96\x8f",
							 "\xe2\x96\x8e",
							 "\xe2\x96\x8d",
							 "\xe2\x96\x8c",
							 "\xe2\x96\x8b",
							 "\xe2\x96\x8a",
							 "\xe2\x96\x89"};
	const size_t steps = canvas->unicode ? TOP_BAR_STEPS : 1;
	size_t filled;

	if (texts->bar_whole == 0)
		return;
	filled = (size_t)features_scale(texts->bar, place.width * steps, texts->bar_whole);
	for (; filled >= steps; filled -= steps, place.column++)
		(void)top_canvas_put(canvas, (struct top_place){place.line, place.column, 1},
				     TOP_ACCENT, canvas->unicode ? "\xe2\x96\x88" : "#");
	if (filled > 0)
		(void)top_canvas_put(canvas, (struct top_place){place.line, place.column, 1},
				     TOP_ACCENT, parts[filled]);
}

static void top_put_line(struct top_canvas *canvas, size_t line, const struct top_columns *columns,
			 const struct top_texts *texts)
{
	struct top_place place = {line, TOP_MARGIN, columns->name};
	const struct {
		size_t width;
		const char *text;
		enum top_style style;
	} right[] = {
	    {columns->share, texts->share, texts->style},
	    {columns->energy, texts->energy, texts->style},
	    {columns->cpu, texts->cpu, texts->style},
	};

	(void)top_canvas_put(canvas, place, texts->name_style, texts->name);
	place.column += columns->name + TOP_GAP;
	if (columns->detail > 0) {
		place.width = columns->detail;
		(void)top_canvas_put(canvas, place, TOP_FAINT, texts->detail);
		place.column += columns->detail + TOP_GAP;
	}
	place.width = columns->power;
	(void)top_canvas_put_right(canvas, place, texts->power_style, texts->power);
	place.column += columns->power + TOP_GAP;
	if (columns->bar > 0) {
		place.width = columns->bar;
		top_put_bar(canvas, place, texts);
		place.column += columns->bar + TOP_GAP;
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		if (right[i].width == 0)
			continue;
		place.width = right[i].width;
		(void)top_canvas_put_right(canvas, place, right[i].style, right[i].text);
		place.column += right[i].width + TOP_GAP;
	}
}

/* The measure in bar and share; false: it is not known. */
static bool top_measure(const struct top_scene *scene, struct top_amount amount,
			uint64_t *ret_value)
{
	*ret_value = top_scene_by_energy(scene) ? amount.energy_uj : amount.power_uw;
	return top_scene_by_energy(scene) || amount.has_power;
}

/* The figures of an amount as texts. */
static void top_texts_set(const struct top_scene *scene, struct top_amount amount,
			  struct top_texts *texts)
{
	uint64_t value, whole;

	top_power_text(amount, texts->power, sizeof(texts->power));
	top_energy_text(scene->view, amount.energy_uj, texts->energy, sizeof(texts->energy));
	(void)snprintf(texts->share, sizeof(texts->share), TOP_UNKNOWN);
	if (top_measure(scene, scene->frame->measured, &whole) && whole > 0 &&
	    top_measure(scene, amount, &value))
		quantity_share(value, whole, texts->share);
	texts->style = scene->frame->fresh ? TOP_PLAIN : TOP_FAINT;
	texts->name_style = texts->power_style = texts->style;
}

/* The titles; a mark at the one that orders the rows. */
static void top_put_titles(const struct top_scene *scene, struct top_canvas *canvas, size_t line,
			   const struct top_columns *columns)
{
	const struct top_page *page = &scene->frame->pages[scene->view->page];
	const enum top_sort sort = scene->view->sort;
	const char *mark = canvas->unicode ? "\xe2\x96\xbe" : "v";
	char name[TOP_TEXT_SIZE];
	struct top_texts texts = {.name = name,
				  .detail = page->detail,
				  .style = TOP_FAINT,
				  .name_style = TOP_FAINT,
				  .power_style = TOP_FAINT};

	if (scene->view->reverse)
		mark = canvas->unicode ? "\xe2\x96\xb4" : "^";
	(void)snprintf(name, sizeof(name), "%s%s", page->column, sort == TOP_BY_NAME ? mark : "");
	(void)snprintf(texts.power, sizeof(texts.power), "%sPOWER",
		       sort == TOP_BY_POWER ? mark : "");
	(void)snprintf(texts.energy, sizeof(texts.energy), "%sENERGY",
		       sort == TOP_BY_ENERGY ? mark : "");
	(void)snprintf(texts.cpu, sizeof(texts.cpu), "%sCPU TIME", sort == TOP_BY_CPU ? mark : "");
	(void)snprintf(texts.share, sizeof(texts.share), "SHARE");
	top_put_line(canvas, line, columns, &texts);
}

static void top_put_row(const struct top_scene *scene, struct top_canvas *canvas, size_t line,
			const struct top_columns *columns, size_t index)
{
	const struct top_page *page = &scene->frame->pages[scene->view->page];
	const struct top_row *row = top_view_row(scene->view, scene->frame, index);
	struct top_texts texts = {.name = row->name, .detail = row->detail};
	uint64_t value;

	top_texts_set(scene, row->amount, &texts);
	quantity_time(row->cpu_ns, texts.cpu);
	if (row->faint)
		texts.style = texts.name_style = texts.power_style = TOP_FAINT;
	else if (scene->frame->fresh)
		texts.name_style = TOP_STRONG;
	for (size_t i = 0; i < page->row_count; i++)
		if (top_measure(scene, page->rows[i].amount, &value) && value > texts.bar_whole)
			texts.bar_whole = value;
	if (top_measure(scene, row->amount, &value))
		texts.bar = value;
	top_put_line(canvas, line, columns, &texts);
	if (scene->interactive && index == scene->view->cursor)
		canvas->marked = line;
}

void top_table_draw(const struct top_scene *scene, struct top_canvas *canvas,
		    struct top_lines lines, const struct top_balance *balance,
		    struct top_lines sums)
{
	const struct top_columns columns = top_columns_make(scene, canvas->width);
	const struct top_view *view = scene->view;

	if (lines.count > 0)
		top_put_titles(scene, canvas, lines.first, &columns);
	for (size_t i = 0; i < view->shown; i++)
		top_put_row(scene, canvas, lines.first + 1 + i, &columns, view->first + i);
	for (size_t i = 0; i < sums.count; i++) {
		/* Where there is one line, it is the last. */
		const struct top_balance_line *sum =
		    &balance->lines[balance->count - sums.count + i];
		struct top_texts texts = {.name = sum->name, .detail = ""};

		top_texts_set(scene, sum->amount, &texts);
		texts.name_style = texts.style = texts.power_style = TOP_FAINT;
		if (i + 1 == sums.count && scene->frame->fresh)
			texts.name_style = texts.style = texts.power_style = TOP_STRONG;
		top_put_line(canvas, sums.first + i, &columns, &texts);
	}
}
