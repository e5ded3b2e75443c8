/*
 * record.h: a simulated host as a trace, and beside it the truth, line by line.
 *
 * What `wattport replay` can be held against. The trace is that of common/trace.h; the truth has a
 * first line with the host, then one for each of the trace's samples, with what each machine has
 * caused since the start, in whole microjoules:
 *
 *   {"wattport_truth":1,"class":"..","seed":N,"package_idle_uw":N,"dram_idle_uw":N}
 *   {"t_ns":N,"vms":{"<uuid>":{"package_uj":N,"package_idle_uj":N,"dram_uj":N,"dram_idle_uj":N},..},
 *    "host":{"package_uj":N,"dram_uj":N},"vacant":{"package_idle_uj":N,"dram_idle_uj":N}}
 *
 * package_uj and dram_uj are the dynamic parts, without the idle ones; the idle powers are those of
 * one socket.
 */
#ifndef WATTPORT_TESTS_SIM_RECORD_H
#define WATTPORT_TESTS_SIM_RECORD_H

#include "tests/sim/world.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct record_plan {
	enum host_class host_class;
	uint64_t seed;
	uint64_t seconds;
	uint64_t period_ms; /* of the samples */
	uint64_t remix_s;   /* then everything is mixed anew; 0: never */
	bool events;
};

/* Writes both. 0 or -errno; truth may be NULL. */
int record_write(const struct record_plan *plan, FILE *trace, FILE *truth);

#endif
