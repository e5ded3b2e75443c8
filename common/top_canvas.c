#include "common/top_canvas.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int top_canvas_init(struct top_canvas *canvas, size_t width, size_t height, bool unicode)
{
	/* One more: calloc() of nothing may return NULL. */
	struct top_cell *cells = calloc(width * height + 1, sizeof(*cells));

	if (cells == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < width * height; i++)
		cells[i].text[0] = ' ';
	*canvas = (struct top_canvas){width, height, unicode, SIZE_MAX, cells};
	return 0;
}

void top_canvas_finish(struct top_canvas *canvas)
{
	free(canvas->cells);
	*canvas = (struct top_canvas){.cells = NULL};
}

static struct top_cell *top_canvas_at(const struct top_canvas *canvas, size_t line, size_t column)
{
	assert(line < canvas->height && column < canvas->width);
	return &canvas->cells[line * canvas->width + column];
}

const struct top_cell *top_canvas_cell(const struct top_canvas *canvas, size_t line, size_t column)
{
	return top_canvas_at(canvas, line, column);
}

/* What the canvas can show of it. */
static void top_canvas_admit(const struct top_canvas *canvas, struct glyph *glyph)
{
	if (glyph->known && (canvas->unicode || (unsigned char)glyph->text[0] < 0x80))
		return;
	*glyph = (struct glyph){.text = "?", .width = 1, .known = true};
}

/* What finds no room is left out; some is kept for the mark at the end of a text. */
static void top_cell_append(struct top_cell *cell, const char *text, bool is_mark)
{
	const size_t kept = is_mark ? 0 : strlen(GLYPH_LEFT_TO_RIGHT);
	const size_t size = strlen(cell->text);

	if (size + strlen(text) + kept < sizeof(cell->text))
		memcpy(cell->text + size, text, strlen(text) + 1);
}

/* The columns it takes on this canvas. */
static size_t top_canvas_width_of(const struct top_canvas *canvas, const char *text)
{
	struct glyph glyph;
	size_t width = 0;

	while (glyph_next(&text, &glyph)) {
		top_canvas_admit(canvas, &glyph);
		width += glyph.width;
	}
	return width;
}

/* The part of the place that is on the canvas. */
static struct top_place top_canvas_clip(const struct top_canvas *canvas, struct top_place place)
{
	if (place.line >= canvas->height || place.column >= canvas->width)
		place.width = 0;
	else if (place.width > canvas->width - place.column)
		place.width = canvas->width - place.column;
	return place;
}

/* As many whole characters as fit; returns their columns. */
static size_t top_canvas_write(struct top_canvas *canvas, struct top_place place,
			       enum top_style style, const char *text)
{
	struct top_cell *last = NULL;
	bool right_to_left = false;
	struct glyph glyph;
	size_t used = 0;

	while (glyph_next(&text, &glyph)) {
		top_canvas_admit(canvas, &glyph);
		if (used + glyph.width > place.width)
			break;
		right_to_left = right_to_left || glyph.right_to_left;
		if (glyph.width == 0) {
			if (last != NULL)
				top_cell_append(last, glyph.text, false);
			continue;
		}
		last = top_canvas_at(canvas, place.line, place.column + used);
		*last = (struct top_cell){.style = style};
		top_cell_append(last, glyph.text, false);
		if (glyph.width == 2)
			*top_canvas_at(canvas, place.line, place.column + used + 1) =
			    (struct top_cell){.style = style};
		used += glyph.width;
	}
	if (right_to_left && last != NULL)
		top_cell_append(last, GLYPH_LEFT_TO_RIGHT, true);
	return used;
}

size_t top_canvas_put(struct top_canvas *canvas, struct top_place place, enum top_style style,
		      const char *text)
{
	const char *ellipsis = canvas->unicode ? "\xe2\x80\xa6" : ".";
	size_t used;

	place = top_canvas_clip(canvas, place);
	if (place.width == 0)
		return 0;
	if (top_canvas_width_of(canvas, text) <= place.width)
		return top_canvas_write(canvas, place, style, text);
	place.width--;
	used = top_canvas_write(canvas, place, style, text);
	place.column += used;
	place.width = 1;
	return used + top_canvas_write(canvas, place, style, ellipsis);
}

size_t top_canvas_put_right(struct top_canvas *canvas, struct top_place place, enum top_style style,
			    const char *text)
{
	const size_t width = top_canvas_width_of(canvas, text);

	if (width < place.width) {
		place.column += place.width - width;
		place.width = width;
	}
	return top_canvas_put(canvas, place, style, text);
}

/* The bytes of the words that fit into the width; at least one character, and no space behind. */
static size_t top_canvas_break(const struct top_canvas *canvas, const char *text, size_t width_max)
{
	const char *next = text;
	size_t width = 0, fits = 0, words = 0;
	struct glyph glyph;

	while (*next != '\0') {
		const char *before = next;

		(void)glyph_next(&next, &glyph);
		top_canvas_admit(canvas, &glyph);
		if (*before == ' ')
			words = (size_t)(before - text);
		width += glyph.width;
		if (width > width_max && *before != ' ')
			return words > 0 ? words : fits;
		fits = (size_t)(next - text);
	}
	return fits;
}

size_t top_canvas_put_lines(struct top_canvas *canvas, struct top_place place, size_t lines,
			    enum top_style style, const char *text)
{
	size_t line = 0;

	place.width = top_canvas_clip(canvas, place).width;
	for (; *text != '\0' && line < lines && place.width > 1; line++, place.line++) {
		const size_t size = top_canvas_break(canvas, text, place.width);
		char *part;

		if (line + 1 == lines) {
			(void)top_canvas_put(canvas, place, style, text);
			return lines;
		}
		part = strndup(text, size);
		if (part == NULL)
			break;
		(void)top_canvas_put(canvas, place, style, part);
		free(part);
		text += size + strspn(text + size, " ");
	}
	return line;
}

/* One past the last column of the line that is not blank. */
static size_t top_canvas_end(const struct top_canvas *canvas, size_t line)
{
	size_t end = canvas->width;

	while (end > 0 && strcmp(top_canvas_at(canvas, line, end - 1)->text, " ") == 0)
		end--;
	return end;
}

int top_canvas_print(const struct top_canvas *canvas, FILE *stream)
{
	for (size_t line = 0; line < canvas->height; line++) {
		const size_t end = top_canvas_end(canvas, line);

		for (size_t column = 0; column < end; column++)
			(void)fputs(top_canvas_at(canvas, line, column)->text, stream);
		(void)fputc('\n', stream);
	}
	return ferror(stream) ? -EIO : 0;
}
