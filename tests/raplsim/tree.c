#include "tests/raplsim/tree.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/raplsim/tree_internal.h"

#define NODES_AT_FIRST 256

size_t tree_add(struct tree *tree, size_t parent, enum tree_kind kind, const char *name)
{
	struct tree_node *node;

	if (tree->node_count == tree->node_space) {
		size_t space = tree->node_space ? tree->node_space * 2 : NODES_AT_FIRST;
		struct tree_node *nodes = realloc(tree->nodes, space * sizeof(*nodes));

		if (!nodes) {
			tree->failed = true;
			return TREE_ROOT;
		}
		tree->nodes = nodes;
		tree->node_space = space;
	}
	assert(strlen(name) < TREE_NAME_SIZE);
	node = &tree->nodes[tree->node_count];
	*node = (struct tree_node){.kind = kind,
				   .mode = kind == TREE_DIR    ? 0755
					   : kind == TREE_LINK ? 0777
							       : 0444,
				   .parent = parent,
				   .child = TREE_NONE,
				   .sibling = TREE_NONE,
				   .zone = TREE_NONE};
	memcpy(node->name, name, strlen(name) + 1);
	if (tree->node_count > 0) {
		size_t *at = &tree->nodes[parent].child;

		while (*at != TREE_NONE)
			at = &tree->nodes[*at].sibling;
		*at = tree->node_count;
		node->zone = tree->nodes[parent].zone;
	}
	return tree->node_count++;
}

static void set_text(struct tree *tree, size_t node, const char *text)
{
	struct tree_node *file = &tree->nodes[node];

	if (tree->failed)
		return;
	if (asprintf(&file->text, "%s", text) < 0) {
		file->text = NULL;
		tree->failed = true;
	}
}

void tree_add_text(struct tree *tree, size_t parent, const char *name, unsigned int mode,
		   const char *text)
{
	size_t node = tree_add(tree, parent, TREE_TEXT, name);

	set_text(tree, node, text);
	if (!tree->failed)
		tree->nodes[node].mode = mode;
}

void tree_add_number(struct tree *tree, size_t parent, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
	tree_add_text(tree, parent, name, 0444, text);
}

size_t tree_add_link(struct tree *tree, size_t parent, const char *name, const char *target)
{
	size_t node = tree_add(tree, parent, TREE_LINK, name);

	set_text(tree, node, target);
	return node;
}

int tree_create(const struct host *host, const char *possible, const char *present,
		struct tree **ret_tree)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	size_t devices;

	if (!tree)
		return -ENOMEM;
	tree->zones = calloc(host->zone_count * 2, sizeof(*tree->zones));
	if (!tree->zones) {
		free(tree);
		return -ENOMEM;
	}
	tree->host = host;
	tree_add(tree, TREE_ROOT, TREE_DIR, "");
	devices = tree_add(tree, TREE_ROOT, TREE_DIR, "devices");
	tree_lay_powercap(tree, devices);
	tree_lay_cpus(tree, devices, possible, present);
	if (tree->failed) {
		tree_destroy(tree);
		return -ENOMEM;
	}
	*ret_tree = tree;
	return 0;
}

void tree_destroy(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->node_count; i++)
		free(tree->nodes[i].text);
	free(tree->nodes);
	free(tree->zones);
	free(tree);
}

size_t tree_node_count(const struct tree *tree)
{
	return tree->node_count;
}

const struct tree_node *tree_node(const struct tree *tree, size_t node)
{
	assert(node < tree->node_count);
	return &tree->nodes[node];
}

bool tree_visible(const struct tree *tree, size_t node)
{
	size_t zone = tree_node(tree, node)->zone;

	return zone == TREE_NONE || tree->zones[zone].present;
}

uint32_t tree_incarnation(const struct tree *tree, size_t node)
{
	size_t zone = tree_node(tree, node)->zone;

	return zone == TREE_NONE ? 0 : tree->zones[zone].incarnation;
}

size_t tree_find_file(const struct tree *tree, size_t dir, const char *name)
{
	size_t node = tree_node(tree, dir)->child;

	while (node != TREE_NONE && strcmp(tree->nodes[node].name, name) != 0)
		node = tree->nodes[node].sibling;
	return node;
}

size_t tree_lookup(const struct tree *tree, size_t parent, const char *name)
{
	size_t node = tree_find_file(tree, parent, name);

	return node != TREE_NONE && tree_visible(tree, node) ? node : TREE_NONE;
}

static size_t find_path(const struct tree *tree, const char *path)
{
	size_t node = TREE_ROOT;

	while (node != TREE_NONE && *path != '\0') {
		char name[TREE_NAME_SIZE];
		size_t length = strcspn(path, "/");

		if (length >= sizeof(name))
			return TREE_NONE;
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		while (*path == '/')
			path++;
		node = tree_find_file(tree, node, name);
	}
	return node != TREE_NONE && tree->nodes[node].kind == TREE_DIR ? node : TREE_NONE;
}

size_t tree_find_dir(const struct tree *tree, const char *name)
{
	for (size_t i = 0; i < tree->zone_count; i++) {
		const struct tree_zone *zone = &tree->zones[i];

		if (strcmp(tree->nodes[zone->dir].name, name) == 0 ||
		    (!zone->mmio && strcmp(tree->host->zones[zone->host_zone].key, name) == 0))
			return zone->dir;
	}
	return find_path(tree, name);
}

int tree_zone_set(struct tree *tree, size_t dir, bool present)
{
	size_t zone = tree_node(tree, dir)->zone;

	if (zone == TREE_NONE || tree->zones[zone].dir != dir)
		return -EINVAL;
	if (tree->zones[zone].present == present)
		return -EALREADY;
	for (size_t i = zone; i < tree->zone_count; i++) {
		struct tree_zone *other = &tree->zones[i];

		if (i != zone && other->parent != zone)
			continue;
		if (other->present && !present)
			other->incarnation++;
		other->present = present;
	}
	return 0;
}

size_t tree_format(const struct tree *tree, size_t node, const struct model *model,
		   char text[TREE_TEXT_SIZE])
{
	const struct tree_node *file = tree_node(tree, node);
	int length;

	if (file->kind == TREE_ENERGY)
		length = snprintf(text, TREE_TEXT_SIZE, "%" PRIu64 "\n",
				  model_counter(model, file->model_zone).raw_uj);
	else
		length = snprintf(text, TREE_TEXT_SIZE, "%s", file->text);
	assert(length >= 0 && length < TREE_TEXT_SIZE);
	return (size_t)length;
}
