/*
 * RFC 4180, but for its line ends, which are "\n" as in every log: a header, and text in quotes
 * where it needs them. A spreadsheet takes a cell that begins with = + - @ for a formula and runs
 * it, and any user may name a process so: such names get an apostrophe in front, which spreadsheets
 * hide (OWASP, "CSV injection").
 */
#include "guest/output_format.h"

#include <inttypes.h>
#include <string.h>

struct output_csv_tick {
	FILE *stream;
	const struct output_tick *tick;
	char time[OUTPUT_TIME_SIZE];
};

static void output_csv_text(FILE *stream, const char *text)
{
	bool formula = *text != '\0' && strchr("=+-@", *text) != NULL;
	bool quoted = strpbrk(text, ",\"'") != NULL || *text == ' ' || formula;
	char character[OUTPUT_CHARACTER_SIZE];

	(void)fputs(quoted ? "\"" : "", stream);
	(void)fputs(formula ? "'" : "", stream);
	while (output_next_character(&text, character) > 0)
		(void)fputs(strcmp(character, "\"") == 0 ? "\"\"" : character, stream);
	(void)fputs(quoted ? "\"" : "", stream);
}

static void output_csv_number(FILE *stream, struct output_value value, unsigned int places)
{
	(void)fputc(',', stream);
	if (value.known)
		output_put_decimal(stream, value.value, places);
}

static void output_csv_row(void *context, const struct output_row *row)
{
	struct output_csv_tick *csv = context;
	const struct meter_reading *reading = &csv->tick->view->reading;
	FILE *stream = csv->stream;
	const char *const texts[] = {csv->tick->host, row->kind, row->name, row->detail};
	struct output_value pid = {.known = row->pid > 0, .value = (uint64_t)row->pid};

	(void)fprintf(stream, "%s,%" PRIu64, csv->time, csv->tick->view->wall_ns);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		(void)fputc(',', stream);
		output_csv_text(stream, texts[i]);
	}
	output_csv_number(stream, pid, 0);
	(void)fputc(',', stream);
	output_csv_text(stream, row->zone);
	output_csv_number(stream, row->energy_uj, 6);
	output_csv_number(stream, row->power_uw, 6);
	output_csv_number(stream, row->cpu_ns, 9);
	output_csv_number(stream, row->members, 0);
	(void)fprintf(stream, ",%d", reading->up);
	output_csv_number(stream, output_age_ms(reading), 3);
	output_csv_number(stream, output_estimate(reading), 0);
	(void)fprintf(stream, ",%s,", output_view_name(reading));
	output_csv_text(stream, output_source_name(reading));
	(void)fputc('\n', stream);
}

static void output_csv_write(FILE *stream, const struct output_tick *tick)
{
	struct output_csv_tick csv = {.stream = stream, .tick = tick};

	output_time_text(tick->view->wall_ns, csv.time);
	output_rows(tick->view, output_csv_row, &csv);
}

const struct output_format output_csv = {
    .name = "csv",
    .header = "time,time_ns,host,kind,name,detail,pid,zone,energy_joules,power_watts,cpu_seconds,"
	      "processes,up,age_seconds,estimate,view,source\n",
    .write = output_csv_write,
};
