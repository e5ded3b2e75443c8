#include "guest/top_accounts.h"
#include "common/quantity.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* In the order in which Tab leads through them. */
static const struct top_accounts_page {
	enum account_kind kind;
	struct top_page texts;
} top_accounts_pages[] = {
    {ACCOUNT_UNIT, {.title = "units", .column = "UNIT", .detail = "SLICE", .kind = TOP_WHOLE}},
    {ACCOUNT_PROCESS,
     {.title = "processes", .column = "PROCESS", .detail = "UNIT", .kind = TOP_WHOLE}},
    {ACCOUNT_USER, {.title = "users", .column = "USER", .detail = "", .kind = TOP_WHOLE}},
    {ACCOUNT_SLICE, {.title = "slices", .column = "SLICE", .detail = "", .kind = TOP_NESTED}},
    {ACCOUNT_CONTAINER,
     {.title = "containers", .column = "CONTAINER", .detail = "ENGINE", .kind = TOP_PART}},
    {ACCOUNT_POD, {.title = "pods", .column = "POD", .detail = "", .kind = TOP_PART}},
    {ACCOUNT_JOB, {.title = "jobs", .column = "JOB", .detail = "SCHEDULER", .kind = TOP_PART}},
};

static_assert(sizeof(top_accounts_pages) / sizeof(top_accounts_pages[0]) == ACCOUNT_KIND_COUNT,
	      "each kind has a page");
static_assert(ACCOUNT_KIND_COUNT <= TOP_PAGE_MAX, "there is room for all");

/* Its power is known while the machine's is. */
static struct top_amount top_accounts_amount(const struct top_frame *frame,
					     const struct account_use *use)
{
	return (struct top_amount){use->energy_uj, use->power_uw, frame->measured.has_power};
}

static void top_accounts_add_facts(const struct accounts_view *view, const struct account *account,
				   struct top_row *row)
{
	char text[TOP_TEXT_SIZE], energy[QUANTITY_SIZE], power[QUANTITY_SIZE];

	(void)snprintf(text, sizeof(text), "%" PRIu32, account->members);
	top_row_add_fact(row, "processes that live", text);
	if (account->pid != 0) {
		(void)snprintf(text, sizeof(text), "%" PRId32, account->pid);
		top_row_add_fact(row, "process id", text);
	}
	if (account->detail[0] != '\0')
		top_row_add_fact(row, "belongs to", account->detail);
	for (size_t i = 0; i < view->zone_count; i++) {
		quantity_energy(account->zones[i].energy_uj, energy);
		quantity_power(account->zones[i].power_uw, power);
		(void)snprintf(text, sizeof(text), "%s", energy);
		if (row->amount.has_power && accounts_view_has_power(view, &view->zones[i]))
			(void)snprintf(text, sizeof(text), "%s, %s", energy, power);
		top_row_add_fact(row, view->zones[i].id, text);
	}
}

static int top_accounts_add_row(const struct accounts_view *view, const struct account *account,
				const struct top_frame *frame, struct top_page *page)
{
	struct top_row *row = top_page_add_row(page);

	if (row == NULL)
		return -ENOMEM;
	row->identity = top_identity(account->name, strlen(account->name)) ^
			top_identity(&account->pid, sizeof(account->pid));
	utf8_copy(row->name, sizeof(row->name), account->name);
	utf8_copy(row->detail, sizeof(row->detail), account->detail);
	if (account->pid != 0) {
		const size_t used = strlen(row->name);

		(void)snprintf(row->name + used, sizeof(row->name) - used, " [%" PRId32 "]",
			       account->pid);
	}
	row->amount = top_accounts_amount(frame, &account->total);
	row->cpu_ns = account->cpu_ns;
	row->faint = account->members == 0;
	top_accounts_add_facts(view, account, row);
	return 0;
}

/* What ended processes used is in the rest, by the kernel's word of each, or as what nobody saw. */
static void top_accounts_name_rest(enum account_kind kind, const struct accounts_exits *exits,
				   struct top_page *page)
{
	if (kind != ACCOUNT_PROCESS)
		(void)snprintf(page->rest_name, sizeof(page->rest_name), "ended, and others");
	else if (exits->counted)
		(void)snprintf(page->rest_name, sizeof(page->rest_name),
			       "%" PRIu64 " ended, and others", exits->ended);
	else
		(void)snprintf(page->rest_name, sizeof(page->rest_name),
			       "ended unseen, and others");
}

static int top_accounts_add_page(const struct accounts_view *view,
				 const struct top_accounts_page *from, struct top_frame *frame)
{
	const struct accounts_group *group = &view->groups[from->kind];
	struct top_page *page = top_frame_add_page(frame, &from->texts);

	top_accounts_name_rest(from->kind, &view->exits, page);
	page->rest = top_accounts_amount(frame, &group->rest.total);
	page->pending_uj = group->pending_uj;
	for (size_t i = 0; i < group->count; i++)
		if (top_accounts_add_row(view, &group->accounts[i], frame, page) < 0)
			return -ENOMEM;
	return 0;
}

static void top_accounts_set_source(const struct meter_reading *reading, struct top_frame *frame)
{
	if (!reading->from_tree) {
		(void)snprintf(frame->source, sizeof(frame->source), "own powercap");
		return;
	}
	if (!reading->has_info) {
		(void)snprintf(frame->source, sizeof(frame->source), "the host's tree");
		return;
	}
	(void)snprintf(frame->source, sizeof(frame->source), "host's %s, %s view",
		       reading->info.source, reading->info.exact ? "exact" : "isolated");
	frame->estimate = reading->info.estimate;
	frame->age_ns = reading->info.age_ms * CLOCK_NS_PER_MS;
}

int top_accounts_fill(const struct accounts_view *view, struct top_frame *frame)
{
	const struct meter_reading *reading = &view->reading;

	frame->fresh = reading->up;
	frame->sampled = view->zone_count > 0;
	if (!reading->up)
		diag_append(&frame->notice, "%s", reading->reason.text);
	if (reading->opened)
		top_accounts_set_source(reading, frame);
	if (!frame->sampled)
		return 0;
	frame->time = reading->time;
	frame->since_ns = view->age_ns;
	/* Without a figure of how far off it may be, the static power is not known well. */
	frame->learning = view->calibration_error_ppm == 0;
	frame->measured = (struct top_amount){view->total.energy_uj, view->total.power_uw,
					      reading->up && view->interval_ns > 0};
	frame->idle_uj = view->total.idle_uj;
	frame->other_uj = view->total.other_uj;
	for (size_t i = 0; i < ACCOUNT_KIND_COUNT; i++)
		if (top_accounts_add_page(view, &top_accounts_pages[i], frame) < 0)
			return -ENOMEM;
	return 0;
}
