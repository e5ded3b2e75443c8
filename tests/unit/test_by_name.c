#include "common/cleanup.h"
#include "host/by_name.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/ledger_fixture.h"
#include "tests/unit/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct fixture {
	struct tree tree;
	struct ledger *ledger;
};

static int setup(void **state)
{
	static struct fixture fixture;

	tree_create(&fixture.tree);
	assert_int_equal(ledger_create(&fixture.ledger), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	ledger_destroy(fixture->ledger);
	tree_remove(&fixture->tree);
	return 0;
}

static struct ledger_vm *set_vm(const struct fixture *fixture, uint8_t number, const char *name)
{
	const struct uuid uuid = ledger_fixture_uuid(number);
	int slot = ledger_admit(fixture->ledger, &uuid);
	struct ledger_vm *vm = slot < 0 ? NULL : ledger_vm(fixture->ledger, (size_t)slot);

	CHECK_POINTER(vm);
	(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->state = LEDGER_VM_RUNNING;
	return vm;
}

static void update(const struct fixture *fixture)
{
	assert_int_equal(by_name_update(fixture->tree.fd, fixture->ledger), 0);
}

/* The number of the machine that a link leads to, or -1. */
static int target_of(const struct fixture *fixture, const char *name)
{
	char path[NAME_MAX + 16], target[64] = "", expected[64], uuid[UUID_TEXT_SIZE];
	ssize_t length;

	(void)snprintf(path, sizeof(path), BY_NAME_DIRECTORY "/%s", name);
	length = readlinkat(fixture->tree.fd, path, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	for (uint8_t number = 0; number < 100; number++) {
		const struct uuid candidate = ledger_fixture_uuid(number);

		uuid_format(&candidate, uuid);
		(void)snprintf(expected, sizeof(expected), "../vm/%s", uuid);
		if (strcmp(expected, target) == 0)
			return number;
	}
	fail_msg("%s leads to %s", name, target);
	return -1;
}

static size_t link_count(const struct fixture *fixture)
{
	int fd = openat(fixture->tree.fd, BY_NAME_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fdopendir(fd);
	size_t count = 0;

	CHECK_POINTER(directory);
	while (readdir(directory) != NULL) // NOLINT(concurrency-mt-unsafe)
		count++;
	(void)closedir(directory);
	return count - 2;
}

static void check_encoded(const char *name, const char *expected)
{
	const struct uuid uuid = ledger_fixture_uuid(7);
	char encoded[NAME_MAX + 1];

	by_name_encode(name, &uuid, encoded);
	assert_string_equal(encoded, expected);
}

static void test_names_become_file_names(void **state)
{
	(void)state;
	check_encoded("web", "web");
	check_encoded("two words", "two words");
	check_encoded("a/b", "a%2Fb");
	check_encoded("100%", "100%25");
	check_encoded("a%2Fb", "a%252Fb");
	check_encoded(".hidden", "%2Ehidden");
	check_encoded(".", "%2E");
	check_encoded("..", "%2E.");
	check_encoded("a.b", "a.b");
	check_encoded("../../etc", "%2E.%2F..%2Fetc");
	check_encoded("new\nline\x1b\x7f", "new%0Aline%1B%7F");
	check_encoded("J\xc3\xbcrgen \xf0\x9f\x94\x8b", "J\xc3\xbcrgen \xf0\x9f\x94\x8b");
	check_encoded("", "a0b1c2d3-e4f5-4607-9829-3a4b5c6d7e07");
}

static void repeat(char *buffer, const char *part, size_t count)
{
	buffer[0] = '\0';
	for (size_t i = 0; i < count; i++)
		memcpy(buffer + i * strlen(part), part, strlen(part) + 1);
}

static void test_long_names_are_cut_at_a_character(void **state)
{
	char name[SAMPLE_NAME_SIZE], expected[SAMPLE_NAME_SIZE];

	(void)state;
	repeat(name, "x", NAME_MAX);
	check_encoded(name, name);
	repeat(name, "x", NAME_MAX + 1);
	repeat(expected, "x", NAME_MAX - 9);
	memcpy(expected + NAME_MAX - 9, "~a0b1c2d3", 10);
	check_encoded(name, expected);
	/* 200 characters of three bytes: 82 of them and the tail fit, none is cut in two. */
	repeat(name, "\xe6\x97\xa5", 200);
	repeat(expected, "\xe6\x97\xa5", 82);
	memcpy(expected + (size_t)82 * 3, "~a0b1c2d3", 10);
	check_encoded(name, expected);
	/* Nor is a %XX. */
	repeat(name, "/", 86);
	repeat(expected, "%2F", 82);
	memcpy(expected + (size_t)82 * 3, "~a0b1c2d3", 10);
	check_encoded(name, expected);
	repeat(name, "/", 85);
	repeat(expected, "%2F", 85);
	check_encoded(name, expected);
}

static void test_links_follow_the_machines(void **state)
{
	const struct fixture *fixture = *state;
	struct ledger_vm *vm;

	update(fixture);
	assert_int_equal(link_count(fixture), 0);
	(void)set_vm(fixture, 1, "a/b");
	vm = set_vm(fixture, 2, "..");
	vm->state = LEDGER_VM_OFF;
	update(fixture);
	assert_int_equal(link_count(fixture), 2);
	assert_int_equal(target_of(fixture, "a%2Fb"), 1);
	assert_int_equal(target_of(fixture, "%2E."), 2);
	/* One is renamed, one goes, one comes with the name that became free. */
	(void)set_vm(fixture, 1, "other");
	vm->state = LEDGER_VM_GONE;
	(void)set_vm(fixture, 3, "a/b");
	update(fixture);
	assert_int_equal(link_count(fixture), 2);
	assert_int_equal(target_of(fixture, "other"), 1);
	assert_int_equal(target_of(fixture, "a%2Fb"), 3);
	/* Two exchange their names. */
	(void)set_vm(fixture, 1, "a/b");
	(void)set_vm(fixture, 3, "other");
	update(fixture);
	assert_int_equal(link_count(fixture), 2);
	assert_int_equal(target_of(fixture, "a%2Fb"), 1);
	assert_int_equal(target_of(fixture, "other"), 3);
}

static void test_of_one_name_the_first_keeps_it(void **state)
{
	const struct fixture *fixture = *state;

	(void)set_vm(fixture, 2, "twin");
	update(fixture);
	/* In the ledger before the one that has the link. */
	(void)set_vm(fixture, 1, "twin");
	update(fixture);
	assert_int_equal(target_of(fixture, "twin"), 2);
	(void)set_vm(fixture, 2, "single");
	update(fixture);
	assert_int_equal(target_of(fixture, "twin"), 1);
	assert_int_equal(target_of(fixture, "single"), 2);
}

static void test_departed_accounts_have_no_link(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid uuid = ledger_fixture_uuid(1);

	(void)set_vm(fixture, 1, "web");
	update(fixture);
	assert_int_equal(
	    ledger_depart(fixture->ledger, (size_t)ledger_find(fixture->ledger, &uuid)), 0);
	update(fixture);
	assert_int_equal(link_count(fixture), 0);
}

static void test_only_links_are_ours(void **state)
{
	const struct fixture *fixture = *state;

	tree_write(&fixture->tree, BY_NAME_DIRECTORY "/note", "somebody's");
	assert_int_equal(symlinkat("/etc", fixture->tree.fd, BY_NAME_DIRECTORY "/web"), 0);
	assert_int_equal(symlinkat("../vm/a0b1c2d3-e4f5-4607-9829-3a4b5c6d7e01-and-more",
				   fixture->tree.fd, BY_NAME_DIRECTORY "/stale"),
			 0);
	(void)set_vm(fixture, 1, "web");
	update(fixture);
	assert_int_equal(target_of(fixture, "web"), 1);
	assert_int_equal(link_count(fixture), 2);
	assert_int_equal(faccessat(fixture->tree.fd, BY_NAME_DIRECTORY "/note", F_OK, 0), 0);
}

static void test_a_link_in_place_of_the_directory_is_not_followed(void **state)
{
	const struct fixture *fixture = *state;

	(void)set_vm(fixture, 1, "web");
	assert_int_equal(symlinkat("sys", fixture->tree.fd, BY_NAME_DIRECTORY), 0);
	assert_true(by_name_update(fixture->tree.fd, fixture->ledger) < 0);
	assert_int_equal(faccessat(fixture->tree.fd, "sys/web", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

/* The list of names is a list of neighbours: for root alone, whatever it was before. */
static void test_closed_to_others(void **state)
{
	struct fixture *fixture = *state;
	struct stat stat;

	for (int i = 0; i < 2; i++) {
		update(fixture);
		assert_int_equal(fstatat(fixture->tree.fd, BY_NAME_DIRECTORY, &stat, 0), 0);
		assert_int_equal(stat.st_mode & 07777, 0700);
		assert_int_equal(fchmodat(fixture->tree.fd, BY_NAME_DIRECTORY, 0755, 0), 0);
	}
}

/* Whatever a machine is called, its link is one entry here and leads to its own tree. */
static void test_no_name_escapes(void **state)
{
	static const char *const names[] = {
	    ".",    "..",	"/",	"../../etc", "a/../b", "", "/etc/passwd", "\n", "%2E%2E",
	    "\x7f", "\xff\xfe", "\xc3", ".\xe2\x80", "-rf",    " "};
	struct fixture *fixture = *state;
	const struct dirent *entry;
	DIR *directory;
	size_t count = 0;

	for (size_t i = 0; i < CHECK_COUNT(names); i++)
		(void)set_vm(fixture, (uint8_t)(i + 1), names[i]);
	update(fixture);
	directory = fdopendir(openat(fixture->tree.fd, BY_NAME_DIRECTORY, O_RDONLY | O_DIRECTORY));
	CHECK_POINTER(directory);
	while ((entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		assert_true(target_of(fixture, entry->d_name) > 0);
		count++;
	}
	assert_int_equal(count, CHECK_COUNT(names));
	assert_int_equal(closedir(directory), 0);
}

/* What could not be done at one time is done at the next. */
static void test_any_call_may_fail(void **state)
{
	static const int errors[] = {EIO, ENOENT, EACCES, EMFILE, ENOSPC};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		unsigned nth = 0;
		bool struck;
		int status;

		do {
			(void)set_vm(fixture, 1, "one");
			(void)set_vm(fixture, 2, "two");
			update(fixture);
			(void)set_vm(fixture, 1, "new");
			fault_arm(FAULT_ANY, ++nth, errors[i]);
			status = by_name_update(fixture->tree.fd, fixture->ledger);
			struck = fault_disarm();
			assert_true(struck || status == 0);
			update(fixture);
			assert_int_equal(target_of(fixture, "new"), 1);
			assert_int_equal(target_of(fixture, "two"), 2);
			assert_int_equal(target_of(fixture, "one"), -1);
		} while (struck && nth < 100);
		assert_in_range(nth, 5, 99);
	}
}

int main(void)
{
#define NAME_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_become_file_names),
	    cmocka_unit_test(test_long_names_are_cut_at_a_character),
	    NAME_TEST(test_links_follow_the_machines),
	    NAME_TEST(test_of_one_name_the_first_keeps_it),
	    NAME_TEST(test_departed_accounts_have_no_link),
	    NAME_TEST(test_only_links_are_ours),
	    NAME_TEST(test_a_link_in_place_of_the_directory_is_not_followed),
	    NAME_TEST(test_closed_to_others),
	    NAME_TEST(test_no_name_escapes),
	    NAME_TEST(test_any_call_may_fail),
	};

	return cmocka_run_group_tests_name("by_name", tests, NULL, NULL);
}
