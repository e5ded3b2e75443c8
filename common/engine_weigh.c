/*
 * What each machine's work weighs in a zone: what it cost, in nanojoules, as far as the zone's
 * calibration knows. Weights are relative: attribution divides what was measured by them.
 *
 * CPU times come in coarse steps, so weights fade like the times that they stand for: activity.h.
 */
#include "common/engine_internal.h"

#include <assert.h>

#define MEBIBYTE (UINT64_C(1) << 20)

/* An interval that is longer is weighed in coarser units: 2^40 ns are 18 minutes. */
#define INTERVAL_BITS 40

static_assert(CALIBRATION_KEY_MAX == LEDGER_VM_MAX, "a VM's key is its slot");

__extension__ typedef unsigned __int128 wide;

size_t engine_zone_cpus(const struct engine *engine, const struct engine_zone *zone)
{
	size_t cpus = 0;

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			cpus += activity_unit_cpus(engine->activity, unit);
	return cpus;
}

static uint64_t engine_zone_busy_ns(const struct engine *engine, const struct engine_zone *zone)
{
	uint64_t busy_ns = 0;

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			busy_ns += activity_busy_ns(engine->activity, unit);
	return busy_ns;
}

uint64_t engine_memory(const struct engine *engine, size_t i)
{
	return engine->present[i].activity->memory_bytes / MEBIBYTE;
}

uint64_t engine_vm_memory(const struct engine *engine)
{
	uint64_t memory = 0;

	for (size_t i = 0; i < engine->present_count; i++)
		memory += engine_memory(engine, i);
	return memory;
}

/* Of the zone's units. */
static struct features engine_gather(const struct engine *engine, const struct engine_zone *zone,
				     const struct features features[])
{
	struct features total = {0};

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			features_add(&total, &features[unit], 1, 1);
	return total;
}

static unsigned int engine_shift(uint64_t elapsed_ns)
{
	unsigned int shift = 0;

	while (elapsed_ns >> shift >> INTERVAL_BITS > 0)
		shift++;
	return shift;
}

/* Fades the weight and adds the work's. */
static void engine_weigh(const struct engine_zone *zone, size_t key, const struct features *work,
			 uint64_t elapsed_ns, uint64_t *weight)
{
	uint64_t cost = calibration_cost(zone->costs, work, engine_shift(elapsed_ns));
	uint64_t own =
	    features_scale(cost, calibration_ratio(zone->costs, key), CALIBRATION_RATIO_ONE);

	/* Whoever ran has a weight, also where a deviation made it less than one. */
	if (own == 0 && cost > 0)
		own = 1;
	*weight = features_sum(activity_fade(*weight, elapsed_ns), own);
}

static void engine_learn(const struct engine_zone *zone, size_t key, const struct features *work)
{
	calibration_add_work(zone->calibration, key, work,
			     calibration_cost(zone->calibration, work, 0));
}

static void engine_weigh_vm(struct engine *engine, const struct engine_zone *zone, size_t i,
			    uint64_t elapsed_ns)
{
	const struct activity_vm *vm = engine->present[i].activity;
	struct engine_share *share = engine_share(engine, zone, i);
	size_t slot = engine->present[i].slot;
	struct features work = engine_gather(engine, zone, vm->vcpu_features);
	struct features overhead = engine_gather(engine, zone, vm->overhead_features);

	engine_weigh(zone, slot, &work, elapsed_ns, &share->active_weight);
	engine_weigh(zone, slot, &overhead, elapsed_ns, &share->overhead_weight);
	features_add(&work, &overhead, 1, 1);
	engine_learn(zone, slot, &work);
}

static void engine_weigh_other(struct engine *engine, struct engine_zone *zone, uint64_t elapsed_ns)
{
	struct features work = {0};

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			features_add(&work, activity_other_features(engine->activity, unit), 1, 1);
	engine_weigh(zone, CALIBRATION_KEY_HOST, &work, elapsed_ns, &zone->other_weight);
	engine_learn(zone, CALIBRATION_KEY_HOST, &work);
}

/* One unit's part of a power, in nanowatts; of nothing there are no parts. */
static uint64_t engine_part_nw(uint64_t power_uw, uint64_t units)
{
	return units > 0 ? features_scale(power_uw, 1000, units) : 0;
}

/* The units of rent that there are: vCPUs, or mebibytes. */
static uint64_t engine_rent(const struct engine *engine, const struct engine_zone *zone,
			    const struct sample *sample)
{
	uint64_t vms = engine_vm_memory(engine);
	uint64_t total = sample->memory_total_bytes / MEBIBYTE;
	uint64_t vcpus = 0;

	if (zone->zone.kind == ZONE_DRAM)
		return total > vms ? total : vms;
	for (size_t i = 0; i < engine->present_count; i++)
		vcpus += engine->present[i].activity->vcpu_count;
	return vcpus + attribution_unrented_vcpus(engine->topology->cpu_count, vcpus);
}

/* Without cache misses memory is all rent: what is held draws, whatever runs. */
static void engine_offer_memory(const struct engine *engine, struct engine_zone *zone,
				const struct sample *sample)
{
	uint64_t power_uw = calibration_state(zone->calibration).power_uw;
	uint64_t static_uw = ledger_host(engine->ledger)->zones[zone->index].idle_power_uw;
	uint64_t total = engine_rent(engine, zone, sample);
	uint64_t vms = engine_vm_memory(engine);
	uint64_t used = sample->memory_used_bytes / MEBIBYTE;

	if (static_uw > power_uw)
		static_uw = power_uw;
	used = used > vms ? used : vms;
	zone->rates.thread_power_uw = 0;
	zone->rates.rent_power_nw = engine_part_nw(power_uw - static_uw, used);
	switch (engine->config.idle) {
	case ATTRIBUTION_IDLE_VCPU:
		zone->rates.rent_power_nw =
		    features_sum(zone->rates.rent_power_nw, engine_part_nw(static_uw, total));
		break;
	case ATTRIBUTION_IDLE_BUSY:
		zone->rates.rent_power_nw = engine_part_nw(power_uw, used);
		break;
	case ATTRIBUTION_IDLE_NONE:
		break;
	}
}

static void engine_offer_time(const struct engine *engine, struct engine_zone *zone,
			      const struct sample *sample)
{
	uint64_t power_uw = calibration_state(zone->calibration).power_uw;
	uint64_t static_uw = ledger_host(engine->ledger)->zones[zone->index].idle_power_uw;
	uint64_t busy_ns = engine_zone_busy_ns(engine, zone);
	uint64_t elapsed_ns = activity_elapsed_ns(engine->activity);

	if (static_uw > power_uw)
		static_uw = power_uw;
	zone->rates.thread_power_uw = calibration_state(zone->calibration).thread_power_uw;
	zone->rates.rent_power_nw = 0;
	switch (engine->config.idle) {
	case ATTRIBUTION_IDLE_VCPU:
		zone->rates.rent_power_nw =
		    engine_part_nw(static_uw, engine_rent(engine, zone, sample));
		break;
	case ATTRIBUTION_IDLE_BUSY:
		/* A host at rest does not lay all of it on the first thread that stirs. */
		zone->rates.thread_power_uw =
		    features_sum(zone->rates.thread_power_uw,
				 features_scale(static_uw, elapsed_ns,
						busy_ns > elapsed_ns ? busy_ns : elapsed_ns + 1));
		break;
	case ATTRIBUTION_IDLE_NONE:
		break;
	}
}

/* What a guest that is new is told at first: what a thread and its rent cost here in the mean. */
static void engine_offer_rates(const struct engine *engine, struct engine_zone *zone,
			       const struct sample *sample)
{
	zone->rates.known = calibration_state(zone->calibration).learned_ns > 0;
	zone->rates.learned = !calibration_state(zone->calibration).learning;
	if (zone->by_memory)
		engine_offer_memory(engine, zone, sample);
	else
		engine_offer_time(engine, zone, sample);
}

void engine_zone_weigh(struct engine *engine, struct engine_zone *zone, const struct sample *sample,
		       uint64_t energy_uj, uint64_t elapsed_ns)
{
	struct ledger_zone *host = &ledger_host(engine->ledger)->zones[zone->index];
	const struct engine_idle_power *given = engine_idle_power(engine, zone->zone.kind);
	bool has_events = activity_has_events(engine->activity);
	bool by_operator = given != NULL && given->given;
	struct calibration_state state;

	calibration_fix_static(zone->calibration, by_operator, by_operator ? given->power_uw : 0);
	for (size_t i = 0; i < engine->present_count; i++)
		engine_weigh_vm(engine, zone, i, elapsed_ns);
	engine_weigh_other(engine, zone, elapsed_ns);
	zone->by_memory =
	    zone->zone.kind == ZONE_DRAM && !has_events && !engine->config.dram_by_work;
	/*
	 * After a reading that failed, energy is of more time than the work is. Over a time without
	 * wattportd, and while the host was suspended, loads and powers were many.
	 */
	if (elapsed_ns == activity_elapsed_ns(engine->activity) && !engine->away.returning &&
	    zone->asleep_ns == 0)
		calibration_add(zone->calibration, elapsed_ns, energy_uj, has_events);
	else
		calibration_drop(zone->calibration);
	state = calibration_state(zone->calibration);
	host->idle_power_uw = by_operator ? given->power_uw : state.static_power_uw;
	host->thread_power_uw = state.thread_power_uw;
	host->calibration_error_ppm = state.error_ppm;
	host->calibration_learning = state.learning ? 1 : 0;
	engine_offer_rates(engine, zone, sample);
}
