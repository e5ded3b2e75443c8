/* handle_table.h: quotas, frozen texts, and what a new worker finds. */
#include "fusefs/fs_memory.h"
#include "fusefs/handle_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOT "snapshot"

static int setup(void **state)
{
	struct fs_memory *memory;
	struct uuid uuid = {.bytes = {1}};
	int fd;

	if (fs_memory_create(&memory, &fd, NULL) < 0)
		return -1;
	(void)close(fd);
	(void)tree_table_admit(&memory->trees, &uuid, (struct mono_time){1});
	uuid.bytes[0] = 2;
	(void)tree_table_admit(&memory->trees, &uuid, (struct mono_time){1});
	*state = memory;
	return 0;
}

static int teardown(void **state)
{
	fs_memory_destroy(*state);
	return 0;
}

/* The number of a file below wattport/ in one of the two trees. */
static uint64_t file(const struct fs_memory *memory, uint32_t slot, const char *name)
{
	struct tree_node node = tree_table_root(&memory->trees, slot);

	assert_int_equal(
	    vtree_lookup(&memory->trees.trees[slot].shape, node.node, "wattport", &node.node), 0);
	assert_int_equal(
	    vtree_lookup(&memory->trees.trees[slot].shape, node.node, name, &node.node), 0);
	return tree_node_pack(node);
}

static int open_file(struct fs_memory *memory, uint32_t slot, const char *name, uint64_t unique)
{
	return handle_table_open(&memory->handles, &memory->trees.trees[slot],
				 file(memory, slot, name), unique);
}

static void test_frozen_text(void **state)
{
	struct fs_memory *memory = *state;
	struct handle_table *handles = &memory->handles;
	int handle = open_file(memory, 0, "uuid", 2);
	size_t length = 99;

	assert_true(handle >= 0);
	assert_int_equal(handle_table_node(handles, (uint64_t)handle), file(memory, 0, "uuid"));
	(void)handle_table_text(handles, (uint32_t)handle, &length);
	assert_int_equal(length, 0);
	handle_table_freeze(handles, (uint32_t)handle, 7, "one\n", 4);
	assert_true(handle_table_frozen_for(handles, (uint32_t)handle, 7));
	assert_false(handle_table_frozen_for(handles, (uint32_t)handle, 8));
	handle_table_freeze(handles, (uint32_t)handle, 8, "two", 3);
	assert_memory_equal(handle_table_text(handles, (uint32_t)handle, &length), "two", 3);
	assert_int_equal(length, 3);
	handle_table_close(handles, &memory->trees.trees[0], (uint32_t)handle);
	assert_int_equal(handle_table_node(handles, (uint64_t)handle), 0);
	/* A handle that is opened again knows nothing of the former text. */
	assert_int_equal(open_file(memory, 0, "uuid", 4), handle);
	(void)handle_table_text(handles, (uint32_t)handle, &length);
	assert_int_equal(length, 0);
}

static void test_numbers_that_are_no_handles(void **state)
{
	struct fs_memory *memory = *state;

	assert_int_equal(handle_table_node(&memory->handles, 0), 0);
	assert_int_equal(handle_table_node(&memory->handles, HANDLE_MAX), 0);
	assert_int_equal(handle_table_node(&memory->handles, UINT64_MAX), 0);
}

static void test_large_text(void **state)
{
	struct fs_memory *memory = *state;
	char text[VTREE_CONTENT_SIZE];
	int first = open_file(memory, 0, SNAPSHOT, 2);
	int second = open_file(memory, 1, SNAPSHOT, 4);
	size_t length;

	assert_true(first >= 0 && second >= 0);
	memset(text, 'a', sizeof(text));
	handle_table_freeze(&memory->handles, (uint32_t)first, 1, text, sizeof(text));
	memset(text, 'b', sizeof(text));
	handle_table_freeze(&memory->handles, (uint32_t)second, 2, text, sizeof(text));
	assert_int_equal(handle_table_text(&memory->handles, (uint32_t)first, &length)[4095], 'a');
	assert_int_equal(length, VTREE_CONTENT_SIZE);
}

static void test_quotas(void **state)
{
	struct fs_memory *memory = *state;

	for (uint64_t i = 0; i < HANDLE_PAGE_TREE_MAX; i++)
		assert_true(open_file(memory, 0, SNAPSHOT, i) >= 0);
	assert_int_equal(open_file(memory, 0, SNAPSHOT, 999), -EMFILE);
	for (uint64_t i = HANDLE_PAGE_TREE_MAX; i < HANDLE_TREE_MAX; i++)
		assert_true(open_file(memory, 0, "uuid", i) >= 0);
	assert_int_equal(open_file(memory, 0, "uuid", 999), -EMFILE);
	/* The neighbour is not touched by that. */
	assert_true(open_file(memory, 1, SNAPSHOT, 999) >= 0);
	assert_true(open_file(memory, 1, "uuid", 999) >= 0);
	handle_table_close(&memory->handles, &memory->trees.trees[0], 0);
	assert_int_equal(open_file(memory, 0, SNAPSHOT, 1000), 0);
}

static void test_full_table(void **state)
{
	struct fs_memory *memory = *state;

	for (uint32_t i = 0; i < HANDLE_MAX; i++) {
		/* As if others had taken them. */
		memory->trees.trees[0].handle_count = 0;
		assert_int_equal(open_file(memory, 0, "uuid", i), i);
	}
	memory->trees.trees[0].handle_count = 0;
	assert_int_equal(open_file(memory, 0, "uuid", 1), -ENFILE);
	assert_int_equal(memory->trees.trees[0].handle_count, 0);
	handle_table_close(&memory->handles, &memory->trees.trees[0], 77);
	memory->trees.trees[0].handle_count = 0;
	assert_int_equal(open_file(memory, 0, "uuid", 1), 77);
}

static void test_request_that_comes_again(void **state)
{
	struct fs_memory *memory = *state;
	int handle = open_file(memory, 0, "uuid", 42);
	uint64_t node = file(memory, 0, "uuid");

	assert_int_equal(handle_table_opened(&memory->handles, node, 42), handle);
	assert_int_equal(handle_table_opened(&memory->handles, node, 43), -ENOENT);
	assert_int_equal(handle_table_opened(&memory->handles, file(memory, 1, "uuid"), 42),
			 -ENOENT);
}

/* A worker was killed with the counts wrong, a page taken for nobody, and a tree gone. */
static void test_recover(void **state)
{
	struct fs_memory *memory = *state;
	int orphan = open_file(memory, 1, "uuid", 2);
	struct uuid other = {.bytes = {3}};

	assert_true(open_file(memory, 0, SNAPSHOT, 4) >= 0);
	assert_true(open_file(memory, 0, "uuid", 6) >= 0);
	memory->trees.trees[0].handle_count = 500;
	memory->trees.trees[0].page_count = 0;
	memory->handles.pages_used[100] = true;
	memory->trees.keys[1].used = false;
	handle_table_recover(&memory->handles, &memory->trees);
	assert_int_equal(memory->trees.trees[0].handle_count, 2);
	assert_int_equal(memory->trees.trees[0].page_count, 1);
	assert_false(memory->handles.pages_used[100]);
	assert_int_equal(handle_table_node(&memory->handles, (uint64_t)orphan), 0);
	assert_int_equal(tree_table_find(&memory->trees, &other), -ENOENT);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_frozen_text), CASE(test_numbers_that_are_no_handles),
	    CASE(test_large_text),  CASE(test_quotas),
	    CASE(test_full_table),  CASE(test_request_that_comes_again),
	    CASE(test_recover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
