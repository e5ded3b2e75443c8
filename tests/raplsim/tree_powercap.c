#include <stdio.h>
#include <string.h>

#include "tests/raplsim/tree_internal.h"

#define PATH_SIZE 160

/* A control type with its zones; class holds the flat links to them. */
struct control_type {
	const char *name;
	bool mmio;
	size_t dir;
	size_t class_dir;
};

/* drivers/powercap/powercap_sys.c creates these with the modes given here; energy_uj has been
 * readable by root alone since Linux 5.10 (CVE-2020-8694). uevent of a device without a number is
 * empty. The package's limits are those of a common desktop part. */
static void lay_zone_files(struct tree *tree, size_t dir, const struct host_zone *zone)
{
	static const struct {
		const char *name;
		const char *text;
		unsigned int mode;
	} limits[] = {
	    {"constraint_0_name", "long_term\n", 0444},
	    {"constraint_0_power_limit_uw", "125000000\n", 0644},
	    {"constraint_0_time_window_us", "27983872\n", 0644},
	    {"constraint_0_max_power_uw", "125000000\n", 0444},
	    {"constraint_1_name", "short_term\n", 0444},
	    {"constraint_1_power_limit_uw", "157000000\n", 0644},
	    {"constraint_1_time_window_us", "2440\n", 0644},
	    {"constraint_1_max_power_uw", "0\n", 0444},
	};
	bool limited = zone->kind == HOST_ZONE_PACKAGE;
	char name[HOST_NAME_SIZE + 1];
	size_t node;

	(void)snprintf(name, sizeof(name), "%s\n", zone->name);
	tree_add_text(tree, dir, "name", 0444, name);
	tree_add_number(tree, dir, "max_energy_range_uj",
			model_units_to_uj(UINT32_MAX, zone->model.unit_pj));
	tree_add_text(tree, dir, "enabled", 0644, limited ? "1\n" : "0\n");
	tree_add_text(tree, dir, "uevent", 0644, "");
	for (size_t i = 0; limited && i < sizeof(limits) / sizeof(limits[0]); i++)
		tree_add_text(tree, dir, limits[i].name, limits[i].mode, limits[i].text);
	node = tree_add(tree, dir, TREE_ENERGY, "energy_uj");
	if (tree->failed)
		return;
	tree->nodes[node].mode = 0400;
	tree->nodes[node].model_zone = (size_t)(zone - tree->host->zones);
}

static size_t find_zone(const struct tree *tree, size_t host_zone, bool mmio)
{
	for (size_t i = 0; i < tree->zone_count; i++) {
		if (tree->zones[i].host_zone == host_zone && tree->zones[i].mmio == mmio)
			return i;
	}
	return TREE_NONE;
}

static void lay_zone(struct tree *tree, const struct control_type *type, size_t host_zone)
{
	const struct host_zone *zone = &tree->host->zones[host_zone];
	const char *id = type->mmio ? zone->mmio_id : zone->id;
	struct tree_zone entry = {
	    .host_zone = host_zone, .parent = TREE_NONE, .mmio = type->mmio, .present = true};
	size_t parent_dir = type->dir;
	const char *parent_id = type->name;
	char path[PATH_SIZE];
	size_t link;

	if (zone->parent != HOST_ZONE_NONE) {
		const struct host_zone *parent = &tree->host->zones[zone->parent];

		entry.parent = find_zone(tree, zone->parent, type->mmio);
		parent_dir = tree->zones[entry.parent].dir;
		parent_id = type->mmio ? parent->mmio_id : parent->id;
	}
	entry.dir = tree_add(tree, parent_dir, TREE_DIR, id);
	if (entry.parent == TREE_NONE)
		(void)snprintf(path, sizeof(path), "../../devices/virtual/powercap/%s/%s",
			       type->name, id);
	else
		(void)snprintf(path, sizeof(path), "../../devices/virtual/powercap/%s/%s/%s",
			       type->name, parent_id, id);
	link = tree_add_link(tree, type->class_dir, id, path);
	if (tree->failed)
		return;
	tree->nodes[entry.dir].zone = tree->zone_count;
	tree->nodes[link].zone = tree->zone_count;
	tree->zones[tree->zone_count++] = entry;
	lay_zone_files(tree, entry.dir, zone);
	(void)snprintf(path, sizeof(path), "../../%s", parent_id);
	tree_add_link(tree, entry.dir, "device", path);
	tree_add_link(tree, entry.dir, "subsystem",
		      entry.parent == TREE_NONE ? "../../../../../class/powercap"
						: "../../../../../../class/powercap");
}

static void lay_control_type(struct tree *tree, struct control_type type, size_t powercap)
{
	char path[PATH_SIZE];

	type.dir = tree_add(tree, powercap, TREE_DIR, type.name);
	(void)snprintf(path, sizeof(path), "../../devices/virtual/powercap/%s", type.name);
	tree_add_link(tree, type.class_dir, type.name, path);
	tree_add_text(tree, type.dir, "enabled", 0644, "1\n");
	tree_add_text(tree, type.dir, "uevent", 0644, "");
	tree_add_link(tree, type.dir, "subsystem", "../../../../class/powercap");
	for (size_t i = 0; i < tree->host->zone_count && !tree->failed; i++) {
		if (!type.mmio || tree->host->zones[i].mmio_id[0] != '\0')
			lay_zone(tree, &type, i);
	}
}

void tree_lay_powercap(struct tree *tree, size_t devices)
{
	size_t virtual_dir = tree_add(tree, devices, TREE_DIR, "virtual");
	size_t powercap = tree_add(tree, virtual_dir, TREE_DIR, "powercap");
	size_t class_dir = tree_add(tree, TREE_ROOT, TREE_DIR, "class");

	class_dir = tree_add(tree, class_dir, TREE_DIR, "powercap");
	lay_control_type(tree, (struct control_type){.name = "intel-rapl", .class_dir = class_dir},
			 powercap);
	if (tree->host->config.mmio)
		lay_control_type(tree,
				 (struct control_type){.name = "intel-rapl-mmio",
						       .mmio = true,
						       .class_dir = class_dir},
				 powercap);
}
