/*
 * report_internal.h: what text and JSON of a report have in common.
 */
#ifndef WATTPORT_GUEST_REPORT_INTERNAL_H
#define WATTPORT_GUEST_REPORT_INTERNAL_H

#include "guest/meter.h"

/* Whether the figures are to be called an estimate. */
static inline bool report_is_estimate(const struct meter_reading *reading)
{
	return reading->has_info && reading->info.estimate;
}

/* "tree" or "powercap". */
static inline const char *report_source(const struct meter_reading *reading)
{
	return reading->from_tree ? "tree" : "powercap";
}

#endif
