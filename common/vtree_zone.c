/* The zones of a tree: which there are, what they are called and where they lie. */
#include "common/vtree_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static_assert(ZONE_OF_PACKAGE == ZONE_PACKAGE + 1 && ZONE_OF_CORE == ZONE_CORE + 1 &&
		  ZONE_OF_UNCORE == ZONE_UNCORE + 1 && ZONE_OF_DRAM == ZONE_DRAM + 1 &&
		  ZONE_OF_PSYS == ZONE_PSYS + 1,
	      "a zone of a node is a kind of zone, or none");

enum zone_kind vtree_zone_kind(enum vtree_zone zone)
{
	assert(zone != ZONE_OF_NONE);
	return (enum zone_kind)(zone - 1);
}

bool vtree_zone_shown(const struct vtree_shape *shape, enum vtree_zone zone)
{
	switch (zone) {
	case ZONE_OF_NONE:
	case ZONE_OF_PACKAGE:
		return true;
	case ZONE_OF_CORE:
		return shape->core;
	case ZONE_OF_UNCORE:
		return shape->uncore;
	case ZONE_OF_DRAM:
		return shape->dram;
	case ZONE_OF_PSYS:
		return shape->psys;
	}
	return false;
}

bool vtree_zone_exists(const struct vtree_shape *shape, struct vtree_parts parts)
{
	bool of_socket = parts.zone != ZONE_OF_NONE && parts.zone != ZONE_OF_PSYS;

	return vtree_zone_shown(shape, parts.zone) &&
	       parts.socket < (of_socket ? shape->socket_count : 1);
}

bool vtree_zone_is_child(enum vtree_zone zone)
{
	return zone > ZONE_OF_PACKAGE && zone < ZONE_OF_PSYS;
}

/* How many children of a package come before that zone: its number, for the kernel counts them up
 * in the order in which it registers them. */
static uint32_t vtree_zone_number(const struct vtree_shape *shape, enum vtree_zone zone)
{
	uint32_t number = 0;

	for (enum vtree_zone before = ZONE_OF_CORE; before < zone; before++)
		number += vtree_zone_shown(shape, before);
	return number;
}

int vtree_zone_child(const struct vtree_shape *shape, uint32_t socket, size_t index,
		     struct vtree_parts *ret_parts)
{
	for (enum vtree_zone zone = ZONE_OF_CORE; zone < ZONE_OF_PSYS; zone++) {
		if (!vtree_zone_shown(shape, zone) || index-- > 0)
			continue;
		*ret_parts = (struct vtree_parts){.zone = zone, .socket = socket};
		return 0;
	}
	return -ENOENT;
}

int vtree_zone_top(const struct vtree_shape *shape, size_t index, struct vtree_parts *ret_parts)
{
	if (index < shape->socket_count)
		*ret_parts =
		    (struct vtree_parts){.zone = ZONE_OF_PACKAGE, .socket = (uint32_t)index};
	else if (index == shape->socket_count && shape->psys)
		*ret_parts = (struct vtree_parts){.zone = ZONE_OF_PSYS};
	else
		return -ENOENT;
	return 0;
}

int vtree_zone_flat(const struct vtree_shape *shape, size_t index, struct vtree_parts *ret_parts)
{
	size_t per_socket = 1 + vtree_zone_number(shape, ZONE_OF_PSYS);
	size_t socket = index / per_socket;

	if (socket >= shape->socket_count)
		return vtree_zone_top(shape, index - shape->socket_count * (per_socket - 1),
				      ret_parts);
	if (index % per_socket == 0)
		return vtree_zone_top(shape, socket, ret_parts);
	return vtree_zone_child(shape, (uint32_t)socket, index % per_socket - 1, ret_parts);
}

void vtree_zone_name(const struct vtree_shape *shape, struct vtree_parts parts,
		     char ret_name[static VTREE_NAME_SIZE])
{
	uint32_t top = parts.zone == ZONE_OF_PSYS ? shape->socket_count : parts.socket;
	int length;

	if (parts.zone == ZONE_OF_NONE)
		length = snprintf(ret_name, VTREE_NAME_SIZE, "intel-rapl");
	else if (parts.what == WHAT_SCAPHANDRE_ZONE)
		length = snprintf(ret_name, VTREE_NAME_SIZE, "intel-rapl:%" PRIu32, top);
	else
		length = snprintf(ret_name, VTREE_NAME_SIZE, "intel-rapl:%" PRIx32, top);
	if (vtree_zone_is_child(parts.zone))
		length += snprintf(ret_name + length, (size_t)(VTREE_NAME_SIZE - length),
				   ":%" PRIu32, vtree_zone_number(shape, parts.zone));
	assert(length > 0 && length < VTREE_NAME_SIZE);
}

int vtree_zone_link(const struct vtree_shape *shape, struct vtree_parts parts,
		    char ret_target[static VTREE_LINK_SIZE])
{
	struct vtree_parts package = {.zone = ZONE_OF_PACKAGE, .socket = parts.socket};
	char name[VTREE_NAME_SIZE], parent[VTREE_NAME_SIZE];
	const char *powercap = "../../devices/virtual/powercap";

	vtree_zone_name(shape, parts, name);
	vtree_zone_name(shape, package, parent);
	if (parts.zone == ZONE_OF_NONE)
		return snprintf(ret_target, VTREE_LINK_SIZE, "%s/%s", powercap, name);
	if (vtree_zone_is_child(parts.zone))
		return snprintf(ret_target, VTREE_LINK_SIZE, "%s/intel-rapl/%s/%s", powercap,
				parent, name);
	return snprintf(ret_target, VTREE_LINK_SIZE, "%s/intel-rapl/%s", powercap, name);
}
