#include "host/vm_threads.h"
#include "common/cleanup.h"
#include "host/halt_poll.h"
#include "host/vhost_scan.h"
#include "host/vm_cpu_time.h"
#include "host/vm_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Between two looks for kernel threads, and between two tries to open a process that is there. */
#define VM_THREADS_VHOST_NS (10 * CLOCK_NS_PER_SECOND)
#define VM_THREADS_RETRY_NS CLOCK_NS_PER_SECOND

/* One machine, in the roster or resting. */
struct vm_threads_vm {
	struct vm_threads_vm *next; /* in the order of the uuids, as the roster is */
	struct uuid uuid;
	const struct vm_roster_vm *entry; /* NULL: resting */
	struct vm_process *process;	  /* NULL: not running, not to be seen, or told */
	struct vm_cpu_time time;
	struct halt_poll halt_poll;
	bool told; /* the provider's own times have been booked in this run */
	struct vm_roster_process told_run;
	bool ended; /* its process has ended, and the roster does not know it yet */
	int error;  /* why there is no process */
	struct mono_time tried;
	struct mono_time left;
};

struct vm_threads {
	int sys_fd;
	struct vm_process_context process_context;
	bool vhost_kernel_threads;
	struct mono_time vhost_scanned;
	struct vm_threads_vm *first;
	struct vm_threads_report report;
};

size_t vm_threads_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t old = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = old;
	}
	if (limit.rlim_cur <= VM_THREADS_FD_RESERVE)
		return 0;
	return (size_t)limit.rlim_cur - VM_THREADS_FD_RESERVE;
}

int vm_threads_create(const struct vm_threads_context *context, struct vm_threads **ret_threads)
{
	struct vm_threads *threads = calloc(1, sizeof(*threads));

	if (threads == NULL)
		return -ENOMEM;
	threads->process_context = (struct vm_process_context){
	    .proc_fd = sysroot_proc_fd(context->root),
	    .want_cpu = context->package_count > 1,
	    .fd_budget = context->fd_budget,
	    .events = {.source = context->events, .fd_share = context->fd_budget / 2},
	};
	threads->process_context.events.fd_budget = &threads->process_context.fd_budget;
	threads->sys_fd = sysroot_sys_fd(context->root);
	threads->vhost_kernel_threads = vhost_scan_needed(threads->process_context.proc_fd);
	*ret_threads = threads;
	return 0;
}

static void vm_threads_vm_destroy(struct vm_threads_vm *vm)
{
	vm_process_close(vm->process);
	vm_cpu_time_finish(&vm->time);
	free(vm);
}

void vm_threads_destroy(struct vm_threads *threads)
{
	if (threads == NULL)
		return;
	while (threads->first != NULL) {
		struct vm_threads_vm *vm = threads->first;

		threads->first = vm->next;
		vm_threads_vm_destroy(vm);
	}
	free(threads);
}

static bool vm_threads_same_process(const struct vm_roster_process *a,
				    const struct vm_roster_process *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

static void vm_threads_open(struct vm_threads *threads, struct vm_threads_vm *vm,
			    struct mono_time now)
{
	vm->tried = now;
	vm->error = vm_process_open(&threads->process_context, &vm->entry->process, &vm->process);
	vm->ended = vm->error == -ESRCH;
	/* Its kernel threads are looked for at once, not in ten seconds. */
	threads->vhost_scanned.ns = 0;
}

/* Brings one machine in line with what the roster says of it now. */
static void vm_threads_follow_vm(struct vm_threads *threads, struct vm_threads_vm *vm,
				 struct mono_time now)
{
	const struct vm_roster_vm *entry = vm->entry;

	if (entry->has_times) {
		bool same_run = vm->told && vm_threads_same_process(&vm->told_run, &entry->process);

		vm_process_close(TAKE_PTR(vm->process));
		vm->error = vm_cpu_time_told(&vm->time, entry, same_run, now);
		vm->told = vm->error == 0;
		vm->told_run = entry->process;
		vm->ended = false;
		return;
	}
	if (vm->process != NULL && entry->running &&
	    vm_threads_same_process(vm_process_identity(vm->process), &entry->process))
		return;
	vm_process_close(TAKE_PTR(vm->process));
	vm_cpu_time_settle(&vm->time);
	vm->told = false;
	vm->ended = false;
	vm->error = 0;
	if (entry->running && entry->process.pid > 0)
		vm_threads_open(threads, vm, now);
}

/*
 * The machine has left the roster; what it used is kept. So is its process if it still runs, for as
 * long as that: should the roster have erred, its threads must not be counted from zero again.
 */
static void vm_threads_rest(struct vm_threads_vm *vm, struct mono_time now)
{
	if (vm->entry != NULL)
		vm->left = now;
	vm->entry = NULL;
	if (vm->process != NULL && !vm_process_exists(vm->process))
		vm_process_close(TAKE_PTR(vm->process));
}

/* How many have rested for less than that. */
static size_t vm_threads_resting(const struct vm_threads *threads, struct mono_time now,
				 uint64_t rest_ns)
{
	size_t count = 0;

	for (const struct vm_threads_vm *vm = threads->first; vm != NULL; vm = vm->next)
		if (vm->entry == NULL && clock_elapsed_ns(vm->left, now) < rest_ns)
			count++;
	return count;
}

/* Drops those that have rested for long: sooner where machines come and go by the thousand. */
static void vm_threads_forget(struct vm_threads *threads, struct mono_time now)
{
	struct vm_threads_vm **link = &threads->first;
	uint64_t rest_ns = VM_THREADS_REST_NS;

	while (vm_threads_resting(threads, now, rest_ns) > VM_THREADS_REST_MAX)
		rest_ns /= 2;

	while (*link != NULL) {
		struct vm_threads_vm *vm = *link;

		if (vm->entry != NULL || clock_elapsed_ns(vm->left, now) < rest_ns) {
			link = &vm->next;
			continue;
		}
		*link = vm->next;
		vm_threads_vm_destroy(vm);
	}
}

/* The machine at that place of the list, made if it is another's; NULL: out of memory. */
static struct vm_threads_vm *vm_threads_place(struct vm_threads_vm **link, const struct uuid *uuid)
{
	struct vm_threads_vm *vm = *link;

	if (vm != NULL && uuid_equal(&vm->uuid, uuid))
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return NULL;
	vm->uuid = *uuid;
	vm_cpu_time_init(&vm->time);
	vm->next = *link;
	*link = vm;
	return vm;
}

int vm_threads_follow(struct vm_threads *threads, const struct vm_roster *roster,
		      struct mono_time now)
{
	struct vm_threads_vm **link = &threads->first;
	int result = 0;

	/* Both are sorted, so one walk through both finds who is new and who has left. */
	for (size_t i = 0; i < roster->count; i++) {
		const struct vm_roster_vm *entry = roster->vms[i];
		struct vm_threads_vm *vm;

		while (*link != NULL && uuid_compare(&(*link)->uuid, &entry->uuid) < 0) {
			vm_threads_rest(*link, now);
			link = &(*link)->next;
		}
		vm = vm_threads_place(link, &entry->uuid);
		if (vm == NULL) {
			result = -ENOMEM;
			continue;
		}
		vm->entry = entry;
		vm_threads_follow_vm(threads, vm, now);
		link = &vm->next;
	}
	for (; *link != NULL; link = &(*link)->next)
		vm_threads_rest(*link, now);
	vm_threads_forget(threads, now);
	return result;
}

static void vm_threads_add_kernel_thread(void *user, int32_t owner_pid, int32_t tid)
{
	struct vm_threads *threads = user;

	for (struct vm_threads_vm *vm = threads->first; vm != NULL; vm = vm->next) {
		struct vm_process *process = vm->process;

		if (process != NULL && vm_process_identity(process)->pid == owner_pid)
			(void)vm_process_add_kernel_thread(process, tid);
	}
}

static void vm_threads_scan_vhost(struct vm_threads *threads, struct mono_time now)
{
	if (!threads->vhost_kernel_threads)
		return;
	if (threads->vhost_scanned.ns != 0 &&
	    clock_elapsed_ns(threads->vhost_scanned, now) < VM_THREADS_VHOST_NS)
		return;
	threads->vhost_scanned = now;
	(void)vhost_scan_run(threads->process_context.proc_fd, vm_threads_add_kernel_thread,
			     threads);
}

/* One past the largest vCPU that the machine has by roster. */
static size_t vm_threads_vcpu_count(const struct vm_roster_vm *entry)
{
	return entry->vcpu_count > 0 ? (size_t)entry->vcpus[entry->vcpu_count - 1].id + 1 : 0;
}

static void vm_threads_read_process(struct vm_threads *threads, struct vm_threads_vm *vm,
				    struct mono_time now)
{
	size_t vcpu_count = vm_threads_vcpu_count(vm->entry);
	bool there = vm->entry->running && vm->entry->process.pid > 0 && !vm->entry->has_times;
	int status;

	/* Out of memory or descriptors a while ago: it may go by now. */
	if (there && vm->process == NULL && !vm->ended &&
	    clock_elapsed_ns(vm->tried, now) >= VM_THREADS_RETRY_NS)
		vm_threads_open(threads, vm, now);
	if (vm->entry->has_times)
		vm_cpu_time_release(&vm->time, now);
	if (vm->process != NULL)
		halt_poll_read(&vm->halt_poll, threads->sys_fd, vm->entry->process.pid, now);
	if (vm->process == NULL)
		return;
	status = vm_cpu_time_reserve(&vm->time, vcpu_count);
	if (status == 0)
		status = vm_process_read(vm->process, now, vcpu_count, &vm->time);
	vm->error = status;
	if (status == -ESRCH) {
		vm_process_close(TAKE_PTR(vm->process));
		vm->error = 0;
		vm->ended = true;
	}
}

static enum sample_precision vm_threads_precision(const struct vm_threads_vm *vm)
{
	if (vm->process != NULL)
		return vm_process_precision(vm->process);
	return vm->entry->has_times ? SAMPLE_JIFFIES : SAMPLE_NANOSECONDS;
}

static uint32_t vm_threads_short(const struct vm_threads_vm *vm)
{
	if (vm->process != NULL)
		return (uint32_t)vm_process_short(vm->process);
	/* Nothing of it could be opened. */
	return vm->error == -EMFILE || vm->error == -ENFILE ? 1 : 0;
}

static struct sample_process vm_threads_process(const struct vm_threads_vm *vm)
{
	struct sample_process process = {.run = 0};

	if (vm->process != NULL)
		vm_process_tell(vm->process, &process);
	else if (vm->told)
		process = vm_cpu_time_of_run(&vm->time, vm->told_run.start_ticks);
	return process;
}

static void vm_threads_fill_vcpus(const struct vm_threads_vm *vm, struct sample_vm *sample_vm)
{
	for (size_t i = 0; i < sample_vm->vcpu_count; i++) {
		struct sample_vcpu *vcpu = &sample_vm->vcpus[i];

		vcpu->cpu = SAMPLE_NO_CPU;
		vcpu->socket = (uint32_t)i / vm->entry->vcpus_per_socket;
		if (i >= vm->time.capacity)
			continue;
		vcpu->time_ns = vm->time.vcpus[i].time_ns;
		vcpu->cpu = vm->time.vcpus[i].cpu;
		/* Without a process the flag is of the last one. */
		if (vm->process == NULL || !vm->time.vcpus[i].has_events)
			continue;
		vcpu->has_events = true;
		vcpu->cycles = vm->time.vcpus[i].events[THREAD_CYCLES];
		vcpu->instructions = vm->time.vcpus[i].events[THREAD_INSTRUCTIONS];
		vcpu->llc_misses = vm->time.vcpus[i].events[THREAD_LLC_MISSES];
	}
}

/* The machine as it stands. vCPUs are placed by their ids, so a gap is one that never runs. */
static int vm_threads_fill(const struct vm_threads_vm *vm, struct sample *sample)
{
	const struct vm_roster_vm *entry = vm->entry;
	size_t vcpu_count = vm_threads_vcpu_count(entry);
	struct sample_vm *sample_vm;
	int status;

	/* Just plugged in, and the provider has not told yet. */
	if (vm->process != NULL && vm->time.vcpu_count > vcpu_count)
		vcpu_count = vm->time.vcpu_count;
	status = sample_add_vm(sample, vcpu_count, &sample_vm);
	if (status < 0)
		return status;
	sample_vm->uuid = entry->uuid;
	sample_set_name(sample_vm, entry->name);
	sample_vm->running = entry->running && !vm->ended;
	sample_vm->pid = sample_vm->running ? entry->process.pid : 0;
	sample_vm->precision = vm_threads_precision(vm);
	sample_vm->short_threads = vm_threads_short(vm);
	/* Also of one that was just plugged in, into a socket that was empty until then. */
	sample_vm->socket_count = vcpu_count > 0
				      ? (uint32_t)(vcpu_count - 1) / entry->vcpus_per_socket + 1
				      : entry->socket_count;
	sample_vm->memory_bytes = entry->memory_bytes;
	sample_vm->overhead_ns = vm->time.overhead_ns;
	sample_vm->has_halt_poll = vm->halt_poll.known;
	sample_vm->halt_poll_ns = vm->halt_poll.total_ns;
	if (sample_vm->running)
		sample_vm->process = vm_threads_process(vm);
	vm_threads_fill_vcpus(vm, sample_vm);
	return 0;
}

static void vm_threads_count(const struct vm_threads_vm *vm, struct vm_threads_report *report)
{
	bool running = vm->entry->running && !vm->ended;

	if (vm->error < 0) {
		report->failed++;
		report->error = vm->error;
	}
	if (vm->process != NULL) {
		report->followed++;
		report->unkept += vm_process_unkept(vm->process);
	}
	if (running && vm_threads_short(vm) > 0)
		report->short_machines++;
	if (running && vm_threads_precision(vm) == SAMPLE_JIFFIES)
		report->jiffies++;
	if (running && vm->process == NULL && vm->error == 0 && !vm->entry->has_times)
		report->unseen++;
}

int vm_threads_read(struct vm_threads *threads, struct mono_time now, struct sample *sample)
{
	struct vm_threads_report report = {.followed = 0};

	vm_threads_scan_vhost(threads, now);
	for (struct vm_threads_vm *vm = threads->first; vm != NULL; vm = vm->next) {
		if (vm->entry == NULL)
			continue;
		vm_threads_read_process(threads, vm, now);
		if (vm_threads_fill(vm, sample) < 0)
			report.missed++;
		vm_threads_count(vm, &report);
	}
	report.counted = threads->process_context.events.threads;
	report.refused = threads->process_context.events.refused;
	report.uncounted = threads->process_context.events.error;
	threads->report = report;
	return 0;
}

const struct vm_threads_report *vm_threads_report(const struct vm_threads *threads)
{
	return &threads->report;
}
