/* What the files of the tree share: tree.c keeps the nodes, tree_powercap.c and tree_cpus.c lay
 * them. A node that cannot be had sets `failed` and is the root instead, so that laying reads
 * without a check at every name; tree_create() checks once. One thread. */
#pragma once

#include "tests/raplsim/tree.h"

struct tree_zone {
	size_t dir; /* Its directory below devices. */
	size_t host_zone;
	size_t parent; /* The zone around it, before it in the list, or TREE_NONE. */
	bool mmio;
	bool present;
	uint32_t incarnation;
};

struct tree {
	const struct host *host;
	struct tree_node *nodes;
	size_t node_count;
	size_t node_space;
	struct tree_zone *zones;
	size_t zone_count;
	bool failed;
};

size_t tree_add(struct tree *tree, size_t parent, enum tree_kind kind, const char *name);
void tree_add_text(struct tree *tree, size_t parent, const char *name, unsigned int mode,
		   const char *text);
void tree_add_number(struct tree *tree, size_t parent, const char *name, uint64_t value);
size_t tree_add_link(struct tree *tree, size_t parent, const char *name, const char *target);

void tree_lay_powercap(struct tree *tree, size_t devices);
void tree_lay_cpus(struct tree *tree, size_t devices, const char *possible, const char *present);
