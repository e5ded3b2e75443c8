/*
 * output_sink_http_internal.h: what a server's answer means for a batch, apart from the sink for
 * its test.
 */
#ifndef WATTPORT_GUEST_OUTPUT_SINK_HTTP_INTERNAL_H
#define WATTPORT_GUEST_OUTPUT_SINK_HTTP_INTERNAL_H

#include "guest/output_sink.h"

/* 400 and its like are about this batch: sent again, it would be refused again. Everything else may
 * be mended on the server's side, and *diag says how. Pure. */
enum output_outcome output_http_judge(long code, const char *answer, const struct output_spec *spec,
				      struct diag *diag);

#endif
