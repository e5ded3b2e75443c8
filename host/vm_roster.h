/*
 * vm_roster.h: the list of virtual machines that a provider knows, at one instant.
 *
 * Between the VM providers, which build rosters in a thread of their own, and the sampler, which
 * reads the CPU time of what is listed. A roster is sorted by uuid. Plain memory: whoever holds it
 * has it alone, so it is safe in any one thread.
 */
#ifndef WATTPORT_HOST_VM_ROSTER_H
#define WATTPORT_HOST_VM_ROSTER_H

#include "common/move_record.h"
#include "common/sample.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_ROSTER_VM_MAX   SAMPLE_VM_MAX
#define VM_ROSTER_VCPU_MAX SAMPLE_VCPU_MAX

struct vm_roster_vcpu {
	uint32_t id; /* as the hypervisor counts; ids may be missing, the order is ascending */
	uint32_t socket;
	uint64_t time_ns; /* where has_times */
};

/* A process of a machine: pids are used again, pid and start time together are not. */
struct vm_roster_process {
	int32_t pid;	      /* 0: none, or not to be seen from here */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat; without a pid: what tells two runs of
				 the machine apart */
};

struct vm_roster_vm {
	struct uuid uuid;
	char name[SAMPLE_NAME_SIZE];
	bool running; /* has a process, also while paused */
	bool persistent;
	struct vm_roster_process process;
	uint32_t socket_count;	   /* those with a vCPU that is plugged in, at least 1 */
	uint32_t vcpus_per_socket; /* at least 1: vCPU N is of socket N / vcpus_per_socket */
	uint64_t memory_bytes;	   /* the balloon's present size */
	uint32_t missed;	   /* how often this run's process was looked for in vain */
	bool has_times;		   /* the provider itself tells CPU times, in steps of 10 ms */
	uint64_t cpu_time_ns;	   /* where has_times: of the whole process, 0: unknown */
	size_t vcpu_count;	   /* plugged in */
	struct vm_roster_vcpu *vcpus;
	struct move_record *record; /* what it brought from another host, or NULL */
	int record_error;	    /* -EXDEV or -EINVAL: one that is not taken, see move_xml.h */
	bool coming;		    /* it is on its way to this host, and does not run here yet */
};

struct vm_roster {
	size_t count;
	size_t capacity;
	struct vm_roster_vm **vms; /* in the order of their uuids */
};

int vm_roster_create(struct vm_roster **ret_roster);
void vm_roster_destroy(struct vm_roster *roster);

/*
 * Takes a copy of `vm` in, in the place of the one with the same uuid if there is one. -ENOSPC past
 * VM_ROSTER_VM_MAX or VM_ROSTER_VCPU_MAX, -ENOMEM; the roster is then unchanged.
 */
int vm_roster_put(struct vm_roster *roster, const struct vm_roster_vm *vm);

/* -ENOENT: it was not there. */
int vm_roster_remove(struct vm_roster *roster, const struct uuid *uuid);

/* NULL: not there. Lives until the machine is put anew or removed. */
struct vm_roster_vm *vm_roster_find(const struct vm_roster *roster, const struct uuid *uuid);

int vm_roster_copy(const struct vm_roster *roster, struct vm_roster **ret_copy);

/* Copies a name into vm->name, cut where it does not fit. */
void vm_roster_set_name(struct vm_roster_vm *vm, const char *name);

static inline void cleanup_vm_roster_value(struct vm_roster *const *roster)
{
	vm_roster_destroy(*roster);
}
#define cleanup_vm_roster __attribute__((cleanup(cleanup_vm_roster_value)))

#endif
