/* tree_table.h: numbers of nodes there and back, and whose slot goes when all are taken. */
#include "fusefs/tree_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct uuid uuid_of(uint32_t number)
{
	struct uuid uuid = {.bytes = {1}};

	memcpy(uuid.bytes + 4, &number, sizeof(number));
	return uuid;
}

static struct mono_time at(uint64_t ns)
{
	return (struct mono_time){.ns = ns};
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct tree_table));
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int admit(struct tree_table *table, uint32_t number, uint64_t ns)
{
	struct uuid uuid = uuid_of(number);

	return tree_table_admit(table, &uuid, at(ns));
}

static void test_numbers_of_nodes(void **state)
{
	struct tree_node ends[] = {
	    {.slot = 0, .generation = 1, .node = vtree_root()},
	    {.slot = TREE_MAX - 1,
	     .generation = UINT16_MAX,
	     .node = {.id = (UINT64_C(1) << VTREE_NODE_BITS) - 1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		uint64_t id = tree_node_pack(ends[i]);
		struct tree_node back = tree_node_unpack(id);

		assert_true(id > 1);
		assert_true(id >> 48 == 0);
		assert_int_equal(back.slot, ends[i].slot);
		assert_int_equal(back.generation, ends[i].generation);
		assert_int_equal(back.node.id, ends[i].node.id);
	}
}

static void test_same_machine_same_slot(void **state)
{
	struct tree_table *table = *state;
	struct uuid stranger = uuid_of(3);
	int first = admit(table, 1, 10);
	int second = admit(table, 2, 20);

	assert_true(first >= 0 && second >= 0 && first != second);
	assert_int_equal(admit(table, 1, 30), first);
	assert_int_equal(table->trees[first].used_ns, 30);
	assert_int_equal(table->trees[first].shape.socket_count, 1);
	assert_int_equal(tree_table_find(table, &stranger), -ENOENT);
}

static void test_made_up_nodes(void **state)
{
	struct tree_table *table = *state;
	struct tree_node root;

	assert_int_equal(admit(table, 1, 10), 0);
	root = tree_table_root(table, 0);
	assert_true(tree_table_valid(table, root));
	for (uint64_t id = 0; id < 100000; id++)
		assert_false(tree_table_valid(table, tree_node_unpack(id)));
	for (unsigned bit = VTREE_NODE_BITS; bit < 64; bit++)
		assert_false(tree_table_valid(
		    table, tree_node_unpack(tree_node_pack(root) ^ UINT64_C(1) << bit)));
}

static void test_full_table(void **state)
{
	struct tree_table *table = *state;
	struct tree_node old;

	for (uint32_t i = 0; i < TREE_MAX; i++) {
		assert_int_equal(admit(table, i, 1000 + i), i);
		table->keys[i].listed = true;
	}
	assert_int_equal(admit(table, TREE_MAX, 1), -ENOSPC);
	/* 5 has an open file, 7 is older than 9; only these three are not in the ledger. */
	table->keys[5].listed = false;
	table->trees[5].handle_count = 1;
	table->keys[9].listed = false;
	table->keys[7].listed = false;
	old = tree_table_root(table, 7);
	table->trees[7].sockets[3][ZONE_PACKAGE].value_uj = 99;
	assert_int_equal(admit(table, TREE_MAX, 1), 7);
	assert_false(tree_table_valid(table, old));
	assert_true(tree_table_valid(table, tree_table_root(table, 7)));
	/* Nothing of the former machine is left. */
	assert_int_equal(table->trees[7].sockets[3][ZONE_PACKAGE].value_uj, 0);
	assert_false(table->keys[7].listed);
}

/* What never had an account told nothing: it goes before what did, however old that is. */
static void test_made_up_machines_go_first(void **state)
{
	struct tree_table *table = *state;

	for (uint32_t i = 0; i < TREE_MAX; i++) {
		assert_int_equal(admit(table, i, 1000 + i), i);
		table->trees[i].updated_ns = 1;
	}
	table->trees[77].updated_ns = 0;
	assert_int_equal(admit(table, TREE_MAX, 9000), 77);
	assert_int_equal(admit(table, TREE_MAX + 1, 9001), 77);
	table->trees[77].updated_ns = 1;
	assert_int_equal(admit(table, TREE_MAX + 2, 9002), 0);
}

/* Different for all nodes of all machines, the same for ever, and no bit of the slot in it. */
static void test_numbers_for_stat(void **state)
{
	struct uuid first = uuid_of(1), second = uuid_of(2);
	struct vtree_node last = {.id = (UINT64_C(1) << VTREE_NODE_BITS) - 1};

	(void)state;
	assert_true(tree_hash(&first) < UINT64_C(1) << 62);
	assert_true(tree_hash(&first) != tree_hash(&second));
	assert_true(tree_inode(UINT64_MAX, last) >> 48 == 0);
	assert_true(tree_inode(tree_hash(&first), vtree_root()) !=
		    tree_inode(tree_hash(&second), vtree_root()));
	assert_true(tree_inode(tree_hash(&first), vtree_root()) !=
		    tree_inode(tree_hash(&first), last));
	assert_true(tree_inode(tree_hash(&first), vtree_root()) > 1);
}

static void test_generation_is_never_0(void **state)
{
	struct tree_table *table = *state;
	struct uuid uuid = uuid_of(1);

	assert_int_equal(tree_table_admit(table, &uuid, at(0)), 0);
	table->keys[0].generation = UINT16_MAX;
	/* The slot changes hands. */
	table->keys[0].used = false;
	assert_int_equal(tree_table_find(table, &uuid), -ENOENT);
	for (uint32_t i = 1; i < TREE_MAX; i++)
		assert_int_equal(admit(table, i + 1, 1), i);
	assert_int_equal(admit(table, TREE_MAX + 1, 1), 0);
	assert_int_equal(table->keys[0].generation, 1);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_of_nodes),
	    CASE(test_same_machine_same_slot),
	    CASE(test_made_up_nodes),
	    CASE(test_full_table),
	    CASE(test_made_up_machines_go_first),
	    cmocka_unit_test(test_numbers_for_stat),
	    CASE(test_generation_is_never_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
