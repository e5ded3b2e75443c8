#include "common/deviation.h"
#include "common/work_kind.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT8_MAX
#define NO_KEY	UINT32_MAX

/* The state: a deviation for each slot, and the drift. */
#define DRIFT	    DEVIATION_VM_MAX
#define STATE_COUNT (DEVIATION_VM_MAX + 1)

/* Standard deviations, and for how long what was seen of them holds. */
#define VM_SPREAD      0.4   /* of a deviation */
#define DRIFT_SPREAD   0.03  /* of the mean power */
#define NOISE_SPREAD   0.005 /* the same */
#define DRIFT_S	       30.0
#define USE_S	       60.0
#define NOISE_S	       30.0
#define NOISE_AT_FIRST 0.03 /* of the power: until more is known */
#define NOISE_MAX      0.1

/*
 * Energy and CPU times are not read at one instant, so a VM's work in an interval is known no
 * better than this part of it; and no better than the last intervals were explained.
 */
#define SLIP_SPREAD	0.005
#define SLIP_S		20.0 /* of the mean that a change is a change from */
#define SLIP_THRESHOLD	3.0  /* such spreads: what is much less is no change */

#define OUTLIER_SPREADS 3.0

struct slot {
	uint32_t key;
	uint32_t changes;
	double use_w;	/* mean */
	double level_w; /* likewise, of less time: what a change is a change from */
	double cost_nj; /* of the interval that is being gathered */
	struct features work;
	struct work_kinds kinds;
};

struct deviation {
	double mean[STATE_COUNT];
	double covariance[STATE_COUNT][STATE_COUNT];
	double common; /* the mean of all, by use: what is known of a VM that is new */
	double noise;  /* mean square of what was not explained, of the power's */
	size_t taken;  /* slots */
	struct slot slots[DEVIATION_VM_MAX];
	struct {
		uint32_t key;
		double cost_nj;
	} challenger;
	uint8_t slot_of[DEVIATION_KEY_MAX + 1];
};

int deviation_create(struct deviation **ret_deviation)
{
	struct deviation *deviation = calloc(1, sizeof(*deviation));

	if (deviation == NULL)
		return -ENOMEM;
	memset(deviation->slot_of, NO_SLOT, sizeof(deviation->slot_of));
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++)
		deviation->slots[i].key = NO_KEY;
	deviation->challenger.key = NO_KEY;
	deviation->noise = NOISE_AT_FIRST * NOISE_AT_FIRST;
	*ret_deviation = deviation;
	return 0;
}

void deviation_destroy(struct deviation *deviation)
{
	free(deviation);
}

static double deviation_bounded(double value)
{
	return fmin(fmax(value, DEVIATION_MIN), DEVIATION_MAX);
}

static void deviation_clear_slot(struct deviation *deviation, size_t slot)
{
	if (deviation->slots[slot].key != NO_KEY) {
		deviation->slot_of[deviation->slots[slot].key] = NO_SLOT;
		deviation->taken--;
	}
	deviation->slots[slot] =
	    (struct slot){.key = NO_KEY, .changes = deviation->slots[slot].changes + 1};
	deviation->mean[slot] = 0;
	for (size_t i = 0; i < STATE_COUNT; i++) {
		deviation->covariance[i][slot] = 0;
		deviation->covariance[slot][i] = 0;
	}
}

static void deviation_take_slot(struct deviation *deviation, size_t slot, size_t key)
{
	deviation_clear_slot(deviation, slot);
	deviation->slots[slot].key = (uint32_t)key;
	deviation->slot_of[key] = (uint8_t)slot;
	deviation->taken++;
	deviation->mean[slot] = deviation->common;
	deviation->covariance[slot][slot] = VM_SPREAD * VM_SPREAD;
}

void deviation_forget(struct deviation *deviation, size_t key)
{
	assert(key <= DEVIATION_KEY_MAX);
	if (deviation->slot_of[key] != NO_SLOT)
		deviation_clear_slot(deviation, deviation->slot_of[key]);
	if (deviation->challenger.key == key)
		deviation->challenger.key = NO_KEY;
}

/* There is one. */
static size_t deviation_free_slot(const struct deviation *deviation)
{
	size_t slot = 0;

	while (deviation->slots[slot].key != NO_KEY)
		slot++;
	return slot;
}

void deviation_add_work(struct deviation *deviation, size_t key, const struct features *work,
			uint64_t cost_nj)
{
	struct slot *slot;

	assert(key <= DEVIATION_KEY_MAX);
	if (cost_nj == 0)
		return;
	if (deviation->slot_of[key] == NO_SLOT && deviation->taken < DEVIATION_VM_MAX)
		deviation_take_slot(deviation, deviation_free_slot(deviation), key);
	if (deviation->slot_of[key] == NO_SLOT) {
		if (deviation->challenger.key == NO_KEY ||
		    (double)cost_nj > deviation->challenger.cost_nj) {
			deviation->challenger.key = (uint32_t)key;
			deviation->challenger.cost_nj = (double)cost_nj;
		}
		return;
	}
	slot = &deviation->slots[deviation->slot_of[key]];
	slot->cost_nj += (double)cost_nj;
	features_add(&slot->work, work, 1, 1);
}

/* A VM that uses twice what the least of those that are followed does takes its place. */
static void deviation_meet_challenger(struct deviation *deviation, double elapsed_s)
{
	size_t least = 0;

	if (deviation->challenger.key == NO_KEY)
		return;
	for (size_t i = 1; i < DEVIATION_VM_MAX; i++)
		if (deviation->slots[i].use_w < deviation->slots[least].use_w)
			least = i;
	if (deviation->challenger.cost_nj / (elapsed_s * 1e9) > 2 * deviation->slots[least].use_w)
		deviation_take_slot(deviation, least, deviation->challenger.key);
}

/* The state's part returns towards 0, and may have gone anywhere within its spread meanwhile. */
static void deviation_relax(struct deviation *deviation, size_t i, double keep, double spread)
{
	deviation->mean[i] *= keep;
	for (size_t j = 0; j < STATE_COUNT; j++) {
		deviation->covariance[i][j] *= keep;
		deviation->covariance[j][i] *= keep;
	}
	deviation->covariance[i][i] += (1 - keep * keep) * spread * spread;
}

/* The VM does other work than it did: what was found with the one says nothing with the other. */
static void deviation_turn(struct deviation *deviation, size_t i, double elapsed_s)
{
	struct slot *slot = &deviation->slots[i];
	struct work_belief belief = {.mean = deviation->mean[i],
				     .variance = deviation->covariance[i][i]};

	if (!work_kinds_turn(&slot->kinds, &slot->work, elapsed_s, VM_SPREAD * VM_SPREAD, &belief))
		return;
	for (size_t j = 0; j < STATE_COUNT; j++) {
		deviation->covariance[i][j] = 0;
		deviation->covariance[j][i] = 0;
	}
	deviation->mean[i] = belief.mean;
	deviation->covariance[i][i] = belief.variance;
}

static void deviation_predict(struct deviation *deviation, double elapsed_s, double power_w)
{
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++) {
		if (deviation->slots[i].key == NO_KEY)
			continue;
		deviation_relax(deviation, i, exp(-elapsed_s / DEVIATION_MEMORY_S), VM_SPREAD);
		deviation_turn(deviation, i, elapsed_s);
	}
	deviation_relax(deviation, DRIFT, exp(-elapsed_s / DRIFT_S), DRIFT_SPREAD * power_w);
}

/* Kalman's update by one scalar: residual = row * state + noise. Returns what was not foreseen. */
static double deviation_correct(struct deviation *deviation, const double row[], double residual_w,
				double noise_w)
{
	double product[STATE_COUNT], variance = noise_w * noise_w, surprise = residual_w;
	double worth = 1;

	for (size_t i = 0; i < STATE_COUNT; i++) {
		product[i] = 0;
		for (size_t j = 0; j < STATE_COUNT; j++)
			product[i] += deviation->covariance[i][j] * row[j];
		variance += product[i] * row[i];
		surprise -= deviation->mean[i] * row[i];
	}
	if (!(variance > 0) || isinf(variance))
		return 0;
	if (fabs(surprise) > OUTLIER_SPREADS * sqrt(variance))
		worth = OUTLIER_SPREADS * sqrt(variance) / fabs(surprise);
	for (size_t i = 0; i < STATE_COUNT; i++) {
		deviation->mean[i] += worth * surprise * product[i] / variance;
		for (size_t j = 0; j < STATE_COUNT; j++)
			deviation->covariance[i][j] -= worth * product[i] * product[j] / variance;
		/* Absurd input may leave nothing of a small number beside large ones. */
		deviation->covariance[i][i] = fmax(deviation->covariance[i][i], 0);
	}
	return worth * surprise;
}

double deviation_slot_cost_w(const struct deviation *deviation, size_t slot, double elapsed_s)
{
	return deviation->slots[slot].cost_nj / (elapsed_s * 1e9);
}

uint32_t deviation_slot_changes(const struct deviation *deviation, size_t slot)
{
	return deviation->slots[slot].changes;
}

double deviation_explain(const struct deviation *deviation, double elapsed_s)
{
	double explained_w = 0;

	for (size_t i = 0; i < DEVIATION_VM_MAX; i++)
		explained_w += deviation_bounded(deviation->mean[i]) *
			       deviation_slot_cost_w(deviation, i, elapsed_s);
	return explained_w;
}

/*
 * The VM's work, in which only changes are left that may not be for the moments of reading alone.
 * Those would be found again in the residual, with the other sign: taken for changes they would
 * make whoever has a level load look cheap, by tens of percent.
 */
static double deviation_settled(struct slot *slot, double cost_w, double elapsed_s, double spread)
{
	double change_w, least_w = SLIP_THRESHOLD * spread * cost_w;

	if (!(slot->level_w > 0))
		slot->level_w = cost_w;
	change_w = cost_w - slot->level_w;
	if (change_w * change_w > least_w * least_w)
		slot->level_w = cost_w;
	else
		slot->level_w += change_w * fmin(elapsed_s / SLIP_S, 1);
	return slot->level_w;
}

void deviation_follow(struct deviation *deviation, double elapsed_s, double residual_w,
		      double power_w)
{
	double row[STATE_COUNT] = {[DRIFT] = 1}, use_w = 0, extra_w = 0, surprise;
	double spread = fmax(SLIP_SPREAD, sqrt(deviation->noise));
	double noise_w = fmax(NOISE_SPREAD, sqrt(deviation->noise)) * power_w;

	deviation_predict(deviation, elapsed_s, power_w);
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++) {
		struct slot *slot = &deviation->slots[i];
		double cost_w = deviation_slot_cost_w(deviation, i, elapsed_s);

		row[i] = deviation_settled(slot, cost_w, elapsed_s, spread);
		slot->use_w += (cost_w - slot->use_w) * fmin(elapsed_s / USE_S, 1);
	}
	surprise = deviation_correct(deviation, row, residual_w, noise_w) / power_w;
	deviation->noise += (fmin(surprise * surprise, NOISE_MAX * NOISE_MAX) - deviation->noise) *
			    fmin(elapsed_s / NOISE_S, 1);
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++) {
		use_w += deviation->slots[i].use_w;
		extra_w += deviation->slots[i].use_w * deviation_bounded(deviation->mean[i]);
	}
	deviation->common = use_w > 0 ? deviation_bounded(extra_w / use_w) : 0;
	deviation_meet_challenger(deviation, elapsed_s);
}

void deviation_next(struct deviation *deviation)
{
	for (size_t i = 0; i < DEVIATION_VM_MAX; i++) {
		deviation->slots[i].cost_nj = 0;
		deviation->slots[i].work = (struct features){0};
	}
	deviation->challenger.key = NO_KEY;
	deviation->challenger.cost_nj = 0;
}

double deviation_of(const struct deviation *deviation, size_t key)
{
	assert(key <= DEVIATION_KEY_MAX);
	if (deviation->slot_of[key] == NO_SLOT)
		return deviation->common;
	return deviation_bounded(deviation->mean[deviation->slot_of[key]]);
}
