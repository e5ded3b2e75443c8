/* mount_state.h: what is looked at before anything is mounted. */
#include "guest/mount_state.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_state(const struct guest_tree *guest, struct mount_state *ret_state)
{
	const struct mount_paths paths = {
	    .sys = sysroot_sys_path(guest->root), .at = guest->at, .frame = "/nowhere"};
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	struct diag diag = DIAG_INIT;

	assert_int_equal(mountinfo_read(guest->root, &mountinfo), 0);
	assert_int_equal(mount_state_read(guest->root, &mountinfo, &paths, ret_state, &diag), 0);
}

static void test_lists_what_an_overlay_would_cover(void **state)
{
	struct guest_tree guest;
	cleanup_mount_state struct mount_state found = {.shared = false};

	(void)state;
	guest_tree_create(&guest);
	tree_write(&guest.tree, "sys/class/net/bonding_masters", "\n");
	tree_write(&guest.tree, "sys/class/powercap/.keep", "\n");
	tree_write(&guest.tree, "sys/class/a-file", "\n");
	tree_write(&guest.tree, "sys/devices/virtual/block/zram0/disksize", "0\n");
	read_state(&guest, &found);
	assert_true(found.sides[0].has_powercap);
	assert_int_equal(found.sides[0].child_count, 1);
	assert_string_equal(found.sides[0].children[0].name, "net");
	assert_false(found.sides[1].has_powercap);
	assert_int_equal(found.sides[1].child_count, 1);
	assert_string_equal(found.sides[1].children[0].name, "block");
	assert_string_equal(found.rapl, "");
	guest_tree_remove(&guest);
}

/* The control type alone, left by a module that found no RAPL, is not in the way. */
static void test_knows_a_real_rapl(void **state)
{
	struct guest_tree guest;
	struct mount_state found = {.shared = false};

	(void)state;
	guest_tree_create(&guest);
	tree_write(&guest.tree, "sys/class/powercap/intel-rapl/enabled", "1\n");
	tree_write(&guest.tree, "sys/devices/virtual/powercap/intel-rapl/enabled", "1\n");
	read_state(&guest, &found);
	assert_string_equal(found.rapl, "");
	mount_state_finish(&found);
	guest_tree_add_zone(&guest, "sys", 0, 1, "262143328850");
	read_state(&guest, &found);
	assert_string_equal(found.rapl, "intel-rapl:0");
	mount_state_finish(&found);
	guest_tree_remove(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lists_what_an_overlay_would_cover),
	    cmocka_unit_test(test_knows_a_real_rapl),
	};

	return cmocka_run_group_tests_name("mount_state", tests, NULL, NULL);
}
