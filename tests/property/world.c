#include "tests/property/world.h"
#include "tests/unit/check.h"

#include <stdbool.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

static bool world_chance(struct world *world, uint64_t one_in)
{
	return check_random_below(&world->random, one_in) == 0;
}

static uint64_t world_below(struct world *world, uint64_t limit)
{
	return check_random_below(&world->random, limit);
}

/* Any size up to that of `bits`, small ones as often as large ones. */
static uint64_t world_size(struct world *world, unsigned int bits)
{
	return check_random(&world->random) >> (64 - bits + world_below(world, bits));
}

static struct zone *world_add_zone(struct world *world, enum zone_kind kind)
{
	static const uint64_t ranges_uj[] = {UINT64_C(262143328850), UINT64_C(65532610987),
					     UINT64_C(999999), UINT64_C(9007199254740991),
					     UINT64_MAX};
	struct zone *zone = &world->zones[world->zone_count++];

	*zone = (struct zone){.kind = kind,
			      .die = ZONE_ANY_DIE,
			      .range_uj = ranges_uj[world_below(world, CHECK_COUNT(ranges_uj))]};
	(void)snprintf(zone->id, sizeof(zone->id), "%s-%zu", zone_kind_name(kind),
		       world->zone_count);
	return zone;
}

static void world_build_host(struct world *world)
{
	uint32_t packages = 1 + (uint32_t)world_below(world, 4);
	uint32_t dies = 1 + (uint32_t)world_below(world, 2);
	uint32_t cpus = 1 + (uint32_t)world_below(world, 4);
	uint32_t threads = 1 + (uint32_t)world_below(world, 2); /* of a core */
	bool by_die = world_chance(world, 2), dram = world_chance(world, 2);
	uint32_t cpu = 0;

	assert_int_equal(topology_create(&world->topology), 0);
	for (uint32_t package = 0; package < packages; package++) {
		for (uint32_t die = 0; die < dies; die++) {
			for (uint32_t i = 0; i < cpus; i++) {
				struct topology_cpu row = {.cpu = cpu,
							   .core = i / threads,
							   .die = die,
							   .package = package};

				/* Numbers may be missing. */
				cpu += 1 + (uint32_t)world_below(world, 2);
				assert_int_equal(topology_add(world->topology, &row), 0);
			}
			if (die == 0 || by_die) {
				struct zone *zone = world_add_zone(world, ZONE_PACKAGE);

				zone->package = package;
				zone->die = by_die ? die : ZONE_ANY_DIE;
			}
		}
		if (dram)
			world_add_zone(world, ZONE_DRAM)->package = package;
		if (world_chance(world, 4))
			world_add_zone(world, ZONE_CORE)->package = package;
		if (world_chance(world, 4))
			world_add_zone(world, ZONE_UNCORE)->package = package;
	}
	if (world_chance(world, 2))
		(void)world_add_zone(world, ZONE_PSYS);
}

static void world_build_vms(struct world *world)
{
	for (size_t i = 0; i < WORLD_VM_MAX; i++) {
		struct sample_vm *vm = NULL;

		assert_int_equal(sample_add_vm(&world->all, 16, &vm), 0);
		CHECK_POINTER(vm);
		for (size_t byte = 0; byte < sizeof(vm->uuid.bytes); byte++)
			vm->uuid.bytes[byte] = (uint8_t)world_below(world, 256);
		vm->uuid.bytes[15] = (uint8_t)(i + 1);
		vm->vcpu_count = world_below(world, 17);
		vm->socket_count = 1 + (uint32_t)world_below(world, 12);
		vm->memory_bytes = world_size(world, 40);
		world->vms[i].present = world_chance(world, 2);
		world->vms[i].running = true;
	}
}

void world_init(struct world *world, uint64_t seed)
{
	*world = (struct world){.random = seed};
	world->with_events = world_chance(world, 2);
	world_build_host(world);
	assert_int_equal(sample_init(&world->sample, world->topology->cpu_count), 0);
	assert_int_equal(sample_init(&world->all, 0), 0);
	world_build_vms(world);
	world->sample.time.ns = world_size(world, 62);
	world->sample.zone_count = world->zone_count;
	for (size_t i = 0; i < world->zone_count; i++)
		world->sample.zones[i].raw_uj = world_size(world, 64) % world->zones[i].range_uj;
}

void world_finish(struct world *world)
{
	sample_finish(&world->sample);
	sample_finish(&world->all);
	topology_destroy(world->topology);
}

static uint64_t world_step_ns(struct world *world)
{
	switch (world_below(world, 16)) {
	case 0:
		return 0;
	case 1:
		return world_size(world, 50);
	case 2:
		return world_below(world, 400 * UINT64_C(1000000000));
	default:
		return world_below(world, 10) < 4 ? MS : world_below(world, 1000 * MS);
	}
}

static void world_move_zones(struct world *world, uint64_t elapsed_ns)
{
	for (size_t i = 0; i < world->zone_count; i++) {
		struct sample_zone *zone = &world->sample.zones[i];
		uint64_t range_uj = world->zones[i].range_uj;
		/* Microjoules of that time at up to 400 W. */
		uint64_t energy_uj =
		    elapsed_ns / 1000000 * world_below(world, 400) + world_below(world, 3);

		zone->error = world_chance(world, 30) ? -EIO : 0;
		if (zone->raw_uj > range_uj)
			zone->raw_uj = range_uj / 2;
		zone->raw_uj = energy_uj > range_uj - zone->raw_uj ? energy_uj % range_uj
								   : zone->raw_uj + energy_uj;
		if (world_chance(world, 60))
			zone->raw_uj = world_size(world, 64) % range_uj;
		if (world_chance(world, 60) && range_uj < UINT64_MAX)
			zone->raw_uj = range_uj + 1 + world_below(world, 9);
	}
}

static void world_move_cpus(struct world *world, uint64_t elapsed_ns)
{
	for (size_t i = 0; i < world->sample.cpu_count; i++) {
		uint64_t *busy_ns = &world->sample.cpu_busy_ns[i];

		*busy_ns += world_below(world, elapsed_ns + 1) / 10000000 * 10000000;
		if (world_chance(world, 200))
			*busy_ns /= 2;
	}
}

static void world_change_vm(struct world *world, struct world_vm *vm, struct sample_vm *counters)
{
	if (world_chance(world, 20))
		vm->present = !vm->present;
	if (world_chance(world, 30)) {
		vm->running = !vm->running;
		counters->pid++;
	}
	if (world_chance(world, 40))
		counters->vcpu_count = world_below(world, 17);
	if (world_chance(world, 40))
		counters->socket_count = (uint32_t)world_below(world, 13);
	if (world_chance(world, 40))
		counters->memory_bytes = world_size(world, 40);
	if (world_chance(world, 60))
		counters->overhead_ns /= 2;
}

/* Counted or not, at any pace, and sometimes back. */
static void world_move_events(struct world *world, struct sample_vcpu *vcpu, uint64_t elapsed_ns)
{
	if (!world->with_events)
		return;
	if (world_chance(world, 100))
		vcpu->has_events = !vcpu->has_events;
	vcpu->cycles += world_below(world, 4 * (elapsed_ns + 1));
	vcpu->instructions += world_below(world, 9 * (elapsed_ns + 1));
	vcpu->llc_misses += world_below(world, elapsed_ns / 50 + 1);
	if (world_chance(world, 300))
		vcpu->cycles /= 2;
	if (world_chance(world, 500))
		vcpu->instructions = world_size(world, 64);
}

static void world_move_vm(struct world *world, struct sample_vm *vm, uint64_t elapsed_ns)
{
	for (size_t i = 0; i < vm->vcpu_count; i++) {
		struct sample_vcpu *vcpu = &vm->vcpus[i];

		if (world_chance(world, 3))
			vcpu->time_ns += world_below(world, elapsed_ns + 4 * MS);
		if (world_chance(world, 200))
			vcpu->time_ns /= 2;
		if (world_chance(world, 4))
			vcpu->cpu = world_chance(world, 8) ? SAMPLE_NO_CPU
							   : (uint32_t)world_below(world, 40);
		world_move_events(world, vcpu, elapsed_ns);
		vcpu->socket = (uint32_t)world_below(world, (uint64_t)vm->socket_count + 2);
	}
	vm->overhead_ns += world_chance(world, 3) ? world_below(world, elapsed_ns / 4 + MS) : 0;
	if (world_chance(world, 30))
		vm->has_halt_poll = !vm->has_halt_poll;
	/* Also more than the vCPUs can have polled, and back. */
	vm->halt_poll_ns += world_below(world, elapsed_ns + MS);
	if (world_chance(world, 100))
		vm->halt_poll_ns = world_size(world, 64);
}

static void world_copy_vm(struct sample *sample, const struct sample_vm *from)
{
	struct sample_vm *to = NULL;
	struct sample_vcpu *vcpus;
	size_t capacity;

	assert_int_equal(sample_add_vm(sample, from->vcpu_count, &to), 0);
	CHECK_POINTER(to);
	vcpus = to->vcpus;
	capacity = to->vcpu_capacity;
	*to = *from;
	to->vcpus = vcpus;
	to->vcpu_capacity = capacity;
	memcpy(to->vcpus, from->vcpus, from->vcpu_count * sizeof(from->vcpus[0]));
}

void world_next(struct world *world)
{
	uint64_t elapsed_ns = world_step_ns(world);
	uint64_t time_ns = world->sample.time.ns;

	/* A clock that would wrap, or goes back, as it must not. */
	if (time_ns > UINT64_MAX / 2 || world_chance(world, 100))
		time_ns /= 2;
	else
		time_ns += elapsed_ns;
	sample_clear(&world->sample);
	world->sample.time.ns = time_ns;
	world_move_zones(world, elapsed_ns);
	world_move_cpus(world, elapsed_ns);
	world->sample.memory_total_bytes = world_chance(world, 9) ? 0 : UINT64_C(1) << 38;
	world->sample.memory_used_bytes = world_size(world, 38);
	for (size_t i = 0; i < WORLD_VM_MAX; i++) {
		struct sample_vm *vm = &world->all.vms[i];

		world_change_vm(world, &world->vms[i], vm);
		world_move_vm(world, vm, elapsed_ns);
		vm->running = world->vms[i].running;
		if (world->vms[i].present)
			world_copy_vm(&world->sample, vm);
	}
}

void world_permute(struct world *world, struct sample *ret_sample)
{
	const struct sample *from = &world->sample;
	size_t order[WORLD_VM_MAX];

	sample_clear(ret_sample);
	ret_sample->time = from->time;
	ret_sample->zone_count = from->zone_count;
	memcpy(ret_sample->zones, from->zones, sizeof(ret_sample->zones));
	memcpy(ret_sample->cpu_busy_ns, from->cpu_busy_ns,
	       from->cpu_count * sizeof(from->cpu_busy_ns[0]));
	ret_sample->memory_total_bytes = from->memory_total_bytes;
	ret_sample->memory_used_bytes = from->memory_used_bytes;
	for (size_t i = 0; i < from->vm_count; i++) {
		size_t other = world_below(world, i + 1);

		order[i] = i;
		order[i] = order[other];
		order[other] = i;
	}
	for (size_t i = 0; i < from->vm_count; i++)
		world_copy_vm(ret_sample, &from->vms[order[i]]);
}

struct engine_config world_config(struct world *world)
{
	static const enum attribution_policy policies[] = {
	    ATTRIBUTION_IDLE_VCPU, ATTRIBUTION_IDLE_BUSY, ATTRIBUTION_IDLE_NONE};

	return (struct engine_config){
	    .idle = policies[world_below(world, CHECK_COUNT(policies))],
	    .guest_view_exact = world_chance(world, 2),
	    .package = {.given = world_chance(world, 3), .power_uw = world_size(world, 40)},
	    .dram = {.given = world_chance(world, 3), .power_uw = world_size(world, 30)},
	    .psys = {.given = world_chance(world, 3), .power_uw = world_size(world, 64)},
	};
}
