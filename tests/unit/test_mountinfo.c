/* mountinfo.h: the kernel's list of mounts, taken apart, and which mount is seen where. */
#include "common/mountinfo.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <stdlib.h>

static int parse(const char *text, struct mountinfo *mountinfo)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	return mountinfo_parse(copy, mountinfo);
}

static void test_reads_all_fields(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	const struct mountinfo_entry *entry;

	(void)state;
	assert_int_equal(parse("36 35 98:7 /sub /mnt/two\\040words rw,noatime shared:1 master:2 - "
			       "ext3 /dev/root rw,errors=continue\n",
			       &mountinfo),
			 0);
	assert_int_equal(mountinfo.count, 1);
	entry = &mountinfo.entries[0];
	assert_int_equal(entry->id, 36);
	assert_int_equal(entry->parent, 35);
	assert_int_equal(entry->major, 98);
	assert_int_equal(entry->minor, 7);
	assert_string_equal(entry->root, "/sub");
	assert_string_equal(entry->point, "/mnt/two words");
	assert_string_equal(entry->options, "rw,noatime");
	assert_string_equal(entry->type, "ext3");
	assert_string_equal(entry->source, "/dev/root");
	assert_string_equal(entry->super_options, "rw,errors=continue");
}

static void test_takes_no_optional_fields_and_no_source(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};

	(void)state;
	assert_int_equal(
	    parse("1 0 0:1 / / rw - rootfs  rw\n2 1 0:2 / /a\\134b\\012c rw - x y rw", &mountinfo),
	    0);
	assert_int_equal(mountinfo.count, 2);
	assert_string_equal(mountinfo.entries[0].source, "");
	assert_string_equal(mountinfo.entries[0].super_options, "rw");
	assert_string_equal(mountinfo.entries[1].point, "/a\\b\nc");
}

static void test_takes_an_empty_list(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};

	(void)state;
	assert_int_equal(parse("", &mountinfo), 0);
	assert_int_equal(mountinfo.count, 0);
	assert_null(mountinfo_at(&mountinfo, "/sys"));
	assert_null(mountinfo_on(&mountinfo, "/sys"));
}

static void test_refuses_what_no_kernel_writes(void **state)
{
	static const char *const texts[] = {
	    "\n",
	    "1\n",
	    "x 0 0:1 / / rw - t s o\n",
	    "1 0 0-1 / / rw - t s o\n",
	    "1 0 0:1 / / rw t s o\n",
	    "1 0 0:1 / / rw -\n",
	    "1 0 0:1 / / rw - t\n",
	    "1 0 0:1 /  rw - t s o\n",
	    "1 0 99999999999:1 / / rw - t s o\n",
	    "1 0 0:1 / / rw - t s o\n\n2 1 0:1 / /a rw - t s o\n",
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(texts); i++) {
		struct mountinfo mountinfo = {.text = NULL};

		if (parse(texts[i], &mountinfo) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
	}
}

/* As many lines as are allowed, and one more. */
static void test_is_bounded(void **state)
{
	static const char line[] = "1 0 0:1 / / rw - t s o\n";
	const size_t length = sizeof(line) - 1;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		struct mountinfo mountinfo = {.text = NULL};
		size_t count = MOUNTINFO_ENTRY_MAX + extra;
		char *text = malloc(count * length + 1);

		assert_non_null(text);
		for (size_t i = 0; i < count; i++)
			memcpy(text + i * length, line, length + 1);
		assert_int_equal(mountinfo_parse(text, &mountinfo), extra == 0 ? 0 : -E2BIG);
		assert_int_equal(mountinfo.count, extra == 0 ? count : 0);
		mountinfo_finish(&mountinfo);
	}
}

/*
 * An overlay was mounted on /sys/class when something lay on /sys/class/powercap already, and two
 * binds were stacked there after that.
 */
static const char stacked[] = "20 1 8:1 / / rw - ext4 root rw\n"
			      "21 20 0:20 / /sys rw - sysfs sysfs rw\n"
			      "22 21 0:21 / /sys/class/powercap rw - tmpfs hidden rw\n"
			      "23 21 0:22 / /sys/class ro - overlay wattport ro\n"
			      "24 23 0:23 /first /sys/class/powercap ro - 9p wattport ro\n"
			      "25 24 0:23 /second /sys/class/powercap ro - 9p wattport ro\n"
			      "26 20 0:24 / /sysother rw - tmpfs other rw\n";

static void test_finds_what_is_seen(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};

	(void)state;
	assert_int_equal(parse(stacked, &mountinfo), 0);
	assert_int_equal(mountinfo_at(&mountinfo, "/sys/class/powercap")->id, 25);
	assert_int_equal(mountinfo_at(&mountinfo, "/sys/class/powercap/intel-rapl")->id, 25);
	assert_int_equal(mountinfo_at(&mountinfo, "/sys/class/net")->id, 23);
	assert_int_equal(mountinfo_at(&mountinfo, "/sys/devices")->id, 21);
	assert_int_equal(mountinfo_at(&mountinfo, "/sysother/x")->id, 26);
	assert_int_equal(mountinfo_at(&mountinfo, "/home")->id, 20);
	assert_int_equal(mountinfo_on(&mountinfo, "/sys/class")->id, 23);
	assert_null(mountinfo_on(&mountinfo, "/sys/class/net"));
}

static void test_finds_what_is_covered(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	const struct mountinfo_entry *entry;

	(void)state;
	assert_int_equal(parse(stacked, &mountinfo), 0);
	entry = mountinfo_on(&mountinfo, "/sys/class/powercap");
	assert_int_equal(mountinfo_under(&mountinfo, entry)->id, 24);
	/* What that one lies on is a directory of the overlay, not a mount. */
	entry = mountinfo_under(&mountinfo, entry);
	assert_null(mountinfo_under(&mountinfo, entry));
	assert_null(mountinfo_under(&mountinfo, NULL));
}

static void test_ends_on_lists_that_are_no_tree(void **state)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};

	(void)state;
	assert_int_equal(parse("1 0 0:1 / / rw - t s o\n2 3 0:1 / /a rw - t s o\n"
			       "3 2 0:1 / /a rw - t s o\n2 1 0:1 / /a rw - t s o\n",
			       &mountinfo),
			 0);
	assert_non_null(mountinfo_at(&mountinfo, "/a"));
}

static void test_reads_files_of_any_length(void **state)
{
	struct tree tree;
	struct diag diag;
	struct sysroot *root = NULL;
	struct mountinfo mountinfo = {.text = NULL};
	const size_t size = 300000;
	char *text = malloc(size + 100);
	size_t used = 0, count = 0;

	(void)state;
	assert_non_null(text);
	for (; used < size; count++)
		used += (size_t)snprintf(text + used, 100, "%zu %d 0:1 / /%zu rw - t s o\n",
					 count + 2, 1, count);
	tree_create(&tree);
	tree_write(&tree, "proc/self/mountinfo", "%s", text);
	assert_int_equal(sysroot_open(tree.path, &root, &diag), 0);
	assert_int_equal(mountinfo_read(root, &mountinfo), 0);
	assert_int_equal(mountinfo.count, count);
	mountinfo_finish(&mountinfo);
	tree_delete(&tree, "proc/self/mountinfo");
	assert_int_equal(mountinfo_read(root, &mountinfo), -ENOENT);
	sysroot_close(root);
	tree_remove(&tree);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_all_fields),
	    cmocka_unit_test(test_takes_no_optional_fields_and_no_source),
	    cmocka_unit_test(test_takes_an_empty_list),
	    cmocka_unit_test(test_refuses_what_no_kernel_writes),
	    cmocka_unit_test(test_is_bounded),
	    cmocka_unit_test(test_finds_what_is_seen),
	    cmocka_unit_test(test_finds_what_is_covered),
	    cmocka_unit_test(test_ends_on_lists_that_are_no_tree),
	    cmocka_unit_test(test_reads_files_of_any_length),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
