/*
 * vtree_internal.h: what vtree.c (structure), vtree_zone.c (its zones) and vtree_content.c (text)
 * share: a node taken apart.
 */
#ifndef WATTPORT_COMMON_VTREE_INTERNAL_H
#define WATTPORT_COMMON_VTREE_INTERNAL_H

#include "common/vtree.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers of these three stand in node ids, which outlive the process: append, never reorder.
 */
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
	WHAT_COMPAT,
	WHAT_SCAPHANDRE,
	WHAT_SCAPHANDRE_ZONE, /* lists files that lie in the zone's own directory, too */
	WHAT_END,
};

enum vtree_zone {
	ZONE_OF_NONE, /* the control type, or nothing to do with zones */
	ZONE_OF_PACKAGE,
	ZONE_OF_CORE,
	ZONE_OF_UNCORE,
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
	ATTRIBUTE_WATTS,
	ATTRIBUTE_POWERJOULAR,
	ATTRIBUTE_END,
};

/* A node taken apart: 4 bits what, 3 zone, 6 socket, 5 attribute. */
struct vtree_parts {
	enum vtree_what what;
	enum vtree_zone zone;
	uint32_t socket;
	enum vtree_attribute attribute;
};

struct vtree_parts vtree_unpack(struct vtree_node node);

/* Whether the node is one that vtree_list() hands out for this shape: ids come from outside. */
bool vtree_exists(const struct vtree_shape *shape, struct vtree_node node);

/* The kind of a zone, which must not be ZONE_OF_NONE. */
enum zone_kind vtree_zone_kind(enum vtree_zone zone);

/* Whether trees of this shape show such zones. */
bool vtree_zone_shown(const struct vtree_shape *shape, enum vtree_zone zone);

/* Whether there is this zone of this socket; the control type counts as one. */
bool vtree_zone_exists(const struct vtree_shape *shape, struct vtree_parts parts);

/* Whether it lies within a package's directory. */
bool vtree_zone_is_child(enum vtree_zone zone);

/* The zones at that place, from 0, or -ENOENT: below a package; below the control type (packages,
 * then psys); all in one list, children behind their parents. What they are is left open. */
int vtree_zone_child(const struct vtree_shape *shape, uint32_t socket, size_t index,
		     struct vtree_parts *ret_parts);
int vtree_zone_top(const struct vtree_shape *shape, size_t index, struct vtree_parts *ret_parts);
int vtree_zone_flat(const struct vtree_shape *shape, size_t index, struct vtree_parts *ret_parts);

/* What its directory is called, and the target of its link in class/powercap. */
void vtree_zone_name(const struct vtree_shape *shape, struct vtree_parts parts,
		     char ret_name[static VTREE_NAME_SIZE]);
int vtree_zone_link(const struct vtree_shape *shape, struct vtree_parts parts,
		    char ret_target[static VTREE_LINK_SIZE]);

#endif
