#include "tests/sim/power.h"
#include "tests/sim/world.h"
#include "tests/unit/check.h"

#include <math.h>

#define MINUTE_S 60

static void assert_near(double found, double wanted, double part)
{
	if (fabs(found - wanted) > part * fabs(wanted))
		fail_msg("%.12g is not %.12g", found, wanted);
}

/* One socket of four cores in which nothing but the cores' own power moves. */
static struct hardware plain_hardware(size_t threads)
{
	return (struct hardware){.sockets = 1,
				 .cores = 4,
				 .threads = threads,
				 .governor = GOVERNOR_FIXED,
				 .governor_lag_s = 1,
				 .ghz_min = 1,
				 .ghz_base = 2,
				 .ghz_turbo_one = 3,
				 .ghz_turbo_all = 2.5,
				 .turbo_curve = 1,
				 .volt_min = 1,
				 .volt_max = 1,
				 .volt_curve = 1,
				 .core_base_w = 0.5,
				 .core_clock_w = 0.25,
				 .core_leak_w = 0.3,
				 .instruction_scale = 1,
				 .smt_yield = 0.5,
				 .idle_w = 10,
				 .uncore_cpus = 4,
				 .heat_lag_s = 10,
				 .memory_gib = 64,
				 .dram_idle_w = 4,
				 .numa_local = 1,
				 .supply_yield = 0.5,
				 .platform_w = 7,
				 .package_unit_j = 0x1p-14,
				 .dram_unit_j = 0x1p-16};
}

static struct world *plain_world(const struct hardware *hardware)
{
	struct world *world = NULL;

	assert_int_equal(world_create_empty(hardware, 1, &world), 0);
	CHECK_POINTER(world);
	return world;
}

/* A machine of one vCPU on that CPU; its work is two instructions a cycle, half a watt each. */
static size_t plain_vm(struct world *world, size_t cpu, double level)
{
	struct load load = {
	    .pattern = LOAD_GIVEN,
	    .level = level,
	    .profile_count = 1,
	    .switch_at_s = 1e18,
	    .profiles = {{.cpi = 0.5, .instruction_w = 0.25, .traffic = 1, .clock_scale = 1}}};
	int vm = world_add_vm(world, 1, 16, &load);

	assert_true(vm >= 0);
	world_pin(world, world->vms[vm].vcpus[0], cpu);
	return (size_t)vm;
}

static void test_an_idle_host_draws_its_idle_power(void **state)
{
	struct hardware hardware = plain_hardware(2);
	struct world *world;

	(void)state;
	hardware.wake_w = 5;
	hardware.uncore_w = 5;
	world = plain_world(&hardware);
	world_advance(world, 10);
	assert_near(world->sockets[0].package_j, 100, 1e-9);
	assert_near(world->sockets[0].dram_j, 40, 1e-9);
	assert_near(world->psys_j, 140 / 0.5 + 70, 1e-9);
	assert_near(world->vacant.package_idle_j, 100, 1e-9);
	assert_true(world->host.package_j == 0);
	world_destroy(world);
}

/* Alone: 2 GHz * 1 V^2 * (base 0.5 + clock 0.25 + 2 ipc * 0.25) + leak 0.3 = 2.8 W. */
static void test_one_thread_draws_what_the_formula_says(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world = plain_world(&hardware);
	size_t vm = plain_vm(world, 0, 0.5);

	(void)state;
	world_advance(world, 10);
	assert_near(world->vms[vm].truth.package_j, 14, 1e-9);
	assert_near(world->sockets[0].package_j, 114, 1e-9);
	/* One vCPU of four CPUs carries a fourth; 16 of 64 GiB as much. */
	assert_near(world->vms[vm].truth.package_idle_j, 25, 1e-9);
	assert_near(world->vms[vm].truth.dram_idle_j, 10, 1e-9);
	assert_near(world->vacant.package_idle_j, 75, 1e-9);
	assert_near(world->threads[world->vms[vm].vcpus[0]].time_s, 5, 1e-9);
	assert_near(world->threads[world->vms[vm].vcpus[0]].cycles, 1e10, 1e-9);
	assert_near(world->threads[world->vms[vm].vcpus[0]].instructions, 2e10, 1e-9);
	world_destroy(world);
}

/* Both: base and leak once, half the instructions each: 1.3 + 2 * (0.5 + 0.5) = 3.3 W. */
static void test_siblings_share_a_core(void **state)
{
	struct hardware hardware = plain_hardware(2);
	struct world *world = plain_world(&hardware);
	size_t first = plain_vm(world, 1, 1), second = plain_vm(world, 5, 1);

	(void)state;
	world_advance(world, 10);
	assert_near(world->vms[first].truth.package_j, 16.5, 1e-9);
	assert_near(world->vms[second].truth.package_j, 16.5, 1e-9);
	assert_near(world->threads[world->vms[first].vcpus[0]].instructions, 2e10, 1e-9);
	world_destroy(world);
}

static void test_a_crowded_cpu_gives_each_his_part(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world = plain_world(&hardware);
	size_t eager = plain_vm(world, 2, 1), mild = plain_vm(world, 2, 0.5);

	(void)state;
	world_advance(world, 3);
	assert_near(world->threads[world->vms[eager].vcpus[0]].time_s, 2, 1e-9);
	assert_near(world->threads[world->vms[mild].vcpus[0]].time_s, 1, 1e-9);
	assert_near(world->cpu_time_s[2], 3, 1e-9);
	world_destroy(world);
}

/* 5 W while anyone runs, and 8 W (1 - exp(-busy CPUs / 4)). */
static void test_a_package_is_awake_for_all(void **state)
{
	struct hardware hardware = plain_hardware(1);
	double uncore_w = 8 * (1 - exp(-1.0 / 4));
	struct world *world;
	size_t half, other;

	(void)state;
	hardware.wake_w = 5;
	hardware.uncore_w = 8;
	world = plain_world(&hardware);
	half = plain_vm(world, 0, 0.5);
	other = plain_vm(world, 1, 0.5);
	world_advance(world, 10);
	/* Three fourths of the time somebody runs, and equals pay alike. */
	assert_near(world->vms[half].truth.package_j, 14 + 5 * (5 * 0.75 + uncore_w), 1e-9);
	assert_near(world->vms[other].truth.package_j, world->vms[half].truth.package_j, 1e-9);
	world_destroy(world);
}

/* A thousandth of 4e10 instructions misses, and moves two lines each time. */
static void test_a_line_costs_on_its_way_and_in_memory(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world;
	struct world_vm *vm;

	(void)state;
	hardware.miss_nj = 10;
	hardware.dram_line_nj = 30;
	hardware.sockets = 2;
	hardware.numa_local = 0.5;
	world = plain_world(&hardware);
	vm = &world->vms[plain_vm(world, 0, 1)];
	vm->load.profiles[0].misses = 0.001;
	vm->load.profiles[0].overlap = 1;
	vm->load.profiles[0].traffic = 2;
	world_advance(world, 10);
	assert_near(world->threads[vm->vcpus[0]].misses, 4e7, 1e-9);
	assert_near(vm->truth.package_j, 28 + 8e7 * 10e-9, 1e-9);
	assert_near(vm->truth.dram_j, 8e7 * 30e-9, 1e-9);
	assert_near(world->sockets[0].dram_j, 40 + 0.75 * 2.4, 1e-9);
	assert_near(world->sockets[1].dram_j, 40 + 0.25 * 2.4, 1e-9);
	world_destroy(world);
}

static void test_heat_is_paid_by_who_made_it(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world;
	size_t hot, idle;

	(void)state;
	hardware.heat_per_w = 0.1;
	world = plain_world(&hardware);
	hot = plain_vm(world, 0, 1);
	idle = plain_vm(world, 1, 0);
	world_advance(world, 200);
	/* The lag of 10 s is missing from the first seconds. */
	assert_near(world->vms[hot].truth.package_j, 2.8 * 200 + 0.28 * 190, 0.001);
	assert_true(world->vms[idle].truth.package_j == 0);
	world_destroy(world);
}

static void test_turbo_falls_as_cores_wake(void **state)
{
	struct hardware hardware = plain_hardware(1);

	(void)state;
	assert_near(power_turbo_ghz(&hardware, 0), 3, 1e-12);
	assert_near(power_turbo_ghz(&hardware, 0.5), 2.75, 1e-12);
	assert_near(power_turbo_ghz(&hardware, 1), 2.5, 1e-12);
	hardware.volt_min = 0.7;
	assert_near(power_volts(&hardware, 1), 0.7, 1e-12);
	assert_near(power_volts(&hardware, 3), 1, 1e-12);
}

/* A governor raises a busy core to its most, and an idle one sinks to its least. */
static void test_a_governor_follows_the_load(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world;
	size_t vm;

	(void)state;
	hardware.governor = GOVERNOR_ONDEMAND;
	world = plain_world(&hardware);
	vm = plain_vm(world, 0, 1);
	world_advance(world, 20);
	/* It needs 2.5 GHz / f of the time, and f is 3 GHz less an eighth of that. */
	assert_near(world->core_ghz[0], (3 + sqrt(9 - 4 * 2.5 / 8)) / 2, 1e-6);
	assert_near(world->core_ghz[1], 1, 1e-12);
	world->vms[vm].load.level = 0.1;
	world_advance(world, 20);
	assert_near(world->core_ghz[0], 1, 1e-12);
	/* A tenth of the work at the turbo's 2.5 GHz takes a fourth of the time at 1 GHz. */
	assert_near(world->cpu_busy[0], 0.25, 1e-6);
	world_destroy(world);
}

/* All that was drawn has been caused by somebody, on hosts of every class. */
static void test_the_truth_adds_up(void **state)
{
	(void)state;
	for (int class = 0; class < HOST_CLASS_COUNT; class ++) {
		for (uint64_t seed = 1; seed <= 4; seed++) {
			struct world *world = NULL;
			double package_j, dram_j, drawn_j[2] = {0, 0};

			assert_int_equal(world_create((enum host_class) class, seed, &world), 0);
			CHECK_POINTER(world);
			world_advance(world, MINUTE_S);
			world_remix(world);
			world_advance(world, MINUTE_S);
			package_j = world->host.package_j + world->vacant.package_idle_j;
			dram_j = world->host.dram_j + world->vacant.dram_idle_j;
			for (size_t vm = 0; vm < world->vm_count; vm++) {
				const struct truth *truth = &world->vms[vm].truth;

				assert_true(truth->package_j >= 0 && truth->dram_j >= 0);
				package_j += truth->package_j + truth->package_idle_j;
				dram_j += truth->dram_j + truth->dram_idle_j;
			}
			for (size_t socket = 0; socket < world->hardware.sockets; socket++) {
				drawn_j[0] += world->sockets[socket].package_j;
				drawn_j[1] += world->sockets[socket].dram_j;
			}
			assert_near(package_j, drawn_j[0], 1e-9);
			assert_near(dram_j, drawn_j[1], 1e-9);
			world_destroy(world);
		}
	}
}

static void test_a_seed_is_a_host(void **state)
{
	struct world *one = NULL, *again = NULL, *other = NULL;

	(void)state;
	assert_int_equal(world_create(HOST_MIXED, 7, &one), 0);
	assert_int_equal(world_create(HOST_MIXED, 7, &again), 0);
	assert_int_equal(world_create(HOST_MIXED, 8, &other), 0);
	CHECK_POINTER(one);
	CHECK_POINTER(again);
	CHECK_POINTER(other);
	world_advance(one, MINUTE_S);
	world_advance(again, MINUTE_S);
	world_advance(other, MINUTE_S);
	assert_true(one->sockets[0].package_j == again->sockets[0].package_j);
	assert_true(one->vms[0].truth.package_j == again->vms[0].truth.package_j);
	assert_true(one->sockets[0].package_j != other->sockets[0].package_j);
	world_destroy(one);
	world_destroy(again);
	world_destroy(other);
}

static void test_a_packed_host_is_never_idle(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = NULL;

		assert_int_equal(world_create(HOST_PACKED, seed, &world), 0);
		CHECK_POINTER(world);
		for (size_t second = 0; second < MINUTE_S; second++) {
			world_advance(world, 1);
			if (second == MINUTE_S / 2)
				world_remix(world);
			for (size_t cpu = 0; cpu < hardware_cpu_count(&world->hardware); cpu++)
				assert_true(world->cpu_busy[cpu] > 0.99);
		}
		world_destroy(world);
	}
}

static void test_a_full_host_takes_no_more(void **state)
{
	struct hardware hardware = plain_hardware(1);
	struct world *world = plain_world(&hardware);
	struct load load = {.pattern = LOAD_GIVEN, .profile_count = 1};

	(void)state;
	assert_int_equal(world_add_vm(world, WORLD_VCPU_MAX + 1, 1, &load), -ENOSPC);
	for (size_t i = 0; i < WORLD_VM_MAX; i++)
		assert_int_equal(world_add_vm(world, 1, 1, &load), (int)i);
	assert_int_equal(world_add_vm(world, 1, 1, &load), -ENOSPC);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_idle_host_draws_its_idle_power),
	    cmocka_unit_test(test_one_thread_draws_what_the_formula_says),
	    cmocka_unit_test(test_siblings_share_a_core),
	    cmocka_unit_test(test_a_crowded_cpu_gives_each_his_part),
	    cmocka_unit_test(test_a_package_is_awake_for_all),
	    cmocka_unit_test(test_a_line_costs_on_its_way_and_in_memory),
	    cmocka_unit_test(test_heat_is_paid_by_who_made_it),
	    cmocka_unit_test(test_turbo_falls_as_cores_wake),
	    cmocka_unit_test(test_a_governor_follows_the_load),
	    cmocka_unit_test(test_the_truth_adds_up),
	    cmocka_unit_test(test_a_seed_is_a_host),
	    cmocka_unit_test(test_a_packed_host_is_never_idle),
	    cmocka_unit_test(test_a_full_host_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
