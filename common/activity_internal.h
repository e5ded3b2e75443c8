/*
 * activity_internal.h: what activity.c (the machines) and activity_unit.c (the units on which they
 * run) share.
 */
#ifndef WATTPORT_COMMON_ACTIVITY_INTERNAL_H
#define WATTPORT_COMMON_ACTIVITY_INTERNAL_H

#include "common/activity.h"
#include "common/core_share.h"

struct activity_unit {
	uint32_t package;
	uint32_t die;
	size_t cpus;
	uint64_t busy_ns;   /* this interval */
	uint64_t vm_ns;	    /* this interval, of all VMs */
	uint64_t debt_ns;   /* VMs' time that the CPUs' clock has not shown yet */
	uint64_t core_ns;   /* this interval: of its CPUs */
	uint64_t loaded_ns; /* likewise, as FEATURES_LOADED */
	uint64_t awake_ns;  /* this interval: any of its CPUs was busy */
	uint64_t uncore_ns; /* this interval: FEATURES_UNCORE */
	struct features vms;
	struct features other;
};

struct activity {
	const struct topology *topology;
	size_t unit_count;
	struct activity_unit units[ACTIVITY_UNIT_MAX];
	uint8_t cpu_unit[TOPOLOGY_CPU_MAX]; /* by the index of topology->cpus[] */
	bool primed;
	uint64_t time_ns;
	uint64_t elapsed_ns;
	uint64_t *cpu_busy_ns;
	uint64_t *cpu_interval_ns; /* of it, this interval's */
	uint64_t *cpu_untold_ns;   /* besides, of the next */
	struct core_share *core_share;
	bool has_events; /* this interval's */
	size_t vm_count;
	struct activity_vm vms[SAMPLE_VM_MAX]; /* sorted by uuid */
};

/* First of a sample: what its CPUs did. */
void activity_units_take(struct activity *activity, const struct sample *sample);

/* Features of threads of the unit that have no CPU of their own in a sample. */
void activity_unit_weigh(const struct activity_unit *unit, uint64_t time_ns,
			 struct features *features);

/* When all machines are taken: what the host itself did, and who kept the units awake. */
void activity_units_settle(struct activity *activity);
void activity_units_divide_awake(struct activity *activity);

#endif
