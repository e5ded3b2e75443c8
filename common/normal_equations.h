/*
 * normal_equations.h: weighted least squares with bounds and priors, from sums that fade.
 *
 * The arithmetic under calibration.h: minimises over x
 *
 *     sum w (y - a x)^2 + sum penalty_i (x_i - mean_i)^2      with  lower_i <= x_i <= upper_i
 *
 * from the sums of w a a^T and w a y alone, so that memory does not grow with what was seen. Pure
 * floating point, deterministic.
 */
#ifndef WATTPORT_COMMON_NORMAL_EQUATIONS_H
#define WATTPORT_COMMON_NORMAL_EQUATIONS_H

#include <stddef.h>

#define NORMAL_EQUATIONS_MAX 48 /* unknowns */

struct normal_equations {
	double weight;
	double product[NORMAL_EQUATIONS_MAX][NORMAL_EQUATIONS_MAX]; /* symmetric */
	double target[NORMAL_EQUATIONS_MAX];
};

struct normal_equations_bound {
	double mean;
	double penalty; /* above 0, or the unknown stays where nothing was seen of it */
	double lower;
	double upper;
};

/* One more row: a x = y. */
void normal_equations_add(struct normal_equations *sums, const double row[], double y,
			  double weight, size_t count);
/* Everything that was seen counts that much from now on. */
void normal_equations_fade(struct normal_equations *sums, double keep, size_t count);

/* total += part * sums */
void normal_equations_gather(struct normal_equations *total, const struct normal_equations *sums,
			     double part, size_t count);

/* Nothing was ever seen of the unknown. */
void normal_equations_forget(struct normal_equations *sums, size_t unknown, size_t count);

/* So many rounds of coordinate descent from x[] on, which stays within the bounds. */
void normal_equations_solve(const struct normal_equations *sums,
			    const struct normal_equations_bound bounds[], double x[], size_t count,
			    size_t rounds);

#endif
