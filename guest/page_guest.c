#include "guest/page_guest.h"
#include "common/cleanup.h"

#include <errno.h>

static const struct page_zone page_guest_unknown = {.power_uw = PAGE_UNKNOWN,
						    .energy_uj = PAGE_UNKNOWN,
						    .idle_uj = PAGE_UNKNOWN,
						    .other_uj = PAGE_UNKNOWN};

/* One tick alone has no power: that would be a zero where nothing is known. */
static bool page_guest_has_power(const struct page_view *view, const struct accounts_view *accounts)
{
	return view->up && accounts->interval_ns > 0;
}

/* Packages and DRAM add up; psys overlaps them, core and uncore lie within. */
static bool page_guest_counts(const char *id)
{
	return strncmp(id, "package", 7) == 0 || strncmp(id, "dram", 4) == 0;
}

static const struct accounts_zone *page_guest_find(const struct accounts_view *accounts,
						   const char *id)
{
	for (size_t i = 0; accounts != NULL && i < accounts->zone_count; i++)
		if (strcmp(accounts->zones[i].id, id) == 0)
			return &accounts->zones[i];
	return NULL;
}

/* What is not read is not known: an estimate of age is better than a wrong zero. */
static void page_guest_zones(const struct meter_reading *reading,
			     const struct accounts_view *accounts, struct page_view *view)
{
	view->zone_count = reading->zone_count;
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		const struct accounts_zone *divided = page_guest_find(accounts, zone->id);
		struct page_zone *row = &view->zones[i];

		*row = page_guest_unknown;
		row->id = zone->id;
		row->counted = page_guest_counts(zone->id);
		row->error = zone->available ? NULL : "cannot be read now";
		if (reading->up && zone->has_power)
			row->power_uw = zone->power_uw;
		if (zone->available)
			row->energy_uj = zone->energy_uj;
		if (divided == NULL)
			continue;
		row->energy_uj = divided->energy_uj;
		row->idle_uj = divided->idle_uj;
		row->other_uj = divided->other_uj;
		if (view->up && accounts_view_has_power(accounts, divided))
			row->power_uw = divided->power_uw;
	}
}

/* Without accounts: what the zones that add up have together, where all of them are known. */
static void page_guest_total(struct page_view *view)
{
	uint64_t power_uw = 0, energy_uj = 0;
	bool has_power = true, has_energy = false;

	for (size_t i = 0; i < view->zone_count; i++) {
		const struct page_zone *zone = &view->zones[i];

		if (!zone->counted)
			continue;
		if (zone->power_uw == PAGE_UNKNOWN)
			has_power = false;
		else
			power_uw += zone->power_uw;
		if (zone->energy_uj == PAGE_UNKNOWN)
			return; /* a sum without it would go back, and on again */
		energy_uj += zone->energy_uj;
		has_energy = true;
	}
	if (has_power && has_energy)
		view->total.power_uw = power_uw;
	if (has_energy)
		view->total.energy_uj = energy_uj;
}

static struct page_account page_guest_account(const struct account *account, bool has_power)
{
	return (struct page_account){
	    .name = account->name,
	    .detail = account->detail[0] != '\0' ? account->detail : NULL,
	    .power_uw = has_power ? account->total.power_uw : PAGE_UNKNOWN,
	    .energy_uj = account->total.energy_uj,
	    .idle_uj = PAGE_UNKNOWN,
	    .overhead_uj = PAGE_UNKNOWN,
	    .cpu_ns = account->cpu_ns,
	    .members = account->members,
	};
}

static int page_guest_group(const struct accounts_view *accounts, enum account_kind kind,
			    struct page_view *view)
{
	const struct accounts_group *from = &accounts->groups[kind];
	struct page_group *group = &view->groups[view->group_count];
	size_t count = from->count;
	bool has_power = page_guest_has_power(view, accounts);

	if (count == 0)
		return 0;
	if (count > PAGE_ACCOUNT_MAX)
		count = PAGE_ACCOUNT_MAX;
	*group = (struct page_group){.kind = account_kind_name(kind),
				     .of_members = "Processes",
				     .count = count,
				     .accounts = calloc(count, sizeof(*group->accounts))};
	if (group->accounts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		group->accounts[i] = page_guest_account(&from->accounts[i], has_power);
		/* Processes have the same name by the dozen. */
		if (kind == ACCOUNT_PROCESS)
			(void)snprintf(group->accounts[i].id, sizeof(group->accounts[i].id), "%d",
				       from->accounts[i].pid);
	}
	/* What the top does not hold, and what is not divided among processes yet. */
	group->rest = page_guest_account(&from->rest, has_power);
	group->rest.name = "all others, and those that have ended";
	for (size_t i = count; i < from->count; i++) {
		group->rest.energy_uj += from->accounts[i].total.energy_uj;
		if (has_power)
			group->rest.power_uw += from->accounts[i].total.power_uw;
	}
	group->has_rest = group->rest.energy_uj > 0;
	view->group_count++;
	return 0;
}

static int page_guest_groups(const struct accounts_view *accounts, struct page_view *view)
{
	/* By what a tenant asks for first. */
	static const enum account_kind kinds[] = {
	    ACCOUNT_UNIT,  ACCOUNT_CONTAINER, ACCOUNT_POD,     ACCOUNT_JOB,
	    ACCOUNT_SLICE, ACCOUNT_USER,      ACCOUNT_PROCESS,
	};
	int status = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == 0; i++)
		status = page_guest_group(accounts, kinds[i], view);
	return status;
}

int page_guest_view(const struct meter_reading *reading, const struct accounts_view *accounts,
		    struct page_view *ret_view)
{
	*ret_view = (struct page_view){.machine = "guest",
				       .up = reading->up,
				       .opened = reading->opened,
				       .reason = reading->reason,
				       .time = reading->time,
				       .age_ns = PAGE_UNKNOWN,
				       .since_ns = PAGE_UNKNOWN,
				       .total = page_guest_unknown};
	ret_view->total.id = "total";
	ret_view->total.counted = true;
	if (!reading->opened)
		return 0;
	ret_view->estimate_known = meter_reading_estimate(reading, &ret_view->estimate);
	if (reading->has_info) {
		ret_view->age_ns = reading->info.age_ms * CLOCK_NS_PER_MS;
		ret_view->source = reading->info.source;
		ret_view->sight = reading->info.exact ? "exact" : "isolated";
	} else if (!reading->from_tree) {
		ret_view->source = "this machine's own powercap";
		if (reading->up)
			ret_view->age_ns = 0;
	}
	page_guest_zones(reading, accounts, ret_view);
	if (accounts == NULL) {
		page_guest_total(ret_view);
		return 0;
	}
	ret_view->since_ns = accounts->age_ns;
	ret_view->learning = accounts->calibration_error_ppm == 0;
	ret_view->total.energy_uj = accounts->total.energy_uj;
	ret_view->total.idle_uj = accounts->total.idle_uj;
	ret_view->total.other_uj = accounts->total.other_uj;
	if (page_guest_has_power(ret_view, accounts))
		ret_view->total.power_uw = accounts->total.power_uw;
	return page_guest_groups(accounts, ret_view);
}

void page_guest_release(struct page_view *view)
{
	for (size_t i = 0; i < view->group_count; i++)
		free(view->groups[i].accounts);
	view->group_count = 0;
}
