#include "common/vtree_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define VTREE_FILE_SIZE 4096

static_assert(WHAT_END <= 16 && ZONE_OF_PSYS < 8 && VTREE_SOCKET_MAX <= 64 && ATTRIBUTE_END <= 32,
	      "the parts fit their bits");

static struct vtree_node vtree_pack(struct vtree_parts parts)
{
	return (struct vtree_node){.id = (uint64_t)parts.what | (uint64_t)parts.zone << 4 |
					 (uint64_t)parts.socket << 7 |
					 (uint64_t)parts.attribute << 13};
}

struct vtree_parts vtree_unpack(struct vtree_node node)
{
	return (struct vtree_parts){
	    .what = (enum vtree_what)(node.id & 0xf),
	    .zone = (enum vtree_zone)(node.id >> 4 & 0x7),
	    .socket = (uint32_t)(node.id >> 7 & 0x3f),
	    .attribute = (enum vtree_attribute)(node.id >> 13 & 0x1f),
	};
}

struct vtree_node vtree_root(void)
{
	return vtree_pack((struct vtree_parts){.what = WHAT_ROOT});
}

/* One entry of a directory whose content does not depend on the shape. */
struct vtree_item {
	const char *name;
	enum vtree_what what;
	enum vtree_attribute attribute;
};

static const struct vtree_item vtree_root_items[] = {
    {"class", WHAT_CLASS, ATTRIBUTE_NONE},
    {"devices", WHAT_DEVICES, ATTRIBUTE_NONE},
    {"wattport", WHAT_WATTPORT, ATTRIBUTE_NONE},
};
static const struct vtree_item vtree_class_items[] = {
    {"powercap", WHAT_CLASS_POWERCAP, ATTRIBUTE_NONE}};
static const struct vtree_item vtree_devices_items[] = {
    {"virtual", WHAT_DEVICES_VIRTUAL, ATTRIBUTE_NONE}};
static const struct vtree_item vtree_virtual_items[] = {
    {"powercap", WHAT_DEVICES_POWERCAP, ATTRIBUTE_NONE}};
static const struct vtree_item vtree_powercap_items[] = {
    {"intel-rapl", WHAT_CONTROL, ATTRIBUTE_NONE}};
static const struct vtree_item vtree_control_items[] = {
    {"enabled", WHAT_FILE, ATTRIBUTE_ENABLED},
    {"uevent", WHAT_FILE, ATTRIBUTE_UEVENT},
    {"subsystem", WHAT_SUBSYSTEM, ATTRIBUTE_NONE},
};
static const struct vtree_item vtree_zone_items[] = {
    {"name", WHAT_FILE, ATTRIBUTE_NAME},
    {"energy_uj", WHAT_FILE, ATTRIBUTE_ENERGY},
    {"max_energy_range_uj", WHAT_FILE, ATTRIBUTE_ENERGY_RANGE},
    {"enabled", WHAT_FILE, ATTRIBUTE_ENABLED},
    {"uevent", WHAT_FILE, ATTRIBUTE_UEVENT},
    {"subsystem", WHAT_SUBSYSTEM, ATTRIBUTE_NONE},
    {"constraint_0_name", WHAT_FILE, ATTRIBUTE_CONSTRAINT_NAME},
    {"constraint_0_power_limit_uw", WHAT_FILE, ATTRIBUTE_CONSTRAINT_LIMIT},
    {"constraint_0_time_window_us", WHAT_FILE, ATTRIBUTE_CONSTRAINT_WINDOW},
    {"constraint_0_max_power_uw", WHAT_FILE, ATTRIBUTE_CONSTRAINT_MAX},
};
static const struct vtree_item vtree_wattport_items[] = {
    {"version", WHAT_FILE, ATTRIBUTE_VERSION},
    {"uuid", WHAT_FILE, ATTRIBUTE_UUID},
    {"generation", WHAT_FILE, ATTRIBUTE_GENERATION},
    {"age_ms", WHAT_FILE, ATTRIBUTE_AGE},
    {"mode", WHAT_FILE, ATTRIBUTE_MODE},
    {"source", WHAT_FILE, ATTRIBUTE_SOURCE},
    {"snapshot", WHAT_FILE, ATTRIBUTE_SNAPSHOT},
    {"compat", WHAT_COMPAT, ATTRIBUTE_NONE},
};
static const struct vtree_item vtree_compat_items[] = {
    {"watts", WHAT_FILE, ATTRIBUTE_WATTS},
    {"powerjoular", WHAT_FILE, ATTRIBUTE_POWERJOULAR},
    {"scaphandre", WHAT_SCAPHANDRE, ATTRIBUTE_NONE},
};
/* The same nodes as in the zone's own directory: files with two names. */
static const struct vtree_item vtree_scaphandre_items[] = {
    {"name", WHAT_FILE, ATTRIBUTE_NAME},
    {"energy_uj", WHAT_FILE, ATTRIBUTE_ENERGY},
    {"max_energy_range_uj", WHAT_FILE, ATTRIBUTE_ENERGY_RANGE},
};

struct vtree_directory {
	const struct vtree_item *items;
	size_t count;
};

#define VTREE_DIRECTORY(items)                                                                     \
	((struct vtree_directory){(items), sizeof(items) / sizeof((items)[0])})

/* The fixed entries of a directory; -ENOTDIR for what is none. */
static int vtree_directory_of(struct vtree_parts parts, struct vtree_directory *ret_directory)
{
	switch (parts.what) {
	case WHAT_ROOT:
		*ret_directory = VTREE_DIRECTORY(vtree_root_items);
		return 0;
	case WHAT_CLASS:
		*ret_directory = VTREE_DIRECTORY(vtree_class_items);
		return 0;
	case WHAT_CLASS_POWERCAP:
	case WHAT_SCAPHANDRE:
		*ret_directory = (struct vtree_directory){NULL, 0};
		return 0;
	case WHAT_DEVICES:
		*ret_directory = VTREE_DIRECTORY(vtree_devices_items);
		return 0;
	case WHAT_DEVICES_VIRTUAL:
		*ret_directory = VTREE_DIRECTORY(vtree_virtual_items);
		return 0;
	case WHAT_DEVICES_POWERCAP:
		*ret_directory = VTREE_DIRECTORY(vtree_powercap_items);
		return 0;
	case WHAT_CONTROL:
		*ret_directory = VTREE_DIRECTORY(vtree_control_items);
		return 0;
	case WHAT_ZONE:
		*ret_directory = VTREE_DIRECTORY(vtree_zone_items);
		return 0;
	case WHAT_WATTPORT:
		*ret_directory = VTREE_DIRECTORY(vtree_wattport_items);
		return 0;
	case WHAT_COMPAT:
		*ret_directory = VTREE_DIRECTORY(vtree_compat_items);
		return 0;
	case WHAT_SCAPHANDRE_ZONE:
		*ret_directory = VTREE_DIRECTORY(vtree_scaphandre_items);
		return 0;
	case WHAT_CLASS_LINK:
	case WHAT_FILE:
	case WHAT_SUBSYSTEM:
	case WHAT_END:
		break;
	}
	return -ENOTDIR;
}

static bool vtree_item_exists(struct vtree_directory directory, struct vtree_parts parts)
{
	for (size_t i = 0; i < directory.count; i++)
		if (directory.items[i].what == parts.what &&
		    directory.items[i].attribute == parts.attribute)
			return true;
	return false;
}

/* The directory that a file or subsystem link lies in. */
static struct vtree_parts vtree_parent(struct vtree_parts parts)
{
	struct vtree_parts parent = {.zone = parts.zone, .socket = parts.socket};

	if (parts.zone != ZONE_OF_NONE)
		parent.what = WHAT_ZONE;
	else if (parts.attribute >= ATTRIBUTE_WATTS)
		parent.what = WHAT_COMPAT;
	else if (parts.attribute >= ATTRIBUTE_VERSION)
		parent.what = WHAT_WATTPORT;
	else
		parent.what = WHAT_CONTROL;
	return parent;
}

bool vtree_exists(const struct vtree_shape *shape, struct vtree_node node)
{
	struct vtree_parts parts = vtree_unpack(node);
	struct vtree_directory directory;

	if (node.id >> VTREE_NODE_BITS != 0)
		return false;
	switch (parts.what) {
	case WHAT_ROOT:
	case WHAT_CLASS:
	case WHAT_CLASS_POWERCAP:
	case WHAT_DEVICES:
	case WHAT_DEVICES_VIRTUAL:
	case WHAT_DEVICES_POWERCAP:
	case WHAT_CONTROL:
	case WHAT_WATTPORT:
	case WHAT_COMPAT:
	case WHAT_SCAPHANDRE:
		return parts.zone == ZONE_OF_NONE && parts.socket == 0 &&
		       parts.attribute == ATTRIBUTE_NONE;
	case WHAT_CLASS_LINK:
		return vtree_zone_exists(shape, parts) && parts.attribute == ATTRIBUTE_NONE;
	case WHAT_ZONE:
		return parts.zone != ZONE_OF_NONE && vtree_zone_exists(shape, parts) &&
		       parts.attribute == ATTRIBUTE_NONE;
	case WHAT_SCAPHANDRE_ZONE:
		return parts.zone != ZONE_OF_NONE && parts.zone != ZONE_OF_PSYS &&
		       vtree_zone_exists(shape, parts) && parts.attribute == ATTRIBUTE_NONE;
	case WHAT_FILE:
	case WHAT_SUBSYSTEM:
		return vtree_zone_exists(shape, parts) &&
		       vtree_directory_of(vtree_parent(parts), &directory) == 0 &&
		       vtree_item_exists(directory, parts);
	case WHAT_END:
		break;
	}
	return false;
}

/* An entry that depends on the shape; `index` counts from the last fixed one. */
static int vtree_list_zone(const struct vtree_shape *shape, struct vtree_parts directory,
			   size_t index, struct vtree_parts *ret_parts)
{
	struct vtree_parts parts = {.zone = ZONE_OF_NONE};
	enum vtree_what what = WHAT_ZONE;
	int status = -ENOENT;

	if (directory.what == WHAT_CLASS_POWERCAP) {
		what = WHAT_CLASS_LINK;
		status = index == 0 ? 0 : vtree_zone_flat(shape, index - 1, &parts);
	} else if (directory.what == WHAT_SCAPHANDRE) {
		/* Without psys: it would be counted on top of the packages that it holds. */
		what = WHAT_SCAPHANDRE_ZONE;
		status = vtree_zone_flat(shape, index, &parts);
		if (parts.zone == ZONE_OF_PSYS)
			return -ENOENT;
	} else if (directory.what == WHAT_CONTROL) {
		status = vtree_zone_top(shape, index, &parts);
	} else if (directory.what == WHAT_ZONE && directory.zone == ZONE_OF_PACKAGE) {
		status = vtree_zone_child(shape, directory.socket, index, &parts);
	}
	parts.what = what;
	*ret_parts = parts;
	return status;
}

int vtree_list(const struct vtree_shape *shape, struct vtree_node directory, size_t index,
	       struct vtree_entry *ret_entry)
{
	struct vtree_parts parts = vtree_unpack(directory);
	struct vtree_parts child = {.zone = parts.zone, .socket = parts.socket};
	struct vtree_directory fixed;
	struct vtree_entry entry;
	int status;

	assert(shape->socket_count >= 1 && shape->socket_count <= VTREE_SOCKET_MAX);
	if (!vtree_exists(shape, directory))
		return -ESTALE;
	status = vtree_directory_of(parts, &fixed);
	if (status < 0)
		return status;
	if (index < fixed.count) {
		child.what = fixed.items[index].what;
		child.attribute = fixed.items[index].attribute;
		(void)snprintf(entry.name, sizeof(entry.name), "%s", fixed.items[index].name);
	} else {
		status = vtree_list_zone(shape, parts, index - fixed.count, &child);
		if (status < 0)
			return status;
		vtree_zone_name(shape, child, entry.name);
	}
	entry.node = vtree_pack(child);
	*ret_entry = entry;
	return 0;
}

int vtree_lookup(const struct vtree_shape *shape, struct vtree_node directory, const char *name,
		 struct vtree_node *ret_node)
{
	struct vtree_entry entry;

	/* What is listed is what can be found: directories are too small for a second truth. */
	for (size_t index = 0;; index++) {
		int status = vtree_list(shape, directory, index, &entry);

		if (status < 0)
			return status;
		if (strcmp(entry.name, name) == 0) {
			*ret_node = entry.node;
			return 0;
		}
	}
}

static uint32_t vtree_link_count(const struct vtree_shape *shape, struct vtree_node directory)
{
	uint32_t count = 2;
	struct vtree_entry entry;

	for (size_t index = 0; vtree_list(shape, directory, index, &entry) == 0; index++) {
		struct vtree_directory unused;

		if (vtree_directory_of(vtree_unpack(entry.node), &unused) == 0)
			count++;
	}
	return count;
}

/* Whether the file is listed below wattport/compat/scaphandre, too. */
static bool vtree_has_two_names(struct vtree_parts parts)
{
	return parts.zone != ZONE_OF_NONE && parts.zone != ZONE_OF_PSYS &&
	       vtree_item_exists(VTREE_DIRECTORY(vtree_scaphandre_items), parts);
}

int vtree_attributes(const struct vtree_shape *shape, struct vtree_node node,
		     struct vtree_attributes *ret_attributes)
{
	struct vtree_attributes attributes = {.mode = S_IFDIR | 0555, .link_count = 1, .size = 0};
	char target[VTREE_LINK_SIZE];
	struct vtree_directory directory;
	struct vtree_parts parts = vtree_unpack(node);

	if (!vtree_exists(shape, node))
		return -ESTALE;
	if (vtree_directory_of(parts, &directory) == 0) {
		attributes.link_count = vtree_link_count(shape, node);
	} else if (parts.what == WHAT_FILE) {
		attributes.mode = S_IFREG | 0444;
		if (shape->exact && vtree_counter(node) != VTREE_COUNTER_NONE)
			attributes.mode = S_IFREG | 0400;
		attributes.link_count = vtree_has_two_names(parts) ? 2 : 1;
		attributes.size =
		    vtree_counter(node) == VTREE_COUNTER_ALL ? VTREE_CONTENT_SIZE : VTREE_FILE_SIZE;
	} else {
		int length = vtree_link(shape, node, target);

		if (length < 0)
			return length;
		attributes.mode = S_IFLNK | 0777;
		attributes.size = (uint64_t)length;
	}
	*ret_attributes = attributes;
	return 0;
}

int vtree_link(const struct vtree_shape *shape, struct vtree_node node,
	       char ret_target[static VTREE_LINK_SIZE])
{
	struct vtree_parts parts = vtree_unpack(node);
	const char *up = "";

	if (!vtree_exists(shape, node))
		return -ESTALE;
	if (parts.what == WHAT_CLASS_LINK)
		return vtree_zone_link(shape, parts, ret_target);
	if (parts.what != WHAT_SUBSYSTEM)
		return -EINVAL;
	/* As many steps up as the directory lies deep: 4 for the control type, 6 for a child. */
	if (parts.zone != ZONE_OF_NONE)
		up = vtree_zone_is_child(parts.zone) ? "../../" : "../";
	return snprintf(ret_target, VTREE_LINK_SIZE, "%s../../../../class/powercap", up);
}

enum vtree_counter_kind vtree_counter(struct vtree_node node)
{
	struct vtree_parts parts = vtree_unpack(node);

	if (parts.what != WHAT_FILE)
		return VTREE_COUNTER_NONE;
	if (parts.attribute == ATTRIBUTE_ENERGY)
		return VTREE_COUNTER_ONE;
	if (parts.attribute == ATTRIBUTE_SNAPSHOT)
		return VTREE_COUNTER_ALL;
	if (parts.attribute == ATTRIBUTE_WATTS || parts.attribute == ATTRIBUTE_POWERJOULAR)
		return VTREE_COUNTER_RATE;
	return VTREE_COUNTER_NONE;
}
