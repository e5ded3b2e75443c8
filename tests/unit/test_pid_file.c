/* pid_file.h: who holds a file, and that nobody else is taken for him. */
#include "common/cleanup.h"
#include "fusefs/pid_file.h"
#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NAME "test.pid"

/* A child that holds the file until it is killed, having inherited a descriptor of it. */
static pid_t start_holder(int fd)
{
	int fds[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (pid_file_lock(fd) != 0 || write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	(void)close(fds[0]);
	return child;
}

/* What people and scripts read in it. */
static void assert_number(int fd, pid_t pid)
{
	char expected[32];
	char text[32] = "";

	(void)snprintf(expected, sizeof(expected), "%-10d\n", (int)pid);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, expected);
}

static void test_holder_is_found_and_ended(void **state)
{
	const struct tree *tree = *state;
	struct pid_file_holder holder;
	struct pollfd polled = {.events = POLLIN};
	cleanup_fd int fd = -1;
	pid_t child;
	int how;

	assert_int_equal(pid_file_open(tree->fd, NAME, &fd), 0);
	assert_int_equal(pid_file_holder(fd, &holder), -ESRCH);
	child = start_holder(fd);
	assert_int_equal(pid_file_lock(fd), -EBUSY);
	assert_int_equal(pid_file_holder(fd, &holder), 0);
	assert_int_equal(holder.pid, child);
	assert_number(fd, child);
	polled.fd = holder.pidfd;
	assert_int_equal(poll(&polled, 1, 0), 0);
	assert_int_equal(pid_file_end(&holder), 0);
	/* The lock goes before anybody has asked for the status. */
	assert_int_equal(pid_file_holder(fd, &holder), -ESRCH);
	assert_int_equal(pid_file_lock(fd), 0);
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	/* Who is gone already is as good as ended. */
	assert_int_equal(pid_file_end(&holder), 0);
	(void)close(holder.pidfd);
	/* A number that is shorter than the last leaves nothing of it. */
	assert_number(fd, getpid());
}

static void test_number_without_a_lock_is_nobody(void **state)
{
	const struct tree *tree = *state;
	struct pid_file_holder holder;
	cleanup_fd int fd = -1;

	tree_write(tree, NAME, "%d\n", (int)getppid());
	assert_int_equal(pid_file_open(tree->fd, NAME, &fd), 0);
	assert_int_equal(pid_file_holder(fd, &holder), -ESRCH);
}

static void test_mode_and_links(void **state)
{
	const struct tree *tree = *state;
	cleanup_fd int fd = -1;
	struct stat stat;
	int other = -1;

	tree_write(tree, NAME, "from before\n");
	assert_int_equal(fchmodat(tree->fd, NAME, 0644, 0), 0);
	assert_int_equal(pid_file_open(tree->fd, NAME, &fd), 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0600);
	assert_true(pid_file_is_current(fd, tree->fd, NAME));
	assert_int_equal(unlinkat(tree->fd, NAME, 0), 0);
	assert_false(pid_file_is_current(fd, tree->fd, NAME));
	assert_int_equal(pid_file_open(tree->fd, NAME, &other), 0);
	assert_false(pid_file_is_current(fd, tree->fd, NAME));
	(void)close(other);
	assert_int_equal(symlinkat("elsewhere", tree->fd, "link"), 0);
	assert_int_equal(pid_file_open(tree->fd, "link", &other), -ELOOP);
	assert_int_equal(pid_file_open(tree->fd, "no/such", &other), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TREE_TEST(test_holder_is_found_and_ended),
	    TREE_TEST(test_number_without_a_lock_is_nobody),
	    TREE_TEST(test_mode_and_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
