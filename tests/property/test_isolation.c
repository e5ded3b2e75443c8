/*
 * What a guest can learn about its neighbours from its own counter: nothing.
 *
 * A guest whose load is steady, beside a neighbour that is at work for 20 s and at rest for 20 s,
 * on 8 CPUs, the sibling of the guest's own among them: 32 W. When it works, the processor's clock
 * falls and half of the guest's core is taken, so that the guest's cycles and instructions fall,
 * too. An hour of the guest's counter is held against what the neighbour did:
 *
 *   d'           the distance of both means, in standard deviations: 1 is seen by the naked eye
 *   correlation  of the counter's steps with the neighbour's work
 */
#include "common/engine.h"
#include "common/guest_view.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define CPUS	      16
#define HOUR_S	      3600
#define KNOWN_S	      900
#define TOGGLE_S      20
#define NEIGHBOUR_W   32.0
#define PRIME_MAX     0.05
#define CORRELATE_MAX 0.02

struct scene {
	struct topology *topology;
	struct zone zones[2];
	struct ledger *ledger;
	struct engine *engine;
	struct sample sample;
	uint64_t random;
	double package_j, dram_j;
	double guest_ns, guest_cycles, guest_instructions, guest_misses;
	double neighbour_ns;
};

/* Sums over the steps of the guest's counter, apart by what the neighbour did. */
struct tally {
	double count[2], sum[2], squares[2];
};

static void scene_start(struct scene *scene, bool exact, bool events)
{
	struct engine_config config = {.guest_view_exact = exact};

	*scene = (struct scene){
	    .random = events ? 5 : 7,
	    .zones = {
		{.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = UINT64_MAX},
		{.id = "dram-0", .kind = ZONE_DRAM, .die = ZONE_ANY_DIE, .range_uj = UINT64_MAX}}};
	assert_int_equal(topology_create(&scene->topology), 0);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		struct topology_cpu row = {.cpu = cpu, .core = cpu / 2};

		assert_int_equal(topology_add(scene->topology, &row), 0);
	}
	assert_int_equal(ledger_create(&scene->ledger), 0);
	assert_int_equal(
	    engine_create(&config, scene->topology, scene->zones, 2, scene->ledger, &scene->engine),
	    0);
	assert_int_equal(sample_init(&scene->sample, CPUS), 0);
	scene->sample.zone_count = 2;
	scene->sample.memory_total_bytes = UINT64_C(64) << 30;
	scene->sample.memory_used_bytes = UINT64_C(16) << 30;
}

static void scene_stop(struct scene *scene)
{
	sample_finish(&scene->sample);
	engine_destroy(scene->engine);
	ledger_destroy(scene->ledger);
	topology_destroy(scene->topology);
}

/* The host goes on by that much, with the neighbour at work or at rest. */
static void scene_advance(struct scene *scene, bool work, double seconds)
{
	double ghz = work ? 2.6 : 3.4, beside = work ? 0.6 : 1;
	/* The guest's own load: 60 % of a CPU, a little more, a little less. */
	double own = 0.6 + 0.04 * ((double)check_random_below(&scene->random, 1000) / 1000 - 0.5);
	double guest_ns = own * seconds * 1e9;

	scene->guest_ns += guest_ns;
	scene->guest_cycles += guest_ns * ghz;
	scene->guest_instructions += guest_ns * ghz * 1.3 * beside;
	scene->guest_misses += guest_ns * 0.002;
	scene->neighbour_ns += work ? seconds * 1e9 : 0;
	scene->package_j +=
	    seconds * (30 + own * 5 * beside * ghz / 3.4 + (work ? NEIGHBOUR_W : 0));
	scene->dram_j += seconds * (6 + own * 0.4 + (work ? 3 : 0));
}

static void scene_add_guest(struct scene *scene, bool events)
{
	struct sample_vm *vm = NULL;

	assert_int_equal(sample_add_vm(&scene->sample, 1, &vm), 0);
	CHECK_POINTER(vm);
	vm->uuid.bytes[0] = 1;
	vm->memory_bytes = UINT64_C(2) << 30;
	vm->vcpus[0] = (struct sample_vcpu){.time_ns = (uint64_t)scene->guest_ns,
					    .cpu = 0,
					    .has_events = events,
					    .cycles = (uint64_t)scene->guest_cycles,
					    .instructions = (uint64_t)scene->guest_instructions,
					    .llc_misses = (uint64_t)scene->guest_misses};
}

static void scene_sample(struct scene *scene, double time_s, bool guest, bool events)
{
	struct sample_vm *vm = NULL;

	sample_clear(&scene->sample);
	scene->sample.time.ns = (uint64_t)(time_s * 1e9 + 0.5);
	scene->sample.zones[0].raw_uj = (uint64_t)(scene->package_j * 1e6);
	scene->sample.zones[1].raw_uj = (uint64_t)(scene->dram_j * 1e6);
	for (size_t cpu = 0; cpu < CPUS; cpu++)
		scene->sample.cpu_busy_ns[cpu] = cpu == 0   ? (uint64_t)scene->guest_ns
						 : cpu <= 8 ? (uint64_t)scene->neighbour_ns
							    : 0;
	if (guest)
		scene_add_guest(scene, events);
	assert_int_equal(sample_add_vm(&scene->sample, 8, &vm), 0);
	CHECK_POINTER(vm);
	vm->uuid.bytes[0] = 2;
	vm->memory_bytes = UINT64_C(8) << 30;
	for (uint32_t i = 0; i < 8; i++)
		vm->vcpus[i] =
		    (struct sample_vcpu){.time_ns = (uint64_t)scene->neighbour_ns,
					 .cpu = 1 + i,
					 .has_events = events,
					 .cycles = (uint64_t)(scene->neighbour_ns * 2.6),
					 .instructions = (uint64_t)(scene->neighbour_ns * 2),
					 .llc_misses = (uint64_t)(scene->neighbour_ns * 0.002)};
	assert_int_equal(engine_step(scene->engine, &scene->sample), 0);
}

static const struct ledger_vm *scene_guest(const struct scene *scene)
{
	struct uuid uuid = {.bytes = {1}};
	int slot = ledger_find(scene->ledger, &uuid);

	assert_true(slot >= 0);
	return ledger_vm_const(scene->ledger, (size_t)slot);
}

static uint64_t scene_shown_uj(const struct scene *scene)
{
	const struct ledger_vm *guest = scene_guest(scene);

	return guest->guest[0].zone_uj[ZONE_PACKAGE] + guest->guest[0].zone_uj[ZONE_DRAM];
}

static bool scene_works(double time_s)
{
	return (int)(time_s / TOGGLE_S) % 2 == 1;
}

/* The host gets to know itself before the guest comes; without that it comes to a new host. */
static struct tally scene_run(struct scene *scene, double period_s, bool events, int known_s)
{
	struct tally tally = {0};
	int steps = (int)(HOUR_S / period_s);
	uint64_t before_uj = 0;

	for (int second = 0; second < known_s; second++) {
		scene_sample(scene, second, false, events);
		scene_advance(scene, scene_works(second), 1);
	}
	scene_sample(scene, known_s, true, events);
	for (int step = 1; step <= steps; step++) {
		double time_s = step * period_s;
		bool work = scene_works(known_s + time_s - period_s / 2);
		uint64_t shown_uj;
		double power_w;

		scene_advance(scene, work, period_s);
		scene_sample(scene, known_s + time_s, true, events);
		shown_uj = scene_shown_uj(scene);
		power_w = (double)(shown_uj - before_uj) / period_s / 1e6;
		before_uj = shown_uj;
		/* At first the exact share is told: what a guest sees once. */
		if (time_s <= (double)GUEST_VIEW_SEED_NS / 1e9 + 1)
			continue;
		tally.count[work]++;
		tally.sum[work] += power_w;
		tally.squares[work] += power_w * power_w;
	}
	return tally;
}

static double tally_prime(const struct tally *tally, double *ret_correlation)
{
	double mean[2], variance[2], count = tally->count[0] + tally->count[1];
	double both, total;

	for (int i = 0; i < 2; i++) {
		mean[i] = tally->sum[i] / tally->count[i];
		variance[i] = tally->squares[i] / tally->count[i] - mean[i] * mean[i];
	}
	both = (tally->sum[0] + tally->sum[1]) / count;
	total = (tally->squares[0] + tally->squares[1]) / count - both * both;
	*ret_correlation =
	    (mean[1] - mean[0]) * sqrt(tally->count[0] * tally->count[1]) / count / sqrt(total);
	return (mean[1] - mean[0]) / sqrt((variance[0] + variance[1]) / 2);
}

/* After an hour the guest has been told what its exact account says, about. */
static void check_total(const struct scene *scene, double tolerance)
{
	const struct ledger_vm *guest = scene_guest(scene);
	double exact_uj = 0, shown_uj = 0;

	for (size_t zone = 0; zone < 2; zone++) {
		exact_uj += (double)ledger_share_total_uj(&guest->shares[zone]);
		shown_uj += (double)guest->shares[zone].guest_view_uj;
	}
	(void)printf("  %+.2f %% beside the exact account\n", 100 * (shown_uj / exact_uj - 1));
	assert_true(fabs(shown_uj / exact_uj - 1) <= tolerance);
}

static void check_scene(bool exact, bool events, double period_s, int known_s)
{
	struct scene scene;
	struct tally tally;
	double prime, correlation;

	scene_start(&scene, exact, events);
	tally = scene_run(&scene, period_s, events, known_s);
	prime = tally_prime(&tally, &correlation);
	(void)printf("%s, %s, every %g s: d' %.4f, correlation %.4f\n",
		     exact ? "exact" : "isolated", events ? "events" : "time", period_s, prime,
		     correlation);
	if (exact)
		assert_true(fabs(prime) > 1);
	else
		assert_true(fabs(prime) <= PRIME_MAX && fabs(correlation) <= CORRELATE_MAX);
	/* On a new host the exact account itself changes while the host is learned. */
	if (!exact)
		check_total(&scene, known_s > 0 ? 0.02 : 0.05);
	scene_stop(&scene);
}

/* Without it the test below would prove nothing: the same figures can see the neighbour. */
static void test_the_exact_share_shows_the_neighbour(void **state)
{
	(void)state;
	check_scene(true, false, 1, KNOWN_S);
	check_scene(true, true, 1, KNOWN_S);
}

static void test_the_isolated_view_shows_nothing(void **state)
{
	(void)state;
	for (int events = 0; events < 2; events++) {
		check_scene(false, events == 1, 1, 0);
		check_scene(false, events == 1, 1, KNOWN_S);
		check_scene(false, events == 1, 0.01, KNOWN_S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_exact_share_shows_the_neighbour),
	    cmocka_unit_test(test_the_isolated_view_shows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
