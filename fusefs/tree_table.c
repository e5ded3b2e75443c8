#include "fusefs/tree_table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SLOT_SHIFT	 VTREE_NODE_BITS
#define SLOT_BITS	 12
#define GENERATION_SHIFT (SLOT_SHIFT + SLOT_BITS)
#define INODE_BITS	 48

/* 45 bits: clients that keep 48 bits of an inode number (QEMU's 9p) keep all of it. */
static_assert(TREE_MAX == 1 << SLOT_BITS && GENERATION_SHIFT + 16 <= 48, "the parts fit");

uint64_t tree_node_pack(struct tree_node node)
{
	assert(node.slot < TREE_MAX);
	assert(node.generation != 0);
	return node.node.id | (uint64_t)node.slot << SLOT_SHIFT |
	       (uint64_t)node.generation << GENERATION_SHIFT;
}

struct tree_node tree_node_unpack(uint64_t id)
{
	uint64_t generation = id >> GENERATION_SHIFT;

	return (struct tree_node){
	    .slot = (uint32_t)(id >> SLOT_SHIFT & (TREE_MAX - 1)),
	    .generation = generation <= UINT16_MAX ? (uint16_t)generation : 0,
	    .node = {.id = id & ((UINT64_C(1) << VTREE_NODE_BITS) - 1)},
	};
}

uint64_t tree_hash(const struct uuid *uuid)
{
	/* FNV-1a, of 64 bits. */
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		hash = (hash ^ uuid->bytes[i]) * UINT64_C(0x100000001b3);
	return hash >> 2;
}

uint64_t tree_inode(uint64_t hash, struct vtree_node node)
{
	return node.id | (hash & ((UINT64_C(1) << (INODE_BITS - VTREE_NODE_BITS)) - 1))
			     << VTREE_NODE_BITS;
}

int tree_table_find(const struct tree_table *table, const struct uuid *uuid)
{
	for (uint32_t slot = 0; slot < table->count; slot++)
		if (table->keys[slot].used && uuid_equal(&table->keys[slot].uuid, uuid))
			return (int)slot;
	return -ENOENT;
}

/*
 * Whether the one tree can better be spared than the other: one that never had an account told
 * nothing that would have to go on, and made-up uuids must not drive out those that did.
 */
static bool tree_is_spared(const struct tree *one, const struct tree *other)
{
	bool one_told = one->updated_ns != 0, other_told = other->updated_ns != 0;

	return one_told != other_told ? other_told : one->used_ns < other->used_ns;
}

/* A slot that was never used, else the one that can best be spared. */
static int tree_table_choose(const struct tree_table *table)
{
	int oldest = -ENOSPC;

	if (table->count < TREE_MAX)
		return (int)table->count;
	for (uint32_t slot = 0; slot < TREE_MAX; slot++) {
		if (!table->keys[slot].used)
			return (int)slot;
		if (table->keys[slot].listed || table->trees[slot].handle_count > 0)
			continue;
		if (oldest < 0 || tree_is_spared(&table->trees[slot], &table->trees[oldest]))
			oldest = (int)slot;
	}
	return oldest;
}

int tree_table_admit(struct tree_table *table, const struct uuid *uuid, struct mono_time now)
{
	int slot = tree_table_find(table, uuid);
	struct tree_key *key;

	if (slot < 0)
		slot = tree_table_choose(table);
	if (slot < 0)
		return slot;
	key = &table->keys[slot];
	table->trees[slot].used_ns = now.ns;
	if (key->used && uuid_equal(&key->uuid, uuid))
		return slot;
	/* `used` says that the slot is whole: it goes first and comes last. */
	__atomic_store_n(&key->used, false, __ATOMIC_SEQ_CST);
	memset(&table->trees[slot], 0, sizeof(table->trees[slot]));
	table->trees[slot].shape.socket_count = 1;
	table->trees[slot].used_ns = now.ns;
	table->trees[slot].since_ns = now.ns;
	key->uuid = *uuid;
	key->listed = false;
	key->generation = key->generation == UINT16_MAX ? 1 : (uint16_t)(key->generation + 1);
	__atomic_store_n(&key->used, true, __ATOMIC_SEQ_CST);
	if ((uint32_t)slot == table->count)
		__atomic_store_n(&table->count, (uint32_t)slot + 1, __ATOMIC_SEQ_CST);
	return slot;
}

bool tree_table_valid(const struct tree_table *table, struct tree_node node)
{
	return node.slot < table->count && table->keys[node.slot].used && node.generation != 0 &&
	       table->keys[node.slot].generation == node.generation;
}

struct tree_node tree_table_root(const struct tree_table *table, uint32_t slot)
{
	assert(slot < table->count && table->keys[slot].used);
	return (struct tree_node){
	    .slot = slot, .generation = table->keys[slot].generation, .node = vtree_root()};
}
