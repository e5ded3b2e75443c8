/*
 * output_sink.h: where an output goes: a stream, a file or pipe, UDP, HTTP.
 *
 * One `const struct output_sink_ops` a kind, in a file output_sink_NAME.c. A sink is opened by the
 * main thread, before privileges are given up, and makes contact only when the first batch is sent;
 * from then on one thread uses it, that of its output (output.c), which may wait.
 */
#ifndef WATTPORT_GUEST_OUTPUT_SINK_H
#define WATTPORT_GUEST_OUTPUT_SINK_H

#include "common/diag.h"
#include "guest/output_queue.h"
#include "guest/output_spec.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum output_outcome {
	OUTPUT_SENT,
	OUTPUT_LATER,	/* not now: the sink cannot be reached, or takes no more */
	OUTPUT_REFUSED, /* never: this batch is wrong, what follows may be right */
	OUTPUT_ENDED,	/* never again, whatever it is */
};

struct output_credentials;

struct output_sink_options {
	const struct output_spec *spec;		      /* outlives the sink */
	const struct output_credentials *credentials; /* NULL: none; outlives the sink */
	const char *ca_file;			      /* NULL: the system's; outlives the sink */
	uint32_t timeout_ms;			      /* of one sending */
	int stop_fd;		 /* readable when waiting is to end at once: OUTPUT_LATER */
	const atomic_bool *stop; /* the same */
};

/* The common head of every sink: implementations put it first in their own struct. */
struct output_sink {
	const struct output_sink_ops *ops;
	struct output_sink_options options;
};

struct output_sink_ops {
	size_t batch_size_max; /* more than this is not sent at once, but for a single block */

	int (*open)(const struct output_sink_options *options, struct output_sink **ret_sink,
		    struct diag *diag);
	void (*close)(struct output_sink *sink);

	/*
	 * Sends text[*progress..size), whole lines from text on, and moves *progress on: what is
	 * behind it is not sent again. A sink may move it back to where a line starts. Any other
	 * outcome than OUTPUT_SENT fills *diag.
	 */
	enum output_outcome (*send)(struct output_sink *sink, const struct output_batch *batch,
				    size_t *progress, struct diag *diag);

	/* A file has been moved away: the next batch goes to a new one. NULL: means nothing here.
	 */
	void (*reopen)(struct output_sink *sink);
};

extern const struct output_sink_ops output_sink_stream; /* stdout, files and pipes */
extern const struct output_sink_ops output_sink_udp;
extern const struct output_sink_ops output_sink_http;

/* Opens the sink of that kind. */
int output_sink_open(const struct output_sink_options *options, struct output_sink **ret_sink,
		     struct diag *diag);
void output_sink_close(struct output_sink *sink);

/* The last place at or before `progress` where a line of the batch starts. */
size_t output_line_start(const struct output_batch *batch, size_t progress);

#endif
