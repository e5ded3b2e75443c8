/*
 * activity.h: what each VM did between two samples, and on which package.
 *
 * The second half of the sampler: differences of the sample's cumulative counters, by `unit`: the
 * smallest thing that RAPL tells apart, a die or package. A zone is one unit or several (a package
 * of two dies counted as one; psys counts them all). Pure over samples: no I/O, no clock; one
 * thread.
 *
 * What draws power is told by features.h. A VM's features and the host's own add up to the unit's,
 * so that calibration.h can find what each costs.
 *
 * CPU time comes in coarse steps: a running thread's schedstat moves with the scheduler's tick (1
 * to 10 ms), /proc/stat by 10 ms. An interval shorter than that would see now nobody, now one
 * thread alone, and its energy would go astray. So weights fade over ACTIVITY_MEMORY_NS: an
 * interval's own time counts fully, that of earlier ones in proportion to what is left of the
 * memory. From ACTIVITY_MEMORY_NS on an interval stands for itself alone.
 */
#ifndef WATTPORT_COMMON_ACTIVITY_H
#define WATTPORT_COMMON_ACTIVITY_H

#include "common/features.h"
#include "common/ledger.h"
#include "common/sample.h"
#include "common/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACTIVITY_MEMORY_NS UINT64_C(100000000)
#define ACTIVITY_UNIT_MAX  ZONE_MAX

/* What a VM's counters were at the sample before: activity.c's own. */
struct activity_previous {
	bool seen; /* in the sample that is being taken */
	uint64_t overhead_ns;
	size_t vcpu_count;
	struct features_counters *vcpus;
};

/*
 * One VM, from its first sample to the one in which it is no longer running. Arrays by unit belong
 * to the activity; weights are nanoseconds of CPU time, faded.
 */
struct activity_vm {
	struct uuid uuid;
	bool present;  /* ran at this sample and at the one before: it has an interval */
	size_t sample; /* its index in sample->vms[], valid while present */
	uint32_t vcpu_count;
	uint32_t socket_count; /* at most LEDGER_SOCKET_MAX: further sockets count in the last */
	uint64_t memory_bytes;
	uint64_t vcpu_ns; /* this interval's, not faded */
	uint64_t overhead_ns;
	uint64_t *active;	/* [unit * socket_count + socket] */
	uint64_t *unit_ns;	/* [unit] this interval's vCPU and overhead time, not faded */
	uint32_t *socket_vcpus; /* [socket] */
	struct features *vcpu_features;	    /* [unit] */
	struct features *overhead_features; /* [unit] */
	struct activity_previous previous;
};

struct activity;

int activity_create(const struct topology *topology, struct activity **ret_activity);
void activity_destroy(struct activity *activity);

/*
 * Takes the next sample. Returns 0, or -ENOMEM: then the VMs that found no memory have no interval.
 * A counter that went back (it must not) makes no time in this interval and goes on from there.
 */
int activity_step(struct activity *activity, const struct sample *sample);

/* Busy time of that CPU which no sample will tell: the next interval's. */
void activity_add_busy(struct activity *activity, size_t cpu, uint64_t busy_ns);

/* The VMs of the last sample that have a process, sorted by uuid, so that their order in the
 * sample is of no consequence; `*ret_count` of them. Valid until the next step. */
const struct activity_vm *activity_vms(const struct activity *activity, size_t *ret_count);

/* Nanoseconds since the sample before; 0 for the first. */
uint64_t activity_elapsed_ns(const struct activity *activity);

size_t activity_unit_count(const struct activity *activity);

/* Whether the unit's energy is in that zone. */
bool activity_unit_in_zone(const struct activity *activity, size_t unit, const struct zone *zone);

/* What `elapsed_ns` leaves of an older weight. */
uint64_t activity_fade(uint64_t weight, uint64_t elapsed_ns);

/* In this interval: all that ran on the unit's CPUs and is no VM. */
const struct features *activity_other_features(const struct activity *activity, size_t unit);

/* Whether a thread's events were counted anywhere in this interval. */
bool activity_has_events(const struct activity *activity);

/* Busy time of the unit's CPUs in this interval, not faded; and how many CPUs it has. */
uint64_t activity_busy_ns(const struct activity *activity, size_t unit);
size_t activity_unit_cpus(const struct activity *activity, size_t unit);

static inline void cleanup_activity_value(struct activity *const *activity)
{
	activity_destroy(*activity);
}
#define cleanup_activity __attribute__((cleanup(cleanup_activity_value)))

#endif
