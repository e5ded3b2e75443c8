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

void report_origin(FILE *stream, const struct meter_reading *reading, const char *at)
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
