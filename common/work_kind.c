#include "common/work_kind.h"

#include <math.h>
#include <stddef.h>

/* Kinds that are nearer than that are one. */
#define SAME_KIND 0.3
/* What was done for less time may be of two kinds, in one interval, and is not kept. */
#define KEPT_MIN_S 5.0
/* How quickly what a kind looks like follows the VM. */
#define FOLLOW 0.3
/* What is believed of another kind by one that is so much nearer: e times as much. */
#define STRANGE	    0.33
#define STRANGE_MAX 3.0

/* Of a thread that hardly runs its events say nothing. */
#define LOAD_MIN   0.02 /* CPUs */
#define MISSES_MIN 1e-5

static struct work_kind work_kind_of(const struct features *work, double elapsed_s)
{
	double instructions = (double)work->amount[FEATURES_INSTRUCTIONS];
	double cycles = (double)work->amount[FEATURES_CYCLES];
	double misses = (double)work->amount[FEATURES_LLC_MISSES];

	if ((double)work->amount[FEATURES_THREAD] < LOAD_MIN * elapsed_s * 1e9 || !(cycles > 0) ||
	    !(instructions > 0))
		return (struct work_kind){.known = false};
	return (struct work_kind){.known = true,
				  .per_cycle = log(instructions / cycles),
				  .misses = log(MISSES_MIN + misses / instructions) / 2};
}

static double work_kind_distance(const struct work_kind *a, const struct work_kind *b)
{
	return fmax(fabs(a->per_cycle - b->per_cycle), fabs(a->misses - b->misses));
}

/* The nearest of those that are the same, or WORK_KIND_MAX. */
static size_t work_kinds_find(const struct work_kinds *kinds, const struct work_kind *kind)
{
	double nearest = SAME_KIND;
	size_t found = WORK_KIND_MAX;

	for (size_t i = 0; i < WORK_KIND_MAX; i++) {
		double distance = work_kind_distance(&kinds->past[i].kind, kind);

		if (!kinds->past[i].kind.known || distance > nearest)
			continue;
		nearest = distance;
		found = i;
	}
	return found;
}

/* A place that was never used, or the one that was not for the longest. */
static size_t work_kinds_oldest(const struct work_kinds *kinds)
{
	size_t oldest = 0;

	for (size_t i = 0; i < WORK_KIND_MAX; i++) {
		if (!kinds->past[i].kind.known)
			return i;
		if (kinds->past[i].ago_s > kinds->past[oldest].ago_s)
			oldest = i;
	}
	return oldest;
}

static void work_kinds_keep(struct work_kinds *kinds, const struct work_belief *belief)
{
	size_t place = work_kinds_find(kinds, &kinds->now);

	if (kinds->since_s < KEPT_MIN_S)
		return;
	if (place == WORK_KIND_MAX)
		place = work_kinds_oldest(kinds);
	kinds->past[place].kind = kinds->now;
	kinds->past[place].belief = *belief;
	kinds->past[place].ago_s = 0;
}

/* So much of what is believed is left. */
static struct work_belief work_belief_fade(struct work_belief belief, double keep, double unknown)
{
	return (struct work_belief){
	    .mean = belief.mean * keep,
	    .variance = belief.variance * keep * keep + unknown * (1 - keep * keep),
	};
}

bool work_kinds_turn(struct work_kinds *kinds, const struct features *work, double elapsed_s,
		     double unknown, struct work_belief *belief)
{
	struct work_kind seen = work_kind_of(work, elapsed_s);
	double distance;
	size_t before;

	for (size_t i = 0; i < WORK_KIND_MAX; i++)
		kinds->past[i].ago_s += elapsed_s;
	if (!seen.known)
		return false;
	if (!kinds->now.known)
		kinds->now = seen;
	distance = work_kind_distance(&kinds->now, &seen);
	if (distance <= SAME_KIND) {
		kinds->now.per_cycle += FOLLOW * (seen.per_cycle - kinds->now.per_cycle);
		kinds->now.misses += FOLLOW * (seen.misses - kinds->now.misses);
		kinds->since_s += elapsed_s;
		return false;
	}
	work_kinds_keep(kinds, belief);
	before = work_kinds_find(kinds, &seen);
	kinds->now = before < WORK_KIND_MAX ? kinds->past[before].kind : seen;
	kinds->since_s = elapsed_s;
	if (before < WORK_KIND_MAX)
		*belief =
		    work_belief_fade(kinds->past[before].belief,
				     exp(-kinds->past[before].ago_s / WORK_KIND_MEMORY_S), unknown);
	else
		*belief =
		    work_belief_fade(*belief, exp(-fmin(distance, STRANGE_MAX) / STRANGE), unknown);
	return true;
}
