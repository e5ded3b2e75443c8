#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/sysroot.h"
#include "host/libvirt_sync.h"

/* libvirt's test driver: one machine that runs, without any process; and a /proc of our own. */
struct fixture {
	struct tree tree;
	struct sysroot *root;
	struct libvirt_sync sync;
	virConnectPtr connection;
	struct uuid uuid;
};

static void open_fixture(struct fixture *fixture, bool told_times)
{
	tree_create(&fixture->tree);
	assert_int_equal(sysroot_open(fixture->tree.path, &fixture->root, NULL), 0);
	assert_int_equal(
	    libvirt_sync_init(&fixture->sync, sysroot_proc_fd(fixture->root), told_times), 0);
	assert_int_equal(virInitialize(), 0);
	fixture->connection = virConnectOpen("test:///default");
	assert_non_null(fixture->connection);
	assert_int_equal(uuid_parse("6695eb01-f6a4-8304-79aa-97f2502e193f", &fixture->uuid), 0);
}

static void close_fixture(struct fixture *fixture)
{
	(void)virConnectClose(fixture->connection);
	libvirt_sync_finish(&fixture->sync);
	sysroot_close(fixture->root);
	tree_remove(&fixture->tree);
}

static const struct vm_roster_vm *look(struct fixture *fixture)
{
	const struct vm_roster_vm *vm;

	assert_int_equal(libvirt_sync_all(&fixture->sync, fixture->connection, NULL), 0);
	vm = vm_roster_find(fixture->sync.roster, &fixture->uuid);
	assert_non_null(vm);
	return vm;
}

static void start_process(struct fixture *fixture)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(&fixture->uuid, uuid);
	tree_write(&fixture->tree, "proc/10/comm", "qemu-system-x86\n");
	tree_write(
	    &fixture->tree, "proc/10/stat",
	    "10 (qemu) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
	    "17 0 0 0\n");
	tree_write(&fixture->tree, "proc/10/cmdline", "qemu-system-x86_64%c-uuid%c%s%c", 0, 0, uuid,
		   0);
}

/* libvirt says that it runs a moment before QEMU is there: it is found, and read by its threads. */
static void test_a_process_that_comes_late(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	vm = look(&fixture);
	assert_false(vm->running);
	assert_false(vm->has_times);
	assert_true(fixture.sync.unsettled);
	vm = look(&fixture);
	assert_false(vm->running);
	start_process(&fixture);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_false(vm->has_times);
	assert_int_equal(vm->process.pid, 10);
	assert_false(fixture.sync.unsettled);
	close_fixture(&fixture);
}

/* The list of processes is older than the machine. */
static void test_a_list_that_is_too_old(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	assert_int_equal(libvirt_sync_processes(&fixture.sync), 0);
	start_process(&fixture);
	assert_int_equal(libvirt_sync_one(&fixture.sync, fixture.connection, &fixture.uuid, NULL),
			 1);
	assert_int_equal(vm_roster_find(fixture.sync.roster, &fixture.uuid)->process.pid, 10);
	close_fixture(&fixture);
}

/* Whom nobody can see is told by libvirt, for as long as it runs. */
static void test_a_process_out_of_sight(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	for (int i = 0; i < 3; i++)
		assert_false(look(&fixture)->running);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_true(vm->has_times);
	assert_false(fixture.sync.unsettled);
	start_process(&fixture);
	vm = look(&fixture);
	assert_true(vm->has_times);
	assert_int_equal(vm->process.pid, 0);
	close_fixture(&fixture);
}

static void test_told_times_are_told_at_once(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, true);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_true(vm->has_times);
	assert_false(fixture.sync.unsettled);
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_process_that_comes_late),
	    cmocka_unit_test(test_a_list_that_is_too_old),
	    cmocka_unit_test(test_a_process_out_of_sight),
	    cmocka_unit_test(test_told_times_are_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
