/* share.h and module.h: which shares a machine has, and what to say when ours is not among them. */
#include "guest/module.h"
#include "guest/share.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct machine {
	struct tree tree;
	struct sysroot *root;
};

static int machine_create(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	struct diag diag = DIAG_INIT;

	assert_non_null(machine);
	tree_create(&machine->tree);
	assert_int_equal(sysroot_open(machine->tree.path, &machine->root, &diag), 0);
	*state = machine;
	return 0;
}

static int machine_remove(void **state)
{
	struct machine *machine = *state;

	sysroot_close(machine->root);
	tree_remove(&machine->tree);
	free(machine);
	return 0;
}

static void add_9p(const struct machine *machine, const char *tag)
{
	tree_write(&machine->tree, "sys/bus/virtio/devices/virtio0/device", "0x0009\n");
	if (tag != NULL)
		tree_write(&machine->tree, "sys/bus/virtio/devices/virtio0/mount_tag", "%s\n", tag);
}

static void add_virtiofs(const struct machine *machine, const char *tag)
{
	tree_write(&machine->tree, "sys/bus/virtio/devices/virtio1/device", "0x001a\n");
	if (tag != NULL)
		tree_write(&machine->tree, "sys/fs/virtiofs/3/tag", "%s\n", tag);
}

static void add_filesystems(const struct machine *machine, const char *text)
{
	tree_write(&machine->tree, "proc/filesystems", "%s", text);
}

/* Expects exactly these transports, in this order; SHARE_AUTO ends them. */
static void check_choice(const struct machine *machine, enum share_transport wanted,
			 enum share_transport first, enum share_transport second)
{
	const enum share_transport expected[] = {first, second};
	size_t count = first == SHARE_AUTO ? 0 : second == SHARE_AUTO ? 1 : 2;
	struct share_choice choice = {.count = 0};
	struct share_state found;
	struct diag diag = DIAG_INIT;

	share_probe(machine->root, "wattport", &found);
	assert_int_equal(share_choose(&found, "wattport", wanted, &choice, &diag), 0);
	assert_int_equal(choice.count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(choice.transports[i], expected[i]);
}

static void check_refusal(const struct machine *machine, enum share_transport wanted, int error,
			  const char *part)
{
	struct share_choice choice;
	struct share_state found;
	struct diag diag = DIAG_INIT;

	share_probe(machine->root, "wattport", &found);
	assert_int_equal(share_choose(&found, "wattport", wanted, &choice, &diag), error);
	check_contains(diag.text, part);
}

static void test_finds_9p_by_its_tag(void **state)
{
	add_9p(*state, "wattport");
	add_filesystems(*state, "nodev\tsysfs\nnodev\t9p\n");
	check_choice(*state, SHARE_AUTO, SHARE_9P, SHARE_AUTO);
	check_choice(*state, SHARE_9P, SHARE_9P, SHARE_AUTO);
	check_refusal(*state, SHARE_VIRTIOFS, -ENODEV, "no virtiofs share tagged 'wattport'");
}

static void test_finds_virtiofs_whose_tag_is_told(void **state)
{
	add_virtiofs(*state, "wattport");
	add_filesystems(*state, "nodev\tvirtiofs\n");
	check_choice(*state, SHARE_AUTO, SHARE_VIRTIOFS, SHARE_AUTO);
	add_virtiofs(*state, "home");
	check_refusal(*state, SHARE_AUTO, -ENODEV, "(there are shares tagged 'home')");
}

/* Before Linux 6.9 only mounting shows whether the tag is right. */
static void test_tries_virtiofs_whose_tag_is_not_told(void **state)
{
	add_virtiofs(*state, NULL);
	add_9p(*state, "wattport");
	add_filesystems(*state, "nodev\tvirtiofs\nnodev\t9p\n");
	check_choice(*state, SHARE_AUTO, SHARE_9P, SHARE_VIRTIOFS);
	add_9p(*state, "other");
	check_choice(*state, SHARE_AUTO, SHARE_VIRTIOFS, SHARE_AUTO);
}

static void test_tells_that_there_is_no_share(void **state)
{
	check_refusal(*state, SHARE_AUTO, -ENODEV,
		      "no share tagged 'wattport'; on the host: wattport attach DOMAIN");
	add_9p(*state, "other");
	check_refusal(*state, SHARE_AUTO, -ENODEV, "(there are shares tagged 'other')");
}

static void test_tells_which_module_is_missing(void **state)
{
	const struct machine *machine = *state;

	add_9p(machine, NULL);
	check_refusal(machine, SHARE_AUTO, -ENOPKG, "has no module 9pnet_virtio");
	add_9p(machine, "wattport");
	check_refusal(machine, SHARE_AUTO, -ENOPKG, "--transport virtiofs");
	tree_delete(&machine->tree, "sys/bus");
	add_virtiofs(machine, NULL);
	check_refusal(machine, SHARE_AUTO, -ENOPKG, "has no module virtiofs");
}

/* Which kernel lacks it is what people look for. */
static void test_names_the_kernel_and_what_it_may_not(void **state)
{
	const struct machine *machine = *state;

	tree_write(&machine->tree, "proc/sys/kernel/osrelease", "6.1.0-56-cloud-amd64\n");
	tree_write(&machine->tree, "proc/sys/kernel/modules_disabled", "0\n");
	add_9p(machine, NULL);
	check_refusal(machine, SHARE_AUTO, -ENOPKG,
		      "this kernel (6.1.0-56-cloud-amd64) has no module 9pnet_virtio");
	tree_write(&machine->tree, "proc/sys/kernel/modules_disabled", "1\n");
	check_refusal(machine, SHARE_AUTO, -ENOPKG, "kernel.modules_disabled");
}

static void add_pci(const struct machine *machine, const char *vendor, const char *device)
{
	tree_write(&machine->tree, "sys/bus/pci/devices/0000:02:00.0/vendor", "%s\n", vendor);
	tree_write(&machine->tree, "sys/bus/pci/devices/0000:02:00.0/device", "%s\n", device);
}

static void test_tells_of_a_device_that_no_driver_takes(void **state)
{
	static const char *const ids[] = {"0x1049", "0x1009", "0x105a"};
	const struct machine *machine = *state;

	for (size_t i = 0; i < CHECK_COUNT(ids); i++) {
		add_pci(machine, "0x1af4", ids[i]);
		check_refusal(machine, SHARE_AUTO, -ENOPKG,
			      "(PCI device 0000:02:00.0), but no driver has taken it: modprobe "
			      "virtio_pci");
	}
	/* Another's device, another device, and one that has its driver. */
	add_pci(machine, "0x8086", "0x1049");
	check_refusal(machine, SHARE_AUTO, -ENODEV, "no share tagged");
	add_pci(machine, "0x1af4", "0x1000");
	check_refusal(machine, SHARE_AUTO, -ENODEV, "no share tagged");
	add_pci(machine, "0x1af4", "0x1049");
	tree_write(&machine->tree, "sys/bus/pci/devices/0000:02:00.0/driver/.hidden", "\n");
	check_refusal(machine, SHARE_AUTO, -ENODEV, "no share tagged");
}

static void test_old_drivers_end_the_tag_with_a_nul(void **state)
{
	const struct machine *machine = *state;
	struct share_state found;
	char path[128];
	FILE *file;

	add_9p(machine, "");
	(void)snprintf(path, sizeof(path), "%s/sys/bus/virtio/devices/virtio0/mount_tag",
		       machine->tree.path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite("wattport", 1, 9, file), 9);
	assert_int_equal(fclose(file), 0);
	share_probe(machine->root, "wattport", &found);
	assert_true(found.p9_tagged);
}

static void test_remembers_a_few_foreign_tags(void **state)
{
	const struct machine *machine = *state;
	struct share_state found;

	for (int i = 0; i < SHARE_TAG_LIST_MAX + 3; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/bus/virtio/devices/virtio%d/device", i);
		tree_write(&machine->tree, path, "0x0009\n");
		(void)snprintf(path, sizeof(path), "sys/bus/virtio/devices/virtio%d/mount_tag", i);
		tree_write(&machine->tree, path, "a-tag-that-is-as-long-as-36-bytes-are-%d\n", i);
	}
	share_probe(machine->root, "wattport", &found);
	assert_int_equal(found.other.count, SHARE_TAG_LIST_MAX + 3);
	assert_int_equal(strlen(found.other.names[0]), SHARE_TAG_SIZE - 1);
	check_refusal(machine, SHARE_AUTO, -ENODEV, "a-tag-that-is-as-long-as-36-bytes-ar");
}

static void test_lists_of_filesystems(void **state)
{
	(void)state;
	assert_true(module_lists_filesystem("nodev\t9p\n", "9p"));
	assert_true(module_lists_filesystem("\text4\nnodev\toverlay", "overlay"));
	assert_false(module_lists_filesystem("nodev\toverlayfs\n", "overlay"));
	assert_false(module_lists_filesystem("nodev\tfuse\n", "us"));
	assert_false(module_lists_filesystem("", "9p"));
}

/* The machine's modprobe is a program of the test's: it writes down what it was asked for. */
static void test_modprobe_is_the_kernels_own(void **state)
{
	static const char *const modules[] = {"9pnet_virtio", "9p", NULL};
	const struct machine *machine = *state;
	const char *tree = machine->tree.path;
	char path[128];

	assert_int_equal(module_load(machine->root, "9p"), -ENOENT);
	tree_write(&machine->tree, "proc/sys/kernel/modprobe", "/nonexistent/modprobe\n");
	assert_int_equal(module_load(machine->root, "9p"), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/modprobe", tree);
	tree_write(
	    &machine->tree, "modprobe",
	    "#!/bin/sh\nprintf 'nodev\\t%%s\\n' \"$2\" >> %s/proc/filesystems\n[ $2 = 9p ]\n",
	    tree);
	assert_int_equal(chmod(path, 0755), 0);
	tree_write(&machine->tree, "proc/sys/kernel/modprobe", "%s\n", path);
	assert_int_equal(module_load(machine->root, "9pnet_virtio"), -ENOPKG);
	assert_false(module_has_filesystem(machine->root, "9p"));
	assert_true(module_provide(machine->root, "9p", modules));
	assert_true(module_has_filesystem(machine->root, "9p"));
}

static void test_loads_what_the_devices_ask_for(void **state)
{
	const struct machine *machine = *state;
	struct share_state found;

	tree_write(&machine->tree, "modprobe",
		   "#!/bin/sh\nprintf 'nodev\\t%%s\\n' \"$2\" >> %s/proc/filesystems\n",
		   machine->tree.path);
	assert_int_equal(fchmodat(machine->tree.fd, "modprobe", 0755, 0), 0);
	tree_write(&machine->tree, "proc/sys/kernel/modprobe", "%s/modprobe\n", machine->tree.path);
	add_virtiofs(machine, NULL);
	share_probe(machine->root, "wattport", &found);
	assert_false(found.has_virtiofs);
	share_provide(machine->root, "wattport", SHARE_AUTO, &found);
	assert_true(found.has_virtiofs);
	assert_false(found.has_9p);
	share_provide(machine->root, "wattport", SHARE_9P, &found);
	assert_true(found.has_9p);
}

static void test_names_of_transports(void **state)
{
	enum share_transport transport = SHARE_AUTO;

	(void)state;
	assert_int_equal(share_transport_parse("virtiofs", &transport), 0);
	assert_int_equal(transport, SHARE_VIRTIOFS);
	assert_string_equal(share_transport_name(transport), "virtiofs");
	assert_int_equal(share_transport_parse("nfs", &transport), -EINVAL);
	assert_int_equal(transport, SHARE_VIRTIOFS);
}

int main(void)
{
#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_create, machine_remove)
	const struct CMUnitTest tests[] = {
	    MACHINE_TEST(test_finds_9p_by_its_tag),
	    MACHINE_TEST(test_finds_virtiofs_whose_tag_is_told),
	    MACHINE_TEST(test_tries_virtiofs_whose_tag_is_not_told),
	    MACHINE_TEST(test_tells_that_there_is_no_share),
	    MACHINE_TEST(test_tells_which_module_is_missing),
	    MACHINE_TEST(test_names_the_kernel_and_what_it_may_not),
	    MACHINE_TEST(test_tells_of_a_device_that_no_driver_takes),
	    MACHINE_TEST(test_old_drivers_end_the_tag_with_a_nul),
	    MACHINE_TEST(test_remembers_a_few_foreign_tags),
	    cmocka_unit_test(test_lists_of_filesystems),
	    MACHINE_TEST(test_modprobe_is_the_kernels_own),
	    MACHINE_TEST(test_loads_what_the_devices_ask_for),
	    cmocka_unit_test(test_names_of_transports),
	};

	return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
