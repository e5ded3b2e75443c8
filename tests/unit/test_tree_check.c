/* tree_check.h: what is a tree of Wattport's, and what to say of what is none. */
#include "guest/tree_check.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int create(void **state)
{
	struct guest_tree *guest = calloc(1, sizeof(*guest));

	assert_non_null(guest);
	guest_tree_create(guest);
	*state = guest;
	return 0;
}

static int finish(void **state)
{
	guest_tree_remove(*state);
	free(*state);
	return 0;
}

static void check(const struct guest_tree *guest, int expected, const char *part)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(tree_check(guest->at, &diag), expected);
	check_contains(diag.text, part);
}

static void test_takes_a_whole_tree(void **state)
{
	const struct guest_tree *guest = *state;

	guest_tree_set_info(guest, "powercap", 3);
	guest_tree_add_zone(guest, "tree", 0, 1, GUEST_TREE_RANGE);
	check(guest, 0, "");
}

static void test_tells_what_is_no_tree(void **state)
{
	const struct guest_tree *guest = *state;

	check(guest, -ENOTCONN, "does not answer: No such file or directory");
	assert_int_equal(mkdirat(guest->tree.fd, "tree", 0755), 0);
	check(guest, -EBADMSG, "is empty: the host serves no tree there");
	tree_write(&guest->tree, "tree/unrelated", "\n");
	check(guest, -EBADMSG, "is no tree of Wattport's: it has no wattport");
	/* A zone alone, as others make such trees. */
	guest_tree_add_zone(guest, "tree", 0, 1, GUEST_TREE_RANGE);
	check(guest, -EBADMSG, "it has no wattport");
}

static void test_tells_of_a_tree_without_zones(void **state)
{
	const struct guest_tree *guest = *state;

	guest_tree_set_info(guest, "powercap", 3);
	tree_write(&guest->tree, "tree/devices/virtual/powercap/.hidden", "\n");
	check(guest, -EBADMSG, "it has no class/powercap");
	tree_write(&guest->tree, "tree/class/powercap/.hidden", "\n");
	check(guest, -EBADMSG, "holds no zones");
}

/* With accessmode='mapped' the guest's readlink fails with ELOOP, as following a link to itself. */
static void test_tells_links_that_do_not_come_through(void **state)
{
	const struct guest_tree *guest = *state;

	guest_tree_set_info(guest, "powercap", 3);
	tree_write(&guest->tree, "tree/devices/virtual/powercap/.hidden", "\n");
	tree_write(&guest->tree, "tree/class/powercap/.hidden", "\n");
	assert_int_equal(
	    symlinkat("intel-rapl:0", guest->tree.fd, "tree/class/powercap/intel-rapl:0"), 0);
	check(guest, -ELOOP, "carries no symbolic links");
}

static void test_tells_that_the_host_refuses(void **state)
{
	const struct guest_tree *guest = *state;

	if (geteuid() == 0)
		skip(); /* No mode refuses root anything. */
	guest_tree_set_info(guest, "powercap", 3);
	assert_int_equal(fchmodat(guest->tree.fd, "tree", 0, 0), 0);
	check(guest, -EACCES, "another machine's tree");
	assert_int_equal(fchmodat(guest->tree.fd, "tree", 0755, 0), 0);
}

int main(void)
{
#define GUEST_TEST(name) cmocka_unit_test_setup_teardown(name, create, finish)
	const struct CMUnitTest tests[] = {
	    GUEST_TEST(test_takes_a_whole_tree),
	    GUEST_TEST(test_tells_what_is_no_tree),
	    GUEST_TEST(test_tells_of_a_tree_without_zones),
	    GUEST_TEST(test_tells_links_that_do_not_come_through),
	    GUEST_TEST(test_tells_that_the_host_refuses),
	};

	return cmocka_run_group_tests_name("tree_check", tests, NULL, NULL);
}
