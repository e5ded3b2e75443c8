/*
 * One zone, one interval: from measured microjoules to booked ones.
 *
 *   1. static part by idle power and time; the rest is dynamic
 *   2. dynamic: by weight among the VMs' active and overhead time and the host's other time
 *   3. static: by policy
 *   4. each account's shares to the ledger, and to the sockets that its guest sees
 *
 * core and uncore are divided like the package in which they lie, by CPU time. For core that is the
 * truth. Uncore is the graphics of client processors, and nothing tells which machine used them;
 * but the package's zone has already divided the same energy by CPU time, and with any other key a
 * guest could be shown an uncore that is more than its package.
 */
#include "common/engine_internal.h"

#include <assert.h>
#include <string.h>

#define MEBIBYTE (UINT64_C(1) << 20)

/* The host's own claim stands behind those of the VMs. */
struct division {
	uint64_t static_uj;
	uint64_t dynamic_uj;
	uint64_t idle_uj;  /* result: not assigned */
	uint64_t other_uj; /* result: host */
	uint64_t away_uj;  /* result: engine_return.c */
};

/* Whose is what no machine that is there has done. */
static uint64_t *engine_nobodys(const struct engine *engine, struct division *division)
{
	return engine->away.returning && engine->away.missing > 0 ? &division->away_uj
								  : &division->other_uj;
}

/* A VM's faded time on the zone's CPUs: of one socket, or of all of them. */
static uint64_t engine_socket_ns(const struct engine *engine, const struct engine_zone *zone,
				 const struct activity_vm *vm, uint32_t socket)
{
	uint64_t time_ns = 0;

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			time_ns += vm->active[unit * vm->socket_count + socket];
	return time_ns;
}

/* Its own time in this interval, not faded. */
static uint64_t engine_interval_ns(const struct engine *engine, const struct engine_zone *zone,
				   const struct activity_vm *vm)
{
	uint64_t time_ns = 0;

	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		if (zone->units[unit])
			time_ns += vm->unit_ns[unit];
	return time_ns;
}

struct engine_share *engine_share(struct engine *engine, const struct engine_zone *zone, size_t i)
{
	return &engine->vms[engine->present[i].slot]->shares[zone->index];
}

static void engine_book(struct engine *engine, const struct engine_zone *zone, size_t i,
			enum ledger_part part, const struct attribution_claim *claim)
{
	engine_share(engine, zone, i)->carry[part] = claim->carry;
	ledger_book(engine->ledger, engine->present[i].slot, zone->index, part, claim->share_uj);
}

/* What the host itself holds, in mebibytes beyond the VMs'; 0 where it is not known. */
static uint64_t engine_host_memory(const struct engine *engine, uint64_t bytes)
{
	uint64_t vms = engine_vm_memory(engine);

	return bytes / MEBIBYTE > vms ? bytes / MEBIBYTE - vms : 0;
}

/*
 * By use: what the work cost by engine_weigh.c; for DRAM without cache misses, memory held. Claims
 * 2i and 2i+1 are the active and the overhead time of VM i. What nobody used is the host's, unless
 * it is static energy: that stays idle.
 */
static uint64_t engine_divide_by_use(struct engine *engine, struct engine_zone *zone,
				     const struct sample *sample, uint64_t energy_uj,
				     struct division *division)
{
	struct attribution_claim *claims = engine->claims;
	size_t last = 2 * engine->present_count, missing = last + 1;
	bool memory = zone->by_memory;
	uint64_t *others_uj = memory ? &division->other_uj : engine_nobodys(engine, division);
	uint64_t left_uj;

	for (size_t i = 0; i < engine->present_count; i++) {
		const struct engine_share *share = engine_share(engine, zone, i);

		claims[2 * i] = (struct attribution_claim){
		    .weight = memory ? engine_memory(engine, i) : share->active_weight,
		    .carry = share->carry[LEDGER_ACTIVE]};
		claims[2 * i + 1] =
		    (struct attribution_claim){.weight = memory ? 0 : share->overhead_weight,
					       .carry = share->carry[LEDGER_OVERHEAD]};
	}
	claims[last] = (struct attribution_claim){
	    .weight =
		memory ? engine_host_memory(engine, sample->memory_used_bytes) : zone->other_weight,
	    .carry = zone->other_carry};
	claims[missing] = (struct attribution_claim){.weight = memory && engine->away.returning
								   ? engine->away.missing_memory /
									 ENGINE_THERE_ONE
								   : 0};
	left_uj = attribution_divide(energy_uj, claims, missing + 1, &engine->scratch);
	for (size_t i = 0; i < engine->present_count; i++) {
		engine_book(engine, zone, i, LEDGER_ACTIVE, &claims[2 * i]);
		engine_book(engine, zone, i, LEDGER_OVERHEAD, &claims[2 * i + 1]);
	}
	zone->other_carry = claims[last].carry;
	*others_uj += claims[last].share_uj;
	division->away_uj += claims[missing].share_uj;
	return left_uj;
}

/* What VM i has rented, and for how much of the interval: of ENGINE_THERE_ONE on a return. */
static uint64_t engine_rent_of(const struct engine *engine, const struct engine_zone *zone,
			       const struct sample *sample, size_t i)
{
	uint64_t rent = zone->zone.kind == ZONE_DRAM ? engine_memory(engine, i)
						     : engine->present[i].activity->vcpu_count;

	return engine->away.returning ? features_scale(rent, engine_there(engine, sample, i), 1)
				      : rent;
}

/* What nobody has rented, in the same units. */
static uint64_t engine_unrented(const struct engine *engine, const struct engine_zone *zone,
				const struct sample *sample, uint64_t rented)
{
	uint64_t one = engine->away.returning ? ENGINE_THERE_ONE : 1;
	uint64_t memory = sample->memory_total_bytes / MEBIBYTE;

	if (zone->zone.kind == ZONE_DRAM)
		return features_delta(rented, features_scale(memory, one, 1));
	return attribution_unrented_vcpus(features_scale(engine->topology->cpu_count, one, 1),
					  rented);
}

/* ATTRIBUTION_IDLE_VCPU: by what is rented, vCPUs or memory; the rest stays with the host. */
static uint64_t engine_divide_by_rent(struct engine *engine, struct engine_zone *zone,
				      const struct sample *sample, struct division *division)
{
	struct attribution_claim *claims = engine->claims;
	size_t last = engine->present_count, missing = last + 1;
	uint64_t rented = 0, left_uj;

	for (size_t i = 0; i < engine->present_count; i++) {
		claims[i] = (struct attribution_claim){
		    .weight = engine_rent_of(engine, zone, sample, i),
		    .carry = engine_share(engine, zone, i)->carry[LEDGER_IDLE]};
		rented = features_sum(rented, claims[i].weight);
	}
	claims[missing] = (struct attribution_claim){.weight = 0};
	if (engine->away.returning)
		claims[missing].weight = zone->zone.kind == ZONE_DRAM ? engine->away.missing_memory
								      : engine->away.missing_vcpus;
	rented = features_sum(rented, claims[missing].weight);
	claims[last] = (struct attribution_claim){
	    .weight = engine_unrented(engine, zone, sample, rented), .carry = zone->unrented_carry};
	left_uj = attribution_divide(division->static_uj, claims, missing + 1, &engine->scratch);
	for (size_t i = 0; i < engine->present_count; i++)
		engine_book(engine, zone, i, LEDGER_IDLE, &claims[i]);
	zone->unrented_carry = claims[last].carry;
	division->away_uj += claims[missing].share_uj;
	return left_uj + claims[last].share_uj;
}

static void engine_divide(struct engine *engine, struct engine_zone *zone,
			  const struct sample *sample, struct division *division)
{
	uint64_t left_uj;

	switch (engine->config.idle) {
	case ATTRIBUTION_IDLE_VCPU:
		division->idle_uj += engine_divide_by_rent(engine, zone, sample, division);
		break;
	case ATTRIBUTION_IDLE_BUSY:
		/* One division for both parts; with nothing running the static part stays idle. */
		division->dynamic_uj += division->static_uj;
		break;
	case ATTRIBUTION_IDLE_NONE:
		division->idle_uj += division->static_uj;
		break;
	}
	left_uj = engine_divide_by_use(engine, zone, sample, division->dynamic_uj, division);
	if (engine->config.idle == ATTRIBUTION_IDLE_BUSY) {
		uint64_t idle_uj = left_uj < division->static_uj ? left_uj : division->static_uj;

		division->idle_uj += idle_uj;
		left_uj -= idle_uj;
	}
	*engine_nobodys(engine, division) += left_uj;
}

/* Adds to what the guest sees of each of its sockets, exactly `amount_uj` in all. */
static void engine_deal(struct engine *engine, const struct engine_zone *zone,
			const struct engine_present *present, bool by_time, uint64_t amount_uj)
{
	const struct activity_vm *vm = present->activity;
	struct ledger_vm *account = ledger_vm(engine->ledger, present->slot);
	enum zone_kind kind = zone->zone.kind;
	int64_t *carry;
	struct attribution_claim *claims = engine->claims;
	uint64_t left_uj = amount_uj;

	assert(kind < ZONE_SOCKET_KIND_COUNT);
	carry = engine->vms[present->slot]->socket_carry[kind][by_time ? 0 : 1];
	if (vm->socket_count > 1) {
		for (uint32_t socket = 0; socket < vm->socket_count; socket++)
			claims[socket] = (struct attribution_claim){
			    .weight = by_time ? engine_socket_ns(engine, zone, vm, socket)
					      : vm->socket_vcpus[socket],
			    .carry = carry[socket]};
		left_uj = attribution_divide(amount_uj, claims, vm->socket_count, &engine->scratch);
	}
	for (uint32_t socket = 0; socket < vm->socket_count; socket++) {
		/* One socket, or none with a weight: the first takes it. */
		uint64_t share_uj = socket == 0 ? left_uj : 0;

		if (vm->socket_count > 1) {
			share_uj += claims[socket].share_uj;
			carry[socket] = claims[socket].carry;
		}
		account->guest[socket].zone_uj[kind] += share_uj;
	}
}

/*
 * Cuts what is shown to what the guest's counters can still take. Only absurd input (a trace,
 * broken hardware) fills 2^64 uJ, but even then no counter may go back.
 */
static void engine_fit(const struct ledger_vm *account, const struct ledger_share *share,
		       uint32_t socket_count, struct guest_view_interval *interval)
{
	uint64_t fullest_uj = share->guest_view_uj > account->guest_psys_uj
				  ? share->guest_view_uj
				  : account->guest_psys_uj;
	uint64_t room_uj;

	/* Nobody deals to sockets beyond those. */
	for (size_t socket = 0; socket < socket_count; socket++)
		for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
			if (account->guest[socket].zone_uj[kind] > fullest_uj)
				fullest_uj = account->guest[socket].zone_uj[kind];
	room_uj = UINT64_MAX - fullest_uj;
	if (interval->dynamic_uj > room_uj)
		interval->dynamic_uj = room_uj;
	if (interval->static_uj > room_uj - interval->dynamic_uj)
		interval->static_uj = room_uj - interval->dynamic_uj;
}

/* What the guest of VM i is shown of this interval. */
static void engine_show(struct engine *engine, const struct engine_zone *zone, size_t i,
			const uint64_t before[LEDGER_PART_COUNT], uint64_t there_ns)
{
	const struct engine_present *present = &engine->present[i];
	struct ledger_vm *account = ledger_vm(engine->ledger, present->slot);
	struct ledger_share *share = &account->shares[zone->index];
	struct guest_view_account *view = &engine_share(engine, zone, i)->guest_view;
	uint64_t *told_uj = &engine->vms[present->slot]->window_guest_uj;
	struct guest_view_interval interval = {
	    .elapsed_ns = there_ns,
	    .dynamic_uj = share->part_uj[LEDGER_ACTIVE] - before[LEDGER_ACTIVE] +
			  share->part_uj[LEDGER_OVERHEAD] - before[LEDGER_OVERHEAD],
	    .static_uj = share->part_uj[LEDGER_IDLE] - before[LEDGER_IDLE],
	    .busy_ns = engine_interval_ns(engine, zone, present->activity),
	    .rent = zone->zone.kind == ZONE_DRAM ? engine_memory(engine, i)
						 : present->activity->vcpu_count,
	};

	if (zone->by_memory) {
		interval.static_uj += interval.dynamic_uj;
		interval.dynamic_uj = 0;
	}
	if (!engine->config.guest_view_exact) {
		guest_view_apply(&zone->rates, view, &interval);
		share->guest_thread_power_uw = guest_view_rate(&view->dynamic);
		share->guest_rent_power_nw = guest_view_rate(&view->fixed);
	}
	engine_fit(account, share, present->activity->socket_count, &interval);
	share->guest_view_uj += interval.dynamic_uj + interval.static_uj;
	if (zone->told)
		*told_uj = features_sum(*told_uj, interval.dynamic_uj + interval.static_uj);
	switch (zone->zone.kind) {
	case ZONE_PACKAGE:
	case ZONE_CORE:
	case ZONE_UNCORE:
		engine_deal(engine, zone, present, true, interval.dynamic_uj);
		engine_deal(engine, zone, present, false, interval.static_uj);
		break;
	case ZONE_DRAM:
		engine_deal(engine, zone, present, false, interval.dynamic_uj + interval.static_uj);
		break;
	case ZONE_PSYS:
		account->guest_psys_uj += interval.dynamic_uj + interval.static_uj;
		break;
	}
}

void engine_zone_book(struct engine *engine, struct engine_zone *zone, const struct sample *sample,
		      uint64_t energy_uj, uint64_t elapsed_ns)
{
	struct ledger_zone *host = &ledger_host(engine->ledger)->zones[zone->index];
	struct division division = {.static_uj =
					attribution_static_uj(energy_uj, host->idle_power_uw,
							      elapsed_ns, &zone->static_debt)};
	uint64_t before[SAMPLE_VM_MAX][LEDGER_PART_COUNT];
	size_t count = engine->present_count;
	uint64_t booked_uj = 0;

	division.dynamic_uj = energy_uj - division.static_uj;
	for (size_t i = 0; i < count; i++)
		memcpy(
		    before[i],
		    ledger_vm(engine->ledger, engine->present[i].slot)->shares[zone->index].part_uj,
		    sizeof(before[i]));
	engine_divide(engine, zone, sample, &division);
	host->energy_uj += energy_uj;
	host->idle_uj += division.idle_uj;
	host->other_uj += division.other_uj;
	host->away_uj += division.away_uj;
	for (size_t i = 0; i < count; i++) {
		const struct ledger_vm *account =
		    ledger_vm_const(engine->ledger, engine->present[i].slot);

		for (size_t part = 0; part < LEDGER_PART_COUNT; part++)
			booked_uj += account->shares[zone->index].part_uj[part] - before[i][part];
		/* While the host was suspended nothing was rented, nor before the machine was. */
		engine_show(engine, zone, i, before[i],
			    features_scale(elapsed_ns - zone->asleep_ns,
					   engine_there(engine, sample, i), ENGINE_THERE_ONE));
	}
	/* The promise itself, kept at every step. */
	assert(booked_uj + division.idle_uj + division.other_uj + division.away_uj == energy_uj);
}
