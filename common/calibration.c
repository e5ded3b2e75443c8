#include "common/calibration.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/normal_equations.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* Unknowns: the static power, the features' coefficients, the VMs' deviations. */
#define UNKNOWN_STATIC	 0
#define UNKNOWN_FEATURES 1
#define UNKNOWN_VMS	 (UNKNOWN_FEATURES + FEATURES_COUNT)
#define UNKNOWN_COUNT	 (UNKNOWN_VMS + CALIBRATION_VM_MAX)

#define NO_SLOT		 UINT8_MAX
#define NO_KEY		 UINT32_MAX

/* How long what was seen is remembered, in seconds. */
#define STRATUM_SECONDS	 600.0	 /* of intervals of the same load */
#define BUSY_SECONDS	 3600.0	 /* whatever the load */
#define QUIET_SECONDS	 86400.0 /* where next to nothing ran */
#define USE_SECONDS	 60.0
#define ERROR_SECONDS	 300.0
#define SPREAD_SECONDS	 120.0
#define ENVELOPE_SECONDS 30000.0 /* the smallest power seen doubles in that time */

/* How far a prior is trusted: standard deviations. */
#define STATIC_TRUST	 0.5  /* of the prior's static power */
#define RECALLED_TRUST	 0.15 /* of the static power of an earlier run */
#define BLIND_VM_TRUST	 0.4  /* of a deviation, where time is all that is known */
#define COUNTED_VM_TRUST 0.15 /* the same where events tell the load's kind */
#define DEVIATION_MIN	 (-0.75)
#define DEVIATION_MAX	 3.0
#define RESIDUALS_ALIKE	 20.0  /* residuals of so many seconds are one surprise, not many */
#define SPREAD_MIN	 0.003 /* of the power: no model is better */
#define SPREAD_FIRST	 0.1
#define HUBER_SPREADS	 2.0
#define THREAD_COST_MIN	 1e-3 /* nanojoules a nanosecond: whoever runs has a weight */
#define COST_MAX	 1e6
#define FIRST_ROUNDS	 200
#define LATER_ROUNDS	 12
#define LONGEST_SECONDS	 10.0 /* a longer interval counts no more than that */
#define UW_PER_W	 1e6
#define POWER_MAX_W	 1e9
#define PPM		 1e6

__extension__ typedef unsigned __int128 wide;

/* Below which part of its CPUs' time the zone is in that stratum; the first is the quiet one. */
static const double stratum_loads[CALIBRATION_STRATA - 1] = {0.02, 0.1, 0.25, 0.5, 0.75};

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
static const double part_trusts[PRIOR_COUNT] = {1, 1, 0.1};

/*
 * What wakes with the first busy CPU and what comes with the next few, of the static power. In the
 * measured machines both together are far more (EPYC 8024P: 20 W of 18), in others nothing.
 */
#define SHARED_PART  0.05
#define SHARED_TRUST 0.1

#define BLIND_PART   0.7 /* what a thread's time does not cost where events are counted */

static_assert(UNKNOWN_COUNT <= NORMAL_EQUATIONS_MAX, "all unknowns fit");

struct stratum {
	double scale; /* what its sums count for */
	struct normal_equations sums;
};

struct calibration_vm {
	uint32_t key;
	double use_w;	/* mean */
	double cost_nj; /* of the interval that is being gathered */
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
	double mean_deviation; /* for VMs that have none of their own */
	struct features work;
	struct {
		uint32_t key;
		double cost_nj;
	} challenger;
	struct calibration_vm vms[CALIBRATION_VM_MAX];
	uint8_t slots[CALIBRATION_KEY_MAX + 1];
	uint64_t costs[FEATURES_COUNT];
	double x[UNKNOWN_COUNT];
	struct stratum strata[CALIBRATION_STRATA];
	struct normal_equations total;
};

int calibration_create(size_t cpu_count, const struct calibration_prior *prior,
		       struct calibration **ret_calibration)
{
	struct calibration *calibration = calloc(1, sizeof(*calibration));

	if (calibration == NULL)
		return -ENOMEM;
	calibration->cpu_count = cpu_count > 0 ? cpu_count : 1;
	calibration->prior = *prior;
	memset(calibration->slots, NO_SLOT, sizeof(calibration->slots));
	for (size_t i = 0; i < CALIBRATION_VM_MAX; i++)
		calibration->vms[i].key = NO_KEY;
	calibration->challenger.key = NO_KEY;
	/* Before anything is known, time alone counts, by cores. */
	calibration->costs[FEATURES_CORE] = CALIBRATION_COST_ONE;
	*ret_calibration = calibration;
	return 0;
}

void calibration_destroy(struct calibration *calibration)
{
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
}

static bool calibration_is_learning(const struct calibration *calibration)
{
	return calibration->learned_s <
	       (double)CALIBRATION_LEARNING_NS / (double)CLOCK_NS_PER_SECOND;
}

uint64_t calibration_ratio(const struct calibration *calibration, size_t key)
{
	uint8_t slot;
	double ratio;

	assert(key <= CALIBRATION_KEY_MAX);
	slot = calibration->slots[key];
	if (calibration_is_learning(calibration))
		return CALIBRATION_RATIO_ONE;
	ratio = 1 + (slot == NO_SLOT ? calibration->mean_deviation
				     : calibration->x[UNKNOWN_VMS + slot]);
	return (uint64_t)(ratio * (double)CALIBRATION_RATIO_ONE);
}

static void calibration_clear_slot(struct calibration *calibration, size_t slot)
{
	if (calibration->vms[slot].key != NO_KEY)
		calibration->slots[calibration->vms[slot].key] = NO_SLOT;
	calibration->vms[slot] = (struct calibration_vm){.key = NO_KEY};
	calibration->x[UNKNOWN_VMS + slot] = 0;
	for (size_t i = 0; i < CALIBRATION_STRATA; i++)
		normal_equations_forget(&calibration->strata[i].sums, UNKNOWN_VMS + slot,
					UNKNOWN_COUNT);
}

static void calibration_take_slot(struct calibration *calibration, size_t slot, size_t key)
{
	calibration_clear_slot(calibration, slot);
	calibration->vms[slot].key = (uint32_t)key;
	calibration->slots[key] = (uint8_t)slot;
}

void calibration_forget(struct calibration *calibration, size_t key)
{
	assert(key <= CALIBRATION_KEY_MAX);
	if (calibration->slots[key] != NO_SLOT)
		calibration_clear_slot(calibration, calibration->slots[key]);
	if (calibration->challenger.key == key)
		calibration->challenger.key = NO_KEY;
}

void calibration_add_work(struct calibration *calibration, size_t key, const struct features *work,
			  uint64_t cost_nj)
{
	assert(key <= CALIBRATION_KEY_MAX);
	features_add(&calibration->work, work, 1, 1);
	/* Before the first fit costs are no costs. */
	if (cost_nj == 0 || !calibration->primed)
		return;
	for (size_t i = 0; i < CALIBRATION_VM_MAX && calibration->slots[key] == NO_SLOT; i++)
		if (calibration->vms[i].key == NO_KEY)
			calibration_take_slot(calibration, i, key);
	if (calibration->slots[key] != NO_SLOT) {
		calibration->vms[calibration->slots[key]].cost_nj += (double)cost_nj;
	} else if (calibration->challenger.key == NO_KEY ||
		   (double)cost_nj > calibration->challenger.cost_nj) {
		calibration->challenger.key = (uint32_t)key;
		calibration->challenger.cost_nj = (double)cost_nj;
	}
}

/* A VM that uses twice what the least of those with a deviation does takes its place. */
static void calibration_meet_challenger(struct calibration *calibration)
{
	size_t least = 0;
	double challenger_w = calibration->challenger.cost_nj / (calibration->elapsed_s * 1e9);

	if (calibration->challenger.key == NO_KEY)
		return;
	for (size_t i = 1; i < CALIBRATION_VM_MAX; i++)
		if (calibration->vms[i].use_w < calibration->vms[least].use_w)
			least = i;
	if (challenger_w > 2 * calibration->vms[least].use_w)
		calibration_take_slot(calibration, least, calibration->challenger.key);
}

/* The gathered interval as a row; returns the CPUs' busy part. */
static double calibration_row(const struct calibration *calibration, double row[])
{
	double elapsed_ns = calibration->elapsed_s * 1e9, load;

	row[UNKNOWN_STATIC] = 1;
	for (size_t i = 0; i < FEATURES_COUNT; i++)
		row[UNKNOWN_FEATURES + i] = (double)calibration->work.amount[i] / elapsed_ns;
	/* Where no events are counted anywhere, time is what all threads are known by. */
	if (!calibration->has_events)
		row[UNKNOWN_FEATURES + FEATURES_BLIND] = 0;
	for (size_t i = 0; i < CALIBRATION_VM_MAX; i++)
		row[UNKNOWN_VMS + i] = calibration->vms[i].cost_nj / elapsed_ns;
	load = row[UNKNOWN_FEATURES + FEATURES_THREAD] / (double)calibration->cpu_count;
	return load;
}

static double calibration_predict(const struct calibration *calibration, const double row[])
{
	double power_w = 0;

	for (size_t i = 0; i < UNKNOWN_COUNT; i++)
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
	double spread_w, relative, worth = 1;

	if (!calibration->primed || !(power_w > 0))
		return 1;
	spread_w = sqrt(calibration->spread);
	if (residual_w > HUBER_SPREADS * spread_w)
		worth = HUBER_SPREADS * spread_w / residual_w;
	calibration_average(&calibration->spread, &calibration->spread_weight,
			    worth * residual_w * residual_w, seconds, SPREAD_SECONDS);
	relative = residual_w / power_w < 1 ? residual_w / power_w : 1;
	calibration_average(&calibration->error, &calibration->error_weight, relative * relative,
			    seconds, ERROR_SECONDS);
	return worth;
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

/* What the zone's mean power says of every unknown, and how far that is trusted. */
static void calibration_bounds(const struct calibration *calibration,
			       struct normal_equations_bound bounds[])
{
	const struct normal_equations *total = &calibration->total;
	const double *sums = total->product[UNKNOWN_STATIC];
	double mean_w = total->target[UNKNOWN_STATIC] / total->weight;
	double threads = sums[UNKNOWN_FEATURES + FEATURES_THREAD] / total->weight;
	double static_w =
	    mean_w / (1 + calibration->prior.load_ratio * threads / (double)calibration->cpu_count);
	double thread_w = calibration->prior.load_ratio * static_w / (double)calibration->cpu_count;
	double smallest = SPREAD_MIN * mean_w;
	double static_trust = STATIC_TRUST;
	double variance = RESIDUALS_ALIKE * fmax(calibration->spread, smallest * smallest);
	enum prior_column column = PRIOR_TIME;

	if (sums[UNKNOWN_FEATURES + FEATURES_CYCLES] > 0)
		column = calibration->prior.memory ? PRIOR_MEMORY : PRIOR_EVENTS;
	if (calibration->recalled) {
		static_w = fmax(calibration->recalled_static_w, smallest);
		thread_w = fmax(calibration->recalled_thread_w, smallest);
		static_trust = RECALLED_TRUST;
	}
	static_w = fmin(static_w, calibration->envelope_w);
	static_trust *= static_w;
	bounds[UNKNOWN_STATIC] = (struct normal_equations_bound){
	    .mean = static_w,
	    .penalty = variance / (static_trust * static_trust),
	    .upper = calibration->envelope_w,
	};
	if (calibration->static_given)
		bounds[UNKNOWN_STATIC] =
		    (struct normal_equations_bound){.mean = calibration->static_w,
						    .lower = calibration->static_w,
						    .upper = calibration->static_w};
	for (size_t i = 0; i < FEATURES_COUNT; i++) {
		double amount = sums[UNKNOWN_FEATURES + i] / total->weight;
		/* What one unit costs if all that threads cost is for this feature. */
		double unit_w = amount > 0 ? thread_w * threads / amount : 0;
		double part = prior_parts[i][column];
		double trust = part_trusts[column] * unit_w;

		if (i == FEATURES_BLIND) {
			/* Its own amount says nothing of what one of its threads costs. */
			double cores = sums[UNKNOWN_FEATURES + FEATURES_CORE] / total->weight;

			unit_w = amount > 0 ? thread_w * threads / cores : 0;
			part = BLIND_PART;
			trust = unit_w;
		}
		if (i == FEATURES_LLC_MISSES)
			trust = unit_w;
		if (i == FEATURES_AWAKE || i == FEATURES_UNCORE) {
			unit_w = static_w;
			part = SHARED_PART;
			trust = SHARED_TRUST * static_w;
		}
		bounds[UNKNOWN_FEATURES + i] = (struct normal_equations_bound){
		    .mean = part * unit_w,
		    .penalty = trust > 0 ? variance / (trust * trust) : 1,
		    .upper = COST_MAX,
		};
	}
	for (size_t i = 0; i < CALIBRATION_VM_MAX; i++) {
		double trust = column == PRIOR_TIME ? BLIND_VM_TRUST : COUNTED_VM_TRUST;

		bounds[UNKNOWN_VMS + i] = (struct normal_equations_bound){
		    .penalty = variance / (trust * trust),
		    .lower = DEVIATION_MIN,
		    .upper = DEVIATION_MAX,
		};
	}
}

static void calibration_remember(struct calibration *calibration, size_t level, const double row[],
				 double power_w, double weight)
{
	struct stratum *stratum = &calibration->strata[level];
	double seconds = calibration->elapsed_s;

	for (size_t i = 0; i < CALIBRATION_STRATA; i++)
		calibration->strata[i].scale *=
		    exp(-seconds / (i == 0 ? QUIET_SECONDS : BUSY_SECONDS));
	normal_equations_fade(&stratum->sums, stratum->scale * exp(-seconds / STRATUM_SECONDS),
			      UNKNOWN_COUNT);
	stratum->scale = 1;
	normal_equations_add(&stratum->sums, row, power_w, weight, UNKNOWN_COUNT);
	memset(&calibration->total, 0, sizeof(calibration->total));
	for (size_t i = 0; i < CALIBRATION_STRATA; i++)
		if (calibration->strata[i].sums.weight > 0)
			normal_equations_gather(&calibration->total, &calibration->strata[i].sums,
						calibration->strata[i].scale, UNKNOWN_COUNT);
}

/* The solution, as what the engine reckons with. */
static void calibration_publish(struct calibration *calibration)
{
	const double *sums = calibration->total.product[UNKNOWN_STATIC];
	double threads = sums[UNKNOWN_FEATURES + FEATURES_THREAD];
	double dynamic = 0, deviation = 0, work = 0;

	for (size_t i = 0; i < FEATURES_COUNT; i++) {
		double cost = calibration->x[UNKNOWN_FEATURES + i];

		dynamic += cost * sums[UNKNOWN_FEATURES + i];
		if (i == FEATURES_THREAD && cost < THREAD_COST_MIN)
			cost = THREAD_COST_MIN;
		calibration->costs[i] = (uint64_t)(cost * (double)CALIBRATION_COST_ONE + 0.5);
	}
	for (size_t i = UNKNOWN_VMS; i < UNKNOWN_COUNT; i++) {
		deviation += calibration->x[i] * sums[i];
		work += sums[i];
	}
	calibration->mean_deviation = work > 0 ? deviation / work : 0;
	dynamic += deviation;
	/* Next to nothing ran yet: what the prior says of a thread. */
	if (threads < calibration->total.weight * 1e-3)
		calibration->thread_w = calibration->recalled ? calibration->recalled_thread_w
							      : calibration->prior.load_ratio *
								    calibration->x[UNKNOWN_STATIC] /
								    (double)calibration->cpu_count;
	else
		calibration->thread_w = dynamic / threads;
}

static void calibration_fit(struct calibration *calibration)
{
	struct normal_equations_bound bounds[UNKNOWN_COUNT];
	double row[UNKNOWN_COUNT];
	double power_w = calibration->energy_j / calibration->elapsed_s;
	double seconds = fmin(calibration->elapsed_s, LONGEST_SECONDS);
	double load, worth;
	size_t level = 0;

	calibration_meet_challenger(calibration);
	load = calibration_row(calibration, row);
	while (level < CALIBRATION_STRATA - 1 && load >= stratum_loads[level])
		level++;
	worth = calibration_judge(calibration, row, power_w, seconds);
	calibration_bound_static(calibration, power_w, seconds);
	calibration_remember(calibration, level, row, power_w, worth * seconds);
	if (!calibration->primed) {
		calibration->spread = SPREAD_FIRST * power_w * SPREAD_FIRST * power_w;
		calibration->spread_weight = seconds;
	}
	if (!(calibration->total.target[UNKNOWN_STATIC] > 0))
		return;
	calibration_bounds(calibration, bounds);
	if (!calibration->primed)
		for (size_t i = 0; i < UNKNOWN_COUNT; i++)
			calibration->x[i] = bounds[i].mean;
	normal_equations_solve(&calibration->total, bounds, calibration->x, UNKNOWN_COUNT,
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
	for (size_t i = 0; i < CALIBRATION_VM_MAX; i++) {
		struct calibration_vm *vm = &calibration->vms[i];
		double use_w = vm->cost_nj / (calibration->elapsed_s * 1e9);

		vm->use_w += (use_w - vm->use_w) * (1 - exp(-calibration->elapsed_s / USE_SECONDS));
	}
	calibration_drop(calibration);
}

void calibration_drop(struct calibration *calibration)
{
	for (size_t i = 0; i < CALIBRATION_VM_MAX; i++)
		calibration->vms[i].cost_nj = 0;
	calibration->challenger.key = NO_KEY;
	calibration->challenger.cost_nj = 0;
	calibration->work = (struct features){0};
	calibration->elapsed_s = 0;
	calibration->energy_j = 0;
	calibration->has_events = false;
}

struct calibration_state calibration_state(const struct calibration *calibration)
{
	const struct normal_equations *total = &calibration->total;
	double static_w = calibration->primed ? calibration->x[UNKNOWN_STATIC] : 0;
	double power_w = calibration->primed ? total->target[UNKNOWN_STATIC] / total->weight : 0;

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
