/*
 * output_influx_internal.h: the parts of a line of InfluxDB's protocol that hold text from outside.
 *
 * Of output_influx.c, for the test that reads back what they write. Pure.
 */
#ifndef WATTPORT_GUEST_OUTPUT_INFLUX_INTERNAL_H
#define WATTPORT_GUEST_OUTPUT_INFLUX_INTERNAL_H

#include <stdio.h>

/* ",NAME=VALUE", or nothing where the value is empty. */
void output_influx_put_tag(FILE *stream, const char *name, const char *value);

/* The value of a string field. */
void output_influx_put_string(FILE *stream, const char *value);

#endif
