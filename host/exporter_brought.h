/*
 * exporter_brought.h: one metric: what machines brought from other hosts.
 *
 * A part of exporter_metrics.c, by the guest's own zones, where all others go by the host's. Pure.
 */
#ifndef WATTPORT_HOST_EXPORTER_BROUGHT_H
#define WATTPORT_HOST_EXPORTER_BROUGHT_H

#include "common/ledger_map.h"
#include "common/metrics.h"

/* The samples of the family that was begun: of machines that brought something. */
void exporter_brought_write(struct metrics *metrics, const struct ledger_copy *copy);

#endif
