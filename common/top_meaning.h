/*
 * top_meaning.h: what the energy of a frame means: CO2e, and a thing of everyday life.
 *
 * Between who fills a frame and top.c. Grams are of what was used since `top` began, each part with
 * the intensity of its time; the comparison is of all that the frame shows. One thread.
 */
#ifndef WATTPORT_COMMON_TOP_MEANING_H
#define WATTPORT_COMMON_TOP_MEANING_H

#include "common/carbon.h"
#include "common/equivalents.h"
#include "common/top_frame.h"

struct top_meaning {
	struct carbon *carbon;		       /* NULL: grams are not told */
	const struct equivalents *equivalents; /* NULL: nothing is compared */
	struct carbon_sum sum;
	bool begun;
	uint64_t energy_uj; /* of the frame before */
};

/* Takes in what came since the frame before, and tells it in the frame's grams and likeness. */
void top_meaning_tell(struct top_meaning *meaning, struct top_frame *frame);

#endif
