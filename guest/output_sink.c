#include "guest/output_sink.h"

#include <assert.h>

static const struct output_sink_ops *output_sink_find(enum output_sink_kind kind)
{
	switch (kind) {
	case OUTPUT_STDOUT:
	case OUTPUT_FILE:
		return &output_sink_stream;
	case OUTPUT_UDP:
		return &output_sink_udp;
	case OUTPUT_HTTP:
		break;
	}
	return &output_sink_http;
}

int output_sink_open(const struct output_sink_options *options, struct output_sink **ret_sink,
		     struct diag *diag)
{
	return output_sink_find(options->spec->kind)->open(options, ret_sink, diag);
}

void output_sink_close(struct output_sink *sink)
{
	if (sink != NULL)
		sink->ops->close(sink);
}

size_t output_line_start(const struct output_batch *batch, size_t progress)
{
	assert(progress <= batch->size);
	while (progress > 0 && batch->text[progress - 1] != '\n')
		progress--;
	return progress;
}
