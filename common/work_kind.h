/*
 * work_kind.h: what kind of work a VM does, told by its events, and what was found of the kinds
 * that it did before.
 *
 * Part of deviation.h. Work of one kind executes about as many instructions per cycle, and misses
 * about as many of them, at any time. A VM that turns to other work, a build from compiling to
 * linking, costs other than it did; and when it turns back, it costs what it did before. So what
 * was found of the last WORK_KIND_MAX kinds of each VM is kept, and stands again when a kind comes
 * back; the longer ago that was, of WORK_KIND_MEMORY_S, the less it is believed. Pure; one thread.
 */
#ifndef WATTPORT_COMMON_WORK_KIND_H
#define WATTPORT_COMMON_WORK_KIND_H

#include "common/features.h"

#include <stdbool.h>

#define WORK_KIND_MAX	   4
#define WORK_KIND_MEMORY_S 1200.0

/* Logarithms; misses per instruction move twice as far, and count half. */
struct work_kind {
	bool known;
	double per_cycle;
	double misses;
};

/* A deviation, and the square of how far off it may be. */
struct work_belief {
	double mean;
	double variance;
};

/* All zero: nothing was seen. */
struct work_kinds {
	struct work_kind now;
	double since_s; /* for how long it has been the one */
	struct {
		struct work_kind kind;
		struct work_belief belief;
		double ago_s;
	} past[WORK_KIND_MAX];
};

/*
 * Looks at an interval's work. True: the VM has turned to another kind. Then *belief, what is
 * believed of the VM up to now, is kept, and what is believed of the other kind takes its place:
 * what was found of it before, or less of the same the further it is off. Of a VM of which nothing
 * is known the variance is `unknown`.
 */
bool work_kinds_turn(struct work_kinds *kinds, const struct features *work, double elapsed_s,
		     double unknown, struct work_belief *belief);

#endif
