/*
 * node_exporter v1.7.0, collector/rapl_linux.go: a metric for each name of a zone, labels `index`
 * and `path`. What the index is and what becomes of the name says prometheus/procfs v0.12.0,
 * sysfs/class_powercap.go: the number behind "package-", else how many of that name came before in
 * the order of the directory.
 */
#include "guest/compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPAT_NODE_NAME_SIZE (ZONE_ID_SIZE + 32)

static const struct compat_metric compat_node_list[] = {
    {{"node_rapl_package_joules", METRICS_COUNTER, "joules",
      "Current RAPL package value in joules"},
     "index, path",
     "wattport_guest_energy_joules_total{zone=\"package-N\"}"},
    {{"node_rapl_dram_joules", METRICS_COUNTER, "joules", "Current RAPL dram value in joules"},
     "index, path",
     "wattport_guest_energy_joules_total{zone=\"dram-N\"}"},
    {{"node_rapl_core_joules", METRICS_COUNTER, "joules", "Current RAPL core value in joules"},
     "index, path",
     "wattport_guest_energy_joules_total{zone=\"core-N\"}"},
    {{"node_rapl_uncore_joules", METRICS_COUNTER, "joules", "Current RAPL uncore value in joules"},
     "index, path",
     "wattport_guest_energy_joules_total{zone=\"uncore-N\"}"},
    {{"node_rapl_psys_joules", METRICS_COUNTER, "joules", "Current RAPL psys value in joules"},
     "index, path",
     "wattport_guest_energy_joules_total{zone=\"psys\"}"},
};

static const char *compat_node_family(enum zone_kind kind)
{
	switch (kind) {
	case ZONE_PACKAGE:
		return compat_node_list[0].family.name;
	case ZONE_DRAM:
		return compat_node_list[1].family.name;
	case ZONE_CORE:
		return compat_node_list[2].family.name;
	case ZONE_UNCORE:
		return compat_node_list[3].family.name;
	case ZONE_PSYS:
		break;
	}
	return compat_node_list[4].family.name;
}

static uint32_t compat_node_index(const struct meter_reading *reading,
				  const struct meter_zone *zone)
{
	enum zone_kind kind = compat_zone_kind(zone->id);
	uint32_t index = 0;

	if (kind == ZONE_PACKAGE)
		return compat_zone_package(zone->id);
	for (size_t i = 0; i < reading->zone_count; i++)
		index += compat_zone_kind(reading->zones[i].id) == kind &&
			 strcmp(reading->zones[i].place, zone->place) < 0;
	return index;
}

static void compat_node_add(struct metrics *metrics, const struct compat_machine *machine,
			    const struct meter_zone *zone)
{
	char path[COMPAT_PATH_SIZE], index[16];
	const struct metrics_label labels[] = {{"index", index}, {"path", path}};

	compat_zone_path(machine, zone, path);
	(void)snprintf(index, sizeof(index), "%" PRIu32,
		       compat_node_index(&machine->view->reading, zone));
	metrics_add(metrics, labels, 2, metrics_micro(zone->energy_uj));
}

/* Dies are named "package-0-die-1" by the kernel, which there becomes a metric of that name. */
static void compat_node_write_die(struct metrics *metrics, const struct compat_machine *machine,
				  const struct meter_zone *zone)
{
	char name[COMPAT_NODE_NAME_SIZE], help[COMPAT_NODE_NAME_SIZE + 32], path[COMPAT_PATH_SIZE];
	const struct metrics_family family = {name, METRICS_COUNTER, "joules", help};
	const struct metrics_label labels[] = {{"index", "0"}, {"path", path}};

	(void)snprintf(name, sizeof(name), "node_rapl_%s_joules", zone->id);
	(void)snprintf(help, sizeof(help), "Current RAPL %s value in joules", zone->id);
	for (char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash, '-'))
		*dash = '_';
	compat_zone_path(machine, zone, path);
	metrics_begin_family(metrics, &family);
	metrics_add(metrics, labels, 2, metrics_micro(zone->energy_uj));
}

static bool compat_node_is_die(const struct meter_zone *zone)
{
	return compat_zone_kind(zone->id) == ZONE_PACKAGE && strstr(zone->id, "-die-") != NULL;
}

static void compat_node_write(struct metrics *metrics, const struct compat_machine *machine)
{
	const struct meter_reading *reading = &machine->view->reading;

	for (size_t i = 0; i < sizeof(compat_node_list) / sizeof(compat_node_list[0]); i++) {
		const struct metrics_family *family = &compat_node_list[i].family;
		bool begun = false;

		for (size_t j = 0; j < reading->zone_count; j++) {
			const struct meter_zone *zone = &reading->zones[j];

			if (!zone->available || compat_node_is_die(zone) ||
			    compat_node_family(compat_zone_kind(zone->id)) != family->name)
				continue;
			if (!begun)
				metrics_begin_family(metrics, family);
			begun = true;
			compat_node_add(metrics, machine, zone);
		}
	}
	for (size_t i = 0; i < reading->zone_count; i++)
		if (reading->zones[i].available && compat_node_is_die(&reading->zones[i]))
			compat_node_write_die(metrics, machine, &reading->zones[i]);
}

const struct compat_tool compat_node = {
    .name = "node",
    .version = "node_exporter 1.7.0",
    .origin = "prometheus/node_exporter collector/rapl_linux.go",
    .list = compat_node_list,
    .count = sizeof(compat_node_list) / sizeof(compat_node_list[0]),
    .write = compat_node_write,
};
