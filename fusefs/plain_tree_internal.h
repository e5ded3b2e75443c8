/*
 * plain_tree_internal.h: what plain_tree.c (values into files) and plain_tree_make.c (the
 * directories and files themselves) share.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_TREE_INTERNAL_H
#define WATTPORT_FUSEFS_PLAIN_TREE_INTERNAL_H

#include "fusefs/plain_tree.h"

/* vtree_content(), with no line on two pages: rule 6 of plain_tree.h. */
int plain_tree_text(const struct vtree_values *values, struct vtree_node node,
		    char ret_text[static VTREE_CONTENT_SIZE]);

/*
 * Removes directories of zones that changed their meaning: psys moves up when sockets are added,
 * and what its counter told says nothing of the package that is there now.
 */
int plain_tree_discard(int root_fd, const char *top, const struct vtree_values *values);

/* Adds what the tree lacks, mends modes and links, removes what is not part of it. */
int plain_tree_sync(int root_fd, const char *top, const struct vtree_values *values);

#endif
