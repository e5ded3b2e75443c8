#include "common/engine.h"
#include "common/cleanup.h"
#include "common/engine_internal.h"

#include <assert.h>
#include <errno.h>

#define POWER_WINDOW_NS CLOCK_NS_PER_SECOND
#define PPM		UINT64_C(1000000)

__extension__ typedef unsigned __int128 wide;

/*
 * What full load adds to the static power, as a multiple of it, before anything is known. Packages
 * that were measured: 1.7 (EPYC 8024P), 5 (2 Xeon E5-2620v3), 2 to 3 for most servers. Memory draws
 * half of its power for being there, and so do supplies, fans and disks, which are in psys.
 *
 * What wakes with the first busy CPU, and what comes with the next few, is far more than said here
 * in some machines (EPYC 8024P: 20 W of 18 for both) and nothing in others; of memory and of the
 * platform, which do not sleep, it is less.
 */
static const struct calibration_prior priors[] = {
    [ZONE_PACKAGE] = {.load_ratio = 2.5, .shared = 0.05},
    [ZONE_CORE] = {.load_ratio = 10, .shared = 0.05},
    [ZONE_UNCORE] = {.load_ratio = 1, .shared = 0.05},
    [ZONE_DRAM] = {.load_ratio = 1, .shared = 0.01, .memory = true},
    [ZONE_PSYS] = {.load_ratio = 1.5, .shared = 0.02},
};

static int engine_zone_start(struct engine *engine, struct engine_zone *zone)
{
	const struct ledger_zone *row = &ledger_host(engine->ledger)->zones[zone->index];
	int status;

	zone->window_uj = row->energy_uj;
	for (size_t unit = 0; unit < activity_unit_count(engine->activity); unit++)
		zone->units[unit] = activity_unit_in_zone(engine->activity, unit, &zone->zone);
	status = calibration_create(engine_zone_cpus(engine, zone), &priors[zone->zone.kind],
				    &zone->calibration);
	if (status < 0)
		return status;
	/* What engines of earlier processes have learned, if one was done with learning: what comes
	 * after a recall stands on it from the first second on. */
	if (row->calibration_known && row->thread_power_uw > 0)
		calibration_recall(zone->calibration, row->idle_power_uw, row->thread_power_uw);
	return 0;
}

/* What guests read adds up over packages and DRAM, which do not overlap; on a host that has no
 * package zone, it is psys. */
static bool engine_zone_is_told(const struct engine *engine, const struct zone *zone)
{
	bool packages = false;

	for (size_t i = 0; i < engine->zone_count; i++)
		packages = packages || engine->zones[i].zone.kind == ZONE_PACKAGE;
	if (!packages)
		return zone->kind == ZONE_PSYS;
	return zone->kind == ZONE_PACKAGE || zone->kind == ZONE_DRAM;
}

/* core and uncore go by the costs of the package in which they lie: engine_zone.c says why. */
static const struct calibration *engine_zone_costs(const struct engine *engine,
						   const struct zone *zone, size_t index)
{
	if (zone->kind != ZONE_CORE && zone->kind != ZONE_UNCORE)
		return engine->zones[index].calibration;
	for (size_t i = 0; i < engine->zone_count; i++) {
		const struct zone *other = &engine->zones[i].zone;

		if (other->kind == ZONE_PACKAGE && other->package == zone->package &&
		    other->die == zone->die)
			return engine->zones[i].calibration;
	}
	return engine->zones[index].calibration;
}

int engine_create(const struct engine_config *config, const struct topology *topology,
		  const struct zone zones[], size_t zone_count, struct ledger *ledger,
		  struct engine **ret_engine)
{
	cleanup_engine struct engine *engine = NULL;
	uint32_t indices[ZONE_MAX];
	int status;

	assert(zone_count <= ZONE_MAX);
	engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return -ENOMEM;
	engine->config = *config;
	engine->topology = topology;
	engine->ledger = ledger;
	status = activity_create(topology, &engine->activity);
	if (status < 0)
		return status;
	status = ledger_set_zones(ledger, zones, zone_count, indices);
	if (status < 0)
		return status;
	engine->zone_count = zone_count;
	for (size_t i = 0; i < zone_count; i++) {
		engine->zones[i].zone = zones[i];
		engine->zones[i].index = indices[i];
		status = engine_zone_start(engine, &engine->zones[i]);
		if (status < 0)
			return status;
	}
	for (size_t i = 0; i < zone_count; i++) {
		engine->zones[i].costs = engine_zone_costs(engine, &zones[i], i);
		engine->zones[i].told = engine_zone_is_told(engine, &zones[i]);
	}
	ledger_host(ledger)->cpu_count = (uint32_t)topology->cpu_count;
	ledger_host(ledger)->guest_view_exact = config->guest_view_exact ? 1 : 0;
	*ret_engine = TAKE_PTR(engine);
	return 0;
}

void engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	for (size_t slot = 0; slot < LEDGER_VM_MAX; slot++)
		free(engine->vms[slot]);
	for (size_t i = 0; i < engine->zone_count; i++)
		calibration_destroy(engine->zones[i].calibration);
	activity_destroy(engine->activity);
	free(engine);
}

void engine_configure(struct engine *engine, const struct engine_config *config)
{
	engine->config = *config;
	ledger_host(engine->ledger)->guest_view_exact = config->guest_view_exact ? 1 : 0;
}

/* The engine's side of the account in that slot; a slot that changed hands starts anew. */
static struct engine_vm *engine_vm(struct engine *engine, size_t slot, const struct uuid *uuid)
{
	struct engine_vm *vm = engine->vms[slot];

	if (vm == NULL) {
		vm = calloc(1, sizeof(*vm));
		engine->vms[slot] = vm;
	}
	if (vm == NULL || uuid_equal(&vm->uuid, uuid))
		return vm;
	*vm = (struct engine_vm){.uuid = *uuid};
	for (size_t i = 0; i < engine->zone_count; i++)
		calibration_forget(engine->zones[i].calibration, slot);
	/* What an older life of the account holds is no power of this second. */
	vm->window_vcpu_ns = ledger_vm(engine->ledger, slot)->vcpu_ns;
	for (uint32_t zone = 0; zone < ledger_host(engine->ledger)->zone_count; zone++) {
		const struct ledger_share *share = &ledger_vm(engine->ledger, slot)->shares[zone];

		vm->shares[zone].window_uj = ledger_share_total_uj(share);
		vm->shares[zone].window_active_uj = share->part_uj[LEDGER_ACTIVE];
		guest_view_resume(&vm->shares[zone].guest_view, share->guest_thread_power_uw,
				  share->guest_rent_power_nw);
	}
	return vm;
}

/* A part of the CPU time that activity.c books; it is shown and weighs nothing. What it cost:
 * engine_take_halt_energy(). */
static void engine_take_halt_poll(struct engine_vm *vm, struct ledger_vm *account,
				  const struct sample_vm *sampled)
{
	if (!sampled->has_halt_poll)
		return;
	if (vm->has_halt_poll) {
		uint64_t poll_ns = features_delta(vm->halt_poll_ns, sampled->halt_poll_ns);

		account->halt_poll_ns = features_sum(account->halt_poll_ns, poll_ns);
		vm->halt_poll_left_ns = features_sum(vm->halt_poll_left_ns, poll_ns);
	}
	vm->has_halt_poll = true;
	vm->halt_poll_ns = sampled->halt_poll_ns;
	account->has_halt_poll = 1;
}

/* Who the machine is, and how it stands; no energy. */
static int engine_register(struct engine *engine, const struct sample_vm *sampled, uint64_t now_ns)
{
	int slot = ledger_admit(engine->ledger, &sampled->uuid);
	struct ledger_vm *account;
	struct engine_vm *vm;

	if (slot < 0)
		return slot;
	vm = engine_vm(engine, (size_t)slot, &sampled->uuid);
	if (vm == NULL)
		return -ENOMEM;
	/* The same uuid twice in one sample: the first one counts, as in activity.c. */
	if (vm->listed)
		return 0;
	vm->listed = true;
	account = ledger_vm(engine->ledger, (size_t)slot);
	memcpy(account->name, sampled->name, sizeof(account->name));
	if (sampled->running &&
	    (account->state != LEDGER_VM_RUNNING || account->pid != sampled->pid))
		account->generation++;
	account->state = sampled->running ? LEDGER_VM_RUNNING : LEDGER_VM_OFF;
	account->pid = sampled->running ? sampled->pid : 0;
	account->precision = (uint16_t)sampled->precision;
	account->short_threads =
	    sampled->short_threads < UINT16_MAX ? (uint16_t)sampled->short_threads : UINT16_MAX;
	account->vcpu_count = (uint32_t)sampled->vcpu_count;
	account->memory_bytes = sampled->running ? sampled->memory_bytes : 0;
	account->updated_ns = now_ns;
	engine_take_halt_poll(vm, account, sampled);
	account->socket_count = sampled->socket_count;
	if (account->socket_count == 0)
		account->socket_count = 1;
	if (account->socket_count > LEDGER_SOCKET_MAX)
		account->socket_count = LEDGER_SOCKET_MAX;
	return 0;
}

/* Every machine of the sample gets its account; those that are no longer in it are gone. */
static int engine_take_roster(struct engine *engine, const struct sample *sample)
{
	struct ledger_host *host = ledger_host(engine->ledger);
	int result = 0;

	for (size_t slot = 0; slot < LEDGER_VM_MAX; slot++)
		if (engine->vms[slot] != NULL)
			engine->vms[slot]->listed = false;
	for (size_t i = 0; i < sample->vm_count; i++) {
		int status = engine_register(engine, &sample->vms[i], sample->time.ns);

		if (status < 0) {
			host->vm_missed++;
			result = status;
		}
	}
	for (size_t slot = 0; slot < ledger_slot_count(engine->ledger); slot++) {
		struct ledger_vm *account = ledger_vm(engine->ledger, slot);

		if (account == NULL || (engine->vms[slot] != NULL && engine->vms[slot]->listed))
			continue;
		account->state = LEDGER_VM_GONE;
		account->pid = 0;
		account->memory_bytes = 0;
		account->short_threads = 0;
		account->guest_power_uw = 0;
		account->guest_load_ppm = 0;
		for (uint32_t zone = 0; zone < host->zone_count; zone++)
			account->shares[zone].power_uw = 0;
	}
	return result;
}

/* The machines that have an interval, with their slots; their CPU time is booked on the way. */
static void engine_take_present(struct engine *engine)
{
	size_t count;
	const struct activity_vm *vms = activity_vms(engine->activity, &count);

	engine->present_count = 0;
	for (size_t i = 0; i < count; i++) {
		int slot;
		struct ledger_vm *account;

		if (!vms[i].present)
			continue;
		slot = ledger_find(engine->ledger, &vms[i].uuid);
		if (slot < 0 || engine->vms[slot] == NULL)
			continue;
		account = ledger_vm(engine->ledger, (size_t)slot);
		account->vcpu_ns = features_sum(account->vcpu_ns, vms[i].vcpu_ns);
		account->overhead_ns = features_sum(account->overhead_ns, vms[i].overhead_ns);
		engine->present[engine->present_count++] =
		    (struct engine_present){.activity = &vms[i], .slot = (size_t)slot};
	}
}

const struct engine_idle_power *engine_idle_power(const struct engine *engine, enum zone_kind kind)
{
	switch (kind) {
	case ZONE_PACKAGE:
		return &engine->config.package;
	case ZONE_DRAM:
		return &engine->config.dram;
	case ZONE_PSYS:
		return &engine->config.psys;
	case ZONE_CORE:
	case ZONE_UNCORE:
		break;
	}
	return NULL;
}

/* A reading that says nothing: beyond the counter's range, or more than a total can hold. */
static void engine_refuse(struct ledger_zone *host)
{
	host->faults[LEDGER_FAULT_INVALID]++;
	host->available = 0;
	host->error = -ERANGE;
}

/* How much of a zone came while wattportd was away, for whoever wants to know. */
static void engine_tell_return(struct engine *engine, const struct engine_zone *zone,
			       uint64_t energy_uj, uint64_t awake_ns)
{
	struct ledger_zone *host = &ledger_host(engine->ledger)->zones[zone->index];

	if (!engine->away.returning)
		return;
	host->returned_uj = energy_uj;
	host->returned_unsure =
	    counter_may_be_more(&zone->counter, energy_uj, zone->zone.range_uj, awake_ns) ? 1 : 0;
}

static void engine_take_zone(struct engine *engine, struct engine_zone *zone,
			     const struct sample_zone *reading, const struct sample *sample)
{
	struct ledger_zone *host = &ledger_host(engine->ledger)->zones[zone->index];
	uint64_t awake_ns = features_delta(sample->suspended_ns, sample->time.ns);
	uint64_t energy_uj, elapsed_ns, asleep_ns;
	enum counter_event event;

	host->error = reading->error;
	host->available = reading->error == 0 ? 1 : 0;
	if (reading->error != 0) {
		host->faults[LEDGER_FAULT_UNREADABLE]++;
		return;
	}
	elapsed_ns = features_delta(zone->time_ns, sample->time.ns);
	asleep_ns = features_delta(zone->suspended_ns, sample->suspended_ns);
	zone->asleep_ns = asleep_ns < elapsed_ns ? asleep_ns : elapsed_ns;
	zone->counter.power_uw_max = features_sum(host->peak_uw, host->peak_uw);
	/* What came until it was read may be judged by that time alone. */
	event = counter_advance(&zone->counter, reading->raw_uj, zone->zone.range_uj,
				features_sum(awake_ns, sample->late_ns), &energy_uj);
	if (event != COUNTER_INVALID) {
		zone->counter.time_ns = awake_ns;
		zone->time_ns = sample->time.ns;
		zone->suspended_ns = sample->suspended_ns;
	}
	switch (event) {
	case COUNTER_ADVANCED:
	case COUNTER_WRAPPED:
		if (energy_uj > UINT64_MAX - host->energy_uj) {
			engine_refuse(host);
			break;
		}
		engine_zone_weigh(engine, zone, sample, energy_uj, elapsed_ns);
		if (!host->calibration_learning)
			host->calibration_known = 1;
		engine_zone_book(engine, zone, sample, energy_uj, elapsed_ns);
		engine_tell_return(engine, zone, energy_uj, elapsed_ns - zone->asleep_ns);
		break;
	case COUNTER_FIRST:
		break;
	case COUNTER_BACKWARD:
		host->faults[LEDGER_FAULT_BACKWARD]++;
		break;
	case COUNTER_INVALID:
		engine_refuse(host);
		break;
	}
}

static uint64_t engine_power(uint64_t total_uj, uint64_t window_uj, uint64_t elapsed_ns)
{
	/* An account that departed and was opened again in this window has no power yet. */
	if (total_uj < window_uj)
		return 0;
	return (uint64_t)((wide)(total_uj - window_uj) * CLOCK_NS_PER_SECOND / elapsed_ns);
}

static uint64_t engine_window_vcpu_ns(const struct engine_vm *vm, const struct ledger_vm *account)
{
	return account->vcpu_ns > vm->window_vcpu_ns ? account->vcpu_ns - vm->window_vcpu_ns : 0;
}

/*
 * Of the window's active energy halt polling has the part that it has of the vCPUs' time: nothing
 * tells more. KVM's counters are read once a second and may be a window late, so polling that is
 * more than all of the time waits for the next one. Memory that is held costs the same either way.
 */
static void engine_take_halt_energy(const struct engine *engine, struct engine_vm *vm,
				    struct ledger_vm *account)
{
	uint64_t vcpu_ns = engine_window_vcpu_ns(vm, account);
	uint64_t poll_ns = vm->halt_poll_left_ns < vcpu_ns ? vm->halt_poll_left_ns : vcpu_ns;

	vm->halt_poll_left_ns -= poll_ns;
	for (size_t i = 0; i < engine->zone_count; i++) {
		struct ledger_share *share = &account->shares[engine->zones[i].index];
		struct engine_share *own = &vm->shares[engine->zones[i].index];
		uint64_t active_uj = share->part_uj[LEDGER_ACTIVE];

		/* An account that departed and was opened again began at 0. */
		if (poll_ns > 0 && !engine->zones[i].by_memory && active_uj > own->window_active_uj)
			share->halt_poll_uj +=
			    features_scale(active_uj - own->window_active_uj, poll_ns, vcpu_ns);
		own->window_active_uj = active_uj;
	}
}

/* The same of what the guest is told, and how busy its vCPUs were. */
static void engine_take_guest_power(const struct engine *engine, struct engine_vm *vm,
				    struct ledger_vm *account)
{
	uint64_t vcpu_ns = engine_window_vcpu_ns(vm, account);
	wide possible_ns = (wide)engine->window_ns * account->vcpu_count;

	account->guest_power_uw = engine_power(vm->window_guest_uj, 0, engine->window_ns);
	account->guest_load_ppm = 0;
	if (vcpu_ns > 0)
		account->guest_load_ppm =
		    vcpu_ns < possible_ns ? (uint64_t)((wide)vcpu_ns * PPM / possible_ns) : PPM;
	vm->window_guest_uj = 0;
	vm->window_vcpu_ns = account->vcpu_ns;
}

/* Power over the last window, which closes once it is a second old. */
static void engine_take_power(struct engine *engine, uint64_t elapsed_ns)
{
	struct ledger_host *host = ledger_host(engine->ledger);

	engine->window_ns += elapsed_ns;
	if (engine->window_ns < POWER_WINDOW_NS)
		return;
	for (size_t i = 0; i < engine->zone_count; i++) {
		struct engine_zone *zone = &engine->zones[i];
		struct ledger_zone *row = &host->zones[zone->index];

		row->power_uw = engine_power(row->energy_uj, zone->window_uj, engine->window_ns);
		zone->window_uj = row->energy_uj;
		if (row->power_uw > row->peak_uw)
			row->peak_uw = row->power_uw;
	}
	for (size_t slot = 0; slot < ledger_slot_count(engine->ledger); slot++) {
		struct ledger_vm *account = ledger_vm(engine->ledger, slot);

		if (account == NULL || engine->vms[slot] == NULL)
			continue;
		for (size_t i = 0; i < engine->zone_count; i++) {
			uint32_t zone = engine->zones[i].index;
			struct engine_share *share = &engine->vms[slot]->shares[zone];
			uint64_t total_uj = ledger_share_total_uj(&account->shares[zone]);

			account->shares[zone].power_uw =
			    engine_power(total_uj, share->window_uj, engine->window_ns);
			share->window_uj = total_uj;
		}
		engine_take_halt_energy(engine, engine->vms[slot], account);
		engine_take_guest_power(engine, engine->vms[slot], account);
	}
	engine->window_ns = 0;
}

int engine_step(struct engine *engine, const struct sample *sample)
{
	struct ledger_host *host = ledger_host(engine->ledger);
	int return_status = engine->stepped ? 0 : engine_return(engine, sample);
	int roster_status = engine_take_roster(engine, sample);
	int activity_status = activity_step(engine->activity, sample);
	uint64_t elapsed_ns = activity_elapsed_ns(engine->activity);

	engine->stepped = true;
	engine_take_present(engine);
	for (size_t i = 0; i < engine->zone_count && i < sample->zone_count; i++)
		engine_take_zone(engine, &engine->zones[i], &sample->zones[i], sample);
	engine_take_power(engine, elapsed_ns);
	host->updated_ns = sample->time.ns;
	host->sample_count++;
	engine_leave_word(engine, sample);
	if (roster_status < 0)
		return roster_status;
	return activity_status < 0 ? activity_status : return_status;
}
