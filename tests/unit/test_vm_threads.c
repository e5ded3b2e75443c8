#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/cleanup.h"
#include "host/halt_poll.h"
#include "host/vm_events.h"
#include "host/vm_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SECOND CLOCK_NS_PER_SECOND

/* Event counters of one thread: what it reads next is written into a pipe. */
struct counter {
	int tid;
	int pipe[2];
};

/* All that have been opened; the seam of thread_events.h has no argument to keep them in. */
static struct {
	bool wanted;
	int error; /* of every further one */
	size_t count;
	struct counter counters[8];
} events;

static int events_open(const struct perf_event_attr *attribute, int32_t tid, int group_fd)
{
	struct counter *counter = &events.counters[events.count];

	(void)attribute;
	if (events.error != 0)
		return events.error;
	if (group_fd >= 0)
		return dup(group_fd);
	assert_true(events.count < CHECK_COUNT(events.counters));
	assert_int_equal(pipe2(counter->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	counter->tid = tid;
	events.count++;
	/* The reading end is the host's to close. */
	return counter->pipe[0];
}

static const struct thread_events_source events_source = {.open = events_open};

/* The next reading of the youngest counter of that thread. */
static void events_write(int tid, uint64_t running_ns, uint64_t cycles, uint64_t misses)
{
	const uint64_t values[] = {3, 100, running_ns, cycles, 2 * cycles, misses};
	size_t i = events.count;

	while (i > 0 && events.counters[i - 1].tid != tid)
		i--;
	assert_true(i > 0);
	assert_int_equal(write(events.counters[i - 1].pipe[1], values, sizeof(values)),
			 (ssize_t)sizeof(values));
}

static void events_reset(void)
{
	for (size_t i = 0; i < events.count; i++)
		(void)close(events.counters[i].pipe[1]);
	events.count = 0;
	events.error = 0;
	events.wanted = false;
}

/* A host whose /proc is made up, and a clock that moves when told to. */
struct host {
	struct tree tree;
	struct sysroot *root;
	struct vm_threads *threads;
	struct vm_roster *roster;
	struct sample sample;
	struct mono_time now;
};

static void host_open(struct host *host, size_t package_count, size_t fd_budget)
{
	struct vm_threads_context context = {.package_count = package_count,
					     .fd_budget = fd_budget,
					     .events = events.wanted ? &events_source : NULL};

	tree_create(&host->tree);
	assert_int_equal(sysroot_open(host->tree.path, &host->root, NULL), 0);
	context.root = host->root;
	assert_int_equal(vm_threads_create(&context, &host->threads), 0);
	assert_int_equal(vm_roster_create(&host->roster), 0);
	assert_int_equal(sample_init(&host->sample, 2), 0);
	host->now.ns = 1000 * SECOND;
}

/* Whatever happened to a machine, nobody keeps its counters. */
static bool events_closed(size_t index)
{
	struct pollfd polled = {.fd = events.counters[index].pipe[1], .events = POLLOUT};

	assert_int_equal(poll(&polled, 1, 0), 1);
	return (polled.revents & POLLERR) != 0;
}

static void host_close(struct host *host)
{
	vm_threads_destroy(host->threads);
	vm_roster_destroy(host->roster);
	sample_finish(&host->sample);
	sysroot_close(host->root);
	tree_remove(&host->tree);
	for (size_t i = 0; i < events.count; i++)
		assert_true(events_closed(i));
	events_reset();
}

static void host_stat(struct host *host, const char *path, int tid, uint64_t ticks, uint64_t start,
		      unsigned int cpu)
{
	tree_write(&host->tree, path,
		   "%d (qemu) S 1 1 1 0 -1 0 0 0 0 0 %" PRIu64 " 0 0 0 20 0 1 0 %" PRIu64
		   " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 %u 0 0\n",
		   tid, ticks, start, cpu);
}

static void host_thread(struct host *host, int pid, int tid, const char *comm, uint64_t time_ns,
			unsigned int cpu)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", pid, tid);
	tree_write(&host->tree, path, "%s\n", comm);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", pid, tid);
	tree_write(&host->tree, path, "%" PRIu64 " 0 0\n", time_ns);
	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/stat", pid, tid);
	host_stat(host, path, tid, time_ns / 10000000, 1, cpu);
}

/* A process with its main thread. */
static void host_process(struct host *host, int pid, uint64_t start, uint64_t time_ns)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	host_stat(host, path, pid, 1, start, 0);
	(void)snprintf(path, sizeof(path), "proc/%d/schedstat", pid);
	tree_write(&host->tree, path, "%" PRIu64 " 0 0\n", time_ns);
	host_thread(host, pid, pid, "qemu-system-x86", time_ns, 0);
}

static void host_end_thread(struct host *host, int pid, int tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d", pid, tid);
	tree_delete(&host->tree, path);
}

static void host_end_process(struct host *host, int pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d", pid);
	tree_delete(&host->tree, path);
}

static void host_put(struct host *host, uint8_t number, int pid, uint64_t start, size_t vcpu_count)
{
	struct vm_roster_vcpu vcpus[8] = {{.id = 0}};
	struct vm_roster_vm vm = {
	    .uuid = {.bytes = {number}},
	    .name = "machine",
	    .running = pid != 0,
	    .process = {.pid = pid, .start_ticks = start},
	    .socket_count = (uint32_t)vcpu_count,
	    .vcpus_per_socket = 1,
	    .memory_bytes = 5,
	    .vcpu_count = vcpu_count,
	    .vcpus = vcpus,
	};

	for (uint32_t i = 0; i < vcpu_count; i++)
		vcpus[i] = (struct vm_roster_vcpu){.id = i, .socket = i};
	assert_int_equal(vm_roster_put(host->roster, &vm), 0);
}

static void host_follow(struct host *host)
{
	assert_int_equal(vm_threads_follow(host->threads, host->roster, host->now), 0);
}

/* A host on which one machine of one vCPU runs, and is followed. */
static void host_open_with_one(struct host *host)
{
	host_open(host, 1, 100);
	host_process(host, 10, 7, 500);
	host_thread(host, 10, 11, "CPU 0/KVM", 3000, 0);
	host_put(host, 1, 10, 7, 1);
	host_follow(host);
}

/* One sample, so much later. */
static const struct sample_vm *host_read(struct host *host, uint64_t later_ns)
{
	host->now.ns += later_ns;
	sample_clear(&host->sample);
	assert_int_equal(vm_threads_read(host->threads, host->now, &host->sample), 0);
	return host->sample.vm_count > 0 ? &host->sample.vms[0] : NULL;
}

static void test_vcpus_and_overhead(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 500);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3000, 0);
	host_thread(&host, 10, 12, "CPU 1/KVM", 4000, 1);
	host_thread(&host, 10, 13, "IO iothread1", 60, 0);
	host_put(&host, 1, 10, 7, 2);
	host_follow(&host);
	vm = host_read(&host, 0);
	assert_int_equal(vm->vcpu_count, 2);
	assert_int_equal(vm->vcpus[0].time_ns, 3000);
	assert_int_equal(vm->vcpus[1].time_ns, 4000);
	assert_int_equal(vm->vcpus[1].socket, 1);
	assert_int_equal(vm->vcpus[1].cpu, SAMPLE_NO_CPU); /* one package: nobody asks */
	assert_int_equal(vm->overhead_ns, 560);
	assert_int_equal(vm->precision, SAMPLE_NANOSECONDS);
	assert_int_equal(vm->memory_bytes, 5);
	assert_int_equal(vm->pid, 10);
	assert_string_equal(vm->name, "machine");
	host_thread(&host, 10, 11, "CPU 0/KVM", 3500, 0);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->vcpus[0].time_ns, 3500);
	assert_int_equal(vm->overhead_ns, 560);
	assert_int_equal(vm_threads_report(host.threads)->followed, 1);
	assert_int_equal(vm_threads_report(host.threads)->unkept, 0);
	host_close(&host);
}

static void test_where_vcpus_ran(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 2, 100);
	host_process(&host, 10, 7, 500);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3000, 5);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, 0)->vcpus[0].cpu, 5);
	/* It has not run since: where it would run is not asked. */
	host_thread(&host, 10, 11, "CPU 0/KVM", 3000, 6);
	assert_int_equal(host_read(&host, SECOND)->vcpus[0].cpu, 5);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3001, 6);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->vcpus[0].cpu, 6);
	host_close(&host);
}

static void test_restart_goes_on(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open_with_one(&host);
	assert_int_equal(host_read(&host, 0)->vcpus[0].time_ns, 3000);
	/* Its process ends before the roster knows. */
	host_end_process(&host, 10);
	vm = host_read(&host, SECOND);
	assert_false(vm->running);
	assert_int_equal(vm->pid, 0);
	assert_int_equal(vm->vcpus[0].time_ns, 3000);
	host_put(&host, 1, 0, 0, 1);
	host_follow(&host);
	assert_false(host_read(&host, SECOND)->running);
	/* The same pid again, for another process of the machine. */
	host_process(&host, 10, 9, 20);
	host_thread(&host, 10, 11, "CPU 0/KVM", 40, 0);
	host_put(&host, 1, 10, 9, 1);
	host_follow(&host);
	vm = host_read(&host, SECOND);
	assert_true(vm->running);
	assert_int_equal(vm->vcpus[0].time_ns, 3040);
	assert_int_equal(vm->overhead_ns, 520);
	host_close(&host);
}

/* As KVM's debugfs has it; what was polled before a restart stays. */
static void test_halt_polling_is_in_the_sample(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open_with_one(&host);
	assert_false(host_read(&host, 0)->has_halt_poll);
	tree_write(&host.tree, "sys/kernel/debug/kvm/10-3/halt_poll_success_ns", "70\n");
	tree_write(&host.tree, "sys/kernel/debug/kvm/10-3/halt_poll_fail_ns", "5\n");
	vm = host_read(&host, HALT_POLL_RETRY_NS);
	assert_true(vm->has_halt_poll);
	assert_int_equal(vm->halt_poll_ns, 75);
	host_end_process(&host, 10);
	tree_delete(&host.tree, "sys/kernel/debug/kvm/10-3");
	(void)host_read(&host, SECOND);
	host_process(&host, 20, 9, 20);
	host_thread(&host, 20, 21, "CPU 0/KVM", 40, 0);
	tree_write(&host.tree, "sys/kernel/debug/kvm/20-3/halt_poll_success_ns", "8\n");
	tree_write(&host.tree, "sys/kernel/debug/kvm/20-3/halt_poll_fail_ns", "1\n");
	host_put(&host, 1, 20, 9, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, SECOND)->halt_poll_ns, 84);
	host_close(&host);
}

static void check_events(const struct sample_vcpu *vcpu, bool has, uint64_t cycles, uint64_t misses)
{
	assert_int_equal(vcpu->has_events, has);
	assert_int_equal(vcpu->cycles, has ? cycles : 0);
	assert_int_equal(vcpu->instructions, has ? 2 * cycles : 0);
	assert_int_equal(vcpu->llc_misses, has ? misses : 0);
}

/* Counted from the second reading on, and over threads, processes and taking turns. */
static void test_events_of_vcpus(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	events.wanted = true;
	host_open_with_one(&host);
	check_events(&host_read(&host, 0)->vcpus[0], false, 0, 0);
	assert_int_equal(events.count, 1);
	assert_int_equal(vm_threads_report(host.threads)->counted, 1);
	events_write(11, 100, 50, 6);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3100, 0);
	check_events(&host_read(&host, SECOND)->vcpus[0], true, 50, 6);
	/* It did not run: there is nothing to read, and it is known. */
	check_events(&host_read(&host, SECOND)->vcpus[0], true, 50, 6);
	/* The process ends, and the machine is started again. */
	host_end_process(&host, 10);
	check_events(&host_read(&host, SECOND)->vcpus[0], false, 0, 0);
	assert_true(events_closed(0));
	assert_int_equal(vm_threads_report(host.threads)->counted, 0);
	host_process(&host, 10, 9, 20);
	host_thread(&host, 10, 12, "CPU 0/KVM", 40, 0);
	host_put(&host, 1, 10, 9, 1);
	host_follow(&host);
	check_events(&host_read(&host, SECOND)->vcpus[0], false, 0, 0);
	events_write(12, 50, 10, 1);
	host_thread(&host, 10, 12, "CPU 0/KVM", 50, 0);
	vm = host_read(&host, SECOND);
	check_events(&vm->vcpus[0], true, 70, 8);
	/* The group is gone: CPU time goes on, and it is counted anew. */
	(void)close(events.counters[1].pipe[1]);
	events.counters[1].pipe[1] = -1;
	host_thread(&host, 10, 12, "CPU 0/KVM", 60, 0);
	vm = host_read(&host, SECOND);
	check_events(&vm->vcpus[0], false, 0, 0);
	assert_int_equal(vm->vcpus[0].time_ns, 3160);
	events.counters[1] = events.counters[0];
	events.count = 1;
	host_thread(&host, 10, 12, "CPU 0/KVM", 70, 0);
	check_events(&host_read(&host, SECOND)->vcpus[0], false, 0, 0);
	events_write(12, 100, 5, 2);
	host_thread(&host, 10, 12, "CPU 0/KVM", 80, 0);
	check_events(&host_read(&host, SECOND)->vcpus[0], true, 75, 10);
	host_close(&host);
}

/* One refusal speaks for all threads, for a while; time is counted as ever. */
static void test_refused_events(void **state)
{
	static const int errors[] = {-EACCES, -EPERM, -ENOENT, -EOPNOTSUPP, -EMFILE, -ENOSYS};
	const struct sample_vm *vm;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		struct host host;

		events.wanted = true;
		host_open(&host, 1, 100);
		host_process(&host, 10, 7, 500);
		host_thread(&host, 10, 11, "CPU 0/KVM", 3000, 0);
		host_thread(&host, 10, 12, "CPU 1/KVM", 3000, 0);
		host_put(&host, 1, 10, 7, 2);
		host_follow(&host);
		events.error = errors[i];
		vm = host_read(&host, 0);
		assert_int_equal(vm->vcpus[0].time_ns, 3000);
		assert_false(vm->vcpus[0].has_events);
		assert_int_equal(vm_threads_report(host.threads)->failed, 0);
		assert_int_equal(vm_threads_report(host.threads)->uncounted, errors[i]);
		assert_int_equal(vm_threads_report(host.threads)->refused, 2);
		/* Whatever has changed, nobody asks again so soon. */
		events.error = 0;
		host_thread(&host, 10, 11, "CPU 0/KVM", 3001, 0);
		(void)host_read(&host, SECOND);
		assert_int_equal(events.count, 0);
		host_thread(&host, 10, 11, "CPU 0/KVM", 3002, 0);
		(void)host_read(&host, VM_EVENTS_RETRY_NS);
		assert_int_equal(events.count, 1);
		assert_int_equal(vm_threads_report(host.threads)->uncounted, 0);
		/* The other one has not run since. */
		assert_int_equal(vm_threads_report(host.threads)->counted, 1);
		assert_int_equal(vm_threads_report(host.threads)->refused, 1);
		host_end_process(&host, 10);
		(void)host_read(&host, SECOND);
		assert_int_equal(vm_threads_report(host.threads)->counted, 0);
		assert_int_equal(vm_threads_report(host.threads)->refused, 0);
		host_close(&host);
	}
}

/* Descriptors for times come first: counting takes no more than half of all. */
static void test_events_leave_descriptors_for_times(void **state)
{
	struct host host;

	(void)state;
	events.wanted = true;
	host_open(&host, 1, 8);
	host_process(&host, 10, 7, 500);
	for (int i = 0; i < 4; i++)
		host_thread(&host, 10, 11 + i, i < 2 ? "CPU 0/KVM" : "CPU 1/KVM", 3000, 0);
	host_put(&host, 1, 10, 7, 2);
	host_follow(&host);
	(void)host_read(&host, 0);
	assert_int_equal(events.count, 1);
	assert_int_equal(vm_threads_report(host.threads)->unkept, 0);
	assert_int_equal(vm_threads_report(host.threads)->uncounted, -EMFILE);
	assert_int_equal(vm_threads_report(host.threads)->refused, 3);
	assert_int_equal(host.sample.vms[0].short_threads, 3);
	host_close(&host);
}

static void test_pid_of_another_process_is_not_taken(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 8, 500);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	vm = host_read(&host, 0);
	assert_false(vm->running);
	assert_int_equal(vm->overhead_ns, 0);
	host_close(&host);
}

/* Makes files of a process or thread and has their opening seen. */
static void host_watch(struct host *host, int watch, const char *directory)
{
	/* Those that take the lock of the process's memory (fs/proc/base.c and task_mmu.c). */
	static const char *const files[] = {"cmdline", "environ",      "maps",	   "numa_maps",
					    "smaps",   "smaps_rollup", "mem",	   "auxv",
					    "pagemap", "clear_refs",   "map_files"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char name[64], path[128];

		(void)snprintf(name, sizeof(name), "%s/%s", directory, files[i]);
		tree_write(&host->tree, name, "x");
		(void)snprintf(path, sizeof(path), "%s/%s", host->tree.path, name);
		assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	}
}

/*
 * A QEMU that hangs may hold the lock of its memory for hours, and who reads one of the files that
 * take it waits as long. Of the sampling nobody does: its times are read, and those of the others.
 */
static void test_a_process_that_hangs_holds_up_nobody(void **state)
{
	cleanup_fd int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct host host;
	char opened[256];

	(void)state;
	host_open(&host, 2, 100);
	host_process(&host, 10, 7, 500);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3000, 0);
	host_watch(&host, watch, "proc/10");
	host_watch(&host, watch, "proc/10/task/10");
	host_watch(&host, watch, "proc/10/task/11");
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	/* Long enough for each of its threads to be looked for again. */
	for (size_t i = 0; i < 100; i++)
		(void)host_read(&host, SECOND);
	host_thread(&host, 10, 11, "CPU 0/KVM", 3500, 0);
	assert_int_equal(host_read(&host, SECOND)->vcpus[0].time_ns, 3500);
	assert_int_equal(vm_threads_report(host.threads)->failed, 0);
	assert_int_equal(read(watch, opened, sizeof(opened)), -1);
	assert_int_equal(errno, EAGAIN);
	host_close(&host);
}

static void test_a_machine_that_left_may_return(void **state)
{
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 500);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, 0)->overhead_ns, 500);
	assert_int_equal(vm_roster_remove(host.roster, &(struct uuid){.bytes = {1}}), 0);
	host_follow(&host);
	assert_null(host_read(&host, SECOND));
	host_process(&host, 20, 8, 3);
	host_put(&host, 1, 20, 8, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, SECOND)->overhead_ns, 503);
	/* But not after it has been forgotten. */
	assert_int_equal(vm_roster_remove(host.roster, &(struct uuid){.bytes = {1}}), 0);
	host_follow(&host);
	host.now.ns += VM_THREADS_REST_NS;
	host_follow(&host);
	host_put(&host, 1, 20, 8, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, SECOND)->overhead_ns, 3);
	host_close(&host);
}

/* A roster that errs for a moment costs nothing: the process has been there all the time. */
static void test_a_process_that_stayed_is_not_counted_twice(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open_with_one(&host);
	assert_int_equal(host_read(&host, 0)->vcpus[0].time_ns, 3000);
	assert_int_equal(vm_roster_remove(host.roster, &(struct uuid){.bytes = {1}}), 0);
	host_follow(&host);
	assert_null(host_read(&host, SECOND));
	host_thread(&host, 10, 11, "CPU 0/KVM", 3300, 0);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->vcpus[0].time_ns, 3300);
	assert_int_equal(vm->overhead_ns, 500);
	/* Once it has ended nothing of it is kept open, though nobody knows its machine. */
	assert_int_equal(vm_roster_remove(host.roster, &(struct uuid){.bytes = {1}}), 0);
	host_follow(&host);
	host_end_process(&host, 10);
	host_follow(&host);
	host_process(&host, 10, 8, 30);
	host_put(&host, 1, 10, 8, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, SECOND)->overhead_ns, 530);
	host_close(&host);
}

static void test_without_schedstat_ticks_are_taken(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 0);
	host_thread(&host, 10, 11, "CPU 0/KVM", 50000000, 0);
	tree_write(&host.tree, "proc/10/task/11/schedstat", "0 0 0\n");
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	vm = host_read(&host, 0);
	assert_int_equal(vm->precision, SAMPLE_JIFFIES);
	assert_int_equal(vm->vcpus[0].time_ns, 50000000);
	assert_int_equal(vm_threads_report(host.threads)->jiffies, 1);
	host_close(&host);
}

/* Found before its first tick: zeros do not say yet which of the files tells the time. */
static void test_a_process_that_has_just_begun(void **state)
{
	const struct sample_vm *vm;

	(void)state;
	for (int has_schedstat = 0; has_schedstat < 2; has_schedstat++) {
		struct host host;

		host_open(&host, 1, 100);
		host_process(&host, 10, 7, 0);
		host_stat(&host, "proc/10/stat", 10, 0, 7, 0);
		host_thread(&host, 10, 11, "CPU 0/KVM", 0, 0);
		host_put(&host, 1, 10, 7, 1);
		host_follow(&host);
		assert_int_equal(host_read(&host, 0)->precision, SAMPLE_NANOSECONDS);
		host_stat(&host, "proc/10/stat", 10, 3, 7, 0);
		host_thread(&host, 10, 10, "qemu-system-x86", 30000000, 0);
		host_thread(&host, 10, 11, "CPU 0/KVM", 50000000, 0);
		if (has_schedstat) {
			tree_write(&host.tree, "proc/10/schedstat", "30000000 0 0\n");
		} else {
			tree_write(&host.tree, "proc/10/task/10/schedstat", "0 0 0\n");
			tree_write(&host.tree, "proc/10/task/11/schedstat", "0 0 0\n");
		}
		vm = host_read(&host, SECOND);
		assert_int_equal(vm->precision,
				 has_schedstat ? SAMPLE_NANOSECONDS : SAMPLE_JIFFIES);
		assert_int_equal(vm->overhead_ns, 30000000);
		assert_int_equal(vm->vcpus[0].time_ns, 50000000);
		host_close(&host);
	}
}

/* The thread says its name only after it was found first. */
static void test_late_names(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 500);
	host_thread(&host, 10, 11, "qemu-system-x86", 30, 0);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, 0)->overhead_ns, 530);
	host_thread(&host, 10, 11, "CPU 0/KVM", 40, 0);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->overhead_ns, 530);
	assert_int_equal(vm->vcpus[0].time_ns, 10);
	host_close(&host);
}

/* A QEMU whose threads have no names: main, RCU, two vCPUs, a worker. */
static void test_nameless_threads_go_by_their_order(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 1);
	for (int i = 1; i <= 4; i++)
		host_thread(&host, 10, 10 + i, "qemu-system-x86", 0, 0);
	host_put(&host, 1, 10, 7, 2);
	host_follow(&host);
	(void)host_read(&host, 0);
	(void)host_read(&host, 3 * SECOND);
	host_thread(&host, 10, 11, "qemu-system-x86", 10, 0);
	host_thread(&host, 10, 12, "qemu-system-x86", 200, 0);
	host_thread(&host, 10, 13, "qemu-system-x86", 3000, 0);
	host_thread(&host, 10, 14, "qemu-system-x86", 40000, 0);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->vcpus[0].time_ns, 200);
	assert_int_equal(vm->vcpus[1].time_ns, 3000);
	assert_int_equal(vm->overhead_ns, 40011);
	host_close(&host);
}

static void test_one_thread_for_all_vcpus(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 1);
	host_thread(&host, 10, 11, "ALL CPUs/TCG", 301, 0);
	host_put(&host, 1, 10, 7, 3);
	host_follow(&host);
	vm = host_read(&host, 0);
	assert_int_equal(vm->vcpus[0].time_ns, 101);
	assert_int_equal(vm->vcpus[2].time_ns, 100);
	assert_int_equal(vm->overhead_ns, 1);
	host_close(&host);
}

/* A vCPU that was plugged in shows before the provider tells. */
static void test_plugged_in_vcpu(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	host_process(&host, 10, 7, 1);
	host_thread(&host, 10, 11, "CPU 0/KVM", 300, 0);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	assert_int_equal(host_read(&host, 0)->vcpu_count, 1);
	host_thread(&host, 10, 12, "CPU 2/KVM", 50, 0);
	vm = host_read(&host, 2 * SECOND);
	assert_int_equal(vm->vcpu_count, 3);
	assert_int_equal(vm->vcpus[1].time_ns, 0);
	assert_int_equal(vm->vcpus[2].time_ns, 50);
	/* Each is a socket: the guest has got two more, of which one is empty. */
	assert_int_equal(vm->vcpus[2].socket, 2);
	assert_int_equal(vm->socket_count, 3);
	host_close(&host);
}

/* Without descriptors it is slower, and said, but counts the same. */
static void test_short_of_descriptors(void **state)
{
	const struct sample_vm *vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 2);
	host_process(&host, 10, 7, 1);
	host_thread(&host, 10, 11, "CPU 0/KVM", 300, 0);
	host_thread(&host, 10, 12, "CPU 1/KVM", 50, 0);
	host_put(&host, 1, 10, 7, 2);
	host_follow(&host);
	/* Which of two is short is told. */
	host_put(&host, 2, 0, 0, 1);
	host_follow(&host);
	vm = host_read(&host, 0);
	assert_int_equal(vm_threads_report(host.threads)->unkept, 1);
	assert_int_equal(vm_threads_report(host.threads)->short_machines, 1);
	assert_int_equal(vm[0].short_threads, 1);
	assert_int_equal(vm[1].short_threads, 0);
	host_thread(&host, 10, 11, "CPU 0/KVM", 301, 0);
	host_thread(&host, 10, 12, "CPU 1/KVM", 52, 0);
	vm = host_read(&host, SECOND);
	assert_int_equal(vm->vcpus[0].time_ns, 301);
	assert_int_equal(vm->vcpus[1].time_ns, 52);
	/* One ends: its descriptors are for the other, which may have been looked at before it. */
	host_end_thread(&host, 10, 12);
	(void)host_read(&host, 2 * SECOND);
	vm = host_read(&host, 3 * SECOND);
	assert_int_equal(vm_threads_report(host.threads)->unkept, 0);
	assert_int_equal(vm_threads_report(host.threads)->short_machines, 0);
	assert_int_equal(vm[0].short_threads, 0);
	host_close(&host);
}

/* A process that calls itself a worker of the kernel's, by its parent. */
static void host_vhost(const struct host *host, int pid, int owner, int parent, int time_ns)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/comm", pid);
	tree_write(&host->tree, path, "vhost-%d\n", owner);
	(void)snprintf(path, sizeof(path), "proc/%d/schedstat", pid);
	tree_write(&host->tree, path, "%d 0 0\n", time_ns);
	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_write(
	    &host->tree, path,
	    "%d (vhost-%d) S %d 0 0 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 "
	    "0 0 0 0 17 0 0 0\n",
	    pid, owner, parent);
}

static void test_kernel_threads_of_old_kernels(void **state)
{
	struct vm_threads_context context = {.package_count = 1, .fd_budget = 100};
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	tree_write(&host.tree, "proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
	vm_threads_destroy(host.threads);
	context.root = host.root;
	assert_int_equal(vm_threads_create(&context, &host.threads), 0);
	host_process(&host, 10, 7, 1);
	host_vhost(&host, 99, 10, 2, 70);
	host_vhost(&host, 98, 11, 2, 9999);
	/* Anybody may have that name. */
	host_vhost(&host, 97, 10, 1, 5000);
	host_put(&host, 1, 10, 7, 1);
	host_follow(&host);
	(void)host_read(&host, 0);
	assert_int_equal(host_read(&host, SECOND)->overhead_ns, 71);
	host_close(&host);
}

static void test_told_machine(void **state)
{
	struct vm_roster_vcpu vcpu = {.id = 0, .time_ns = 70};
	struct vm_roster_vm vm = {.uuid = {.bytes = {1}},
				  .running = true,
				  .socket_count = 1,
				  .vcpus_per_socket = 1,
				  .has_times = true,
				  .cpu_time_ns = 90,
				  .process = {.start_ticks = 4},
				  .vcpu_count = 1,
				  .vcpus = &vcpu};
	const struct sample_vm *sample_vm;
	struct host host;

	(void)state;
	host_open(&host, 1, 100);
	assert_int_equal(vm_roster_put(host.roster, &vm), 0);
	host_follow(&host);
	host_follow(&host); /* the same roster once more counts once */
	sample_vm = host_read(&host, 0);
	assert_true(sample_vm->running);
	assert_int_equal(sample_vm->precision, SAMPLE_JIFFIES);
	assert_int_equal(sample_vm->vcpus[0].time_ns, 70);
	assert_int_equal(sample_vm->overhead_ns, 20);
	host_close(&host);
}

/*
 * Property: over random births, deaths, spending and restarts no counter ever goes back, and the
 * sum is exactly what was spent up to the last reading of each thread.
 */
#define THREAD_COUNT 12
struct model {
	int pid;
	uint64_t start;
	uint64_t gone_ns; /* of threads that have ended, as last read */
	uint64_t read_ns[THREAD_COUNT];
	bool alive[THREAD_COUNT];
};

static void model_restart(struct model *model, struct host *host)
{
	for (size_t i = 0; i < THREAD_COUNT; i++) {
		model->gone_ns += model->alive[i] ? model->read_ns[i] : 0;
		model->alive[i] = false;
	}
	if (model->pid != 0)
		host_end_process(host, model->pid);
	model->pid = model->pid == 100 ? 200 : 100;
	model->start++;
	model->alive[0] = true;
	model->read_ns[0] = 1;
	host_process(host, model->pid, model->start, 1);
	host_put(host, 1, model->pid, model->start, 4);
	host_follow(host);
}

static void model_step(struct model *model, struct host *host, uint64_t *seed)
{
	/*
	 * Threads either end or begin: of both at once the kernel tells by ESRCH, which a plain
	 * file cannot give (the live test has it).
	 */
	bool births = check_random_below(seed, 2) == 0;

	/* What is spent after the last reading of a thread is not seen: nothing is, before it ends.
	 */
	if (check_random_below(seed, 40) == 0)
		model_restart(model, host);
	for (size_t i = 0; i < THREAD_COUNT; i++) {
		uint64_t dice = check_random_below(seed, 8);
		char comm[16];

		/* The first thread is the process itself. */
		if (i > 0 && dice == 0 && !births && model->alive[i]) {
			model->gone_ns += model->read_ns[i];
			model->alive[i] = false;
			host_end_thread(host, model->pid, model->pid + (int)i);
		} else if (i > 0 && dice < 2 && births && !model->alive[i]) {
			model->alive[i] = true;
			model->read_ns[i] = 0;
		}
		if (!model->alive[i])
			continue;
		model->read_ns[i] += check_random_below(seed, 1000);
		(void)snprintf(comm, sizeof(comm), i > 0 && i <= 4 ? "CPU %zu/KVM" : "other",
			       i - 1);
		host_thread(host, model->pid, model->pid + (int)i, comm, model->read_ns[i], 0);
	}
}

static void test_nothing_is_lost_and_nothing_goes_back(void **state)
{
	uint64_t seed = 42, before[5] = {0};
	struct model model = {.pid = 0};
	struct host host;

	(void)state;
	host_open(&host, 2, 9);
	model_restart(&model, &host);
	for (int step = 0; step < 600; step++) {
		uint64_t expected_ns = model.gone_ns, sum_ns = 0;
		const struct sample_vm *vm = host_read(&host, 2 * SECOND);

		for (size_t i = 0; i < THREAD_COUNT; i++)
			expected_ns += model.alive[i] ? model.read_ns[i] : 0;
		assert_int_equal(vm->vcpu_count, 4);
		for (size_t i = 0; i < 5; i++) {
			uint64_t time_ns = i < 4 ? vm->vcpus[i].time_ns : vm->overhead_ns;

			assert_true(time_ns >= before[i]);
			before[i] = time_ns;
			sum_ns += time_ns;
		}
		assert_int_equal(sum_ns, expected_ns);
		model_step(&model, &host, &seed);
	}
	host_close(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vcpus_and_overhead),
	    cmocka_unit_test(test_where_vcpus_ran),
	    cmocka_unit_test(test_restart_goes_on),
	    cmocka_unit_test(test_halt_polling_is_in_the_sample),
	    cmocka_unit_test(test_events_of_vcpus),
	    cmocka_unit_test(test_refused_events),
	    cmocka_unit_test(test_events_leave_descriptors_for_times),
	    cmocka_unit_test(test_pid_of_another_process_is_not_taken),
	    cmocka_unit_test(test_a_process_that_hangs_holds_up_nobody),
	    cmocka_unit_test(test_a_machine_that_left_may_return),
	    cmocka_unit_test(test_a_process_that_stayed_is_not_counted_twice),
	    cmocka_unit_test(test_without_schedstat_ticks_are_taken),
	    cmocka_unit_test(test_a_process_that_has_just_begun),
	    cmocka_unit_test(test_late_names),
	    cmocka_unit_test(test_nameless_threads_go_by_their_order),
	    cmocka_unit_test(test_one_thread_for_all_vcpus),
	    cmocka_unit_test(test_plugged_in_vcpu),
	    cmocka_unit_test(test_short_of_descriptors),
	    cmocka_unit_test(test_kernel_threads_of_old_kernels),
	    cmocka_unit_test(test_told_machine),
	    cmocka_unit_test(test_nothing_is_lost_and_nothing_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
