#include "common/cleanup.h"
#include "guest/report_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

const char report_exec_csv_header[] =
    "began,command,exit_status,phase,label,zone,elapsed_s,energy_"
    "j,command_j,mean_w,peak_w,user_s,system_s,"
    "co2e_g,command_co2e_g,co2e_unknown_j,g_per_kwh,estimate,reason\r\n";

/* What all rows of a report have in common. */
struct report_csv {
	FILE *stream;
	const struct report_exec *report;
	char began[32];
	char *command;
};

/* One row: of the whole (phase 0) or of a phase, and of one zone or of their total. */
struct report_row {
	size_t phase;
	const char *label;
	const char *zone;
	uint64_t elapsed_ns;
	bool known;
	uint64_t energy_uj;
	bool has_command; /* the next */
	uint64_t command_uj;
	bool has_peak;
	uint64_t peak_uw;
	const struct carbon_sum *co2e;	       /* or NULL */
	const struct carbon_sum *command_co2e; /* the same; of has_command */
};

/*
 * Control characters could hide what stands in a file; a quote is doubled (RFC 4180, 2.7). What a
 * spreadsheet would take for a formula gets an apostrophe in front, as in output_csv.c.
 */
static void report_field(FILE *stream, const char *text)
{
	(void)fputc('"', stream);
	if (*text != '\0' && strchr("=+-@", *text) != NULL)
		(void)fputc('\'', stream);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"')
			(void)fputc('"', stream);
		(void)fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stream);
	}
	(void)fputc('"', stream);
}

static void report_micro_field(FILE *stream, bool known, uint64_t value)
{
	char text[REPORT_MICRO_SIZE];

	(void)fprintf(stream, ",%s", known ? report_micro(value, text) : "");
}

/* NULL: not known, as where none of the energy had an intensity. */
static void report_grams_field(FILE *stream, const struct carbon_sum *sum)
{
	bool known = sum != NULL && !(sum->energy_uj == 0 && sum->unknown_uj > 0);

	report_micro_field(stream, known, known ? sum->co2e_ug : 0);
}

/* The first thing that is wrong with it. */
static const char *report_reason(const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	const struct meter_reading *origin = report_exec_origin(result);

	if (!origin->up)
		return origin->reason.text;
	if (report->note != NULL && report->note[0] != '\0')
		return report->note;
	if (result->has_carbon && !result->carbon.known)
		return result->carbon.reason.text;
	return "";
}

static void report_row(const struct report_csv *csv, const struct report_row *row)
{
	const struct exec_result *result = csv->report->result;
	const struct meter_reading *origin = report_exec_origin(result);
	bool estimate = false;
	bool known = meter_reading_estimate(origin, &estimate);
	const struct carbon_sum *co2e = row->co2e;
	bool command = csv->report->command != NULL;
	FILE *stream = csv->stream;

	(void)fprintf(stream, "%s,", csv->began);
	report_field(stream, csv->command);
	if (command)
		(void)fprintf(stream, ",%d", result->exit_status);
	else
		(void)fputc(',', stream);
	(void)fprintf(stream, ",%zu,", row->phase);
	report_field(stream, row->label);
	(void)fprintf(stream, ",%s", row->zone);
	report_micro_field(stream, command || row->known, row->elapsed_ns / 1000);
	report_micro_field(stream, row->known, row->energy_uj);
	report_micro_field(stream, row->known && row->has_command, row->command_uj);
	report_micro_field(stream, row->known && row->elapsed_ns > 0,
			   (uint64_t)((double)row->energy_uj * 1e9 /
				      (double)(row->elapsed_ns > 0 ? row->elapsed_ns : 1)));
	report_micro_field(stream, row->known && row->has_peak, row->peak_uw);
	report_micro_field(stream, command && row->phase == 0, result->user_ns / 1000);
	report_micro_field(stream, command && row->phase == 0, result->system_ns / 1000);
	report_grams_field(stream, row->known ? co2e : NULL);
	report_grams_field(stream, row->known && row->has_command ? row->command_co2e : NULL);
	report_micro_field(stream, row->known && co2e != NULL, co2e != NULL ? co2e->unknown_uj : 0);
	report_micro_field(stream, result->has_carbon && result->carbon.known,
			   result->carbon.intensity_mg_per_kwh * 1000);
	(void)fprintf(stream, ",%s,", !known ? "" : estimate ? "yes" : "no");
	report_field(stream, report_reason(csv->report));
	(void)fprintf(stream, "\r\n");
}

static void report_whole(const struct report_csv *csv)
{
	const struct exec_result *result = csv->report->result;
	struct meter_use use = {.energy_uj = 0};
	struct exec_share_zone share = {.divided = false};
	struct report_row row = {.label = "", .elapsed_ns = result->elapsed_ns};

	for (size_t i = 0; i < result->after.zone_count; i++) {
		row.zone = result->after.zones[i].id;
		row.known = exec_result_known(result) &&
			    meter_reading_use(&result->before, &result->after, row.zone, &use);
		row.energy_uj = use.energy_uj;
		row.has_command = exec_result_share(result, i, &share);
		row.command_uj = share.command_uj;
		row.has_peak = result->peak != NULL && peak_of_zone(result->peak, i, &row.peak_uw);
		report_row(csv, &row);
	}
	row.zone = "total";
	row.known = exec_result_total(result, &use);
	row.energy_uj = use.energy_uj;
	row.has_command = exec_result_total_share(result, &share);
	row.command_uj = share.command_uj;
	row.has_peak = result->peak != NULL && peak_of_total(result->peak, &row.peak_uw);
	row.co2e = result->has_carbon ? &result->co2e : NULL;
	row.command_co2e = result->has_carbon ? &result->command_co2e : NULL;
	report_row(csv, &row);
}

static void report_phase(const struct report_csv *csv, const struct phase *phase, size_t number,
			 const char *label)
{
	const struct exec_result *result = csv->report->result;
	struct exec_share_zone share;
	struct report_row row = {.phase = number,
				 .label = label,
				 .elapsed_ns = phase->elapsed_ns,
				 .known = exec_result_known(result)};

	for (size_t i = 0; i < result->before.zone_count; i++) {
		if (!result->before.zones[i].available)
			continue;
		row.zone = result->before.zones[i].id;
		row.energy_uj = phase->zones_uj[i];
		row.has_command = exec_result_share(result, i, &share);
		row.command_uj = phase->command_zones_uj[i];
		report_row(csv, &row);
	}
	row.zone = "total";
	row.energy_uj = phase->energy_uj;
	row.has_command = exec_result_total_share(result, &share);
	row.command_uj = phase->command_uj;
	row.co2e = result->has_carbon ? &phase->co2e : NULL;
	row.command_co2e = result->has_carbon ? &phase->command_co2e : NULL;
	report_row(csv, &row);
}

static void report_phases(const struct report_csv *csv)
{
	const struct phases *phases = csv->report->result->phases;
	size_t count = phases != NULL ? phases_count(phases) : 0;

	if (count == 0 || (count == 1 && phases_get(phases, 0)->label[0] == '\0'))
		return;
	for (size_t i = 0; i < count; i++)
		report_phase(csv, phases_get(phases, i), i + 1, phases_get(phases, i)->label);
	if (phases_unlisted(phases)->count > 0)
		report_phase(csv, phases_unlisted(phases), count + 1, "(later phases, together)");
}

/* The words with blanks between them; a session's name as it is. */
static char *report_words(const struct report_exec *report)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	if (report->command == NULL)
		(void)fputs(report->session, stream);
	for (size_t i = 0; report->command != NULL && report->command[i] != NULL; i++)
		(void)fprintf(stream, "%s%s", i > 0 ? " " : "", report->command[i]);
	if (fclose(stream) == 0)
		return text;
	free(text);
	return NULL;
}

int report_exec_csv(FILE *stream, const struct report_exec *report, bool header)
{
	cleanup_free char *command = report_words(report);
	struct report_csv csv = {.stream = stream, .report = report, .command = command};
	time_t seconds = (time_t)(report->result->began.ns / CLOCK_NS_PER_SECOND);
	struct tm broken;

	if (command == NULL || gmtime_r(&seconds, &broken) == NULL)
		return -ENOMEM;
	(void)strftime(csv.began, sizeof(csv.began), "%Y-%m-%dT%H:%M:%SZ", &broken);
	if (header)
		(void)fputs(report_exec_csv_header, stream);
	report_whole(&csv);
	report_phases(&csv);
	return report_flush(stream);
}
