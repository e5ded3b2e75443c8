/*
 * cpu_busy_internal.h: what cpu_busy.c shows to its tests and its fuzzer alone.
 */
#ifndef WATTPORT_COMMON_CPU_BUSY_INTERNAL_H
#define WATTPORT_COMMON_CPU_BUSY_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* The columns of a cpu line that are no work (proc(5)), in USER_HZ ticks. */
enum cpu_busy_rest {
	CPU_BUSY_IDLE,
	CPU_BUSY_IOWAIT,
	CPU_BUSY_STEAL,
	CPU_BUSY_REST_COUNT,
};

struct cpu_busy_line {
	uint32_t cpu;
	uint64_t rest_ticks[CPU_BUSY_REST_COUNT];
	uint64_t total_ticks; /* of all columns but guest time, which user time contains */
};

/*
 * The next whole "cpuN ..." line of /proc/stat; the cursor moves behind it. The sum line and lines
 * that do not parse are passed over. -ENODATA when the next line is whole and of another kind, or
 * when no whole line is left.
 */
int cpu_busy_next_line(const char **cursor, struct cpu_busy_line *ret_line);

#endif
