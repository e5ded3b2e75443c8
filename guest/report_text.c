#include "guest/report_internal.h"

#include <errno.h>
#include <inttypes.h>

const char *report_micro(uint64_t value, char text[static REPORT_MICRO_SIZE])
{
	(void)snprintf(text, REPORT_MICRO_SIZE, "%" PRIu64 ".%06" PRIu64, value / 1000000,
		       value % 1000000);
	return text;
}

int report_flush(FILE *stream)
{
	return fflush(stream) == 0 && !ferror(stream) ? 0 : -EIO;
}

static void report_source(FILE *stream, const struct meter_reading *reading, const char *at)
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
}

static void report_not_up(FILE *stream, const struct meter_reading *reading)
{
	if (!reading->up)
		(void)fprintf(stream, "%sNOT UP: %s\n", reading->opened ? "\n" : "",
			      reading->reason.text);
}

void report_origin(FILE *stream, const struct meter_reading *reading, const char *at)
{
	report_source(stream, reading, at);
	report_not_up(stream, reading);
}

/* Whether processes that end between two looks are known: with them their part of the energy. */
static void report_exits(FILE *stream, const struct report_status *report)
{
	char seconds[REPORT_MICRO_SIZE];
	uint64_t elapsed_ns = clock_elapsed_ns(report->earlier->time, report->later->time);

	if (!report->exits->counted) {
		(void)fprintf(stream, "exits     not told: %s\n", report->exits->reason);
		return;
	}
	(void)fprintf(stream,
		      "exits     %" PRIu64
		      " in %s s: processes and threads of which the kernel tells (taskstats)",
		      report->exits->ended, report_micro(elapsed_ns / 1000, seconds));
	if (report->exits->lost > 0)
		(void)fprintf(stream, "; %" PRIu64 " times it had no room for more",
			      report->exits->lost);
	(void)fputc('\n', stream);
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
	report_source(stream, reading, report->at);
	if (report->exits != NULL)
		report_exits(stream, report);
	report_not_up(stream, reading);
	return report_flush(stream);
}
