/*
 * The source that computes: for machines without any meter. Always labelled an estimate.
 *
 * One zone a package: idle power all the time, and for every busy logical CPU its part of what the
 * package draws beyond that (power_table.c: where the figures are from and what they get wrong).
 * The energy is the exact integral of that rule over the CPUs' busy time: it depends neither on how
 * often it is read nor on what was read before.
 */
#include "common/cleanup.h"
#include "common/cpu_busy.h"
#include "common/energy_source_internal.h"
#include "common/power_table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MODEL_RANGE_UJ ((UINT64_C(1) << 53) - 1)

struct model_source {
	struct energy_source base; /* first: the cast in model_of() relies on it */
	const struct clock *clock;
	const struct topology *topology;
	struct mono_time start;
	struct power_figures figures;
	struct cpu_busy *busy;
	uint64_t *busy_ns;
};

static struct model_source *model_of(struct energy_source *source)
{
	static_assert(offsetof(struct model_source, base) == 0, "base comes first");
	return (struct model_source *)source;
}

static void model_free(struct model_source *source)
{
	cpu_busy_close(source->busy);
	free(source->busy_ns);
	free(source);
}

static void model_close(struct energy_source *base)
{
	model_free(model_of(base));
}

static int model_list_zones(struct model_source *source, struct diag *diag)
{
	for (size_t i = 0; i < source->topology->cpu_count; i++) {
		struct zone zone = {
		    .kind = ZONE_PACKAGE,
		    .package = source->topology->cpus[i].package,
		    .die = ZONE_ANY_DIE,
		    .range_uj = MODEL_RANGE_UJ,
		};

		(void)snprintf(zone.id, sizeof(zone.id), "package-%" PRIu32, zone.package);
		if (zone_find(source->base.zones, source->base.zone_count, zone.id) >= 0)
			continue;
		if (source->base.zone_count == ZONE_MAX)
			return diag_error(diag, -ENOSPC, "more than %d packages", ZONE_MAX);
		source->base.zones[source->base.zone_count++] = zone;
	}
	if (source->base.zone_count == 0)
		return diag_error(diag, -ENODEV, "no CPU is known");
	return 0;
}

/* Of the first package: a machine's packages are alike. */
static size_t model_core_count(const struct topology *topology)
{
	size_t count = 0;

	for (size_t i = 0; i < topology->cpu_count; i++) {
		const struct topology_cpu *cpu = &topology->cpus[i];
		bool counted = cpu->package != topology->cpus[0].package;

		for (size_t k = 0; k < i && !counted; k++)
			counted = topology->cpus[k].package == cpu->package &&
				  topology->cpus[k].die == cpu->die &&
				  topology->cpus[k].core == cpu->core;
		count += !counted;
	}
	return count;
}

static void model_note(struct model_source *source, const struct cpu_model *model)
{
	const struct power_figures *figures = &source->figures;

	diag_append(&source->base.notes,
		    "an estimate: \"%s\" with a TDP of %" PRIu32 " W a package (%s) is taken to "
		    "draw %" PRIu64 " mW idle and %" PRIu64 " mW busy",
		    model->name[0] != '\0' ? model->name : "unknown processor", figures->tdp_w,
		    figures->tdp_known ? "known" : "guessed from its cores",
		    figures->idle_uw / 1000, figures->busy_uw / 1000);
}

/* What may fail of opening; the caller closes then. */
static int model_start(struct model_source *source, const struct energy_source_context *context,
		       struct diag *diag)
{
	int status = model_list_zones(source, diag);

	if (status < 0)
		return status;
	source->busy_ns = calloc(context->topology->cpu_count, sizeof(*source->busy_ns));
	if (source->busy_ns == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = cpu_busy_open(context->root, context->topology, &source->busy, diag);
	if (status < 0)
		return status;
	source->start = clock_now_mono(context->clock);
	status = cpu_busy_read(source->busy, source->start, source->busy_ns);
	if (status < 0)
		return diag_error(diag, status, "cannot read proc/stat: %s", strerror(-status));
	return 0;
}

static int model_open(const struct energy_source_context *context,
		      struct energy_source **ret_source, struct diag *diag)
{
	struct model_source *source = calloc(1, sizeof(*source));
	struct cpu_model model;
	int status;

	assert(context->root != NULL);
	assert(context->clock != NULL);
	assert(context->topology != NULL);
	if (source == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	source->base.ops = &energy_source_model;
	source->clock = context->clock;
	source->topology = context->topology;
	status = model_start(source, context, diag);
	if (status < 0) {
		model_free(source);
		return status;
	}
	(void)cpu_model_read(context->root, &model);
	source->figures =
	    power_table_lookup(&model, model_core_count(context->topology), context->model_tdp_w);
	model_note(source, &model);
	*ret_source = &source->base;
	return 0;
}

/* power x time without overflow for centuries. */
static uint64_t model_energy_uj(uint64_t power_uw, uint64_t time_ns)
{
	return power_uw * (time_ns / CLOCK_NS_PER_SECOND) +
	       power_uw * (time_ns % CLOCK_NS_PER_SECOND) / CLOCK_NS_PER_SECOND;
}

static uint64_t model_zone_uj(const struct model_source *source, const struct zone *zone,
			      uint64_t elapsed_ns)
{
	const struct topology *topology = source->topology;
	uint64_t busy_ns = 0, cpu_count = 0;

	for (size_t i = 0; i < topology->cpu_count; i++) {
		if (topology->cpus[i].package != zone->package)
			continue;
		cpu_count++;
		busy_ns += source->busy_ns[i];
	}
	assert(cpu_count > 0);
	return model_energy_uj(source->figures.idle_uw, elapsed_ns) +
	       model_energy_uj(source->figures.busy_uw - source->figures.idle_uw,
			       busy_ns / cpu_count);
}

static int model_read(struct energy_source *base, struct sample *sample)
{
	struct model_source *source = model_of(base);
	struct mono_time now = clock_now_mono(source->clock);
	uint64_t elapsed_ns = clock_elapsed_ns(source->start, now);
	int status = cpu_busy_read(source->busy, now, source->busy_ns);

	for (size_t i = 0; i < base->zone_count; i++) {
		struct sample_zone zone = {.error = status};

		if (status == 0)
			zone.raw_uj = model_zone_uj(source, &base->zones[i], elapsed_ns) %
				      (MODEL_RANGE_UJ + 1);
		sample->zones[i] = zone;
	}
	return 0;
}

const struct energy_source_ops energy_source_model = {
    .name = "model",
    .estimate = true,
    .automatic = true,
    .open = model_open,
    .close = model_close,
    .read = model_read,
};
