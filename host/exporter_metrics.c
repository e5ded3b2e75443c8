#include "host/exporter_metrics_internal.h"

#include <assert.h>
#include <string.h>

static_assert(LEDGER_DURATION_COUNT > 1, "a histogram has a bound");

/* --- of the program --- */

static void exporter_write_build(const struct exporter_scene *scene)
{
	const struct metrics_label labels[] = {{"version", WATTPORT_VERSION}};

	metrics_add(scene->metrics, labels, 1, metrics_integer(1));
}

static void exporter_write_age(const struct exporter_scene *scene)
{
	if (scene->summary->sampled)
		metrics_add(scene->metrics, NULL, 0, metrics_nano(scene->summary->age_ns));
}

static void exporter_write_source(const struct exporter_scene *scene)
{
	const struct ledger_host *host = &scene->copy->host;
	const struct metrics_label labels[] = {
	    {"source", host->source},
	    {"estimate", host->estimate ? "true" : "false"},
	};

	metrics_add(scene->metrics, labels, 2, metrics_integer(1));
}

static void exporter_write_guest_view(const struct exporter_scene *scene)
{
	const struct metrics_label labels[] = {
	    {"mode", summary_guest_view_name(&scene->copy->host)}};

	metrics_add(scene->metrics, labels, 1, metrics_integer(1));
}

static void exporter_write_samples(const struct exporter_scene *scene)
{
	metrics_add(scene->metrics, NULL, 0, metrics_integer(scene->copy->host.sample_count));
}

static void exporter_write_missed(const struct exporter_scene *scene)
{
	metrics_add(scene->metrics, NULL, 0, metrics_integer(scene->copy->host.vm_missed));
}

static void exporter_write_events(const struct exporter_scene *scene)
{
	const struct ledger_events *events = &scene->copy->host.events;
	const struct metrics_label counted[] = {{"state", "counted"}};
	const struct metrics_label refused[] = {{"state", "refused"}};

	if (!scene->summary->fresh)
		return;
	metrics_add(scene->metrics, counted, 1, metrics_integer(events->counted));
	metrics_add(scene->metrics, refused, 1, metrics_integer(events->refused));
}

static void exporter_write_durations(const struct exporter_scene *scene)
{
	const struct ledger_durations *durations = &scene->copy->host.durations;
	const struct metrics_histogram histogram = {
	    .bounds_us = ledger_duration_bounds_us,
	    .counts = durations->count,
	    .count = LEDGER_DURATION_COUNT,
	    .sum_ns = durations->sum_ns,
	};

	metrics_add_histogram(scene->metrics, &histogram);
}

/* --- of the host's zones --- */

/* One sample a zone, of the value that `value` takes from it. */
static void exporter_write_zones(const struct exporter_scene *scene,
				 struct metrics_value (*value)(const struct ledger_zone *zone))
{
	for (uint32_t i = 0; i < scene->copy->host.zone_count; i++) {
		const struct metrics_label labels[] = {{"zone", exporter_zone_id(scene, i)}};

		metrics_add(scene->metrics, labels, 1, value(&scene->copy->host.zones[i]));
	}
}

/* One sample a zone, of a member in millionths: microjoules, microwatts, ppm. */
static void exporter_write_energies(const struct exporter_scene *scene, size_t member)
{
	for (uint32_t i = 0; i < scene->copy->host.zone_count; i++) {
		const struct metrics_label labels[] = {{"zone", exporter_zone_id(scene, i)}};
		uint64_t value;

		memcpy(&value, (const char *)&scene->copy->host.zones[i] + member, sizeof(value));
		metrics_add(scene->metrics, labels, 1, metrics_micro(value));
	}
}

static struct metrics_value exporter_zone_learning(const struct ledger_zone *zone)
{
	return metrics_integer(zone->calibration_learning ? 1 : 0);
}

static struct metrics_value exporter_zone_available(const struct ledger_zone *zone)
{
	return metrics_integer(zone->available ? 1 : 0);
}

static void exporter_write_calibration_learning(const struct exporter_scene *scene)
{
	exporter_write_zones(scene, exporter_zone_learning);
}

static void exporter_write_zone_available(const struct exporter_scene *scene)
{
	exporter_write_zones(scene, exporter_zone_available);
}

static void exporter_write_host_power(const struct exporter_scene *scene)
{
	for (uint32_t i = 0; i < scene->copy->host.zone_count; i++) {
		const struct metrics_label labels[] = {{"zone", exporter_zone_id(scene, i)}};

		if (exporter_knows_power(scene, i))
			metrics_add(scene->metrics, labels, 1,
				    metrics_micro(scene->copy->host.zones[i].power_uw));
	}
}

static void exporter_write_conservation(const struct exporter_scene *scene)
{
	const struct ledger_copy *copy = scene->copy;

	for (uint32_t i = 0; i < copy->host.zone_count; i++) {
		const struct metrics_label labels[] = {{"zone", exporter_zone_id(scene, i)}};
		int64_t error_uj =
		    ledger_copy_conservation_error_uj(&copy->host, copy->vms, copy->vm_count, i);

		metrics_add(scene->metrics, labels, 1, metrics_signed(error_uj));
	}
}

static void exporter_write_source_errors(const struct exporter_scene *scene)
{
	for (uint32_t i = 0; i < scene->copy->host.zone_count; i++) {
		for (int fault = 0; fault < LEDGER_FAULT_COUNT; fault++) {
			const struct metrics_label labels[] = {
			    {"zone", exporter_zone_id(scene, i)},
			    {"reason", summary_fault_name((enum ledger_zone_fault)fault)},
			};

			metrics_add(scene->metrics, labels, 2,
				    metrics_integer(scene->copy->host.zones[i].faults[fault]));
		}
	}
}

/* --- all of them --- */

struct exporter_family {
	struct metrics_family family;
	void (*write)(const struct exporter_scene *scene); /* or NULL: */
	size_t zone_member; /* a sample a zone, of this member of it, which is in millionths */
};

static const struct exporter_family exporter_program_families[] = {
    {{"wattport_build", METRICS_INFO, NULL, "The version of Wattport that exports this."},
     .write = exporter_write_build},
};

static const struct exporter_family exporter_ledger_families[] = {
    {{"wattport_ledger_age_seconds", METRICS_GAUGE, "seconds",
      "Time since the last sample; grows when wattportd is away."},
     .write = exporter_write_age},
    {{"wattport_source", METRICS_INFO, NULL,
      "Where energy comes from; an estimate is computed, not measured."},
     .write = exporter_write_source},
    {{"wattport_guest_view", METRICS_INFO, NULL,
      "What guests are shown: their exact share, or one that tells nothing of neighbours."},
     .write = exporter_write_guest_view},
    {{"wattport_samples", METRICS_COUNTER, NULL, "Samples taken."},
     .write = exporter_write_samples},
    {{"wattport_sample_duration_seconds", METRICS_HISTOGRAM, "seconds",
      "How long taking a sample took."},
     .write = exporter_write_durations},
    {{"wattport_vms_missed", METRICS_COUNTER, NULL,
      "Virtual machines that found no room in the ledger, counted once a sample."},
     .write = exporter_write_missed},
    {{"wattport_zone_available", METRICS_GAUGE, NULL, "1 if the last sample could read the zone."},
     .write = exporter_write_zone_available},
    {{"wattport_source_errors", METRICS_COUNTER, NULL,
      "Readings of a zone that were not booked, by reason."},
     .write = exporter_write_source_errors},
    {{"wattport_conservation_error_microjoules", METRICS_GAUGE, "microjoules",
      "Measured energy minus all that was booked of it: 0, or a bug."},
     .write = exporter_write_conservation},
    {{"wattport_host_energy_joules", METRICS_COUNTER, "joules", "Energy measured in the zone."},
     .zone_member = offsetof(struct ledger_zone, energy_uj)},
    {{"wattport_host_idle_joules", METRICS_COUNTER, "joules",
      "Energy of it that is static power which no virtual machine carries."},
     .zone_member = offsetof(struct ledger_zone, idle_uj)},
    {{"wattport_host_other_joules", METRICS_COUNTER, "joules",
      "Energy of it that the host's own processes used."},
     .zone_member = offsetof(struct ledger_zone, other_uj)},
    {{"wattport_host_away_joules", METRICS_COUNTER, "joules",
      "Energy of it that machines used which ended while wattportd was away."},
     .zone_member = offsetof(struct ledger_zone, away_uj)},
    {{"wattport_host_power_watts", METRICS_GAUGE, "watts",
      "Power of the zone over about the last second."},
     .write = exporter_write_host_power},
    {{"wattport_host_static_power_watts", METRICS_GAUGE, "watts",
      "Static power of the zone that attribution reckons with."},
     .zone_member = offsetof(struct ledger_zone, idle_power_uw)},
    {{"wattport_host_busy_cpu_power_watts", METRICS_GAUGE, "watts",
      "Mean power of a busy CPU beyond the static power, as calibration has found it."},
     .zone_member = offsetof(struct ledger_zone, thread_power_uw)},
    {{"wattport_calibration_error_ratio", METRICS_GAUGE, "ratio",
      "How far calibration foretold the zone's power wrongly: root mean square, relative."},
     .zone_member = offsetof(struct ledger_zone, calibration_error_ppm)},
    {{"wattport_calibration_learning", METRICS_GAUGE, NULL,
      "1 while calibration has not yet seen enough to be relied on."},
     .write = exporter_write_calibration_learning},
    {{"wattport_event_threads", METRICS_GAUGE, NULL,
      "vCPU threads whose cycles, instructions and cache misses are counted, or cannot be."},
     .write = exporter_write_events},
};

static void exporter_write_families(const struct exporter_scene *scene,
				    const struct exporter_family families[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		metrics_begin_family(scene->metrics, &families[i].family);
		if (families[i].write != NULL)
			families[i].write(scene);
		else
			exporter_write_energies(scene, families[i].zone_member);
	}
}

void exporter_metrics_write(struct metrics *metrics, const struct ledger_copy *copy,
			    const struct summary *summary)
{
	const struct exporter_scene scene = {.metrics = metrics, .copy = copy, .summary = summary};

	exporter_write_families(&scene, exporter_program_families,
				sizeof(exporter_program_families) /
				    sizeof(exporter_program_families[0]));
	if (copy == NULL)
		return;
	exporter_write_families(&scene, exporter_ledger_families,
				sizeof(exporter_ledger_families) /
				    sizeof(exporter_ledger_families[0]));
	exporter_metrics_write_vms(&scene);
}
