/*
 * output.h: one output: a format, a sink, and the thread between them.
 *
 * The main thread hands over what a tick wrote and goes on at once, whatever the sink does; the
 * output's own thread sends, waits, tries again with growing pauses, and tells once when an outage
 * begins and once when it ends. What waits has a bound: the oldest goes first, and is counted.
 */
#ifndef WATTPORT_GUEST_OUTPUT_H
#define WATTPORT_GUEST_OUTPUT_H

#include "common/diag.h"
#include "guest/output_sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_PAUSE_MS_MIN 250
#define OUTPUT_PAUSE_MS_MAX 30000

struct output_options {
	const char *spec;			      /* FORMAT[@PERIOD]:SINK */
	uint64_t period_ns;			      /* where the spec has none */
	size_t buffer_size;			      /* of what waits */
	uint32_t timeout_ms;			      /* of one sending */
	const struct output_credentials *credentials; /* NULL: none; outlives the output */
	const char *ca_file;			      /* NULL: the system's; outlives the output */
};

/* What it did so far, for the metrics. */
struct output_state {
	bool tried; /* else `up` says nothing yet */
	bool up;    /* the last batch went out */
	uint64_t queued;
	uint64_t dropped;
};

struct output;

/* Opens, makes no contact. -errno with *diag, which begins with the spec. */
int output_create(const struct output_options *options, struct output **ret_output,
		  struct diag *diag);

/* Starts the thread; after privileges were dropped, before system calls are filtered. */
int output_start(struct output *output, struct diag *diag);

/* Asks the thread to send what it has, without another try, and to end. */
void output_end(struct output *output);

/*
 * Its end, in three steps, each of which is taken with all outputs before the next, so that one
 * that hangs costs the others none of their time: output_end(), output_await(), output_cut().
 */
struct output_deadline {
	const struct clock *clock;
	struct mono_time time;
};

/* Waits for the thread until `deadline`: whether it has ended. */
bool output_await(const struct output *output, const struct output_deadline *deadline);

/* Makes the sink stop where it waits; does not wait for that. */
void output_cut(struct output *output);

/*
 * Waits until `deadline`. A thread that does not even then return (a system call that hangs in the
 * kernel) is left behind with all it uses, for the process to end. Tells what was not delivered.
 */
void output_destroy(struct output *output, const struct output_deadline *deadline);

const struct output_spec *output_spec(const struct output *output);
uint64_t output_period_ns(const struct output *output);

/* Writes a tick and queues it. Never waits for the sink. */
void output_push(struct output *output, const struct output_tick *tick);

/* Files are opened anew before the next batch. */
void output_reopen(struct output *output);

void output_get_state(struct output *output, struct output_state *ret_state);

#endif
