#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/cleanup.h"
#include "host/sampler_host.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define SECOND	    CLOCK_NS_PER_SECOND
#define PATIENCE_MS 30000

/* A source whose readings are the test's. */
struct made_up_source {
	struct energy_source source;
	int error;
	uint64_t raw_uj;
};

static int made_up_read(struct energy_source *source, struct sample *sample)
{
	const struct made_up_source *made_up = (const struct made_up_source *)source;

	if (made_up->error < 0)
		return made_up->error;
	sample->zone_count = 1;
	sample->zones[0] = (struct sample_zone){.raw_uj = made_up->raw_uj};
	return 0;
}

static const struct energy_source_ops made_up_ops = {.name = "made up", .read = made_up_read};

/* One machine, found in /proc by the procfs provider. */
struct host {
	struct tree tree;
	struct sysroot *root;
	struct manual_clock clock;
	struct topology *topology;
	struct made_up_source source;
	struct vm_provider *provider;
	struct sampler_host *sampler;
	struct sample sample;
};

static void host_write_threads(struct host *host, uint64_t vcpu_ns)
{
	static const char stat[] = "%d (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 77 0 0 0 0 0 "
				   "0 0 0 0 0 0 0 0 0 0 17 0 0 0\n";

	tree_write(&host->tree, "proc/10/comm", "kvm\n");
	tree_write(&host->tree, "proc/10/stat", stat, 10);
	tree_write(&host->tree, "proc/10/schedstat", "5 0 0\n");
	tree_write(&host->tree, "proc/10/cmdline",
		   "kvm%c-uuid%c8e3f7f1e-0f3b-4a54-8e86-0ff2bd8a1a02%c-name%cone%c", 0, 0, 0, 0, 0);
	tree_write(&host->tree, "proc/10/task/10/comm", "kvm\n");
	tree_write(&host->tree, "proc/10/task/10/schedstat", "5 0 0\n");
	tree_write(&host->tree, "proc/10/task/11/comm", "CPU 0/KVM\n");
	tree_write(&host->tree, "proc/10/task/11/schedstat", "%" PRIu64 " 0 0\n", vcpu_ns);
}

static void host_write_cpu(struct host *host, unsigned int user, unsigned int idle)
{
	tree_write(&host->tree, "proc/stat",
		   "cpu %u 0 0 %u 0 0 0 0 0 0\ncpu0 %u 0 0 %u 0 0 0 0 0 0\n", user, idle, user,
		   idle);
}

static void host_open(struct host *host)
{
	struct vm_provider_context provider = {.clock = clock_real()};
	struct sampler_host_context context = {.fd_budget = 100};
	struct diag diag = DIAG_INIT;

	*host = (struct host){.source = {.source = {.ops = &made_up_ops, .zone_count = 1}}};
	tree_create(&host->tree);
	tree_write(&host->tree, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
	host_write_cpu(host, 0, 0);
	host_write_threads(host, 1000);
	manual_clock_init(&host->clock, (struct mono_time){.ns = 1000 * SECOND},
			  (struct wall_time){.ns = 1});
	assert_int_equal(sysroot_open(host->tree.path, &host->root, NULL), 0);
	assert_int_equal(topology_create(&host->topology), 0);
	assert_int_equal(topology_add(host->topology, &(struct topology_cpu){.cpu = 0}), 0);
	provider.root = host->root;
	assert_int_equal(vm_provider_open("procfs", &provider, &host->provider, NULL), 0);
	context.root = host->root;
	context.clock = &host->clock.clock;
	context.topology = host->topology;
	context.source = &host->source.source;
	context.provider = host->provider;
	if (sampler_host_create(&context, &host->sampler, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(sample_init(&host->sample, 1), 0);
}

static void host_close(struct host *host)
{
	sample_finish(&host->sample);
	sampler_host_destroy(host->sampler);
	vm_provider_close(host->provider);
	topology_destroy(host->topology);
	sysroot_close(host->root);
	tree_remove(&host->tree);
}

/* Waits for a roster. */
static void host_await(const struct host *host)
{
	struct pollfd fd = {.fd = vm_provider_fd(host->provider), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
}

static void test_one_sample(void **state)
{
	const struct sample *sample;
	struct host host;

	(void)state;
	host_open(&host);
	host_await(&host);
	host.source.raw_uj = 70;
	assert_int_equal(sampler_host_take(host.sampler, &host.sample), 0);
	sample = &host.sample;
	assert_int_equal(sample->time.ns, 1000 * SECOND);
	assert_int_equal(sample->zone_count, 1);
	assert_int_equal(sample->zones[0].error, 0);
	assert_int_equal(sample->zones[0].raw_uj, 70);
	assert_int_equal(sample->memory_total_bytes, 1000 * 1024);
	assert_int_equal(sample->memory_used_bytes, 600 * 1024);
	assert_int_equal(sample->vm_count, 1);
	assert_string_equal(sample->vms[0].name, "one");
	assert_int_equal(sample->vms[0].vcpus[0].time_ns, 1000);
	assert_int_equal(sample->vms[0].overhead_ns, 5);
	assert_int_equal(sampler_host_report(host.sampler)->followed, 1);

	manual_clock_advance(&host.clock, SECOND);
	host_write_cpu(&host, 60, 40);
	host_write_threads(&host, 1500);
	assert_int_equal(sampler_host_take(host.sampler, &host.sample), 0);
	assert_int_equal(sample->time.ns, 1001 * SECOND);
	assert_int_equal(sample->vms[0].vcpus[0].time_ns, 1500);
	assert_true(sample->cpu_busy_ns[0] > 0);
	host_close(&host);
}

/* What cannot be read is told, and the rest of the sample is there. */
static void test_parts_that_fail(void **state)
{
	struct host host;

	(void)state;
	host_open(&host);
	host_await(&host);
	host.source.error = -EIO;
	assert_int_equal(sampler_host_take(host.sampler, &host.sample), -EIO);
	assert_int_equal(host.sample.zone_count, 1);
	assert_int_equal(host.sample.zones[0].error, -EIO);
	assert_int_equal(host.sample.vm_count, 1);
	host.source.error = 0;
	tree_write(&host.tree, "proc/meminfo", "nothing\n");
	assert_int_equal(sampler_host_take(host.sampler, &host.sample), -EBADMSG);
	assert_int_equal(host.sample.zones[0].error, 0);
	assert_int_equal(host.sample.memory_total_bytes, 1000 * 1024);
	assert_int_equal(host.sample.vm_count, 1);
	host_close(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_sample),
	    cmocka_unit_test(test_parts_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
