#include "common/cleanup.h"
#include "common/file.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static void test_whole_or_not_at_all(void **state)
{
	const struct tree *tree = *state;
	char buffer[8] = "........";
	size_t length = 99;

	tree_write(tree, "seven", "1234567");
	tree_write(tree, "eight", "12345678");
	tree_write(tree, "empty", "%s", "");
	assert_int_equal(file_read_at(tree->fd, "seven", buffer, sizeof(buffer), &length), 0);
	assert_int_equal(length, 7);
	assert_string_equal(buffer, "1234567");
	assert_int_equal(file_read_at(tree->fd, "eight", buffer, sizeof(buffer), &length), -EFBIG);
	assert_int_equal(length, 7);
	assert_int_equal(file_read_at(tree->fd, "empty", buffer, sizeof(buffer), &length), 0);
	assert_int_equal(length, 0);
	assert_int_equal(file_read_at(tree->fd, "none", buffer, sizeof(buffer), &length), -ENOENT);
	assert_int_equal(file_read_at(tree->fd, "sys", buffer, sizeof(buffer), &length), -EISDIR);
}

static void test_a_kept_descriptor_reads_from_the_start(void **state)
{
	const struct tree *tree = *state;
	cleanup_fd int fd = -1;
	char buffer[16];
	size_t length;

	tree_write(tree, "value", "1\n");
	fd = openat(tree->fd, "value", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_pread_all(fd, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "1\n");
	tree_write(tree, "value", "22\n");
	fault_arm(FAULT_PREAD, 1, EINTR);
	assert_int_equal(file_pread_all(fd, buffer, sizeof(buffer), &length), 0);
	assert_true(fault_disarm());
	assert_string_equal(buffer, "22\n");
	fault_arm(FAULT_PREAD, 2, EIO);
	assert_int_equal(file_pread_all(fd, buffer, sizeof(buffer), &length), -EIO);
	assert_true(fault_disarm());
}

static void test_lines(void **state)
{
	const struct tree *tree = *state;
	char buffer[16];

	tree_write(tree, "line", "package-0\n");
	assert_int_equal(file_read_line_at(tree->fd, "line", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "package-0");
	tree_write(tree, "line", "package-0");
	assert_int_equal(file_read_line_at(tree->fd, "line", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "package-0");
	tree_write(tree, "line", "\n");
	assert_int_equal(file_read_line_at(tree->fd, "line", buffer, sizeof(buffer)), -ENODATA);
	tree_write(tree, "line", "%s", "");
	assert_int_equal(file_read_line_at(tree->fd, "line", buffer, sizeof(buffer)), -ENODATA);
	assert_int_equal(file_read_line_at(tree->fd, "none", buffer, sizeof(buffer)), -ENOENT);
}

static void test_writing_goes_on_after_short_writes(void **state)
{
	const struct tree *tree = *state;
	cleanup_fd int fd = openat(tree->fd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char buffer[16];
	size_t length;

	fault_limit_writes(3);
	fault_arm(FAULT_WRITE, 2, EINTR);
	assert_int_equal(file_write_all(fd, "0123456789", 10), 0);
	assert_true(fault_disarm());
	assert_int_equal(file_pread_all(fd, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "0123456789");
}

static size_t count_files(const struct tree *tree)
{
	DIR *directory = opendir(tree->path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

static void test_replacing(void **state)
{
	const struct tree *tree = *state;
	char buffer[16];
	struct stat status;

	assert_int_equal(file_replace_at(tree->fd, "state", "one", 3, 0600), 0);
	assert_int_equal(file_replace_at(tree->fd, "state", "two", 3, 0640), 0);
	assert_int_equal(file_read_line_at(tree->fd, "state", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "two");
	assert_int_equal(fstatat(tree->fd, "state", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(count_files(tree), 2 + 2 + 1); /* . and .., sys and proc, state */
}

/*
 * Whichever call fails, the file holds the old or the new content, whole, and nothing else is left
 * in the directory; after the rename the new one is there though the call failed.
 */
static void test_replacing_may_fail_anywhere(void **state)
{
	const struct tree *tree = *state;
	unsigned nth = 1;
	int status;

	do {
		char buffer[16];

		assert_int_equal(file_replace_at(tree->fd, "state", "old", 3, 0600), 0);
		fault_limit_writes(2);
		fault_arm(FAULT_ANY, nth++, ENOSPC);
		status = file_replace_at(tree->fd, "state", "new!", 4, 0600);
		assert_int_equal(status, fault_disarm() ? -ENOSPC : 0);
		assert_int_equal(file_read_line_at(tree->fd, "state", buffer, sizeof(buffer)), 0);
		if (nth <= 7)
			assert_string_equal(buffer, "old");
		else
			assert_string_equal(buffer, "new!");
		assert_int_equal(count_files(tree), 2 + 2 + 1);
	} while (status < 0);
	/* open, two writes, fchmod, fsync, rename: then the directory's open and fsync. */
	assert_int_equal(nth, 10);
}

static void test_names_that_are_too_long(void **state)
{
	const struct tree *tree = *state;
	char name[256];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(file_replace_at(tree->fd, name, "x", 1, 0600), -ENAMETOOLONG);
	name[255 - 5] = '\0'; /* ".NAME.new" has five more and fits exactly */
	assert_int_equal(file_replace_at(tree->fd, name, "x", 1, 0600), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TREE_TEST(test_whole_or_not_at_all),
	    TREE_TEST(test_a_kept_descriptor_reads_from_the_start),
	    TREE_TEST(test_lines),
	    TREE_TEST(test_writing_goes_on_after_short_writes),
	    TREE_TEST(test_replacing),
	    TREE_TEST(test_replacing_may_fail_anywhere),
	    TREE_TEST(test_names_that_are_too_long),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
