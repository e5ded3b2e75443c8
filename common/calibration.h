/*
 * calibration.h: what a zone draws at rest, and what each unit of work costs on it, learned from
 * the zone's own counter.
 *
 * Part of attribution; the engine has one for each zone. About once a second it takes the zone's
 * energy and what ran meanwhile, features.h, and fits
 *
 *     power = static + sum over features (coefficient * amount) + sum over VMs (deviation * VM)
 *
 * with no coefficient below 0: the model of SmartWatts (Fieni, Rouvoy, Seinturier, "SmartWatts:
 * Self-Calibrating Software-Defined Power Meter for Containers", CCGRID 2020), fitted to the whole
 * package at once. What we do beyond it:
 *   - A VM's deviation is what its own work costs more or less than the features say: where no
 *     events are counted, it tells a heavy load from a light one by how the load and the zone's
 *     power vary together. The fit has deviations so that a dear VM is not taken for static power
 *     or for a dear feature, but it is slow, as static power and features want it. What is handed
 *     on is deviation.h's, which follows the VMs.
 *   - Every unknown has a prior, a mean and how far it is trusted (ridge regression: Hoerl and
 *     Kennard, Technometrics 12, 1970), made from the zone's mean power. Where the load hardly
 *     varies the prior decides, so that nothing absurd comes out of nothing.
 *   - Memory is kept by load, CALIBRATION_STRATA levels of it, and fades as intervals of the same
 *     level come in: a busy week does not push out what a quiet hour has taught about the static
 *     power. All of it fades within hours.
 *   - An interval that is far off counts less (Huber, "Robust Estimation of a Location Parameter",
 *     Ann. Math. Statist. 35, 1964).
 *   - Solved by coordinate descent on the normal equations, from the last solution on, in bounded
 *     work: Franc, Hlavac and Navara, "Sequential Coordinate-Wise Algorithm for the Non-negative
 *     Least Squares Problem", CAIP 2005.
 *
 * The fit is in floating point, deterministic; what it hands on is in integers. One thread.
 */
#ifndef WATTPORT_COMMON_CALIBRATION_H
#define WATTPORT_COMMON_CALIBRATION_H

#include "common/features.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALIBRATION_PERIOD_NS UINT64_C(1000000000)
#define CALIBRATION_STRATA    6

/* Whose work is meant: the host's own, or the VM of that number below CALIBRATION_KEY_MAX. */
#define CALIBRATION_KEY_MAX  4096
#define CALIBRATION_KEY_HOST CALIBRATION_KEY_MAX

/* Learning until it has seen that much; the deviations need as long. */
#define CALIBRATION_LEARNING_NS UINT64_C(120000000000)

/* A deviation of 1. */
#define CALIBRATION_RATIO_ONE UINT64_C(65536)

/* Coefficients are nanojoules per unit of a feature, of CALIBRATION_COST_ONE. */
#define CALIBRATION_COST_ONE (UINT64_C(1) << 20)

/* What is known now. */
struct calibration_state {
	uint64_t static_power_uw;
	uint64_t power_uw;	  /* drawn in the mean */
	uint64_t thread_power_uw; /* what a busy thread draws in the mean, beyond the static part */
	uint64_t error_ppm;	  /* of the power, root mean square, told beforehand */
	uint64_t learned_ns;	  /* how long it has learned */
	bool learning;
};

struct calibration;

/* What is known of a zone beforehand. */
struct calibration_prior {
	double load_ratio; /* full load adds so many times the static power */
	/* The first busy CPU wakes so much of it, and the next few as much again; above 0. */
	double shared;
	bool memory; /* cache misses are what draws its power */
};

/* For a zone of that many CPUs. 0 or -ENOMEM. */
int calibration_create(size_t cpu_count, const struct calibration_prior *prior,
		       struct calibration **ret_calibration);
void calibration_destroy(struct calibration *calibration);

/* The static power is that, whatever the counter says (an operator knows); or it is found. */
void calibration_fix_static(struct calibration *calibration, bool given, uint64_t power_uw);

/* What an earlier run has found stands in the place of the prior, and is trusted more. */
void calibration_recall(struct calibration *calibration, uint64_t static_power_uw,
			uint64_t thread_power_uw);

/*
 * What the work costs in nanojoules, without deviations; divided by 2^shift, that the longest
 * interval be no overflow. Never less for more work.
 */
uint64_t calibration_cost(const struct calibration *calibration, const struct features *work,
			  unsigned int shift);

/* What that work costs by its own deviation: of CALIBRATION_RATIO_ONE. */
uint64_t calibration_ratio(const struct calibration *calibration, size_t key);

/* Before calibration_add(): of the same interval, the work of one VM and its cost. */
void calibration_add_work(struct calibration *calibration, size_t key, const struct features *work,
			  uint64_t cost_nj);

/* The VM of that key is another one from now on. */
void calibration_forget(struct calibration *calibration, size_t key);

/*
 * Ends the interval; fits once CALIBRATION_PERIOD_NS are full. `has_events`: some of the work has
 * its events counted.
 */
void calibration_add(struct calibration *calibration, uint64_t elapsed_ns, uint64_t energy_uj,
		     bool has_events);

/* Forgets the interval that is being gathered. */
void calibration_drop(struct calibration *calibration);

struct calibration_state calibration_state(const struct calibration *calibration);

static inline void cleanup_calibration_value(struct calibration *const *calibration)
{
	calibration_destroy(*calibration);
}
#define cleanup_calibration __attribute__((cleanup(cleanup_calibration_value)))

#endif
