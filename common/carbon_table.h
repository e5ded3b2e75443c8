/*
 * carbon_table.h: how much CO2e a kilowatt-hour has caused, by country, in a past year.
 *
 * Means of a year, of the electricity that was made in the country, over the whole life of the
 * power stations: upstream and building included. Constant data: safe in any thread.
 */
#ifndef WATTPORT_COMMON_CARBON_TABLE_H
#define WATTPORT_COMMON_CARBON_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct carbon_country {
	const char *code; /* ISO 3166-1 alpha-2, "EU" and "WORLD" apart */
	const char *name;
	uint32_t intensity_g_per_kwh;
	uint32_t year;
};

/* Of all rows: "lifecycle, Ember". */
#define CARBON_TABLE_BASIS "lifecycle, Ember"

/* Any case; NULL where the country is not in the table. */
const struct carbon_country *carbon_table_find(const char *code);

/* Row `index`, in the order of the codes; NULL behind the last. */
const struct carbon_country *carbon_table_get(size_t index);

#endif
