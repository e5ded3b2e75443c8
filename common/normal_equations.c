#include "common/normal_equations.h"

#include <assert.h>

void normal_equations_add(struct normal_equations *sums, const double row[], double y,
			  double weight, size_t count)
{
	assert(count <= NORMAL_EQUATIONS_MAX);
	sums->weight += weight;
	for (size_t i = 0; i < count; i++) {
		double scaled = weight * row[i];

		/* Most VMs are absent from most rows. */
		if (scaled == 0)
			continue;
		for (size_t j = 0; j < count; j++)
			sums->product[i][j] += scaled * row[j];
		sums->target[i] += scaled * y;
	}
}

void normal_equations_fade(struct normal_equations *sums, double keep, size_t count)
{
	sums->weight *= keep;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++)
			sums->product[i][j] *= keep;
		sums->target[i] *= keep;
	}
}

void normal_equations_gather(struct normal_equations *total, const struct normal_equations *sums,
			     double part, size_t count)
{
	total->weight += part * sums->weight;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++)
			total->product[i][j] += part * sums->product[i][j];
		total->target[i] += part * sums->target[i];
	}
}

void normal_equations_forget(struct normal_equations *sums, size_t unknown, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		sums->product[i][unknown] = 0;
		sums->product[unknown][i] = 0;
	}
	sums->target[unknown] = 0;
}

void normal_equations_solve(const struct normal_equations *sums,
			    const struct normal_equations_bound bounds[], double x[], size_t count,
			    size_t rounds)
{
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			const struct normal_equations_bound *bound = &bounds[i];
			double curvature = sums->product[i][i] + bound->penalty;
			double rest = sums->target[i] + bound->penalty * bound->mean;

			for (size_t j = 0; j < count; j++)
				rest -= sums->product[i][j] * x[j];
			rest += sums->product[i][i] * x[i];
			if (curvature > 0)
				x[i] = rest / curvature;
			/* Written so that what is not a number becomes the lower bound. */
			if (!(x[i] > bound->lower))
				x[i] = bound->lower;
			if (x[i] > bound->upper)
				x[i] = bound->upper;
		}
	}
}
