/*
 * trace.h: samples as lines of JSON: what `wattport record` writes and `replay` reads.
 *
 * Beside the flow: a line is a struct sample, so what was recorded replays to the same microjoule.
 * Line 1 is the head, the machine; each line after it is a sample:
 *
 *   {"wattport_trace":1,"clock_tick_ns":N,"cpus":[{"cpu":0,"core":0,"package":0},..],
 *    "zones":[{"id":"package-0","package":0,"kind":"package|dram|psys|core|uncore",
 *    "range_uj":N},..]}
 *   {"t_ns":N,"raw_uj":{"package-0":N,..},"cpu_busy_ns":[N,..],"vms":[{"uuid":"..","name":"..",
 *    "memory_bytes":N,"sockets":1,"overhead_ns":N,"halt_poll_ns":N,"vcpus":[{"time_ns":N,"cpu":N,"cycles":N,
 *    "instructions":N,"llc_misses":N},..]},..]}
 *
 * Optional, with what is taken without them: cycles, instructions, llc_misses, halt_poll_ns (not
 * measured); a CPU's and a zone's "die" (0, the whole package); head "clock_tick_ns" (10 ms);
 * sample "cpu_busy_ns" (zeros), "vms" (none), "memory_total_bytes", "memory_used_bytes" (unknown),
 * "suspended_ns" (0: of t_ns, since boot), "late_ns" (0: so long after t_ns the zones were read);
 * a VM's "name" (its uuid), "memory_bytes", "overhead_ns", "pid" (0), "sockets" (1), "running"
 * (true), "precision" ("nanoseconds"; or "jiffies"); a vCPU's "cpu" (unknown) and "socket" (dealt
 * in order). A zone's reading is null, or absent, when it could not be read. All other members are
 * ignored. Numbers are integers from 0 to 2^63 - 1.
 *
 * The head may stand again between samples, the same as line 1: there a new run of wattportd began,
 * or another trace was joined, and nothing is compared with what came before.
 *
 * Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_TRACE_H
#define WATTPORT_COMMON_TRACE_H

#include "common/diag.h"
#include "common/sample.h"
#include "common/topology.h"
#include "common/zone.h"

#include <stddef.h>
#include <stdint.h>

#define TRACE_VERSION 1
#define TRACE_LINE_SIZE_MAX                                                                        \
	((size_t)16 * 1024 * 1024) /* with its newline; 4096 VMs of 32 vCPUs fit */
#define TRACE_DEPTH_MAX 16	   /* of nested arrays and objects; ours need 5 */
#define TRACE_TICK_NS	UINT64_C(10000000)

struct trace_head {
	uint64_t clock_tick_ns; /* what times in jiffies are multiples of */
	struct topology *topology;
	size_t zone_count;
	struct zone zones[ZONE_MAX];
};

/*
 * Reads line 1; trace_head_finish() frees what it holds. -EINVAL with the reason, -EFBIG past
 * TRACE_LINE_SIZE_MAX, -ENOMEM.
 */
int trace_parse_head(const char *line, size_t length, struct trace_head *ret_head,
		     struct diag *diag);
void trace_head_finish(struct trace_head *head);

/*
 * Reads another line into a sample that was initialised for the head's CPUs; what it held before is
 * gone, also on failure. Errors as above, and -ENOSPC for too many VMs or vCPUs.
 */
int trace_parse_sample(const char *line, size_t length, const struct trace_head *head,
		       struct sample *sample, struct diag *diag);

/*
 * The lines, each with its newline; the caller frees them. head->topology is only read. -ERANGE for
 * numbers past 2^63 - 1, -EFBIG, -ENOMEM.
 */
int trace_format_head(const struct trace_head *head, char **ret_line);
int trace_format_sample(const struct trace_head *head, const struct sample *sample,
			char **ret_line);

static inline void cleanup_trace_head_value(struct trace_head *head)
{
	trace_head_finish(head);
}
#define cleanup_trace_head __attribute__((cleanup(cleanup_trace_head_value)))

#endif
