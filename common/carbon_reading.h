/*
 * carbon_reading.h: a carbon intensity out of what others publish it in.
 *
 * Recognised by their content:
 * - a plain number: grams of CO2e per kWh;
 * - RTE's eCO2mix (France): records of its JSON interface with `taux_co2`, or its tab-separated
 *   file with a column "Taux de Co2", in Latin-1 and French time. Direct emissions, not lifecycle;
 * - ElectricityMaps: `carbonIntensity` with `datetime`, alone or in lists such as `history`.
 * Of several records the newest counts that is not in the future and has a figure. Pure.
 */
#ifndef WATTPORT_COMMON_CARBON_READING_H
#define WATTPORT_COMMON_CARBON_READING_H

#include "common/clock.h"
#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A year of eCO2mix in quarters of an hour is some 7 MB. */
#define CARBON_READING_SIZE_MAX	   ((size_t)16 << 20)
#define CARBON_READING_SOURCE_SIZE 96

/* Clocks differ: a record may be so much newer than now. */
#define CARBON_READING_AHEAD_NS (300 * CLOCK_NS_PER_SECOND)

struct carbon_reading {
	uint64_t intensity_mg_per_kwh;
	bool has_time; /* a plain number has none of its own */
	struct wall_time time;
	char source[CARBON_READING_SOURCE_SIZE]; /* "RTE eCO2mix, direct emissions" */
};

/*
 * The text ends in a NUL at text[length]. -EINVAL for what is in no known format, -ENODATA where
 * no record has a figure, -ERANGE for one that cannot be; all with *diag.
 */
int carbon_reading_parse(const char *text, size_t length, struct wall_time now,
			 struct carbon_reading *ret_reading, struct diag *diag);

#endif
