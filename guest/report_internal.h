/*
 * report_internal.h: what the reports share.
 */
#ifndef WATTPORT_GUEST_REPORT_INTERNAL_H
#define WATTPORT_GUEST_REPORT_INTERNAL_H

#include "guest/report.h"

#define REPORT_UNKNOWN "unknown"

/* Flushes; -EIO when the stream took not all. */
int report_flush(FILE *stream);

/* Where the figures come from and what they are worth: the end of every report. */
void report_origin(FILE *stream, const struct meter_reading *reading, const char *at);

/* The reading that tells it: the one that is not up, where one is not. */
const struct meter_reading *report_exec_origin(const struct exec_result *result);

#endif
