/* qemu_scan.h: a /proc of three processes of one uuid, two of them of users that run no machines.
 */
#include "common/cleanup.h"
#include "host/qemu_scan.h"
#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define UUID_TEXT  "11111111-2222-4333-8444-555555555555"
#define OTHER_TEXT "11111111-2222-4333-8444-666666666666"
#define RUNNER	   64055
#define STRANGER   1000

struct fixture {
	struct tree tree;
	int proc_fd;
	struct uuid uuid;
	struct access_users users;
	struct qemu_scan scan;
};

/* A process as /proc shows it; `started` also in ticks. */
static void put_process(const struct fixture *fixture, int pid, unsigned user, unsigned started,
			const char *libvirt_id)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "proc/%d/comm", pid);
	tree_write(&fixture->tree, path, "qemu-system-x86\n");
	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_write(&fixture->tree, path,
		   "%d (qemu-system-x86) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 4 0 %u 0 0 0 0 0 0 0 "
		   "0 0 0 0 0 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		   pid, started);
	(void)snprintf(path, sizeof(path), "proc/%d/status", pid);
	tree_write(&fixture->tree, path,
		   "Name:\tqemu-system-x86\nTgid:\t%d\nPid:\t%d\nUid:\t%u\t%u\t%u\t%u\n", pid, pid,
		   user, user, user, user);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	tree_write(&fixture->tree, path,
		   "qemu%c-name%cvm%c-uuid%c" UUID_TEXT
		   "%c-object%csecret,file=/var/lib/libvirt/qemu/domain-%s-vm/key%c",
		   0, 0, 0, 0, 0, 0, libvirt_id, 0);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	tree_create(&fixture->tree);
	fixture->proc_fd = openat(fixture->tree.fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(uuid_parse(UUID_TEXT, &fixture->uuid), 0);
	fixture->users = (struct access_users){.count = 1, .users = {RUNNER}};
	qemu_scan_init(&fixture->scan);
	fixture->scan.users = &fixture->users;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	qemu_scan_finish(&fixture->scan);
	(void)close(fixture->proc_fd);
	tree_remove(&fixture->tree);
	free(fixture);
	return 0;
}

/* Neither its age nor a domain's number in its command line helps a stranger. */
static void test_strangers_do_not_take_the_place(void **state)
{
	struct fixture *fixture = *state;

	put_process(fixture, 10, STRANGER, 100, "7");
	put_process(fixture, 20, RUNNER, 200, "7");
	put_process(fixture, 30, STRANGER, 300, "7");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_int_equal(fixture->scan.count, 3);
	assert_int_equal(fixture->scan.unbelieved, 2);
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, 7)->process.pid, 20);
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, -1)->process.pid, 20);
}

/* Where libvirt knows the machine and there is no other, a user that was not named will do. */
static void test_stranger_alone(void **state)
{
	struct fixture *fixture = *state;

	put_process(fixture, 10, STRANGER, 100, "7");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, 7)->process.pid, 10);
	assert_false(qemu_scan_find(&fixture->scan, &fixture->uuid, 7)->believed);
	/* But it does not make a name known. */
	assert_int_equal(qemu_scan_mentions(&fixture->scan, fixture->proc_fd, &fixture->uuid), 0);
}

static void test_root_and_runners(void **state)
{
	struct fixture *fixture = *state;
	struct uuid other;

	put_process(fixture, 10, 0, 100, "7");
	put_process(fixture, 20, RUNNER, 200, "8");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_int_equal(fixture->scan.unbelieved, 0);
	/* As before: the one that libvirt has started, else the eldest. */
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, 8)->process.pid, 20);
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, 7)->process.pid, 10);
	assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, -1)->process.pid, 10);
	assert_int_equal(qemu_scan_mentions(&fixture->scan, fixture->proc_fd, &fixture->uuid), 1);
	assert_int_equal(uuid_parse(OTHER_TEXT, &other), 0);
	assert_int_equal(qemu_scan_mentions(&fixture->scan, fixture->proc_fd, &other), 0);
	assert_null(qemu_scan_find(&fixture->scan, &other, 7));
}

/* A process whose user cannot be told is not there, as one that has vanished. */
static void test_status_that_is_missing(void **state)
{
	struct fixture *fixture = *state;

	put_process(fixture, 10, RUNNER, 100, "7");
	tree_delete(&fixture->tree, "proc/10/status");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_int_equal(fixture->scan.count, 0);
	fixture->scan.users = NULL;
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_int_equal(fixture->scan.count, 1);
	assert_true(fixture->scan.processes[0].believed);
}

/* Who opens a file that is watched is seen; in /proc he would wait until the process goes on. */
static void test_process_that_hangs(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[128], events[256];
	struct uuid other;

	assert_int_equal(uuid_parse(OTHER_TEXT, &other), 0);
	put_process(fixture, 10, RUNNER, 100, "7");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	(void)snprintf(path, sizeof(path), "%s/proc/10/cmdline", fixture->tree.path);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	put_process(fixture, 20, RUNNER, 200, "8");
	tree_write(&fixture->tree, "proc/20/cmdline", "qemu%c-uuid%c" OTHER_TEXT "%c", 0, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
		assert_int_equal(fixture->scan.count, 2);
		assert_int_equal(qemu_scan_find(&fixture->scan, &fixture->uuid, 7)->process.pid,
				 10);
		assert_int_equal(qemu_scan_find(&fixture->scan, &other, -1)->process.pid, 20);
	}
	assert_int_equal(read(watch, events, sizeof(events)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* The same number, and even the same name, of a process that began later; and another program. */
static void test_process_that_is_another(void **state)
{
	struct fixture *fixture = *state;
	struct uuid other;

	assert_int_equal(uuid_parse(OTHER_TEXT, &other), 0);
	put_process(fixture, 10, RUNNER, 100, "7");
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	put_process(fixture, 10, RUNNER, 101, "7");
	tree_write(&fixture->tree, "proc/10/cmdline", "qemu%c-uuid%c" OTHER_TEXT "%c", 0, 0, 0);
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_non_null(qemu_scan_find(&fixture->scan, &other, -1));
	assert_null(qemu_scan_find(&fixture->scan, &fixture->uuid, -1));
	tree_write(&fixture->tree, "proc/10/comm", "kvm\n");
	tree_write(&fixture->tree, "proc/10/cmdline", "kvm%c-uuid%c" UUID_TEXT "%c", 0, 0, 0);
	assert_int_equal(qemu_scan_run(&fixture->scan, fixture->proc_fd), 0);
	assert_non_null(qemu_scan_find(&fixture->scan, &fixture->uuid, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_strangers_do_not_take_the_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stranger_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_root_and_runners, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_status_that_is_missing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_process_that_hangs, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_process_that_is_another, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
