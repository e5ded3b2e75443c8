/*
 * exporter.h: what wattport-exporter answers on each of its paths.
 *
 *     /, /page/..   the page for people, and /api/v1/.. which it asks (common/page.h)
 *     /metrics      Prometheus; without a ledger only what needs none
 *     /status.json  the same figures for programs; 503 without a ledger
 *     /healthz      200 when the last sample is at most SUMMARY_AGE_NS_MAX old, else 503 and why
 *
 * A view, apart from sockets, so that tests can ask it without any. The handlers run one at a time
 * (http_server.h), the tick beside them; that a ledger came or went is logged when it happens.
 */
#ifndef WATTPORT_HOST_EXPORTER_H
#define WATTPORT_HOST_EXPORTER_H

#include "common/clock.h"
#include "common/http_server.h"
#include "common/page.h"

#include <stddef.h>

struct exporter;

/* Clock and page must outlive it. 0 or -ENOMEM. */
int exporter_create(const char *runtime_dir, const struct clock *clock, struct page *page,
		    struct exporter **ret_exporter);
void exporter_destroy(struct exporter *exporter);

/* Every PAGE_PERIOD_SECONDS: takes the figures into the page's history. In any thread. */
void exporter_tick(struct exporter *exporter);

/* The routes; the exporter is their context. Constant. */
const struct http_route *exporter_routes(size_t *ret_count);

static inline void cleanup_exporter_value(struct exporter *const *exporter)
{
	exporter_destroy(*exporter);
}
#define cleanup_exporter __attribute__((cleanup(cleanup_exporter_value)))

#endif
