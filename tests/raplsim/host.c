#include "tests/raplsim/host.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Fills in at: the caller's buffers are sized for the longest name that the maxima allow. */
#define NAME(at, ...)                                                                              \
	do {                                                                                       \
		int name_length_ = snprintf((at), HOST_NAME_SIZE, __VA_ARGS__);                    \
		assert(name_length_ > 0 && name_length_ < HOST_NAME_SIZE);                         \
	} while (0)

struct model_power host_zone_power(const struct host_config *config, enum host_zone_kind kind)
{
	uint64_t die_idle_uw = config->idle_uw / config->dies;
	uint64_t dram_uw = config->dram_uw / config->dies;
	uint64_t dies = (uint64_t)config->packages * config->dies;

	switch (kind) {
	case HOST_ZONE_PACKAGE:
		return (struct model_power){die_idle_uw, config->busy_uw};
	/* core and uncore lie within the package: together they never exceed it. */
	case HOST_ZONE_CORE:
		return (struct model_power){die_idle_uw / 4, config->busy_uw};
	case HOST_ZONE_UNCORE:
		return (struct model_power){die_idle_uw / 4, 0};
	/* DRAM is on top of the package. */
	case HOST_ZONE_DRAM:
		return (struct model_power){dram_uw, 0};
	/* psys overlaps everything. */
	case HOST_ZONE_PSYS:
		return (struct model_power){dies * (die_idle_uw + (config->dram ? dram_uw : 0)) +
						config->psys_extra_uw,
					    config->busy_uw};
	}
	abort(); /* No other kind exists: -Wswitch-enum sees to it. */
}

static int deal_cpus(struct host *host, const unsigned int *cpu_ids)
{
	size_t dies = (size_t)host->config.packages * host->config.dies;

	host->cpus = calloc(host->cpu_count, sizeof(*host->cpus));
	if (!host->cpus)
		return -ENOMEM;
	for (size_t i = 0; i < host->cpu_count; i++) {
		size_t die = host->cpu_count >= dies ? i * dies / host->cpu_count : i;
		struct host_cpu *cpu = &host->cpus[i];

		cpu->id = cpu_ids[i];
		cpu->package = (unsigned int)(die / host->config.dies);
		cpu->die = (unsigned int)(die % host->config.dies);
		if (i > 0 && host->cpus[i - 1].package == cpu->package)
			cpu->core = host->cpus[i - 1].core + 1;
	}
	return 0;
}

static int start_units(const struct host_config *config, uint64_t unit_pj, uint32_t *ret_units)
{
	uint64_t units;

	if (unit_pj < 1000)
		return -EINVAL;
	units = model_uj_to_units(config->start_uj, unit_pj);
	if (units > UINT32_MAX)
		return -EINVAL;
	/* In unsigned arithmetic of 32 bits minus the distance is that far before the wrap. */
	*ret_units = config->near_wrap ? (uint32_t)(0 - units) : (uint32_t)units;
	return 0;
}

static void zone_cpus(const struct host *host, struct host_zone *zone)
{
	if (zone->kind == HOST_ZONE_PSYS) {
		zone->model.cpu_count = host->cpu_count;
		return;
	}
	for (size_t i = 0; i < host->cpu_count; i++) {
		if (host->cpus[i].package != zone->package || host->cpus[i].die != zone->die)
			continue;
		if (zone->model.cpu_count++ == 0)
			zone->model.cpu_first = i;
	}
}

static uint64_t zone_unit_pj(const struct host_config *config, enum host_zone_kind kind)
{
	if (kind == HOST_ZONE_DRAM)
		return config->dram_unit_pj;
	return kind == HOST_ZONE_PSYS ? config->psys_unit_pj : config->unit_pj;
}

static int add_zone(struct host *host, struct host_zone zone)
{
	int r;

	zone.model.power = host_zone_power(&host->config, zone.kind);
	zone.model.unit_pj = zone_unit_pj(&host->config, zone.kind);
	r = start_units(&host->config, zone.model.unit_pj, &zone.model.start_units);
	if (r < 0)
		return r;
	zone_cpus(host, &zone);
	host->zones[host->zone_count++] = zone;
	return 0;
}

static int add_child(struct host *host, size_t parent, enum host_zone_kind kind, unsigned int id)
{
	static const char *const names[] = {
	    [HOST_ZONE_CORE] = "core", [HOST_ZONE_UNCORE] = "uncore", [HOST_ZONE_DRAM] = "dram"};
	const struct host_zone *package = &host->zones[parent];
	struct host_zone zone = {
	    .kind = kind, .package = package->package, .die = package->die, .parent = parent};

	NAME(zone.name, "%s", names[kind]);
	NAME(zone.key, "%.23s/%s", package->key, names[kind]);
	NAME(zone.id, "%.28s:%x", package->id, id);
	if (host->config.mmio && kind == HOST_ZONE_DRAM)
		NAME(zone.mmio_id, "%.29s:0", package->mmio_id);
	return add_zone(host, zone);
}

/* A die with everything below it, in the order of enum rapl_domain_type. The kernel prints zone
 * ids in hexadecimal (powercap_register_zone: "%s:%x"), and names a zone by its die only where a
 * package has several (rapl_package_name in intel_rapl_common.c). */
static int add_die(struct host *host, size_t die, unsigned int id)
{
	const struct host_config *config = &host->config;
	struct host_zone zone = {.kind = HOST_ZONE_PACKAGE,
				 .package = (unsigned int)die / config->dies,
				 .die = (unsigned int)die % config->dies,
				 .parent = HOST_ZONE_NONE};
	size_t package = host->zone_count;
	unsigned int child = 0;
	int r;

	if (config->dies > 1)
		NAME(zone.name, "package-%u-die-%u", zone.package, zone.die);
	else
		NAME(zone.name, "package-%u", zone.package);
	NAME(zone.key, "%s", zone.name);
	NAME(zone.id, "intel-rapl:%x", id);
	if (config->mmio)
		NAME(zone.mmio_id, "intel-rapl-mmio:%x", (unsigned int)die);
	r = add_zone(host, zone);
	if (r == 0 && config->core)
		r = add_child(host, package, HOST_ZONE_CORE, child++);
	if (r == 0 && config->uncore)
		r = add_child(host, package, HOST_ZONE_UNCORE, child++);
	if (r == 0 && config->dram)
		r = add_child(host, package, HOST_ZONE_DRAM, child);
	return r;
}

static int add_psys(struct host *host, unsigned int id)
{
	struct host_zone zone = {
	    .kind = HOST_ZONE_PSYS, .key = "psys", .name = "psys", .parent = HOST_ZONE_NONE};

	NAME(zone.id, "intel-rapl:%x", id);
	return add_zone(host, zone);
}

/* Since Linux 5.3 psys is a domain of the first package and is registered with it, so it takes the
 * id after that package's and the second package is not intel-rapl:1. */
static int add_zones(struct host *host)
{
	size_t dies = (size_t)host->config.packages * host->config.dies;
	unsigned int id = 0;

	host->zones = calloc(dies * 4 + 1, sizeof(*host->zones));
	if (!host->zones)
		return -ENOMEM;
	for (size_t die = 0; die < dies; die++) {
		int r = add_die(host, die, id++);

		if (r == 0 && die == 0 && host->config.psys)
			r = add_psys(host, id++);
		if (r < 0)
			return r;
	}
	return 0;
}

int host_init(struct host *host, const struct host_config *config, const unsigned int *cpu_ids,
	      size_t cpu_count)
{
	int r;

	*host = (struct host){.config = *config, .cpu_count = cpu_count};
	if (cpu_count == 0 || config->packages == 0 || config->packages > HOST_PACKAGES_MAX ||
	    config->dies == 0 || config->dies > HOST_DIES_MAX ||
	    (config->near_wrap && config->start_uj == 0))
		return -EINVAL;
	r = deal_cpus(host, cpu_ids);
	if (r == 0)
		r = add_zones(host);
	if (r < 0)
		host_finish(host);
	return r;
}

void host_finish(struct host *host)
{
	free(host->cpus);
	free(host->zones);
	*host = (struct host){0};
}
