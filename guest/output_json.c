/* JSON lines: one object a row (RFC 8259). What is not known is not there. */
#include "guest/output_format.h"

#include <inttypes.h>
#include <string.h>

struct output_json_tick {
	FILE *stream;
	const struct output_tick *tick;
	char time[OUTPUT_TIME_SIZE];
};

static void output_json_text(FILE *stream, const char *name, const char *text)
{
	char character[OUTPUT_CHARACTER_SIZE];

	if (*text == '\0')
		return;
	(void)fprintf(stream, ",\"%s\":\"", name);
	/* Control characters are gone already: these two are all that is left to escape. */
	while (output_next_character(&text, character) > 0)
		(void)fprintf(stream, "%s%s", strpbrk(character, "\"\\") != NULL ? "\\" : "",
			      character);
	(void)fputc('"', stream);
}

static void output_json_number(FILE *stream, const char *name, struct output_value value,
			       unsigned int places)
{
	if (!value.known)
		return;
	(void)fprintf(stream, ",\"%s\":", name);
	output_put_decimal(stream, value.value, places);
}

static void output_json_bool(FILE *stream, const char *name, bool value)
{
	(void)fprintf(stream, ",\"%s\":%s", name, value ? "true" : "false");
}

static void output_json_row(void *context, const struct output_row *row)
{
	struct output_json_tick *json = context;
	const struct meter_reading *reading = &json->tick->view->reading;
	const struct output_value estimate = output_estimate(reading);
	FILE *stream = json->stream;

	(void)fprintf(stream, "{\"time\":\"%s\",\"time_ns\":%" PRIu64, json->time,
		      json->tick->view->wall_ns);
	output_json_text(stream, "host", json->tick->host);
	output_json_text(stream, "kind", row->kind);
	output_json_text(stream, "name", row->name);
	output_json_text(stream, "detail", row->detail);
	if (row->pid > 0)
		(void)fprintf(stream, ",\"pid\":%" PRId32, row->pid);
	output_json_text(stream, "zone", row->zone);
	output_json_number(stream, "energy_joules", row->energy_uj, 6);
	output_json_number(stream, "power_watts", row->power_uw, 6);
	output_json_number(stream, "cpu_seconds", row->cpu_ns, 9);
	output_json_number(stream, "processes", row->members, 0);
	output_json_bool(stream, "up", reading->up);
	output_json_number(stream, "age_seconds", output_age_ms(reading), 3);
	if (estimate.known)
		output_json_bool(stream, "estimate", estimate.value != 0);
	output_json_text(stream, "view", output_view_name(reading));
	output_json_text(stream, "source", output_source_name(reading));
	(void)fputs("}\n", stream);
}

static void output_json_write(FILE *stream, const struct output_tick *tick)
{
	struct output_json_tick json = {.stream = stream, .tick = tick};

	output_time_text(tick->view->wall_ns, json.time);
	output_rows(tick->view, output_json_row, &json);
}

const struct output_format output_json = {.name = "json", .write = output_json_write};
