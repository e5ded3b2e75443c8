/*
 * tree_check.h: whether a tree of Wattport's is at a directory.
 *
 * Asked before a share is laid over /sys, and when one that was laid can no longer be read. Reads
 * the share, so that it waits as long as the host lets it. One thread.
 */
#ifndef WATTPORT_GUEST_TREE_CHECK_H
#define WATTPORT_GUEST_TREE_CHECK_H

#include "common/diag.h"

/*
 * 0: a tree, whole. -ELOOP: a tree whose symbolic links cannot be followed (tree_links.h). Else
 * *diag says what to do: -ENOTCONN it does not answer, -EACCES the host refuses it, -EBADMSG it
 * answers but is no tree.
 */
int tree_check(const char *at, struct diag *diag);

#endif
