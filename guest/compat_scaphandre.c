/*
 * Scaphandre v1.0.2, src/exporters/mod.rs (MetricGenerator) and docs_src/references/metrics.md. Of
 * its labels of a process it has `exe` and `pid`; command lines, which may hold secrets, are left
 * out. The host is psys where there is one, else packages and DRAM together (sensors/mod.rs there).
 */
#include "guest/compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SCAPH_HOST_ENERGY,
	SCAPH_HOST_POWER,
	SCAPH_SOCKET_ENERGY,
	SCAPH_SOCKET_POWER,
	SCAPH_DOMAIN_ENERGY,
	SCAPH_DOMAIN_POWER,
	SCAPH_PROCESS_POWER,
};

static const struct compat_metric compat_scaphandre_list[] = {
    [SCAPH_HOST_ENERGY] =
	{{"scaph_host_energy_microjoules", METRICS_BARE_COUNTER, NULL,
	  "Energy measurement for the whole host, as extracted from the sensor, in "
	  "microjoules."},
	 "",
	 "wattport_guest_energy_joules_total, of psys; without one at the start of the agent, of "
	 "all packages "
	 "and DRAM"},
    [SCAPH_HOST_POWER] = {{"scaph_host_power_microwatts", METRICS_GAUGE, NULL,
			   "Power measurement on the whole host, in microwatts"},
			  "",
			  "wattport_guest_power_watts, of the same zones"},
    [SCAPH_SOCKET_ENERGY] = {{"scaph_socket_energy_microjoules", METRICS_BARE_COUNTER, NULL,
			      "Socket related energy measurement in microjoules."},
			     "socket_id",
			     "wattport_guest_energy_joules_total{zone=\"package-N\"}"},
    [SCAPH_SOCKET_POWER] = {{"scaph_socket_power_microwatts", METRICS_GAUGE, NULL,
			     "Power measurement relative to a CPU socket, in microwatts"},
			    "socket_id",
			    "wattport_guest_power_watts{zone=\"package-N\"}"},
    [SCAPH_DOMAIN_ENERGY] = {{"scaph_domain_energy_microjoules", METRICS_BARE_COUNTER, NULL,
			      "Domain related energy measurement in microjoules."},
			     "socket_id, domain_id, domain_name",
			     "wattport_guest_energy_joules_total, of dram, core and uncore"},
    [SCAPH_DOMAIN_POWER] = {{"scaph_domain_power_microwatts", METRICS_GAUGE, NULL,
			     "Power measurement relative to a RAPL Domain, in microwatts"},
			    "socket_id, domain_id, domain_name",
			    "wattport_guest_power_watts, of dram, core and uncore"},
    [SCAPH_PROCESS_POWER] = {{"scaph_process_power_consumption_microwatts", METRICS_GAUGE, NULL,
			      "Power consumption due to the process, measured on at the topology "
			      "level, in microwatts"},
			     "exe, pid",
			     "the power behind wattport_process_energy_joules_total"},
};

struct scaph_sum {
	uint64_t uj;
	uint64_t uw;
	bool has_energy;
	bool has_power;
};

/*
 * Of all packages and DRAM, or of what `package` and `kind` choose; dies together. The sum over all
 * grows by what a zone counts since it is a part of it, and not by what it had before.
 */
static struct scaph_sum scaph_sum(const struct meter_reading *reading, const uint32_t *package,
				  const enum zone_kind *kind)
{
	struct scaph_sum sum = {.has_power = true};

	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		enum zone_kind is = compat_zone_kind(zone->id);

		if (kind != NULL ? is != *kind : is != ZONE_PACKAGE && is != ZONE_DRAM)
			continue;
		if (package != NULL && compat_zone_package(zone->id) != *package)
			continue;
		/* Half of it would be a wrong number. */
		if (!zone->available)
			return (struct scaph_sum){.has_energy = false};
		sum.has_energy = true;
		sum.has_power = sum.has_power && zone->has_power;
		sum.uj += zone->energy_uj - (package == NULL ? zone->joined_uj : 0);
		sum.uw += zone->power_uw;
	}
	sum.has_power = sum.has_power && sum.has_energy;
	return sum;
}

/*
 * Scaphandre asks at its start whether there is a psys, once. So do we, of what we are shown: a
 * zone that cannot be read now is still listed, and one that came later is said to be. To take the
 * one that can be read would make the counter go back, and then jump.
 */
static bool scaph_host_is_psys(const struct meter_reading *reading)
{
	for (size_t i = 0; i < reading->zone_count; i++)
		if (compat_zone_kind(reading->zones[i].id) == ZONE_PSYS &&
		    !reading->zones[i].joined)
			return true;
	return false;
}

static void scaph_write_host(struct metrics *metrics, const struct meter_reading *reading)
{
	const enum zone_kind psys = ZONE_PSYS;
	struct scaph_sum host =
	    scaph_sum(reading, NULL, scaph_host_is_psys(reading) ? &psys : NULL);

	metrics_begin_family(metrics, &compat_scaphandre_list[SCAPH_HOST_ENERGY].family);
	if (host.has_energy)
		metrics_add(metrics, NULL, 0, metrics_integer(host.uj));
	metrics_begin_family(metrics, &compat_scaphandre_list[SCAPH_HOST_POWER].family);
	if (host.has_power)
		metrics_add(metrics, NULL, 0, metrics_integer(host.uw));
}

/* Whether an earlier zone is of the same kind and package: then both are told already. */
static bool scaph_is_told(const struct meter_reading *reading, size_t index)
{
	const struct meter_zone *zone = &reading->zones[index];

	for (size_t i = 0; i < index; i++)
		if (compat_zone_kind(reading->zones[i].id) == compat_zone_kind(zone->id) &&
		    compat_zone_package(reading->zones[i].id) == compat_zone_package(zone->id))
			return true;
	return false;
}

static void scaph_add_zone(struct metrics *metrics, const struct meter_reading *reading,
			   size_t index, bool power)
{
	const struct meter_zone *zone = &reading->zones[index];
	enum zone_kind kind = compat_zone_kind(zone->id);
	uint32_t package = compat_zone_package(zone->id);
	struct scaph_sum sum = scaph_sum(reading, &package, &kind);
	const char *last = strrchr(zone->place, ':');
	char socket[16];
	const struct metrics_label labels[] = {
	    {"socket_id", socket},
	    {"domain_id", last != NULL ? last + 1 : ""},
	    {"domain_name", zone_kind_name(kind)},
	};

	(void)snprintf(socket, sizeof(socket), "%" PRIu32, package);
	if (power ? sum.has_power : sum.has_energy)
		metrics_add(metrics, labels, kind == ZONE_PACKAGE ? 1 : 3,
			    metrics_integer(power ? sum.uw : sum.uj));
}

/* Sockets, or the domains within them. */
static void scaph_write_zones(struct metrics *metrics, const struct meter_reading *reading,
			      bool sockets, bool power)
{
	size_t family = sockets ? SCAPH_SOCKET_ENERGY : SCAPH_DOMAIN_ENERGY;

	metrics_begin_family(metrics, &compat_scaphandre_list[family + power].family);
	for (size_t i = 0; i < reading->zone_count; i++) {
		enum zone_kind kind = compat_zone_kind(reading->zones[i].id);

		if (kind != ZONE_PSYS && (kind == ZONE_PACKAGE) == sockets &&
		    !scaph_is_told(reading, i))
			scaph_add_zone(metrics, reading, i, power);
	}
}

static void scaph_write_processes(struct metrics *metrics, const struct accounts_view *view)
{
	const struct accounts_group *group = &view->groups[ACCOUNT_PROCESS];

	metrics_begin_family(metrics, &compat_scaphandre_list[SCAPH_PROCESS_POWER].family);
	for (size_t i = 0; i < group->count && view->interval_ns > 0; i++) {
		const struct account *account = &group->accounts[i];
		char pid[16];
		const struct metrics_label labels[] = {{"exe", account->name}, {"pid", pid}};

		(void)snprintf(pid, sizeof(pid), "%" PRId32, account->pid);
		metrics_add(metrics, labels, 2, metrics_integer(account->total.power_uw));
	}
}

static void compat_scaphandre_write(struct metrics *metrics, const struct compat_machine *machine)
{
	const struct meter_reading *reading = &machine->view->reading;

	scaph_write_host(metrics, reading);
	scaph_write_zones(metrics, reading, true, false);
	scaph_write_zones(metrics, reading, true, true);
	scaph_write_zones(metrics, reading, false, false);
	scaph_write_zones(metrics, reading, false, true);
	scaph_write_processes(metrics, machine->view);
}

const struct compat_tool compat_scaphandre = {
    .name = "scaphandre",
    .version = "Scaphandre 1.0.2",
    .origin = "hubblo-org/scaphandre src/exporters/mod.rs",
    .list = compat_scaphandre_list,
    .count = sizeof(compat_scaphandre_list) / sizeof(compat_scaphandre_list[0]),
    .write = compat_scaphandre_write,
};
