/*
 * zone.h: one RAPL zone of the host: what is counted, where, and up to which value.
 *
 * The vocabulary of the whole flow: sources list zones, samples carry one reading a zone, the
 * ledger keeps one row a zone. Plain data: safe in any thread.
 */
#ifndef WATTPORT_COMMON_ZONE_H
#define WATTPORT_COMMON_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define ZONE_MAX     64 /* zones of one host: 16 packages of two dies with DRAM, and psys, fit */
#define ZONE_ID_SIZE 32 /* "package-0-die-1" and its like, with the NUL */
#define ZONE_ANY_DIE UINT32_MAX

/*
 * In the order in which the kernel registers them (intel_rapl_common.c). core, uncore and dram are
 * children of the package in its tree; only dram is energy on top of it.
 */
enum zone_kind {
	ZONE_PACKAGE,
	ZONE_CORE,
	ZONE_UNCORE,
	ZONE_DRAM,
	ZONE_PSYS, /* the whole machine: overlaps every other zone */
};

/* The kinds that a package has of its own, so that a guest's virtual socket may have them: those
 * before ZONE_PSYS. */
#define ZONE_SOCKET_KIND_COUNT 4

struct zone {
	char id[ZONE_ID_SIZE]; /* "package-0", "package-0-die-1", "dram-0", "psys": unique on the
				  host */
	enum zone_kind kind;
	uint32_t package;  /* physical_package_id; 0 for psys */
	uint32_t die;	   /* die_id, or ZONE_ANY_DIE where the zone counts the whole package */
	uint64_t range_uj; /* largest raw value (max_energy_range_uj); after it comes 0 */
};

/* "package", "dram", "psys", "core", "uncore": literals. */
const char *zone_kind_name(enum zone_kind kind);

/* The kind of that name, or -EINVAL. */
int zone_kind_parse(const char *name, enum zone_kind *ret_kind);

/* The index of the zone of that id, or -ENOENT. */
int zone_find(const struct zone zones[], size_t count, const char *id);

#endif
