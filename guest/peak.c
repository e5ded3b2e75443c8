#include "guest/peak.h"

#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

/* The last place of a row is the sum of the zones that add up. */
#define PEAK_TOTAL ZONE_MAX

struct peak_row {
	struct mono_time time;
	uint64_t energy_uj[ZONE_MAX + 1];
};

struct peak {
	uint64_t window_ns;
	size_t zone_count;
	bool watched[ZONE_MAX];
	bool adds_up[ZONE_MAX];
	bool any; /* a window was full at least once */
	uint64_t power_uw[ZONE_MAX + 1];
	size_t first, count; /* of a ring */
	struct peak_row rows[PEAK_READING_MAX];
};

static struct peak_row *peak_row(struct peak *peak, size_t index)
{
	return &peak->rows[(peak->first + index) % PEAK_READING_MAX];
}

struct peak *peak_create(uint64_t window_ns, const struct meter_reading *first)
{
	struct peak *peak = calloc(1, sizeof(*peak));

	if (peak == NULL)
		return NULL;
	peak->window_ns = window_ns;
	peak->zone_count = first->zone_count;
	for (size_t i = 0; i < first->zone_count; i++) {
		peak->watched[i] = first->zones[i].available;
		peak->adds_up[i] =
		    first->zones[i].available && meter_zone_adds_up(first->zones[i].id);
	}
	peak_take(peak, first);
	return peak;
}

void peak_destroy(struct peak *peak)
{
	free(peak);
}

static bool peak_is_usable(const struct peak *peak, const struct meter_reading *reading)
{
	if (reading->zone_count < peak->zone_count || reading->read_ns > peak->window_ns / 20)
		return false;
	for (size_t i = 0; i < peak->zone_count; i++)
		if (peak->watched[i] && !reading->zones[i].available)
			return false;
	return true;
}

static void peak_compare(struct peak *peak, const struct peak_row *from, const struct peak_row *to)
{
	uint64_t elapsed_ns = clock_elapsed_ns(from->time, to->time);

	for (size_t i = 0; i <= PEAK_TOTAL; i++) {
		uint64_t power_uw;

		if (i != PEAK_TOTAL && (i >= peak->zone_count || !peak->watched[i]))
			continue;
		power_uw = (uint64_t)((wide)(to->energy_uj[i] - from->energy_uj[i]) *
				      CLOCK_NS_PER_SECOND / elapsed_ns);
		if (power_uw > peak->power_uw[i])
			peak->power_uw[i] = power_uw;
	}
	peak->any = true;
}

void peak_take(struct peak *peak, const struct meter_reading *reading)
{
	struct peak_row *row;

	if (!peak_is_usable(peak, reading))
		return;
	/* The last of a full ring gives way: its readings are nearer to each other than they need
	 * be. */
	if (peak->count == PEAK_READING_MAX)
		peak->count--;
	row = peak_row(peak, peak->count++);
	row->time = reading->time;
	row->energy_uj[PEAK_TOTAL] = 0;
	for (size_t i = 0; i < peak->zone_count; i++) {
		row->energy_uj[i] = reading->zones[i].energy_uj;
		if (peak->adds_up[i])
			row->energy_uj[PEAK_TOTAL] += reading->zones[i].energy_uj;
	}
	/* The first row becomes the youngest that is a window old. */
	while (peak->count > 2 &&
	       clock_elapsed_ns(peak_row(peak, 1)->time, row->time) >= peak->window_ns) {
		peak->first = (peak->first + 1) % PEAK_READING_MAX;
		peak->count--;
	}
	if (clock_elapsed_ns(peak_row(peak, 0)->time, row->time) >= peak->window_ns)
		peak_compare(peak, peak_row(peak, 0), row);
}

uint64_t peak_window_ns(const struct peak *peak)
{
	return peak->window_ns;
}

bool peak_of_zone(const struct peak *peak, size_t index, uint64_t *ret_power_uw)
{
	if (!peak->any || index >= peak->zone_count || !peak->watched[index])
		return false;
	*ret_power_uw = peak->power_uw[index];
	return true;
}

bool peak_of_total(const struct peak *peak, uint64_t *ret_power_uw)
{
	if (!peak->any)
		return false;
	for (size_t i = 0; i < peak->zone_count; i++) {
		if (peak->adds_up[i]) {
			*ret_power_uw = peak->power_uw[PEAK_TOTAL];
			return true;
		}
	}
	return false;
}
