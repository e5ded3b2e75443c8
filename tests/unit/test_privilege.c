/* privilege.h: each case in a child of its own, because there is no way back. */
#include "common/privilege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cap-ng.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs it in a child and returns its exit status; a signal fails the test. */
static int run_in_child(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int body_drop(void)
{
	struct diag diag = DIAG_INIT;

	if (privilege_drop(&diag) != 0)
		return 1;
	if (getuid() == 0 || getgid() == 0 || getgroups(0, NULL) > 1)
		return 2;
	if (setuid(0) == 0 || setgid(0) == 0)
		return 3;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 4;
	/* CAP_CHOWN is the lowest: dropped from the bounding set. */
	return prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0 ? 0 : 5;
}

static void test_drop_as_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_in_child(body_drop), 0);
}

/* Root stays root, with no capability but the one it was allowed to keep, if it had that. */
static int check_capabilities(uint64_t keep)
{
	bool had = prctl(PR_CAPBSET_READ, CAP_PERFMON, 0, 0, 0) == 1;

	if (privilege_drop_capabilities(keep, NULL) != 0)
		return 1;
	if (geteuid() != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	if (capng_get_caps_process() != 0)
		return 3;
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++) {
		bool kept = capability == CAP_PERFMON && keep != 0 && had;
		unsigned number = (unsigned)capability;

		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
			return 4;
		if ((capng_have_capability(CAPNG_EFFECTIVE, number) != 0) != kept ||
		    (capng_have_capability(CAPNG_PERMITTED, number) != 0) != kept)
			return 5;
		if (capng_have_capability(CAPNG_INHERITABLE, number) != 0)
			return 6;
	}
	return 0;
}

static int body_keep_none(void)
{
	return check_capabilities(0);
}

static int body_keep_perfmon(void)
{
	return check_capabilities(PRIVILEGE_BIT(CAP_PERFMON));
}

static void test_root_without_capabilities(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_in_child(body_keep_none), 0);
	assert_int_equal(run_in_child(body_keep_perfmon), 0);
}

static int body_drop_twice(void)
{
	if (privilege_drop(NULL) != 0)
		return 1;
	if (privilege_drop(NULL) != 0)
		return 2;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

/* The second time it runs without root, as in a service that systemd started unprivileged. */
static void test_drop_unprivileged(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(body_drop_twice), 0);
}

static int body_filter(void)
{
	static const struct privilege_call calls[] = {
	    {.number = SCMP_SYS(getppid)},
	    {.number = SCMP_SYS(socket),
	     .condition_count = 2,
	     .conditions = {{0, PRIVILEGE_INT, AF_UNIX},
			    {1, SOCK_STREAM | SOCK_DGRAM, SOCK_DGRAM}}},
	    {.number = SCMP_SYS(getpgid), .deny = ENXIO},
	};
	static const struct privilege_table table = {"test", &privilege_table_base,
						     sizeof(calls) / sizeof(calls[0]), calls};
	char *memory;

	if (privilege_filter(&table, NULL) != 0)
		return 1;
	if (getppid() <= 0)
		return 2;
	/* Big enough to be a mapping of its own. */
	memory = calloc(1, (size_t)8 << 20);
	if (memory == NULL)
		return 3;
	free(memory);
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 4;
	if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM)
		return 5;
	if (fork() >= 0 || errno != EPERM)
		return 6;
	/* All conditions hold, or the call fails. */
	if (socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0)
		return 7;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(AF_INET, SOCK_DGRAM, 0) >= 0)
		return 8;
	/* Memory is never to be executed, not even what was made before. */
	memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory != MAP_FAILED || errno != EPERM)
		return 9;
	/* A call may have an error of its own. */
	return getpgid(0) < 0 && errno == ENXIO ? 0 : 10;
}

static void test_filter(void **state)
{
	(void)state;
	if (!privilege_filter_works())
		skip();
	assert_int_equal(run_in_child(body_filter), 0);
}

static int body_filter_bad(void)
{
	static const struct privilege_call call = {.number = __NR_SCMP_ERROR};
	static const struct privilege_table table = {"test", &privilege_table_base, 1, &call};
	struct diag diag = DIAG_INIT;

	if (privilege_filter(&table, &diag) >= 0)
		return 1;
	return strstr(diag.text, "system calls") != NULL ? 0 : 2;
}

static void test_filter_refuses_unknown_call(void **state)
{
	(void)state;
	if (!privilege_filter_works())
		skip();
	assert_int_equal(run_in_child(body_filter_bad), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_drop_as_root),
	    cmocka_unit_test(test_root_without_capabilities),
	    cmocka_unit_test(test_drop_unprivileged),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_filter_refuses_unknown_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
