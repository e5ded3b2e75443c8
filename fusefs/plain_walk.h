/*
 * plain_walk.h: every entry of a tree in turn, with its path: directories before what is in them.
 *
 * A step of plain_tree.h, which makes, mends and reads files in this order. Pure; one thread.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_WALK_H
#define WATTPORT_FUSEFS_PLAIN_WALK_H

#include "common/vtree.h"

#include <stdbool.h>
#include <stddef.h>

#define PLAIN_WALK_DEPTH_MAX 8	 /* a DRAM zone lies five directories below the root */
#define PLAIN_WALK_PATH_SIZE 256 /* with the uuid in front: about 120 */

/* The caller's; its members are plain_walk.c's, but `path` and `node` are to be read. */
struct plain_walk {
	char path[PLAIN_WALK_PATH_SIZE]; /* of the entry */
	struct vtree_node node;
	struct vtree_attributes attributes;
	const struct vtree_shape *shape;
	size_t depth;
	bool begun;
	struct plain_walk_directory {
		struct vtree_node node;
		size_t next;   /* index of the entry that comes next */
		size_t length; /* of its path */
	} directories[PLAIN_WALK_DEPTH_MAX];
};

/* Begins at `node`, which is at the path `top`; the shape has to outlive the walk. */
void plain_walk_begin(struct plain_walk *walk, const struct vtree_shape *shape, const char *top,
		      struct vtree_node node);

/* The next entry, the first of all being `node` itself; false when there is none. */
bool plain_walk_next(struct plain_walk *walk);

/* What is in the directory that came last is left out. */
void plain_walk_skip(struct plain_walk *walk);

#endif
