#include "tests/unit/made_up_host.h"
#include "common/cleanup.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define TICKS	    100

/* In a second. */
#define VCPU_TICKS (MADE_UP_VCPU_NS / 2 * TICKS / CLOCK_NS_PER_SECOND)

static const struct {
	const char *directory, *name;
	uint64_t power_uw;
} zones[MADE_UP_ZONES] = {
    /* In the order in which the powercap source lists them. */
    {"intel-rapl:0", "package-0", 20000000},
    {"intel-rapl:0:0", "dram", 3000000},
    {"intel-rapl:1", "package-1", 10000000},
};

static struct mono_time made_up_mono(const struct clock *clock)
{
	const struct made_up_clock *made_up = (const struct made_up_clock *)clock;

	return (struct mono_time){atomic_load(&made_up->ns)};
}

static struct wall_time made_up_wall(const struct clock *clock)
{
	return (struct wall_time){made_up_mono(clock).ns + UINT64_C(1700000000000000000)};
}

static uint64_t made_up_suspended(const struct clock *clock)
{
	(void)clock;
	return 0;
}

uint64_t made_up_host_energy_uj(size_t zone, uint64_t seconds)
{
	return zones[zone].power_uw * seconds;
}

static void made_up_host_stat(const struct made_up_host *host, const char *path, int tid)
{
	tree_write(&host->tree, path,
		   "%d (kvm) S 1 1 1 0 -1 0 0 0 0 0 %" PRIu64
		   " 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 %d 0 0\n",
		   tid, host->seconds * VCPU_TICKS + 1, tid % 2);
}

static void made_up_host_thread(const struct made_up_host *host, int tid, uint64_t time_ns)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", MADE_UP_PID, tid);
	tree_write(&host->tree, path, "%" PRIu64 " 0 0\n", time_ns);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/stat", MADE_UP_PID, tid);
	made_up_host_stat(host, path, tid);
}

/* What moves with time. */
static void made_up_host_write(const struct made_up_host *host)
{
	uint64_t busy = host->seconds * TICKS / 2, rest = host->seconds * TICKS - busy;
	uint64_t time_ns = 1000 + host->seconds * MADE_UP_VCPU_NS / 2;

	for (size_t i = 0; i < MADE_UP_ZONES; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/class/powercap/%s/energy_uj",
			       zones[i].directory);
		tree_write(&host->tree, path, "%" PRIu64 "\n",
			   1000000 + made_up_host_energy_uj(i, host->seconds));
	}
	tree_write(&host->tree, "proc/stat",
		   "cpu %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\ncpu0 %" PRIu64 " 0 0 %" PRIu64
		   " 0 0 0 0 0 0\ncpu1 %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n",
		   2 * busy, 2 * rest, busy, rest, busy, rest);
	made_up_host_thread(host, MADE_UP_PID, 1000);
	made_up_host_thread(host, MADE_UP_PID + 1, time_ns);
	made_up_host_thread(host, MADE_UP_PID + 2, time_ns);
}

/* What stands still. */
static void made_up_host_furnish(const struct made_up_host *host)
{
	const struct tree *tree = &host->tree;

	for (size_t i = 0; i < MADE_UP_ZONES; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/class/powercap/%s/name",
			       zones[i].directory);
		tree_write(tree, path, "%s\n", zones[i].name);
		(void)snprintf(path, sizeof(path), "sys/class/powercap/%s/max_energy_range_uj",
			       zones[i].directory);
		tree_write(tree, path, "262143328850\n");
	}
	tree_write(tree, "sys/devices/system/cpu/present", "0-1\n");
	for (int cpu = 0; cpu < 2; cpu++) {
		char path[80];

		(void)snprintf(path, sizeof(path),
			       "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
		tree_write(tree, path, "%d\n", cpu);
		(void)snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/core_id",
			       cpu);
		tree_write(tree, path, "0\n");
	}
	tree_write(tree, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
	tree_write(tree, "proc/cpuinfo", "vendor_id\t: GenuineIntel\nmodel name\t: Made up\n");
	tree_write(tree, "proc/sys/kernel/osrelease", "5.10.0\n");
	tree_write(tree, "proc/sys/kernel/random/boot_id",
		   "00000000-0000-4000-8000-000000000001\n");
	tree_write(tree, "proc/10/comm", "kvm\n");
	tree_write(tree, "proc/10/schedstat", "1000 0 0\n");
	tree_write(tree, "proc/10/status",
		   "Name:\tkvm\nTgid:\t10\nPid:\t10\nPPid:\t1\nUid:\t0\t0\t0\t0\n");
	tree_write(tree, "proc/10/cmdline",
		   "kvm%c-uuid%c" MADE_UP_MACHINE "%c-smp%c2%c-name%cone%c", 0, 0, 0, 0, 0, 0, 0);
	made_up_host_stat(host, "proc/10/stat", MADE_UP_PID);
	tree_write(tree, "proc/10/task/10/comm", "kvm\n");
	tree_write(tree, "proc/10/task/11/comm", "CPU 0/KVM\n");
	tree_write(tree, "proc/10/task/12/comm", "CPU 1/KVM\n");
	/* Another process, and vhost's kernel thread of before Linux 6.4. */
	tree_write(tree, "proc/20/comm", "sh\n");
	tree_write(tree, "proc/30/comm", "vhost-10\n");
	tree_write(tree, "proc/30/schedstat", "500 0 0\n");
	tree_write(tree, "proc/30/stat",
		   "30 (vhost-10) S 2 0 0 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 77 0 "
		   "0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0\n");
}

static int made_up_host_directory(const struct tree *tree, const char *name)
{
	int fd;

	assert_int_equal(mkdirat(tree->fd, name, 0700), 0);
	fd = openat(tree->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void made_up_host_create(struct made_up_host *host)
{
	*host = (struct made_up_host){
	    .clock = {.clock = {.now_mono = made_up_mono,
				.now_wall = made_up_wall,
				.suspended_ns = made_up_suspended},
		      .ns = 1000 * CLOCK_NS_PER_SECOND},
	    .fd_budget = 100,
	};
	tree_create(&host->tree);
	made_up_host_furnish(host);
	made_up_host_write(host);
	assert_int_equal(sysroot_open(host->tree.path, &host->root, NULL), 0);
	host->runtime_fd = made_up_host_directory(&host->tree, "run");
	host->state_fd = made_up_host_directory(&host->tree, "state");
	assert_int_equal(settings_load(SETTINGS_NO_FILE, NULL, &host->settings, NULL), 0);
	host->settings.vms_provider = SETTINGS_PROVIDER_PROCFS;
	host->settings.attribution_events = SETTINGS_EVENTS_NONE;
	host->settings.meter_checkpoint_ns = CLOCK_NS_PER_SECOND;
}

void made_up_host_destroy(struct made_up_host *host)
{
	made_up_host_close(host);
	(void)close(host->runtime_fd);
	(void)close(host->state_fd);
	sysroot_close(host->root);
	tree_remove(&host->tree);
}

int made_up_host_try(struct made_up_host *host, struct diag *diag)
{
	const struct meter_context context = {
	    .settings = &host->settings,
	    .root = host->root,
	    .clock = &host->clock.clock,
	    .runtime_fd = host->runtime_fd,
	    .state_fd = host->state_fd,
	    .fd_budget = host->fd_budget,
	};

	return meter_create(&context, &host->meter, diag);
}

/* As the meter sees it. */
static bool made_up_host_knows_machines(const struct made_up_host *host)
{
	cleanup_free char *status = meter_status(host->meter);

	assert_non_null(status);
	return strstr(status, "\"state\":\"ok\"") != NULL;
}

void made_up_host_await(const struct made_up_host *host)
{
	struct pollfd polled = {.fd = meter_roster_fd(host->meter), .events = POLLIN};

	assert_int_equal(poll(&polled, 1, PATIENCE_MS), 1);
	/* The list comes a moment before it is said to be all right. */
	while (!made_up_host_knows_machines(host))
		(void)sched_yield();
}

void made_up_host_open(struct made_up_host *host)
{
	struct diag diag = DIAG_INIT;

	if (made_up_host_try(host, &diag) < 0)
		fail_msg("%s", diag.text);
	made_up_host_await(host);
}

void made_up_host_close(struct made_up_host *host)
{
	meter_destroy(host->meter);
	host->meter = NULL;
}

void made_up_host_pass(struct made_up_host *host, uint64_t seconds)
{
	host->seconds += seconds;
	atomic_fetch_add(&host->clock.ns, seconds * CLOCK_NS_PER_SECOND);
	made_up_host_write(host);
}

void made_up_host_copy(const struct made_up_host *host, struct ledger_copy *ret_copy)
{
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	struct diag diag = DIAG_INIT;

	if (ledger_reader_open(host->runtime_fd, &reader, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(ledger_reader_copy(reader, ret_copy), 0);
}

const struct ledger_vm *made_up_host_machine(const struct ledger_copy *copy)
{
	struct uuid uuid;

	assert_int_equal(uuid_parse(MADE_UP_MACHINE, &uuid), 0);
	for (size_t i = 0; i < copy->vm_count; i++)
		if (uuid_equal(&copy->vms[i].uuid, &uuid))
			return &copy->vms[i];
	return NULL;
}
