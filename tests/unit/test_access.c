/* access.h: against a /proc of the test's own making. */
#include "common/cleanup.h"
#include "fusefs/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_status(void **state)
{
	static const struct {
		const char *text;
		int32_t process;
	} cases[] = {
	    {"Name:\tqemu\nUmask:\t0002\nState:\tS\nTgid:\t4711\nNgid:\t0\nPid:\t4712\n", 4711},
	    {"Name:\tTgid:\t1\nTgid:\t4711\n", 4711},
	    {"Tgid:\t4711\n", 0}, /* Name comes first, always */
	    {"Name:\tx\nPid:\t4712\n", 0},
	    {"Name:\tx\nTgid:\t\n", 0},
	    {"Name:\tx\nTgid:\t-1\n", 0},
	    {"Name:\tx\nTgid:\t99999999999\n", 0},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(access_parse_process(cases[i].text), cases[i].process);
}

static void test_callers(void **state)
{
	static const char status[] = "Name:\tqemu\nTgid:\t4711\n";
	static const struct {
		struct access_caller caller;
		int32_t owner;
		bool allowed;
	} cases[] = {
	    {{.user = 0, .thread = 1}, 0, true}, /* root, also for a machine that is off */
	    {{.user = 64055, .thread = 4712}, 4711, true},
	    {{.user = 64055, .thread = 4712}, 4713, false}, /* another machine's QEMU */
	    {{.user = 64055, .thread = 4712}, 0, false},    /* nobody runs it */
	    {{.user = 64055, .thread = 0}, 4711, false},    /* out of another namespace */
	    {{.user = 64055, .thread = 0}, 0, false},
	    {{.user = 64055, .thread = 5000}, 4711, false}, /* gone in the meantime */
	};
	char path[] = "/tmp/test_access.XXXXXX";
	cleanup_fd int proc_fd = -1;
	cleanup_fd int fd = -1;

	(void)state;
	assert_non_null(mkdtemp(path));
	proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(proc_fd, "4712", 0755), 0);
	fd = openat(proc_fd, "4712/status", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, status, strlen(status)), strlen(status));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(access_allows(proc_fd, cases[i].caller, cases[i].owner),
				 cases[i].allowed);
	assert_int_equal(unlinkat(proc_fd, "4712/status", 0), 0);
	assert_int_equal(unlinkat(proc_fd, "4712", AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
