#include "guest/output_row.h"

static struct output_value output_known(bool known, uint64_t value)
{
	return (struct output_value){.known = known, .value = known ? value : 0};
}

struct output_value output_age_ms(const struct meter_reading *reading)
{
	if (reading->has_info)
		return output_known(true, reading->info.age_ms);
	/* This machine's own counters are read at that moment; a silent tree has no age we know. */
	return output_known(reading->up && !reading->from_tree, 0);
}

struct output_value output_estimate(const struct meter_reading *reading)
{
	bool estimate = false;
	bool known = meter_reading_estimate(reading, &estimate);

	return output_known(known, estimate);
}

const char *output_view_name(const struct meter_reading *reading)
{
	if (reading->has_info)
		return reading->info.exact ? "exact" : "isolated";
	return reading->opened && !reading->from_tree ? "own" : "";
}

const char *output_source_name(const struct meter_reading *reading)
{
	if (reading->has_info)
		return reading->info.source;
	return reading->opened && !reading->from_tree ? "powercap" : "";
}

static void output_rows_of_zones(const struct meter_reading *reading, output_row_take take,
				 void *context)
{
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		const struct output_row row = {
		    .kind = "zone",
		    .name = zone->id,
		    .detail = "",
		    .zone = zone->id,
		    .energy_uj = output_known(true, zone->energy_uj),
		    .power_uw = output_known(zone->has_power, zone->power_uw),
		};

		if (zone->available)
			take(context, &row);
	}
}

static void output_rows_of_division(const struct accounts_view *view,
				    const struct accounts_zone *zone, output_row_take take,
				    void *context)
{
	bool power = accounts_view_has_power(view, zone);
	const struct output_row rows[] = {
	    {.kind = "divided",
	     .energy_uj = output_known(true, zone->energy_uj),
	     .power_uw = output_known(power, zone->power_uw)},
	    {.kind = "idle",
	     .energy_uj = output_known(true, zone->idle_uj),
	     .power_uw = output_known(power, zone->idle_power_uw)},
	    {.kind = "other", .energy_uj = output_known(true, zone->other_uj)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct output_row row = rows[i];

		row.name = row.detail = "";
		row.zone = zone->id;
		take(context, &row);
	}
}

static void output_rows_of_account(const struct accounts_view *view, const char *kind,
				   const struct account *account, output_row_take take,
				   void *context)
{
	struct output_row row = {
	    .kind = kind, .name = account->name, .detail = account->detail, .pid = account->pid};

	for (size_t i = 0; i <= view->zone_count; i++) {
		bool total = i == view->zone_count;
		const struct account_use *use = total ? &account->total : &account->zones[i];

		row.zone = total ? view->total.id : view->zones[i].id;
		row.energy_uj = output_known(true, use->energy_uj);
		row.power_uw = output_known(
		    accounts_view_has_power(view, total ? &view->total : &view->zones[i]),
		    use->power_uw);
		row.cpu_ns = output_known(total, account->cpu_ns);
		row.members = output_known(total, account->members);
		take(context, &row);
	}
}

/* What is in no account yet: told, so that the rows of a kind add up all the same. */
static void output_rows_of_pending(const struct accounts_view *view, const char *kind,
				   const struct accounts_group *group, output_row_take take,
				   void *context)
{
	if (group->pending_uj == 0 || group->pending_zones_uj == NULL)
		return;
	for (size_t i = 0; i <= view->zone_count; i++) {
		bool total = i == view->zone_count;
		const struct output_row row = {
		    .kind = kind,
		    .name = "(pending)",
		    .detail = "",
		    .zone = total ? view->total.id : view->zones[i].id,
		    .energy_uj =
			output_known(true, total ? group->pending_uj : group->pending_zones_uj[i]),
		};

		take(context, &row);
	}
}

static void output_rows_of_group(const struct accounts_view *view, enum account_kind kind,
				 output_row_take take, void *context)
{
	const struct accounts_group *group = &view->groups[kind];
	const char *name = account_kind_name(kind);

	for (size_t i = 0; i < group->count; i++)
		output_rows_of_account(view, name, &group->accounts[i], take, context);
	/* A kind that this machine does not have has no rest either. */
	if (group->rest.zones != NULL &&
	    (group->count > 0 || group->rest_count > 0 || group->rest.total.energy_uj > 0))
		output_rows_of_account(view, name, &group->rest, take, context);
	output_rows_of_pending(view, name, group, take, context);
}

void output_rows(const struct accounts_view *view, output_row_take take, void *context)
{
	static const struct output_row nothing = {
	    .kind = "machine", .name = "", .detail = "", .zone = ""};

	if (!view->reading.up) {
		take(context, &nothing);
		return;
	}
	output_rows_of_zones(&view->reading, take, context);
	if (view->zone_count == 0)
		return;
	for (size_t i = 0; i < view->zone_count; i++)
		output_rows_of_division(view, &view->zones[i], take, context);
	output_rows_of_division(view, &view->total, take, context);
	for (size_t i = 0; i < ACCOUNT_KIND_COUNT; i++)
		output_rows_of_group(view, (enum account_kind)i, take, context);
}
