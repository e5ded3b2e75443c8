/*
 * year.h: what the parts of soak_year share: chance, the log and how a violation is told.
 *
 * soak_year is one process: the whole meter of wattportd and the readings of wattport-fs over a
 * simulated host, under a clock that moves when told to. A seed gives the whole run.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_H
#define WATTPORT_TESTS_SOAK_YEAR_H

#include <stdbool.h>
#include <stdint.h>

#define YEAR_MS	    UINT64_C(1000000)
#define YEAR_SECOND UINT64_C(1000000000)
#define YEAR_HOUR   (3600 * YEAR_SECOND)
#define YEAR_DAY    (24 * YEAR_HOUR)

/* Products of power and time. */
__extension__ typedef unsigned __int128 year_wide;

/* The next number of the run, below `limit`. */
uint64_t year_below(uint64_t limit);
bool year_chance(uint64_t one_in);

/* One event, as a line of the log. */
void year_event(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An invariant is broken: says which, the event, the seed and how to repeat it, and ends. */
void year_violation(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Whatever is not the product's fault. */
void year_give_up(const char *what) __attribute__((noreturn));

#endif
