#include "common/top_view.h"
#include "common/utf8.h"

#include <string.h>

/* The last character of the filter goes. */
static void top_filter_erase(struct top_view *view)
{
	const size_t size = strlen(view->filter);
	size_t end = size;

	while (end > 0 && ((unsigned char)view->filter[end - 1] & 0xc0) == 0x80)
		end--;
	if (end > 0)
		view->filter[end - 1] = '\0';
}

/* Text that is no text for a filter, or finds no room, is left out. */
static void top_filter_type(struct top_view *view, unsigned int character)
{
	const size_t size = strlen(view->filter);
	char text[UTF8_CHARACTER_SIZE];

	if (character < 0x20 || (character >= 0x7f && character < 0xa0))
		return;
	utf8_encode(character, text);
	if (size + strlen(text) < sizeof(view->filter))
		memcpy(view->filter + size, text, strlen(text) + 1);
}

static void top_view_edit(struct top_view *view, unsigned int key)
{
	switch (key) {
	case TOP_KEY_ENTER:
		view->editing = false;
		break;
	case TOP_KEY_ESCAPE:
		view->editing = false;
		view->filter[0] = '\0';
		break;
	case TOP_KEY_ERASE:
		top_filter_erase(view);
		break;
	default:
		if (key < TOP_KEY_UP)
			top_filter_type(view, key);
		break;
	}
}

/* `by` lines down, or up; past an end it stays there. */
static void top_view_move(struct top_view *view, const struct top_frame *frame, ptrdiff_t by)
{
	const ptrdiff_t last = (ptrdiff_t)view->count - 1;
	ptrdiff_t cursor = (ptrdiff_t)view->cursor + by;

	if (view->count == 0)
		return;
	cursor = cursor > last ? last : cursor;
	view->cursor = cursor < 0 ? 0 : (size_t)cursor;
	view->has_chosen = true;
	view->chosen = top_view_row(view, frame, view->cursor)->identity;
}

static void top_view_sort(struct top_view *view, enum top_sort sort)
{
	view->reverse = false;
	view->sort = sort;
}

static void top_view_turn(struct top_view *view, const struct top_frame *frame, size_t by)
{
	if (frame->page_count == 0)
		return;
	view->page = (view->page + by) % frame->page_count;
	view->has_chosen = false;
	view->first = 0;
	view->facts = false;
}

/* Keys that lead through the rows. False: it is none of them. */
static bool top_view_walk(struct top_view *view, const struct top_frame *frame, unsigned int key)
{
	const ptrdiff_t screen = view->shown > 0 ? (ptrdiff_t)view->shown : 1;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		top_view_move(view, frame, -1);
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		top_view_move(view, frame, 1);
		return true;
	case TOP_KEY_PAGE_UP:
		top_view_move(view, frame, -screen);
		return true;
	case TOP_KEY_PAGE_DOWN:
		top_view_move(view, frame, screen);
		return true;
	case TOP_KEY_HOME:
	case 'g':
		/* Not that row, but what comes first, whatever it is. */
		view->has_chosen = false;
		return true;
	case TOP_KEY_END:
	case 'G':
		top_view_move(view, frame, (ptrdiff_t)view->count);
		return true;
	case TOP_KEY_TAB:
		top_view_turn(view, frame, 1);
		return true;
	case TOP_KEY_TAB_BACK:
		top_view_turn(view, frame, frame->page_count - 1);
		return true;
	default:
		return false;
	}
}

/* Keys that change what is shown of them. */
static void top_view_choose(struct top_view *view, unsigned int key)
{
	switch (key) {
	case 'p':
	case 'P':
		top_view_sort(view, TOP_BY_POWER);
		break;
	case 'e':
	case 'E':
		top_view_sort(view, TOP_BY_ENERGY);
		break;
	case 'c':
	case 'C':
		top_view_sort(view, TOP_BY_CPU);
		break;
	case 'n':
	case 'N':
		top_view_sort(view, TOP_BY_NAME);
		break;
	case 's':
		top_view_sort(view, (view->sort + 1) % TOP_SORT_COUNT);
		break;
	case 'r':
	case 'R':
		view->reverse = !view->reverse;
		break;
	case 'u':
	case 'w':
		view->watt_hours = !view->watt_hours;
		break;
	case ' ':
		view->paused = !view->paused;
		break;
	case '/':
	case 'f':
		view->editing = true;
		break;
	case TOP_KEY_ENTER:
		view->facts = !view->facts;
		break;
	default:
		break;
	}
}

/* Back to where one came from, a step a key. */
static void top_view_leave(struct top_view *view)
{
	if (view->facts)
		view->facts = false;
	else
		view->filter[0] = '\0';
}

enum top_action top_view_key(struct top_view *view, const struct top_frame *frame, unsigned int key)
{
	if (view->editing) {
		top_view_edit(view, key);
		return TOP_STAY;
	}
	if (view->help) {
		view->help = false;
		return TOP_STAY;
	}
	if (key == 'q' || key == 'Q')
		return TOP_QUIT;
	if (key == '?' || key == 'h')
		view->help = true;
	else if (key == TOP_KEY_ESCAPE)
		top_view_leave(view);
	else if (!top_view_walk(view, frame, key))
		top_view_choose(view, key);
	return TOP_STAY;
}
