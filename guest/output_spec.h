/*
 * output_spec.h: what --output says: FORMAT[@PERIOD]:SINK.
 *
 *     influx:http://127.0.0.1:8086/telegraf      csv@1min:/var/log/wattport/energy.csv
 *     influx:udp://127.0.0.1:8089                json:-
 *
 * Pure.
 */
#ifndef WATTPORT_GUEST_OUTPUT_SPEC_H
#define WATTPORT_GUEST_OUTPUT_SPEC_H

#include "common/config.h"
#include "common/diag.h"
#include "guest/output_format.h"

#include <stdint.h>

#define OUTPUT_SPEC_SIZE     CONFIG_TEXT_SIZE
#define OUTPUT_PERIOD_NS_MIN UINT64_C(100000000)
#define OUTPUT_PERIOD_NS_MAX UINT64_C(86400000000000)

enum output_sink_kind {
	OUTPUT_STDOUT, /* "-" */
	OUTPUT_FILE,   /* an absolute path: a file or a named pipe */
	OUTPUT_UDP,    /* udp://HOST:PORT */
	OUTPUT_HTTP,   /* http://HOST[:PORT][/PREFIX]/DATABASE, or https */
};

struct output_spec {
	char text[OUTPUT_SPEC_SIZE]; /* as it was written: its name in messages and metrics */
	const struct output_format *format;
	uint64_t period_ns; /* 0: the one that holds for all */
	enum output_sink_kind kind;
	const char *target; /* within `text`: "-", the path, HOST:PORT, or the whole URL */
};

/* -EINVAL with what is allowed. `ret_spec` must not be moved afterwards: it points into itself. */
int output_spec_parse(const char *text, struct output_spec *ret_spec, struct diag *diag);

/*
 * Of http://HOST:8086/telegraf: how long "http://HOST:8086" is, with the path up to the last word,
 * and that word, the database.
 */
size_t output_spec_base_length(const struct output_spec *spec);
const char *output_spec_database(const struct output_spec *spec);

#endif
