/*
 * The rule of attribution, worked out by hand: what each account gets of a second, by policy.
 */
#include "common/engine.h"
#include "tests/unit/check.h"

#include <stdbool.h>
#include <stdio.h>

#define MS  UINT64_C(1000000)
#define J   UINT64_C(1000000)
#define GIB (UINT64_C(1) << 30)

/* A host of so many packages of 4 CPUs, each with a package zone, then one with DRAM and psys. */
struct bench {
	struct topology *topology;
	struct zone zones[5];
	size_t zone_count;
	struct ledger *ledger;
	struct engine *engine;
	struct sample sample;
	bool with_parts; /* core-0 and uncore-0 behind the others */
};

static void bench_start(struct bench *bench, uint32_t packages, const struct engine_config *config)
{
	assert_int_equal(topology_create(&bench->topology), 0);
	bench->zone_count = 0;
	for (uint32_t package = 0; package < packages; package++) {
		struct zone *zone = &bench->zones[bench->zone_count++];

		*zone =
		    (struct zone){.package = package, .die = ZONE_ANY_DIE, .range_uj = 1000000 * J};
		(void)snprintf(zone->id, sizeof(zone->id), "package-%u", package);
		for (uint32_t cpu = 4 * package; cpu < 4 * package + 4; cpu++) {
			struct topology_cpu row = {.cpu = cpu, .core = cpu, .package = package};

			assert_int_equal(topology_add(bench->topology, &row), 0);
		}
	}
	bench->zones[bench->zone_count++] = (struct zone){
	    .id = "dram-0", .kind = ZONE_DRAM, .die = ZONE_ANY_DIE, .range_uj = 1000000 * J};
	bench->zones[bench->zone_count++] = (struct zone){
	    .id = "psys", .kind = ZONE_PSYS, .die = ZONE_ANY_DIE, .range_uj = UINT64_MAX};
	if (bench->with_parts) {
		bench->zones[bench->zone_count++] = (struct zone){.id = "core-0",
								  .kind = ZONE_CORE,
								  .die = ZONE_ANY_DIE,
								  .range_uj = 1000000 * J};
		bench->zones[bench->zone_count++] = (struct zone){.id = "uncore-0",
								  .kind = ZONE_UNCORE,
								  .die = ZONE_ANY_DIE,
								  .range_uj = 1000000 * J};
	}
	assert_int_equal(ledger_create(&bench->ledger), 0);
	assert_int_equal(engine_create(config, bench->topology, bench->zones, bench->zone_count,
				       bench->ledger, &bench->engine),
			 0);
	assert_int_equal(sample_init(&bench->sample, bench->topology->cpu_count), 0);
	bench->sample.zone_count = bench->zone_count;
	bench->sample.memory_total_bytes = 8 * GIB;
	bench->sample.memory_used_bytes = 4 * GIB;
}

static void bench_stop(struct bench *bench)
{
	sample_finish(&bench->sample);
	engine_destroy(bench->engine);
	ledger_destroy(bench->ledger);
	topology_destroy(bench->topology);
}

static struct sample_vm *add_vm(struct bench *bench, uint8_t number, size_t vcpus)
{
	struct sample_vm *vm = NULL;

	assert_int_equal(sample_add_vm(&bench->sample, vcpus, &vm), 0);
	CHECK_POINTER(vm);
	vm->uuid.bytes[0] = number;
	return vm;
}

/* Books the sample, a second after the one before, and empties it. */
static void second(struct bench *bench)
{
	uint64_t time_ns = bench->sample.time.ns + 1000 * MS;

	bench->sample.time.ns = time_ns;
	assert_int_equal(engine_step(bench->engine, &bench->sample), 0);
	for (uint32_t zone = 0; zone < bench->zone_count; zone++)
		assert_int_equal(ledger_conservation_error_uj(bench->ledger, zone), 0);
	sample_clear(&bench->sample);
	bench->sample.time.ns = time_ns;
}

static const struct ledger_vm *account(const struct bench *bench, uint8_t number)
{
	struct uuid uuid = {.bytes = {number}};
	int slot = ledger_find(bench->ledger, &uuid);
	const struct ledger_vm *vm;

	assert_true(slot >= 0);
	vm = ledger_vm_const(bench->ledger, (size_t)slot);
	CHECK_POINTER(vm);
	return vm;
}

struct parts {
	uint64_t active_uj, idle_uj, overhead_uj;
};

static void check_parts(const char *name, const struct ledger_share *share,
			const struct parts *expected)
{
	if (share->part_uj[LEDGER_ACTIVE] != expected->active_uj ||
	    share->part_uj[LEDGER_IDLE] != expected->idle_uj ||
	    share->part_uj[LEDGER_OVERHEAD] != expected->overhead_uj)
		fail_msg("%s: active %llu, idle %llu, overhead %llu", name,
			 (unsigned long long)share->part_uj[LEDGER_ACTIVE],
			 (unsigned long long)share->part_uj[LEDGER_IDLE],
			 (unsigned long long)share->part_uj[LEDGER_OVERHEAD]);
	assert_int_equal(share->guest_view_uj,
			 expected->active_uj + expected->idle_uj + expected->overhead_uj);
}

static struct engine_config exact_config(enum attribution_policy idle)
{
	return (struct engine_config){
	    .idle = idle,
	    .guest_view_exact = true,
	    .package = {.given = true, .power_uw = 40 * J},
	    .dram = {.given = true, .power_uw = 4 * J},
	    .psys = {.given = true, .power_uw = 0},
	};
}

/*
 * A second of 4 CPUs: 100 J, of them 40 J static. VM 1 has one vCPU that ran 500 ms; VM 2 has some,
 * the first of which ran 1000 ms, and 250 ms of overhead; the host itself ran 250 ms. So of what
 * goes by use VM 1 has 4/16, VM 2 8/16 and 2/16, the host 2/16.
 */
static const struct policy_row {
	const char *name;
	enum attribution_policy idle;
	size_t vcpus; /* of VM 2 */
	struct parts first, second;
	uint64_t other_uj, idle_uj;
} policy_rows[] = {
    {"each vCPU carries a quarter of the static part, the fourth nobody has rented",
     ATTRIBUTION_IDLE_VCPU,
     2,
     {15 * J, 10 * J, 0},
     {30 * J, 20 * J, 7500000},
     7500000,
     10 * J},
    {"8 vCPUs on 4 CPUs: an eighth each",
     ATTRIBUTION_IDLE_VCPU,
     7,
     {15 * J, 5 * J, 0},
     {30 * J, 35 * J, 7500000},
     7500000,
     0},
    {"everything by use",
     ATTRIBUTION_IDLE_BUSY,
     2,
     {25 * J, 0, 0},
     {50 * J, 0, 12500000},
     12500000,
     0},
    {"the static part stays with the host",
     ATTRIBUTION_IDLE_NONE,
     2,
     {15 * J, 0, 0},
     {30 * J, 0, 7500000},
     7500000,
     40 * J},
};

static void test_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(policy_rows); i++) {
		const struct policy_row *row = &policy_rows[i];
		struct engine_config config = exact_config(row->idle);
		struct bench bench = {0};
		const struct ledger_zone *zone;
		struct sample_vm *vm;

		bench_start(&bench, 1, &config);
		add_vm(&bench, 1, 1);
		add_vm(&bench, 2, row->vcpus);
		second(&bench);
		add_vm(&bench, 1, 1)->vcpus[0].time_ns = 500 * MS;
		vm = add_vm(&bench, 2, row->vcpus);
		vm->vcpus[0].time_ns = 1000 * MS;
		vm->overhead_ns = 250 * MS;
		bench.sample.cpu_busy_ns[0] = 1000 * MS;
		bench.sample.cpu_busy_ns[1] = 1000 * MS;
		bench.sample.zones[0].raw_uj = 100 * J;
		second(&bench);
		zone = &ledger_host(bench.ledger)->zones[0];
		check_parts(row->name, &account(&bench, 1)->shares[0], &row->first);
		check_parts(row->name, &account(&bench, 2)->shares[0], &row->second);
		assert_int_equal(zone->energy_uj, 100 * J);
		assert_int_equal(zone->other_uj, row->other_uj);
		assert_int_equal(zone->idle_uj, row->idle_uj);
		assert_int_equal(zone->power_uw, 100 * J);
		bench_stop(&bench);
	}
}

/* A neighbour's arrival and his load change nothing of what a VM's own vCPUs carry. */
static void test_a_neighbour_changes_no_rent(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_VCPU);
	struct bench bench = {0};

	(void)state;
	bench_start(&bench, 1, &config);
	add_vm(&bench, 1, 1);
	second(&bench);
	add_vm(&bench, 1, 1);
	add_vm(&bench, 2, 3);
	bench.sample.zones[0].raw_uj = 40 * J;
	second(&bench);
	assert_int_equal(account(&bench, 1)->shares[0].part_uj[LEDGER_IDLE], 10 * J);
	add_vm(&bench, 1, 1);
	add_vm(&bench, 2, 3)->vcpus[0].time_ns = 900 * MS;
	bench.sample.zones[0].raw_uj = 120 * J;
	second(&bench);
	assert_int_equal(account(&bench, 1)->shares[0].part_uj[LEDGER_IDLE], 20 * J);
	assert_int_equal(account(&bench, 2)->shares[0].part_uj[LEDGER_IDLE], 30 * J);
	assert_int_equal(account(&bench, 2)->shares[0].part_uj[LEDGER_ACTIVE], 40 * J);
	bench_stop(&bench);
}

/* Nobody is there: static energy is idle under every policy, the rest is the host's. */
static void test_an_empty_host_pays_itself(void **state)
{
	static const enum attribution_policy policies[] = {
	    ATTRIBUTION_IDLE_VCPU, ATTRIBUTION_IDLE_BUSY, ATTRIBUTION_IDLE_NONE};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(policies); i++) {
		struct engine_config config = exact_config(policies[i]);
		struct bench bench = {0};

		bench_start(&bench, 1, &config);
		second(&bench);
		bench.sample.zones[0].raw_uj = 50 * J;
		second(&bench);
		assert_int_equal(ledger_host(bench.ledger)->zones[0].idle_uj, 40 * J);
		assert_int_equal(ledger_host(bench.ledger)->zones[0].other_uj, 10 * J);
		bench_stop(&bench);
	}
}

/* A second in which DRAM draws 10 J, of two VMs that hold 1 and 2 GiB; only the first one runs. */
static void bench_start_dram(struct bench *bench, const struct engine_config *config)
{
	bench_start(bench, 1, config);
	for (uint64_t step = 0; step < 2; step++) {
		struct sample_vm *vm = add_vm(bench, 1, 1);

		vm->memory_bytes = GIB;
		vm->vcpus[0].time_ns = step * 900 * MS;
		add_vm(bench, 2, 1)->memory_bytes = 2 * GIB;
		bench->sample.zones[1].raw_uj = step * 10 * J;
		second(bench);
	}
}

/*
 * 10 J of DRAM, 4 J static. Of 8 GiB the VMs hold 1 and 2, the host 4 in all, so itself 1. Rent: 1,
 * 2 and 5 eighths of 4 J; use: 1, 2 and 1 quarters of 6 J; that one VM ran and the other did not is
 * of no consequence.
 */
static void test_dram_goes_by_memory(void **state)
{
	static const struct parts first = {1500000, 500000, 0}, second_vm = {3 * J, J, 0};
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_VCPU);
	struct bench bench = {0};

	(void)state;
	bench_start_dram(&bench, &config);
	check_parts("dram", &account(&bench, 1)->shares[1], &first);
	check_parts("dram", &account(&bench, 2)->shares[1], &second_vm);
	assert_int_equal(ledger_host(bench.ledger)->zones[1].idle_uj, 2500000);
	assert_int_equal(ledger_host(bench.ledger)->zones[1].other_uj, 1500000);
	assert_int_equal(account(&bench, 1)->guest[0].zone_uj[ZONE_DRAM], 2 * J);
	assert_int_equal(account(&bench, 1)->guest[0].zone_uj[ZONE_PACKAGE], 0);
	bench_stop(&bench);
}

/* The same, divided by work: the 6 J are the one's that ran, and rent is by memory as before. */
static void test_dram_goes_by_work_if_that_is_wanted(void **state)
{
	static const struct parts first = {6 * J, 500000, 0}, second_vm = {0, J, 0};
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_VCPU);
	struct bench bench = {0};

	(void)state;
	config.dram_by_work = true;
	bench_start_dram(&bench, &config);
	check_parts("dram", &account(&bench, 1)->shares[1], &first);
	check_parts("dram", &account(&bench, 2)->shares[1], &second_vm);
	assert_int_equal(ledger_host(bench.ledger)->zones[1].idle_uj, 2500000);
	bench_stop(&bench);
}

/* Energy of a package goes to those who ran on it; psys goes to all, and is shown apart. */
static void test_packages_are_told_apart(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};

	(void)state;
	config.package.power_uw = 0;
	bench_start(&bench, 2, &config);
	for (uint64_t step = 0; step < 2; step++) {
		struct sample_vm *vm = add_vm(&bench, 1, 1);

		vm->vcpus[0] = (struct sample_vcpu){.time_ns = step * 300 * MS, .cpu = 1};
		vm = add_vm(&bench, 2, 1);
		vm->vcpus[0] = (struct sample_vcpu){.time_ns = step * 100 * MS, .cpu = 5};
		bench.sample.zones[0].raw_uj = step * 10 * J;
		bench.sample.zones[1].raw_uj = step * 20 * J;
		bench.sample.zones[3].raw_uj = step * 80 * J;
		second(&bench);
	}
	assert_int_equal(ledger_share_total_uj(&account(&bench, 1)->shares[0]), 10 * J);
	assert_int_equal(ledger_share_total_uj(&account(&bench, 1)->shares[1]), 0);
	assert_int_equal(ledger_share_total_uj(&account(&bench, 2)->shares[0]), 0);
	assert_int_equal(ledger_share_total_uj(&account(&bench, 2)->shares[1]), 20 * J);
	assert_int_equal(account(&bench, 1)->guest[0].zone_uj[ZONE_PACKAGE], 10 * J);
	assert_int_equal(account(&bench, 1)->guest_psys_uj, 60 * J);
	assert_int_equal(account(&bench, 2)->guest_psys_uj, 20 * J);
	bench_stop(&bench);
}

/* The guest's package-N is its socket N: active by time, static by vCPUs. */
static void test_sockets_of_the_guest(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_VCPU);
	struct bench bench = {0};

	(void)state;
	bench_start(&bench, 1, &config);
	for (uint64_t step = 0; step < 2; step++) {
		struct sample_vm *vm = add_vm(&bench, 1, 4);

		vm->socket_count = 3;
		vm->vcpus[0].time_ns = step * 100 * MS;
		vm->vcpus[1].time_ns = step * 200 * MS;
		vm->vcpus[2] = (struct sample_vcpu){.time_ns = step * 100 * MS, .socket = 1};
		vm->vcpus[3].socket = 2;
		bench.sample.zones[0].raw_uj = step * 100 * J;
		second(&bench);
	}
	assert_int_equal(account(&bench, 1)->socket_count, 3);
	assert_int_equal(account(&bench, 1)->guest[0].zone_uj[ZONE_PACKAGE], (45 + 20) * J);
	assert_int_equal(account(&bench, 1)->guest[1].zone_uj[ZONE_PACKAGE], (15 + 10) * J);
	assert_int_equal(account(&bench, 1)->guest[2].zone_uj[ZONE_PACKAGE], (0 + 10) * J);
	bench_stop(&bench);
}

/* core and uncore go to the guest's sockets by CPU time, like the package, and to no sum. */
static void test_core_and_uncore(void **state)
{
	static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_CORE, ZONE_UNCORE};
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_BUSY);
	struct bench bench = {.with_parts = true};

	(void)state;
	config.package.power_uw = 0;
	bench_start(&bench, 1, &config);
	for (uint64_t step = 0; step < 3; step++) {
		struct sample_vm *vm = add_vm(&bench, 1, 2);

		vm->socket_count = 2;
		vm->vcpus[0].time_ns = step * 300 * MS;
		vm->vcpus[1] = (struct sample_vcpu){.time_ns = step * 100 * MS, .socket = 1};
		bench.sample.zones[0].raw_uj = step * 100 * J;
		bench.sample.zones[3].raw_uj = step * 60 * J;
		bench.sample.zones[4].raw_uj = step * 8 * J;
		second(&bench);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		static const uint64_t whole[] = {200 * J, 120 * J, 16 * J};
		uint32_t zone = i == 0 ? 0 : (uint32_t)i + 2;
		const struct ledger_vm *vm = account(&bench, 1);

		assert_int_equal(ledger_host(bench.ledger)->zones[zone].energy_uj, whole[i]);
		assert_int_equal(vm->guest[0].zone_uj[kinds[i]], whole[i] / 4 * 3);
		assert_int_equal(vm->guest[1].zone_uj[kinds[i]], whole[i] / 4);
	}
	/* 100 W of the package, which holds the rest. */
	assert_int_equal(account(&bench, 1)->guest_power_uw, 100 * J);
	bench_stop(&bench);
}

/* A socket that gets its first vCPU later counts from then on, and the others go on. */
static void test_a_socket_is_plugged_in(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};
	uint64_t before_uj = 0;

	(void)state;
	config.package.power_uw = 0;
	bench_start(&bench, 1, &config);
	for (uint64_t step = 0; step < 5; step++) {
		bool plugged = step >= 2;
		struct sample_vm *vm = add_vm(&bench, 1, plugged ? 2 : 1);

		vm->socket_count = plugged ? 3 : 1;
		vm->vcpus[0].time_ns = step * 100 * MS;
		if (plugged)
			vm->vcpus[1] =
			    (struct sample_vcpu){.time_ns = (step - 2) * 100 * MS, .socket = 2};
		bench.sample.zones[0].raw_uj = step * 10 * J;
		second(&bench);
		assert_true(account(&bench, 1)->guest[0].zone_uj[ZONE_PACKAGE] >= before_uj);
		before_uj = account(&bench, 1)->guest[0].zone_uj[ZONE_PACKAGE];
	}
	assert_int_equal(account(&bench, 1)->socket_count, 3);
	assert_int_equal(before_uj, (10 + 10 + 5 + 5) * J);
	assert_int_equal(account(&bench, 1)->guest[1].zone_uj[ZONE_PACKAGE], 0);
	assert_int_equal(account(&bench, 1)->guest[2].zone_uj[ZONE_PACKAGE], (5 + 5) * J);
	bench_stop(&bench);
}

/* What the guest's counters told in the last second: packages and DRAM, of its own view alone. */
static void test_power_of_the_guest(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_BUSY);
	struct bench bench = {0};

	(void)state;
	config.package.power_uw = 0;
	bench_start(&bench, 1, &config);
	for (uint64_t step = 0; step < 4; step++) {
		struct sample_vm *vm = add_vm(&bench, 1, 2);

		vm->memory_bytes = GIB;
		/* The last second it does nothing. */
		vm->vcpus[0].time_ns = (step < 3 ? step : 2) * 500 * MS;
		bench.sample.memory_used_bytes = GIB;
		bench.sample.zones[0].raw_uj = step * 30 * J;
		bench.sample.zones[1].raw_uj = step * 4 * J;
		bench.sample.zones[2].raw_uj = step * 90 * J;
		second(&bench);
		if (step == 3)
			continue;
		assert_int_equal(account(&bench, 1)->guest_power_uw, step > 0 ? 34 * J : 0);
		assert_int_equal(account(&bench, 1)->guest_load_ppm, step > 0 ? 250000 : 0);
	}
	assert_int_equal(account(&bench, 1)->guest_power_uw, 4 * J);
	assert_int_equal(account(&bench, 1)->guest_load_ppm, 0);
	second(&bench);
	assert_int_equal(account(&bench, 1)->state, LEDGER_VM_GONE);
	assert_int_equal(account(&bench, 1)->guest_power_uw, 0);
	bench_stop(&bench);
}

/* Where there is no package, the whole machine's counter is all that there is. */
static void test_power_of_the_guest_without_packages(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_BUSY);
	struct bench bench = {0};
	const struct zone psys = {.id = "psys", .kind = ZONE_PSYS, .range_uj = 1000000 * J};

	(void)state;
	bench_start(&bench, 1, &config);
	engine_destroy(bench.engine);
	assert_int_equal(
	    engine_create(&config, bench.topology, &psys, 1, bench.ledger, &bench.engine), 0);
	bench.sample.zone_count = 1;
	for (uint64_t step = 0; step < 2; step++) {
		add_vm(&bench, 1, 1)->vcpus[0].time_ns = step * 500 * MS;
		bench.sample.zones[0].raw_uj = step * 90 * J;
		second(&bench);
	}
	assert_int_equal(account(&bench, 1)->guest_power_uw, 90 * J);
	bench_stop(&bench);
}

/* A zone that could not be read books all of it when it can be again; another one is not harmed. */
static void test_faults_book_nothing(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};
	const struct ledger_zone *zones;

	(void)state;
	bench_start(&bench, 1, &config);
	zones = ledger_host(bench.ledger)->zones;
	bench.sample.zones[0].raw_uj = 500 * J;
	second(&bench);
	assert_int_equal(zones[0].energy_uj, 0);
	bench.sample.zones[0].error = -EIO;
	bench.sample.zones[2].raw_uj = 7;
	second(&bench);
	assert_int_equal(zones[0].available, 0);
	assert_int_equal(zones[0].error, -EIO);
	assert_int_equal(zones[0].faults[LEDGER_FAULT_UNREADABLE], 1);
	assert_int_equal(zones[2].energy_uj, 7);
	bench.sample.zones[0] = (struct sample_zone){.raw_uj = 620 * J};
	second(&bench);
	assert_int_equal(zones[0].energy_uj, 120 * J);
	assert_int_equal(zones[0].idle_uj, 80 * J);
	assert_int_equal(zones[0].available, 1);
	bench.sample.zones[0].raw_uj = 100 * J;
	second(&bench);
	assert_int_equal(zones[0].faults[LEDGER_FAULT_BACKWARD], 1);
	bench.sample.zones[0].raw_uj = 1000000 * J + 1;
	second(&bench);
	assert_int_equal(zones[0].faults[LEDGER_FAULT_INVALID], 1);
	assert_int_equal(zones[0].error, -ERANGE);
	bench.sample.zones[0].raw_uj = 101 * J;
	second(&bench);
	assert_int_equal(zones[0].energy_uj, 121 * J);
	bench_stop(&bench);
}

/* psys counts to 2^64 here, and a broken one that leaps would fill the total in two leaps. */
static void test_no_total_overflows(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};
	const struct ledger_zone *psys;
	uint64_t guest_uj = 0;

	(void)state;
	bench_start(&bench, 1, &config);
	psys = &ledger_host(bench.ledger)->zones[2];
	for (uint64_t step = 0; step < 10; step++) {
		add_vm(&bench, 1, 1)->vcpus[0].time_ns = step * MS;
		bench.sample.zones[2].raw_uj = step % 2 == 0 ? 0 : UINT64_MAX / 4 * 3;
		second(&bench);
		assert_true(account(&bench, 1)->guest_psys_uj >= guest_uj);
		guest_uj = account(&bench, 1)->guest_psys_uj;
	}
	assert_int_equal(psys->energy_uj, UINT64_MAX / 4 * 3);
	assert_int_equal(psys->faults[LEDGER_FAULT_INVALID], 4);
	bench_stop(&bench);
}

static void test_lives_of_an_account(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};
	struct sample_vm *vm;

	(void)state;
	bench_start(&bench, 1, &config);
	vm = add_vm(&bench, 1, 1);
	vm->pid = 10;
	sample_set_name(vm, "first");
	/* The same uuid again: the first one counts. */
	vm = add_vm(&bench, 1, 3);
	vm->pid = 11;
	sample_set_name(vm, "second");
	second(&bench);
	assert_string_equal(account(&bench, 1)->name, "first");
	assert_int_equal(account(&bench, 1)->generation, 1);
	assert_int_equal(account(&bench, 1)->vcpu_count, 1);
	assert_int_equal(account(&bench, 1)->state, LEDGER_VM_RUNNING);
	add_vm(&bench, 1, 1)->running = false;
	second(&bench);
	assert_int_equal(account(&bench, 1)->state, LEDGER_VM_OFF);
	assert_int_equal(account(&bench, 1)->pid, 0);
	second(&bench);
	assert_int_equal(account(&bench, 1)->state, LEDGER_VM_GONE);
	add_vm(&bench, 1, 1)->pid = 12;
	second(&bench);
	assert_int_equal(account(&bench, 1)->state, LEDGER_VM_RUNNING);
	assert_int_equal(account(&bench, 1)->generation, 2);
	assert_int_equal(account(&bench, 1)->pid, 12);
	bench_stop(&bench);
}

/* An account that departs and is opened again within a second has no power of its former life. */
static void test_a_reopened_account_has_no_wrapped_power(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};
	struct uuid uuid = {.bytes = {1}};

	(void)state;
	bench_start(&bench, 1, &config);
	for (uint64_t step = 0; step < 3; step++) {
		add_vm(&bench, 1, 1)->vcpus[0].time_ns = step * 100 * MS;
		bench.sample.zones[0].raw_uj = step * 100 * J;
		second(&bench);
	}
	assert_int_equal(account(&bench, 1)->shares[0].power_uw, 60 * J);
	assert_int_equal(ledger_depart(bench.ledger, (size_t)ledger_find(bench.ledger, &uuid)), 0);
	add_vm(&bench, 1, 1)->vcpus[0].time_ns = 200 * MS;
	second(&bench);
	assert_int_equal(account(&bench, 1)->shares[0].power_uw, 0);
	bench_stop(&bench);
}

/* Whoever is stopped between the clock and the counters finds more there than the clock tells. */
static void test_a_wrap_that_was_read_late(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);

	(void)state;
	for (uint64_t late_ns = 0; late_ns <= 2000 * MS; late_ns += 2000 * MS) {
		struct bench bench = {0};

		bench_start(&bench, 1, &config);
		bench.sample.zones[0].raw_uj = 1000000 * J - 10 * J;
		second(&bench);
		bench.sample.zones[0].raw_uj = 9000 * J;
		bench.sample.late_ns = late_ns;
		second(&bench);
		/* 9 kW are no zone's, 3 kW may be. */
		assert_int_equal(ledger_host(bench.ledger)->zones[0].energy_uj / J,
				 late_ns > 0 ? 9010 : 0);
		bench.sample.zones[0].raw_uj = 9001 * J;
		second(&bench);
		assert_int_equal(ledger_host(bench.ledger)->zones[0].energy_uj / J,
				 late_ns > 0 ? 9011 : 1);
		bench_stop(&bench);
	}
}

/* From the next sample on another policy, and what is shown follows the other view. */
static void test_reconfiguration(void **state)
{
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {0};

	(void)state;
	bench_start(&bench, 1, &config);
	assert_int_equal(ledger_host(bench.ledger)->guest_view_exact, 1);
	for (uint64_t step = 0; step < 3; step++) {
		add_vm(&bench, 1, 1)->vcpus[0].time_ns = step * 100 * MS;
		bench.sample.zones[0].raw_uj = step * 100 * J;
		second(&bench);
		config.idle = ATTRIBUTION_IDLE_VCPU;
		config.guest_view_exact = false;
		if (step == 1)
			engine_configure(bench.engine, &config);
	}
	assert_int_equal(ledger_host(bench.ledger)->guest_view_exact, 0);
	assert_int_equal(account(&bench, 1)->shares[0].part_uj[LEDGER_ACTIVE], 120 * J);
	assert_int_equal(account(&bench, 1)->shares[0].part_uj[LEDGER_IDLE], 10 * J);
	bench_stop(&bench);
}

/* A part of the CPU time, shown and nothing more; what was polled before the first sample is not
 * of this account's time. */
static void test_halt_polling_is_told(void **state)
{
	static const uint64_t read_ns[] = {5000, 5300, 100, 350};
	static const uint64_t booked_ns[] = {0, 300, 300, 550};
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {.with_parts = false};

	(void)state;
	bench_start(&bench, 1, &config);
	add_vm(&bench, 1, 1);
	second(&bench);
	assert_int_equal(account(&bench, 1)->has_halt_poll, 0);
	for (size_t i = 0; i < CHECK_COUNT(read_ns); i++) {
		struct sample_vm *vm = add_vm(&bench, 1, 1);

		vm->has_halt_poll = true;
		vm->halt_poll_ns = read_ns[i];
		second(&bench);
		assert_int_equal(account(&bench, 1)->has_halt_poll, 1);
		assert_int_equal(account(&bench, 1)->halt_poll_ns, booked_ns[i]);
	}
	bench_stop(&bench);
}

/* What polling cost is its part of the vCPUs' time of what they cost, whenever it becomes known. */
static void test_halt_polling_has_its_energy(void **state)
{
	static const struct {
		const char *name;
		uint64_t read_ms, package_uj, psys_uj;
	} rows[] = {
	    {"where the counter begins", 5000, 0, 0},
	    {"100 of 400 ms", 5100, 15 * J, 20 * J},
	    {"not read anew", 5100, 15 * J, 20 * J},
	    {"more than there was", 5600, 75 * J, 100 * J},
	    {"the rest of it", 5600, 90 * J, 120 * J},
	    {"and no more", 5600, 90 * J, 120 * J},
	};
	struct engine_config config = exact_config(ATTRIBUTION_IDLE_NONE);
	struct bench bench = {.with_parts = false};

	(void)state;
	bench_start(&bench, 1, &config);
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct sample_vm *vm = add_vm(&bench, 1, 1);

		vm->memory_bytes = GIB;
		vm->has_halt_poll = true;
		vm->halt_poll_ns = rows[i].read_ms * MS;
		vm->vcpus[0].time_ns = i * 400 * MS;
		bench.sample.cpu_busy_ns[0] = i * 400 * MS;
		bench.sample.zones[0].raw_uj = i * 100 * J;
		bench.sample.zones[1].raw_uj = i * 10 * J;
		bench.sample.zones[2].raw_uj = i * 80 * J;
		second(&bench);
		if (account(&bench, 1)->shares[0].halt_poll_uj != rows[i].package_uj ||
		    account(&bench, 1)->shares[2].halt_poll_uj != rows[i].psys_uj)
			fail_msg("%s: %llu and %llu uJ", rows[i].name,
				 (unsigned long long)account(&bench, 1)->shares[0].halt_poll_uj,
				 (unsigned long long)account(&bench, 1)->shares[2].halt_poll_uj);
		/* DRAM goes by memory held. */
		assert_int_equal(account(&bench, 1)->shares[1].halt_poll_uj, 0);
	}
	bench_stop(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_policies),
	    cmocka_unit_test(test_a_neighbour_changes_no_rent),
	    cmocka_unit_test(test_an_empty_host_pays_itself),
	    cmocka_unit_test(test_dram_goes_by_memory),
	    cmocka_unit_test(test_dram_goes_by_work_if_that_is_wanted),
	    cmocka_unit_test(test_packages_are_told_apart),
	    cmocka_unit_test(test_sockets_of_the_guest),
	    cmocka_unit_test(test_core_and_uncore),
	    cmocka_unit_test(test_a_socket_is_plugged_in),
	    cmocka_unit_test(test_power_of_the_guest),
	    cmocka_unit_test(test_power_of_the_guest_without_packages),
	    cmocka_unit_test(test_faults_book_nothing),
	    cmocka_unit_test(test_no_total_overflows),
	    cmocka_unit_test(test_lives_of_an_account),
	    cmocka_unit_test(test_a_reopened_account_has_no_wrapped_power),
	    cmocka_unit_test(test_a_wrap_that_was_read_late),
	    cmocka_unit_test(test_reconfiguration),
	    cmocka_unit_test(test_halt_polling_is_told),
	    cmocka_unit_test(test_halt_polling_has_its_energy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
