#include "guest/report.h"

#include <errno.h>
#include <inttypes.h>

#define REPORT_UNKNOWN "unknown"

const char *report_micro(uint64_t value, char text[static REPORT_MICRO_SIZE])
{
	(void)snprintf(text, REPORT_MICRO_SIZE, "%" PRIu64 ".%06" PRIu64, value / 1000000,
		       value % 1000000);
	return text;
}

/* Seconds of nanoseconds, in microseconds: what a person can use. */
static const char *report_seconds(uint64_t value_ns, char text[static REPORT_MICRO_SIZE])
{
	return report_micro(value_ns / 1000, text);
}

static int report_flush(FILE *stream)
{
	return fflush(stream) == 0 && !ferror(stream) ? 0 : -EIO;
}

/* Where the figures come from and what they are worth: the end of every report. */
static void report_origin(FILE *stream, const struct meter_reading *reading, const char *at)
{
	if (reading->opened && !reading->from_tree)
		(void)fprintf(stream, "source    this machine's own powercap, measured\n");
	if (reading->opened && reading->from_tree)
		(void)fprintf(stream, "source    the host's tree at %s\n", at);
	if (reading->has_info) {
		const struct tree_info *info = &reading->info;

		(void)fprintf(stream, "host      %s, %s\n", info->source,
			      info->estimate ? "an ESTIMATE: computed, not measured" : "measured");
		(void)fprintf(stream, "view      %s\n",
			      info->exact ? "exact" : "isolated: hides what neighbours do");
		(void)fprintf(stream, "data age  %" PRIu64 " ms\n", info->age_ms);
	}
	if (!reading->up)
		(void)fprintf(stream, "%sNOT UP: %s\n", reading->opened ? "\n" : "",
			      reading->reason.text);
}

static void report_status_zone(FILE *stream, const struct report_status *report,
			       const struct meter_zone *zone)
{
	char power[REPORT_MICRO_SIZE] = REPORT_UNKNOWN, energy[REPORT_MICRO_SIZE] = REPORT_UNKNOWN;
	struct meter_use use;

	if (zone->available)
		(void)report_micro(zone->energy_uj, energy);
	if (report->later->up && meter_reading_use(report->earlier, report->later, zone->id, &use))
		(void)report_micro(use.power_uw, power);
	(void)fprintf(stream, "%-20s %14s %20s\n", zone->id, power, energy);
}

int report_status_text(FILE *stream, const struct report_status *report)
{
	const struct meter_reading *reading = report->later;

	if (reading->zone_count > 0)
		(void)fprintf(stream, "%-20s %14s %20s\n", "ZONE", "POWER (W)", "ENERGY (J)");
	for (size_t i = 0; i < reading->zone_count; i++)
		report_status_zone(stream, report, &reading->zones[i]);
	if (reading->zone_count > 0)
		(void)fputc('\n', stream);
	report_origin(stream, reading, report->at);
	return report_flush(stream);
}

static void report_command(FILE *stream, char *const *command)
{
	for (size_t i = 0; command[i] != NULL; i++) {
		(void)fputc(i == 0 ? '\'' : ' ', stream);
		/* A terminal must not be driven by what a command line holds. */
		for (const char *c = command[i]; *c != '\0'; c++)
			(void)fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stream);
	}
	(void)fputc('\'', stream);
}

static void report_exec_zone(FILE *stream, const struct exec_result *result, const char *id)
{
	char energy[REPORT_MICRO_SIZE] = REPORT_UNKNOWN, power[REPORT_MICRO_SIZE] = REPORT_UNKNOWN;
	struct meter_use use;

	if (result->before.up && result->after.up &&
	    meter_reading_use(&result->before, &result->after, id, &use)) {
		(void)report_micro(use.energy_uj, energy);
		(void)report_micro(use.power_uw, power);
	}
	(void)fprintf(stream, "%20s J  %-20s %14s W\n", energy, id, power);
}

int report_exec_text(FILE *stream, const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	const struct meter_reading *after = &result->after;
	char elapsed[REPORT_MICRO_SIZE], user[REPORT_MICRO_SIZE], system[REPORT_MICRO_SIZE];

	(void)fprintf(stream, "\n Energy of this machine while it ran ");
	report_command(stream, report->command);
	(void)fprintf(stream, ":\n\n");
	for (size_t i = 0; i < after->zone_count; i++)
		report_exec_zone(stream, result, after->zones[i].id);
	if (after->zone_count > 0)
		(void)fputc('\n', stream);
	(void)fprintf(stream, "%20s s  elapsed\n%20s s  user\n%20s s  sys\n\n",
		      report_seconds(result->elapsed_ns, elapsed),
		      report_seconds(result->user_ns, user),
		      report_seconds(result->system_ns, system));
	report_origin(stream, after->up && !result->before.up ? &result->before : after,
		      report->at);
	return report_flush(stream);
}
