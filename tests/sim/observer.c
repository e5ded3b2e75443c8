#include "tests/sim/observer.h"
#include "common/cleanup.h"
#include "common/clock.h"

#include <errno.h>
#include <math.h>

#define NS	     1e9
#define CPU_TICK_S   0.01
#define GIBIBYTE     0x1p30
#define COUNTER_BITS 32

/* What a thread has shown. */
struct shown {
	uint64_t number; /* of its machine, and 1: another one is another thread */
	uint64_t time_ns;
	double cycles, instructions, misses; /* told */
	double true_cycles, true_instructions, true_misses;
};

struct observer {
	const struct world *world;
	struct dice dice;
	struct trace_head head;
	double zone_start[ZONE_MAX]; /* units, at the beginning */
	double zone_energy_j[ZONE_MAX];
	double last_s; /* when it was looked at last */
	double cpu_told_s[HARDWARE_CPU_MAX];
	double cpu_seen_s[HARDWARE_CPU_MAX];
	struct shown shown[WORLD_THREAD_MAX];
};

struct uuid observer_uuid(const struct world_vm *vm)
{
	struct uuid uuid = {.bytes = {0x73, 0x69, 0x6d, 0, 0, 0, 0x40, 0, 0x80}};

	for (size_t i = 0; i < 6; i++)
		uuid.bytes[15 - i] = (uint8_t)((vm->number + 1) >> (8 * i));
	return uuid;
}

/* The kernel keeps a unit in whole nanojoules: it counts 61.035 uJ where the hardware means
 * 61.03515625. */
static uint64_t observer_microjoules(double units, double unit_j)
{
	return (uint64_t)units * (uint64_t)(unit_j * NS) / 1000;
}

static double observer_unit_j(const struct observer *observer, size_t zone)
{
	const struct hardware *hardware = &observer->world->hardware;

	return observer->head.zones[zone].kind == ZONE_DRAM ? hardware->dram_unit_j
							    : hardware->package_unit_j;
}

static void observer_add_zone(struct observer *observer, enum zone_kind kind, uint32_t package)
{
	size_t index = observer->head.zone_count++;
	struct zone *zone = &observer->head.zones[index];
	double units = ldexp(1, COUNTER_BITS);

	*zone = (struct zone){.kind = kind, .package = package, .die = ZONE_ANY_DIE};
	if (kind == ZONE_PSYS)
		(void)snprintf(zone->id, sizeof(zone->id), "psys");
	else
		(void)snprintf(zone->id, sizeof(zone->id), "%s-%u", zone_kind_name(kind), package);
	zone->range_uj = observer_microjoules(units - 1, observer_unit_j(observer, index));
	/* Every fourth is about to wrap. */
	observer->zone_start[index] =
	    dice_chance(&observer->dice, 0.25)
		? units - dice_range(&observer->dice, 1, 1000) / observer_unit_j(observer, index)
		: floor(dice_range(&observer->dice, 0, units));
}

static int observer_describe(struct observer *observer)
{
	const struct hardware *hardware = &observer->world->hardware;
	int status = topology_create(&observer->head.topology);

	observer->head.clock_tick_ns = TRACE_TICK_NS;
	for (size_t cpu = 0; status == 0 && cpu < hardware_cpu_count(hardware); cpu++) {
		size_t core = hardware_core_of(hardware, cpu);
		struct topology_cpu row = {.cpu = (uint32_t)cpu,
					   .core = (uint32_t)(core % hardware->cores),
					   .package = (uint32_t)hardware_socket_of(hardware, cpu)};

		status = topology_add(observer->head.topology, &row);
	}
	for (uint32_t package = 0; package < hardware->sockets; package++) {
		observer_add_zone(observer, ZONE_PACKAGE, package);
		if (hardware->dram_counted)
			observer_add_zone(observer, ZONE_DRAM, package);
	}
	if (hardware->psys)
		observer_add_zone(observer, ZONE_PSYS, 0);
	return status;
}

int observer_create(const struct world *world, uint64_t seed, struct observer **ret_observer)
{
	cleanup_observer struct observer *observer = calloc(1, sizeof(*observer));
	int status;

	if (observer == NULL)
		return -ENOMEM;
	observer->world = world;
	dice_init(&observer->dice, seed, 7);
	status = observer_describe(observer);
	if (status < 0)
		return status;
	*ret_observer = TAKE_PTR(observer);
	return 0;
}

void observer_destroy(struct observer *observer)
{
	if (observer == NULL)
		return;
	topology_destroy(observer->head.topology);
	free(observer);
}

const struct trace_head *observer_head(const struct observer *observer)
{
	return &observer->head;
}

static double observer_zone_j(const struct observer *observer, const struct zone *zone)
{
	const struct world *world = observer->world;

	if (zone->kind == ZONE_PSYS)
		return world->psys_j;
	return zone->kind == ZONE_DRAM ? world->sockets[zone->package].dram_j
				       : world->sockets[zone->package].package_j;
}

/* What a counter shows: the energy at its last refresh, about a millisecond ago at most. */
static uint64_t observer_raw_uj(struct observer *observer, size_t index, double elapsed_s)
{
	double now_j = observer_zone_j(observer, &observer->head.zones[index]);
	double unit_j = observer_unit_j(observer, index);
	double age_s = observer->world->hardware.refresh_s * dice_unit(&observer->dice);
	double shown_j = now_j, units;

	if (elapsed_s > age_s)
		shown_j -= (now_j - observer->zone_energy_j[index]) * age_s / elapsed_s;
	observer->zone_energy_j[index] = now_j;
	units = floor(observer->zone_start[index] + shown_j / unit_j);
	return observer_microjoules(fmod(units, ldexp(1, COUNTER_BITS)), unit_j);
}

static uint64_t observer_cpu_ns(struct observer *observer, size_t cpu, double elapsed_s)
{
	double now_s = observer->world->cpu_time_s[cpu];
	double busy = elapsed_s > 0 ? (now_s - observer->cpu_seen_s[cpu]) / elapsed_s : 0;
	double *told_s = &observer->cpu_told_s[cpu];

	observer->cpu_seen_s[cpu] = now_s;
	if (!observer->world->hardware.cpu_ticked) {
		*told_s = now_s;
	} else if (elapsed_s > 0) {
		/* So many ticks found it busy: nearly a normal number. */
		double ticks = elapsed_s / CPU_TICK_S;
		double found =
		    busy * ticks + sqrt(ticks * busy * (1 - busy)) * dice_normal(&observer->dice);

		if (found > ticks)
			found = ticks;
		if (found > 0 && busy > 0)
			*told_s += found * CPU_TICK_S;
	}
	/* A hair above, lest a whole number of ticks be told as one less. */
	return (uint64_t)floor(*told_s / CPU_TICK_S + 1e-6) * (uint64_t)(CPU_TICK_S * NS);
}

static uint64_t observer_time_ns(struct observer *observer, const struct thread *thread,
				 struct shown *shown)
{
	double tick_s = observer->world->hardware.thread_tick_s;
	double behind_s =
	    dice_chance(&observer->dice, thread->busy) ? tick_s * dice_unit(&observer->dice) : 0;
	double told_s = thread->time_s > behind_s ? thread->time_s - behind_s : 0;
	uint64_t told_ns = (uint64_t)(told_s * NS);

	if (told_ns > shown->time_ns)
		shown->time_ns = told_ns;
	return shown->time_ns;
}

/* Counted for a part of the time, and scaled: off by a little in each interval. */
static uint64_t observer_event(struct observer *observer, double now, double *seen, double *told)
{
	double noise = observer->world->hardware.event_noise;
	double scale = noise > 0 ? 1 + noise * dice_normal(&observer->dice) : 1;

	*told += (now - *seen) * scale;
	*seen = now;
	return (uint64_t)*told;
}

static struct shown *observer_shown(struct observer *observer, size_t index)
{
	const struct thread *thread = &observer->world->threads[index];
	struct shown *shown = &observer->shown[index];
	uint64_t number = observer->world->vms[thread->account].number + 1;

	if (shown->number != number)
		*shown = (struct shown){.number = number};
	return shown;
}

static int observer_add_vm(struct observer *observer, const struct world_vm *vm,
			   struct sample *sample)
{
	const struct world *world = observer->world;
	struct sample_vm *sampled;
	char name[SAMPLE_NAME_SIZE];
	int status = sample_add_vm(sample, vm->vcpu_count, &sampled);

	if (status < 0)
		return status;
	sampled->uuid = observer_uuid(vm);
	(void)snprintf(name, sizeof(name), "vm-%u", (unsigned int)vm->number);
	sample_set_name(sampled, name);
	sampled->pid = (int32_t)(1000 + vm->number);
	sampled->memory_bytes = (uint64_t)(vm->memory_gib * GIBIBYTE);
	sampled->overhead_ns = observer_time_ns(observer, &world->threads[vm->overhead],
						observer_shown(observer, vm->overhead));
	for (size_t i = 0; i < vm->vcpu_count; i++) {
		const struct thread *thread = &world->threads[vm->vcpus[i]];
		struct shown *shown = observer_shown(observer, vm->vcpus[i]);
		struct sample_vcpu *vcpu = &sampled->vcpus[i];

		vcpu->time_ns = observer_time_ns(observer, thread, shown);
		vcpu->cpu = (uint32_t)thread->cpu;
		vcpu->has_events = true;
		vcpu->cycles =
		    observer_event(observer, thread->cycles, &shown->true_cycles, &shown->cycles);
		vcpu->instructions =
		    observer_event(observer, thread->instructions, &shown->true_instructions,
				   &shown->instructions);
		vcpu->llc_misses =
		    observer_event(observer, thread->misses, &shown->true_misses, &shown->misses);
	}
	return 0;
}

int observer_sample(struct observer *observer, struct sample *sample)
{
	const struct world *world = observer->world;
	double elapsed_s = world->now_s - observer->last_s;
	double used_gib = 0;
	int status = 0;

	sample_clear(sample);
	sample->time.ns = CLOCK_NS_PER_SECOND + (uint64_t)(world->now_s * NS);
	sample->zone_count = observer->head.zone_count;
	for (size_t i = 0; i < sample->zone_count; i++)
		sample->zones[i] =
		    (struct sample_zone){.raw_uj = observer_raw_uj(observer, i, elapsed_s)};
	for (size_t cpu = 0; cpu < sample->cpu_count; cpu++)
		sample->cpu_busy_ns[cpu] = observer_cpu_ns(observer, cpu, elapsed_s);
	for (size_t i = 0; i < world->vm_count && status == 0; i++) {
		if (!world->vms[i].present)
			continue;
		used_gib += world->vms[i].memory_gib;
		status = observer_add_vm(observer, &world->vms[i], sample);
	}
	sample->memory_total_bytes =
	    (uint64_t)(world->hardware.memory_gib * (double)world->hardware.sockets * GIBIBYTE);
	sample->memory_used_bytes = (uint64_t)((used_gib + 2) * GIBIBYTE);
	observer->last_s = world->now_s;
	return status;
}

void observer_strip_events(struct sample *sample)
{
	for (size_t i = 0; i < sample->vm_count; i++)
		for (size_t k = 0; k < sample->vms[i].vcpu_count; k++)
			sample->vms[i].vcpus[k].has_events = false;
}
