#include "guest/report_internal.h"
#include "guest/report_json.h"

#include <time.h>

/* "2026-11-21T18:45:00.123Z" */
static json_t *report_time(struct wall_time time)
{
	time_t seconds = (time_t)(time.ns / CLOCK_NS_PER_SECOND);
	char text[64];
	struct tm broken;
	size_t length;

	if (gmtime_r(&seconds, &broken) == NULL)
		return json_null();
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &broken);
	(void)snprintf(text + length, sizeof(text) - length, ".%03uZ",
		       (unsigned int)(time.ns / CLOCK_NS_PER_MS % 1000));
	return json_string(text);
}

static json_t *report_optional(bool known, uint64_t value)
{
	return known ? report_number(value) : json_null();
}

static void report_set_use(json_t *object, const struct meter_use *use, bool has_peak,
			   uint64_t peak_uw)
{
	(void)json_object_set_new(object, "energy_uj",
				  report_optional(use != NULL, use != NULL ? use->energy_uj : 0));
	(void)json_object_set_new(object, "power_uw",
				  report_optional(use != NULL, use != NULL ? use->power_uw : 0));
	(void)json_object_set_new(object, "peak_power_uw",
				  report_optional(use != NULL && has_peak, peak_uw));
}

/* The command's part, and the two beside it; null where nothing was divided. */
static void report_set_share(json_t *object, const struct exec_share_zone *share)
{
	bool known = share != NULL;

	(void)json_object_set_new(object, "command_uj",
				  report_optional(known, known ? share->command_uj : 0));
	(void)json_object_set_new(object, "other_uj",
				  report_optional(known, known ? share->other_uj : 0));
	(void)json_object_set_new(object, "idle_uj",
				  report_optional(known, known ? share->idle_uj : 0));
	(void)json_object_set_new(object, "idle_given",
				  known ? json_boolean(share->idle_given) : json_null());
}

static json_t *report_zones(const struct exec_result *result, bool shares)
{
	const struct meter_reading *after = &result->after;
	json_t *zones = json_array();

	for (size_t i = 0; i < after->zone_count; i++) {
		struct exec_share_zone share;
		struct meter_use use;
		uint64_t peak_uw = 0;
		bool known = exec_result_known(result) &&
			     meter_reading_use(&result->before, after, after->zones[i].id, &use);
		bool has_peak = result->peak != NULL && peak_of_zone(result->peak, i, &peak_uw);
		json_t *object = json_object();

		(void)json_object_set_new(object, "zone", report_string(after->zones[i].id));
		report_set_use(object, known ? &use : NULL, has_peak, peak_uw);
		if (shares)
			report_set_share(object,
					 exec_result_share(result, i, &share) ? &share : NULL);
		(void)json_array_append_new(zones, object);
	}
	return zones;
}

static json_t *report_total(const struct exec_result *result, bool shares)
{
	struct exec_share_zone share;
	struct meter_use use;
	uint64_t peak_uw = 0;
	bool known = exec_result_total(result, &use);
	bool has_peak = result->peak != NULL && peak_of_total(result->peak, &peak_uw);
	json_t *object = json_object();

	report_set_use(object, known ? &use : NULL, has_peak, peak_uw);
	if (shares)
		report_set_share(object, exec_result_total_share(result, &share) ? &share : NULL);
	return object;
}

/* Null where none of the energy had an intensity. */
static json_t *report_grams(const struct carbon_sum *sum)
{
	bool none = sum->energy_uj == 0 && sum->unknown_uj > 0;

	return report_optional(!none, sum->co2e_ug);
}

/* Grams, and of how much energy. */
static void report_set_grams(json_t *object, const struct carbon_sum *sum)
{
	(void)json_object_set_new(object, "co2e_ug", report_grams(sum));
	(void)json_object_set_new(object, "co2e_energy_uj", report_number(sum->energy_uj));
	(void)json_object_set_new(object, "co2e_unknown_uj", report_number(sum->unknown_uj));
}

/* The same of the command's part; null where that is not known. */
static void report_set_command_grams(json_t *object, const struct exec_result *result,
				     const struct carbon_sum *sum)
{
	struct exec_share_zone share;
	bool known = exec_result_total_share(result, &share);

	(void)json_object_set_new(object, "command_co2e_ug",
				  known ? report_grams(sum) : json_null());
	(void)json_object_set_new(object, "command_co2e_unknown_uj",
				  report_optional(known, sum->unknown_uj));
}

static json_t *report_carbon(const struct exec_result *result, bool command)
{
	const struct carbon_figure *figure = &result->carbon;
	json_t *object;

	if (!result->has_carbon)
		return json_null();
	object = json_object();
	if (exec_result_known(result))
		report_set_grams(object, &result->co2e);
	else
		(void)json_object_set_new(object, "co2e_ug", json_null());
	if (command)
		report_set_command_grams(object, result, &result->command_co2e);
	(void)json_object_set_new(object, "intensity_mg_per_kwh",
				  report_optional(figure->known, figure->intensity_mg_per_kwh));
	(void)json_object_set_new(object, "source",
				  figure->source[0] != '\0' ? report_string(figure->source)
							    : json_null());
	(void)json_object_set_new(object, "time",
				  figure->has_time ? report_time(figure->time) : json_null());
	(void)json_object_set_new(
	    object, "age_s",
	    report_optional(figure->has_time, figure->age_ns / CLOCK_NS_PER_SECOND));
	(void)json_object_set_new(object, "reason",
				  figure->known ? json_null() : report_string(figure->reason.text));
	return object;
}

static json_t *report_equivalent(const struct report_exec *report)
{
	const struct equivalent *chosen;
	char text[EQUIVALENT_TEXT_SIZE];
	struct meter_use use;
	json_t *object;

	if (report->equivalents == NULL || !exec_result_total(report->result, &use))
		return json_null();
	chosen = equivalents_choose(report->equivalents, use.energy_uj);
	object = json_object();
	(void)json_object_set_new(object, "name", report_string(chosen->name));
	(void)json_object_set_new(object, "text",
				  report_string(equivalent_text(chosen, use.energy_uj, text)));
	return object;
}

static json_t *report_phase(const struct exec_result *result, const struct phase *phase)
{
	json_t *object = json_object(), *zones = json_object(), *commands = json_object();
	struct exec_share_zone share;

	(void)json_object_set_new(object, "label", report_string(phase->label));
	(void)json_object_set_new(object, "count", report_number(phase->count));
	(void)json_object_set_new(object, "elapsed_ns", report_number(phase->elapsed_ns));
	(void)json_object_set_new(object, "energy_uj", report_number(phase->energy_uj));
	for (size_t i = 0; i < result->before.zone_count; i++)
		if (result->before.zones[i].available)
			(void)json_object_set_new(zones, result->before.zones[i].id,
						  report_number(phase->zones_uj[i]));
	(void)json_object_set_new(object, "zones_uj", zones);
	for (size_t i = 0; i < result->before.zone_count; i++)
		if (exec_result_share(result, i, &share))
			(void)json_object_set_new(commands, result->before.zones[i].id,
						  report_number(phase->command_zones_uj[i]));
	(void)json_object_set_new(object, "command_uj",
				  report_optional(result->has_shares, phase->command_uj));
	(void)json_object_set_new(object, "command_zones_uj", commands);
	if (result->has_carbon) {
		report_set_grams(object, &phase->co2e);
		report_set_command_grams(object, result, &phase->command_co2e);
	}
	return object;
}

/* Of a run whose energy is not known there are none: their times alone would tell little. */
static void report_set_phases(json_t *object, const struct exec_result *result)
{
	const struct phases *phases = result->phases;
	json_t *list = json_array(), *labels = json_array();
	bool known = phases != NULL && exec_result_known(result);

	for (size_t i = 0; known && i < phases_count(phases); i++)
		(void)json_array_append_new(list, report_phase(result, phases_get(phases, i)));
	for (size_t i = 0; known && i < phases_label_count(phases); i++)
		(void)json_array_append_new(labels, report_phase(result, phases_label(phases, i)));
	(void)json_object_set_new(object, "phases", list);
	(void)json_object_set_new(object, "labels", labels);
	if (known && phases_unlisted(phases)->count > 0)
		(void)json_object_set_new(object, "phases_unlisted",
					  report_phase(result, phases_unlisted(phases)));
	if (known && phases_other_labels(phases)->count > 0)
		(void)json_object_set_new(object, "labels_unlisted",
					  report_phase(result, phases_other_labels(phases)));
}

static void report_set_command(json_t *object, const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	json_t *command = json_array();

	for (size_t i = 0; report->command[i] != NULL; i++)
		(void)json_array_append_new(command, report_string(report->command[i]));
	(void)json_object_set_new(object, "command", command);
	(void)json_object_set_new(object, "exit_status", json_integer(result->exit_status));
	(void)json_object_set_new(object, "user_ns", report_number(result->user_ns));
	(void)json_object_set_new(object, "system_ns", report_number(result->system_ns));
	(void)json_object_set_new(object, "process_count", report_number(result->process_count));
	(void)json_object_set_new(object, "left_running", json_boolean(result->left_running));
	(void)json_object_set_new(object, "marks_possible", json_boolean(result->marks_possible));
	(void)json_object_set_new(object, "command_reason",
				  result->shares_reason.text[0] != '\0'
				      ? report_string(result->shares_reason.text)
				      : json_null());
	(void)json_object_set_new(object, "busy_ns",
				  report_optional(result->has_busy, result->busy_ns));
	(void)json_object_set_new(object, "own_cpu_ns", report_number(result->own_cpu_ns));
	(void)json_object_set_new(object, "period_ns", report_number(result->period_ns));
	(void)json_object_set_new(object, "edge_ns", report_number(result->edge_ns));
	(void)json_object_set_new(object, "peak_window_ns",
				  result->peak != NULL ? report_number(peak_window_ns(result->peak))
						       : json_null());
}

int report_exec_json(FILE *stream, const struct report_exec *report)
{
	cleanup_json json_t *object = json_object();
	const struct exec_result *result = report->result;

	if (report->command != NULL)
		report_set_command(object, report);
	else
		(void)json_object_set_new(object, "session", report_string(report->session));
	(void)json_object_set_new(object, "began", report_time(result->began));
	(void)json_object_set_new(
	    object, "elapsed_ns",
	    report_optional(report->command != NULL || exec_result_known(result),
			    result->elapsed_ns));
	report_set_origin(object, report_exec_origin(result));
	(void)json_object_set_new(object, "note",
				  report->note != NULL && report->note[0] != '\0'
				      ? report_string(report->note)
				      : json_null());
	(void)json_object_set_new(object, "zones", report_zones(result, report->command != NULL));
	(void)json_object_set_new(object, "total", report_total(result, report->command != NULL));
	(void)json_object_set_new(object, "carbon", report_carbon(result, report->command != NULL));
	(void)json_object_set_new(object, "equivalent", report_equivalent(report));
	if (report->command != NULL)
		report_set_phases(object, result);
	return report_dump(stream, object);
}
