/* mount_plan.h: the plan of mounts, from the state of a machine, without mounting anything. */
#include "guest/mount_own.h"
#include "guest/mount_plan.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

static const struct mount_paths paths = {
    .sys = "/sys", .at = "/run/wattport/tree", .frame = "/run/wattport/tree-frame"};

#define PLAN_TEXT_SIZE 8192

/* One line a step: "kind source > target". */
static void write_plan(const struct mount_plan *plan, char *text)
{
	static const char *const kinds[] = {
	    [MOUNT_STEP_DIRECTORY] = "directory", [MOUNT_STEP_VIEW] = "view",
	    [MOUNT_STEP_OVERLAY] = "overlay",	  [MOUNT_STEP_BIND] = "bind",
	    [MOUNT_STEP_UNMOUNT] = "unmount",	  [MOUNT_STEP_REMOVE] = "remove",
	    [MOUNT_STEP_MEMORY] = "memory",	  [MOUNT_STEP_LINKS] = "links",
	    [MOUNT_STEP_DETACH] = "detach",
	};
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < plan->count; i++) {
		const struct mount_step *step = &plan->steps[i];

		used += (size_t)snprintf(text + used, PLAN_TEXT_SIZE - used, "%s %s%s%s\n",
					 kinds[step->kind], step->source,
					 step->source[0] != '\0' ? " > " : "", step->target);
		assert_true(used < PLAN_TEXT_SIZE);
	}
}

static void check_lay(const struct mount_state *state, const char *expected)
{
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	struct diag diag = DIAG_INIT;
	char text[PLAN_TEXT_SIZE];

	assert_int_equal(mount_plan_lay(state, &paths, &plan, &diag), 0);
	write_plan(&plan, text);
	assert_string_equal(text, expected);
}

static void check_undo(const char *mounts, const char *expected)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	struct diag diag = DIAG_INIT;
	char text[PLAN_TEXT_SIZE];
	char *end;

	assert_int_equal(mountinfo_parse(strdup(mounts), &mountinfo), 0);
	assert_int_equal(mount_plan_undo(&mountinfo, &paths, &plan, &diag), 0);
	write_plan(&plan, text);
	/* The directories are the same in each. */
	end = strstr(text, "remove /run/wattport/tree-frame/devices/virtual/powercap\n");
	assert_non_null(end);
	check_contains(end, "remove /run/wattport/tree-frame\nremove /run/wattport/tree\n");
	*end = '\0';
	assert_string_equal(text, expected);
}

/* Debian's generic kernel: the class is there, empty, and no device. */
static void test_kernel_with_class(void **state)
{
	struct mount_child children[] = {{.name = "net"}, {.name = "block"}};
	const struct mount_state machine = {
	    .shared = true,
	    .sides = {{.has_powercap = true},
		      {.child_count = CHECK_COUNT(children), .children = children}}};

	(void)state;
	check_lay(
	    &machine,
	    "directory /run/wattport/tree-frame/view\n"
	    "view /sys > /run/wattport/tree-frame/view\n"
	    "directory /run/wattport/tree-frame/devices/virtual/powercap\n"
	    "overlay /run/wattport/tree-frame/devices/virtual > /sys/devices/virtual\n"
	    "bind /run/wattport/tree-frame/view/devices/virtual/net > /sys/devices/virtual/net\n"
	    "bind /run/wattport/tree-frame/view/devices/virtual/block > "
	    "/sys/devices/virtual/block\n"
	    "unmount /run/wattport/tree-frame/view\n"
	    "remove /run/wattport/tree-frame/view\n"
	    "bind /run/wattport/tree/class/powercap > /sys/class/powercap\n"
	    "bind /run/wattport/tree/devices/virtual/powercap > /sys/devices/virtual/powercap\n");
}

static void test_kernel_without_class(void **state)
{
	struct mount_child class_children[] = {{.name = "net"}};
	struct mount_child device_children[] = {{.name = "tty"}};
	const struct mount_state machine = {
	    .shared = true,
	    .sides = {{.child_count = 1, .children = class_children},
		      {.child_count = 1, .children = device_children}}};

	(void)state;
	check_lay(
	    &machine,
	    "directory /run/wattport/tree-frame/view\n"
	    "view /sys > /run/wattport/tree-frame/view\n"
	    "directory /run/wattport/tree-frame/class/powercap\n"
	    "overlay /run/wattport/tree-frame/class > /sys/class\n"
	    "directory /run/wattport/tree-frame/devices/virtual/powercap\n"
	    "overlay /run/wattport/tree-frame/devices/virtual > /sys/devices/virtual\n"
	    "bind /run/wattport/tree-frame/view/class/net > /sys/class/net\n"
	    "bind /run/wattport/tree-frame/view/devices/virtual/tty > /sys/devices/virtual/tty\n"
	    "unmount /run/wattport/tree-frame/view\n"
	    "remove /run/wattport/tree-frame/view\n"
	    "bind /run/wattport/tree/class/powercap > /sys/class/powercap\n"
	    "bind /run/wattport/tree/devices/virtual/powercap > /sys/devices/virtual/powercap\n");
}

/* A control type without zones: both directories are there to bind on. */
static void test_kernel_with_both(void **state)
{
	const struct mount_state machine = {
	    .shared = true, .sides = {{.has_powercap = true}, {.has_powercap = true}}};

	(void)state;
	check_lay(
	    &machine,
	    "bind /run/wattport/tree/class/powercap > /sys/class/powercap\n"
	    "bind /run/wattport/tree/devices/virtual/powercap > /sys/devices/virtual/powercap\n");
}

static void test_nothing_is_left_to_do(void **state)
{
	struct mount_child children[] = {{.name = "net", .kept = true}};
	const struct mount_state machine = {.shared = true,
					    .rapl = "intel-rapl:0", /* the tree's own */
					    .sides = {{.bound = true, .has_powercap = true},
						      {.bound = true,
						       .overlaid = true,
						       .has_powercap = true,
						       .child_count = 1,
						       .children = children}}};

	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(mount_plan_allow(&machine, &diag), 0);
	check_lay(&machine, "");
}

/* Killed half-way: the overlay is there, one directory not yet bound back, nothing bound. */
static void test_goes_on_where_it_was_cut_off(void **state)
{
	struct mount_child children[] = {{.name = "net", .kept = true}, {.name = "block"}};
	const struct mount_state machine = {
	    .shared = true,
	    .sides = {
		{.has_powercap = true, .bound = true},
		{.overlaid = true, .has_powercap = true, .child_count = 2, .children = children}}};

	(void)state;
	check_lay(
	    &machine,
	    "directory /run/wattport/tree-frame/view\n"
	    "view /sys > /run/wattport/tree-frame/view\n"
	    "bind /run/wattport/tree-frame/view/devices/virtual/block > "
	    "/sys/devices/virtual/block\n"
	    "unmount /run/wattport/tree-frame/view\n"
	    "remove /run/wattport/tree-frame/view\n"
	    "bind /run/wattport/tree/devices/virtual/powercap > /sys/devices/virtual/powercap\n");
}

static void test_spares_a_rapl_of_its_own(void **state)
{
	const struct mount_state machine = {
	    .shared = true,
	    .rapl = "intel-rapl:0",
	    .sides = {{.has_powercap = true}, {.has_powercap = true}}};
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(mount_plan_allow(&machine, &diag), -EEXIST);
	check_contains(diag.text, "intel-rapl:0");
	check_contains(diag.text, "--force");
	check_lay(
	    &machine,
	    "bind /run/wattport/tree/class/powercap > /sys/class/powercap\n"
	    "bind /run/wattport/tree/devices/virtual/powercap > /sys/devices/virtual/powercap\n");
}

/* Killed while it bound the kernel's directories back: its second view of /sys is in the way. */
static void test_takes_an_earlier_view_away(void **state)
{
	struct mount_child children[] = {{.name = "net", .kept = true}};
	struct mount_state machine = {.shared = true,
				      .view_mounted = true,
				      .sides = {{.bound = true, .has_powercap = true},
						{.bound = true,
						 .overlaid = true,
						 .has_powercap = true,
						 .child_count = 1,
						 .children = children}}};

	(void)state;
	check_lay(&machine, "unmount /run/wattport/tree-frame/view\n"
			    "remove /run/wattport/tree-frame/view\n");
	children[0].kept = false;
	check_lay(
	    &machine,
	    "unmount /run/wattport/tree-frame/view\n"
	    "directory /run/wattport/tree-frame/view\n"
	    "view /sys > /run/wattport/tree-frame/view\n"
	    "bind /run/wattport/tree-frame/view/devices/virtual/net > /sys/devices/virtual/net\n"
	    "unmount /run/wattport/tree-frame/view\n"
	    "remove /run/wattport/tree-frame/view\n");
}

/* Links are laid over the share in its own place; those of a run that was cut off are made anew. */
static void test_makes_the_links_that_the_share_lacks(void **state)
{
	static const char steps[] = "directory /run/wattport/tree-frame/links\n"
				    "memory /run/wattport/tree-frame/links\n"
				    "links /run/wattport/tree > /run/wattport/tree-frame/links\n"
				    "overlay /run/wattport/tree-frame/links > /run/wattport/tree\n";
	struct mount_state machine = {.shared = true};
	struct diag diag = DIAG_INIT;
	char text[PLAN_TEXT_SIZE];

	(void)state;
	for (int round = 0; round < 3; round++) {
		cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
		const char *found = text;

		machine.linkless = round > 0;
		machine.links_mounted = round > 1;
		assert_int_equal(mount_plan_mend(&machine, &paths, &plan, &diag), 0);
		write_plan(&plan, text);
		if (machine.links_mounted) {
			check_contains(text, "unmount /run/wattport/tree-frame/links\ndirectory");
			found = strchr(text, '\n') + 1;
		}
		assert_string_equal(found, machine.linkless ? steps : "");
	}
}

static const char base_mounts[] = "20 1 8:1 / / rw - ext4 root rw\n"
				  "21 20 0:20 / /sys rw - sysfs sysfs rw\n"
				  "22 20 0:30 / /run rw - tmpfs tmpfs rw\n";

/* The state after test_kernel_with_class(), and with the share from 9p. */
static const char laid_mounts[] =
    "20 1 8:1 / / rw - ext4 root rw\n"
    "21 20 0:20 / /sys rw - sysfs sysfs rw\n"
    "22 20 0:30 / /run rw - tmpfs tmpfs rw\n"
    "23 22 0:40 / /run/wattport/tree ro - 9p wattport ro\n"
    "24 21 0:41 / /sys/devices/virtual ro - overlay wattport ro\n"
    "25 24 0:20 /devices/virtual/net /sys/devices/virtual/net rw - sysfs sysfs rw\n"
    "26 24 0:55 / /sys/devices/virtual/foreign rw - tmpfs tmpfs rw\n"
    "27 21 0:40 /class/powercap /sys/class/powercap ro - 9p wattport ro\n"
    "28 24 0:40 /devices/virtual/powercap /sys/devices/virtual/powercap ro - 9p wattport ro\n";

static void test_observes_the_mounts(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	struct mount_child children[] = {{.name = "net"}, {.name = "block"}};
	struct mount_state machine = {
	    .sides = {{.has_powercap = true},
		      {.has_powercap = true, .child_count = 2, .children = children}}};

	(void)state;
	assert_int_equal(mountinfo_parse(strdup(laid_mounts), &mountinfo), 0);
	assert_int_equal(mount_own_observe(&mountinfo, &paths, &machine), 0);
	assert_true(machine.shared);
	assert_true(machine.sides[0].bound);
	assert_false(machine.sides[0].overlaid);
	assert_true(machine.sides[1].bound);
	assert_true(machine.sides[1].overlaid);
	assert_true(children[0].kept);
	assert_false(children[1].kept);
}

/* Somebody else's mount on the directory is no bind of ours: the tree goes on top of it. */
static void test_observes_that_others_mount_there_too(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	struct mount_state machine = {.sides = {{.has_powercap = true}, {.has_powercap = true}}};
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", base_mounts,
		       "30 21 0:40 / /sys/class/powercap ro - tmpfs tmpfs ro\n"
		       "31 21 0:41 / /sys/devices/virtual rw - overlay overlay ro\n");
	assert_int_equal(mountinfo_parse(strdup(text), &mountinfo), 0);
	assert_int_equal(mount_own_observe(&mountinfo, &paths, &machine), 0);
	assert_false(machine.shared);
	assert_false(machine.sides[0].bound);
	assert_false(machine.sides[1].overlaid);
}

static void test_undoes_what_it_made_and_nothing_else(void **state)
{
	(void)state;
	check_undo(laid_mounts, "unmount /sys/devices/virtual/powercap\n"
				"unmount /sys/class/powercap\n"
				"detach /sys/devices/virtual\n"
				"unmount /run/wattport/tree\n");
	check_undo(base_mounts, "");
}

/* The share was unmounted by hand, and an earlier run was killed before its second view went. */
static void test_undoes_remains(void **state)
{
	char text[2048];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", base_mounts,
		       "24 21 0:41 / /sys/class ro - overlay wattport ro\n"
		       "25 24 0:40 /class/powercap /sys/class/powercap ro - virtiofs wattport ro\n"
		       "26 22 0:20 / /run/wattport/tree-frame/view rw - sysfs sysfs rw\n");
	check_undo(text, "unmount /sys/class/powercap\n"
			 "detach /sys/class\n"
			 "unmount /run/wattport/tree-frame/view\n");
}

/* A share without links, under the overlay that gives it some; a second run was cut off, too. */
static void test_undoes_the_links(void **state)
{
	char text[2048];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", base_mounts,
		       "23 22 0:40 / /run/wattport/tree ro - 9p wattport ro\n"
		       "24 22 0:41 / /run/wattport/tree-frame/links rw - tmpfs wattport rw\n"
		       "25 24 0:42 / /run/wattport/tree-frame/links rw - tmpfs wattport rw\n"
		       "26 23 0:43 / /run/wattport/tree ro - overlay wattport ro\n"
		       "27 21 0:43 /class/powercap /sys/class/powercap ro - overlay wattport ro\n");
	check_undo(text, "unmount /sys/class/powercap\n"
			 "unmount /run/wattport/tree\n"
			 "unmount /run/wattport/tree\n"
			 "unmount /run/wattport/tree-frame/links\n"
			 "unmount /run/wattport/tree-frame/links\n");
}

/* The share was unmounted by hand, and what was bound of it lies there still. */
static void test_knows_what_is_left_of_an_earlier_tree(void **state)
{
	static const char bound[] =
	    "24 21 0:40 /class/powercap /sys/class/powercap ro - virtiofs wattport ro\n";
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	cleanup_mountinfo struct mountinfo elsewhere = {.text = NULL};
	struct mount_state machine = {.sides = {{.has_powercap = true}, {.has_powercap = true}}};
	char text[2048];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", base_mounts, bound);
	assert_int_equal(mountinfo_parse(strdup(text), &mountinfo), 0);
	assert_int_equal(mount_own_observe(&mountinfo, &paths, &machine), 0);
	assert_false(machine.sides[0].bound);
	assert_true(machine.sides[0].stale);
	assert_false(machine.sides[1].stale);
	/* A new share in the old one's place does not make it a part of that. */
	(void)snprintf(text, sizeof(text), "%s%s%s", base_mounts, bound,
		       "25 22 0:50 / /run/wattport/tree ro - virtiofs wattport ro\n");
	check_undo(text, "unmount /sys/class/powercap\nunmount /run/wattport/tree\n");
	/* One whose whole is mounted elsewhere was put there by somebody else. */
	(void)snprintf(text, sizeof(text), "%s%s%s", base_mounts, bound,
		       "25 20 0:40 / /mnt ro - virtiofs wattport ro\n");
	check_undo(text, "");
	assert_int_equal(mountinfo_parse(strdup(text), &elsewhere), 0);
	assert_int_equal(mount_own_observe(&elsewhere, &paths, &machine), 0);
	assert_false(machine.sides[0].stale);
}

/* A tree that an administrator bound there is used, and stays. */
static void test_leaves_a_tree_of_others(void **state)
{
	char text[2048];

	(void)state;
	(void)snprintf(
	    text, sizeof(text), "%s%s", base_mounts,
	    "23 22 0:30 /export /run/wattport/tree ro - tmpfs tmpfs ro\n"
	    "24 21 0:30 /export/class/powercap /sys/class/powercap ro - tmpfs tmpfs ro\n");
	check_undo(text, "unmount /sys/class/powercap\n");
}

static void test_refuses_paths_that_are_too_long(void **state)
{
	static char at[MOUNT_PLAN_PATH_SIZE];
	const struct mount_paths long_paths = {.sys = "/sys", .at = at, .frame = at};
	const struct mount_state machine = {
	    .shared = true, .sides = {{.has_powercap = true}, {.has_powercap = true}}};
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	struct diag diag = DIAG_INIT;

	(void)state;
	memset(at, 'a', sizeof(at) - 1);
	at[0] = '/';
	assert_int_equal(mount_plan_lay(&machine, &long_paths, &plan, &diag), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kernel_with_class),
	    cmocka_unit_test(test_kernel_without_class),
	    cmocka_unit_test(test_kernel_with_both),
	    cmocka_unit_test(test_nothing_is_left_to_do),
	    cmocka_unit_test(test_goes_on_where_it_was_cut_off),
	    cmocka_unit_test(test_spares_a_rapl_of_its_own),
	    cmocka_unit_test(test_observes_the_mounts),
	    cmocka_unit_test(test_observes_that_others_mount_there_too),
	    cmocka_unit_test(test_undoes_what_it_made_and_nothing_else),
	    cmocka_unit_test(test_undoes_remains),
	    cmocka_unit_test(test_takes_an_earlier_view_away),
	    cmocka_unit_test(test_makes_the_links_that_the_share_lacks),
	    cmocka_unit_test(test_undoes_the_links),
	    cmocka_unit_test(test_knows_what_is_left_of_an_earlier_tree),
	    cmocka_unit_test(test_leaves_a_tree_of_others),
	    cmocka_unit_test(test_refuses_paths_that_are_too_long),
	};

	return cmocka_run_group_tests_name("mount_plan", tests, NULL, NULL);
}
