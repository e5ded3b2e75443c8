/*
 * What was measured is booked once, whoever writes the ledger and however often it dies: in one
 * boot of the host the sum of all accounts is what the counters have counted, to the microjoule,
 * over kills in the middle of anything, lost maps, wraps, suspensions and clocks that are set.
 * test_return [FIRST-SEED [COUNT]]. A seed that failed is replayed by `test_return SEED 1`.
 */
#include "common/counter.h"
#include "common/engine.h"
#include "common/ledger_life.h"
#include "common/ledger_map.h"
#include "common/ledger_store.h"
#include "common/parse.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FATES	PROPERTY_ROUNDS
#define STEPS	150
#define CPUS	4
#define VMS	3
#define POWER_W 80
#define RANGE	UINT64_C(262143328850)
#define SECOND	CLOCK_NS_PER_SECOND

/*
 * Between two samples so much is counted that a wrap is always told from a step back: half of the
 * range, 27 minutes at POWER_W.
 */
#define AWAY_S_MAX 1500
#define SHORT_UJ   UINT64_C(10000000000)

static uint64_t first_seed = 1;
static uint64_t fate_count = FATES;
static uint64_t seed;

struct machine {
	bool running;
	uint64_t run, started_ns;
	uint64_t time_ns;   /* of its process */
	uint64_t before_ns; /* of others that this wattportd saw */
};

struct host {
	uint64_t random;
	struct manual_clock clock;
	char path[2][64];
	int runtime_fd, state_fd;
	struct topology *topology;
	struct ledger_life *life; /* NULL: no wattportd */
	struct engine *engine;
	struct sample sample;
	uint64_t energy_uj;    /* counted since the first sample */
	uint64_t raw_uj;       /* without wraps */
	uint64_t read_uj;      /* of energy_uj: as it was booked last */
	uint64_t told_uj[VMS]; /* guests were told at the last look */
	uint64_t runs;
	struct machine machines[VMS];
};

static const struct zone zone = {.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = RANGE};

static uint64_t below(struct host *host, uint64_t limit)
{
	return check_random_below(&host->random, limit);
}

static int make_directory(char path[static 64])
{
	(void)snprintf(path, 64, "%s/wattport-test-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void wake(struct host *host)
{
	const struct engine_config config = {
	    .idle = (enum attribution_policy)below(host, 3),
	    .guest_view_exact = below(host, 2) == 0,
	    .package = {.given = below(host, 2) == 0, .power_uw = 30000000},
	};
	const struct ledger_life_context context = {
	    .clock = &host->clock.clock,
	    .boot = {.bytes = {1}},
	    .runtime_fd = host->runtime_fd,
	    .state_fd = host->state_fd,
	    .checkpoint_ns = 5 * SECOND,
	};
	struct diag diag = DIAG_INIT;

	if (ledger_life_open(&context, &host->life, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(engine_create(&config, host->topology, &zone, 1,
				       ledger_life_ledger(host->life), &host->engine),
			 0);
	for (size_t i = 0; i < VMS; i++)
		host->machines[i].before_ns = 0;
	memset(host->sample.cpu_busy_ns, 0, CPUS * sizeof(host->sample.cpu_busy_ns[0]));
}

static void fall(struct host *host, bool orderly)
{
	if (orderly)
		assert_int_equal(ledger_life_end(host->life), 0);
	engine_destroy(host->engine);
	ledger_life_close(host->life);
	host->engine = NULL;
	host->life = NULL;
	/* Also the map may go: on disk is what was booked up to which reading, and the rest
	 * follows. */
	if (below(host, 4) == 0)
		assert_int_equal(unlinkat(host->runtime_fd, LEDGER_MAP_NAME, 0), 0);
}

static void pass(struct host *host, uint64_t elapsed_ns)
{
	uint64_t energy_uj = elapsed_ns / 1000 * below(host, POWER_W) / 1000;

	manual_clock_advance(&host->clock, elapsed_ns);
	host->energy_uj += energy_uj;
	host->raw_uj += energy_uj;
	for (size_t cpu = 0; cpu < CPUS; cpu++) {
		uint64_t busy_ns = below(host, elapsed_ns + 1);

		host->sample.cpu_busy_ns[cpu] += busy_ns;
		host->sample.cpu_rest_ns[cpu] += elapsed_ns - busy_ns;
	}
	for (size_t i = 0; i < VMS; i++)
		if (host->machines[i].running)
			host->machines[i].time_ns += below(host, elapsed_ns + 1);
}

static void change_machine(struct host *host)
{
	struct machine *machine = &host->machines[below(host, VMS)];

	machine->running = !machine->running;
	if (!machine->running) {
		machine->before_ns += host->life != NULL ? machine->time_ns : 0;
		return;
	}
	machine->run = ++host->runs;
	machine->started_ns = host->clock.mono.ns;
	machine->time_ns = 0;
}

static void fill(struct host *host)
{
	struct sample *sample = &host->sample;

	sample_clear(sample);
	sample->time = host->clock.mono;
	sample->suspended_ns = host->clock.suspended_ns;
	sample->zone_count = 1;
	sample->zones[0] = (struct sample_zone){.error = below(host, 20) == 0 ? -EIO : 0,
						.raw_uj = host->raw_uj % counter_modulus_uj(RANGE)};
	for (size_t i = 0; i < VMS; i++) {
		const struct machine *machine = &host->machines[i];
		struct sample_vm *vm = NULL;

		if (machine->run == 0)
			continue;
		assert_int_equal(sample_add_vm(sample, 1, &vm), 0);
		CHECK_POINTER(vm);
		vm->uuid.bytes[0] = (uint8_t)(i + 1);
		vm->running = machine->running;
		vm->pid = machine->running ? 100 + (int32_t)i : 0;
		vm->vcpus[0].time_ns =
		    machine->before_ns + (machine->running ? machine->time_ns : 0);
		if (machine->running)
			vm->process = (struct sample_process){.run = machine->run,
							      .started_ns = machine->started_ns,
							      .vcpu_ns = machine->time_ns};
	}
}

static void check(struct host *host)
{
	struct ledger *ledger = ledger_life_ledger(host->life);

	assert_int_equal(ledger_conservation_error_uj(ledger, 0), 0);
	if (host->sample.zones[0].error == 0) {
		assert_int_equal(ledger_host(ledger)->zones[0].energy_uj, host->energy_uj);
		host->read_uj = host->energy_uj;
	}
	for (size_t i = 0; i < VMS; i++) {
		struct uuid uuid = {.bytes = {(uint8_t)(i + 1)}};
		int slot = ledger_find(ledger, &uuid);
		uint64_t floor_uj =
		    slot < 0 ? 0 : ledger_vm(ledger, (size_t)slot)->guest[0].floor_uj[ZONE_PACKAGE];

		assert_true(floor_uj >= host->told_uj[i]);
		host->told_uj[i] = floor_uj;
	}
}

static void take(struct host *host)
{
	fill(host);
	assert_int_equal(engine_step(host->engine, &host->sample), 0);
	/* It may die before it has shown what it booked: then that is booked by the next. */
	if (below(host, 20) == 0) {
		fall(host, false);
		return;
	}
	assert_int_equal(ledger_life_publish(host->life), 0);
	if (ledger_life_is_due(host->life))
		assert_int_equal(ledger_life_save(host->life), 0);
	check(host);
}

static void step(struct host *host)
{
	static const uint64_t limits_ns[] = {SECOND / 100, SECOND, 3 * SECOND};

	pass(host, 1 + below(host, limits_ns[below(host, CHECK_COUNT(limits_ns))]));
	if (below(host, 12) == 0)
		change_machine(host);
	switch (below(host, 40)) {
	case 0:
		if (host->life != NULL)
			fall(host, false);
		break;
	case 1:
		if (host->life != NULL)
			fall(host, true);
		break;
	case 2: /* a night without counting */
		manual_clock_suspend(&host->clock, below(host, 30000 * SECOND));
		break;
	case 3:
		host->clock.wall.ns = below(host, 2 * host->clock.wall.ns);
		break;
	case 4: /* nobody takes a sample: it stands still, or there is none */
		if (below(host, 4) == 0 && host->energy_uj - host->read_uj < SHORT_UJ)
			pass(host, below(host, AWAY_S_MAX * SECOND));
		break;
	case 5:
	case 6:
		if (host->life == NULL)
			wake(host);
		break;
	default:
		if (host->life != NULL)
			take(host);
		break;
	}
}

static void begin(struct host *host)
{
	*host = (struct host){.random = seed};
	manual_clock_init(&host->clock, (struct mono_time){1000 * SECOND},
			  (struct wall_time){UINT64_C(1700000000) * SECOND});
	host->runtime_fd = make_directory(host->path[0]);
	host->state_fd = make_directory(host->path[1]);
	assert_int_equal(topology_create(&host->topology), 0);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		struct topology_cpu row = {.cpu = cpu, .core = cpu};

		assert_int_equal(topology_add(host->topology, &row), 0);
	}
	assert_int_equal(sample_init(&host->sample, CPUS), 0);
	memset(host->sample.cpu_rest_ns, 0, CPUS * sizeof(host->sample.cpu_rest_ns[0]));
	host->raw_uj = below(host, RANGE);
	wake(host);
	/* The first reading begins the count, and a checkpoint stands behind it. */
	do {
		fill(host);
	} while (host->sample.zones[0].error != 0);
	assert_int_equal(engine_step(host->engine, &host->sample), 0);
	assert_int_equal(ledger_life_publish(host->life), 0);
	assert_int_equal(ledger_life_save(host->life), 0);
}

static void end(struct host *host)
{
	static const char *const names[] = {LEDGER_STORE_NAME, LEDGER_STORE_NAME ".old"};

	if (host->life == NULL)
		wake(host);
	/* Once more, when its zone can be read. */
	do {
		fill(host);
	} while (host->sample.zones[0].error != 0);
	assert_int_equal(engine_step(host->engine, &host->sample), 0);
	assert_int_equal(ledger_life_publish(host->life), 0);
	check(host);
	fall(host, true);
	(void)unlinkat(host->runtime_fd, LEDGER_MAP_NAME, 0);
	for (size_t i = 0; i < CHECK_COUNT(names); i++)
		(void)unlinkat(host->state_fd, names[i], 0);
	(void)close(host->runtime_fd);
	(void)close(host->state_fd);
	for (size_t i = 0; i < CHECK_COUNT(host->path); i++)
		assert_int_equal(rmdir(host->path[i]), 0);
	sample_finish(&host->sample);
	topology_destroy(host->topology);
}

static void test_all_that_was_measured_is_booked_once(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < fate_count; i++) {
		static struct host host;

		seed = first_seed + i;
		begin(&host);
		for (int k = 0; k < STEPS; k++)
			step(&host);
		end(&host);
	}
	seed = 0;
}

static int tell_failed_seed(void **state)
{
	(void)state;
	if (seed != 0)
		(void)fprintf(stderr, "failed with seed %llu\n", (unsigned long long)seed);
	return 0;
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_all_that_was_measured_is_booked_once, tell_failed_seed),
	};

	if ((argc > 1 && parse_u64(argv[1], &first_seed) < 0) ||
	    (argc > 2 && parse_u64(argv[2], &fate_count) < 0)) {
		(void)fprintf(stderr, "usage: test_return [FIRST-SEED [COUNT]]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
