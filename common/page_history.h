/*
 * page_history.h: what power was in the last minutes and the last hour, for a page that is opened
 * now.
 *
 * Two rings of points, one a second for five minutes and one every ten seconds for an hour, of the
 * counters themselves: power is what they grew by between two points, so that nothing is lost and
 * nothing is counted twice, whatever the points' distance. Bounded: PAGE_SERIES_MAX accounts of
 * each kind, of which there are PAGE_GROUP_MAX, have a series of their own, those that draw most;
 * one that comes to draw more than the least of them takes its place. Nothing is shown for a time
 * in which the figures were not fresh: a point says so, and no power is told across it. One thread
 * at a time.
 */
#ifndef WATTPORT_COMMON_PAGE_HISTORY_H
#define WATTPORT_COMMON_PAGE_HISTORY_H

#include "common/clock.h"
#include "common/page_view.h"

#define PAGE_SERIES_MAX 50
#define PAGE_NAME_SIZE	256

enum page_range {
	PAGE_RANGE_MINUTES,
	PAGE_RANGE_HOUR,
	PAGE_RANGE_COUNT,
};

struct page_history;

int page_history_create(struct page_history **ret_history);
void page_history_destroy(struct page_history *history);

/* Takes a view in, where it is newer than the last one by a second or so. */
void page_history_add(struct page_history *history, const struct page_view *view,
		      const struct clock *clock);

/*
 * A range of it as JSON, with the accounts of that kind; NULL: of the first group. Text that the
 * caller frees; NULL: out of memory. docs/page.md.
 */
char *page_history_json(const struct page_history *history, const struct clock *clock,
			enum page_range range, const char *kind);

#endif
