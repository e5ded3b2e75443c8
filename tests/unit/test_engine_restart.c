/*
 * What an engine has learned outlives its process: the accounts are taken over by the next one,
 * from memory or from disk, and that goes on from the same static power.
 */
#include "common/engine.h"
#include "common/ledger_life.h"
#include "common/ledger_map.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#define CPUS	   8
#define VMS	   3
#define STATIC_W   50.0
#define THREAD_W   2.0
#define LEARN_S	   900
#define MINUTE_S   60
#define SECOND_NS  CLOCK_NS_PER_SECOND
#define CHECKPOINT (600 * SECOND_NS)

/*
 * How far the next engine may be off while it sees next to nothing of what the one before had seen.
 * A guess would be off by half of the static power, and by four times what a thread draws.
 */
#define STATIC_PERCENT 8.0
#define THREAD_PERCENT 100.0
#define DRIFT_PERCENT  3.0  /* all restarts together */
#define ENERGY_MORE    0.05 /* of what a machine used, beyond what it would be off anyway */

/* A host whose static power is far from what anybody would guess, and what its machines use. */
struct host {
	uint64_t random;
	struct sample sample;
	double energy_j;
	double step_s;	   /* between two samples */
	double loads[VMS]; /* in CPUs */
	double truth_j[VMS];
};

/* A wattportd: its accounts on disk and in memory, and its engine. */
struct daemon {
	struct tree tree;
	struct manual_clock clock;
	struct ledger_life_context context;
	struct ledger_life *life;
	struct engine *engine;
};

struct scene {
	struct topology *topology;
	struct zone zone;
	struct host host;
	struct daemon steady; /* runs on all the time */
	struct daemon restarted;
};

static const size_t vm_vcpus[VMS] = {2, 2, 1};

static void daemon_start(struct daemon *daemon, const struct scene *scene)
{
	const struct engine_config config = {.idle = ATTRIBUTION_IDLE_VCPU};
	struct diag diag = DIAG_INIT;

	if (ledger_life_open(&daemon->context, &daemon->life, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_string_equal(ledger_life_start(daemon->life)->damage.text, "");
	assert_int_equal(engine_create(&config, scene->topology, &scene->zone, 1,
				       ledger_life_ledger(daemon->life), &daemon->engine),
			 0);
}

static void daemon_stop(struct daemon *daemon)
{
	engine_destroy(daemon->engine);
	ledger_life_close(daemon->life);
	daemon->engine = NULL;
	daemon->life = NULL;
}

static void daemon_create(struct daemon *daemon, const struct scene *scene)
{
	tree_create(&daemon->tree);
	manual_clock_init(&daemon->clock, (struct mono_time){SECOND_NS},
			  (struct wall_time){UINT64_C(1700000000000000000)});
	daemon->context = (struct ledger_life_context){
	    .clock = &daemon->clock.clock,
	    .boot = {.bytes = {7}},
	    .runtime_fd = openat(daemon->tree.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    .state_fd = openat(daemon->tree.fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    .checkpoint_ns = CHECKPOINT,
	};
	daemon_start(daemon, scene);
}

static void daemon_destroy(struct daemon *daemon)
{
	daemon_stop(daemon);
	(void)close(daemon->context.runtime_fd);
	(void)close(daemon->context.state_fd);
	tree_remove(&daemon->tree);
}

static void daemon_take(struct daemon *daemon, const struct sample *sample)
{
	manual_clock_advance(&daemon->clock, SECOND_NS);
	assert_int_equal(engine_step(daemon->engine, sample), 0);
	assert_int_equal(ledger_conservation_error_uj(ledger_life_ledger(daemon->life), 0), 0);
	assert_int_equal(ledger_life_publish(daemon->life), 0);
	if (ledger_life_is_due(daemon->life))
		assert_int_equal(ledger_life_save(daemon->life), 0);
}

static const struct ledger_zone *daemon_zone(const struct daemon *daemon)
{
	return &ledger_host(ledger_life_ledger(daemon->life))->zones[0];
}

static double daemon_account_j(const struct daemon *daemon, size_t vm)
{
	const struct ledger *ledger = ledger_life_ledger(daemon->life);
	struct uuid uuid = {.bytes = {(uint8_t)(vm + 1)}};
	int slot = ledger_find(ledger, &uuid);

	assert_true(slot >= 0);
	return (double)ledger_share_total_uj(&ledger_vm_const(ledger, (size_t)slot)->shares[0]) /
	       1e6;
}

/* A second in which loads move, or stand still: then nothing can be learned. */
static void host_second(struct host *host, bool moves)
{
	double power_w = STATIC_W;

	for (size_t i = 0; i < VMS; i++) {
		if (moves && check_random_below(&host->random, 5) == 0)
			host->loads[i] = (double)vm_vcpus[i] *
					 (double)(20 + check_random_below(&host->random, 80)) / 100;
		power_w += THREAD_W * host->loads[i];
		host->truth_j[i] += host->step_s * (THREAD_W * host->loads[i] +
						    STATIC_W * (double)vm_vcpus[i] / (double)CPUS);
	}
	power_w *= 1 + 0.01 * ((double)check_random_below(&host->random, 1000) / 1000 - 0.5);
	host->energy_j += host->step_s * power_w;
	host->sample.time.ns += (uint64_t)(host->step_s * 1e9);
}

static void host_fill(struct host *host, const uint64_t time_ns[VMS])
{
	uint64_t now_ns = host->sample.time.ns;

	sample_clear(&host->sample);
	host->sample.time.ns = now_ns;
	host->sample.zones[0].raw_uj = (uint64_t)(host->energy_j * 1e6);
	for (size_t i = 0; i < VMS; i++) {
		struct sample_vm *vm = NULL;

		assert_int_equal(sample_add_vm(&host->sample, vm_vcpus[i], &vm), 0);
		CHECK_POINTER(vm);
		vm->uuid.bytes[0] = (uint8_t)(i + 1);
		vm->memory_bytes = UINT64_C(1) << 30;
		for (size_t vcpu = 0; vcpu < vm_vcpus[i]; vcpu++) {
			uint32_t cpu = (uint32_t)(2 * i + vcpu);

			vm->vcpus[vcpu] =
			    (struct sample_vcpu){.time_ns = time_ns[i] / vm_vcpus[i], .cpu = cpu};
			host->sample.cpu_busy_ns[cpu] = vm->vcpus[vcpu].time_ns;
		}
	}
}

static void scene_pass(struct scene *scene, size_t seconds, bool moves)
{
	static uint64_t time_ns[VMS];
	struct host *host = &scene->host;

	if (host->energy_j <= 0)
		memset(time_ns, 0, sizeof(time_ns));
	for (size_t second = 0; second < seconds; second++) {
		host_second(host, moves);
		for (size_t i = 0; i < VMS; i++)
			time_ns[i] += (uint64_t)(host->step_s * host->loads[i] * 1e9);
		host_fill(host, time_ns);
		daemon_take(&scene->steady, &host->sample);
		daemon_take(&scene->restarted, &host->sample);
	}
}

static void scene_start(struct scene *scene)
{
	*scene = (struct scene){
	    .zone = {.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = UINT64_MAX},
	    .host = {.random = 5, .step_s = 1, .loads = {1, 1, 0.5}},
	};
	assert_int_equal(topology_create(&scene->topology), 0);
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		struct topology_cpu row = {.cpu = cpu, .core = cpu};

		assert_int_equal(topology_add(scene->topology, &row), 0);
	}
	assert_int_equal(sample_init(&scene->host.sample, CPUS), 0);
	scene->host.sample.zone_count = 1;
	daemon_create(&scene->steady, scene);
	daemon_create(&scene->restarted, scene);
}

static void scene_stop(struct scene *scene)
{
	daemon_destroy(&scene->steady);
	daemon_destroy(&scene->restarted);
	sample_finish(&scene->host.sample);
	topology_destroy(scene->topology);
}

/* Killed: the next one finds the map. */
static void die(struct daemon *daemon)
{
	daemon_stop(daemon);
}

/* The host is rebooted in order: the map is gone, and the disk has it all. */
static void reboot(struct daemon *daemon)
{
	assert_int_equal(ledger_life_end(daemon->life), 0);
	daemon_stop(daemon);
	assert_int_equal(unlinkat(daemon->context.runtime_fd, LEDGER_MAP_NAME, 0), 0);
	daemon->context.boot.bytes[0]++;
}

/* The power fails: the disk has the last checkpoint. */
static void crash(struct daemon *daemon)
{
	daemon_stop(daemon);
	assert_int_equal(unlinkat(daemon->context.runtime_fd, LEDGER_MAP_NAME, 0), 0);
	daemon->context.boot.bytes[0]++;
}

static void check_near(const char *what, double found, double wanted, double percent)
{
	if (fabs(found - wanted) > wanted * percent / 100)
		fail_msg("%s: found %g, wanted %g", what, found, wanted);
}

/* A minute of level load, which tells nothing: neither is worse off than the truth by much. */
static void check_minute(struct scene *scene)
{
	double static_uw = (double)daemon_zone(&scene->steady)->idle_power_uw;
	double thread_uw = (double)daemon_zone(&scene->steady)->thread_power_uw;
	double truth_j[VMS], before_j[2][VMS];
	const struct daemon *daemons[] = {&scene->steady, &scene->restarted};

	/* Its first sample has no interval yet. */
	scene_pass(scene, 1, false);
	memcpy(truth_j, scene->host.truth_j, sizeof(truth_j));
	for (size_t i = 0; i < 2; i++)
		for (size_t vm = 0; vm < VMS; vm++)
			before_j[i][vm] = daemon_account_j(daemons[i], vm);
	for (int second = 0; second < MINUTE_S; second++) {
		scene_pass(scene, 1, false);
		check_near("static power", (double)daemon_zone(&scene->restarted)->idle_power_uw,
			   static_uw, STATIC_PERCENT);
		check_near("thread's power",
			   (double)daemon_zone(&scene->restarted)->thread_power_uw, thread_uw,
			   THREAD_PERCENT);
	}
	for (size_t vm = 0; vm < VMS; vm++) {
		double true_j = scene->host.truth_j[vm] - truth_j[vm];
		double error[2];

		for (size_t i = 0; i < 2; i++)
			error[i] =
			    fabs(daemon_account_j(daemons[i], vm) - before_j[i][vm] - true_j) /
			    true_j;
		if (error[1] > error[0] + ENERGY_MORE)
			fail_msg("machine %zu: %g, and %g without a restart", vm, error[1],
				 error[0]);
	}
}

static void test_what_was_learned_outlives_the_daemon(void **state)
{
	static void (*const ends[])(struct daemon * daemon) = {die, reboot, crash};
	static struct scene scene;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(ends); i++) {
		scene_start(&scene);
		scene_pass(&scene, LEARN_S, true);
		check_near("static power", (double)daemon_zone(&scene.steady)->idle_power_uw,
			   STATIC_W * 1e6, 5);
		ends[i](&scene.restarted);
		daemon_start(&scene.restarted, &scene);
		check_minute(&scene);
		/* Again, when it has not yet learned for itself. */
		assert_int_equal(daemon_zone(&scene.restarted)->calibration_learning, 1);
		ends[i](&scene.restarted);
		daemon_start(&scene.restarted, &scene);
		check_minute(&scene);
		scene_stop(&scene);
	}
}

/* Guests ask for samples many times a second, also in the first, in which nothing is fitted. */
static void test_the_first_second_is_no_exception(void **state)
{
	static struct scene scene;

	(void)state;
	scene_start(&scene);
	scene_pass(&scene, LEARN_S, true);
	die(&scene.restarted);
	daemon_start(&scene.restarted, &scene);
	scene.host.step_s = 0.1;
	scene_pass(&scene, 1, false);
	for (int step = 0; step < 20; step++) {
		scene_pass(&scene, 1, false);
		check_near("static power", (double)daemon_zone(&scene.restarted)->idle_power_uw,
			   (double)daemon_zone(&scene.steady)->idle_power_uw, STATIC_PERCENT);
		check_near("thread's power", (double)daemon_zone(&scene.restarted)->thread_power_uw,
			   (double)daemon_zone(&scene.steady)->thread_power_uw, THREAD_PERCENT);
	}
	scene_stop(&scene);
}

/* A wattportd that dies again and again under a load that stands still finds what it left. */
static void test_a_loop_of_restarts_does_not_drift(void **state)
{
	static struct scene scene;
	double before_uw, thread_uw;

	(void)state;
	scene_start(&scene);
	scene_pass(&scene, LEARN_S, true);
	before_uw = (double)daemon_zone(&scene.restarted)->idle_power_uw;
	thread_uw = (double)daemon_zone(&scene.restarted)->thread_power_uw;
	for (int restart = 0; restart < 30; restart++) {
		die(&scene.restarted);
		daemon_start(&scene.restarted, &scene);
		scene_pass(&scene, 5, false);
		check_near("static power", (double)daemon_zone(&scene.restarted)->idle_power_uw,
			   before_uw, DRIFT_PERCENT);
		check_near("thread's power", (double)daemon_zone(&scene.restarted)->thread_power_uw,
			   thread_uw, DRIFT_PERCENT * 3);
	}
	scene_stop(&scene);
}

/* What the first minute of the first run took for static power was a guess, and is none later. */
static void test_a_guess_is_not_kept(void **state)
{
	static struct scene scene;

	(void)state;
	scene_start(&scene);
	scene_pass(&scene, MINUTE_S, true);
	assert_int_equal(daemon_zone(&scene.restarted)->calibration_known, 0);
	die(&scene.restarted);
	daemon_start(&scene.restarted, &scene);
	/* An engine of other accounts, which never saw any of it. */
	daemon_destroy(&scene.steady);
	daemon_create(&scene.steady, &scene);
	scene_pass(&scene, MINUTE_S, true);
	assert_int_equal(daemon_zone(&scene.restarted)->idle_power_uw,
			 daemon_zone(&scene.steady)->idle_power_uw);
	scene_stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_learned_outlives_the_daemon),
	    cmocka_unit_test(test_the_first_second_is_no_exception),
	    cmocka_unit_test(test_a_loop_of_restarts_does_not_drift),
	    cmocka_unit_test(test_a_guess_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
