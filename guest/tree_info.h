/*
 * tree_info.h: what the host says about its own figures.
 *
 * Beside the powercap files the tree has a directory wattport/ (common/vtree.h). The agent reads
 * from it how old the data is, whether it is measured or computed, and which view of it we get.
 * No state; any thread.
 */
#ifndef WATTPORT_GUEST_TREE_INFO_H
#define WATTPORT_GUEST_TREE_INFO_H

#include "common/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define TREE_INFO_TEXT_SIZE 64

struct tree_info {
	uint64_t age_ms;		  /* of the host's last sample */
	bool exact;			  /* else isolated */
	bool estimate;			  /* computed by a model, not measured */
	char source[TREE_INFO_TEXT_SIZE]; /* the host's energy source: "powercap" */
	char uuid[UUID_TEXT_SIZE];	  /* of this machine; empty: not told */
};

/* Reads them from the tree's top directory. -ENOENT: not a Wattport tree; -EBADMSG: garbage. */
int tree_info_read(int tree_fd, struct tree_info *ret_info);

/* Whether figures of that source are computed: the source says so, or we know its name. */
bool tree_info_is_estimate(const char *source);

#endif
