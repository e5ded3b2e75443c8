/*
 * cpu_busy.h: how long each CPU of the host has been busy, in nanoseconds that only grow.
 *
 * Read at every sample, before attribution: what VMs did not use of a busy CPU is the host's own.
 * The model source computes energy from it. One thread an instance.
 *
 * Busy is elapsed - idle - iowait - steal of /proc/stat, all since the first reading, and not the
 * sum of user, system and the rest. With NO_HZ the kernel takes idle time from the clock
 * (fs/proc/stat.c: get_idle_time()) and only rounds it to the tick of 10 ms when it prints it, so
 * the difference of two far readings is off by a tick, ever; user and system time are charged a
 * whole tick at a time to whatever runs when the timer fires, and what runs between two ticks is
 * charged to nobody. Where the kernel ticks while idle (nohz=off) both are equally coarse.
 */
#ifndef WATTPORT_COMMON_CPU_BUSY_H
#define WATTPORT_COMMON_CPU_BUSY_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/sysroot.h"
#include "common/topology.h"

#include <stdint.h>

struct cpu_busy;

/* Opens /proc/stat for the CPUs of that topology, which outlives it. The first read gives zeros. */
int cpu_busy_open(const struct sysroot *root, const struct topology *topology,
		  struct cpu_busy **ret_busy, struct diag *diag);
void cpu_busy_close(struct cpu_busy *busy);

/*
 * busy_ns[i] of topology->cpus[i] at the time `now`. A CPU that is offline keeps its value. 0 or
 * the error of reading; then the array is unchanged.
 */
int cpu_busy_read(struct cpu_busy *busy, struct mono_time now, uint64_t busy_ns[]);

/*
 * How long each CPU has not been busy since the machine's start, as of the last reading; UINT64_MAX
 * where it is offline. That is what one process can tell the next.
 */
void cpu_busy_rest(const struct cpu_busy *busy, uint64_t rest_ns[]);

static inline void cleanup_cpu_busy_value(struct cpu_busy *const *busy)
{
	cpu_busy_close(*busy);
}
#define cleanup_cpu_busy __attribute__((cleanup(cleanup_cpu_busy_value)))

#endif
