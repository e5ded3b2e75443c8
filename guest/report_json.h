/*
 * report_json.h: what the reports in JSON share.
 */
#ifndef WATTPORT_GUEST_REPORT_JSON_H
#define WATTPORT_GUEST_REPORT_JSON_H

#include "guest/report.h"

#include <jansson.h>

/* New references; NULL where memory is short, which is seen when the whole is written. */
json_t *report_number(uint64_t value);

/* null for bytes of the outside that are not UTF-8: they would make the whole object fail. */
json_t *report_string(const char *text);

/* Members for where the figures come from and what they are worth. */
void report_set_origin(json_t *object, const struct meter_reading *reading);

/* How processes that end are told, and how many were. */
struct accounts_exits;
json_t *report_exits(const struct accounts_exits *exits);

/* Writes and flushes; -ENOMEM, -EIO. */
int report_dump(FILE *stream, const json_t *object);

static inline void cleanup_json_value(json_t *const *json)
{
	json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(cleanup_json_value)))

#endif
