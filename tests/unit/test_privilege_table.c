/*
 * privilege_table.h: every table that is shipped, tried from within. Each forbidden call is made by
 * a child that has the table's filter, and must fail with EPERM; the same call without a filter
 * must not, or else it proves nothing and is left out.
 */
#include "common/privilege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who may make the call after all: bits of tables. */
enum table_bit {
	TABLE_METER = 1,
	TABLE_REMOTE = 2,
	TABLE_KEEPER = 4,
	TABLE_WORKER = 8,
	TABLE_PLAIN = 16,
	TABLE_EXPORTER = 32,
	TABLE_AGENT = 64,
	TABLE_OUTPUTS = 128,
};
#define TABLE_METERS (TABLE_METER | TABLE_REMOTE)
#define TABLE_FS     (TABLE_KEEPER | TABLE_WORKER | TABLE_PLAIN)

static const struct {
	const struct privilege_table *table;
	unsigned bit;
} tables[] = {
    {&privilege_table_wattportd, TABLE_METER},
    {&privilege_table_wattportd_remote, TABLE_REMOTE},
    {&privilege_table_wattport_fs_keeper, TABLE_KEEPER},
    {&privilege_table_wattport_fs_worker, TABLE_WORKER},
    {&privilege_table_wattport_fs_plain, TABLE_PLAIN},
    {&privilege_table_wattport_exporter, TABLE_EXPORTER},
    {&privilege_table_wattport_agent, TABLE_AGENT},
    {&privilege_table_wattport_agent_outputs, TABLE_OUTPUTS},
};

/*
 * Arguments with which a call harms nobody even where it is allowed: bad pointers, bad descriptors.
 */
static const struct forbidden {
	const char *name;
	unsigned allowed; /* bits of the tables that have it */
	long number;
	long arguments[6];
} forbidden[] = {
    {"execve", 0, SYS_execve, {0}},
    {"execveat", 0, SYS_execveat, {-1}},
    {"fork", TABLE_KEEPER, SYS_clone, {SIGCHLD}},
    {"clone of a user namespace", 0, SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"unshare", 0, SYS_unshare, {0}},
    {"setns", 0, SYS_setns, {-1}},
    {"ptrace", 0, SYS_ptrace, {0x4206, -1}},
    {"process_vm_readv", 0, SYS_process_vm_readv, {-1}},
    {"pidfd_getfd", 0, SYS_pidfd_getfd, {-1}},
    {"kill", TABLE_KEEPER, SYS_kill, {INT32_MAX, 0}},
    {"mount", 0, SYS_mount, {0}},
    {"umount2", TABLE_KEEPER, SYS_umount2, {0}},
    {"move_mount", 0, SYS_move_mount, {-1, 0, -1}},
    {"fsopen", 0, SYS_fsopen, {0}},
    {"pivot_root", 0, SYS_pivot_root, {0}},
    {"chroot", 0, SYS_chroot, {0}},
    {"init_module", 0, SYS_init_module, {0}},
    {"finit_module", 0, SYS_finit_module, {-1}},
    {"delete_module", 0, SYS_delete_module, {0}},
    {"kexec_load", 0, SYS_kexec_load, {0, 1000}},
    {"reboot", 0, SYS_reboot, {0}},
    {"bpf", 0, SYS_bpf, {-1}},
    {"io_uring_setup", 0, SYS_io_uring_setup, {0}},
    {"userfaultfd", 0, SYS_userfaultfd, {-1}},
    {"perf_event_open", TABLE_METERS, SYS_perf_event_open, {0}},
    {"keyctl", 0, SYS_keyctl, {-1}},
    {"personality", 0, SYS_personality, {0xffffffff}},
    {"setuid", TABLE_KEEPER, SYS_setuid, {0}},
    {"setgroups", TABLE_KEEPER, SYS_setgroups, {-1}},
    {"capset", TABLE_KEEPER, SYS_capset, {0}},
    {"seccomp", TABLE_KEEPER, SYS_seccomp, {-1}},
    {"prctl of anything", TABLE_KEEPER, SYS_prctl, {PR_GET_DUMPABLE}},
    {"setrlimit", 0, SYS_prlimit64, {0, 7, 1}},
    {"chown", 0, SYS_fchownat, {-1, 0, 0, 0}},
    {"mknod", 0, SYS_mknodat, {-1}},
    {"unlink", TABLE_METERS | TABLE_PLAIN | TABLE_KEEPER, SYS_unlinkat, {-1}},
    {"rename", TABLE_METERS | TABLE_PLAIN, SYS_renameat, {-1, 0, -1}},
    {"symlink", TABLE_METERS | TABLE_PLAIN, SYS_symlinkat, {0, -1}},
    {"open to write", TABLE_METERS | TABLE_PLAIN, SYS_openat, {-1, 0, O_WRONLY}},
    {"open to add",
     TABLE_METERS | TABLE_PLAIN | TABLE_OUTPUTS,
     SYS_openat,
     {-1, 0, O_WRONLY | O_APPEND | O_CREAT}},
    {"open to add and truncate",
     TABLE_METERS | TABLE_PLAIN,
     SYS_openat,
     {-1, 0, O_WRONLY | O_APPEND | O_TRUNC}},
    {"open to make", TABLE_METERS | TABLE_PLAIN, SYS_openat, {-1, 0, O_CREAT}},
    {"open to truncate", TABLE_METERS | TABLE_PLAIN, SYS_openat, {-1, 0, O_TRUNC}},
    {"inotify", TABLE_PLAIN, SYS_inotify_add_watch, {-1}},
    {"socket of the Internet", TABLE_REMOTE | TABLE_OUTPUTS, SYS_socket, {AF_INET, SOCK_STREAM}},
    {"socket of IPv6", TABLE_REMOTE | TABLE_OUTPUTS, SYS_socket, {AF_INET6, SOCK_STREAM}},
    {"socket of netlink", TABLE_REMOTE, SYS_socket, {AF_NETLINK, SOCK_RAW}},
    {"socket of packets", 0, SYS_socket, {AF_PACKET, SOCK_RAW}},
    {"local socket", TABLE_METERS | TABLE_FS | TABLE_OUTPUTS, SYS_socket, {AF_UNIX, SOCK_STREAM}},
    {"connect", TABLE_METERS | TABLE_FS | TABLE_OUTPUTS, SYS_connect, {-1}},
    {"bind", TABLE_METERS, SYS_bind, {-1}},
    {"listen", TABLE_METERS, SYS_listen, {-1}},
    {"ioctl of a terminal", 0, SYS_ioctl, {-1, 0x5412}},
    {"memory to write and execute",
     0,
     SYS_mmap,
     {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
    {"memory to execute",
     TABLE_METERS,
     SYS_mmap,
     {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
    {"memory made executable", 0, SYS_mprotect, {0, 4096, PROT_EXEC}},
};
#define FORBIDDEN_COUNT (sizeof(forbidden) / sizeof(forbidden[0]))

/* The errno of one call; 0: it succeeded. */
static int call_errno(const struct forbidden *call)
{
	const long *a = call->arguments;
	pid_t self = getpid();
	long result;

	errno = 0;
	result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	/* A fork that is allowed. */
	if (getpid() != self)
		_exit(0);
	return result < 0 ? errno : 0;
}

static void fill_errors(const struct privilege_table *table, int errors[static FORBIDDEN_COUNT])
{
	int fds[2];
	pid_t child;

	assert_return_code(pipe(fds), errno);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (table != NULL && privilege_filter(table, NULL) != 0)
			_exit(1);
		for (size_t i = 0; i < FORBIDDEN_COUNT; i++) {
			int error = call_errno(&forbidden[i]);

			if (write(fds[1], &error, sizeof(error)) != (ssize_t)sizeof(error))
				_exit(2);
		}
		_exit(0);
	}
	(void)close(fds[1]);
	for (size_t i = 0; i < FORBIDDEN_COUNT; i++)
		assert_int_equal(read(fds[0], &errors[i], sizeof(errors[i])), sizeof(errors[i]));
	(void)close(fds[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_forbidden_calls(void **state)
{
	int without[FORBIDDEN_COUNT], with[FORBIDDEN_COUNT];
	size_t tried = 0;

	(void)state;
	if (!privilege_filter_works())
		skip();
	fill_errors(NULL, without);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		fill_errors(tables[i].table, with);
		for (size_t j = 0; j < FORBIDDEN_COUNT; j++) {
			bool allowed = (forbidden[j].allowed & tables[i].bit) != 0;

			if (without[j] == EPERM)
				continue;
			tried++;
			if ((with[j] != EPERM) != allowed)
				fail_msg("%s: %s: errno %d, %d without the filter",
					 tables[i].table->name, forbidden[j].name, with[j],
					 without[j]);
		}
	}
	/* As nobody some fail with EPERM anyway; most must have been tried. */
	assert_true(tried > sizeof(tables) / sizeof(tables[0]) * FORBIDDEN_COUNT / 2);
}

/* Anything else than ENOSYS would keep the C library from making threads the other way. */
static void test_clone3_is_unknown(void **state)
{
	(void)state;
	if (!privilege_filter_works())
		skip();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int status;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			if (privilege_filter(tables[i].table, NULL) != 0)
				_exit(1);
			_exit(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS ? 0 : 2);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forbidden_calls),
	    cmocka_unit_test(test_clone3_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
