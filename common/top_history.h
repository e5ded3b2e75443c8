/*
 * top_history.h: what one frame alone does not tell: power over the last minutes, and how what no
 * row has divides into idle and other.
 *
 * Second stage of `top`: fed with each frame, once a sample. Pure: no clock, no I/O; one thread.
 */
#ifndef WATTPORT_COMMON_TOP_HISTORY_H
#define WATTPORT_COMMON_TOP_HISTORY_H

#include "common/top_frame.h"

#define TOP_HISTORY_MAX 1024 /* samples that are kept */
#define TOP_HISTORY_STEP_NS                                                                        \
	(2 * CLOCK_NS_PER_SECOND)   /* a column of the picture is at least so long */
#define TOP_HISTORY_NONE UINT64_MAX /* no power was known then */

struct top_history_sample {
	struct mono_time time;
	uint64_t power_uw;
};

/* A part of a whole. */
struct top_ratio {
	uint64_t part, whole;
};

struct top_history {
	size_t count; /* ever added; the last TOP_HISTORY_MAX are there */
	struct top_history_sample samples[TOP_HISTORY_MAX];
	struct mono_time last; /* of the last sample, with power or without */
	uint64_t last_idle_uj, last_other_uj;
	size_t frames;	/* samples seen */
	bool has_split; /* it is known how idle and other compare at the moment */
	struct top_ratio idle_of_both;
	uint64_t energy_uj;	/* of the first sample, and ... */
	struct mono_time begin; /* ... its time: what was used since is what a person has watched */
};

/* Takes what is new in it: nothing where it is the sample of before, or none. */
void top_history_add(struct top_history *history, const struct top_frame *frame);

/*
 * The highest power in each of `count` spans of TOP_HISTORY_STEP_NS that end with `now`, the oldest
 * first; TOP_HISTORY_NONE where nothing is known.
 */
void top_history_spans(const struct top_history *history, struct mono_time now,
		       uint64_t ret_power_uw[], size_t count);

#endif
