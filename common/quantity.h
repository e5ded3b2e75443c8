/*
 * quantity.h: numbers as a person reads them: "45.2 W", "1.23 MJ", "5 h 07 min", "2.0 GiB".
 *
 * For tables on a terminal; programs get the exact integers. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_QUANTITY_H
#define WATTPORT_COMMON_QUANTITY_H

#include <stdint.h>

#define QUANTITY_SIZE 32

/* Three digits, rounded, with the prefix that fits, from milli to tera. */
void quantity_energy(uint64_t energy_uj, char ret_text[static QUANTITY_SIZE]);
void quantity_power(uint64_t power_uw, char ret_text[static QUANTITY_SIZE]);

/* Energy in watt-hours: 1 Wh is 3600 J. */
void quantity_watt_hours(uint64_t energy_uj, char ret_text[static QUANTITY_SIZE]);

/* "24.1 %"; of nothing, "0.0 %". */
void quantity_share(uint64_t part, uint64_t whole, char ret_text[static QUANTITY_SIZE]);

/* CPU time for a narrow column: "3:07.2" (minutes), "12:03:07" (hours), from 10000 h on days. */
void quantity_time(uint64_t duration_ns, char ret_text[static QUANTITY_SIZE]);

/* The two largest units; below a minute, tenths of a second. */
void quantity_duration(uint64_t duration_ns, char ret_text[static QUANTITY_SIZE]);

/* One decimal, of powers of 1024. */
void quantity_bytes(uint64_t bytes, char ret_text[static QUANTITY_SIZE]);

#endif
