#include "common/idle_power.h"

#include <stdbool.h>
#include <stdlib.h>

#define PAIR_MAX (IDLE_POWER_POINT_MAX * (IDLE_POWER_POINT_MAX - 1) / 2)

__extension__ typedef unsigned __int128 wide;

static int idle_power_compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int64_t idle_power_median(int64_t values[], size_t count)
{
	qsort(values, count, sizeof(values[0]), idle_power_compare);
	return values[count / 2];
}

static struct idle_power_point idle_power_make_point(uint64_t elapsed_ns, uint64_t energy_uj,
						     uint64_t busy_ns, size_t cpu_count)
{
	wide power_uw = (wide)energy_uj * 1000000000U / elapsed_ns;
	wide capacity_ns = (wide)elapsed_ns * (cpu_count > 0 ? cpu_count : 1);
	wide busy = (wide)busy_ns * IDLE_POWER_BUSY_SCALE / capacity_ns;

	return (struct idle_power_point){
	    .power_uw = power_uw < INT64_MAX / IDLE_POWER_BUSY_SCALE
			    ? (uint64_t)power_uw
			    : INT64_MAX / IDLE_POWER_BUSY_SCALE,
	    .busy = busy < IDLE_POWER_BUSY_SCALE ? (uint64_t)busy : IDLE_POWER_BUSY_SCALE,
	};
}

/* The median slope in microwatts per step of the busy scale, or false where the load is level. */
static bool idle_power_slope(const struct idle_power *idle, int64_t *ret_slope)
{
	int64_t slopes[PAIR_MAX];
	size_t count = 0;

	for (size_t i = 1; i < idle->count; i++) {
		for (size_t j = 0; j < i; j++) {
			int64_t run = (int64_t)idle->points[i].busy - (int64_t)idle->points[j].busy;
			int64_t rise =
			    (int64_t)idle->points[i].power_uw - (int64_t)idle->points[j].power_uw;

			/* Near pairs have more noise than slope. */
			if (run > IDLE_POWER_SPREAD_MIN / 2 || run < -IDLE_POWER_SPREAD_MIN / 2)
				slopes[count++] = rise / run;
		}
	}
	/* A tenth of the pairs at least, or a single outlier would make them all. */
	if (count < idle->count * (idle->count - 1) / 20 + 1)
		return false;
	*ret_slope = idle_power_median(slopes, count);
	return *ret_slope >= 0;
}

static uint64_t idle_power_smallest(const struct idle_power *idle)
{
	uint64_t smallest = UINT64_MAX;

	for (size_t i = 0; i < idle->count; i++)
		if (idle->points[i].power_uw < smallest)
			smallest = idle->points[i].power_uw;
	return smallest;
}

static uint64_t idle_power_fit(const struct idle_power *idle)
{
	int64_t heights[IDLE_POWER_POINT_MAX];
	uint64_t smallest = idle_power_smallest(idle);
	int64_t slope, height;

	if (idle->count < IDLE_POWER_POINT_MIN || !idle_power_slope(idle, &slope))
		return smallest * IDLE_POWER_PRIOR_PERCENT / 100;
	for (size_t i = 0; i < idle->count; i++)
		heights[i] =
		    (int64_t)idle->points[i].power_uw - slope * (int64_t)idle->points[i].busy;
	height = idle_power_median(heights, idle->count);
	if (height < 0)
		return 0;
	return (uint64_t)height < smallest ? (uint64_t)height : smallest;
}

uint64_t idle_power_add(struct idle_power *idle, uint64_t elapsed_ns, uint64_t energy_uj,
			uint64_t busy_ns, size_t cpu_count)
{
	idle->elapsed_ns += elapsed_ns;
	idle->energy_uj += energy_uj;
	idle->busy_ns += busy_ns;
	if (idle->elapsed_ns < IDLE_POWER_PERIOD_NS)
		return idle->estimate_uw;
	idle->points[idle->next] =
	    idle_power_make_point(idle->elapsed_ns, idle->energy_uj, idle->busy_ns, cpu_count);
	idle->next = (idle->next + 1) % IDLE_POWER_POINT_MAX;
	if (idle->count < IDLE_POWER_POINT_MAX)
		idle->count++;
	idle->elapsed_ns = 0;
	idle->energy_uj = 0;
	idle->busy_ns = 0;
	idle->estimate_uw = idle_power_fit(idle);
	return idle->estimate_uw;
}
