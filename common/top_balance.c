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
		(void)snprintf(line->name, sizeof(line->name), "%zu %s", count, name);
}

/* What no row has, divided as it was booked between the last two samples. */
static void top_balance_add_rest_of(struct top_balance *balance, const struct top_frame *frame,
				    const struct top_history *history, struct top_amount left)
{
	const struct top_ratio *ratio = &history->idle_of_both;
	struct top_amount idle = {.energy_uj = frame->idle_uj};
	struct top_amount other = {.energy_uj = frame->other_uj};

	idle.has_power = other.has_power =
	    left.has_power && (history->has_split || left.power_uw == 0);
	if (idle.has_power && left.power_uw > 0)
		idle.power_uw = features_scale(left.power_uw, ratio->part, ratio->whole);
	if (other.has_power)
		other.power_uw = left.power_uw - idle.power_uw;
	top_balance_add(balance, other, "other processes", SIZE_MAX);
	top_balance_add(balance, idle, "idle, not assigned", SIZE_MAX);
}

void top_balance_make(const struct top_frame *frame, const struct top_history *history,
		      const struct top_view *view, struct top_balance *ret_balance)
{
	const struct top_page *page = &frame->pages[view->page];
	struct top_amount shown = {.has_power = frame->measured.has_power};
	struct top_amount hidden = shown, left;
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
	left = top_amount_less(frame->measured,
			       top_amount_add(top_amount_add(shown, hidden), page->rest));
	if (page->kind != TOP_NESTED) {
		top_balance_add(&balance, shown, page->title, passed);
		if (passed < page->row_count)
			top_balance_add(&balance, hidden, "filtered out", page->row_count - passed);
		if (page->rest.energy_uj > 0)
			top_balance_add(&balance, page->rest, page->rest_name, SIZE_MAX);
		if (page->kind == TOP_WHOLE)
			top_balance_add_rest_of(&balance, frame, history, left);
		else
			top_balance_add(&balance, left, "everything else", SIZE_MAX);
	}
	top_balance_add(&balance, frame->measured, "measured", SIZE_MAX);
	*ret_balance = balance;
}
