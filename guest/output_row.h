/*
 * output_row.h: a view of this machine taken apart into rows: one a zone, an account and a tick.
 *
 * First half of every output that is a table (CSV, JSON lines). A row has what is known and nothing
 * else: while the figures are not measured there is one row alone, which says so. Pure.
 *
 * The kinds: "zone" is a zone's counter, as every reader of RAPL sees it; "divided" what was
 * divided of it since the agent began to, which is the sum of "idle", "other" and the accounts of
 * "unit" (or of "user", or of "process") with their rest; "machine" is the row that stands alone.
 */
#ifndef WATTPORT_GUEST_OUTPUT_ROW_H
#define WATTPORT_GUEST_OUTPUT_ROW_H

#include "guest/accounts_view.h"

#include <stdbool.h>
#include <stdint.h>

/* One tick: what all outputs are given. */
struct output_tick {
	const char *host; /* this machine's name */
	const struct accounts_view *view;
};

struct output_value {
	bool known;
	uint64_t value;
};

struct output_row {
	const char *kind;
	const char *name;   /* or empty */
	const char *detail; /* or empty */
	int32_t pid;	    /* or 0 */
	const char *zone;   /* or empty; "total": all that add up */
	struct output_value energy_uj;
	struct output_value power_uw;
	struct output_value cpu_ns; /* of an account, in its row of all zones alone, so that sums */
	struct output_value members; /* over rows stay true; the same */
};

typedef void (*output_row_take)(void *context, const struct output_row *row);

void output_rows(const struct accounts_view *view, output_row_take take, void *context);

/* How old the figures are, where that is known. */
struct output_value output_age_ms(const struct meter_reading *reading);

/* 1: they are computed, 0: measured, where that is known. */
struct output_value output_estimate(const struct meter_reading *reading);

/* "isolated" or "exact", as the host tells it; "own" on bare metal; empty: not known. */
const char *output_view_name(const struct meter_reading *reading);

/* Where the figures come from: the host's source, or this machine's "powercap"; or empty. */
const char *output_source_name(const struct meter_reading *reading);

#endif
