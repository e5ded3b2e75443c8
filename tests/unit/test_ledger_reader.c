/* Readers of a ledger that is not what it should be. */
#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "common/ledger_map_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/ledger_fixture.h"
#include "tests/unit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct tree tree;
	struct ledger *ledger;
	struct ledger_map *map;
};

static int setup(void **state)
{
	static struct fixture fixture;

	tree_create(&fixture.tree);
	fixture.ledger = ledger_fixture_create();
	assert_int_equal(ledger_map_open(fixture.tree.fd, &fixture.map, NULL), 0);
	assert_int_equal(ledger_map_publish(fixture.map, fixture.ledger), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	ledger_map_close(fixture->map);
	ledger_destroy(fixture->ledger);
	tree_remove(&fixture->tree);
	return 0;
}

static int open_map(const struct fixture *fixture)
{
	int fd = openat(fixture->tree.fd, LEDGER_MAP_NAME, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void put_word(const struct fixture *fixture, size_t at, uint64_t word)
{
	cleanup_fd int fd = open_map(fixture);

	assert_int_equal(pwrite(fd, &word, sizeof(word), (off_t)at), sizeof(word));
}

static int copy_once(struct ledger_reader *reader)
{
	struct ledger_copy copy;
	int status = ledger_reader_copy(reader, &copy);

	if (status == 0)
		ledger_copy_free(&copy);
	return status;
}

static void test_opening_and_copying_may_fail_at_any_call(void **state)
{
	static const int errors[] = {EIO, ENOENT, EACCES, EMFILE, ENOMEM};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		unsigned nth = 0;
		bool struck;

		do {
			cleanup_ledger_reader struct ledger_reader *reader = NULL;
			struct diag diag = DIAG_INIT;
			int status, copied = 0;

			fault_arm(FAULT_ANY, ++nth, errors[i]);
			status = ledger_reader_open(fixture->tree.fd, &reader, &diag);
			if (status == 0)
				copied = copy_once(reader);
			struck = fault_disarm();
			assert_int_equal(status < 0, diag.text[0] != '\0');
			assert_int_equal(status < 0, reader == NULL);
			assert_int_equal(struck, status < 0 || copied < 0);
			if (reader != NULL)
				assert_int_equal(copy_once(reader), 0);
		} while (struck && nth < 100);
		assert_in_range(nth, 4, 99);
	}
}

/* Told when it is looked at again, as all readers do before they read. */
static void test_a_ledger_that_was_cut_short(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	cleanup_fd int fd = open_map(fixture);
	struct diag diag = DIAG_INIT;

	assert_int_equal(ledger_reader_open(fixture->tree.fd, &reader, NULL), 0);
	assert_int_equal(ledger_reader_follow(reader, &diag), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(ledger_reader_follow(reader, &diag), -EPROTO);
	check_contains(diag.text, "cut short: restart wattportd");
}

/* In the middle of a reading it is the end of the process, whose keeper starts another. */
static void test_cut_short_under_a_reading(void **state)
{
	const struct fixture *fixture = *state;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct ledger_reader *reader;
		int fd = open_map(fixture);

		(void)signal(SIGBUS, SIG_DFL);
		if (ledger_reader_open(fixture->tree.fd, &reader, NULL) < 0 || ftruncate(fd, 0) < 0)
			_exit(0);
		(void)copy_once(reader);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

/* Another file's head, and counts beyond the file: refused, not believed. */
static void test_what_is_no_ledger_of_ours(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	cleanup_ledger_reader struct ledger_reader *other = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(ledger_reader_open(fixture->tree.fd, &reader, NULL), 0);
	put_word(fixture, offsetof(struct map_image, slot_count), UINT64_MAX / 2);
	assert_int_equal(copy_once(reader), -EAGAIN);
	put_word(fixture, offsetof(struct map_image, slot_count), LEDGER_VM_MAX + 1);
	assert_int_equal(copy_once(reader), -EAGAIN);
	put_word(fixture, offsetof(struct map_image, slot_count), 1);
	assert_int_equal(copy_once(reader), 0);
	/* A machine of more sockets than there can be. */
	ledger_vm(fixture->ledger, 1)->socket_count = LEDGER_SOCKET_MAX + 1;
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
	assert_int_equal(copy_once(reader), -EAGAIN);
	ledger_vm(fixture->ledger, 1)->socket_count = 1;
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
	assert_int_equal(copy_once(reader), 0);
	put_word(fixture, offsetof(struct map_image, magic), 1);
	assert_int_equal(ledger_reader_open(fixture->tree.fd, &other, &diag), -EPROTO);
	check_contains(diag.text, "of another version: restart wattportd");
}

int main(void)
{
#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    READER_TEST(test_opening_and_copying_may_fail_at_any_call),
	    READER_TEST(test_a_ledger_that_was_cut_short),
	    READER_TEST(test_cut_short_under_a_reading),
	    READER_TEST(test_what_is_no_ledger_of_ours),
	};

	return cmocka_run_group_tests_name("ledger_reader", tests, NULL, NULL);
}
