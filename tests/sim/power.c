#include "tests/sim/power.h"
#include "tests/sim/shapley.h"

#include <assert.h>
#include <math.h>

#define NANO 1e-9
#define GIGA 1e9

/* What a thread draws and does in a step, by whether its sibling runs. */
struct draw {
	double alone_w; /* without the core's own part */
	double beside_w;
	double ipc;
};

double power_volts(const struct hardware *hardware, double ghz)
{
	double span = hardware->ghz_turbo_one - hardware->ghz_min;
	double above = ghz > hardware->ghz_min ? (ghz - hardware->ghz_min) / span : 0;

	return hardware->volt_min +
	       (hardware->volt_max - hardware->volt_min) * pow(above, hardware->volt_curve);
}

double power_ipc(const struct hardware *hardware, const struct profile *profile, double ghz)
{
	return 1 / (profile->cpi +
		    profile->misses * hardware->memory_ns * ghz * (1 - profile->overlap));
}

double power_turbo_ghz(const struct hardware *hardware, double active)
{
	return hardware->ghz_turbo_one - (hardware->ghz_turbo_one - hardware->ghz_turbo_all) *
					     pow(active, hardware->turbo_curve);
}

/* The part of the time in which a core's siblings run, either and both. */
struct occupancy {
	double first, second, both;
};

static struct occupancy power_occupancy(const struct world *world, size_t core)
{
	struct occupancy core_busy = {.first = world->cpu_busy[core]};
	double most, chance, together = world->hardware.smt_together;

	if (world->hardware.threads == 1)
		return core_busy;
	core_busy.second = world->cpu_busy[core + hardware_core_count(&world->hardware)];
	most = core_busy.first < core_busy.second ? core_busy.first : core_busy.second;
	chance = core_busy.first * core_busy.second;
	core_busy.both = chance + together * (together > 0 ? most - chance : chance);
	/* They cannot avoid each other where there is no time left. */
	if (core_busy.both < core_busy.first + core_busy.second - 1)
		core_busy.both = core_busy.first + core_busy.second - 1;
	return core_busy;
}

static double power_awake(struct occupancy core)
{
	return core.first + core.second - core.both;
}

void power_set_frequency(struct world *world)
{
	const struct hardware *hardware = &world->hardware;
	double keep = exp(-world->step_s / hardware->governor_lag_s);

	for (size_t socket = 0; socket < hardware->sockets; socket++) {
		size_t first = socket * hardware->cores;
		double active = 0, turbo_ghz;

		for (size_t core = first; core < first + hardware->cores; core++)
			active += power_awake(power_occupancy(world, core));
		turbo_ghz = power_turbo_ghz(hardware, active / (double)hardware->cores);
		for (size_t core = first; core < first + hardware->cores; core++) {
			double *ghz = &world->core_ghz[core];
			double wanted, load;

			if (hardware->governor == GOVERNOR_FIXED) {
				*ghz = hardware->ghz_base;
				continue;
			}
			if (hardware->governor == GOVERNOR_TURBO) {
				*ghz = turbo_ghz;
				continue;
			}
			/* schedutil: 1.25 times the busiest sibling's load at this frequency. */
			load = world->cpu_busy[core];
			if (hardware->threads == 2 &&
			    world->cpu_busy[core + hardware_core_count(hardware)] > load)
				load = world->cpu_busy[core + hardware_core_count(hardware)];
			world->core_load[core] =
			    world->core_load[core] * keep + load * *ghz * (1 - keep);
			wanted = 1.25 * world->core_load[core];
			if (wanted > turbo_ghz)
				wanted = turbo_ghz;
			*ghz = wanted > hardware->ghz_min ? wanted : hardware->ghz_min;
		}
	}
}

static struct draw power_draw(const struct hardware *hardware, const struct thread *thread,
			      double ghz, double power_scale)
{
	const struct profile *profile = thread->profile;
	struct draw draw = {.ipc = power_ipc(hardware, profile, ghz)};
	double clock_w = hardware->core_clock_w * profile->clock_scale;
	double work_w =
	    hardware->instruction_scale * profile->instruction_w * thread->cost * draw.ipc;

	draw.alone_w = power_scale * (clock_w + work_w);
	draw.beside_w = power_scale * (clock_w + work_w * hardware->smt_yield);
	return draw;
}

/* One thread of a core: its time alone, and with each thread of the sibling. */
static void power_thread(struct world *world, struct thread *thread, size_t core,
			 const struct occupancy *occupancy)
{
	const struct hardware *hardware = &world->hardware;
	size_t cores = hardware_core_count(hardware);
	bool is_first = thread->cpu == core;
	size_t sibling = is_first ? core + cores : core;
	double ghz = world->core_ghz[core];
	double volts = power_volts(hardware, ghz);
	double scale = volts * volts * ghz;
	double awake_w = scale * hardware->core_base_w + volts * hardware->core_leak_w;
	double own_busy = is_first ? occupancy->first : occupancy->second;
	double other_busy = is_first ? occupancy->second : occupancy->first;
	struct draw draw = power_draw(hardware, thread, ghz, scale);
	double beside = own_busy > 0 ? thread->busy * occupancy->both / own_busy : 0;
	double energy_w = (thread->busy - beside) * (awake_w + draw.alone_w);
	double cycles = thread->busy * ghz * GIGA * world->step_s;
	double instructions, misses;

	if (beside > 0 && other_busy > 0) {
		for (size_t i = world->cpu_first[sibling]; i != SIZE_MAX;
		     i = world->threads[i].next) {
			const struct thread *other = &world->threads[i];
			struct draw others = power_draw(hardware, other, ghz, scale);

			energy_w += beside * other->busy / other_busy *
				    shapley_pair(awake_w + draw.alone_w, awake_w + others.alone_w,
						 awake_w + draw.beside_w + others.beside_w);
		}
	}
	instructions = ghz * GIGA * world->step_s * draw.ipc *
		       (thread->busy - beside + beside * hardware->smt_yield);
	misses = instructions * thread->profile->misses;
	thread->energy_j =
	    energy_w * world->step_s + misses * thread->profile->traffic * hardware->miss_nj * NANO;
	thread->lines_j = misses * thread->profile->traffic * hardware->dram_line_nj * NANO;
	thread->time_s += thread->busy * world->step_s;
	thread->cycles += cycles;
	thread->instructions += instructions;
	thread->misses += misses;
}

static void power_cores(struct world *world)
{
	const struct hardware *hardware = &world->hardware;
	size_t cores = hardware_core_count(hardware);

	for (size_t core = 0; core < cores; core++) {
		struct occupancy occupancy = power_occupancy(world, core);

		for (size_t cpu = core; cpu < cores * hardware->threads; cpu += cores)
			for (size_t i = world->cpu_first[cpu]; i != SIZE_MAX;
			     i = world->threads[i].next)
				power_thread(world, &world->threads[i], core, &occupancy);
	}
}

/* What a package draws beyond its cores because somebody is awake. */
static void power_uncore(struct world *world, size_t socket)
{
	const struct hardware *hardware = &world->hardware;
	double busy[WORLD_THREAD_MAX], values[WORLD_THREAD_MAX] = {0};
	size_t threads[WORLD_THREAD_MAX], count = 0;
	double total = 0, uncore_w;

	for (size_t i = 0; i < world->thread_count; i++) {
		struct thread *thread = &world->threads[i];

		if (!thread->live || thread->busy <= 0 ||
		    hardware_socket_of(hardware, thread->cpu) != socket)
			continue;
		threads[count] = i;
		busy[count++] = thread->busy;
		total += thread->busy;
	}
	if (count == 0)
		return;
	uncore_w = hardware->uncore_w * (1 - exp(-total / hardware->uncore_cpus));
	/* Where waking costs nothing there is nothing to divide. */
	if (hardware->wake_w > 0)
		(void)shapley_any(busy, count, values);
	for (size_t k = 0; k < count; k++)
		world->threads[threads[k]].energy_j +=
		    world->step_s * (hardware->wake_w * values[k] + uncore_w * busy[k] / total);
}

/* The account's heat goes on with what it drew; returns the leakage that it has brought. */
static double power_heat(const struct world *world, double *heat_w, double energy_j)
{
	double keep = 1 - world->step_s / world->hardware.heat_lag_s;
	double leaked_j = *heat_w * world->hardware.heat_per_w * world->step_s;

	*heat_w = *heat_w * keep + energy_j / world->step_s * (1 - keep);
	return leaked_j;
}

static void power_heat_sockets(struct world *world,
			       double drawn_j[WORLD_VM_MAX + 1][HARDWARE_SOCKET_MAX])
{
	for (size_t socket = 0; socket < world->hardware.sockets; socket++) {
		for (size_t i = 0; i <= world->vm_count; i++) {
			bool host = i == world->vm_count;
			struct truth *truth = host ? &world->host : &world->vms[i].truth;
			double *heat_w = host ? &world->sockets[socket].heat_host_w
					      : &world->vms[i].heat_w[socket];
			double leaked_j;

			if (*heat_w < 1e-6 && drawn_j[i][socket] <= 0)
				continue;
			leaked_j = power_heat(world, heat_w, drawn_j[i][socket]);
			truth->package_j += drawn_j[i][socket] + leaked_j;
			world->sockets[socket].package_j += drawn_j[i][socket] + leaked_j;
		}
	}
}

/* A thread's lines: some stay on its socket, the others come from all. */
static void power_lines(struct world *world, const struct thread *thread)
{
	size_t home = hardware_socket_of(&world->hardware, thread->cpu);
	double local_j = thread->lines_j * world->hardware.numa_local;
	double each_j = (thread->lines_j - local_j) / (double)world->hardware.sockets;

	for (size_t socket = 0; socket < world->hardware.sockets; socket++)
		world->sockets[socket].dram_j += each_j + (socket == home ? local_j : 0);
}

/* Idle power, by allocation: a vCPU carries 1/L of it, a gibibyte its part of the refresh. */
static void power_static(struct world *world)
{
	const struct hardware *hardware = &world->hardware;
	double sockets = (double)hardware->sockets;
	double cpus = (double)hardware_cpu_count(hardware);
	double allocated = (double)world_allocated(world);
	double package_j = hardware->idle_w * sockets * world->step_s;
	double dram_j = hardware->dram_idle_w * sockets * world->step_s;
	double memory_gib = hardware->memory_gib * sockets;
	double rented_j = 0, held_j = 0;

	for (size_t i = 0; i < world->vm_count; i++) {
		struct world_vm *vm = &world->vms[i];
		double rent_j, hold_j;

		if (!vm->present)
			continue;
		rent_j = package_j * (double)vm->vcpu_count / (allocated > cpus ? allocated : cpus);
		hold_j = dram_j * vm->memory_gib / memory_gib;
		vm->truth.package_idle_j += rent_j;
		vm->truth.dram_idle_j += hold_j;
		vm->lived_s += world->step_s;
		rented_j += rent_j;
		held_j += hold_j;
	}
	world->vacant.package_idle_j += package_j - rented_j;
	world->vacant.dram_idle_j += dram_j - held_j;
	for (size_t socket = 0; socket < hardware->sockets; socket++) {
		world->sockets[socket].package_j += hardware->idle_w * world->step_s;
		world->sockets[socket].dram_j += hardware->dram_idle_w * world->step_s;
	}
}

void power_step(struct world *world)
{
	double drawn_j[WORLD_VM_MAX + 1][HARDWARE_SOCKET_MAX];
	double before_j = 0, after_j = 0;

	for (size_t i = 0; i <= world->vm_count; i++)
		for (size_t socket = 0; socket < HARDWARE_SOCKET_MAX; socket++)
			drawn_j[i][socket] = 0;
	for (size_t socket = 0; socket < world->hardware.sockets; socket++)
		before_j += world->sockets[socket].package_j + world->sockets[socket].dram_j;
	power_cores(world);
	for (size_t socket = 0; socket < world->hardware.sockets; socket++)
		power_uncore(world, socket);
	for (size_t i = 0; i < world->thread_count; i++) {
		struct thread *thread = &world->threads[i];
		size_t account =
		    thread->account == WORLD_NOBODY ? world->vm_count : thread->account;
		struct truth *truth =
		    thread->account == WORLD_NOBODY ? &world->host : &world->vms[account].truth;

		if (!thread->live)
			continue;
		drawn_j[account][hardware_socket_of(&world->hardware, thread->cpu)] +=
		    thread->energy_j;
		truth->dram_j += thread->lines_j;
		power_lines(world, thread);
	}
	power_heat_sockets(world, drawn_j);
	power_static(world);
	for (size_t socket = 0; socket < world->hardware.sockets; socket++)
		after_j += world->sockets[socket].package_j + world->sockets[socket].dram_j;
	world->psys_j += (after_j - before_j) / world->hardware.supply_yield +
			 world->hardware.platform_w * world->step_s;
}
