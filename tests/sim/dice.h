/*
 * dice.h: random numbers of the simulator's own, the same on every machine for the same seed.
 *
 * xoshiro256** (D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2021),
 * seeded by splitmix64. One owner, one thread.
 */
#ifndef WATTPORT_TESTS_SIM_DICE_H
#define WATTPORT_TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
	uint64_t state[4];
};

/* Streams of one seed have nothing to do with each other. */
void dice_init(struct dice *dice, uint64_t seed, uint64_t stream);

uint64_t dice_bits(struct dice *dice);

/* 0 <= x < 1. */
double dice_unit(struct dice *dice);

double dice_range(struct dice *dice, double low, double high);

/* Evenly in the logarithm; low > 0. */
double dice_scale(struct dice *dice, double low, double high);

/* Mean 0, variance 1: the sum of four even ones, so never beyond 3.5. */
double dice_normal(struct dice *dice);

double dice_exponential(struct dice *dice, double mean);
size_t dice_below(struct dice *dice, size_t limit);
bool dice_chance(struct dice *dice, double probability);

#endif
