#include "tests/sim/world.h"
#include "common/cleanup.h"
#include "tests/sim/power.h"
#include "tests/sim/scheduler.h"

#include <errno.h>

#define STEP_S 0.05

/* So often in a quarter of an hour somebody comes, and somebody goes. */
#define CHANGES_MIN   0.5
#define CHANGES_MAX   4.0
#define QUARTER_S     900.0

#define VM_SIZE_COUNT 7

/* What remains of the machines and of their loads when the work is mixed anew. */
#define REMIX_STAYS 0.7
#define REMIX_LOADS 0.5

size_t world_allocated(const struct world *world)
{
	size_t count = 0;

	for (size_t i = 0; i < world->vm_count; i++)
		if (world->vms[i].present)
			count += world->vms[i].vcpu_count;
	return count;
}

/* An entry for a new thread, or NULL. */
static struct thread *world_add_thread(struct world *world, enum thread_kind kind, size_t account,
				       size_t *ret_index)
{
	size_t index = 0;

	while (index < world->thread_count && world->threads[index].live)
		index++;
	if (index == WORLD_THREAD_MAX)
		return NULL;
	if (index == world->thread_count)
		world->thread_count++;
	world->threads[index] = (struct thread){.live = true,
						.kind = kind,
						.account = account,
						.cpu = scheduler_place(world),
						.pinned = WORLD_NO_CPU,
						.skew = 1,
						.profile = &world->host_profile,
						.cost = 1};
	*ret_index = index;
	return &world->threads[index];
}

void world_pin(struct world *world, size_t thread, size_t cpu)
{
	world->threads[thread].cpu = cpu;
	world->threads[thread].pinned = cpu;
}

static size_t world_sibling(const struct hardware *hardware, size_t cpu)
{
	size_t cores = hardware_core_count(hardware);

	if (hardware->threads == 1)
		return cpu;
	return cpu < cores ? cpu + cores : cpu - cores;
}

/*
 * One of the CPUs to which the fewest threads are pinned; among those one whose sibling is taken,
 * or one whose sibling is free.
 */
static size_t world_free_cpu(struct world *world, bool shared)
{
	const struct hardware *hardware = &world->hardware;
	size_t count = hardware_cpu_count(hardware);
	size_t pinned[HARDWARE_CPU_MAX] = {0};
	size_t from = dice_below(&world->dice, count);
	size_t best = from, best_cost = SIZE_MAX;

	for (size_t i = 0; i < world->thread_count; i++)
		if (world->threads[i].live && world->threads[i].pinned != WORLD_NO_CPU)
			pinned[world->threads[i].pinned]++;
	for (size_t i = 0; i < count; i++) {
		size_t cpu = (from + i) % count;
		bool taken = pinned[world_sibling(hardware, cpu)] > 0;
		size_t cost = 2 * pinned[cpu] + (taken == shared ? 0 : 1);

		if (cost < best_cost) {
			best = cpu;
			best_cost = cost;
		}
	}
	return best;
}

int world_add_vm(struct world *world, size_t vcpu_count, double memory_gib, const struct load *load)
{
	struct world_vm *vm = &world->vms[world->vm_count];
	size_t index = world->vm_count;
	bool shared;

	if (index == WORLD_VM_MAX || vcpu_count > WORLD_VCPU_MAX ||
	    world->thread_count + vcpu_count + 1 > WORLD_THREAD_MAX)
		return -ENOSPC;
	*vm = (struct world_vm){.present = true,
				.number = world->vm_next++,
				.load = *load,
				.vcpu_count = vcpu_count,
				.memory_gib = memory_gib};
	world->vm_count++;
	if (load->pattern != LOAD_GIVEN)
		vm->overhead_part = dice_scale(&world->dice, 0.003, 0.08);
	for (size_t i = 0; i < vcpu_count; i++) {
		struct thread *thread = world_add_thread(world, THREAD_VCPU, index, &vm->vcpus[i]);

		if (thread == NULL)
			return -ENOSPC;
		if (load->pattern == LOAD_FULL || load->pattern == LOAD_GIVEN)
			continue;
		thread->skew = dice_range(&world->dice, 0.5, 1);
	}
	shared = world->pinning && dice_chance(&world->dice, 0.5);
	for (size_t i = 0; i < vcpu_count && world->pinning; i++)
		world_pin(world, vm->vcpus[i], world_free_cpu(world, shared));
	if (world_add_thread(world, THREAD_OVERHEAD, index, &vm->overhead) == NULL)
		return -ENOSPC;
	return (int)index;
}

void world_remove_vm(struct world *world, size_t vm)
{
	struct world_vm *gone = &world->vms[vm];

	gone->present = false;
	for (size_t i = 0; i < gone->vcpu_count; i++)
		world->threads[gone->vcpus[i]].live = false;
	world->threads[gone->overhead].live = false;
}

/* A machine of the host's class, of at most that many vCPUs. */
static void world_draw_vm(struct world *world, size_t vcpu_max)
{
	static const size_t sizes[VM_SIZE_COUNT] = {1, 1, 2, 2, 4, 4, 8};
	size_t vcpus = sizes[dice_below(&world->dice, VM_SIZE_COUNT)];
	double memory_gib = dice_scale(&world->dice, 1, 6);
	double free_gib = world->hardware.memory_gib * (double)world->hardware.sockets * 0.9;
	struct load load;

	for (size_t i = 0; i < world->vm_count; i++)
		if (world->vms[i].present)
			free_gib -= world->vms[i].memory_gib;
	if (vcpus > vcpu_max)
		vcpus = vcpu_max;
	memory_gib *= (double)vcpus;
	if (memory_gib > free_gib / 2)
		memory_gib = free_gib / 2;
	load_draw(&load, world->host_class, &world->common, world->now_s, &world->dice);
	(void)world_add_vm(world, vcpus, memory_gib, &load);
}

/* Machines until there are as many vCPUs as the host is to have. */
static void world_populate(struct world *world)
{
	double cpus = (double)hardware_cpu_count(&world->hardware);
	size_t wanted = (size_t)(world->crowding * cpus + 0.5);

	if (wanted == 0)
		wanted = 1;
	for (size_t have = world_allocated(world); have < wanted; have = world_allocated(world)) {
		size_t count = world->vm_count;

		world_draw_vm(world, wanted - have);
		if (world->vm_count == count)
			return;
	}
}

static double world_draw_crowding(struct world *world)
{
	double cpus = (double)hardware_cpu_count(&world->hardware);

	switch (world->host_class) {
	case HOST_PACKED:
		return dice_chance(&world->dice, 0.7) ? 1.0 : dice_range(&world->dice, 1, 1.5);
	case HOST_LIGHT:
		return dice_range(&world->dice, 1, 6) / cpus;
	case HOST_SMT:
		/* Some cores are shared and some are not. */
		return dice_range(&world->dice, 0.5, 0.9);
	case HOST_EQUAL:
	case HOST_MIXED:
	case HOST_DVFS:
	case HOST_BURSTY:
	case HOST_CLASS_COUNT:
		break;
	}
	return dice_range(&world->dice, 0.4, 1.4);
}

static int world_populate_host(struct world *world)
{
	size_t threads = 1 + dice_below(&world->dice, 3);

	profile_draw(&world->host_profile, PROFILE_BRANCHY, &world->dice);
	for (size_t i = 0; i < threads; i++) {
		size_t index;
		struct thread *thread = world_add_thread(world, THREAD_HOST, WORLD_NOBODY, &index);

		if (thread == NULL)
			return -ENOSPC;
		thread->skew = dice_scale(&world->dice, 0.003, 0.08);
	}
	return 0;
}

int world_create_empty(const struct hardware *hardware, uint64_t seed, struct world **ret_world)
{
	struct world *world = calloc(1, sizeof(*world));

	if (world == NULL)
		return -ENOMEM;
	world->hardware = *hardware;
	world->host_class = HOST_MIXED;
	world->step_s = STEP_S;
	dice_init(&world->dice, seed, 2);
	for (size_t core = 0; core < hardware_core_count(hardware); core++)
		world->core_ghz[core] = hardware->ghz_base;
	profile_draw(&world->host_profile, PROFILE_BRANCHY, &world->dice);
	*ret_world = world;
	return 0;
}

int world_create(enum host_class host_class, uint64_t seed, struct world **ret_world)
{
	cleanup_world struct world *world = NULL;
	struct hardware hardware;
	struct dice dice;
	int status;

	dice_init(&dice, seed, 1 + 16 * (uint64_t)host_class);
	hardware_draw(&hardware, host_class, &dice);
	status = world_create_empty(&hardware, seed, &world);
	if (status < 0)
		return status;
	world->dice = dice;
	world->host_class = host_class;
	world->crowding = world_draw_crowding(world);
	world->pinning = host_class == HOST_PACKED ||
			 dice_chance(&world->dice, host_class == HOST_SMT ? 0.75 : 0.4);
	world->changes_per_s = dice_range(&world->dice, CHANGES_MIN, CHANGES_MAX) / QUARTER_S;
	profile_draw(&world->common, (enum profile_family)dice_below(&world->dice, PROFILE_POLLING),
		     &world->dice);
	status = world_populate_host(world);
	if (status < 0)
		return status;
	world_populate(world);
	*ret_world = TAKE_PTR(world);
	return 0;
}

void world_destroy(struct world *world)
{
	free(world);
}

/* The index of a machine that is present, or WORLD_NOBODY. */
static size_t world_any_vm(struct world *world)
{
	size_t seen = 0, chosen = WORLD_NOBODY;

	for (size_t i = 0; i < world->vm_count; i++)
		if (world->vms[i].present && dice_below(&world->dice, ++seen) == 0)
			chosen = i;
	return chosen;
}

/* Somebody goes, or somebody comes; on a host that is never idle both at once. */
static void world_change(struct world *world)
{
	double cpus = (double)hardware_cpu_count(&world->hardware);
	double filled = (double)world_allocated(world) / cpus;
	bool leave = filled > world->crowding * dice_range(&world->dice, 0.6, 1.2);
	size_t vm = world_any_vm(world);

	if (vm != WORLD_NOBODY && (leave || world->host_class == HOST_PACKED))
		world_remove_vm(world, vm);
	if (world->host_class == HOST_PACKED)
		world_populate(world);
	else if (!leave || world_allocated(world) == 0)
		world_draw_vm(world, WORLD_VCPU_MAX);
}

void world_remix(struct world *world)
{
	for (size_t i = 0, count = world->vm_count; i < count; i++) {
		struct world_vm *vm = &world->vms[i];

		if (!vm->present)
			continue;
		if (!dice_chance(&world->dice, REMIX_STAYS))
			world_remove_vm(world, i);
		else if (dice_chance(&world->dice, REMIX_LOADS))
			load_draw(&vm->load, world->host_class, &world->common, world->now_s,
				  &world->dice);
	}
	world_populate(world);
}

static void world_step(struct world *world)
{
	size_t cpus = hardware_cpu_count(&world->hardware);

	if (world->changes_per_s > 0 &&
	    dice_chance(&world->dice, world->changes_per_s * world->step_s))
		world_change(world);
	for (size_t i = 0; i < world->vm_count; i++)
		if (world->vms[i].present)
			load_step(&world->vms[i].load, world->now_s, world->step_s, &world->dice);
	scheduler_step(world);
	power_set_frequency(world);
	power_step(world);
	for (size_t cpu = 0; cpu < cpus; cpu++)
		world->cpu_time_s[cpu] += world->cpu_busy[cpu] * world->step_s;
	world->now_s += world->step_s;
}

void world_advance(struct world *world, double seconds)
{
	double left_s = seconds;

	while (left_s > 1e-9) {
		/* No tiny step at the end: the last one takes what is left. */
		world->step_s = left_s < 1.5 * STEP_S ? left_s : STEP_S;
		world_step(world);
		left_s -= world->step_s;
	}
}
