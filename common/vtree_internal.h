/*
 * vtree_internal.h: what vtree.c (structure) and vtree_content.c (text) share: a node taken apart.
 */
#ifndef WATTPORT_COMMON_VTREE_INTERNAL_H
#define WATTPORT_COMMON_VTREE_INTERNAL_H

#include "common/vtree.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers stand in node ids, which outlive the process: append, never reorder. */
enum vtree_what {
	WHAT_ROOT = 1,
	WHAT_CLASS,
	WHAT_CLASS_POWERCAP,
	WHAT_CLASS_LINK, /* to the control type or to a zone */
	WHAT_DEVICES,
	WHAT_DEVICES_VIRTUAL,
	WHAT_DEVICES_POWERCAP,
	WHAT_CONTROL,
	WHAT_ZONE,
	WHAT_WATTPORT,
	WHAT_FILE, /* of the control type, a zone or wattport/ */
	WHAT_SUBSYSTEM,
	WHAT_END,
};

enum vtree_zone {
	ZONE_OF_NONE, /* the control type, or nothing to do with zones */
	ZONE_OF_PACKAGE,
	ZONE_OF_DRAM,
	ZONE_OF_PSYS,
};

enum vtree_attribute {
	ATTRIBUTE_NONE,
	ATTRIBUTE_ENABLED,
	ATTRIBUTE_UEVENT,
	ATTRIBUTE_NAME,
	ATTRIBUTE_ENERGY,
	ATTRIBUTE_ENERGY_RANGE,
	ATTRIBUTE_CONSTRAINT_NAME,
	ATTRIBUTE_CONSTRAINT_LIMIT,
	ATTRIBUTE_CONSTRAINT_WINDOW,
	ATTRIBUTE_CONSTRAINT_MAX,
	ATTRIBUTE_VERSION,
	ATTRIBUTE_UUID,
	ATTRIBUTE_GENERATION,
	ATTRIBUTE_AGE,
	ATTRIBUTE_MODE,
	ATTRIBUTE_SOURCE,
	ATTRIBUTE_SNAPSHOT,
	ATTRIBUTE_END,
};

/* A node taken apart: 4 bits what, 2 zone, 6 socket, 5 attribute. */
struct vtree_parts {
	enum vtree_what what;
	enum vtree_zone zone;
	uint32_t socket;
	enum vtree_attribute attribute;
};

struct vtree_parts vtree_unpack(struct vtree_node node);

/* Whether the node is one that vtree_list() hands out for this shape: ids come from outside. */
bool vtree_exists(const struct vtree_shape *shape, struct vtree_node node);

#endif
