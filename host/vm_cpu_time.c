#include "host/vm_cpu_time.h"

#include <errno.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

void vm_cpu_time_init(struct vm_cpu_time *time)
{
	*time = (struct vm_cpu_time){.vcpus = NULL};
}

int vm_cpu_time_reserve(struct vm_cpu_time *time, size_t vcpu_count)
{
	struct vm_cpu_time_vcpu *vcpus;

	if (vcpu_count > SAMPLE_VCPU_MAX)
		return -ENOSPC;
	if (vcpu_count <= time->capacity)
		return 0;
	vcpus = realloc(time->vcpus, vcpu_count * sizeof(*vcpus));
	if (vcpus == NULL)
		return -ENOMEM;
	for (size_t i = time->capacity; i < vcpu_count; i++)
		vcpus[i] = (struct vm_cpu_time_vcpu){.cpu = SAMPLE_NO_CPU};
	time->vcpus = vcpus;
	time->capacity = vcpu_count;
	return 0;
}

void vm_cpu_time_finish(struct vm_cpu_time *time)
{
	free(time->vcpus);
	vm_cpu_time_init(time);
}

int vm_cpu_time_add(struct vm_cpu_time *time, uint32_t vcpu, uint64_t spent_ns)
{
	int status = vm_cpu_time_reserve(time, (size_t)vcpu + 1);

	if (status < 0) {
		time->overhead_ns += spent_ns;
		return status;
	}
	time->vcpus[vcpu].time_ns += spent_ns;
	if (vcpu >= time->vcpu_count)
		time->vcpu_count = (size_t)vcpu + 1;
	return 0;
}

void vm_cpu_time_add_events(struct vm_cpu_time *time, uint32_t vcpu,
			    const struct thread_events_growth *growth)
{
	uint64_t *events = time->vcpus[vcpu].events;

	for (size_t i = 0; i < THREAD_EVENT_COUNT; i++)
		events[i] = growth->count[i] < INT64_MAX - events[i] ? events[i] + growth->count[i]
								     : INT64_MAX;
}

void vm_cpu_time_add_all(struct vm_cpu_time *time, size_t vcpu_count, uint64_t spent_ns)
{
	uint64_t part_ns;

	if (vcpu_count > time->capacity)
		vcpu_count = time->capacity;
	if (vcpu_count == 0) {
		time->overhead_ns += spent_ns;
		return;
	}
	part_ns = spent_ns / vcpu_count;
	for (size_t i = 0; i < vcpu_count; i++)
		time->vcpus[i].time_ns += part_ns;
	time->vcpus[0].time_ns += spent_ns - part_ns * vcpu_count;
}

/* What a counter has grown by; one that goes back says nothing until it has caught up. */
static uint64_t vm_cpu_time_growth(uint64_t *told_ns, uint64_t now_ns)
{
	uint64_t growth = now_ns > *told_ns ? now_ns - *told_ns : 0;

	*told_ns += growth;
	return growth;
}

static void vm_cpu_time_pay(uint64_t *owed_ns, uint64_t *time_ns, uint64_t part, uint64_t whole)
{
	uint64_t paid_ns = part < whole ? (uint64_t)((wide)*owed_ns * part / whole) : *owed_ns;

	*owed_ns -= paid_ns;
	*time_ns += paid_ns;
}

static void vm_cpu_time_pay_all(struct vm_cpu_time *time, uint64_t part, uint64_t whole)
{
	for (size_t i = 0; i < time->capacity; i++)
		vm_cpu_time_pay(&time->vcpus[i].owed_ns, &time->vcpus[i].time_ns, part, whole);
	vm_cpu_time_pay(&time->owed_overhead_ns, &time->overhead_ns, part, whole);
}

void vm_cpu_time_release(struct vm_cpu_time *time, struct mono_time now)
{
	vm_cpu_time_pay_all(time, clock_elapsed_ns(time->released, now),
			    clock_elapsed_ns(time->released, time->due));
	time->released = now;
}

void vm_cpu_time_settle(struct vm_cpu_time *time)
{
	vm_cpu_time_pay_all(time, 1, 1);
}

/* What has been told by now is owed until as much later as it took to be told. */
static void vm_cpu_time_owe(struct vm_cpu_time *time, struct mono_time now)
{
	uint64_t wait_ns = clock_elapsed_ns(time->told, now);

	if (wait_ns > VM_CPU_TIME_OWED_NS)
		wait_ns = VM_CPU_TIME_OWED_NS;
	time->released = now;
	time->due.ns = now.ns + wait_ns;
}

/* Adds what the counters have grown by to what is owed, and returns the sum of it. */
static uint64_t vm_cpu_time_take(struct vm_cpu_time *time, const struct vm_roster_vm *vm)
{
	uint64_t vcpus_ns = 0, sum_ns = 0, growth_ns;

	for (size_t i = 0; i < vm->vcpu_count; i++) {
		struct vm_cpu_time_vcpu *vcpu = &time->vcpus[vm->vcpus[i].id];

		growth_ns = vm_cpu_time_growth(&vcpu->told_ns, vm->vcpus[i].time_ns);
		vcpu->owed_ns += growth_ns;
		sum_ns += growth_ns;
	}
	for (size_t i = 0; i < time->capacity; i++)
		vcpus_ns += time->vcpus[i].told_ns;
	(void)vm_cpu_time_growth(&time->told_total_ns, vm->cpu_time_ns);
	if (time->told_total_ns <= vcpus_ns)
		return sum_ns;
	growth_ns = vm_cpu_time_growth(&time->told_overhead_ns, time->told_total_ns - vcpus_ns);
	time->owed_overhead_ns += growth_ns;
	return sum_ns + growth_ns;
}

int vm_cpu_time_told(struct vm_cpu_time *time, const struct vm_roster_vm *vm, bool same_run,
		     struct mono_time now)
{
	size_t count = vm->vcpu_count > 0 ? (size_t)vm->vcpus[vm->vcpu_count - 1].id + 1 : 0;
	int status = vm_cpu_time_reserve(time, count);

	if (status < 0)
		return status;
	time->vcpu_count = count;
	if (!same_run) {
		for (size_t i = 0; i < time->capacity; i++)
			time->vcpus[i].told_ns = 0;
		time->told_total_ns = 0;
		time->told_overhead_ns = 0;
		(void)vm_cpu_time_take(time, vm);
		vm_cpu_time_settle(time);
		time->told = now;
		return 0;
	}
	vm_cpu_time_release(time, now);
	/* The roster comes anew for other machines' sake, too. */
	if (vm_cpu_time_take(time, vm) == 0)
		return 0;
	vm_cpu_time_owe(time, now);
	time->told = now;
	return 0;
}

struct sample_process vm_cpu_time_of_run(const struct vm_cpu_time *time, uint64_t run)
{
	/* When it started is not known: a domain's id is no time. */
	struct sample_process process = {
	    .run = run + 1, .overhead_ns = time->told_overhead_ns - time->owed_overhead_ns};

	for (size_t i = 0; i < time->capacity; i++)
		process.vcpu_ns += time->vcpus[i].told_ns - time->vcpus[i].owed_ns;
	return process;
}
