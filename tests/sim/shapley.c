#include "tests/sim/shapley.h"

#define POINT_COUNT 8

/* Nodes and weights on 0..1. */
static const double points[POINT_COUNT] = {
    0.019855071751231884, 0.10166676129318664, 0.2372337950418355, 0.4082826787521751,
    0.5917173212478249,	  0.7627662049581645,  0.8983332387068134, 0.9801449282487681,
};
static const double weights[POINT_COUNT] = {
    0.05061426814518813, 0.11119051722668724, 0.15685332293894363, 0.18134189168918100,
    0.18134189168918100, 0.15685332293894363, 0.11119051722668724, 0.05061426814518813,
};

double shapley_pair(double alone_a, double alone_b, double both)
{
	return 0.5 * (alone_a + both - alone_b);
}

double shapley_any(const double busy[], size_t count, double ret_value[])
{
	double products[POINT_COUNT];
	double none = 1, sum = 0;

	for (size_t k = 0; k < POINT_COUNT; k++)
		products[k] = weights[k];
	for (size_t i = 0; i < count; i++) {
		none *= 1 - busy[i];
		for (size_t k = 0; k < POINT_COUNT; k++)
			products[k] *= 1 - busy[i] * (1 - points[k]);
	}
	for (size_t i = 0; i < count; i++) {
		double value = 0;

		for (size_t k = 0; k < POINT_COUNT; k++)
			value += products[k] / (1 - busy[i] * (1 - points[k]));
		ret_value[i] = busy[i] * value;
		sum += ret_value[i];
	}
	for (size_t i = 0; i < count && sum > 0; i++)
		ret_value[i] *= (1 - none) / sum;
	return 1 - none;
}
