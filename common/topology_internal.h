/*
 * topology_internal.h: what topology.c shows to its tests and its fuzzer alone.
 */
#ifndef WATTPORT_COMMON_TOPOLOGY_INTERNAL_H
#define WATTPORT_COMMON_TOPOLOGY_INTERNAL_H

#include <stdint.h>

struct topology_range {
	uint32_t first;
	uint32_t last; /* at least first, below TOPOLOGY_CPU_MAX */
};

/*
 * The next range of a CPU list as the kernel writes it ("0-3,8,10-11\n", bitmap_print_to_pagebuf);
 * the cursor moves behind it. -ENODATA at the end, -EINVAL for anything else, -ERANGE for a CPU
 * past TOPOLOGY_CPU_MAX.
 */
int topology_list_next(const char **cursor, struct topology_range *ret_range);

/* An id as sysfs shows it: -1, the kernel's "unknown", becomes `unknown`. */
int topology_parse_id(const char *text, uint32_t unknown, uint32_t *ret_id);

#endif
