/*
 * glyph.h: one character of outside text, as a terminal may show it.
 *
 * For all that prints names which tenants choose: machines, services, processes. No name may move
 * the cursor, colour the screen, turn the order of what stands beside it, or look like another by
 * what cannot be seen: what does that becomes '?'. Widths are those of the locale. Pure but for
 * the locale: safe in any thread.
 */
#ifndef WATTPORT_COMMON_GLYPH_H
#define WATTPORT_COMMON_GLYPH_H

#include "common/utf8.h"

#include <stdbool.h>
#include <stddef.h>

/* Behind text with letters that are written from right to left: keeps what follows in its place. */
#define GLYPH_LEFT_TO_RIGHT "\xe2\x80\x8e"

struct glyph {
	char text[UTF8_CHARACTER_SIZE]; /* to be shown; may be empty */
	size_t width;			/* columns: 0 (joins the one before), 1 or 2 */
	bool known;			/* the locale has it; else the width is a guess */
	bool right_to_left;
};

/* Takes the first character off `*text`. False at its end. */
bool glyph_next(const char **text, struct glyph *ret_glyph);

/* The columns that the text takes. */
size_t glyph_text_width(const char *text);

#endif
