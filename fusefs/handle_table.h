/*
 * handle_table.h: open files: what each one reads at the moment.
 *
 * A read at offset 0 freezes a file's content for the handle; reads further on are served from
 * that, so that nobody sees half of one sample and half of the next. Lives in the memory that
 * outlives a worker (fs_memory.h): no pointers, and changed so that a worker may be killed between
 * any two instructions. One worker, one thread.
 *
 * Each tree has a quota, so that one hostile guest cannot take the handles of the others.
 */
#ifndef WATTPORT_FUSEFS_HANDLE_TABLE_H
#define WATTPORT_FUSEFS_HANDLE_TABLE_H

#include "common/vtree.h"
#include "fusefs/tree_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDLE_MAX	     65536
#define HANDLE_TREE_MAX	     512 /* of one tree: each of its 129 zones may be held open thrice */
#define HANDLE_INLINE_SIZE   120 /* longer texts (only a snapshot is longer) go to a page */
#define HANDLE_PAGE_MAX	     8192
#define HANDLE_PAGE_TREE_MAX 16 /* of one tree */

struct handle {
	uint64_t unique;      /* the request that opened it */
	uint64_t read_unique; /* the request that the frozen text was made for */
	uint32_t page;	      /* 1 + its page, or 0 */
	uint32_t length;      /* of the frozen text; 0: nothing read yet */
	char text[HANDLE_INLINE_SIZE];
};

struct handle_table {
	uint32_t count;		    /* handles from here on were never used */
	uint64_t nodes[HANDLE_MAX]; /* tree_node_pack(), or 0: free */
	bool pages_used[HANDLE_PAGE_MAX];
	uint32_t hint; /* where to look for a free one */
	uint32_t page_hint;
	struct handle handles[HANDLE_MAX];
	char pages[HANDLE_PAGE_MAX][VTREE_CONTENT_SIZE];
};

/*
 * Counts anew what each tree has open and frees pages that no handle has: what a killed worker may
 * have left half done. Called once by each worker.
 */
void handle_table_recover(struct handle_table *table, struct tree_table *trees);

/*
 * Opens a node for the request `unique`. Returns the handle; -EMFILE at the tree's quota; -ENFILE
 * when the table is full.
 */
int handle_table_open(struct handle_table *table, struct tree *tree, uint64_t node,
		      uint64_t unique);

/*
 * The handle that this request opened already, for a request that comes a second time because the
 * worker died before its answer; or -ENOENT. Looks at the whole table.
 */
int handle_table_opened(const struct handle_table *table, uint64_t node, uint64_t unique);

/* Frees a handle of that tree. */
void handle_table_close(struct handle_table *table, struct tree *tree, uint32_t handle);

/* The node that is open there, or 0: no such handle. */
uint64_t handle_table_node(const struct handle_table *table, uint64_t handle);

/* Keeps a text of at most VTREE_CONTENT_SIZE bytes, made for the request `unique`. */
void handle_table_freeze(struct handle_table *table, uint32_t handle, uint64_t unique,
			 const char *text, size_t length);

/*
 * Whether the frozen text was made for that request. A request that comes a second time, because
 * the worker died after its answer had left, must not make another: the reader may be in its midst.
 */
bool handle_table_frozen_for(const struct handle_table *table, uint32_t handle, uint64_t unique);

/* The frozen text, which lives until the next freeze or close; *ret_length is 0 if there is none.
 */
const char *handle_table_text(const struct handle_table *table, uint32_t handle,
			      size_t *ret_length);

#endif
