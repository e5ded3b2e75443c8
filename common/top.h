/*
 * top.h: `top`: power and energy by account, on a terminal, again and again, or once as text.
 *
 * Last stage of the flow that top_frame.h begins: takes a frame, lets history and view take it in,
 * draws it, and listens to keys. Host and guest give it their frames through one function.
 */
#ifndef WATTPORT_COMMON_TOP_H
#define WATTPORT_COMMON_TOP_H

#include "common/clock.h"
#include "common/top_frame.h"
#include "common/top_view.h"

#include <argp.h>

#define TOP_PERIOD_NS_MIN (100 * CLOCK_NS_PER_MS)
#define TOP_PERIOD_NS_MAX (10 * CLOCK_NS_PER_SECOND) /* later, what is shown is no longer fresh */

/* Where frames come from. */
struct top_source {
	const char *program; /* "wattport top" */
	const struct clock *clock;
	/*
	 * Fills a frame, which is clear, with what is known now. What is wrong stands in its
	 * notice; only -ENOMEM is returned.
	 */
	int (*take)(void *context, struct top_frame *frame);
	void *context;
	uint64_t step_ns; /* --once looks so often for a second sample */
};

struct top_options {
	uint64_t period_ns;
	bool once;
	uint32_t width, height; /* of --once; 0: of the terminal or COLUMNS; of all rows */
	const char *filter, *kind;
	enum top_sort sort;
	bool watt_hours;
};

/* An initialiser: the defaults. */
#define TOP_OPTIONS_INIT                                                                           \
	{                                                                                          \
		.period_ns = CLOCK_NS_PER_SECOND, .filter = "", .sort = TOP_BY_POWER               \
	}

/* A child parser whose input is a struct top_options. */
extern const struct argp top_argp;

/*
 * Shows it until a person has seen enough. 0; 1 where it cannot be shown, or --once has no fresh
 * figures; what to do was told in *diag then. A signal that ends it ends the process.
 */
int top_run(const struct top_source *source, const struct top_options *options, struct diag *diag);

#endif
