#include "common/calibration_internal.h"
#include "common/cleanup.h"
#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* How long what was seen is remembered, in seconds. */
#define STRATUM_SECONDS	 600.0	 /* of intervals of the same load */
#define BUSY_SECONDS	 3600.0	 /* whatever the load */
#define QUIET_SECONDS	 86400.0 /* where next to nothing ran */
#define ERROR_SECONDS	 300.0
#define SPREAD_SECONDS	 120.0
#define ENVELOPE_SECONDS 30000.0 /* the smallest power seen doubles in that time */

/* How far off an interval may be, of the power. */
#define SPREAD_FIRST	0.1
#define HUBER_SPREADS	2.0
#define THREAD_COST_MIN 1e-3 /* nanojoules a nanosecond: whoever runs has a weight */
#define FIRST_ROUNDS	200
#define LATER_ROUNDS	12
#define LONGEST_SECONDS 10.0 /* a longer interval counts no more than that */
#define UW_PER_W	1e6
#define POWER_MAX_W	1e9
#define PPM		1e6

__extension__ typedef unsigned __int128 wide;

/* Below which part of its CPUs' time the zone is in that stratum; the first is the quiet one. */
static const double stratum_loads[CALIBRATION_STRATA - 1] = {0.02, 0.1, 0.25, 0.5, 0.75};

int calibration_create(size_t cpu_count, const struct calibration_prior *prior,
		       struct calibration **ret_calibration)
{
	cleanup_calibration struct calibration *calibration = calloc(1, sizeof(*calibration));
	int status;

	if (calibration == NULL)
		return -ENOMEM;
	status = deviation_create(&calibration->deviation);
	if (status < 0)
		return status;
	calibration->cpu_count = cpu_count > 0 ? cpu_count : 1;
	calibration->prior = *prior;
	/* Before anything is known, time alone counts, by cores. */
	calibration->costs[FEATURES_CORE] = CALIBRATION_COST_ONE;
	*ret_calibration = TAKE_PTR(calibration);
	return 0;
}

void calibration_destroy(struct calibration *calibration)
{
	if (calibration == NULL)
		return;
	deviation_destroy(calibration->deviation);
	free(calibration);
}

void calibration_fix_static(struct calibration *calibration, bool given, uint64_t power_uw)
{
	calibration->static_given = given;
	calibration->static_w = (double)power_uw / UW_PER_W;
}

uint64_t calibration_cost(const struct calibration *calibration, const struct features *work,
			  unsigned int shift)
{
	wide cost = 0;
	uint64_t whole;

	assert(shift < 64);
	for (size_t i = 0; i < FEATURES_COUNT; i++)
		cost +=
		    (wide)(work->amount[i] >> shift) * calibration->costs[i] / CALIBRATION_COST_ONE;
	whole = cost < UINT64_MAX ? (uint64_t)cost : UINT64_MAX;
	return whole == 0 && work->amount[FEATURES_THREAD] > 0 ? 1 : whole;
}

void calibration_recall(struct calibration *calibration, uint64_t static_power_uw,
			uint64_t thread_power_uw)
{
	calibration->recalled = true;
	calibration->recalled_static_w = fmin((double)static_power_uw / UW_PER_W, POWER_MAX_W);
	calibration->recalled_thread_w = fmin((double)thread_power_uw / UW_PER_W, POWER_MAX_W);
	calibration->thread_w = calibration->recalled_thread_w;
}

static bool calibration_is_learning(const struct calibration *calibration)
{
	return calibration->learned_s <
	       (double)CALIBRATION_LEARNING_NS / (double)CLOCK_NS_PER_SECOND;
}

uint64_t calibration_ratio(const struct calibration *calibration, size_t key)
{
	if (calibration_is_learning(calibration))
		return CALIBRATION_RATIO_ONE;
	return (uint64_t)((1 + deviation_of(calibration->deviation, key)) *
			  (double)CALIBRATION_RATIO_ONE);
}

void calibration_forget(struct calibration *calibration, size_t key)
{
	deviation_forget(calibration->deviation, key);
}

void calibration_add_work(struct calibration *calibration, size_t key, const struct features *work,
			  uint64_t cost_nj)
{
	features_add(&calibration->work, work, 1, 1);
	/* Before the first fit costs are no costs. */
	if (calibration->primed)
		deviation_add_work(calibration->deviation, key, work, cost_nj);
}

/* What was seen of a slot's VM is nothing to the VM that has it now. */
static void calibration_meet_vms(struct calibration *calibration)
{
	for (size_t slot = 0; slot < DEVIATION_VM_MAX; slot++) {
		uint32_t changes = deviation_slot_changes(calibration->deviation, slot);

		if (changes == calibration->changes[slot])
			continue;
		calibration->changes[slot] = changes;
		calibration->x[CALIBRATION_UNKNOWN_VMS + slot] = 0;
		for (size_t i = 0; i < CALIBRATION_STRATA; i++)
			normal_equations_forget(&calibration->strata[i].sums,
						CALIBRATION_UNKNOWN_VMS + slot,
						CALIBRATION_UNKNOWN_COUNT);
	}
}

/* The gathered interval as a row; returns the CPUs' busy part. */
static double calibration_row(const struct calibration *calibration, double row[])
{
	double elapsed_ns = calibration->elapsed_s * 1e9, load;

	row[CALIBRATION_UNKNOWN_STATIC] = 1;
	for (size_t i = 0; i < FEATURES_COUNT; i++)
		row[CALIBRATION_UNKNOWN_FEATURES + i] =
		    (double)calibration->work.amount[i] / elapsed_ns;
	/*
	 * Where no events are counted anywhere, time is what all threads are known by; where they
	 * are, cycles tell the clock, and the few threads without are not worth a guess at it.
	 */
	if (!calibration->has_events)
		row[CALIBRATION_UNKNOWN_FEATURES + FEATURES_BLIND] = 0;
	else
		row[CALIBRATION_UNKNOWN_FEATURES + FEATURES_LOADED] = 0;
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++)
		row[CALIBRATION_UNKNOWN_VMS + i] =
		    deviation_slot_cost_w(calibration->deviation, i, calibration->elapsed_s);
	load = row[CALIBRATION_UNKNOWN_FEATURES + FEATURES_THREAD] / (double)calibration->cpu_count;
	return load;
}

static double calibration_predict(const struct calibration *calibration, const double row[])
{
	double power_w = 0;

	for (size_t i = 0; i < CALIBRATION_UNKNOWN_COUNT; i++)
		power_w += calibration->x[i] * row[i];
	return power_w;
}

/* A mean that starts as the plain one and later forgets. */
static void calibration_average(double *mean, double *weight, double value, double seconds,
				double memory_s)
{
	*weight = *weight * exp(-seconds / memory_s) + seconds;
	*mean += (value - *mean) * seconds / *weight;
}

/* What the row is worth, by how far it is off; keeps count of how far rows are. */
static double calibration_judge(struct calibration *calibration, const double row[], double power_w,
				double seconds)
{
	double residual_w = fabs(power_w - calibration_predict(calibration, row));
	double spread_w, worth = 1;

	if (!calibration->primed || !(power_w > 0))
		return 1;
	spread_w = sqrt(calibration->spread);
	if (residual_w > HUBER_SPREADS * spread_w)
		worth = HUBER_SPREADS * spread_w / residual_w;
	calibration_average(&calibration->spread, &calibration->spread_weight,
			    worth * residual_w * residual_w, seconds, SPREAD_SECONDS);
	return worth;
}

/* Deviations as they are now explain what common coefficients do not: and how far off are both? */
static void calibration_follow(struct calibration *calibration, const double row[], double power_w,
			       double seconds)
{
	const struct normal_equations *total = &calibration->total;
	double mean_w, residual_w = power_w - calibration->x[CALIBRATION_UNKNOWN_STATIC];
	double relative;

	if (!calibration->primed || !(power_w > 0))
		return;
	mean_w = total->target[CALIBRATION_UNKNOWN_STATIC] / total->weight;
	for (size_t i = CALIBRATION_UNKNOWN_FEATURES; i < CALIBRATION_UNKNOWN_VMS; i++)
		residual_w -= calibration->x[i] * row[i];
	relative =
	    (residual_w - deviation_explain(calibration->deviation, calibration->elapsed_s)) /
	    power_w;
	calibration_average(&calibration->error, &calibration->error_weight,
			    fmin(relative * relative, 1), seconds, ERROR_SECONDS);
	deviation_follow(calibration->deviation, calibration->elapsed_s, residual_w, mean_w);
}

/*
 * No static power is above what was drawn at any time. Three intervals on end must have been below,
 * so that one counter that stood still is not taken for a machine at rest.
 */
static void calibration_bound_static(struct calibration *calibration, double power_w,
				     double seconds)
{
	double highest_w = fmax(power_w, fmax(calibration->recent_w[0], calibration->recent_w[1]));

	calibration->recent_w[1] = calibration->recent_w[0];
	calibration->recent_w[0] = power_w;
	if (!calibration->primed) {
		calibration->recent_w[1] = power_w;
		highest_w = power_w;
		calibration->envelope_w = power_w;
	}
	calibration->envelope_w *= 1 + seconds / ENVELOPE_SECONDS;
	if (highest_w < calibration->envelope_w)
		calibration->envelope_w = highest_w;
}

static void calibration_remember(struct calibration *calibration, size_t level, const double row[],
				 double power_w, double weight)
{
	struct calibration_stratum *stratum = &calibration->strata[level];
	double seconds = calibration->elapsed_s;

	for (size_t i = 0; i < CALIBRATION_STRATA; i++)
		calibration->strata[i].scale *=
		    exp(-seconds / (i == 0 ? QUIET_SECONDS : BUSY_SECONDS));
	normal_equations_fade(&stratum->sums, stratum->scale * exp(-seconds / STRATUM_SECONDS),
			      CALIBRATION_UNKNOWN_COUNT);
	stratum->scale = 1;
	normal_equations_add(&stratum->sums, row, power_w, weight, CALIBRATION_UNKNOWN_COUNT);
	memset(&calibration->total, 0, sizeof(calibration->total));
	for (size_t i = 0; i < CALIBRATION_STRATA; i++)
		if (calibration->strata[i].sums.weight > 0)
			normal_equations_gather(&calibration->total, &calibration->strata[i].sums,
						calibration->strata[i].scale,
						CALIBRATION_UNKNOWN_COUNT);
}

/* The solution, as what the engine reckons with. */
static void calibration_publish(struct calibration *calibration)
{
	const double *sums = calibration->total.product[CALIBRATION_UNKNOWN_STATIC];
	double threads = sums[CALIBRATION_UNKNOWN_FEATURES + FEATURES_THREAD];
	double dynamic = 0;

	for (size_t i = 0; i < FEATURES_COUNT; i++) {
		double cost = calibration->x[CALIBRATION_UNKNOWN_FEATURES + i];

		dynamic += cost * sums[CALIBRATION_UNKNOWN_FEATURES + i];
		if (i == FEATURES_THREAD && cost < THREAD_COST_MIN)
			cost = THREAD_COST_MIN;
		calibration->costs[i] = (uint64_t)(cost * (double)CALIBRATION_COST_ONE + 0.5);
	}
	for (size_t i = CALIBRATION_UNKNOWN_VMS; i < CALIBRATION_UNKNOWN_COUNT; i++)
		dynamic += calibration->x[i] * sums[i];
	/* Next to nothing ran yet: what the prior says of a thread. */
	if (threads < calibration->total.weight * 1e-3)
		calibration->thread_w = calibration->recalled
					    ? calibration->recalled_thread_w
					    : calibration->prior.load_ratio *
						  calibration->x[CALIBRATION_UNKNOWN_STATIC] /
						  (double)calibration->cpu_count;
	else
		calibration->thread_w = dynamic / threads;
}

static void calibration_fit(struct calibration *calibration)
{
	struct normal_equations_bound bounds[CALIBRATION_UNKNOWN_COUNT];
	double row[CALIBRATION_UNKNOWN_COUNT];
	double power_w = calibration->energy_j / calibration->elapsed_s;
	double seconds = fmin(calibration->elapsed_s, LONGEST_SECONDS);
	double load, worth;
	size_t level = 0;

	calibration_meet_vms(calibration);
	load = calibration_row(calibration, row);
	while (level < CALIBRATION_STRATA - 1 && load >= stratum_loads[level])
		level++;
	worth = calibration_judge(calibration, row, power_w, seconds);
	calibration_follow(calibration, row, power_w, seconds);
	calibration_bound_static(calibration, power_w, seconds);
	calibration_remember(calibration, level, row, power_w, worth * seconds);
	if (!calibration->primed) {
		calibration->spread = SPREAD_FIRST * power_w * SPREAD_FIRST * power_w;
		calibration->spread_weight = seconds;
	}
	if (!(calibration->total.target[CALIBRATION_UNKNOWN_STATIC] > 0))
		return;
	calibration_prior_bounds(calibration, bounds);
	if (!calibration->primed)
		for (size_t i = 0; i < CALIBRATION_UNKNOWN_COUNT; i++)
			calibration->x[i] = bounds[i].mean;
	normal_equations_solve(&calibration->total, bounds, calibration->x,
			       CALIBRATION_UNKNOWN_COUNT,
			       calibration->primed ? LATER_ROUNDS : FIRST_ROUNDS);
	calibration->primed = true;
	calibration_publish(calibration);
}

void calibration_add(struct calibration *calibration, uint64_t elapsed_ns, uint64_t energy_uj,
		     bool has_events)
{
	calibration->elapsed_s += (double)elapsed_ns / (double)CLOCK_NS_PER_SECOND;
	calibration->energy_j += (double)energy_uj / UW_PER_W;
	calibration->has_events = calibration->has_events || has_events;
	if (calibration->elapsed_s * (double)CLOCK_NS_PER_SECOND < (double)CALIBRATION_PERIOD_NS)
		return;
	/* What no machine draws is a broken counter, and teaches nothing. */
	if (calibration->energy_j / calibration->elapsed_s < POWER_MAX_W)
		calibration_fit(calibration);
	calibration->learned_s += fmin(calibration->elapsed_s, LONGEST_SECONDS);
	calibration_drop(calibration);
}

void calibration_drop(struct calibration *calibration)
{
	deviation_next(calibration->deviation);
	calibration->work = (struct features){0};
	calibration->elapsed_s = 0;
	calibration->energy_j = 0;
	calibration->has_events = false;
}

struct calibration_state calibration_state(const struct calibration *calibration)
{
	const struct normal_equations *total = &calibration->total;
	/* Until the first fit there is what was recalled, or nothing. */
	double static_w = calibration->primed ? calibration->x[CALIBRATION_UNKNOWN_STATIC]
					      : calibration->recalled_static_w;
	double power_w =
	    calibration->primed ? total->target[CALIBRATION_UNKNOWN_STATIC] / total->weight : 0;

	if (calibration->static_given)
		static_w = calibration->static_w;
	return (struct calibration_state){
	    .static_power_uw = (uint64_t)(fmin(static_w, POWER_MAX_W) * UW_PER_W + 0.5),
	    .power_uw = (uint64_t)(fmin(power_w, POWER_MAX_W) * UW_PER_W + 0.5),
	    .thread_power_uw =
		(uint64_t)(fmin(calibration->thread_w, POWER_MAX_W) * UW_PER_W + 0.5),
	    .error_ppm = (uint64_t)(sqrt(calibration->error) * PPM + 0.5),
	    .learned_ns = (uint64_t)(calibration->learned_s * (double)CLOCK_NS_PER_SECOND),
	    .learning = calibration_is_learning(calibration),
	};
}
