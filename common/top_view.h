/*
 * top_view.h: what a person has chosen to see of a frame: page, order, filter, row; and their keys.
 *
 * Third stage of `top`: turns a page of the frame into the rows in their order, and keys into
 * choices. The chosen row is followed by its identity, wherever it moves. Pure; one thread.
 */
#ifndef WATTPORT_COMMON_TOP_VIEW_H
#define WATTPORT_COMMON_TOP_VIEW_H

#include "common/top_frame.h"

#define TOP_FILTER_SIZE 64

enum top_sort {
	TOP_BY_POWER,
	TOP_BY_ENERGY,
	TOP_BY_CPU,
	TOP_BY_NAME,
	TOP_SORT_COUNT,
};

/* Keys without a character; those that have one are their code point. */
enum top_key {
	TOP_KEY_UP = 0x110000, /* behind Unicode */
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_ERASE,
	TOP_KEY_TAB,
	TOP_KEY_TAB_BACK,
	TOP_KEY_NONE,
};

struct top_view {
	size_t page;
	enum top_sort sort;
	bool reverse;
	bool watt_hours; /* instead of joules */
	bool paused;
	bool help;
	bool facts;   /* all of the chosen row */
	bool editing; /* keys go into the filter */
	char filter[TOP_FILTER_SIZE];
	bool has_chosen; /* else it is the first row */
	uint64_t chosen; /* its identity */

	/* What top_view_arrange() found; indices into the page's rows. */
	size_t count;  /* rows that pass the filter */
	size_t *order; /* them, as they are shown */
	size_t order_capacity;
	size_t cursor; /* of the chosen one, in `order` */
	size_t first;  /* of the first that is on the screen, in `order` */
	size_t shown;  /* how many are */
};

enum top_action {
	TOP_STAY,
	TOP_QUIT,
};

/* All zero is the view that `top` begins with. */
void top_view_finish(struct top_view *view);

/*
 * Filters and orders the frame's chosen page, of which `rows` lines are visible. A page that is
 * gone gives way to the first. 0 or -ENOMEM.
 */
int top_view_arrange(struct top_view *view, const struct top_frame *frame, size_t rows);

/* The row in line `line` of those that are arranged. */
const struct top_row *top_view_row(const struct top_view *view, const struct top_frame *frame,
				   size_t line);

/* A key was pressed; a key without meaning changes nothing. Arrange anew afterwards. */
enum top_action top_view_key(struct top_view *view, const struct top_frame *frame,
			     unsigned int key);

/* Whether the row passes the filter: its name or its detail contains it, in any case. */
bool top_view_passes(const struct top_view *view, const struct top_row *row);

#endif
