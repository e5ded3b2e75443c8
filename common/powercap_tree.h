/*
 * powercap_tree.h: finds the RAPL zones in the kernel's powercap class and tells what they are.
 *
 * Below energy_source_powercap.c, which reads them. Knows the layout (Documentation/power/powercap/
 * powercap.rst, drivers/powercap/intel_rapl_common.c): control types intel-rapl (AMD's too) and
 * intel-rapl-mmio, zones `CONTROL:A[:B]` with hexadecimal indices that say nothing about the
 * package, all listed flat in class/powercap and nested in devices/virtual/powercap. One thread.
 */
#ifndef WATTPORT_COMMON_POWERCAP_TREE_H
#define WATTPORT_COMMON_POWERCAP_TREE_H

#include "common/diag.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWERCAP_PATH_SIZE 128
#define POWERCAP_LINE_SIZE 64 /* of the files that are read */

/* The largest value that is taken for a reading; also the range of a zone that tells none. */
#define POWERCAP_RAW_UJ_MAX ((uint64_t)INT64_MAX)

/* Where a zone stands: `intel-rapl:A` (depth 1) or `intel-rapl:A:B` (depth 2). */
struct powercap_place {
	bool mmio;
	uint32_t depth;
	uint32_t index[2];
};

/* What a zone says that it is. */
struct powercap_label {
	enum zone_kind kind;
	bool has_package; /* package-N has it from its name, dram and the rest from their parent */
	uint32_t package;
	uint32_t die; /* or ZONE_ANY_DIE */
};

struct powercap_tree {
	size_t zone_count;
	struct zone zones[ZONE_MAX];		  /* by package and die, psys last */
	char paths[ZONE_MAX][POWERCAP_PATH_SIZE]; /* of their directories, below /sys */
	bool mmio[ZONE_MAX];			  /* of the control type intel-rapl-mmio */
};

/* Pure decoders of outside text, also for tests and the fuzzer: 0 or -EINVAL, -ERANGE. */
int powercap_parse_place(const char *file_name, struct powercap_place *ret_place);
int powercap_parse_label(const char *name, struct powercap_label *ret_label);
int powercap_parse_energy(const char *text, uint64_t *ret_raw_uj);

/*
 * Lists the zones below that /sys. Of two zones with one id the second is dropped, and intel-rapl
 * comes before intel-rapl-mmio, so that nothing is counted twice. Without `parts`, core and uncore
 * are left out. *notes gets what was left out against expectation. 0 (also with no zone at all), or
 * the error of opening the directories (-ENOENT: no powercap class).
 */
int powercap_tree_scan(int sys_fd, bool parts, struct powercap_tree *ret_tree, struct diag *notes);

#endif
