/* tree_links.h: the links of a tree that lists them and cannot read them. */
#include "guest/tree_links.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICES "share/devices/virtual/powercap/"

struct fixture {
	struct tree tree;
	int share_fd;
	int into_fd;
};

/* A link as the guest sees it: there, and nothing behind it. */
static void add_link(const struct fixture *fixture, const char *path)
{
	assert_int_equal(symlinkat("itself", fixture->tree.fd, path), 0);
}

static int create(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	tree_create(&fixture->tree);
	tree_write(&fixture->tree, "share/class/powercap/.hidden", "\n");
	tree_write(&fixture->tree, DEVICES ".hidden", "\n");
	assert_int_equal(mkdirat(fixture->tree.fd, "into", 0755), 0);
	fixture->share_fd = openat(fixture->tree.fd, "share", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture->into_fd = openat(fixture->tree.fd, "into", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->share_fd >= 0 && fixture->into_fd >= 0);
	*state = fixture;
	return 0;
}

static int finish(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(close(fixture->share_fd), 0);
	assert_int_equal(close(fixture->into_fd), 0);
	tree_remove(&fixture->tree);
	free(fixture);
	return 0;
}

/* One device, and the flat link to it. */
static void add_device(const struct fixture *fixture, const char *path)
{
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	char text[PATH_MAX];

	(void)snprintf(text, sizeof(text), DEVICES "%s/energy_uj", path);
	tree_write(&fixture->tree, text, "1\n");
	(void)snprintf(text, sizeof(text), DEVICES "%s/subsystem", path);
	add_link(fixture, text);
	(void)snprintf(text, sizeof(text), "share/class/powercap/%s", name);
	add_link(fixture, text);
}

static void check_link(const struct fixture *fixture, const char *path, const char *expected)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(fixture->into_fd, path, target, sizeof(target) - 1);

	assert_true(length > 0);
	target[length] = '\0';
	assert_string_equal(target, expected);
}

static void make(const struct fixture *fixture)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(tree_links_make(fixture->share_fd, fixture->into_fd, &diag), 0);
}

/* Where a link leads must be what it leads to in the kernel's own tree. */
static void test_makes_the_kernels_links(void **state)
{
	const struct fixture *fixture = *state;

	add_device(fixture, "intel-rapl");
	add_device(fixture, "intel-rapl/intel-rapl:a");
	add_device(fixture, "intel-rapl/intel-rapl:a/intel-rapl:a:0");
	add_device(fixture, "intel-rapl/intel-rapl:a/intel-rapl:a:2");
	add_link(fixture, DEVICES "intel-rapl/intel-rapl:a/device");
	add_link(fixture, DEVICES "intel-rapl/intel-rapl:a/intel-rapl:a:0/device");
	make(fixture);
	check_link(fixture, "class/powercap/intel-rapl",
		   "../../devices/virtual/powercap/intel-rapl");
	check_link(fixture, "class/powercap/intel-rapl:a",
		   "../../devices/virtual/powercap/intel-rapl/intel-rapl:a");
	check_link(fixture, "class/powercap/intel-rapl:a:2",
		   "../../devices/virtual/powercap/intel-rapl/intel-rapl:a/intel-rapl:a:2");
	check_link(fixture, "devices/virtual/powercap/intel-rapl/subsystem",
		   "../../../../class/powercap");
	check_link(fixture,
		   "devices/virtual/powercap/intel-rapl/intel-rapl:a/intel-rapl:a:2/subsystem",
		   "../../../../../../class/powercap");
	check_link(fixture, "devices/virtual/powercap/intel-rapl/intel-rapl:a/device",
		   "../../intel-rapl");
	check_link(fixture,
		   "devices/virtual/powercap/intel-rapl/intel-rapl:a/intel-rapl:a:0/device",
		   "../../intel-rapl:a");
}

/* Layered over the share, more than links would hide what is there. */
static void test_makes_nothing_else(void **state)
{
	const struct fixture *fixture = *state;
	struct stat attributes;

	add_device(fixture, "intel-rapl");
	add_link(fixture, DEVICES "intel-rapl/firmware_node");
	tree_write(&fixture->tree, DEVICES "intel-rapl/power/control", "auto\n");
	tree_write(&fixture->tree, "share/wattport/uuid", "x\n");
	make(fixture);
	for (size_t i = 0; i < 5; i++) {
		static const char *const absent[] = {
		    "wattport", "class/powercap/power",
		    "devices/virtual/powercap/intel-rapl/energy_uj",
		    "devices/virtual/powercap/intel-rapl/firmware_node",
		    "devices/virtual/powercap/intel-rapl/device"};

		assert_int_equal(
		    fstatat(fixture->into_fd, absent[i], &attributes, AT_SYMLINK_NOFOLLOW), -1);
	}
}

static void test_directories_have_the_trees_modes(void **state)
{
	const struct fixture *fixture = *state;
	struct stat attributes;

	add_device(fixture, "intel-rapl");
	assert_int_equal(fchmodat(fixture->tree.fd, DEVICES "intel-rapl", 0555, 0), 0);
	make(fixture);
	assert_int_equal(
	    fstatat(fixture->into_fd, "devices/virtual/powercap/intel-rapl", &attributes, 0), 0);
	assert_int_equal(attributes.st_mode & 07777, 0555);
}

static void test_has_limits(void **state)
{
	const struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	char path[256] = "";

	for (size_t i = 0; i <= TREE_LINKS_DEPTH_MAX; i++) {
		(void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "%sd%zu",
			       i == 0 ? "" : "/", i);
		if (i + 1 == TREE_LINKS_DEPTH_MAX) {
			add_device(fixture, path);
			make(fixture);
		}
	}
	add_device(fixture, path);
	assert_int_equal(tree_links_make(fixture->share_fd, fixture->into_fd, &diag), -EEXIST);
	tree_delete(&fixture->tree, "into/class");
	tree_delete(&fixture->tree, "into/devices");
	assert_int_equal(tree_links_make(fixture->share_fd, fixture->into_fd, &diag), -E2BIG);
	check_contains(diag.text, "cannot make the tree's links");
}

static void test_makes_so_many_and_no_more(void **state)
{
	const struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	char name[32];

	for (unsigned int i = 0; i < TREE_LINKS_MAX / 2; i++) {
		(void)snprintf(name, sizeof(name), "zone:%x", i);
		add_device(fixture, name);
	}
	make(fixture);
	tree_delete(&fixture->tree, "into/class");
	tree_delete(&fixture->tree, "into/devices");
	add_link(fixture, DEVICES "zone:0/device");
	assert_int_equal(tree_links_make(fixture->share_fd, fixture->into_fd, &diag), -E2BIG);
}

static void test_tells_what_is_no_tree(void **state)
{
	const struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;

	tree_delete(&fixture->tree, "share/devices");
	assert_int_equal(tree_links_make(fixture->share_fd, fixture->into_fd, &diag), -ENOENT);
}

int main(void)
{
#define LINKS_TEST(name) cmocka_unit_test_setup_teardown(name, create, finish)
	const struct CMUnitTest tests[] = {
	    LINKS_TEST(test_makes_the_kernels_links),
	    LINKS_TEST(test_makes_nothing_else),
	    LINKS_TEST(test_directories_have_the_trees_modes),
	    LINKS_TEST(test_has_limits),
	    LINKS_TEST(test_makes_so_many_and_no_more),
	    LINKS_TEST(test_tells_what_is_no_tree),
	};

	return cmocka_run_group_tests_name("tree_links", tests, NULL, NULL);
}
