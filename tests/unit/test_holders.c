/* holders.h: who has what open, from a /proc of the test's own. */
#include "guest/holders.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <unistd.h>

static const char *const paths[] = {"/run/wattport/tree", "/sys/class/powercap"};

/* A process whose link of that name leads there. */
static void add_process(const struct tree *tree, unsigned int pid, const char *name,
			const char *link, const char *target)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%u/comm", pid);
	tree_write(tree, path, "%s\n", name);
	(void)snprintf(path, sizeof(path), "proc/%u/fd/.hidden", pid);
	tree_write(tree, path, "\n");
	(void)snprintf(path, sizeof(path), "proc/%u/%s", pid, link);
	assert_int_equal(symlinkat(target, tree->fd, path), 0);
}

static void find(const struct tree *tree, struct holders *ret_holders)
{
	cleanup_sysroot struct sysroot *root = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(sysroot_open(tree->path, &root, &diag), 0);
	holders_find(root, paths, CHECK_COUNT(paths), ret_holders);
}

static void test_finds_open_files_and_directories(void **state)
{
	const struct tree *tree = *state;
	char text[HOLDERS_TEXT_SIZE];
	struct holders holders;

	tree_write(tree, "sys/.hidden", "\n");
	add_process(tree, 77, "reader", "fd/3", "/sys/class/powercap/intel-rapl:0/energy_uj");
	add_process(tree, 7, "sh", "cwd", "/run/wattport/tree");
	add_process(tree, 8, "other", "fd/3", "/sys/class/powercap2/x");
	add_process(tree, 9, "another", "fd/4", "socket:[1234]");
	add_process(tree, (unsigned int)getpid(), "itself", "cwd", "/run/wattport/tree");
	find(tree, &holders);
	assert_int_equal(holders.count, 2);
	holders_format(&holders, text);
	check_contains(text, "reader (77)");
	check_contains(text, "sh (7)");
}

static void test_names_are_printable_and_few(void **state)
{
	const struct tree *tree = *state;
	char text[HOLDERS_TEXT_SIZE];
	struct holders holders;

	tree_write(tree, "sys/.hidden", "\n");
	for (unsigned int i = 0; i < HOLDERS_LIST_MAX + 3; i++)
		add_process(tree, 4194000 + i, "fifteen-\033letter", "root", paths[0]);
	find(tree, &holders);
	assert_int_equal(holders.count, HOLDERS_LIST_MAX + 3);
	holders_format(&holders, text);
	check_contains(text, "fifteen-?letter (4194");
	check_contains(text, " and 3 more");
}

static void test_nobody(void **state)
{
	const struct tree *tree = *state;
	char text[HOLDERS_TEXT_SIZE];
	struct holders holders;

	tree_write(tree, "sys/.hidden", "\n");
	tree_write(tree, "proc/1/comm", "init\n");
	find(tree, &holders);
	assert_int_equal(holders.count, 0);
	holders_format(&holders, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TREE_TEST(test_finds_open_files_and_directories),
	    TREE_TEST(test_names_are_printable_and_few),
	    TREE_TEST(test_nobody),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
