/*
 * sample.h: everything that was measured at one instant, raw.
 *
 * The seam between measuring and dividing: samplers (of the host, of a trace, of a guest) fill a
 * sample, engine_step() turns it into accounts. One line of a trace is one sample, so what was
 * recorded replays to the same microjoule. All counters are cumulative since some unknown start.
 * Plain data owned by one thread; reused from tick to tick, it grows only when VMs arrive.
 */
#ifndef WATTPORT_COMMON_SAMPLE_H
#define WATTPORT_COMMON_SAMPLE_H

#include "common/clock.h"
#include "common/uuid.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_VM_MAX	 4096
#define SAMPLE_VCPU_MAX	 4096 /* of one VM */
#define SAMPLE_NAME_SIZE 1024 /* of a VM's name in UTF-8, with the NUL; longer ones are cut */
#define SAMPLE_NO_CPU	 UINT32_MAX
#define SAMPLE_NO_TIME	 UINT64_MAX

struct sample_zone {
	int error; /* 0, or the negative errno that reading the zone gave: then raw_uj says nothing
		    */
	uint64_t raw_uj;
};

struct sample_vcpu {
	uint64_t time_ns; /* CPU time of the vCPU's thread */
	uint32_t cpu;	  /* where it last ran: the kernel's CPU number, or SAMPLE_NO_CPU */
	uint32_t socket;  /* the virtual socket that it belongs to, below the VM's socket_count */
	/*
	 * The next three were measured, up to this sample. What happened between two samples is
	 * known where both have them; they begin anew, at any number, where one has not.
	 */
	bool has_events;
	uint64_t cycles;
	uint64_t instructions;
	uint64_t llc_misses;
};

/*
 * The process of a machine, for what has to be known of it by the next wattportd: the times are of
 * this process alone, and do not outlive it. Not in traces.
 */
struct sample_process {
	uint64_t run; /* with the pid: what tells it from any other of this boot; 0: unknown */
	uint64_t started_ns; /* struct mono_time; 0: unknown */
	uint64_t vcpu_ns;
	uint64_t overhead_ns; /* of the threads that live now */
};

/* How well a VM's CPU time is known, best first. */
enum sample_precision {
	SAMPLE_NANOSECONDS, /* schedstat */
	SAMPLE_JIFFIES,	    /* libvirt's vcpu.N.time, or stat: steps of 10 ms */
};

struct sample_vm {
	struct uuid uuid;
	char name[SAMPLE_NAME_SIZE]; /* UTF-8, as libvirt has it */
	bool running;		     /* false: known, but has no process; its counters rest */
	bool born;   /* its counters began at 0 since the sample before: all of them is this
			interval's. Not in traces */
	int32_t pid; /* of its QEMU, or 0 */
	enum sample_precision precision;
	uint32_t short_threads; /* whose times or events there were too few descriptors for */
	uint32_t socket_count;	/* virtual sockets, at least 1 */
	uint64_t memory_bytes;	/* held on the host */
	uint64_t overhead_ns;	/* CPU time of its emulator, I/O and vhost threads */
	bool has_halt_poll;	/* the next was measured */
	uint64_t halt_poll_ns;	/* of its vCPUs' time: spent waiting for work without sleeping */
	struct sample_process process;
	size_t vcpu_count;
	struct sample_vcpu *vcpus;
	size_t vcpu_capacity; /* allocated entries of vcpus[] */
};

struct sample {
	struct mono_time time;
	uint64_t late_ns; /* so long after `time` the zones were read, where something held us up */
	uint64_t
	    suspended_ns; /* of it, since boot: nothing ran, and nothing was drawn to speak of */
	bool anew; /* another run of wattportd took it: no counter goes on from the one before */
	size_t zone_count; /* as the source lists them */
	struct sample_zone zones[ZONE_MAX];
	size_t cpu_count; /* as the topology lists them */
	uint64_t *cpu_busy_ns;
	uint64_t *cpu_rest_ns;	     /* idle since boot; SAMPLE_NO_TIME: offline, or not known */
	uint64_t memory_total_bytes; /* of the host; 0: unknown */
	uint64_t memory_used_bytes;  /* of the host, VMs included; 0: unknown */
	size_t vm_count;
	struct sample_vm *vms;
	size_t vm_capacity; /* allocated entries of vms[] */
};

/* An empty sample for a host of that many CPUs. 0 or -ENOMEM; the undo takes a half-built one. */
int sample_init(struct sample *sample, size_t cpu_count);
void sample_finish(struct sample *sample);

/* All of it, into one of as many CPUs. 0, or -ENOMEM: then the VMs that found no memory lack. */
int sample_copy(struct sample *sample, const struct sample *from);

/* Forgets the VMs and the time but keeps the memory. */
void sample_clear(struct sample *sample);

/*
 * Adds a VM of that many vCPUs, all of them and everything else zero, sockets 1, running. -ENOSPC
 * past SAMPLE_VM_MAX or SAMPLE_VCPU_MAX, -ENOMEM. The pointer lives until the next sample_add_vm().
 */
int sample_add_vm(struct sample *sample, size_t vcpu_count, struct sample_vm **ret_vm);

/* Copies a name, cut at a whole UTF-8 character; invalid bytes become '?'. */
void sample_set_name(struct sample_vm *vm, const char *name);

/* The virtual socket of vCPU `index` when `vcpu_count` are dealt in order over `socket_count`. */
uint32_t sample_socket_of(size_t index, size_t vcpu_count, uint32_t socket_count);

#endif
