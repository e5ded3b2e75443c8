#include "guest/accounts_json.h"
#include "guest/report_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What could not be allocated makes the whole fail when it is written: members are missing then. */
static void accounts_json_set(json_t *object, const char *name, uint64_t value)
{
	(void)json_object_set_new(object, name, report_number(value));
}

/* A power that is not known is no number. */
static void accounts_json_set_power(json_t *object, bool known, uint64_t power_uw)
{
	(void)json_object_set_new(object, "power_uw",
				  known ? report_number(power_uw) : json_null());
}

static json_t *accounts_json_account(const struct accounts_view *view,
				     const struct account *account)
{
	json_t *object = json_object();
	json_t *zones = json_object();

	(void)json_object_set_new(object, "name", report_string(account->name));
	(void)json_object_set_new(object, "detail",
				  account->detail[0] != '\0' ? report_string(account->detail)
							     : json_null());
	(void)json_object_set_new(object, "pid",
				  account->pid != 0 ? json_integer(account->pid) : json_null());
	accounts_json_set(object, "members", account->members);
	accounts_json_set(object, "cpu_ns", account->cpu_ns);
	accounts_json_set(object, "energy_uj", account->total.energy_uj);
	accounts_json_set_power(object, view->interval_ns > 0, account->total.power_uw);
	for (size_t i = 0; account->zones != NULL && i < view->zone_count; i++) {
		json_t *zone = json_object();

		accounts_json_set(zone, "energy_uj", account->zones[i].energy_uj);
		accounts_json_set_power(zone, accounts_view_has_power(view, &view->zones[i]),
					account->zones[i].power_uw);
		(void)json_object_set_new(zones, view->zones[i].id, zone);
	}
	(void)json_object_set_new(object, "zones", zones);
	return object;
}

static json_t *accounts_json_group(const struct accounts_view *view,
				   const struct accounts_group *group)
{
	json_t *object = json_object();
	json_t *accounts = json_array();

	for (size_t i = 0; i < group->count; i++)
		(void)json_array_append_new(accounts,
					    accounts_json_account(view, &group->accounts[i]));
	(void)json_object_set_new(object, "accounts", accounts);
	accounts_json_set(object, "rest_count", group->rest_count);
	(void)json_object_set_new(object, "rest", accounts_json_account(view, &group->rest));
	accounts_json_set(object, "pending_uj", group->pending_uj);
	accounts_json_set(object, "lost_uj", group->lost_uj);
	return object;
}

static json_t *accounts_json_zone(const struct accounts_view *view,
				  const struct accounts_zone *zone)
{
	json_t *object = json_object();

	(void)json_object_set_new(object, "zone", report_string(zone->id));
	accounts_json_set(object, "energy_uj", zone->energy_uj);
	accounts_json_set(object, "idle_uj", zone->idle_uj);
	accounts_json_set(object, "other_uj", zone->other_uj);
	accounts_json_set_power(object, accounts_view_has_power(view, zone), zone->power_uw);
	accounts_json_set(object, "idle_power_uw", zone->idle_power_uw);
	return object;
}

static json_t *accounts_json_source(const struct meter_reading *reading)
{
	const struct tree_info *info = reading->has_info ? &reading->info : NULL;
	json_t *object = json_object();
	bool estimate = false;
	bool known = meter_reading_estimate(reading, &estimate);

	(void)json_object_set_new(
	    object, "source",
	    reading->opened ? json_string(reading->from_tree ? "tree" : "powercap") : json_null());
	(void)json_object_set_new(object, "estimate", known ? json_boolean(estimate) : json_null());
	(void)json_object_set_new(object, "host_source",
				  info != NULL ? report_string(info->source) : json_null());
	(void)json_object_set_new(object, "view",
				  info != NULL ? json_string(info->exact ? "exact" : "isolated")
					       : json_null());
	(void)json_object_set_new(object, "age_ms",
				  info != NULL ? report_number(info->age_ms) : json_null());
	return object;
}

static json_t *accounts_json_groups(const struct accounts_view *view)
{
	json_t *groups = json_object();

	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		(void)json_object_set_new(groups, account_kind_name((enum account_kind)kind),
					  accounts_json_group(view, &view->groups[kind]));
	return groups;
}

static json_t *accounts_json_view(const struct accounts_view *view)
{
	json_t *object = json_object();
	json_t *zones = json_array();

	(void)json_object_set_new(object, "up", json_boolean(view->reading.up));
	(void)json_object_set_new(object, "reason",
				  view->reading.up ? json_null()
						   : report_string(view->reading.reason.text));
	(void)json_object_set_new(object, "origin", accounts_json_source(&view->reading));
	accounts_json_set(object, "wall_ns", view->wall_ns);
	accounts_json_set(object, "interval_ns", view->interval_ns);
	accounts_json_set(object, "age_ns", view->age_ns);
	for (size_t i = 0; i < view->zone_count; i++)
		(void)json_array_append_new(zones, accounts_json_zone(view, &view->zones[i]));
	(void)json_object_set_new(object, "zones", zones);
	(void)json_object_set_new(object, "total", accounts_json_zone(view, &view->total));
	accounts_json_set(object, "steal_ns", view->steal_ns);
	accounts_json_set(object, "process_period_ns", view->process_period_ns);
	(void)json_object_set_new(object, "calibration_error_ppm",
				  view->calibration_error_ppm > 0
				      ? report_number(view->calibration_error_ppm)
				      : json_null());
	(void)json_object_set_new(object, "exits", report_exits(&view->exits));
	(void)json_object_set_new(object, "groups", accounts_json_groups(view));
	return object;
}

int accounts_json(const struct accounts_view *view, char **ret_text, size_t *ret_size)
{
	cleanup_json json_t *object = accounts_json_view(view);
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	bool failed;

	if (stream == NULL)
		return -ENOMEM;
	failed = object == NULL || json_dumpf(object, stream, JSON_COMPACT) < 0 ||
		 fputc('\n', stream) == EOF;
	if (fclose(stream) != 0 || failed) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}
