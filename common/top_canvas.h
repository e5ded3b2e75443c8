/*
 * top_canvas.h: a screen of characters, each in its cell, before any terminal sees it.
 *
 * What `top` draws on: --once prints it as plain text, top_terminal.c paints it. Text from outside
 * is made harmless when it is put here (glyph.h). One thread.
 */
#ifndef WATTPORT_COMMON_TOP_CANVAS_H
#define WATTPORT_COMMON_TOP_CANVAS_H

#include "common/glyph.h"

#include <stdio.h>

#define TOP_CELL_SIZE  24 /* bytes of a character with its accents; further accents are left out */
#define TOP_CANVAS_MAX 4096 /* columns, and lines on a terminal */

/* What a text is; the terminal decides how that looks. */
enum top_style {
	TOP_PLAIN,
	TOP_STRONG,
	TOP_FAINT,
	TOP_ACCENT, /* bars */
	TOP_WARNING,
	TOP_STYLE_COUNT,
};

struct top_cell {
	char text[TOP_CELL_SIZE]; /* empty: the second half of the character before */
	enum top_style style;
};

struct top_canvas {
	size_t width, height;
	bool unicode;  /* else only ASCII is put there */
	size_t marked; /* the line of the chosen row; SIZE_MAX: none */
	struct top_cell *cells;
};

/* Where a text goes and how many columns it may take. */
struct top_place {
	size_t line, column, width;
};

/* All blank. 0 or -ENOMEM. */
int top_canvas_init(struct top_canvas *canvas, size_t width, size_t height, bool unicode);
void top_canvas_finish(struct top_canvas *canvas);

/*
 * Puts the text there, at the left of the place or at its right, cut with an ellipsis where it is
 * wider. What lies outside the canvas is left out. Returns the columns that it took.
 */
size_t top_canvas_put(struct top_canvas *canvas, struct top_place place, enum top_style style,
		      const char *text);
size_t top_canvas_put_right(struct top_canvas *canvas, struct top_place place, enum top_style style,
			    const char *text);

/* The same, broken at spaces, over at most `lines` lines. Returns the lines that it took. */
size_t top_canvas_put_lines(struct top_canvas *canvas, struct top_place place, size_t lines,
			    enum top_style style, const char *text);

const struct top_cell *top_canvas_cell(const struct top_canvas *canvas, size_t line, size_t column);

/* All lines as text, without spaces at their ends. 0 or -EIO. */
int top_canvas_print(const struct top_canvas *canvas, FILE *stream);

#define cleanup_top_canvas __attribute__((cleanup(top_canvas_finish)))

#endif
