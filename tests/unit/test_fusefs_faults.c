/* The modules of wattport-fs where a system call or an allocation fails, each at its Nth call: what
 * was begun is undone, the message says why, and the next try works. */
#include "common/cleanup.h"
#include "fusefs/fs_memory.h"
#include "fusefs/pid_file.h"
#include "fusefs/plain_activity.h"
#include "fusefs/plain_request.h"
#include "fusefs/plain_tree.h"
#include "fusefs/plain_trees.h"
#include "fusefs/process_view.h"
#include "fusefs/runtime_directory.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 20000
#define S	  CLOCK_NS_PER_SECOND

static const int errors[] = {EIO, EMFILE, ENOSPC, EACCES};

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	CHECK_POINTER(directory);
	while (readdir(directory) != NULL) // NOLINT(concurrency-mt-unsafe)
		count++;
	(void)closedir(directory);
	return count;
}

/* One thing that is done and undone: 0 or the error that it reported. */
typedef int fallible(void *context, struct diag *diag);

/* Fails each of its calls once, with each error; without a fault it works. */
static void fail_each(fallible *attempt, void *context)
{
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		unsigned failed = 0;

		for (unsigned nth = 1; nth < CALLS_MAX; nth++) {
			struct diag diag = DIAG_INIT;
			size_t before = count_descriptors();
			int status;

			fault_arm(FAULT_ANY, nth, errors[i]);
			status = attempt(context, &diag);
			if (!fault_disarm()) {
				assert_int_equal(status, 0);
				break;
			}
			failed += status < 0;
			if (status < 0 && diag.text[0] == '\0')
				fail_msg("call %u: %s, and no word why", nth, strerror(-status));
			assert_int_equal(count_descriptors(), before);
		}
		assert_true(failed > 0);
	}
}

/* --- memory and files --- */

static int attempt_memory(void *context, struct diag *diag)
{
	struct heritage_mapping old;
	struct fs_memory *memory, *again;
	int fd, again_fd;
	int status = fs_memory_create(&memory, &fd, diag);

	if (status < 0)
		return status;
	memcpy(memory->init.bytes, context, WIRE_OPENING_SIZE);
	/* Far from each other, with pages between them that nobody has written. */
	memory->trees.trees[TREE_MAX - 1].generation = 1;
	memory->handles.handles[HANDLE_MAX - 1].length = 2;
	memory->handles.pages[HANDLE_PAGE_MAX - 1][0] = 3;
	again_fd = fd;
	status = fs_memory_inherit(&again_fd, true, &again, &old, diag);
	if (status == 0) {
		fs_memory_adopt(again, &old);
		assert_true(wire_is_opening(again->init.bytes));
		assert_int_equal(again->trees.trees[TREE_MAX - 1].generation, 1);
		assert_int_equal(again->handles.handles[HANDLE_MAX - 1].length, 2);
		assert_int_equal(again->handles.pages[HANDLE_PAGE_MAX - 1][0], 3);
		fs_memory_destroy(again);
	}
	fs_memory_destroy(memory);
	(void)close(again_fd);
	return status;
}

static void test_memory(void **state)
{
	/* Of 56 bytes, FUSE_INIT, and the major version of the protocol. */
	uint32_t opening[14] = {WIRE_OPENING_SIZE, FUSE_INIT, [10] = FUSE_KERNEL_VERSION};

	(void)state;
	fail_each(attempt_memory, opening);
}

static int attempt_pid_file(void *context, struct diag *diag)
{
	const struct fake_host *host = context;
	cleanup_fd int fd = -1;
	int status = pid_file_open(host->runtime_fd, "test.pid", &fd);

	if (status == 0)
		status = pid_file_lock(fd);
	if (status == 0 && !pid_file_is_current(fd, host->runtime_fd, "test.pid"))
		status = -EIO;
	return status < 0 ? diag_error(diag, status, "told by the caller") : 0;
}

static void test_pid_file(void **state)
{
	fail_each(attempt_pid_file, *state);
}

/* Who holds a lock is found or not, and never somebody else. */
static void test_holder_of_a_lock(void **state)
{
	const struct fake_host *host = *state;
	struct pid_file_holder holder;
	cleanup_fd int fd = -1;
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pid_file_open(host->runtime_fd, "test.pid", &fd), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		if (pid_file_lock(fd) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(pid_file_lock(fd), -EBUSY);
	for (unsigned nth = 1; nth <= 2; nth++) {
		fault_arm(FAULT_DUPLICATE, nth, EIO);
		assert_int_equal(pid_file_holder(fd, &holder), -EIO);
		assert_true(fault_disarm());
	}
	assert_int_equal(pid_file_holder(fd, &holder), 0);
	assert_int_equal(holder.pid, child);
	fault_arm(FAULT_POLL, 1, ENOMEM);
	assert_int_equal(pid_file_end(&holder), -ENOMEM);
	assert_true(fault_disarm());
	fault_arm(FAULT_POLL, 1, EINTR);
	assert_int_equal(pid_file_end(&holder), 0);
	assert_true(fault_disarm());
	(void)close(holder.pidfd);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(pid_file_holder(fd, &holder), -ESRCH);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static int attempt_runtime_directory(void *context, struct diag *diag)
{
	const struct fake_host *host = context;
	char path[PATH_MAX], joined[PATH_MAX];
	int fd;
	int status = runtime_directory_open(host->path, &fd, path, diag);

	if (status < 0)
		return status;
	(void)close(fd);
	return runtime_directory_join(path, "vm", joined, diag);
}

static void test_runtime_directory(void **state)
{
	const struct fake_host *host = *state;
	char path[PATH_MAX], file[PATH_MAX];
	struct diag diag = DIAG_INIT;
	int fd;

	fail_each(attempt_runtime_directory, *state);
	fd = openat(host->runtime_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(file, sizeof(file), "%s/file", host->path);
	assert_true(runtime_directory_open(file, &fd, path, &diag) < 0);
	check_contains(diag.text, "cannot open");
	(void)snprintf(file, sizeof(file), "%s/file/below", host->path);
	assert_int_equal(runtime_directory_open(file, &fd, path, &diag), -ENOTDIR);
	check_contains(diag.text, "--runtime-dir");
	memset(file, 'x', sizeof(file));
	file[sizeof(file) - 1] = '\0';
	assert_int_equal(runtime_directory_join(file, "vm", path, &diag), -ENAMETOOLONG);
	/* A new one, which everybody may look into. */
	(void)snprintf(file, sizeof(file), "%s/new", host->path);
	assert_int_equal(runtime_directory_open(file, &fd, path, &diag), 0);
	(void)close(fd);
}

static int attempt_process_view(void *context, struct diag *diag)
{
	int fd;
	int status = process_view_open(context, &fd, diag);

	if (status == 0)
		(void)close(fd);
	return status;
}

static void test_process_view(void **state)
{
	const struct fake_host *host = *state;
	cleanup_sysroot struct sysroot *root = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(sysroot_open(host->path, &root, &diag), 0);
	fail_each(attempt_process_view, root);
}

/* --- plain files --- */

static int attempt_activity(void *context, struct diag *diag)
{
	const struct fake_host *host = context;
	struct plain_activity *activity;
	int status = plain_activity_create(&activity, diag);
	cleanup_fd int fd = -1;

	if (status < 0)
		return status;
	fd = openat(host->runtime_fd, "watched", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		status = -errno;
	if (status == 0)
		status =
		    plain_activity_listen(activity, fd, (struct plain_activity_key){.file = 1});
	plain_activity_destroy(activity);
	return status < 0 ? diag_error(diag, status, "told by the caller") : 0;
}

static void test_activity(void **state)
{
	fail_each(attempt_activity, *state);
}

static int make_nothing(void *context, const struct uuid *uuid, uint32_t socket_count,
			struct diag *diag)
{
	(void)context, (void)uuid, (void)socket_count, (void)diag;
	return 0;
}

static int attempt_request(void *context, struct diag *diag)
{
	const struct fake_host *host = context;
	struct plain_request *request;
	int status = plain_request_open(host->runtime_fd, make_nothing, NULL, &request, diag);

	if (status < 0)
		return status;
	plain_request_process(request);
	plain_request_close(request);
	return 0;
}

static void test_request(void **state)
{
	fail_each(attempt_request, *state);
}

struct trees {
	const struct fake_host *host;
	int root_fd;
	struct plain_activity *activity;
	struct mono_time now;
	uint64_t told_uj;
};

static int attempt_trees(void *context, struct diag *diag)
{
	struct trees *trees = context;
	const struct plain_trees_context plain = {.runtime_fd = trees->host->runtime_fd,
						  .root_fd = trees->root_fd,
						  .activity = trees->activity,
						  .clock = clock_real(),
						  .period_ns = S};
	struct plain_trees *made;
	struct uuid uuid = {.bytes = {9}};
	int status = plain_trees_create(&plain, trees->now, &made, diag);

	if (status < 0)
		return status;
	plain_trees_refresh(made, trees->now);
	status = plain_trees_make(made, &uuid, 1, trees->now, diag);
	plain_trees_destroy(made);
	return status;
}

/* A counter of the tree, or 0: the file is not there. */
static uint64_t energy(const struct trees *trees)
{
	cleanup_fd int fd = openat(trees->root_fd, FAKE_VM "/class/powercap/intel-rapl:0/energy_uj",
				   O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	if (fd >= 0)
		assert_true(read(fd, text, sizeof(text) - 1) > 1);
	return strtoull(text, NULL, 10);
}

/* Whatever fails: no file is ever empty, no counter goes back, and the next one makes it whole. */
static void check_trees(struct trees *trees, unsigned calls, int error)
{
	for (unsigned nth = 1; nth<CALLS_MAX; nth += nth> 20 ? 37 : 1) {
		struct diag diag = DIAG_INIT;
		size_t before = count_descriptors();
		bool happened;

		trees->now.ns += S;
		fault_arm(calls, nth, error);
		(void)attempt_trees(trees, &diag);
		happened = fault_disarm();
		if (energy(trees) != 0) {
			assert_true(energy(trees) >= trees->told_uj);
			trees->told_uj = energy(trees);
		}
		assert_int_equal(count_descriptors(), before);
		if (!happened)
			return;
		if (nth % 5 == 0) {
			(void)plain_tree_remove(trees->root_fd, FAKE_VM);
			trees->told_uj = 0;
		}
	}
	fail();
}

static void test_trees(void **state)
{
	static struct trees trees;
	struct diag diag = DIAG_INIT;

	(void)umask(022);
	trees = (struct trees){.host = *state, .now = {10 * S}};
	assert_int_equal(mkdirat(trees.host->runtime_fd, "root", 0755), 0);
	trees.root_fd = openat(trees.host->runtime_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(trees.root_fd >= 0);
	assert_int_equal(plain_activity_create(&trees.activity, &diag), 0);
	check_trees(&trees, FAULT_ANY, EIO);
	check_trees(&trees, FAULT_ANY, ENOSPC);
	assert_int_equal(attempt_trees(&trees, &diag), 0);
	assert_true(energy(&trees) >= 1000000);
	plain_activity_destroy(trees.activity);
	(void)close(trees.root_fd);
}

/* --- the worker --- */

static int attempt_worker(void *context, struct diag *diag)
{
	struct fake_kernel *kernel = context;
	struct worker *worker;
	int status;

	kernel->options.fuse_fd = dup(kernel->fds[1]);
	status = worker_create(&kernel->options, &kernel->clock.clock, &worker, diag);
	if (status < 0)
		(void)close(kernel->options.fuse_fd);
	else
		worker_destroy(worker);
	return status;
}

static void test_worker(void **state)
{
	static struct fake_kernel kernel;

	fake_kernel_open(&kernel, *state);
	fail_each(attempt_worker, &kernel);
	/* Whatever fails while it serves: it answers, or leaves the request to its successor. */
	for (unsigned nth = 1; nth < 200; nth++) {
		bool answered;

		fake_kernel_start(&kernel);
		while (fake_kernel_hear(&kernel) != NULL)
			;
		fake_kernel_wait(&kernel, 2 * S);
		fault_arm(FAULT_ANY, nth, errors[nth % CHECK_COUNT(errors)]);
		(void)fake_kernel_ask(&kernel, FUSE_LOOKUP, FUSE_ROOT_ID, FAKE_VM, sizeof(FAKE_VM));
		fake_kernel_wait(&kernel, 5 * S);
		(void)fault_disarm();
		answered = fake_kernel_hear(&kernel) != NULL;
		assert_true(answered || kernel.worker->lost != 0 || kernel.status < 0);
		fake_kernel_stop(&kernel);
	}
	fake_kernel_close(&kernel);
}

static int setup(void **state)
{
	static struct fake_host host;

	(void)signal(SIGPIPE, SIG_IGN);
	fake_host_create(&host);
	assert_int_equal(mkdirat(host.runtime_fd, "sys", 0755), 0);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	fake_host_destroy(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory),	     cmocka_unit_test(test_pid_file),
	    cmocka_unit_test(test_holder_of_a_lock), cmocka_unit_test(test_runtime_directory),
	    cmocka_unit_test(test_process_view),     cmocka_unit_test(test_activity),
	    cmocka_unit_test(test_request),	     cmocka_unit_test(test_trees),
	    cmocka_unit_test(test_worker),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
