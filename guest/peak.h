/*
 * peak.h: the highest mean power over any stretch of a given length, out of many readings.
 *
 * A reader that samples every t a counter that is refreshed every T errs by up to T/t: with a
 * counter that is refreshed each millisecond, what two readings say that are 10 ms apart may be a
 * tenth off. Over ten such readings it is a hundredth. So a peak is that of a window, and a run
 * that is shorter than it has none. Pure; one thread.
 */
#ifndef WATTPORT_GUEST_PEAK_H
#define WATTPORT_GUEST_PEAK_H

#include "guest/meter.h"

/* A hundred times the millisecond in which RAPL's counters are refreshed. */
#define PEAK_WINDOW_NS_MIN  UINT64_C(100000000)
#define PEAK_WINDOW_PERIODS 10
#define PEAK_READING_MAX                                                                           \
	256 /* that a window may have; more are too near to each other to count                    \
	     */

struct peak;

/* Starts with the first reading; its available zones are watched. NULL: out of memory. */
struct peak *peak_create(uint64_t window_ns, const struct meter_reading *first);
void peak_destroy(struct peak *peak);

/* Readings in the order of time. One that lacks a zone, or took long to be read, is left out. */
void peak_take(struct peak *peak, const struct meter_reading *reading);

uint64_t peak_window_ns(const struct peak *peak);

/* Of zone `index` of the first reading, or of all that add up; false where there is none. */
bool peak_of_zone(const struct peak *peak, size_t index, uint64_t *ret_power_uw);
bool peak_of_total(const struct peak *peak, uint64_t *ret_power_uw);

static inline void cleanup_peak_value(struct peak *const *peak)
{
	peak_destroy(*peak);
}
#define cleanup_peak __attribute__((cleanup(cleanup_peak_value)))

#endif
