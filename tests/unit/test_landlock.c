/* landlock.h: in a child, because there is no way back. */
#include "common/landlock.h"
#include "common/own_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char path[64];
	int fd;
	int own_fd;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (fixture == NULL)
		return -1;
	(void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/wattport-test-landlock.XXXXXX");
	if (mkdtemp(fixture->path) == NULL)
		return -1;
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(fixture->fd, "own", 0755) < 0)
		return -1;
	fixture->own_fd = openat(fixture->fd, "own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return fixture->own_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)unlinkat(fixture->own_fd, "file", 0);
	(void)unlinkat(fixture->own_fd, "renamed", 0);
	(void)close(fixture->own_fd);
	(void)unlinkat(fixture->fd, "own", AT_REMOVEDIR);
	(void)unlinkat(fixture->fd, "file", 0);
	(void)close(fixture->fd);
	(void)rmdir(fixture->path);
	free(fixture);
	return 0;
}

static int make_file(int directory_fd)
{
	int fd = openat(directory_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

/* What is to hold in the child; the line of the first that does not. */
static int check_confined(const struct fixture *fixture)
{
	int status;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return __LINE__;
	status = landlock_confine(&fixture->own_fd, 1, NULL);
	if (status < 0)
		return __LINE__;
	if (status == 0)
		return 0;
	if (make_file(fixture->own_fd) != 0 ||
	    renameat(fixture->own_fd, "file", fixture->own_fd, "renamed") < 0)
		return __LINE__;
	/* One that was there, one that was not, and what else would change something. */
	if (openat(fixture->fd, "file", O_WRONLY) >= 0 || errno != EACCES)
		return __LINE__;
	if (openat(fixture->fd, "new", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return __LINE__;
	if (unlinkat(fixture->fd, "file", 0) == 0 || symlinkat("x", fixture->fd, "link") == 0 ||
	    renameat(fixture->own_fd, "renamed", fixture->fd, "renamed") == 0)
		return __LINE__;
	/* Reading is as before; running is not. */
	status = openat(fixture->fd, "file", O_RDONLY | O_CLOEXEC);
	if (status < 0)
		return __LINE__;
	if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EACCES)
		return __LINE__;
	return 0;
}

static void test_only_own_directories(void **state)
{
	const struct fixture *fixture = *state;
	int status;
	pid_t child;

	assert_int_equal(make_file(fixture->fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(check_confined(fixture));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_refused(const struct fixture *fixture, const char *word)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(own_directory_check(fixture->own_fd, "/some/where", "--dir", &diag),
			 -EPERM);
	assert_non_null(strstr(diag.text, word));
	assert_non_null(strstr(diag.text, "--dir"));
}

static void test_directories_of_others(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(own_directory_check(fixture->own_fd, "x", "--dir", NULL), 0);
	assert_int_equal(fchmod(fixture->own_fd, 0775), 0);
	assert_refused(fixture, "chmod go-w /some/where");
	assert_int_equal(fchmod(fixture->own_fd, 01777), 0);
	assert_refused(fixture, "chmod go-w /some/where");
	assert_int_equal(fchmod(fixture->own_fd, 0755), 0);
	if (geteuid() != 0)
		skip();
	assert_int_equal(fchown(fixture->own_fd, 65534, 65534), 0);
	assert_refused(fixture, "belongs to user 65534");
}

static void test_directory_is_made(void **state)
{
	const struct fixture *fixture = *state;
	char path[128];
	struct stat stat;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/own/a/b", fixture->path);
	assert_int_equal(own_directory_open(path, 0700, "--dir", &fd, NULL), 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0700);
	(void)close(fd);
	assert_int_equal(unlinkat(fixture->own_fd, "a/b", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(fixture->own_fd, "a", AT_REMOVEDIR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_only_own_directories, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_directories_of_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_directory_is_made, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
