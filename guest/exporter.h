/*
 * exporter.h: the agent's readings over HTTP: /metrics, /healthz and the page for people, with
 * /api/v1/.. which that asks (common/page.h).
 *
 * Last stage in the guest. Each request takes a reading of its own, so that a scrape shows now and
 * not some tick before it; exporter_tick() takes one when nobody asks, for counters that wrap. The
 * handlers run in the HTTP server's thread, the tick in the main thread: a lock keeps the meter to
 * one of them at a time.
 *
 * Energy and power of what cannot be read, or is older than METER_AGE_MS_MAX, are absent, never 0:
 * Prometheus then shows a gap, and rate() goes on behind it with what was used meanwhile.
 */
#ifndef WATTPORT_GUEST_EXPORTER_H
#define WATTPORT_GUEST_EXPORTER_H

#include "common/http_server.h"
#include "common/page.h"
#include "guest/accounts_thread.h"
#include "guest/meter.h"

#include <stddef.h>

struct exporter;

/* Meter and page stay the caller's and outlive the exporter. */
int exporter_create(struct meter *meter, struct page *page, struct exporter **ret_exporter);
void exporter_destroy(struct exporter *exporter);

/* Shows these accounts, too; they outlive the exporter. Before the server starts. */
void exporter_set_accounts(struct exporter *exporter, struct accounts_thread *accounts);

/* For http_server_options: the routes, and `exporter` itself as their context. */
extern const struct http_route exporter_routes[];
extern const size_t exporter_route_count;

/* What /metrics has beside the readings. All of it outlives the exporter. */
struct outputs;
struct exporter_extras {
	struct outputs *outputs; /* NULL: none */
	uint32_t compat;	 /* other tools' names (compat.h) */
	const char *host;	 /* this machine's name */
	const char *sys_path;	 /* of its /sys */
};
void exporter_set_extras(struct exporter *exporter, const struct exporter_extras *extras);

/* Takes a reading; returns whether it is up. */
bool exporter_tick(struct exporter *exporter, struct meter_reading *ret_reading);

/* Every PAGE_PERIOD_SECONDS: takes the figures into the page's history. In any thread. */
void exporter_show(struct exporter *exporter);

/* Whether some zone was there and denied when it was read last, by this or by the accounts. */
bool exporter_denied(struct exporter *exporter);

/* The page of a reading, for /metrics; the text belongs to `metrics`. */
struct metrics;
void exporter_write_metrics(struct metrics *metrics, const struct meter_reading *reading);

/* The accounts' part of it: nothing while the machine's energy cannot be read. */
void exporter_write_accounts(struct metrics *metrics, const struct accounts_view *view);

static inline void cleanup_exporter_value(struct exporter *const *exporter)
{
	exporter_destroy(*exporter);
}
#define cleanup_exporter __attribute__((cleanup(cleanup_exporter_value)))

#endif
