/*
 * plain_trees.h: all trees of plain files: which there are, which are read, what they say.
 *
 * Between reading.h (the accounts) and plain_tree.h (one tree's files); plain.c brings the time. A
 * tree is there for every account of the ledger, also of machines that are off, and for machines
 * that libvirt's hook announces. A tree that has no account for PLAIN_ORPHAN_NS is removed: its
 * machine was never started, or its account has departed. While there is no ledger nothing is. One
 * thread.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_TREES_H
#define WATTPORT_FUSEFS_PLAIN_TREES_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/uuid.h"
#include "common/vtree.h"
#include "fusefs/plain_activity.h"

#include <stdbool.h>
#include <stdint.h>

struct plain_trees;
struct refresh; /* refresh.h */

/* The descriptors and the activity stay the caller's and outlive this. */
struct plain_trees_context {
	int runtime_fd;
	int root_fd; /* the directory of all trees, to be written to */
	struct plain_activity *activity;
	const struct clock *clock;
	uint64_t period_ns; /* of wattportd's samples */
	struct vtree_request zones;
};

/* Takes note of the trees that are there; what is in them is taken over with their accounts. */
int plain_trees_create(const struct plain_trees_context *context, struct mono_time now,
		       struct plain_trees **ret_trees, struct diag *diag);

/* The files stay. */
void plain_trees_destroy(struct plain_trees *trees);

/* A period is over: makes and removes trees by the ledger, and rewrites them all. */
void plain_trees_refresh(struct plain_trees *trees, struct mono_time now);

/* Makes the tree of a machine that is about to start, unless it is there. */
int plain_trees_make(struct plain_trees *trees, const struct uuid *uuid, uint32_t socket_count,
		     struct mono_time now, struct diag *diag);

/* A file was read: its tree is active from now on. */
void plain_trees_note(struct plain_trees *trees, struct plain_activity_key key,
		      struct mono_time now);

/* Whether any tree is active, and whether one of those is to be rewritten every PLAIN_STEP_NS. */
bool plain_trees_are_active(const struct plain_trees *trees);
bool plain_trees_are_hot(const struct plain_trees *trees, struct mono_time now);

/* Rewrites the active files: of all trees, or of the hot ones alone. */
void plain_trees_step(struct plain_trees *trees, bool all, struct mono_time now);

/* Asks for a sample, in the name of one of the active trees: it is taken for all machines. */
void plain_trees_ask(struct plain_trees *trees, struct refresh *refresh, struct mono_time now);

/* Listens again to the files that were read; trees that nobody reads any more are active no more.
 */
void plain_trees_listen(struct plain_trees *trees, struct mono_time now);

#endif
