/*
 * top_balance.h: where all that was measured is: in rows that are shown or hidden, or in none.
 *
 * What stands below the rows of `top`. The lines of a page that has a sum add up to what is
 * measured, in energy and in power. Pure; one thread.
 */
#ifndef WATTPORT_COMMON_TOP_BALANCE_H
#define WATTPORT_COMMON_TOP_BALANCE_H

#include "common/top_history.h"
#include "common/top_view.h"

#define TOP_BALANCE_MAX 7

struct top_balance_line {
	char name[TOP_TEXT_SIZE];
	struct top_amount amount;
};

/* The last line is what was measured; the one of the rows comes first. */
struct top_balance {
	size_t count;
	struct top_balance_line lines[TOP_BALANCE_MAX];
};

/* Of the page that the view shows; the frame has one. */
void top_balance_make(const struct top_frame *frame, const struct top_history *history,
		      const struct top_view *view, struct top_balance *ret_balance);

#endif
