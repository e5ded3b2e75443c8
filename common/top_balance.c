#include "common/top_balance.h"
#include "common/features.h"

#include <assert.h>
#include <stdio.h>

static struct top_amount top_amount_add(struct top_amount left, struct top_amount right)
{
	/* A row that has no power yet has used none that is booked. */
	return (struct top_amount){left.energy_uj + right.energy_uj,
				   left.power_uw + (right.has_power ? right.power_uw : 0),
				   left.has_power};
}

/* Never below zero: powers are rounded each for itself. */
static struct top_amount top_amount_less(struct top_amount whole, struct top_amount part)
{
	const uint64_t energy_uj =
	    whole.energy_uj > part.energy_uj ? whole.energy_uj - part.energy_uj : 0;
	const uint64_t power_uw =
	    whole.power_uw > part.power_uw ? whole.power_uw - part.power_uw : 0;

	return (struct top_amount){energy_uj, power_uw, whole.has_power};
}

static void top_balance_add(struct top_balance *balance, struct top_amount amount, const char *name,
			    size_t count)
{
	struct top_balance_line *line = &balance->lines[balance->count];

	assert(balance->count < TOP_BALANCE_MAX);
	balance->count++;
	line->amount = amount;
	if (count == SIZE_MAX)
		(void)snprintf(line->name, sizeof(line->name), "%s", name);
	else
		(void)snprintf(line->name, sizeof(line->name), "%s (%zu)", name, count);
}

/* What no row of the page has. */
static struct top_amount top_balance_left(const struct top_frame *frame,
					  const struct top_page *page)
{
	struct top_amount sum = {page->rest.energy_uj, page->rest.power_uw, page->rest.has_power};

	for (size_t i = 0; i < page->row_count; i++)
		sum = top_amount_add(sum, page->rows[i].amount);
	return top_amount_less(frame->measured, sum);
}

/* At most so much of what is left. */
static uint64_t top_balance_take(uint64_t *left_uw, uint64_t wanted_uw)
{
	const uint64_t taken_uw = *left_uw < wanted_uw ? *left_uw : wanted_uw;

	*left_uw -= taken_uw;
	return taken_uw;
}

/*
 * Idle and other power are the same for all pages: what the first one leaves, divided as the energy
 * was between the last two samples. What another page leaves beyond that is pending there.
 */
static void top_balance_add_left(struct top_balance *balance, const struct top_frame *frame,
				 const struct top_history *history, const struct top_page *page)
{
	const uint64_t first_uw = top_balance_left(frame, &frame->pages[0]).power_uw;
	const struct top_amount left = top_balance_left(frame, page);
	const bool known = left.has_power && (history->has_split || first_uw == 0);
	struct top_amount idle = {frame->idle_uj, 0, known};
	struct top_amount other = {frame->other_uj, 0, known};
	struct top_amount pending = {page->pending_uj, 0, known};
	uint64_t left_uw = left.power_uw;

	if (known && first_uw > 0) {
		idle.power_uw = features_scale(first_uw, history->idle_of_both.part,
					       history->idle_of_both.whole);
		other.power_uw = first_uw - idle.power_uw;
	}
	idle.power_uw = top_balance_take(&left_uw, idle.power_uw);
	other.power_uw = top_balance_take(&left_uw, other.power_uw);
	pending.power_uw = known ? left_uw : 0;
	if (pending.energy_uj > 0 || pending.power_uw > 0)
		top_balance_add(balance, pending, "not divided yet", SIZE_MAX);
	top_balance_add(balance, other, "other processes", SIZE_MAX);
	top_balance_add(balance, idle, "idle, not assigned", SIZE_MAX);
}

void top_balance_make(const struct top_frame *frame, const struct top_history *history,
		      const struct top_view *view, struct top_balance *ret_balance)
{
	const struct top_page *page = &frame->pages[view->page];
	struct top_amount shown = {.has_power = frame->measured.has_power};
	struct top_amount hidden = shown;
	struct top_balance balance = {.count = 0};
	size_t passed = 0;

	for (size_t i = 0; i < page->row_count; i++) {
		struct top_amount *sum = &hidden;

		if (top_view_passes(view, &page->rows[i])) {
			sum = &shown;
			passed++;
		}
		*sum = top_amount_add(*sum, page->rows[i].amount);
	}
	if (page->kind != TOP_NESTED) {
		top_balance_add(&balance, shown, page->title, passed);
		if (passed < page->row_count)
			top_balance_add(&balance, hidden, "filtered out", page->row_count - passed);
		if (page->rest.energy_uj > 0)
			top_balance_add(&balance, page->rest, page->rest_name, SIZE_MAX);
		if (page->kind == TOP_WHOLE)
			top_balance_add_left(&balance, frame, history, page);
		else
			top_balance_add(&balance, top_balance_left(frame, page), "everything else",
					SIZE_MAX);
	}
	top_balance_add(&balance, frame->measured, "measured", SIZE_MAX);
	*ret_balance = balance;
}
