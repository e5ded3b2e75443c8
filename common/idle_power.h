/*
 * idle_power.h: how much a zone draws when nothing runs, found from what it draws when something
 * does.
 *
 * Part of attribution, used by the engine once a second and zone when the operator has not given
 * the figure. A simple, robust estimate: the zone's power against its CPUs' busy share over the
 * last IDLE_POWER_POINT_MAX seconds is a line (P. K. Sen, "Estimates of the regression coefficient
 * based on Kendall's tau", JASA 63, 1968): its slope is the median of the slopes of all pairs of
 * points, its height at no load the median of what the points minus the slope leave. Up to 29 % of
 * the points may be wild. Where the load hardly varies there is no slope to see: then nothing is
 * known but that the static part is not above the smallest power seen, and IDLE_POWER_PRIOR_PERCENT
 * of that is taken.
 *
 * Integer arithmetic, bounded memory, one thread.
 */
#ifndef WATTPORT_COMMON_IDLE_POWER_H
#define WATTPORT_COMMON_IDLE_POWER_H

#include <stddef.h>
#include <stdint.h>

#define IDLE_POWER_POINT_MAX	 60
#define IDLE_POWER_POINT_MIN	 8 /* fewer say nothing about a slope */
#define IDLE_POWER_PERIOD_NS	 UINT64_C(1000000000)
#define IDLE_POWER_BUSY_SCALE	 1000 /* all CPUs busy */
#define IDLE_POWER_SPREAD_MIN	 50 /* of IDLE_POWER_BUSY_SCALE: a smaller spread shows no slope */
#define IDLE_POWER_PRIOR_PERCENT 50

struct idle_power_point {
	uint64_t power_uw;
	uint64_t busy; /* 0 .. IDLE_POWER_BUSY_SCALE */
};

struct idle_power {
	uint64_t elapsed_ns; /* of the point that is being gathered */
	uint64_t energy_uj;
	uint64_t busy_ns;
	size_t count; /* valid points */
	size_t next;  /* where the next one goes */
	struct idle_power_point points[IDLE_POWER_POINT_MAX];
	uint64_t estimate_uw;
};

/* A zeroed struct is an empty one: its estimate is 0 until the first point. */

/*
 * Adds an interval of a zone: its energy, and the busy time of its `cpu_count` CPUs. Returns the
 * estimate in microwatts, which changes at most once a second.
 */
uint64_t idle_power_add(struct idle_power *idle, uint64_t elapsed_ns, uint64_t energy_uj,
			uint64_t busy_ns, size_t cpu_count);

#endif
