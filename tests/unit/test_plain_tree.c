/* plain_tree.h: a tree on disk, made, taken over, rewritten in place. Any file system will do for
 * it, but for how reads and writes meet (tests/integration/test_plainfs.py). */
#include "common/file.h"
#include "fusefs/plain_tree.h"
#include "fusefs/plain_walk.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM     "00010203-0405-0607-0809-0a0b0c0d0e0f"
#define ZONES  VM "/devices/virtual/powercap/intel-rapl/"
#define ENERGY ZONES "intel-rapl:0/energy_uj"
#define MS     CLOCK_NS_PER_MS

static const struct mono_time start = {1000 * MS};

static struct mono_time after_ms(uint64_t ms)
{
	return (struct mono_time){start.ns + ms * MS};
}

/* A machine with one socket and DRAM that has used so much. */
static struct vtree_values values_of(uint64_t energy_uj)
{
	struct vtree_values values = {.shape = {.socket_count = 1, .dram = true},
				      .generation = 1,
				      .age_ms = 7,
				      .time_ns = 123,
				      .source = "powercap"};

	for (size_t i = 0; i < sizeof(values.uuid.bytes); i++)
		values.uuid.bytes[i] = (uint8_t)i;
	for (uint32_t i = 0; i < VTREE_SOCKET_MAX; i++) {
		values.socket_uj[i][ZONE_PACKAGE] = energy_uj + i;
		values.socket_uj[i][ZONE_DRAM] = energy_uj / 2 + i;
	}
	values.psys_uj = energy_uj * 2;
	return values;
}

static struct plain_tree *open_tree(const struct tree *root, struct vtree_values *values,
				    struct mono_time now)
{
	struct plain_tree *tree;

	assert_int_equal(plain_tree_open(root->fd, values, now, &tree), 0);
	return tree;
}

static void check_text(const struct tree *root, const char *path, const char *wanted)
{
	char text[VTREE_CONTENT_SIZE + 1];
	size_t length;

	if (file_read_at(root->fd, path, text, sizeof(text), &length) < 0)
		fail_msg("%s cannot be read", path);
	assert_string_equal(text, wanted);
}

static ino_t inode_of(const struct tree *root, const char *path)
{
	struct stat status;

	assert_int_equal(fstatat(root->fd, path, &status, AT_SYMLINK_NOFOLLOW), 0);
	return status.st_ino;
}

static bool is_there(const struct tree *root, const char *path)
{
	return faccessat(root->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_file(const struct tree *root, const struct vtree_values *values,
		       const struct plain_walk *walk)
{
	char text[VTREE_CONTENT_SIZE + 1];
	int length = vtree_content(values, walk->node, text);

	assert_true(length > 0);
	text[length] = '\0';
	check_text(root, walk->path, text);
}

static void check_link(const struct tree *root, const struct plain_walk *walk)
{
	char wanted[VTREE_LINK_SIZE], there[VTREE_LINK_SIZE];
	int length = vtree_link(walk->shape, walk->node, wanted);

	assert_int_equal(readlinkat(root->fd, walk->path, there, sizeof(there)), length);
	assert_memory_equal(wanted, there, (size_t)length);
}

/* As many entries as are described, and no others. */
static void check_directory(const struct tree *root, const struct plain_walk *walk)
{
	DIR *directory = fdopendir(openat(root->fd, walk->path, O_RDONLY | O_DIRECTORY));
	const struct dirent *found;
	struct vtree_entry entry;
	size_t count = 0, wanted = 2;

	CHECK_POINTER(directory);
	while ((found = readdir(directory)) != NULL) // NOLINT(concurrency-mt-unsafe)
		count++;
	(void)closedir(directory);
	while (vtree_list(walk->shape, walk->node, wanted - 2, &entry) == 0)
		wanted++;
	assert_int_equal(count, wanted);
}

/* The whole tree, as vtree.h describes it. */
static void check_entries(const struct tree *root, const struct vtree_values *values)
{
	struct plain_walk walk;

	plain_walk_begin(&walk, &values->shape, VM, vtree_root());
	while (plain_walk_next(&walk)) {
		mode_t mode = walk.attributes.mode;
		struct stat status;

		assert_int_equal(fstatat(root->fd, walk.path, &status, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(status.st_mode, S_ISDIR(mode) ? mode | S_IWUSR : mode);
		if (S_ISDIR(mode))
			check_directory(root, &walk);
		else if (S_ISREG(mode))
			check_file(root, values, &walk);
		else
			check_link(root, &walk);
	}
}

static int setup(void **state)
{
	static struct tree root;

	(void)umask(022);
	tree_create(&root);
	*state = &root;
	return 0;
}

static int teardown(void **state)
{
	tree_remove(*state);
	return 0;
}

static void test_is_what_vtree_describes(void **state)
{
	static const struct vtree_shape shapes[] = {
	    {.socket_count = 1, .dram = true, .exact = true},
	    {.socket_count = 2, .dram = true},
	    {.socket_count = 12, .psys = true},
	};
	const struct tree *root = *state;

	/* Each over what the one before has left. */
	for (size_t i = 0; i < CHECK_COUNT(shapes); i++) {
		struct vtree_values values = values_of(5000);
		struct plain_tree *tree;

		values.shape = shapes[i];
		tree = open_tree(root, &values, start);
		assert_true(plain_tree_has(tree, &shapes[i]));
		/* What was told before it was taken over is not written again. */
		if (i == 0)
			check_entries(root, &values);
		assert_int_equal(plain_tree_update(tree, &values, after_ms(1), 0), 0);
		check_entries(root, &values);
		assert_false(is_there(root, PLAIN_TREE_STAGING));
		plain_tree_close(tree);
	}
}

static void test_changes_in_place_and_only_what_changed(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree = open_tree(root, &values, start);
	ino_t energy = inode_of(root, ENERGY), name = inode_of(root, ZONES "intel-rapl:0/name");
	int kept = openat(root->fd, ENERGY, O_RDONLY | O_CLOEXEC);
	struct stat before, after;
	char text[32];

	assert_int_equal(fstatat(root->fd, ZONES "intel-rapl:0/name", &before, 0), 0);
	values = values_of(123456);
	assert_int_equal(plain_tree_update(tree, &values, after_ms(1), 0), 0);
	check_text(root, ENERGY, "123456\n");
	assert_int_equal(inode_of(root, ENERGY), energy);
	assert_int_equal(pread(kept, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "123456\n", 7);
	assert_int_equal(inode_of(root, ZONES "intel-rapl:0/name"), name);
	assert_int_equal(fstatat(root->fd, ZONES "intel-rapl:0/name", &after, 0), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	/* Written through its own descriptor: its mode lets nobody write. */
	assert_int_equal(after.st_mode & 0777, 0444);
	assert_int_equal(fstatat(root->fd, ENERGY, &after, 0), 0);
	assert_int_equal(after.st_mode & 0777, 0444);
	(void)close(kept);
	plain_tree_close(tree);
}

static void test_counters_never_go_back_and_never_rest(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree = open_tree(root, &values, start);

	values = values_of(4000);
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, ENERGY, "5000\n");
	values = values_of(4000);
	assert_int_equal(plain_tree_update(tree, &values, after_ms(3), 0), 0);
	check_text(root, ENERGY, "5003\n");
	/* All that shows the counter shows the same. */
	assert_int_equal(values.socket_uj[0][ZONE_PACKAGE], 5003);
	check_text(root, VM "/wattport/snapshot", "t_ns 123\npackage-0 5003\ndram-0 2503\n");
	values = values_of(6000);
	assert_int_equal(plain_tree_update(tree, &values, after_ms(3), 0), 0);
	check_text(root, ENERGY, "6000\n");
	plain_tree_close(tree);
}

static void test_what_was_told_outlives_the_process(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(9000000);
	struct plain_tree *tree = open_tree(root, &values, start);
	ino_t energy = inode_of(root, ENERGY);

	plain_tree_close(tree);
	/* Its successor knows of less, and of another host's clock. */
	values = values_of(10);
	tree = open_tree(root, &values, (struct mono_time){5});
	check_text(root, ENERGY, "9000000\n");
	assert_int_equal(inode_of(root, ENERGY), energy);
	assert_int_equal(values.socket_uj[0][ZONE_PACKAGE], 9000000);
	values = values_of(10);
	assert_int_equal(plain_tree_update(tree, &values, (struct mono_time){5 + 2 * MS}, 0), 0);
	check_text(root, ENERGY, "9000002\n");
	check_text(root, ZONES "intel-rapl:0/intel-rapl:0:0/energy_uj", "4500002\n");
	plain_tree_close(tree);
}

/* Isolated, it counts from the beginning of the process that tells it. */
static void test_time_goes_on(void **state)
{
	static const struct timespec before[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree;

	values.time_ns = 60 * CLOCK_NS_PER_SECOND;
	tree = open_tree(root, &values, start);
	check_text(root, VM "/wattport/snapshot",
		   "t_ns 60000000000\npackage-0 5000\ndram-0 2500\n");
	plain_tree_close(tree);
	/* Its successor comes long after that. */
	assert_int_equal(utimensat(root->fd, VM "/wattport/snapshot", before, 0), 0);
	values = values_of(5000);
	values.time_ns = 0;
	tree = open_tree(root, &values, start);
	assert_int_equal(values.time_ns, 60 * CLOCK_NS_PER_SECOND);
	assert_true(tree->time_away_ns > 7 * CLOCK_NS_PER_SECOND);
	tree->time_away_ns = 7 * CLOCK_NS_PER_SECOND;
	values = values_of(5000);
	values.time_ns = 1;
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, VM "/wattport/snapshot",
		   "t_ns 67000000000\npackage-0 5000\ndram-0 2500\n");
	values = values_of(5000);
	values.time_ns = 3 * CLOCK_NS_PER_SECOND + 1;
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, VM "/wattport/snapshot",
		   "t_ns 70000000000\npackage-0 5000\ndram-0 2500\n");
	plain_tree_close(tree);
	/* A clock that all share needs nothing of that. */
	values = values_of(5000);
	values.time_ns = 71 * CLOCK_NS_PER_SECOND;
	tree = open_tree(root, &values, start);
	assert_int_equal(values.time_ns, 71 * CLOCK_NS_PER_SECOND);
	plain_tree_close(tree);
}

static void test_shorter_text_is_filled_up(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree;

	values.age_ms = 123456;
	tree = open_tree(root, &values, start);
	values.age_ms = 8;
	values.source = "model";
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, VM "/wattport/age_ms", "8     \n");
	check_text(root, VM "/wattport/source", "model   \n");
	values.age_ms = 99;
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, VM "/wattport/age_ms", "99    \n");
	values.age_ms = 1234567;
	assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	check_text(root, VM "/wattport/age_ms", "1234567\n");
	plain_tree_close(tree);
}

static void test_only_files_that_are_read(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree = open_tree(root, &values, start);

	for (size_t i = 0; i < tree->file_count; i++)
		if (strcmp(tree->files[i].path, ENERGY) == 0)
			tree->files[i].read_ns = after_ms(10).ns;
	values = values_of(6000);
	assert_int_equal(plain_tree_update(tree, &values, after_ms(20), after_ms(10).ns), 0);
	check_text(root, ENERGY, "6000\n");
	check_text(root, VM "/wattport/snapshot", "t_ns 123\npackage-0 5000\ndram-0 2500\n");
	values = values_of(7000);
	assert_int_equal(plain_tree_update(tree, &values, after_ms(21), after_ms(11).ns), 0);
	check_text(root, ENERGY, "6000\n");
	assert_int_equal(plain_tree_update(tree, &values, after_ms(21), 0), 0);
	check_text(root, VM "/wattport/snapshot", "t_ns 123\npackage-0 7000\ndram-0 3500\n");
	plain_tree_close(tree);
}

/* Whoever read the old text finds no more behind it than a newline. */
static void test_counter_that_is_read_grows_by_one_digit(void **state)
{
	static const char *const wanted[] = {"9999\n", "99999\n", "999999\n", "5000000\n"};
	const struct tree *root = *state;
	struct vtree_values values = values_of(500);
	struct plain_tree *tree = open_tree(root, &values, start);

	for (size_t i = 0; i < tree->file_count; i++)
		if (strcmp(tree->files[i].path, ENERGY) == 0)
			tree->files[i].read_ns = start.ns;
	for (size_t i = 0; i < CHECK_COUNT(wanted); i++) {
		values = values_of(5000000);
		assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
		check_text(root, ENERGY, wanted[i]);
		/* Nobody reads this one. */
		check_text(root, ZONES "intel-rapl:0/intel-rapl:0:0/energy_uj", "2500000\n");
	}
	for (size_t i = 0; i < 20; i++) {
		values = values_of(UINT64_MAX);
		assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
	}
	check_text(root, ENERGY, "18446744073709551615\n");
	plain_tree_close(tree);
}

/* psys is the zone behind the packages: with a socket more its directory is that package's. */
static void test_zone_that_becomes_another(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree;
	ino_t first;

	values.shape = (struct vtree_shape){.socket_count = 1, .psys = true};
	tree = open_tree(root, &values, start);
	plain_tree_close(tree);
	check_text(root, ZONES "intel-rapl:1/energy_uj", "10000\n");
	first = inode_of(root, ENERGY);
	values = values_of(5000);
	values.shape = (struct vtree_shape){.socket_count = 2, .psys = true};
	tree = open_tree(root, &values, start);
	plain_tree_close(tree);
	check_text(root, ZONES "intel-rapl:1/name", "package-1\n");
	check_text(root, ZONES "intel-rapl:1/energy_uj", "5001\n");
	check_text(root, ZONES "intel-rapl:2/name", "psys\n");
	assert_int_equal(inode_of(root, ENERGY), first);
}

static void test_damage_is_mended(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree = open_tree(root, &values, start);

	plain_tree_close(tree);
	tree_delete(root, ZONES "intel-rapl:0/uevent");
	tree_delete(root, VM "/wattport");
	tree_write(root, VM "/wattport", "a file in the place of a directory\n");
	assert_int_equal(fchmodat(root->fd, ENERGY, 0644, 0), 0);
	tree_delete(root, ZONES "enabled");
	tree_write(root, ZONES "enabled", "%s", "");
	tree_delete(root, VM "/class/powercap/intel-rapl:0");
	assert_int_equal(symlinkat("../elsewhere", root->fd, VM "/class/powercap/intel-rapl:0"), 0);
	tree_write(root, VM "/class/powercap/stranger", "x\n");
	tree_write(root, PLAIN_TREE_STAGING "/made/left/over", "x\n");
	values = values_of(5000);
	tree = open_tree(root, &values, start);
	check_entries(root, &values);
	plain_tree_close(tree);
}

static void test_removal(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(5000);
	struct plain_tree *tree = open_tree(root, &values, start);

	plain_tree_close(tree);
	assert_int_equal(plain_tree_remove(root->fd, VM), 0);
	assert_false(is_there(root, VM));
	assert_int_equal(plain_tree_remove(root->fd, VM), 0);
}

/* The largest tree there is, with numbers of any length. */
static void test_no_line_lies_on_two_pages(void **state)
{
	const struct tree *root = *state;
	struct vtree_values values = values_of(10);
	struct plain_tree *tree;

	values.shape = (struct vtree_shape){.socket_count = VTREE_SOCKET_MAX,
					    .core = true,
					    .uncore = true,
					    .dram = true,
					    .psys = true};
	tree = open_tree(root, &values, start);
	for (uint64_t energy_uj = 10; energy_uj < UINT64_MAX / 40; energy_uj *= 7) {
		char text[VTREE_CONTENT_SIZE + 1];
		size_t length;

		for (uint32_t i = 0; i < VTREE_SOCKET_MAX; i++)
			for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
				values.socket_uj[i][kind] = energy_uj + i;
		assert_int_equal(plain_tree_update(tree, &values, start, 0), 0);
		assert_int_equal(
		    file_read_at(root->fd, VM "/wattport/snapshot", text, sizeof(text), &length),
		    0);
		if (length <= 4096)
			continue;
		assert_int_equal(text[4095], '\n');
		check_contains(text, "package-63 ");
		check_contains(text, "psys ");
	}
	plain_tree_close(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_is_what_vtree_describes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_changes_in_place_and_only_what_changed, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_counters_never_go_back_and_never_rest, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_what_was_told_outlives_the_process, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_time_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shorter_text_is_filled_up, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_only_files_that_are_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_counter_that_is_read_grows_by_one_digit, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_zone_that_becomes_another, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damage_is_mended, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_removal, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_line_lies_on_two_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
