#include "common/calibration_internal.h"

#include <math.h>

/* How far a prior is trusted: standard deviations. */
#define STATIC_TRUST	 0.5   /* of the prior's static power */
#define RECALLED_TRUST	 0.15  /* of the static power of an earlier run */
#define BLIND_VM_TRUST	 0.4   /* of a deviation, where time is all that is known */
#define COUNTED_VM_TRUST 0.15  /* the same where events tell the load's kind */
#define RESIDUALS_ALIKE	 20.0  /* residuals of so many seconds are one surprise, not many */
#define SPREAD_MIN	 0.003 /* of the power: no model is better */
#define COST_MAX	 1e6

/* How a thread's cost is made up, until something better is known; each column sums to 1. */
enum prior_column {
	PRIOR_TIME, /* no events */
	PRIOR_EVENTS,
	PRIOR_MEMORY, /* events, and misses are what counts */
	PRIOR_COUNT,
};
static const double prior_parts[FEATURES_COUNT][PRIOR_COUNT] = {
    [FEATURES_CORE] = {0.85, 0.25, 0},	    [FEATURES_THREAD] = {0.15, 0.05, 0},
    [FEATURES_CYCLES] = {0, 0.2, 0},	    [FEATURES_CYCLES_FAST] = {0, 0.15, 0},
    [FEATURES_INSTRUCTIONS] = {0, 0.15, 0}, [FEATURES_INSTRUCTIONS_FAST] = {0, 0.1, 0},
    [FEATURES_LLC_MISSES] = {0, 0.1, 1},
};
/* How far a part may be from that, likewise. */
static const double prior_trusts[PRIOR_COUNT] = {1, 1, 0.1};

/* How far that which busy CPUs share may be from what is believed of it, as a multiple. */
#define SHARED_TRUST 2

/* Of what threads draw, so much is surely their own. */
#define THREADS_OWN_MIN 0.1

#define BLIND_PART	0.7 /* what a thread's time does not cost where events are counted */

/* What the priors are made from, in watts. */
struct prior {
	enum prior_column column;
	double static_w;
	double static_trust;
	double threads_w; /* all that ran */
	double variance;  /* of a residual */
};

/*
 * What a thread was found to draw in the mean holds its part of what busy CPUs share. That part is
 * expected of the features that tell of it, and must not be expected twice: where the load stands
 * still, what is too much would be taken off the static power, at every restart anew.
 */
static double prior_shared_w(const struct calibration *calibration, double static_w)
{
	const struct normal_equations *total = &calibration->total;
	const double *features =
	    &total->product[CALIBRATION_UNKNOWN_STATIC][CALIBRATION_UNKNOWN_FEATURES];

	return calibration->prior.shared * static_w *
	       (features[FEATURES_AWAKE] + features[FEATURES_UNCORE]) / total->weight;
}

static struct prior prior_make(const struct calibration *calibration)
{
	const struct normal_equations *total = &calibration->total;
	const double *features =
	    &total->product[CALIBRATION_UNKNOWN_STATIC][CALIBRATION_UNKNOWN_FEATURES];
	double mean_w = total->target[CALIBRATION_UNKNOWN_STATIC] / total->weight;
	double threads = features[FEATURES_THREAD] / total->weight;
	double cpus = (double)calibration->cpu_count, ratio = calibration->prior.load_ratio;
	double smallest_w = SPREAD_MIN * mean_w;
	struct prior prior = {
	    .column = PRIOR_TIME,
	    .static_w = mean_w / (1 + ratio * threads / cpus),
	    .static_trust = STATIC_TRUST,
	    .variance = RESIDUALS_ALIKE * fmax(calibration->spread, smallest_w * smallest_w),
	};

	prior.threads_w = threads * ratio * prior.static_w / cpus;
	if (features[FEATURES_CYCLES] > 0)
		prior.column = calibration->prior.memory ? PRIOR_MEMORY : PRIOR_EVENTS;
	if (calibration->recalled) {
		prior.static_w = fmax(calibration->recalled_static_w, smallest_w);
		prior.threads_w = threads * fmax(calibration->recalled_thread_w, smallest_w);
		prior.static_trust = RECALLED_TRUST;
		prior.threads_w =
		    fmax(prior.threads_w - prior_shared_w(calibration, prior.static_w),
			 prior.threads_w * THREADS_OWN_MIN);
	}
	prior.static_w = fmin(prior.static_w, calibration->envelope_w);
	return prior;
}

static struct normal_equations_bound prior_static(const struct calibration *calibration,
						  const struct prior *prior)
{
	double trust_w = prior->static_trust * prior->static_w;

	if (calibration->static_given)
		return (struct normal_equations_bound){.mean = calibration->static_w,
						       .lower = calibration->static_w,
						       .upper = calibration->static_w};
	return (struct normal_equations_bound){
	    .mean = prior->static_w,
	    .penalty = prior->variance / (trust_w * trust_w),
	    .upper = calibration->envelope_w,
	};
}

static struct normal_equations_bound prior_feature(const struct calibration *calibration,
						   const struct prior *prior,
						   enum features_kind kind)
{
	const struct normal_equations *total = &calibration->total;
	const double *features =
	    &total->product[CALIBRATION_UNKNOWN_STATIC][CALIBRATION_UNKNOWN_FEATURES];
	double amount = features[kind] / total->weight;
	/* What one unit costs if all that threads cost is for this feature. */
	double unit_w = amount > 0 ? prior->threads_w / amount : 0;
	double part = prior_parts[kind][prior->column];
	double trust_w = prior_trusts[prior->column] * unit_w;

	if (kind == FEATURES_BLIND) {
		/* Its own amount says nothing of what one of its threads costs. */
		unit_w =
		    amount > 0 ? prior->threads_w * total->weight / features[FEATURES_CORE] : 0;
		part = BLIND_PART;
	}
	if (kind == FEATURES_BLIND || kind == FEATURES_LLC_MISSES)
		trust_w = unit_w;
	if (kind == FEATURES_AWAKE || kind == FEATURES_UNCORE) {
		unit_w = prior->static_w;
		part = calibration->prior.shared;
		trust_w = SHARED_TRUST * part * prior->static_w;
	}
	return (struct normal_equations_bound){
	    .mean = part * unit_w,
	    .penalty = trust_w > 0 ? prior->variance / (trust_w * trust_w) : 1,
	    .upper = COST_MAX,
	};
}

void calibration_prior_bounds(const struct calibration *calibration,
			      struct normal_equations_bound bounds[])
{
	struct prior prior = prior_make(calibration);
	double trust = prior.column == PRIOR_TIME ? BLIND_VM_TRUST : COUNTED_VM_TRUST;

	bounds[CALIBRATION_UNKNOWN_STATIC] = prior_static(calibration, &prior);
	for (int i = 0; i < FEATURES_COUNT; i++)
		bounds[CALIBRATION_UNKNOWN_FEATURES + i] =
		    prior_feature(calibration, &prior, (enum features_kind)i);
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++)
		bounds[CALIBRATION_UNKNOWN_VMS + i] = (struct normal_equations_bound){
		    .penalty = prior.variance / (trust * trust),
		    .lower = DEVIATION_MIN,
		    .upper = DEVIATION_MAX,
		};
}
