/*
 * What was measured while wattportd was away: booked at its return, to whom it can be known, and to
 * the microjoule.
 */
#include "common/counter.h"
#include "common/engine.h"
#include "tests/unit/check.h"

#include <string.h>

#define CPUS	  8
#define PACKAGE_W 60
#define SECOND	  CLOCK_NS_PER_SECOND
#define MILLION	  UINT64_C(1000000)
#define RANGE_UJ  UINT64_C(262143328850)

struct machine {
	bool running;
	int32_t pid;
	uint64_t run, started_ns;
	uint64_t vcpu_ns, overhead_ns; /* of its process */
	uint64_t before_ns; /* of vCPUs, of processes that this run of wattportd saw end */
};

struct host {
	struct topology *topology;
	struct zone zones[2];
	struct engine_config config;
	struct ledger *ledger;
	struct engine *engine;
	struct sample sample;
	uint64_t raw_uj[2];
	uint64_t counted_uj[2]; /* by the counters, ever, from the first sample on */
	uint64_t busy_ns;	/* of all CPUs */
	uint64_t other_ns;	/* since boot, of host processes */
	uint64_t awake_ns;
	struct machine machines[3];
};

static void host_wake(struct host *host)
{
	assert_int_equal(engine_create(&host->config, host->topology, host->zones, 2, host->ledger,
				       &host->engine),
			 0);
}

static void host_start(struct host *host)
{
	*host = (struct host){
	    .zones = {{.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = RANGE_UJ},
		      {.id = "dram-0",
		       .kind = ZONE_DRAM,
		       .die = ZONE_ANY_DIE,
		       .range_uj = UINT64_C(65712999613)}},
	    .config = {.idle = ATTRIBUTION_IDLE_VCPU,
		       .guest_view_exact = true,
		       .package = {.given = true, .power_uw = 20 * MILLION},
		       .dram = {.given = true, .power_uw = 2 * MILLION}},
	};
	assert_int_equal(topology_create(&host->topology), 0);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		struct topology_cpu place = {.cpu = cpu, .core = cpu};

		assert_int_equal(topology_add(host->topology, &place), 0);
	}
	assert_int_equal(ledger_create(&host->ledger), 0);
	assert_int_equal(sample_init(&host->sample, CPUS), 0);
	host->sample.zone_count = 2;
	host->sample.time.ns = 1000 * SECOND;
	host->awake_ns = 1000 * SECOND;
	host->sample.memory_total_bytes = UINT64_C(64) << 30;
	host->sample.memory_used_bytes = UINT64_C(16) << 30;
	for (size_t i = 0; i < 2; i++)
		host->machines[i] = (struct machine){.running = true,
						     .pid = 100 + (int32_t)i,
						     .run = 10 + i,
						     .started_ns = (500 + i) * SECOND};
	host_wake(host);
}

static void host_stop(struct host *host)
{
	engine_destroy(host->engine);
	ledger_destroy(host->ledger);
	sample_finish(&host->sample);
	topology_destroy(host->topology);
}

/* Killed: its engine and all that it knew is gone, the ledger stands as it was published. */
static void host_die(struct host *host)
{
	engine_destroy(host->engine);
	host->engine = NULL;
	for (size_t i = 0; i < 3; i++)
		host->machines[i].before_ns = 0;
	memset(host->sample.cpu_busy_ns, 0, CPUS * sizeof(host->sample.cpu_busy_ns[0]));
	host->busy_ns = 0;
}

/* Time in which each running machine is busy with `loads` CPUs, and the host's processes too. */
static void host_pass(struct host *host, uint64_t seconds, const uint64_t loads[4])
{
	static const uint64_t powers_w[2] = {PACKAGE_W, 4};
	uint64_t busy_ns = 0;

	host->sample.time.ns += seconds * SECOND;
	host->awake_ns += seconds * SECOND;
	for (size_t i = 0; i < 2; i++) {
		host->counted_uj[i] += seconds * powers_w[i] * MILLION;
		host->raw_uj[i] += seconds * powers_w[i] * MILLION;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!host->machines[i].running)
			continue;
		host->machines[i].vcpu_ns += seconds * loads[i] * SECOND;
		busy_ns += seconds * loads[i] * SECOND;
	}
	host->other_ns += seconds * loads[3] * SECOND;
	busy_ns += seconds * loads[3] * SECOND;
	for (size_t cpu = 0; cpu < CPUS; cpu++) {
		uint64_t rest_ns = host->sample.cpu_rest_ns[cpu];

		if (rest_ns == SAMPLE_NO_TIME)
			rest_ns = 0;
		host->sample.cpu_rest_ns[cpu] = rest_ns + seconds * SECOND - busy_ns / CPUS;
		host->sample.cpu_busy_ns[cpu] += busy_ns / CPUS;
	}
}

static void host_sample(struct host *host)
{
	struct sample *sample = &host->sample;

	sample->vm_count = 0;
	for (size_t i = 0; i < 2; i++)
		sample->zones[i].raw_uj =
		    host->raw_uj[i] % counter_modulus_uj(host->zones[i].range_uj);
	sample->suspended_ns = sample->time.ns - host->awake_ns;
	for (size_t i = 0; i < 3; i++) {
		const struct machine *machine = &host->machines[i];
		struct sample_vm *vm = NULL;

		if (machine->run == 0)
			continue;
		assert_int_equal(sample_add_vm(sample, 2, &vm), 0);
		CHECK_POINTER(vm);
		vm->uuid.bytes[0] = (uint8_t)(i + 1);
		vm->memory_bytes = UINT64_C(4) << 30;
		vm->running = machine->running;
		vm->pid = machine->running ? machine->pid : 0;
		vm->overhead_ns = machine->overhead_ns;
		for (uint32_t vcpu = 0; vcpu < 2; vcpu++)
			vm->vcpus[vcpu] = (struct sample_vcpu){
			    .time_ns = (machine->before_ns + machine->vcpu_ns) / 2,
			    .cpu = SAMPLE_NO_CPU};
		if (machine->running)
			vm->process = (struct sample_process){.run = machine->run,
							      .started_ns = machine->started_ns,
							      .vcpu_ns = machine->vcpu_ns,
							      .overhead_ns = machine->overhead_ns};
	}
	assert_int_equal(engine_step(host->engine, sample), 0);
	for (uint32_t zone = 0; zone < 2; zone++)
		assert_int_equal(ledger_conservation_error_uj(host->ledger, zone), 0);
}

static const struct ledger_zone *row(const struct host *host, size_t zone)
{
	return &ledger_host(host->ledger)->zones[zone];
}

static const struct ledger_share *share(const struct host *host, size_t machine)
{
	struct uuid uuid = {.bytes = {(uint8_t)(machine + 1)}};
	int slot = ledger_find(host->ledger, &uuid);

	assert_true(slot >= 0);
	return &ledger_vm(host->ledger, (size_t)slot)->shares[0];
}

static void check_j(uint64_t found_uj, uint64_t wanted_j)
{
	/* A few roundings, and that of the part of the time that a machine was there. */
	assert_in_range(found_uj, wanted_j * MILLION - 50, wanted_j * MILLION + 50);
}

static const uint64_t loads[4] = {2, 1, 1, 1};

/* Sampled for ten seconds; then it dies. */
static void host_live_and_die(struct host *host)
{
	host_start(host);
	host_sample(host);
	for (int second = 0; second < 10; second++) {
		host_pass(host, 1, loads);
		host_sample(host);
	}
	assert_int_equal(row(host, 0)->energy_uj, 10 * PACKAGE_W * MILLION);
	host_die(host);
}

static void test_all_that_came_meanwhile_is_booked_by_cpu_time(void **state)
{
	static struct host host;
	struct ledger_share before[2];

	(void)state;
	host_live_and_die(&host);
	for (size_t i = 0; i < 2; i++)
		before[i] = *share(&host, i);
	host_pass(&host, 100, loads);
	host_wake(&host);
	host_sample(&host);
	/* 20 W at rest: 2 of 8 CPUs are rented to each; 40 W of work: 2, 1 and 1 of 4. */
	check_j(share(&host, 0)->part_uj[LEDGER_IDLE] - before[0].part_uj[LEDGER_IDLE], 500);
	check_j(share(&host, 1)->part_uj[LEDGER_IDLE] - before[1].part_uj[LEDGER_IDLE], 500);
	check_j(share(&host, 0)->part_uj[LEDGER_ACTIVE] - before[0].part_uj[LEDGER_ACTIVE], 2000);
	check_j(share(&host, 1)->part_uj[LEDGER_ACTIVE] - before[1].part_uj[LEDGER_ACTIVE], 1000);
	assert_int_equal(row(&host, 0)->energy_uj, host.counted_uj[0]);
	assert_int_equal(row(&host, 1)->energy_uj, host.counted_uj[1]);
	assert_int_equal(row(&host, 0)->away_uj, 0);
	assert_int_equal(row(&host, 0)->returned_uj, 6000 * MILLION);
	assert_int_equal(row(&host, 0)->returned_unsure, 0);
	assert_int_equal(ledger_host(host.ledger)->returned.count, 1);
	assert_int_equal(ledger_host(host.ledger)->returned.away_ns, 100 * SECOND);
	assert_int_equal(ledger_host(host.ledger)->returned.missing, 0);
	/* And on it goes. */
	host_pass(&host, 1, loads);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->energy_uj, host.counted_uj[0]);
	assert_int_equal(row(&host, 0)->returned_uj, 6000 * MILLION);
	host_stop(&host);
}

static void test_a_machine_that_started_meanwhile_pays_from_then_on(void **state)
{
	static struct host host;

	(void)state;
	host_live_and_die(&host);
	host_pass(&host, 50, loads);
	host.machines[2] = (struct machine){
	    .running = true, .pid = 300, .run = 77, .started_ns = host.sample.time.ns};
	host_pass(&host, 50, loads);
	host_wake(&host);
	host_sample(&host);
	/* Half of the time: 250 J of rent; 1 of 9 halves of CPUs that worked. */
	check_j(share(&host, 2)->part_uj[LEDGER_IDLE], 250);
	assert_in_range(share(&host, 2)->part_uj[LEDGER_ACTIVE], 4000 * MILLION / 9 - 5,
			4000 * MILLION / 9 + 5);
	assert_int_equal(row(&host, 0)->energy_uj, host.counted_uj[0]);
	assert_int_equal(row(&host, 0)->away_uj, 0);
	host_stop(&host);
}

/* Of what it used before it ended, nobody can tell which part was the host's own. */
static void test_of_a_machine_that_ended_meanwhile_the_part_is_named(void **state)
{
	static struct host host;
	uint64_t other_uj, before_uj;

	(void)state;
	for (int anew = 0; anew < 3; anew++) {
		host_live_and_die(&host);
		other_uj = row(&host, 0)->other_uj;
		before_uj = share(&host, 0)->part_uj[LEDGER_ACTIVE];
		host_pass(&host, 100, loads);
		/* It is off; nobody knows it any more; it was started anew 10 s ago. */
		host.machines[1].running = false;
		if (anew == 1)
			host.machines[1].run = 0;
		if (anew == 2)
			host.machines[1] =
			    (struct machine){.running = true,
					     .pid = 101,
					     .run = 99,
					     .started_ns = host.sample.time.ns - 10 * SECOND};
		host_wake(&host);
		host_sample(&host);
		check_j(share(&host, 0)->part_uj[LEDGER_ACTIVE] - before_uj, 2000);
		/* Its work and the host's; and its rent, as long as it may have run. */
		check_j(row(&host, 0)->away_uj, 2000 + (anew == 2 ? 450 : 500));
		assert_int_equal(row(&host, 0)->other_uj, other_uj);
		/* Memory that it held: 4 GiB of 16 that are used, and of 64 that there are. */
		assert_true(row(&host, 1)->away_uj > 0);
		assert_int_equal(row(&host, 0)->energy_uj, host.counted_uj[0]);
		assert_int_equal(ledger_host(host.ledger)->returned.missing, 1);
		host_stop(&host);
	}
}

/* 4369 s at 60 W are a wrap, and twice that power would be seen: of more the least is booked. */
static void test_a_wrap_is_booked_and_more_are_said(void **state)
{
	static const uint64_t seconds[] = {4300, 4360, 4000, 8000, 9000};
	static struct host host;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(seconds); i++) {
		uint64_t wraps, wrapped_uj = counter_modulus_uj(RANGE_UJ);

		host_live_and_die(&host);
		host.zones[1].range_uj = UINT64_MAX; /* changed: it books nothing */
		host_pass(&host, seconds[i], loads);
		host_wake(&host);
		host_sample(&host);
		wraps = (host.raw_uj[0] - 600 * MILLION) / wrapped_uj;
		assert_int_equal(row(&host, 0)->energy_uj, host.counted_uj[0] - wraps * wrapped_uj);
		assert_int_equal(row(&host, 0)->returned_unsure, i < 3 ? 0 : 1);
		assert_int_equal(row(&host, 1)->energy_uj, 40 * MILLION);
		assert_int_equal(row(&host, 0)->faults[LEDGER_FAULT_BACKWARD], 0);
		host_stop(&host);
	}
}

/* What is gone from this boot's counters says nothing. */
static void test_readings_that_were_forgotten_book_nothing(void **state)
{
	static struct host host;

	(void)state;
	host_live_and_die(&host);
	ledger_forget_readings(host.ledger);
	host_pass(&host, 100, loads);
	host_wake(&host);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->energy_uj, 600 * MILLION);
	assert_int_equal(ledger_host(host.ledger)->returned.count, 0);
	host_pass(&host, 1, loads);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->energy_uj, 660 * MILLION);
	host_stop(&host);
}

/* Nobody is charged, nor told of, hours in which the host slept; and nothing is learned of them. */
static void test_a_suspended_host_is_no_load(void **state)
{
	static struct host host;
	uint64_t told_uj;

	(void)state;
	host_start(&host);
	host.config.guest_view_exact = false;
	engine_configure(host.engine, &host.config);
	host_sample(&host);
	for (int second = 0; second < 30; second++) {
		host_pass(&host, 1, loads);
		host_sample(&host);
	}
	told_uj = share(&host, 0)->guest_view_uj;
	assert_true(told_uj > 0);
	/* Eight hours later the counters begin anew: that is no wrap. */
	host.sample.time.ns += 8 * 3600 * SECOND;
	host.raw_uj[0] = 5 * MILLION;
	host.raw_uj[1] = 1 * MILLION;
	host_pass(&host, 1, loads);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->energy_uj, 30 * PACKAGE_W * MILLION);
	assert_int_equal(row(&host, 0)->faults[LEDGER_FAULT_BACKWARD], 1);
	/* Or they went on, and stood still. */
	host.sample.time.ns += 8 * 3600 * SECOND;
	host_pass(&host, 1, loads);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->energy_uj, 31 * PACKAGE_W * MILLION);
	assert_in_range(share(&host, 0)->guest_view_uj, told_uj, told_uj + 200 * MILLION);
	/* Its power is energy by the time that passed. */
	assert_true(row(&host, 0)->power_uw < MILLION);
	host_pass(&host, 1, loads);
	host_sample(&host);
	assert_int_equal(row(&host, 0)->power_uw, PACKAGE_W * MILLION);
	host_stop(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_that_came_meanwhile_is_booked_by_cpu_time),
	    cmocka_unit_test(test_a_machine_that_started_meanwhile_pays_from_then_on),
	    cmocka_unit_test(test_of_a_machine_that_ended_meanwhile_the_part_is_named),
	    cmocka_unit_test(test_a_wrap_is_booked_and_more_are_said),
	    cmocka_unit_test(test_readings_that_were_forgotten_book_nothing),
	    cmocka_unit_test(test_a_suspended_host_is_no_load),
	};

	return cmocka_run_group_tests_name("engine_return", tests, NULL, NULL);
}
