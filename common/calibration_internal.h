/*
 * calibration_internal.h: what calibration.c (the fit) and calibration_prior.c (what is believed
 * beforehand) share.
 */
#ifndef WATTPORT_COMMON_CALIBRATION_INTERNAL_H
#define WATTPORT_COMMON_CALIBRATION_INTERNAL_H

#include "common/calibration.h"
#include "common/deviation.h"
#include "common/normal_equations.h"

#include <assert.h>

/* Unknowns: the static power, the features' coefficients, the VMs' deviations. */
#define CALIBRATION_UNKNOWN_STATIC   0
#define CALIBRATION_UNKNOWN_FEATURES 1
#define CALIBRATION_UNKNOWN_VMS	     (CALIBRATION_UNKNOWN_FEATURES + FEATURES_COUNT)
#define CALIBRATION_UNKNOWN_COUNT    (CALIBRATION_UNKNOWN_VMS + DEVIATION_VM_MAX)

static_assert(CALIBRATION_UNKNOWN_COUNT <= NORMAL_EQUATIONS_MAX, "all unknowns fit");

struct calibration_stratum {
	double scale; /* what its sums count for */
	struct normal_equations sums;
};

struct calibration {
	size_t cpu_count;
	struct calibration_prior prior;
	bool static_given;
	bool recalled;
	bool primed; /* x[] is a solution */
	bool has_events;
	double static_w; /* given */
	double recalled_static_w, recalled_thread_w;
	double learned_s, elapsed_s; /* of the interval that is being gathered */
	double energy_j;
	double envelope_w;
	double recent_w[2];
	double spread, spread_weight; /* of residuals, squared */
	double error, error_weight;   /* the same of the power, told beforehand */
	double thread_w;
	struct features work;
	struct deviation *deviation;
	uint32_t changes[DEVIATION_VM_MAX]; /* of the slots, as the sums know them */
	uint64_t costs[FEATURES_COUNT];
	double x[CALIBRATION_UNKNOWN_COUNT];
	struct calibration_stratum strata[CALIBRATION_STRATA];
	struct normal_equations total;
};

/*
 * What the zone's mean power, which must be above 0, says of every unknown, how far that is
 * trusted, and what can never be.
 */
void calibration_prior_bounds(const struct calibration *calibration,
			      struct normal_equations_bound bounds[]);

#endif
