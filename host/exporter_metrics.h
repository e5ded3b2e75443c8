/*
 * exporter_metrics.h: the metrics of a host, from one copy of its ledger.
 *
 * A view: docs/metrics.md explains each family to its reader. All samples of a page are of one
 * instant of the ledger, so sums hold to the microjoule within a scrape. Pure but for the writer.
 */
#ifndef WATTPORT_HOST_EXPORTER_METRICS_H
#define WATTPORT_HOST_EXPORTER_METRICS_H

#include "common/ledger_map.h"
#include "common/metrics.h"
#include "host/summary.h"

/*
 * Writes all families between metrics_begin() and metrics_finish(). Without a copy (NULL, then the
 * summary is not looked at) only those that need no ledger. Power is left out where it is not
 * known now: when the ledger is not fresh, and for zones that could not be read. Totals stay.
 */
void exporter_metrics_write(struct metrics *metrics, const struct ledger_copy *copy,
			    const struct summary *summary);

#endif
