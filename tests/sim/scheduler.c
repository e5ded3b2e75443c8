#include "tests/sim/scheduler.h"

#include <math.h>

/* How many CPUs are looked at before a thread is put on one. */
#define LOOKS 4

/* A thread without reason to move does so this often in a second. */
#define WANDER_PER_S 0.05

/* A vCPU's own noise: how far, and how long it lasts. */
#define NOISE_WIDTH 0.06
#define NOISE_S	    4.0

static double scheduler_clamp(double value)
{
	return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* A busy sibling costs half a busy CPU. */
static double scheduler_crowd(const struct world *world, size_t cpu)
{
	size_t cores = hardware_core_count(&world->hardware);
	double crowd = world->cpu_demand[cpu];

	if (world->hardware.threads == 2)
		crowd += 0.5 * world->cpu_demand[cpu < cores ? cpu + cores : cpu - cores];
	return crowd;
}

size_t scheduler_place(struct world *world)
{
	size_t count = hardware_cpu_count(&world->hardware);
	size_t best = dice_below(&world->dice, count);

	for (size_t i = 1; i < LOOKS; i++) {
		size_t cpu = dice_below(&world->dice, count);

		if (scheduler_crowd(world, cpu) < scheduler_crowd(world, best))
			best = cpu;
	}
	return best;
}

static double scheduler_level(const struct world *world, const struct thread *thread)
{
	const struct world_vm *vm;

	switch (thread->kind) {
	case THREAD_HOST:
		return thread->skew;
	case THREAD_OVERHEAD:
		vm = &world->vms[thread->account];
		return vm->load.level * vm->overhead_part;
	case THREAD_VCPU:
		vm = &world->vms[thread->account];
		return vm->load.level * thread->skew;
	}
	return 0;
}

static void scheduler_want(struct world *world, struct thread *thread)
{
	double kept = 1 - world->step_s / NOISE_S;
	double level = scheduler_level(world, thread);
	bool given = false;

	if (thread->account != WORLD_NOBODY) {
		const struct load *load = &world->vms[thread->account].load;

		thread->profile = &load->profiles[load->profile];
		thread->cost = 1 + load->wobble;
		given = load->pattern == LOAD_GIVEN;
	}
	/* Work that the load gives takes longer on a slow core. */
	if (world->hardware.governor == GOVERNOR_ONDEMAND)
		level *= world->hardware.ghz_turbo_all /
			 world->core_ghz[hardware_core_of(&world->hardware, thread->cpu)];
	if (level > 0 && level < 1 && !given) {
		thread->noise = thread->noise * kept +
				NOISE_WIDTH * sqrt(1 - kept * kept) * dice_normal(&world->dice);
		level *= 1 + thread->noise;
	}
	thread->demand = scheduler_clamp(level);
}

static void scheduler_move(struct world *world, struct thread *thread)
{
	double here;

	if (thread->pinned != WORLD_NO_CPU || thread->demand == 0)
		return;
	here = world->cpu_demand[thread->cpu];
	if (here > 1.02 || dice_chance(&world->dice, WANDER_PER_S * world->step_s)) {
		size_t cpu = scheduler_place(world);

		if (world->cpu_demand[cpu] + thread->demand > here)
			return;
		world->cpu_demand[thread->cpu] -= thread->demand;
		world->cpu_demand[cpu] += thread->demand;
		thread->cpu = cpu;
	}
}

void scheduler_step(struct world *world)
{
	size_t count = hardware_cpu_count(&world->hardware);

	for (size_t cpu = 0; cpu < count; cpu++) {
		world->cpu_demand[cpu] = 0;
		world->cpu_busy[cpu] = 0;
		world->cpu_first[cpu] = SIZE_MAX;
	}
	for (size_t i = 0; i < world->thread_count; i++) {
		struct thread *thread = &world->threads[i];

		if (!thread->live)
			continue;
		scheduler_want(world, thread);
		world->cpu_demand[thread->cpu] += thread->demand;
	}
	for (size_t i = 0; i < world->thread_count; i++)
		if (world->threads[i].live)
			scheduler_move(world, &world->threads[i]);
	for (size_t i = 0; i < world->thread_count; i++) {
		struct thread *thread = &world->threads[i];
		double wanted;

		if (!thread->live)
			continue;
		wanted = world->cpu_demand[thread->cpu];
		thread->busy = wanted > 1 ? thread->demand / wanted : thread->demand;
		thread->next = world->cpu_first[thread->cpu];
		world->cpu_first[thread->cpu] = i;
		world->cpu_busy[thread->cpu] += thread->busy;
	}
	for (size_t cpu = 0; cpu < count; cpu++)
		world->cpu_busy[cpu] = scheduler_clamp(world->cpu_busy[cpu]);
}
