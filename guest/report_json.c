#include "guest/report_json.h"

#include <errno.h>
#include <jansson.h>

/* Energies stay below 2^63 uJ for 292,000 years at 1 W. */
json_t *report_number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

json_t *report_string(const char *text)
{
	json_t *string = json_string(text);

	return string != NULL ? string : json_null();
}

static json_t *report_zones(const struct meter_reading *earlier, const struct meter_reading *later)
{
	json_t *zones = json_array();

	for (size_t i = 0; i < later->zone_count; i++) {
		const struct meter_zone *zone = &later->zones[i];
		struct meter_use use = {.energy_uj = 0};
		bool known = later->up && meter_reading_use(earlier, later, zone->id, &use);
		json_t *object = json_object();

		/* What could not be allocated is seen when the whole is written. */
		(void)json_object_set_new(object, "zone", report_string(zone->id));
		(void)json_object_set_new(object, "energy_uj",
					  zone->available ? report_number(zone->energy_uj)
							  : json_null());
		(void)json_object_set_new(object, "power_uw",
					  known ? report_number(use.power_uw) : json_null());
		(void)json_array_append_new(zones, object);
	}
	return zones;
}

void report_set_origin(json_t *object, const struct meter_reading *reading)
{
	const struct tree_info *info = reading->has_info ? &reading->info : NULL;
	bool uuid = info != NULL && info->uuid[0] != '\0';
	bool estimate = false;
	bool known = meter_reading_estimate(reading, &estimate);

	(void)json_object_set_new(object, "up", json_boolean(reading->up));
	(void)json_object_set_new(object, "reason",
				  reading->up ? json_null() : report_string(reading->reason.text));
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
	(void)json_object_set_new(object, "uuid", uuid ? report_string(info->uuid) : json_null());
}

json_t *report_exits(const struct accounts_exits *exits)
{
	json_t *object = json_object();

	(void)json_object_set_new(object, "counted", json_boolean(exits->counted));
	(void)json_object_set_new(object, "ended",
				  exits->counted ? report_number(exits->ended) : json_null());
	(void)json_object_set_new(object, "lost",
				  exits->counted ? report_number(exits->lost) : json_null());
	(void)json_object_set_new(object, "reason",
				  exits->reason[0] != '\0' ? report_string(exits->reason)
							   : json_null());
	return object;
}

int report_dump(FILE *stream, const json_t *object)
{
	if (object == NULL)
		return -ENOMEM;
	if (json_dumpf(object, stream, JSON_INDENT(2)) < 0 || fputc('\n', stream) == EOF)
		return -EIO;
	return fflush(stream) == 0 && !ferror(stream) ? 0 : -EIO;
}

int report_status_json(FILE *stream, const struct report_status *report)
{
	cleanup_json json_t *object = json_object();

	report_set_origin(object, report->later);
	(void)json_object_set_new(
	    object, "period_ns",
	    report_number(clock_elapsed_ns(report->earlier->time, report->later->time)));
	(void)json_object_set_new(object, "zones", report_zones(report->earlier, report->later));
	if (report->exits != NULL)
		(void)json_object_set_new(object, "exits", report_exits(report->exits));
	return report_dump(stream, object);
}
