/*
 * What the engine costs beside the reading: samples of a made-up host of two packages and 128 CPUs,
 * with 5 zones and so many VMs of VCPUS vCPUs, all of which run in every interval.
 *
 *     engine_cost VMS
 *
 * Prints the nanoseconds of one sample, each of the middle one: of those in which calibration only
 * gathers, and of those, one a second, in which it fits every zone.
 */
#include "common/calibration.h"
#include "common/clock.h"
#include "common/engine.h"
#include "common/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS	  128
#define PACKAGES  2
#define ZONES	  (2 * PACKAGES + 1)
#define VCPUS	  4
#define PERIOD_NS UINT64_C(50000000)
#define FIT_EVERY ((int)(CALIBRATION_PERIOD_NS / PERIOD_NS))
#define STEPS	  400 /* a whole number of seconds */
#define WARM_UP	  (2 * FIT_EVERY)

struct cost {
	size_t vm_count;
	struct topology *topology;
	struct zone zones[ZONES];
	struct ledger *ledger;
	struct engine *engine;
	struct sample sample;
	uint64_t random;
	uint64_t *time_ns; /* of every vCPU */
};

static int cost_create_host(struct cost *cost)
{
	int status = topology_create(&cost->topology);

	for (uint32_t cpu = 0; cpu < CPUS && status == 0; cpu++) {
		struct topology_cpu row = {
		    .cpu = cpu, .core = cpu % (CPUS / 2), .package = cpu % PACKAGES};

		status = topology_add(cost->topology, &row);
	}
	for (uint32_t i = 0; i < ZONES; i++) {
		static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_DRAM, ZONE_PSYS};
		struct zone *zone = &cost->zones[i];

		*zone = (struct zone){.kind = kinds[i / PACKAGES],
				      .package = i % PACKAGES,
				      .die = ZONE_ANY_DIE,
				      .range_uj = UINT64_MAX};
		(void)snprintf(zone->id, sizeof(zone->id), "zone-%" PRIu32, i);
	}
	return status;
}

static int cost_create(struct cost *cost, size_t vm_count)
{
	const struct engine_config config = {.idle = ATTRIBUTION_IDLE_VCPU};
	int status = cost_create_host(cost);

	cost->vm_count = vm_count;
	cost->random = 1;
	cost->time_ns = calloc(vm_count * VCPUS + 1, sizeof(cost->time_ns[0]));
	if (status == 0 && cost->time_ns == NULL)
		status = -ENOMEM;
	if (status == 0)
		status = sample_init(&cost->sample, CPUS);
	if (status == 0)
		status = ledger_create(&cost->ledger);
	if (status == 0)
		status = engine_create(&config, cost->topology, cost->zones, ZONES, cost->ledger,
				       &cost->engine);
	return status;
}

/* Xorshift (Marsaglia, "Xorshift RNGs", J. Stat. Softw. 8, 2003). */
static uint64_t cost_random(struct cost *cost, uint64_t limit)
{
	cost->random ^= cost->random << 13;
	cost->random ^= cost->random >> 7;
	cost->random ^= cost->random << 17;
	return cost->random % limit;
}

static int cost_add_vm(struct cost *cost, size_t index, uint64_t most_ns)
{
	struct sample_vm *vm;
	int status = sample_add_vm(&cost->sample, VCPUS, &vm);

	if (status < 0)
		return status;
	memcpy(vm->uuid.bytes, &index, sizeof(index));
	vm->uuid.bytes[15] = 1;
	vm->memory_bytes = UINT64_C(2) << 30;
	for (size_t i = 0; i < VCPUS; i++) {
		size_t vcpu = index * VCPUS + i;
		uint64_t spent_ns = cost_random(cost, most_ns);

		cost->time_ns[vcpu] += spent_ns;
		cost->sample.cpu_busy_ns[vcpu % CPUS] += spent_ns;
		vm->vcpus[i] = (struct sample_vcpu){.time_ns = cost->time_ns[vcpu],
						    .cpu = (uint32_t)(vcpu % CPUS),
						    .has_events = true,
						    .cycles = 3 * cost->time_ns[vcpu],
						    .instructions = 4 * cost->time_ns[vcpu],
						    .llc_misses = cost->time_ns[vcpu] / 100};
	}
	return 0;
}

/* The next sample; a zone draws 30 W and what its share of the CPUs' time costs. */
static int cost_fill(struct cost *cost)
{
	uint64_t most_ns = PERIOD_NS * CPUS / (cost->vm_count * VCPUS + 1) + 1;
	uint64_t time_ns = cost->sample.time.ns + PERIOD_NS;
	uint64_t busy_ns = 0;
	int status = 0;

	sample_clear(&cost->sample);
	cost->sample.time.ns = time_ns;
	cost->sample.zone_count = ZONES;
	cost->sample.memory_total_bytes = UINT64_C(1) << 42;
	cost->sample.memory_used_bytes = UINT64_C(1) << 41;
	if (most_ns > PERIOD_NS)
		most_ns = PERIOD_NS;
	for (size_t i = 0; i < cost->vm_count && status == 0; i++)
		status = cost_add_vm(cost, i, most_ns);
	for (size_t cpu = 0; cpu < CPUS; cpu++)
		busy_ns += cost->sample.cpu_busy_ns[cpu];
	for (size_t i = 0; i < ZONES; i++)
		cost->sample.zones[i].raw_uj = time_ns / 1000 * 30 + busy_ns / 1000;
	return status;
}

static int compare_u64(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static uint64_t middle(uint64_t spans_ns[], size_t count)
{
	qsort(spans_ns, count, sizeof(spans_ns[0]), compare_u64);
	return spans_ns[count / 2];
}

static int cost_measure(struct cost *cost)
{
	static uint64_t plain_ns[STEPS], fitted_ns[STEPS];
	size_t plain_count = 0, fitted_count = 0;

	for (int step = 0; step < WARM_UP + STEPS; step++) {
		const struct clock *clock = clock_real();
		struct mono_time begun;
		uint64_t span_ns;
		int status = cost_fill(cost);

		if (status < 0)
			return status;
		begun = clock_now_mono(clock);
		status = engine_step(cost->engine, &cost->sample);
		span_ns = clock_elapsed_ns(begun, clock_now_mono(clock));
		if (status < 0)
			return status;
		if (step < WARM_UP)
			continue;
		/* The first sample has no interval, so a second is full at each FIT_EVERY-th. */
		if (step % FIT_EVERY == 0)
			fitted_ns[fitted_count++] = span_ns;
		else
			plain_ns[plain_count++] = span_ns;
	}
	(void)printf("%" PRIu64 " %" PRIu64 "\n", middle(plain_ns, plain_count),
		     middle(fitted_ns, fitted_count));
	return 0;
}

int main(int argc, char *argv[])
{
	struct cost cost = {.vm_count = 0};
	uint64_t vm_count;
	int status;

	if (argc != 2 || parse_u64(argv[1], &vm_count) < 0 || vm_count > LEDGER_VM_MAX - 1) {
		(void)fprintf(stderr, "usage: engine_cost VMS\n");
		return 2;
	}
	status = cost_create(&cost, vm_count);
	if (status == 0)
		status = cost_measure(&cost);
	if (status < 0)
		(void)fprintf(stderr, "engine_cost: %s\n", strerror(-status));
	engine_destroy(cost.engine);
	ledger_destroy(cost.ledger);
	sample_finish(&cost.sample);
	topology_destroy(cost.topology);
	free(cost.time_ns);
	return status < 0 ? 1 : 0;
}
