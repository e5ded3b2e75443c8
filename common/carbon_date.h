/*
 * carbon_date.h: the times that published carbon intensities are of.
 *
 * The calendar without the C library's time zones: those of a guest may be anything. Pure.
 */
#ifndef WATTPORT_COMMON_CARBON_DATE_H
#define WATTPORT_COMMON_CARBON_DATE_H

#include "common/clock.h"

/* RFC 3339 with a time zone; seconds and their fraction may be missing. -EINVAL, -ERANGE. */
int carbon_date_parse(const char *text, struct wall_time *ret_time);

/* "2024-05-31" or "31/05/2024", and "14:00", in French time; what stands behind them is not read.
 */
int carbon_date_parse_french(const char *day, const char *hour, struct wall_time *ret_time);

#endif
