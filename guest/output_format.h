/*
 * output_format.h: what an output looks like: CSV, JSON lines, InfluxDB's line protocol.
 *
 * One `const struct output_format` each, in a file output_NAME.c, all listed in output_format.c.
 * They write whole lines, one record each, and take the numbers from the view alone, digit by digit
 * (common/decimal.h), so that all tell the same. What is not known is left out, never 0. Names come
 * from outside and may be any bytes: each format makes them harmless by its own rules; what is not
 * UTF-8, and control characters, become '?'. Pure, but for the stream that they write to.
 */
#ifndef WATTPORT_GUEST_OUTPUT_FORMAT_H
#define WATTPORT_GUEST_OUTPUT_FORMAT_H

#include "guest/output_row.h"

#include <stdio.h>

struct output_format {
	const char *name;   /* "csv", in --output=csv:... */
	const char *header; /* the line that begins a file, with its newline; or NULL */
	/* All records of a tick, each a line. Errors stick to the stream. */
	void (*write)(FILE *stream, const struct output_tick *tick);
};

extern const struct output_format output_csv;
extern const struct output_format output_json;
extern const struct output_format output_influx;

/* NULL: there is none of that name. */
const struct output_format *output_format_find(const char *name);

/* What the formats share: a number as "12.500000", and a moment as RFC 3339 with nanoseconds. */
void output_put_decimal(FILE *stream, uint64_t magnitude, unsigned int places);
#define OUTPUT_TIME_SIZE 40
void output_time_text(uint64_t wall_ns, char ret_text[static OUTPUT_TIME_SIZE]);

/* The next character of a name, made harmless: moves *text on and returns its length, 0 at the end.
 */
#define OUTPUT_CHARACTER_SIZE 5
size_t output_next_character(const char **text, char ret_character[static OUTPUT_CHARACTER_SIZE]);

#endif
