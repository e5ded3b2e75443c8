#include "common/zone.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const zone_kind_names[] = {
    [ZONE_PACKAGE] = "package", [ZONE_CORE] = "core", [ZONE_UNCORE] = "uncore",
    [ZONE_DRAM] = "dram",	[ZONE_PSYS] = "psys",
};

static_assert(ZONE_PSYS == ZONE_SOCKET_KIND_COUNT, "psys comes behind what sockets have");

const char *zone_kind_name(enum zone_kind kind)
{
	return zone_kind_names[kind];
}

int zone_kind_parse(const char *name, enum zone_kind *ret_kind)
{
	for (size_t i = 0; i < sizeof(zone_kind_names) / sizeof(zone_kind_names[0]); i++) {
		if (strcmp(name, zone_kind_names[i]) == 0) {
			*ret_kind = (enum zone_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

int zone_find(const struct zone zones[], size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(zones[i].id, id) == 0)
			return (int)i;
	return -ENOENT;
}
