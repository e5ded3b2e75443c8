/*
 * topology.h: which CPU belongs to which core, die and package.
 *
 * Read once at start from /sys/devices/system/cpu (Documentation/admin-guide/cputopology.rst) or
 * from the head of a trace; sampler and attribution need it to send a thread's time to the zone of
 * the package that it ran on. Immutable after reading: safe in any thread.
 */
#ifndef WATTPORT_COMMON_TOPOLOGY_H
#define WATTPORT_COMMON_TOPOLOGY_H

#include "common/diag.h"
#include "common/sysroot.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_CPU_MAX 8192 /* x86's NR_CPUS limit */

struct topology_cpu {
	uint32_t cpu; /* the kernel's number: numbers may be missing, order is ascending */
	uint32_t core;
	uint32_t die;
	uint32_t package;
};

struct topology {
	size_t cpu_count;
	struct topology_cpu cpus[TOPOLOGY_CPU_MAX];
};

/* Present CPUs with their ids; a CPU without topology (offline) is left out. The caller frees it.
 */
int topology_read(const struct sysroot *root, struct topology **ret_topology, struct diag *diag);

/* An empty one to fill by hand, for traces and tests; freed with topology_destroy(). */
int topology_create(struct topology **ret_topology);
void topology_destroy(struct topology *topology);

/* Adds a CPU; its number must be larger than all before (-EINVAL), the table has room (-ENOSPC). */
int topology_add(struct topology *topology, const struct topology_cpu *cpu);

/* The index in cpus[] of the kernel's CPU number, or -ENOENT. */
int topology_index(const struct topology *topology, uint32_t cpu);

/* Whether the zone's energy is (partly) that CPU's: its die or package, or the whole machine. */
bool topology_cpu_in_zone(const struct topology_cpu *cpu, const struct zone *zone);

static inline void cleanup_topology_value(struct topology *const *topology)
{
	topology_destroy(*topology);
}
#define cleanup_topology __attribute__((cleanup(cleanup_topology_value)))

#endif
