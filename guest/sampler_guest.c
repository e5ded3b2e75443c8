#include "guest/sampler_guest.h"
#include "common/cleanup.h"
#include "common/cpu_busy.h"
#include "common/features.h"
#include "common/memory.h"
#include "common/parse.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The meter's totals only grow; nobody gets there. */
#define SAMPLER_RANGE_UJ (UINT64_MAX / 2)

/* How far the units' time may run ahead of the CPUs' coarser clock: what activity.h makes up for.
 */
#define SAMPLER_AHEAD_NS_PER_CPU UINT64_C(50000000)

/* Of the first line of /proc/stat: user nice system idle iowait irq softirq steal. */
#define SAMPLER_STEAL_COLUMN 7

struct sampler_guest {
	const struct clock *clock;
	struct topology *topology;
	struct cpu_busy *cpu_busy;
	int memory_fd;
	int stat_fd;
	uint64_t *busy_ns;	/* [cpu] */
	uint64_t *busy_step_ns; /* [cpu] since the reading before */
	uint64_t *next_ns;	/* [cpu] */
	bool stepped;
	bool has_steal;
	uint64_t steal_first_ns;
	uint64_t steal_ns;
	uint64_t ahead_ns; /* the units' time ahead of the CPUs' */
	struct sample sample;
};

static int sampler_guest_allocate(struct sampler_guest *sampler)
{
	size_t count = sampler->topology->cpu_count;
	int status = sample_init(&sampler->sample, count);

	sampler->busy_ns = calloc(3 * count + 1, sizeof(*sampler->busy_ns));
	if (status < 0 || sampler->busy_ns == NULL)
		return -ENOMEM;
	sampler->busy_step_ns = sampler->busy_ns + count;
	sampler->next_ns = sampler->busy_step_ns + count;
	return 0;
}

int sampler_guest_create(const struct sysroot *root, const struct clock *clock,
			 struct sampler_guest **ret_sampler, struct diag *diag)
{
	cleanup_sampler_guest struct sampler_guest *sampler = calloc(1, sizeof(*sampler));
	int status;

	if (sampler == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	sampler->clock = clock;
	sampler->memory_fd = -1;
	sampler->stat_fd = -1;
	status = topology_read(root, &sampler->topology, diag);
	if (status < 0)
		return status;
	status = cpu_busy_open(root, sampler->topology, &sampler->cpu_busy, diag);
	if (status < 0)
		return status;
	status = memory_open(root, &sampler->memory_fd, diag);
	if (status < 0)
		return status;
	sampler->stat_fd = openat(sysroot_proc_fd(root), "stat", O_RDONLY | O_CLOEXEC);
	if (sampler_guest_allocate(sampler) < 0)
		return diag_error(diag, -ENOMEM, "out of memory");
	*ret_sampler = TAKE_PTR(sampler);
	return 0;
}

void sampler_guest_destroy(struct sampler_guest *sampler)
{
	if (sampler == NULL)
		return;
	sample_finish(&sampler->sample);
	free(sampler->busy_ns);
	if (sampler->stat_fd >= 0)
		(void)close(sampler->stat_fd);
	if (sampler->memory_fd >= 0)
		(void)close(sampler->memory_fd);
	cpu_busy_close(sampler->cpu_busy);
	topology_destroy(sampler->topology);
	free(sampler);
}

const struct topology *sampler_guest_topology(const struct sampler_guest *sampler)
{
	return sampler->topology;
}

/* The sum line comes first; old kernels and hand-made trees may have no such column. */
static void sampler_guest_read_steal(struct sampler_guest *sampler)
{
	char line[256];
	const char *cursor = line + strlen("cpu");
	uint64_t ticks = 0;
	ssize_t got = pread(sampler->stat_fd, line, sizeof(line) - 1, 0);
	uint64_t tick_ns = CLOCK_NS_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK);

	if (got <= 0)
		return;
	line[got] = '\0';
	if (strncmp(line, "cpu ", 4) != 0)
		return;
	for (int column = 0; column <= SAMPLER_STEAL_COLUMN; column++)
		if (parse_next_u64(&cursor, &ticks) < 0)
			return;
	sampler->steal_ns = features_scale(ticks, tick_ns, 1);
	if (!sampler->has_steal)
		sampler->steal_first_ns = sampler->steal_ns;
	sampler->has_steal = true;
}

int sampler_guest_read(struct sampler_guest *sampler, struct mono_time now)
{
	size_t count = sampler->topology->cpu_count;
	int status = cpu_busy_read(sampler->cpu_busy, now, sampler->next_ns);

	if (status < 0)
		memcpy(sampler->next_ns, sampler->busy_ns, count * sizeof(sampler->next_ns[0]));
	for (size_t i = 0; i < count; i++) {
		sampler->busy_step_ns[i] =
		    sampler->stepped ? features_delta(sampler->busy_ns[i], sampler->next_ns[i]) : 0;
		sampler->busy_ns[i] = sampler->next_ns[i];
	}
	sampler->stepped = true;
	sampler_guest_read_steal(sampler);
	return status;
}

uint64_t sampler_guest_steal_ns(const struct sampler_guest *sampler)
{
	return features_delta(sampler->steal_first_ns, sampler->steal_ns);
}

static uint64_t sampler_sum(const uint64_t values[], size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum = features_sum(sum, values[i]);
	return sum;
}

/* Adds `amount_ns` to the CPUs by their weights, exactly; to the first where there are none. */
static void sampler_spread(uint64_t cpu_ns[], const uint64_t weights[], size_t count,
			   uint64_t amount_ns)
{
	uint64_t total = sampler_sum(weights, count);
	uint64_t left_ns = amount_ns;
	size_t heaviest = 0;

	for (size_t i = 0; i < count && total > 0; i++) {
		uint64_t part_ns = features_scale(amount_ns, weights[i], total);

		cpu_ns[i] = features_sum(cpu_ns[i], part_ns);
		left_ns = features_delta(part_ns, left_ns);
		heaviest = weights[i] > weights[heaviest] ? i : heaviest;
	}
	if (count > 0)
		cpu_ns[heaviest] = features_sum(cpu_ns[heaviest], left_ns);
}

/* One unit's step: where its processes were, and the rest where the CPUs were busy. */
static void sampler_guest_place(const struct sampler_guest *sampler, struct unit *unit,
				uint64_t growth_ns)
{
	size_t count = sampler->topology->cpu_count;
	uint64_t known_ns = sampler_sum(unit->place_ns, count);

	if (known_ns > growth_ns)
		known_ns = growth_ns;
	sampler_spread(unit->cpu_ns, unit->place_ns, count, known_ns);
	sampler_spread(unit->cpu_ns, sampler->busy_step_ns, count, growth_ns - known_ns);
	memset(unit->place_ns, 0, count * sizeof(unit->place_ns[0]));
}

/*
 * Where task times include what the hypervisor stole, the units' times are more than the CPUs were
 * busy, which is without it. Then all of them are scaled down; what is ahead for a moment, because
 * the clocks are not equally fine, is not.
 */
static uint64_t sampler_guest_room(struct sampler_guest *sampler, uint64_t units_ns)
{
	uint64_t busy_ns = sampler_sum(sampler->busy_step_ns, sampler->topology->cpu_count);
	uint64_t ahead_max_ns = SAMPLER_AHEAD_NS_PER_CPU * sampler->topology->cpu_count;
	uint64_t room_ns = features_sum(busy_ns, ahead_max_ns - sampler->ahead_ns);

	if (room_ns > units_ns)
		room_ns = units_ns;
	sampler->ahead_ns = features_delta(busy_ns, features_sum(sampler->ahead_ns, room_ns));
	return room_ns;
}

static int sampler_guest_add_unit(struct sampler_guest *sampler, const struct unit *unit)
{
	size_t count = sampler->topology->cpu_count;
	struct sample_vm *vm;
	int status = sample_add_vm(&sampler->sample, count, &vm);

	if (status < 0)
		return status;
	vm->uuid = unit->uuid;
	sample_set_name(vm, unit->name);
	vm->born = unit->born;
	vm->memory_bytes = unit->memory_bytes;
	for (size_t i = 0; i < count; i++) {
		vm->vcpus[i].time_ns = unit->cpu_ns[i];
		vm->vcpus[i].cpu = sampler->topology->cpus[i].cpu;
	}
	return 0;
}

static void sampler_guest_fill_machine(struct sampler_guest *sampler,
				       const struct meter_reading *reading)
{
	struct sample *sample = &sampler->sample;
	struct memory memory;

	sample_clear(sample);
	sample->time = reading->time;
	sample->suspended_ns = clock_suspended_ns(sampler->clock);
	memcpy(sample->cpu_busy_ns, sampler->busy_ns,
	       sampler->topology->cpu_count * sizeof(sample->cpu_busy_ns[0]));
	cpu_busy_rest(sampler->cpu_busy, sample->cpu_rest_ns);
	if (memory_read(sampler->memory_fd, &memory) == 0) {
		sample->memory_total_bytes = memory.total_bytes;
		sample->memory_used_bytes = memory.used_bytes;
	}
}

int sampler_guest_fill(struct sampler_guest *sampler, struct unit_roster *roster,
		       const struct meter_reading *reading, const size_t zones[], size_t zone_count,
		       const struct sample **ret_sample)
{
	uint64_t units_ns = 0, room_ns;
	int result = 0;

	sampler_guest_fill_machine(sampler, reading);
	sampler->sample.zone_count = zone_count;
	for (size_t i = 0; i < zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[zones[i]];

		assert(zones[i] < reading->zone_count);
		sampler->sample.zones[i] =
		    (struct sample_zone){.error = zone->available ? 0 : -ENODATA,
					 .raw_uj = zone->energy_uj % SAMPLER_RANGE_UJ};
	}
	for (size_t i = 0; i < UNIT_MAX; i++)
		if (unit_roster_unit(roster, i) != NULL)
			units_ns = features_sum(units_ns, unit_roster_unit(roster, i)->growth_ns);
	room_ns = sampler_guest_room(sampler, units_ns);
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = unit_roster_unit(roster, i);
		int status;

		if (unit == NULL)
			continue;
		sampler_guest_place(
		    sampler, unit,
		    units_ns > 0 ? features_scale(unit->growth_ns, room_ns, units_ns) : 0);
		status = sampler_guest_add_unit(sampler, unit);
		if (status < 0)
			result = status;
	}
	*ret_sample = &sampler->sample;
	return result;
}
