/*
 * leak_score.h: how well readings tell two states apart.
 *
 * Pure arithmetic over a stream of readings; what the figures mean stands in leak_main.c.
 */
#ifndef WATTPORT_TESTS_BENCH_LEAK_SCORE_H
#define WATTPORT_TESTS_BENCH_LEAK_SCORE_H

#include <stdbool.h>

#define LEAK_SCORE_CYCLE_MAX 100000

struct leak_score;

struct leak_result {
	double mean_w;
	double distance; /* d' */
	double correlation;
	double steady_distance;
};

int leak_score_create(struct leak_score **ret_score);
void leak_score_destroy(struct leak_score *score);

/* The readings from here on belong to the next cycle of the neighbour; past LEAK_SCORE_CYCLE_MAX
 * cycles steady_distance is that of the first ones. */
void leak_score_cycle(struct leak_score *score);

void leak_score_add(struct leak_score *score, bool on, double power_w);

struct leak_result leak_score_result(struct leak_score *score);

#endif
