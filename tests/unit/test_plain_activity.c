/* plain_activity.h: one notice a file, however often it is read, until it is asked for again. */
#include "fusefs/plain_activity.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_COUNT 40 /* more than fit into the first allocation, with the trees */

struct fixture {
	struct tree tree;
	struct plain_activity *activity;
	int fds[FILE_COUNT];
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	tree_create(&fixture.tree);
	if (plain_activity_create(&fixture.activity, &diag) < 0)
		fail_msg("%s", diag.text);
	for (int i = 0; i < FILE_COUNT; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "file%d", i);
		tree_write(&fixture.tree, name, "0\n");
		fixture.fds[i] = openat(fixture.tree.fd, name, O_RDWR | O_CLOEXEC);
		assert_true(fixture.fds[i] >= 0);
	}
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < FILE_COUNT; i++)
		(void)close(fixture->fds[i]);
	plain_activity_destroy(fixture->activity);
	tree_remove(&fixture->tree);
	return 0;
}

static void listen_to(struct fixture *fixture, uint32_t tree, uint32_t file)
{
	assert_int_equal(plain_activity_listen(fixture->activity, fixture->fds[file],
					       (struct plain_activity_key){tree, file}),
			 0);
}

/* Reads it as somebody else would. */
static void read_file(struct fixture *fixture, uint32_t file)
{
	char name[16], text[8];
	int fd;

	(void)snprintf(name, sizeof(name), "file%u", file);
	fd = openat(fixture->tree.fd, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 2);
	(void)close(fd);
}

static void check_next(struct fixture *fixture, uint32_t tree, uint32_t file)
{
	struct plain_activity_key key;

	assert_int_equal(plain_activity_next(fixture->activity, &key), 0);
	assert_int_equal(key.tree, tree);
	assert_int_equal(key.file, file);
}

static void check_none(struct fixture *fixture)
{
	struct plain_activity_key key;

	assert_int_equal(plain_activity_next(fixture->activity, &key), -EAGAIN);
}

static void test_tells_of_a_read_once(void **state)
{
	struct fixture *fixture = *state;

	listen_to(fixture, 3, 0);
	listen_to(fixture, 3, 1);
	check_none(fixture);
	for (int i = 0; i < 100; i++)
		read_file(fixture, 1);
	check_next(fixture, 3, 1);
	check_none(fixture);
	read_file(fixture, 1);
	check_none(fixture);
	listen_to(fixture, 3, 1);
	check_none(fixture);
	read_file(fixture, 1);
	read_file(fixture, 0);
	check_next(fixture, 3, 1);
	check_next(fixture, 3, 0);
	check_none(fixture);
}

/* Else the writer would take itself for a reader, and every tree would be active for ever. */
static void test_writing_is_not_reading(void **state)
{
	struct fixture *fixture = *state;

	listen_to(fixture, 0, 0);
	assert_int_equal(pwrite(fixture->fds[0], "1\n", 2, 0), 2);
	(void)close(openat(fixture->tree.fd, "file0", O_RDONLY | O_CLOEXEC));
	check_none(fixture);
}

static void test_forgets_a_tree(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t tree = 0; tree < 2; tree++)
		for (uint32_t file = tree; file < FILE_COUNT; file += 2)
			listen_to(fixture, tree, file);
	plain_activity_forget(fixture->activity, 0);
	for (uint32_t file = 0; file < FILE_COUNT; file++)
		read_file(fixture, file);
	for (uint32_t file = 1; file < FILE_COUNT; file += 2)
		check_next(fixture, 1, file);
	check_none(fixture);
	listen_to(fixture, 7, 0);
	read_file(fixture, 0);
	check_next(fixture, 7, 0);
}

static void test_file_that_is_removed(void **state)
{
	struct fixture *fixture = *state;

	listen_to(fixture, 0, 0);
	read_file(fixture, 0);
	check_next(fixture, 0, 0);
	tree_delete(&fixture->tree, "file0");
	(void)close(fixture->fds[0]);
	fixture->fds[0] = dup(fixture->fds[1]);
	check_none(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_tells_of_a_read_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_writing_is_not_reading, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forgets_a_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file_that_is_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
