/*
 * power_table.h: roughly what a processor draws when idle and when busy.
 *
 * For the model source alone: two figures a package from the processor's name. An estimate, and not
 * a good one: see power_table.c for what it rests on. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_POWER_TABLE_H
#define WATTPORT_COMMON_POWER_TABLE_H

#include "common/cpu_model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWER_TABLE_TDP_W_MAX 10000

struct power_figures {
	uint32_t tdp_w;	  /* of one package */
	bool tdp_known;	  /* else it was guessed from the number of cores */
	uint64_t idle_uw; /* of one package, nothing running */
	uint64_t busy_uw; /* of one package, every logical CPU busy */
};

/*
 * The figures for that processor. `tdp_w` above 0 is the operator's own and goes before the
 * table's; what is past POWER_TABLE_TDP_W_MAX is taken for it. core_count is that of one package.
 */
struct power_figures power_table_lookup(const struct cpu_model *model, size_t core_count,
					uint32_t tdp_w);

#endif
