/* heritage.h and fs_memory.h: what one version finds of what another has left. */
#include "common/cleanup.h"
#include "fusefs/fs_memory.h"
#include "fusefs/fuse_wire.h"
#include "fusefs/heritage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define MORE	    (1U << 20) /* more of everything than a real memory has of anything */

/* Two versions of a program: one has reordered its members, dropped some and added others. */
struct row {
	uint64_t told[2];
	uint32_t number;
};

struct older {
	struct heritage heritage;
	uint64_t dropped;
	char text[8];
	struct row rows[100];
};

struct row_now {
	uint32_t added;
	uint32_t number;
	uint64_t told[3];
};

struct newer {
	struct heritage heritage;
	struct row_now rows[90];
	char text[16];
	uint64_t added;
	char sparse[MORE];
};

static const struct heritage_column older_columns[] = {
    {"dropped", offsetof(struct older, dropped), 8, 1, 0, 1, 0, 0},
    {"text", offsetof(struct older, text), 8, 1, 0, 1, 0, 0},
    {"told", offsetof(struct older, rows[0].told), 8, 100, sizeof(struct row), 2, 8, 0},
    {"number", offsetof(struct older, rows[0].number), 4, 100, sizeof(struct row), 1, 0, 0},
};

static const struct heritage_column newer_columns[] = {
    {"number", offsetof(struct newer, rows[0].number), 4, 90, sizeof(struct row_now), 1, 0, 0},
    {"told", offsetof(struct newer, rows[0].told), 8, 90, sizeof(struct row_now), 3, 8, 0},
    {"added", offsetof(struct newer, added), 8, 1, 0, 1, 0, 0},
    {"text", offsetof(struct newer, text), 16, 1, 0, 1, 0, 0},
    {"sparse", offsetof(struct newer, sparse), MORE, 1, 0, 1, 0, 0},
};

static const struct heritage_layout older_layout = {sizeof(struct older), COUNT(older_columns),
						    older_columns};
static const struct heritage_layout newer_layout = {sizeof(struct newer), COUNT(newer_columns),
						    newer_columns};

static void test_what_both_know_is_copied(void **state)
{
	cleanup_heritage struct heritage_mapping from = {.heritage = NULL};
	cleanup_heritage struct heritage_mapping to = {.heritage = NULL};
	cleanup_fd int from_fd = -1;
	cleanup_fd int to_fd = -1;
	struct older *older;
	struct newer *newer;

	(void)state;
	assert_int_equal(heritage_create(&older_layout, &from_fd, &from), 0);
	assert_int_equal(heritage_create(&newer_layout, &to_fd, &to), 0);
	assert_true(heritage_matches(&from, &older_layout));
	assert_false(heritage_matches(&from, &newer_layout));
	older = (struct older *)from.heritage;
	newer = (struct newer *)to.heritage;
	older->heritage.epoch = 6;
	older->heritage.reign = 7;
	older->heritage.mount_device = 8;
	older->dropped = 1;
	memcpy(older->text, "12345678", 8);
	for (uint32_t i = 0; i < 100; i++)
		older->rows[i] = (struct row){.told = {1000 + i, 2000 + i}, .number = i};
	heritage_copy(&from, &to);
	assert_int_equal(newer->heritage.epoch, 7);
	assert_int_equal(newer->heritage.reign, 7);
	assert_int_equal(newer->heritage.mount_device, 8);
	assert_memory_equal(newer->text, "12345678\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(newer->added, 0);
	for (uint32_t i = 0; i < 90; i++) {
		assert_int_equal(newer->rows[i].number, i);
		assert_int_equal(newer->rows[i].told[0], 1000 + i);
		assert_int_equal(newer->rows[i].told[1], 2000 + i);
		assert_int_equal(newer->rows[i].told[2], 0);
		assert_int_equal(newer->rows[i].added, 0);
	}
	/* And back, as a downgrade does. */
	memset(older->rows, 0, sizeof(older->rows));
	heritage_copy(&to, &from);
	assert_int_equal(older->heritage.epoch, 8);
	assert_int_equal(older->rows[89].told[1], 2089);
	assert_int_equal(older->rows[90].told[1], 0);
}

/* A process that took over the worker may have written anything there. */
static void test_description_is_not_trusted(void **state)
{
	static const struct heritage_column evil[] = {
	    {"text", 0, 16, 1, 0, 1, 0, 0},
	    {"text", sizeof(struct older) - 15, 16, 1, 0, 1, 0, 0},
	    {"text", UINT64_MAX - 7, 16, 1, 0, 1, 0, 0},
	    {"text", sizeof(struct heritage), 16, 2, UINT32_MAX, 1, 0, 0},
	    {"text", sizeof(struct heritage), 16, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
	     0},
	    {"text", sizeof(struct heritage), 16, 1, 0, 2, UINT32_MAX, 0},
	    {"text", sizeof(struct heritage), 16, 0, 0, 1, 0, 0},
	    {"text", sizeof(struct heritage), 16, 1, 0, 0, 0, 0},
	};
	char zero[16] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(evil); i++) {
		cleanup_heritage struct heritage_mapping from = {.heritage = NULL};
		cleanup_heritage struct heritage_mapping to = {.heritage = NULL};
		cleanup_fd int from_fd = -1;
		cleanup_fd int to_fd = -1;

		assert_int_equal(heritage_create(&older_layout, &from_fd, &from), 0);
		assert_int_equal(heritage_create(&newer_layout, &to_fd, &to), 0);
		memset((char *)from.heritage + sizeof(struct heritage), 'x',
		       sizeof(struct older) - sizeof(struct heritage));
		from.heritage->columns[0] = evil[i];
		from.heritage->column_count = UINT32_MAX;
		memset(from.heritage->columns + 1, 0, sizeof(evil[0]) * (HERITAGE_COLUMN_MAX - 1));
		heritage_copy(&from, &to);
		assert_memory_equal(((struct newer *)to.heritage)->text, zero, sizeof(zero));
	}
}

static void test_what_is_no_memory_of_ours(void **state)
{
	struct heritage_mapping mapping;
	cleanup_heritage struct heritage_mapping own = {.heritage = NULL};
	cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_fd int unsealed_fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cleanup_fd int own_fd = -1;

	(void)state;
	assert_int_equal(heritage_create(&older_layout, &own_fd, &own), 0);
	assert_int_equal(heritage_map(null_fd, &mapping), -EPROTO);
	assert_int_equal(heritage_map(-1, &mapping), -EPROTO);
	/* All right but that it could shrink under our feet. */
	assert_int_equal(ftruncate(unsealed_fd, sizeof(struct older)), 0);
	assert_int_equal(pwrite(unsealed_fd, own.heritage, sizeof(*own.heritage), 0),
			 sizeof(*own.heritage));
	assert_int_equal(heritage_map(unsealed_fd, &mapping), -EPROTO);
	assert_int_equal(ftruncate(own_fd, 1), -1);
	assert_int_equal(ftruncate(own_fd, 1 << 20), -1);

	assert_int_equal(heritage_map(own_fd, &mapping), 0);
	assert_int_equal(mapping.size, sizeof(struct older));
	heritage_unmap(&mapping);
	heritage_unmap(&mapping);
	own.heritage->version = HERITAGE_VERSION + 1;
	assert_int_equal(heritage_map(own_fd, &mapping), -EPROTO);
	own.heritage->version = HERITAGE_VERSION;
	own.heritage->magic[0] ^= 1;
	assert_int_equal(heritage_map(own_fd, &mapping), -EPROTO);
}

static off_t blocks(int fd)
{
	struct stat stat;

	assert_int_equal(fstat(fd, &stat), 0);
	return stat.st_blocks;
}

static struct fs_memory *served_memory(int *ret_fd, uint64_t *ret_node)
{
	/* Of 56 bytes, FUSE_INIT, and the major version of the protocol. */
	static const uint32_t opening[14] = {56, 26, [10] = 7};
	struct fs_memory *memory;
	struct uuid uuid = {.bytes = {1}};
	struct tree_node node;
	int slot;

	assert_int_equal(fs_memory_create(&memory, ret_fd, NULL), 0);
	memory->heritage.mount_device = 5;
	memory->granted = 3;
	memcpy(memory->init.bytes, opening, sizeof(opening));
	memcpy(memory->parked[7].bytes, "parked", 7);
	slot = tree_table_admit(&memory->trees, &uuid, (struct mono_time){1});
	assert_int_equal(slot, 0);
	memory->trees.trees[0].sockets[63][ZONE_DRAM] = (struct served){.value_uj = 77};
	memory->trees.trees[0].psys = (struct served){.value_uj = 88};
	node = tree_table_root(&memory->trees, 0);
	assert_int_equal(
	    vtree_lookup(&memory->trees.trees[0].shape, node.node, "wattport", &node.node), 0);
	assert_int_equal(
	    vtree_lookup(&memory->trees.trees[0].shape, node.node, "snapshot", &node.node), 0);
	*ret_node = tree_node_pack(node);
	for (int handle = 0; handle < 2; handle++) {
		assert_int_equal(
		    handle_table_open(&memory->handles, &memory->trees.trees[0], *ret_node, 10),
		    handle);
		handle_table_freeze(&memory->handles, (uint32_t)handle, 11, "frozen", 7);
	}
	return memory;
}

static void test_same_layout_is_used_as_it_is(void **state)
{
	struct heritage_mapping old;
	uint64_t node;
	int fd;
	struct fs_memory *memory = served_memory(&fd, &node);
	struct fs_memory *again;
	int same_fd = fd;

	(void)state;
	assert_int_equal(fs_memory_inherit(&same_fd, false, &again, &old, NULL), 0);
	assert_int_equal(same_fd, fd);
	assert_null(old.heritage);
	fs_memory_adopt(again, &old);
	assert_int_equal(again->heritage.epoch, 1);
	again->told_away = true;
	assert_true(memory->told_away);
	fs_memory_destroy(again);
	fs_memory_destroy(memory);
	(void)close(fd);
}

static struct fs_memory *copied(int *fd, bool copy)
{
	struct heritage_mapping old;
	struct fs_memory *memory;
	int before = *fd;

	assert_int_equal(fs_memory_inherit(fd, copy, &memory, &old, NULL), 0);
	assert_int_not_equal(*fd, before);
	assert_non_null(old.heritage);
	/* Nobody can take over what is not copied yet. */
	assert_int_equal(memory->heritage.mount_device, 0);
	fs_memory_adopt(memory, &old);
	assert_int_equal(fcntl(before, F_GETFD), -1);
	return memory;
}

static void test_another_layout_loses_nothing_of_worth(void **state)
{
	uint64_t node;
	int fd;
	struct fs_memory *memory = served_memory(&fd, &node);
	struct fs_memory *copy;
	off_t before = blocks(fd);
	size_t length;

	(void)state;
	copy = copied(&fd, true);
	assert_int_equal(copy->heritage.epoch, 2);
	assert_int_equal(copy->heritage.mount_device, 5);
	assert_int_equal(copy->granted, 3);
	assert_true(wire_is_opening(copy->init.bytes));
	assert_string_equal(copy->parked[7].bytes, "parked");
	assert_int_equal(copy->trees.trees[0].sockets[63][ZONE_DRAM].value_uj, 77);
	assert_int_equal(copy->trees.trees[0].psys.value_uj, 88);
	assert_true(tree_table_valid(&copy->trees, tree_node_unpack(node)));
	handle_table_recover(&copy->handles, &copy->trees);
	assert_int_equal(handle_table_node(&copy->handles, 0), node);
	assert_true(handle_table_frozen_for(&copy->handles, 1, 11));
	assert_string_equal(handle_table_text(&copy->handles, 1, &length), "frozen");
	assert_int_equal(copy->trees.trees[0].handle_count, 2);
	assert_int_equal(copy->trees.trees[0].page_count, 2);
	/* Of more than 50 MiB; what was not written is not copied. */
	assert_in_range(blocks(fd), before, before + (1 << 11));
	fs_memory_destroy(copy);
	fs_memory_destroy(memory);
	(void)close(fd);
}

/* A predecessor that had no texts, or had them elsewhere: the handles are good without. */
static void test_handles_without_texts(void **state)
{
	uint64_t node;
	int fd;
	struct fs_memory *memory = served_memory(&fd, &node);
	struct fs_memory *copy;
	size_t length;

	(void)state;
	for (uint32_t i = 0; i < memory->heritage.column_count; i++)
		if (strcmp(memory->heritage.columns[i].name, "handle.text") == 0 ||
		    strcmp(memory->heritage.columns[i].name, "tree.sockets") == 0)
			memory->heritage.columns[i].name[0] = 'X';
	/* One that is as large as ours, but of another kind: nothing may be written past its end.
	 */
	memory->trees.count = UINT32_MAX;
	memory->handles.count = UINT32_MAX;
	copy = copied(&fd, false);
	assert_int_equal(copy->heritage.epoch, 2);
	assert_int_equal(copy->trees.trees[0].shape.socket_count, 1);
	handle_table_recover(&copy->handles, &copy->trees);
	assert_int_equal(handle_table_node(&copy->handles, 1), node);
	(void)handle_table_text(&copy->handles, 1, &length);
	assert_int_equal(length, 0);
	assert_int_equal(copy->trees.trees[0].page_count, 2);
	assert_int_not_equal(copy->handles.handles[0].page, copy->handles.handles[1].page);
	handle_table_freeze(&copy->handles, 1, 12, "again", 6);
	fs_memory_destroy(copy);
	fs_memory_destroy(memory);
	(void)close(fd);
}

/*
 * The kernel holds these numbers over upgrades. Whoever changes one has every guest read another
 * file than it has open; there is no way but to keep them.
 */
static void test_node_ids_mean_the_same_for_ever(void **state)
{
	static const struct {
		const char *path;
		uint64_t id;
	} known[] = {
	    {"class/powercap/intel-rapl:1:0", UINT64_C(0x800c00c4)},
	    {"devices/virtual/powercap/intel-rapl/enabled", UINT64_C(0x800c200b)},
	    {"devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj", UINT64_C(0x800c801b)},
	    {"devices/virtual/powercap/intel-rapl/intel-rapl:1/intel-rapl:1:0/energy_uj",
	     UINT64_C(0x800c80cb)},
	    {"wattport/snapshot", UINT64_C(0x800e000b)},
	};
	static const struct vtree_shape shape = {.socket_count = 2, .dram = true};

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct tree_node node = {.slot = 3, .generation = 2, .node = vtree_root()};
		char path[128];
		char *cursor = path;
		char *name;

		(void)snprintf(path, sizeof(path), "%s", known[i].path);
		while ((name = strsep(&cursor, "/")) != NULL)
			assert_int_equal(vtree_lookup(&shape, node.node, name, &node.node), 0);
		assert_int_equal(tree_node_pack(node), known[i].id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_both_know_is_copied),
	    cmocka_unit_test(test_description_is_not_trusted),
	    cmocka_unit_test(test_what_is_no_memory_of_ours),
	    cmocka_unit_test(test_same_layout_is_used_as_it_is),
	    cmocka_unit_test(test_another_layout_loses_nothing_of_worth),
	    cmocka_unit_test(test_handles_without_texts),
	    cmocka_unit_test(test_node_ids_mean_the_same_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
