/*
 * exporter_metrics_internal.h: what exporter_metrics.c (the program, the ledger and the host's
 * zones) and exporter_metrics_vm.c (the virtual machines) share.
 */
#ifndef WATTPORT_HOST_EXPORTER_METRICS_INTERNAL_H
#define WATTPORT_HOST_EXPORTER_METRICS_INTERNAL_H

#include "host/exporter_metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the family writers look at. */
struct exporter_scene {
	struct metrics *metrics;
	const struct ledger_copy *copy;
	const struct summary *summary;
};

static inline const char *exporter_zone_id(const struct exporter_scene *scene, uint32_t zone)
{
	return scene->copy->host.zones[zone].zone.id;
}

/* Whether the power of that zone is known now. */
static inline bool exporter_knows_power(const struct exporter_scene *scene, uint32_t zone)
{
	return scene->summary->fresh && scene->copy->host.zones[zone].available;
}

/* The families of the machines; there is a copy. */
void exporter_metrics_write_vms(const struct exporter_scene *scene);

#endif
