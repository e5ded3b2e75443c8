/*
 * exporter.h: what wattport-exporter answers on each of its paths.
 *
 *     /             the page for people
 *     /metrics      Prometheus; without a ledger only what needs none
 *     /status.json  the same figures for programs; 503 without a ledger
 *     /healthz      200 when the last sample is at most SUMMARY_AGE_NS_MAX old, else 503 and why
 *
 * A view, apart from sockets, so that tests can ask it without any. The handlers run one at a time
 * (http_server.h); that a ledger came or went is logged when it happens.
 */
#ifndef WATTPORT_HOST_EXPORTER_H
#define WATTPORT_HOST_EXPORTER_H

#include "common/clock.h"
#include "common/http_server.h"

#include <stddef.h>

struct exporter;

/* The clock must outlive it. 0 or -ENOMEM. */
int exporter_create(const char *runtime_dir, const struct clock *clock,
		    struct exporter **ret_exporter);
void exporter_destroy(struct exporter *exporter);

/* The routes; the exporter is their context. Constant. */
const struct http_route *exporter_routes(size_t *ret_count);

static inline void cleanup_exporter_value(struct exporter *const *exporter)
{
	exporter_destroy(*exporter);
}
#define cleanup_exporter __attribute__((cleanup(cleanup_exporter_value)))

#endif
