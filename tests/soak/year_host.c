#include "tests/soak/year_host.h"
#include "tests/soak/year.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK_NS	     UINT64_C(10000000)
#define HARDWARE_MAX UINT64_C(0xffffffff)
#define PID_MAX	     400 /* small, so that pids come back soon */

struct year_host year_host;

static struct tree host_tree;

const char *year_host_path(void)
{
	return host_tree.path;
}

static const struct year_zone zones[YEAR_ZONE_COUNT] = {
    {.id = "package-0",
     .name = "package-0",
     .place = "0",
     .unit_nj = 61035,
     .idle_mw = 40000,
     .busy_mw = 30000},
    {.id = "dram-0",
     .name = "dram",
     .place = "0:0",
     .unit_nj = 15300,
     .idle_mw = 6000,
     .busy_mw = 500},
    {.id = "package-1",
     .name = "package-1",
     .place = "1",
     .unit_nj = 61035,
     .idle_mw = 35000,
     .busy_mw = 28000},
    {.id = "psys",
     .name = "psys",
     .place = "2",
     .unit_nj = 1000000,
     .idle_mw = 120000,
     .busy_mw = 61000},
};

uint64_t year_zone_raw_uj(const struct year_zone *zone)
{
	return (zone->units & HARDWARE_MAX) * zone->unit_nj / 1000;
}

uint64_t year_zone_range_uj(const struct year_zone *zone)
{
	return HARDWARE_MAX * zone->unit_nj / 1000;
}

static int open_file(const char *path)
{
	int fd = openat(host_tree.fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		year_give_up(path);
	return fd;
}

void year_zone_add(struct year_zone *zone)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%s/name", zone->place);
	tree_write(&host_tree, path, "%s\n", zone->name);
	(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%s/max_energy_range_uj",
		       zone->place);
	tree_write(&host_tree, path, "%" PRIu64 "\n", year_zone_range_uj(zone));
	(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%s/energy_uj",
		       zone->place);
	zone->fd = open_file(path);
	zone->present = true;
	/* It may have gone and returned between two samples, which is noticed with the next. */
	zone->fault_ns = year_host.true_ns;
}

void year_zone_remove(struct year_zone *zone)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%s", zone->place);
	tree_delete(&host_tree, path);
	(void)close(zone->fd);
	zone->fd = -1;
	zone->present = false;
}

void year_zone_reset(struct year_zone *zone)
{
	zone->resets++;
	zone->units = year_below(year_chance(2) ? HARDWARE_MAX : 1000);
}

void year_host_plug_cpu(size_t cpu, bool online)
{
	char path[96];

	year_host.offline[cpu] = !online;
	(void)snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%zu/topology", cpu);
	if (!online) {
		tree_delete(&host_tree, path);
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"physical_package_id", "core_id", "die_id"};
		const size_t values[] = {cpu / 2, cpu % 2, 0};

		(void)snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%zu/topology/%s", cpu,
			       names[i]);
		tree_write(&host_tree, path, "%zu\n", values[i]);
	}
}

static void show_boot(void)
{
	tree_write(&host_tree, "proc/sys/kernel/random/boot_id",
		   "%08x-0000-4000-8000-000000000000\n", (unsigned)year_host.boot);
}

void year_host_begin(void)
{
	tree_create(&host_tree);
	manual_clock_init(&year_host.clock, (struct mono_time){.ns = YEAR_HOUR},
			  (struct wall_time){.ns = 20000 * YEAR_DAY});
	memcpy(year_host.zones, zones, sizeof(zones));
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		year_zone_reset(&year_host.zones[i]);
		year_zone_add(&year_host.zones[i]);
	}
	tree_write(&host_tree, "sys/devices/system/cpu/present", "0-%d\n", YEAR_CPU_COUNT - 1);
	for (size_t i = 0; i < YEAR_CPU_COUNT; i++)
		year_host_plug_cpu(i, true);
	tree_write(&host_tree, "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
	tree_write(&host_tree, "proc/sys/kernel/osrelease", "6.12.0\n");
	year_host.next_pid = 100;
	year_host.boot = 1;
	show_boot();
	year_host_show();
}

void year_host_end(void)
{
	if (host_tree.path[0] != '\0')
		tree_remove(&host_tree);
}

static void zone_spend(struct year_zone *zone, uint64_t elapsed_ns, uint64_t busy_ns)
{
	/* mW times ns are pJ. */
	year_wide unit_pj = (year_wide)zone->unit_nj * 1000;
	year_wide spent_pj = (year_wide)elapsed_ns * zone->idle_mw +
			     (year_wide)busy_ns * zone->busy_mw + zone->rest_pj;

	zone->units += (uint64_t)(spent_pj / unit_pj);
	zone->rest_pj = (uint64_t)(spent_pj % unit_pj);
}

static void vm_spend(struct year_vm *vm, uint64_t elapsed_ns, uint64_t busy_ns[YEAR_CPU_COUNT])
{
	if (!vm->running)
		return;
	if (year_chance(30))
		vm->load_ppm = year_below(1000000);
	for (size_t i = 0; i < YEAR_THREAD_MAX; i++) {
		struct year_thread *thread = &vm->threads[i];
		/* Eight machines of five threads on four CPUs: none may have more than a tenth. */
		uint64_t spent_ns = elapsed_ns / 1000000 * vm->load_ppm / 10;

		if (thread->tid == 0)
			continue;
		if (i == YEAR_VCPU_MAX)
			spent_ns /= 20;
		thread->time_ns += spent_ns;
		vm->spent_ns += spent_ns;
		if (year_chance(20)) {
			thread->cpu = (uint32_t)year_below(YEAR_CPU_COUNT);
			thread->cpu_shown = false;
		}
		busy_ns[thread->cpu] += spent_ns;
	}
}

void year_host_pass(uint64_t elapsed_ns)
{
	uint64_t busy_ns[YEAR_CPU_COUNT] = {0}, package_ns[2], all_ns;

	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		vm_spend(&year_host.vms[i], elapsed_ns, busy_ns);
	for (size_t i = 0; i < YEAR_CPU_COUNT; i++) {
		year_host.busy_ticks[i] += busy_ns[i] / TICK_NS;
		year_host.idle_ticks[i] += (elapsed_ns - busy_ns[i]) / TICK_NS;
	}
	package_ns[0] = busy_ns[0] + busy_ns[1];
	package_ns[1] = busy_ns[2] + busy_ns[3];
	all_ns = package_ns[0] + package_ns[1];
	zone_spend(&year_host.zones[0], elapsed_ns, package_ns[0]);
	zone_spend(&year_host.zones[1], elapsed_ns, package_ns[0]);
	zone_spend(&year_host.zones[2], elapsed_ns, package_ns[1]);
	zone_spend(&year_host.zones[3], elapsed_ns, all_ns);
	manual_clock_advance(&year_host.clock, elapsed_ns);
	year_host.true_ns += elapsed_ns;
	year_host.running_ns += elapsed_ns;
}

void year_host_suspend(uint64_t elapsed_ns, bool counters_reset)
{
	manual_clock_suspend(&year_host.clock, elapsed_ns);
	year_host.true_ns += elapsed_ns;
	for (size_t i = 0; counters_reset && i < YEAR_ZONE_COUNT; i++)
		year_zone_reset(&year_host.zones[i]);
}

static void write_all(int fd, const char *text, int length)
{
	if (pwrite(fd, text, (size_t)length, 0) != length || ftruncate(fd, length) < 0)
		year_give_up("a file of the simulated host");
}

static void show_thread(struct year_thread *thread)
{
	char text[256];

	write_all(thread->fd, text,
		  snprintf(text, sizeof(text), "%" PRIu64 " 0 0\n", thread->time_ns));
	if (thread->cpu_shown)
		return;
	thread->cpu_shown = true;
	write_all(thread->stat_fd, text,
		  snprintf(text, sizeof(text),
			   "%d (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 7 0 0 0 0 0 0 0 0 0 "
			   "0 0 0 0 0 0 17 %" PRIu32 " 0 0\n",
			   thread->tid, thread->cpu));
}

void year_host_show(void)
{
	char text[1024];
	int length = snprintf(text, sizeof(text), "cpu 0 0 0 0 0 0 0 0 0 0\n");

	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		struct year_zone *zone = &year_host.zones[i];

		if (zone->present) {
			char line[32];

			write_all(
			    zone->fd, line,
			    snprintf(line, sizeof(line), "%" PRIu64 "\n", year_zone_raw_uj(zone)));
		}
		if (!zone->present || zone->error != 0)
			zone->fault_ns = year_host.true_ns;
	}
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		for (size_t k = 0; k < YEAR_THREAD_MAX; k++)
			if (year_host.vms[i].threads[k].tid != 0)
				show_thread(&year_host.vms[i].threads[k]);
	for (size_t i = 0; i < YEAR_CPU_COUNT; i++)
		if (!year_host.offline[i])
			length += snprintf(text + length, sizeof(text) - (size_t)length,
					   "cpu%zu %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", i,
					   year_host.busy_ticks[i], year_host.idle_ticks[i]);
	{
		static int fd = -1;

		if (fd < 0)
			fd = open_file("proc/stat");
		write_all(fd, text, length);
	}
}

static void thread_start(int32_t pid, struct year_thread *thread, int32_t tid, const char *comm)
{
	char path[96];

	*thread = (struct year_thread){.tid = tid, .cpu = (uint32_t)year_below(YEAR_CPU_COUNT)};
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", pid, tid);
	tree_write(&host_tree, path, "%s\n", comm);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", pid, tid);
	thread->fd = open_file(path);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/stat", pid, tid);
	thread->stat_fd = open_file(path);
}

static void thread_end(int32_t pid, struct year_thread *thread)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d", pid, thread->tid);
	tree_delete(&host_tree, path);
	(void)close(thread->fd);
	(void)close(thread->stat_fd);
	*thread = (struct year_thread){.tid = 0};
}

static int32_t vm_pid(const struct year_vm *vm)
{
	return vm->threads[YEAR_VCPU_MAX].tid;
}

/* The next id that nobody has: they come round and are used again. */
static int32_t next_id(void)
{
	for (;;) {
		bool taken = false;
		int32_t id = year_host.next_pid++;

		if (year_host.next_pid >= PID_MAX)
			year_host.next_pid = 100;
		for (size_t i = 0; i < YEAR_VM_MAX; i++)
			for (size_t k = 0; k < YEAR_THREAD_MAX; k++)
				taken = taken || year_host.vms[i].threads[k].tid == id;
		if (!taken)
			return id;
	}
}

static void vm_add_vcpu(struct year_vm *vm, int32_t tid)
{
	char comm[32];

	(void)snprintf(comm, sizeof(comm), "CPU %zu/KVM", vm->vcpu_count);
	thread_start(vm_pid(vm), &vm->threads[vm->vcpu_count++], tid, comm);
}

void year_vm_start(struct year_vm *vm, bool same_pid)
{
	static int32_t last_pid;
	int32_t pid = same_pid && last_pid != 0 ? last_pid : next_id();
	size_t vcpus = vm->vcpu_count;
	char path[96];

	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		for (size_t k = 0; k < YEAR_THREAD_MAX; k++)
			if (year_host.vms[i].threads[k].tid == pid)
				pid = next_id();
	last_pid = pid;
	vm->running = true;
	vm->start_ticks = 1 + year_host.clock.mono.ns / TICK_NS;
	thread_start(pid, &vm->threads[YEAR_VCPU_MAX], pid, "qemu");
	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_write(&host_tree, path,
		   "%d (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 %" PRIu64
		   " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0\n",
		   pid, vm->start_ticks);
	(void)snprintf(path, sizeof(path), "proc/%d/schedstat", pid);
	tree_write(&host_tree, path, "5 0 0\n");
	vm->vcpu_count = 0;
	while (vm->vcpu_count < vcpus)
		vm_add_vcpu(vm, next_id());
	year_host.roster_changed = true;
}

void year_vm_stop(struct year_vm *vm)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "proc/%d", vm_pid(vm));
	for (size_t i = 0; i < YEAR_VCPU_MAX; i++)
		if (vm->threads[i].tid != 0)
			thread_end(vm_pid(vm), &vm->threads[i]);
	thread_end(vm_pid(vm), &vm->threads[YEAR_VCPU_MAX]);
	tree_delete(&host_tree, path);
	vm->running = false;
	year_host.roster_changed = true;
}

void year_vm_arrive(struct year_vm *vm)
{
	*vm = (struct year_vm){.known = true, .sockets = 1 + (uint32_t)year_below(2)};
	year_host.next_vm++;
	vm->uuid = (struct uuid){.bytes = {0x77}};
	memcpy(&vm->uuid.bytes[8], &year_host.next_vm, sizeof(year_host.next_vm));
	(void)snprintf(vm->name, sizeof(vm->name), "vm-%" PRIu64, year_host.next_vm);
	vm->vcpu_count = vm->sockets * (1 + year_below(YEAR_VCPU_MAX / 2));
	vm->memory_bytes = (1 + year_below(8)) << 28;
	vm->load_ppm = year_below(1000000);
	year_host.roster_changed = true;
}

void year_vm_depart(struct year_vm *vm)
{
	if (vm->running)
		year_vm_stop(vm);
	vm->known = false;
	year_host.roster_changed = true;
}

void year_vm_plug(struct year_vm *vm)
{
	if (vm->vcpu_count == YEAR_VCPU_MAX)
		return;
	vm_add_vcpu(vm, next_id());
	year_host.roster_changed = true;
}

void year_vm_unplug(struct year_vm *vm)
{
	if (vm->vcpu_count <= vm->sockets)
		return;
	thread_end(vm_pid(vm), &vm->threads[--vm->vcpu_count]);
	year_host.roster_changed = true;
}

void year_host_reboot(void)
{
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		if (year_host.vms[i].running)
			year_vm_stop(&year_host.vms[i]);
	for (size_t i = 0; i < YEAR_CPU_COUNT; i++) {
		year_host.idle_ticks[i] = year_host.busy_ticks[i] = 0;
		if (year_host.offline[i])
			year_host_plug_cpu(i, true);
	}
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		struct year_zone *zone = &year_host.zones[i];

		/* A warm boot does not always clear the counters. */
		if (year_chance(3))
			zone->resets++;
		else
			year_zone_reset(zone);
		zone->error = 0;
		if (!zone->present)
			year_zone_add(zone);
	}
	year_host.clock.mono.ns = year_below(year_chance(2) ? YEAR_HOUR : YEAR_SECOND);
	year_host.clock.suspended_ns = 0;
	year_host.running_ns = 0;
	year_host.boot++;
	show_boot();
}
