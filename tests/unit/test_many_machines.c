/* Machines that come and go by the thousand: nothing grows, and nothing is lost. */
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/engine.h"
#include "common/settings.h"
#include "host/vm_threads.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

#define SECOND CLOCK_NS_PER_SECOND
#define COUNT  10000
#define BATCH  50 /* run at a time */
#define SEEN                                                                                       \
	500 /* of so many machines one batch has processes; libvirt tells the others' times        \
	     */
#define PID 100

/* In a second. */
#define VCPU_NS	  UINT64_C(400000000)
#define ENERGY_UJ UINT64_C(20000000)

struct host {
	struct tree tree;
	struct sysroot *root;
	struct topology *topology;
	struct vm_threads *threads;
	struct vm_roster *roster;
	struct ledger *ledger;
	struct engine *engine;
	struct sample sample;
	uint64_t vcpu_ns; /* of all machines */
};

static void host_open(struct host *host)
{
	static const struct zone zone = {.id = "package-0",
					 .kind = ZONE_PACKAGE,
					 .die = ZONE_ANY_DIE,
					 .range_uj = UINT64_C(1) << 60};
	struct vm_threads_context context = {.package_count = 1, .fd_budget = 1000};
	struct settings settings;
	struct engine_config config;

	*host = (struct host){.vcpu_ns = 0};
	tree_create(&host->tree);
	assert_int_equal(sysroot_open(host->tree.path, &host->root, NULL), 0);
	context.root = host->root;
	assert_int_equal(vm_threads_create(&context, &host->threads), 0);
	assert_int_equal(vm_roster_create(&host->roster), 0);
	assert_int_equal(topology_create(&host->topology), 0);
	assert_int_equal(topology_add(host->topology, &(struct topology_cpu){.cpu = 0}), 0);
	assert_int_equal(settings_load(SETTINGS_NO_FILE, NULL, &settings, NULL), 0);
	config = settings_engine(&settings);
	assert_int_equal(ledger_create(&host->ledger), 0);
	assert_int_equal(
	    engine_create(&config, host->topology, &zone, 1, host->ledger, &host->engine), 0);
	assert_int_equal(sample_init(&host->sample, 1), 0);
	host->sample.time.ns = 1000 * SECOND;
}

static void host_close(struct host *host)
{
	vm_threads_destroy(host->threads);
	vm_roster_destroy(host->roster);
	engine_destroy(host->engine);
	ledger_destroy(host->ledger);
	topology_destroy(host->topology);
	sample_finish(&host->sample);
	sysroot_close(host->root);
	tree_remove(&host->tree);
}

/* The processes of a batch are always of the same ids, as if these had come round. */
static void host_process(struct host *host, int pid, uint32_t start, uint64_t vcpu_ns)
{
	static const char stat[] = "%d (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 %" PRIu32
				   " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0\n";
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_write(&host->tree, path, stat, pid, start);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", pid, pid + 1000);
	tree_write(&host->tree, path, "%" PRIu64 " 0 0\n", vcpu_ns);
}

/* What stays of it when the next has its id. */
static void host_furnish(struct host *host)
{
	for (int pid = PID; pid < PID + BATCH; pid++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "proc/%d/schedstat", pid);
		tree_write(&host->tree, path, "1000 0 0\n");
		(void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", pid, pid + 1000);
		tree_write(&host->tree, path, "CPU 0/KVM\n");
	}
}

static void host_sample(struct host *host)
{
	struct sample *sample = &host->sample;
	uint64_t now_ns = sample->time.ns + SECOND;
	uint64_t raw_uj = sample->zones[0].raw_uj + ENERGY_UJ;
	uint64_t busy_ns = sample->cpu_busy_ns[0] + VCPU_NS;

	sample_clear(sample);
	sample->time.ns = now_ns;
	sample->zone_count = 1;
	sample->zones[0] = (struct sample_zone){.raw_uj = raw_uj};
	sample->cpu_busy_ns[0] = busy_ns;
	assert_int_equal(vm_threads_follow(host->threads, host->roster, sample->time), 0);
	assert_int_equal(vm_threads_read(host->threads, sample->time, sample), 0);
	assert_int_equal(engine_step(host->engine, sample), 0);
}

/* A machine that has used that much so far. */
static void host_put(struct host *host, int pid, uint32_t number, uint64_t vcpu_ns)
{
	bool seen = number % SEEN <= BATCH;
	struct vm_roster_vcpu vcpu = {.id = 0, .time_ns = vcpu_ns};
	struct vm_roster_vm vm = {
	    .name = "short-lived",
	    .running = true,
	    .has_times = !seen,
	    .cpu_time_ns = vcpu_ns,
	    .process = {.pid = seen ? pid : 0, .start_ticks = number},
	    .socket_count = 1,
	    .vcpus_per_socket = 1,
	    .vcpu_count = 1,
	    .vcpus = &vcpu,
	};

	memcpy(vm.uuid.bytes, &number, sizeof(number));
	if (seen)
		host_process(host, pid, number, vcpu_ns);
	assert_int_equal(vm_roster_put(host->roster, &vm), 0);
}

static void host_remove(struct host *host, uint32_t number)
{
	struct uuid uuid = {.bytes = {0}};

	memcpy(uuid.bytes, &number, sizeof(number));
	assert_int_equal(vm_roster_remove(host->roster, &uuid), 0);
}

/* A batch begins, runs for a second, and is destroyed. */
static void host_live_through(struct host *host, uint32_t first)
{
	for (int i = 0; i < BATCH; i++)
		host_put(host, PID + i, first + (uint32_t)i, 1000);
	host_sample(host);
	for (int i = 0; i < BATCH; i++)
		host_put(host, PID + i, first + (uint32_t)i, 1000 + VCPU_NS);
	host_sample(host);
	/* What libvirt told a second late is booked by then. */
	host_sample(host);
	for (int i = 0; i < BATCH; i++)
		host_remove(host, first + (uint32_t)i);
	host->vcpu_ns += BATCH * VCPU_NS;
}

static size_t descriptor_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL) // NOLINT(concurrency-mt-unsafe)
		count++;
	assert_int_equal(closedir(directory), 0);
	return count;
}

static void test_ten_thousand_machines_one_after_the_other(void **state)
{
	struct host host;
	size_t descriptors = 0, memory = 0;
	uint64_t vcpu_ns = 0;

	(void)state;
	host_open(&host);
	host_furnish(&host);
	host_sample(&host);
	for (uint32_t number = 1; number <= COUNT; number += BATCH) {
		host_live_through(&host, number);
		/* From here on every account has been used before. */
		if (number == COUNT - 1000 + 1) {
			descriptors = descriptor_count();
			memory = mallinfo2().uordblks;
		}
	}
	assert_true(descriptors > 0);
	assert_int_equal(descriptor_count(), descriptors);
	/* A list that keeps them all would have grown by twice that. */
	assert_true(mallinfo2().uordblks <= memory + 131072);
	assert_int_equal(ledger_slot_count(host.ledger), LEDGER_VM_MAX);
	host_sample(&host);
	assert_int_equal(ledger_conservation_error_uj(host.ledger, 0), 0);
	assert_int_equal(ledger_host(host.ledger)->zones[0].energy_uj,
			 (3 * COUNT / BATCH + 1) * ENERGY_UJ);
	for (size_t slot = 0; slot < LEDGER_VM_MAX; slot++)
		vcpu_ns += ledger_vm_const(host.ledger, slot)->vcpu_ns;
	assert_int_equal(vcpu_ns, host.vcpu_ns);
	host_close(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ten_thousand_machines_one_after_the_other),
	};

	return cmocka_run_group_tests_name("many_machines", tests, NULL, NULL);
}
