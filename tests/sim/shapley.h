/*
 * shapley.h: who has caused how much of what several cause together.
 *
 * The truth of the simulator rests on it. The Shapley value (L. S. Shapley, "A value for n-person
 * games", 1953) is the only division that gives away exactly the whole, treats equals alike, gives
 * nothing to who adds nothing, and adds up over games: so each effect of the hardware is its own
 * game, and what a thread has caused is the sum of its values. Pure.
 */
#ifndef WATTPORT_TESTS_SIM_SHAPLEY_H
#define WATTPORT_TESTS_SIM_SHAPLEY_H

#include <stddef.h>

/*
 * Two threads on one core: what a draws when it runs there alone, b alone, and both together. The
 * value of a; that of b is `both` less it.
 */
double shapley_pair(double alone_a, double alone_b, double both);

/*
 * A cost of 1 that is there while anyone runs (a package awake): at each moment it is divided
 * evenly among those that run then. Thread i runs for the part busy[i] of the time, independently
 * of the others, so its value is busy[i] * E[1 / (1 + number of others)] =
 *
 *     busy[i] * integral over t from 0 to 1 of  prod over j != i of (1 - busy[j] + busy[j] t)
 *
 * which is found by Gauss and Legendre's eight points; what the points miss for many threads is
 * put right by making the sum exact: P(anyone runs). Returns that sum.
 */
double shapley_any(const double busy[], size_t count, double ret_value[]);

#endif
