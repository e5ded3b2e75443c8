#include "common/top_view.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <wctype.h>

void top_view_finish(struct top_view *view)
{
	free(view->order);
	*view = (struct top_view){.order = NULL};
}

/* The text's first character, without its case, and the text behind it. */
static unsigned int top_view_fold(const char **text)
{
	unsigned int character;

	*text += utf8_decode(*text, &character);
	return (unsigned int)towlower((wint_t)character);
}

static bool top_view_begins(const char *text, const char *part)
{
	while (*part != '\0') {
		if (*text == '\0' || top_view_fold(&text) != top_view_fold(&part))
			return false;
	}
	return true;
}

static bool top_view_contains(const char *text, const char *part)
{
	unsigned int skipped;

	for (; *text != '\0'; text += utf8_decode(text, &skipped))
		if (top_view_begins(text, part))
			return true;
	return *part == '\0';
}

bool top_view_passes(const struct top_view *view, const struct top_row *row)
{
	return top_view_contains(row->name, view->filter) ||
	       top_view_contains(row->detail, view->filter);
}

struct top_order {
	const struct top_row *rows;
	enum top_sort sort;
	bool reverse;
};

/* As qsort() wants it: the larger comes first. */
static int top_order_numbers(uint64_t left, uint64_t right)
{
	return left > right ? -1 : left < right;
}

static int top_order_by(enum top_sort sort, const struct top_row *left, const struct top_row *right)
{
	switch (sort) {
	case TOP_BY_POWER:
		if (left->amount.has_power != right->amount.has_power)
			return left->amount.has_power ? -1 : 1;
		return top_order_numbers(left->amount.power_uw, right->amount.power_uw);
	case TOP_BY_ENERGY:
		return top_order_numbers(left->amount.energy_uj, right->amount.energy_uj);
	case TOP_BY_CPU:
		return top_order_numbers(left->cpu_ns, right->cpu_ns);
	case TOP_BY_NAME:
	case TOP_SORT_COUNT:
		break;
	}
	return strcmp(left->name, right->name);
}

/* What is equal keeps one order from frame to frame, so that nothing flickers. */
static int top_order_compare(const void *left, const void *right, void *context)
{
	const struct top_order *order = context;
	const struct top_row *a = &order->rows[*(const size_t *)left];
	const struct top_row *b = &order->rows[*(const size_t *)right];
	int result = top_order_by(order->sort, a, b);

	if (order->reverse)
		result = -result;
	if (result == 0)
		result = top_order_by(TOP_BY_ENERGY, a, b);
	if (result == 0)
		result = top_order_by(TOP_BY_NAME, a, b);
	return result != 0 ? result : top_order_numbers(a->identity, b->identity);
}

static int top_view_reserve(struct top_view *view, size_t count)
{
	size_t *order;

	if (count <= view->order_capacity)
		return 0;
	order = reallocarray(view->order, count, sizeof(*order));
	if (order == NULL)
		return -ENOMEM;
	view->order = order;
	view->order_capacity = count;
	return 0;
}

/* Finds the chosen row again; where it is gone, its place is chosen, and what now stands there. */
static void top_view_follow(struct top_view *view, const struct top_row *rows)
{
	if (!view->has_chosen)
		view->cursor = 0;
	for (size_t i = 0; view->has_chosen && i < view->count; i++) {
		if (rows[view->order[i]].identity == view->chosen) {
			view->cursor = i;
			return;
		}
	}
	if (view->cursor >= view->count)
		view->cursor = view->count > 0 ? view->count - 1 : 0;
	if (view->count == 0)
		view->facts = false;
	else if (view->has_chosen)
		view->chosen = rows[view->order[view->cursor]].identity;
}

/* As little as keeps the chosen row on the screen, and the screen full. */
static void top_view_scroll(struct top_view *view, size_t rows)
{
	const size_t last = view->count > rows ? view->count - rows : 0;

	if (view->cursor < view->first)
		view->first = view->cursor;
	if (rows > 0 && view->cursor >= view->first + rows)
		view->first = view->cursor - rows + 1;
	if (view->first > last)
		view->first = last;
	view->shown = view->count - view->first < rows ? view->count - view->first : rows;
}

int top_view_arrange(struct top_view *view, const struct top_frame *frame, size_t rows)
{
	const struct top_page *page;
	struct top_order order;
	int status;

	view->count = view->shown = 0;
	if (view->page >= frame->page_count)
		view->page = 0;
	if (frame->page_count == 0)
		return 0;
	page = &frame->pages[view->page];
	status = top_view_reserve(view, page->row_count);
	if (status < 0)
		return status;
	for (size_t i = 0; i < page->row_count; i++)
		if (top_view_passes(view, &page->rows[i]))
			view->order[view->count++] = i;
	order = (struct top_order){page->rows, view->sort, view->reverse};
	if (view->count > 0)
		qsort_r(view->order, view->count, sizeof(*view->order), top_order_compare, &order);
	top_view_follow(view, page->rows);
	top_view_scroll(view, rows);
	return 0;
}

const struct top_row *top_view_row(const struct top_view *view, const struct top_frame *frame,
				   size_t line)
{
	assert(line < view->count);
	return &frame->pages[view->page].rows[view->order[line]];
}
