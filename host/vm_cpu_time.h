/*
 * vm_cpu_time.h: what a machine has used so far, over all processes that it had.
 *
 * The sums that vm_process.c and the times told by libvirt are booked into, and that the sample
 * shows. They only grow: they outlive threads, processes and restarts of the machine. One thread at
 * a time.
 */
#ifndef WATTPORT_HOST_VM_CPU_TIME_H
#define WATTPORT_HOST_VM_CPU_TIME_H

#include "common/clock.h"
#include "common/sample.h"
#include "host/thread_events.h"
#include "host/vm_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm_cpu_time_vcpu {
	uint64_t time_ns;
	bool has_events; /* the counts tell all that its thread did up to now */
	uint64_t events[THREAD_EVENT_COUNT];
	uint32_t cpu;	  /* where it last ran, or SAMPLE_NO_CPU */
	uint64_t told_ns; /* the last that the provider told of it */
	uint64_t owed_ns; /* told, and not in time_ns yet */
};

struct vm_cpu_time {
	size_t vcpu_count; /* one past the largest vCPU that has a thread now */
	size_t capacity;
	struct vm_cpu_time_vcpu *vcpus;
	uint64_t overhead_ns;
	uint64_t told_total_ns;	   /* the last that the provider told of the whole process */
	uint64_t told_overhead_ns; /* the most by which that was ahead of the vCPUs */
	uint64_t owed_overhead_ns;
	struct mono_time told;	   /* when it told last */
	struct mono_time released; /* until when what is owed has been booked */
	struct mono_time due;	   /* when all of it is */
};

/* Nothing used, no vCPUs. */
void vm_cpu_time_init(struct vm_cpu_time *time);

/* Room for that many vCPUs, the new ones at zero. -ENOSPC past SAMPLE_VCPU_MAX, -ENOMEM. */
int vm_cpu_time_reserve(struct vm_cpu_time *time, size_t vcpu_count);
void vm_cpu_time_finish(struct vm_cpu_time *time);

/* Books to one vCPU. Past the limit or without memory it becomes overhead, with the error. */
int vm_cpu_time_add(struct vm_cpu_time *time, uint32_t vcpu, uint64_t spent_ns);

/* Adds what a vCPU's thread was counted to do; the sums end at what a trace can tell. */
void vm_cpu_time_add_events(struct vm_cpu_time *time, uint32_t vcpu,
			    const struct thread_events_growth *growth);

/* Deals out what one thread spent for all vCPUs in turn; exact, the remainder goes to the first. */
void vm_cpu_time_add_all(struct vm_cpu_time *time, size_t vcpu_count, uint64_t spent_ns);

/* So long after it was told a machine's time is booked at the latest. */
#define VM_CPU_TIME_OWED_NS (3 * CLOCK_NS_PER_SECOND)

/*
 * Takes what the provider's own counters of a machine with has_times have grown by. `same_run` is
 * false when the counters began anew, with another process. Overhead is the process's time without
 * the vCPUs'; both move in steps and at different moments, so it is the most by which the one was
 * ahead of the others: late by a step, never doubled. 0, -ENOSPC or -ENOMEM.
 *
 * The first that is told of a run is booked at once. From then on it is owed and booked little by
 * little, for as long as it took to be told: a sample in between would else find a machine that did
 * nothing, and the next one a machine that did everything. So it is late by one telling.
 */
int vm_cpu_time_told(struct vm_cpu_time *time, const struct vm_roster_vm *vm, bool same_run,
		     struct mono_time now);

/* What was booked of the provider's present counters, for a run of that name. */
struct sample_process vm_cpu_time_of_run(const struct vm_cpu_time *time, uint64_t run);

/* Books what is due by now of what is owed. */
void vm_cpu_time_release(struct vm_cpu_time *time, struct mono_time now);

/* Books all that is owed: nothing more will be told. */
void vm_cpu_time_settle(struct vm_cpu_time *time);

#endif
