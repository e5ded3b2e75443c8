/*
 * tree_table.h: which tree a number means: one slot a machine, and what was told of its counters.
 *
 * Lives in the memory that outlives a worker (fs_memory.h), so it holds no pointers and is changed
 * so that a worker may be killed between any two instructions. The kernel's node ids name a slot
 * and its generation; a slot that was given to another machine makes the old ids stale. One worker,
 * one thread.
 *
 * A slot is for any machine that somebody looked up, also for one that has no account yet, because
 * a machine's tree is opened before the machine runs. When all are taken, the slot goes that was
 * not used for the longest time, of a machine that is not in the ledger and has no file open; of
 * one that never had an account before all others.
 */
#ifndef WATTPORT_FUSEFS_TREE_TABLE_H
#define WATTPORT_FUSEFS_TREE_TABLE_H

#include "common/clock.h"
#include "common/served.h"
#include "common/uuid.h"
#include "common/vtree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_MAX 4096 /* as many as the ledger has accounts */

struct tree {
	struct vtree_shape shape; /* the last one known */
	uint64_t used_ns;	  /* struct mono_time of the last operation on it */
	uint64_t updated_ns;	  /* of its account, the last one known; 0: none yet */
	uint64_t since_ns;	  /* where its time begins: opened, or an earlier sample */
	uint32_t generation;	  /* likewise */
	size_t ledger_slot;	  /* where its account was found last */
	uint32_t handle_count;
	uint32_t page_count;
	struct served sockets[VTREE_SOCKET_MAX][ZONE_SOCKET_KIND_COUNT]; /* by enum zone_kind */
	struct served psys;
};

/* Apart from the rest, so that a search touches few pages. */
struct tree_key {
	struct uuid uuid;
	uint16_t generation; /* never 0 once the slot was used */
	bool used;
	bool listed; /* it has an account */
};

struct tree_table {
	uint32_t count; /* slots from here on were never used */
	struct tree_key keys[TREE_MAX];
	struct tree trees[TREE_MAX];
};

/* A node of one tree. */
struct tree_node {
	uint32_t slot;
	uint16_t generation;
	struct vtree_node node;
};

/* The number by which the kernel knows a node: never 0, never the mount's own root (1). */
uint64_t tree_node_pack(struct tree_node node);
struct tree_node tree_node_unpack(uint64_t id);

/* A number that the machine's uuid alone decides; below 2^62. */
uint64_t tree_hash(const struct uuid *uuid);

/*
 * A number for the node among all others, for stat(2): of 48 bits, as many as QEMU's 9p hands on.
 * It depends on the machine's uuid (its hash, of which a part is taken) and the node, on nothing
 * else: the same after every restart, and no word about other machines.
 */
uint64_t tree_inode(uint64_t hash, struct vtree_node node);

/* The slot of that machine, or -ENOENT. */
int tree_table_find(const struct tree_table *table, const struct uuid *uuid);

/* The same, taken for it when it has none; -ENOSPC when none can be spared. */
int tree_table_admit(struct tree_table *table, const struct uuid *uuid, struct mono_time now);

/* Whether the slot still is what the node was made for. */
bool tree_table_valid(const struct tree_table *table, struct tree_node node);

/* The root of the tree in a used slot. */
struct tree_node tree_table_root(const struct tree_table *table, uint32_t slot);

#endif
