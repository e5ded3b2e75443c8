#include "tests/bench/leak_score.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Readings of one state: the mean, and the sum of squares around it (B. P. Welford, 1962). */
struct side {
	double count, mean, squares;
};

/* The same of all sides that cycles have had, each around its own cycle's mean. */
struct leak_score {
	struct side sides[2];
	struct side cycle[2];
	double steady_squares; /* of the readings around the means of their cycle's side */
	double steady_count;
	size_t cycles; /* that have had both sides */
	double differences[LEAK_SCORE_CYCLE_MAX];
};

int leak_score_create(struct leak_score **ret_score)
{
	*ret_score = calloc(1, sizeof(**ret_score));
	return *ret_score == NULL ? -ENOMEM : 0;
}

void leak_score_destroy(struct leak_score *score)
{
	free(score);
}

static void side_add(struct side *side, double value)
{
	double off = value - side->mean;

	side->count++;
	side->mean += off / side->count;
	side->squares += off * (value - side->mean);
}

void leak_score_cycle(struct leak_score *score)
{
	struct side *off = &score->cycle[0], *on = &score->cycle[1];

	if (off->count > 0 && on->count > 0 && score->cycles < LEAK_SCORE_CYCLE_MAX) {
		score->differences[score->cycles++] = on->mean - off->mean;
		score->steady_squares += on->squares + off->squares;
		score->steady_count += on->count + off->count;
	}
	*off = *on = (struct side){.count = 0};
}

void leak_score_add(struct leak_score *score, bool on, double power_w)
{
	side_add(&score->sides[on ? 1 : 0], power_w);
	side_add(&score->cycle[on ? 1 : 0], power_w);
}

/* Powers that differ by less than a nanowatt in all are one power. */
static double leak_ratio(double difference, double deviation)
{
	return fabs(difference) < 1e-9 ? 0 : fabs(difference) / fmax(deviation, 1e-12);
}

static int leak_compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Sorts them. */
static double leak_median(double values[], size_t count)
{
	qsort(values, count, sizeof(values[0]), leak_compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

struct leak_result leak_score_result(struct leak_score *score)
{
	const struct side *off = &score->sides[0], *on = &score->sides[1];
	double count = off->count + on->count;
	double part = count > 0 ? on->count / count : 0;
	double difference = on->mean - off->mean;
	double within = count > 2 ? (off->squares + on->squares) / (count - 2) : 0;
	struct leak_result result = {.mean_w = off->mean + part * difference};
	double total;

	leak_score_cycle(score);
	result.distance = leak_ratio(difference, sqrt(within));
	total = count > 0 ? (off->squares + on->squares) / count +
				part * (1 - part) * difference * difference
			  : 0;
	if (total > 1e-18)
		result.correlation = difference * sqrt(part * (1 - part) / total);
	if (score->cycles > 0)
		result.steady_distance =
		    leak_ratio(leak_median(score->differences, score->cycles),
			       sqrt(score->steady_squares / score->steady_count));
	return result;
}
