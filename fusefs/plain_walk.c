#include "fusefs/plain_walk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void plain_walk_begin(struct plain_walk *walk, const struct vtree_shape *shape, const char *top,
		      struct vtree_node node)
{
	*walk = (struct plain_walk){.shape = shape, .node = node};
	assert(strlen(top) < sizeof(walk->path));
	(void)snprintf(walk->path, sizeof(walk->path), "%s", top);
}

/* What was made of the description itself: it cannot lack a node of its own. */
static void plain_walk_arrive(struct plain_walk *walk)
{
	int status = vtree_attributes(walk->shape, walk->node, &walk->attributes);

	assert(status == 0);
	(void)status;
	if (!S_ISDIR(walk->attributes.mode))
		return;
	assert(walk->depth < PLAIN_WALK_DEPTH_MAX);
	walk->directories[walk->depth++] =
	    (struct plain_walk_directory){.node = walk->node, .length = strlen(walk->path)};
}

bool plain_walk_next(struct plain_walk *walk)
{
	if (!walk->begun) {
		walk->begun = true;
		plain_walk_arrive(walk);
		return true;
	}
	while (walk->depth > 0) {
		struct plain_walk_directory *directory = &walk->directories[walk->depth - 1];
		struct vtree_entry entry;
		size_t room = sizeof(walk->path) - directory->length;
		int length;

		if (vtree_list(walk->shape, directory->node, directory->next++, &entry) < 0) {
			walk->depth--;
			continue;
		}
		length = snprintf(walk->path + directory->length, room, "/%s", entry.name);
		assert(length > 0 && (size_t)length < room);
		(void)length;
		walk->node = entry.node;
		plain_walk_arrive(walk);
		return true;
	}
	return false;
}

void plain_walk_skip(struct plain_walk *walk)
{
	assert(S_ISDIR(walk->attributes.mode) && walk->depth > 0);
	walk->depth--;
}
