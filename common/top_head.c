#include "common/quantity.h"
#include "common/top_screen_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define TOP_MARGIN	   1
#define TOP_NOTICE_LINES   3
#define TOP_HEAD_ROOMY	   16 /* lines of a screen that has room for a blank one */
#define TOP_SPARK_MAX	   120
#define TOP_SPARK_MIN	   3 /* samples that make a picture */
#define TOP_WATCHED_NS_MIN (10 * CLOCK_NS_PER_SECOND)
#define TOP_POWER_WIDTH	   9

/* What is in the head at this height; each is a line, the notice some. */
struct top_head {
	bool power, energy, watched, pages, blank;
	size_t notice;
};

static struct top_head top_head_make(const struct top_scene *scene, const struct top_canvas *canvas)
{
	const struct top_frame *frame = scene->frame;
	const size_t height = scene->whole ? SIZE_MAX : canvas->height;
	const uint64_t watched_ns = clock_elapsed_ns(scene->history->begin, scene->history->last);
	struct top_head head = {
	    .power = frame->sampled && height >= 4,
	    .energy = frame->sampled && height >= 9,
	    .pages = frame->page_count > 1 && height >= 6,
	    .blank = height >= TOP_HEAD_ROOMY,
	};
	struct top_canvas scratch;

	head.watched =
	    head.energy && height >= TOP_HEAD_ROOMY && frame->since_ns == 0 &&
	    (watched_ns >= TOP_WATCHED_NS_MIN || (watched_ns > 0 && frame->grams[0] != '\0')) &&
	    frame->measured.energy_uj >= scene->history->energy_uj;
	if (frame->notice.text[0] == '\0' || height < 3)
		return head;
	head.notice = 1;
	if (height < TOP_HEAD_ROOMY ||
	    top_canvas_init(&scratch, canvas->width, TOP_NOTICE_LINES, canvas->unicode) < 0)
		return head;
	head.notice = top_canvas_put_lines(
	    &scratch, (struct top_place){0, TOP_MARGIN, canvas->width - TOP_MARGIN},
	    TOP_NOTICE_LINES, TOP_WARNING, frame->notice.text);
	top_canvas_finish(&scratch);
	return head;
}

size_t top_head_count(const struct top_scene *scene, const struct top_canvas *canvas)
{
	const struct top_head head = top_head_make(scene, canvas);
	const size_t count = (size_t)1 + head.power + head.energy + head.watched + head.notice +
			     head.pages + head.blank;

	return count < canvas->height ? count : canvas->height;
}

/* What the head's first line says at its right, the most important last. */
struct top_words {
	size_t count;
	struct {
		enum top_style style;
		char text[TOP_TEXT_SIZE];
	} words[6];
};

static void top_words_add(struct top_words *words, enum top_style style, const char *text)
{
	assert(words->count < sizeof(words->words) / sizeof(words->words[0]));
	words->words[words->count].style = style;
	(void)snprintf(words->words[words->count].text, TOP_TEXT_SIZE, "%s", text);
	words->count++;
}

static void top_words_add_age(struct top_words *words, const struct top_frame *frame)
{
	char age[QUANTITY_SIZE], text[TOP_TEXT_SIZE];

	if (!frame->sampled) {
		top_words_add(words, TOP_WARNING, "no data");
		return;
	}
	quantity_duration(frame->age_ns, age);
	(void)snprintf(text, sizeof(text), "%s%s ago", frame->fresh ? "" : "OLD: ", age);
	top_words_add(words, frame->fresh ? TOP_FAINT : TOP_WARNING, text);
}

/* From the right to the left, as many as there is room for. */
static size_t top_words_draw(const struct top_words *words, struct top_canvas *canvas, size_t room)
{
	size_t end = canvas->width;

	for (size_t i = words->count; i > 0; i--) {
		const char *text = words->words[i - 1].text;
		const size_t width = glyph_text_width(text);

		if (width + 3 > room)
			break;
		(void)top_canvas_put(canvas, (struct top_place){0, end - width, width},
				     words->words[i - 1].style, text);
		end -= width + 2;
		room -= width + 2;
	}
	return canvas->width - end;
}

static void top_head_draw_title(const struct top_scene *scene, struct top_canvas *canvas)
{
	const struct top_frame *frame = scene->frame;
	const size_t name_max = glyph_text_width(frame->place);
	const size_t program = glyph_text_width(scene->program);
	struct top_words words = {.count = 0};
	size_t column = TOP_MARGIN, used;

	top_words_add(&words, TOP_FAINT, frame->source);
	if (frame->learning)
		top_words_add(&words, TOP_FAINT, "learning");
	if (frame->estimate)
		top_words_add(&words, TOP_WARNING, "ESTIMATE");
	top_words_add_age(&words, frame);
	if (scene->view->paused)
		top_words_add(&words, TOP_WARNING, "PAUSED");
	used = name_max < canvas->width / 3 ? name_max : canvas->width / 3;
	used = top_words_draw(&words, canvas, canvas->width > used ? canvas->width - used : 0);
	/* The program's name only where there is room for all else. */
	if (column + program + 2 + name_max + used < canvas->width) {
		(void)top_canvas_put(canvas, (struct top_place){0, column, program}, TOP_FAINT,
				     scene->program);
		column += program + 2;
	}
	if (canvas->width > column + used)
		(void)top_canvas_put(canvas,
				     (struct top_place){0, column, canvas->width - column - used},
				     TOP_STRONG, frame->place);
}

/* "187 W  [the last minutes]  at most 240 W in 2 min". */
static void top_head_draw_power(const struct top_scene *scene, struct top_canvas *canvas,
				size_t line)
{
	const size_t labelled = 60; /* columns of a screen that has room for the picture's label */
	const size_t start = TOP_MARGIN + TOP_POWER_WIDTH;
	const size_t label = canvas->width >= labelled ? 26 : 0;
	struct top_place spark = {line, start, 0};
	char text[TOP_TEXT_SIZE], peak[QUANTITY_SIZE];
	uint64_t most_uw;

	top_power_text(scene->frame->measured, text, sizeof(text));
	if (!scene->frame->measured.has_power)
		(void)snprintf(text, sizeof(text), "- W");
	(void)top_canvas_put(canvas, (struct top_place){line, TOP_MARGIN, TOP_POWER_WIDTH},
			     scene->frame->fresh ? TOP_STRONG : TOP_FAINT, text);
	if (canvas->width <= start + label + 4 || scene->history->count < TOP_SPARK_MIN)
		return;
	spark.width = canvas->width - start - label;
	spark.width = spark.width > TOP_SPARK_MAX ? TOP_SPARK_MAX : spark.width;
	most_uw = top_spark_draw(scene, canvas, spark);
	if (label == 0 || most_uw == 0)
		return;
	quantity_power(most_uw, peak);
	(void)snprintf(text, sizeof(text), "up to %s in %u s", peak,
		       (unsigned int)(spark.width * TOP_HISTORY_STEP_NS / CLOCK_NS_PER_SECOND));
	(void)top_canvas_put_right(canvas, (struct top_place){line, canvas->width - label, label},
				   TOP_FAINT, text);
}

/* "89.0 kJ  in 3 min 05 s: what that means". */
static void top_head_put_energy(const struct top_scene *scene, struct top_canvas *canvas,
				size_t line, uint64_t energy_uj, const char *text)
{
	const enum top_style style = scene->frame->fresh ? TOP_PLAIN : TOP_FAINT;
	struct top_place place = {line, TOP_MARGIN, TOP_POWER_WIDTH - 1};
	char energy[QUANTITY_SIZE];

	top_energy_text(scene->view, energy_uj, energy, sizeof(energy));
	(void)top_canvas_put(canvas, place, style, energy);
	place.column += TOP_POWER_WIDTH;
	place.width = canvas->width > place.column ? canvas->width - place.column : 0;
	(void)top_canvas_put(canvas, place, style, text);
}

/* All that was measured, since when, and what that means. */
static void top_head_draw_energy(const struct top_scene *scene, struct top_canvas *canvas,
				 size_t line)
{
	const struct top_frame *frame = scene->frame;
	const char *grams = frame->since_ns > 0 ? frame->grams : "";
	const bool both = grams[0] != '\0' && frame->likeness[0] != '\0';
	const bool any = grams[0] != '\0' || frame->likeness[0] != '\0';
	char span[QUANTITY_SIZE], since[TOP_TEXT_SIZE] = "booked so far";
	char text[3 * TOP_NAME_SIZE];

	if (frame->since_ns > 0) {
		quantity_duration(frame->since_ns, span);
		(void)snprintf(since, sizeof(since), "in %s", span);
	}
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s", since, any ? ": " : "", grams,
		       both ? ", " : "", frame->likeness);
	top_head_put_energy(scene, canvas, line, frame->measured.energy_uj, text);
}

/* Of what has been counted for longer, what came while somebody watched. */
static void top_head_draw_watched(const struct top_scene *scene, struct top_canvas *canvas,
				  size_t line)
{
	const struct top_frame *frame = scene->frame;
	const struct top_history *history = scene->history;
	char span[QUANTITY_SIZE], text[2 * TOP_NAME_SIZE];

	quantity_duration(clock_elapsed_ns(history->begin, history->last), span);
	(void)snprintf(text, sizeof(text), "of it in the last %s%s%s", span,
		       frame->grams[0] != '\0' ? ": " : "", frame->grams);
	top_head_put_energy(scene, canvas, line, frame->measured.energy_uj - history->energy_uj,
			    text);
}

/* The kinds that Tab leads through. */
static void top_head_draw_pages(const struct top_scene *scene, struct top_canvas *canvas,
				size_t line)
{
	struct top_place place = {line, TOP_MARGIN, canvas->width};

	for (size_t i = 0; i < scene->frame->page_count; i++) {
		const bool chosen = i == scene->view->page;
		char text[TOP_TEXT_SIZE];

		(void)snprintf(text, sizeof(text), chosen ? "[%s %zu]" : " %s %zu ",
			       scene->frame->pages[i].title, scene->frame->pages[i].row_count);
		place.column +=
		    top_canvas_put(canvas, place, chosen ? TOP_STRONG : TOP_FAINT, text);
		place.column++;
	}
}

void top_head_draw(const struct top_scene *scene, struct top_canvas *canvas, struct top_lines lines)
{
	const struct top_head head = top_head_make(scene, canvas);
	size_t line = lines.first;

	if (lines.count == 0)
		return;
	top_head_draw_title(scene, canvas);
	line++;
	if (head.power)
		top_head_draw_power(scene, canvas, line++);
	if (head.energy)
		top_head_draw_energy(scene, canvas, line++);
	if (head.watched)
		top_head_draw_watched(scene, canvas, line++);
	if (head.notice > 0)
		line += top_canvas_put_lines(canvas,
					     (struct top_place){line, TOP_MARGIN, canvas->width},
					     head.notice, TOP_WARNING, scene->frame->notice.text);
	line += head.blank;
	if (head.pages)
		top_head_draw_pages(scene, canvas, line);
}
