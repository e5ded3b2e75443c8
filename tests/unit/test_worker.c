/* worker_internal.h: the worker's answers to the kernel, and what its successor makes of those that
 * it left. */
#include "tests/unit/check.h"
#include "tests/unit/fake_kernel.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS

struct fixture {
	struct fake_host host;
	struct fake_kernel kernel;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fake_host_create(&fixture.host);
	fake_kernel_open(&fixture.kernel, &fixture.host);
	fake_kernel_start(&fixture.kernel);
	if (fake_kernel_hear(&fixture.kernel) == NULL)
		return -1;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fake_kernel_close(&fixture->kernel);
	fake_host_destroy(&fixture->host);
	return 0;
}

/* The error of the next answer. */
static int answer(struct fake_kernel *kernel)
{
	const struct fuse_out_header *head = fake_kernel_hear(kernel);

	CHECK_POINTER(head);
	return head->error;
}

static const void *body(const struct fake_kernel *kernel)
{
	return kernel->answer + sizeof(struct fuse_out_header);
}

/* Looks a path up; its last node, or the error as a negative number. */
static int64_t look_up(struct fake_kernel *kernel, const char *path)
{
	char names[128];
	char *cursor = names;
	char *name;
	uint64_t node = FUSE_ROOT_ID;

	(void)snprintf(names, sizeof(names), "%s", path);
	while ((name = strsep(&cursor, "/")) != NULL) {
		int error;

		(void)fake_kernel_ask(kernel, FUSE_LOOKUP, node, name, strlen(name) + 1);
		error = answer(kernel);
		if (error < 0)
			return error;
		memcpy(&node, body(kernel), sizeof(node));
	}
	return (int64_t)node;
}

static int open_file(struct fake_kernel *kernel, int64_t node, uint32_t flags, uint64_t *ret_handle)
{
	const struct fuse_open_in open = {.flags = flags};
	int error;

	(void)fake_kernel_ask(kernel, FUSE_OPEN, (uint64_t)node, &open, sizeof(open));
	error = answer(kernel);
	if (error == 0)
		memcpy(ret_handle, body(kernel), sizeof(*ret_handle));
	return error;
}

static void ask_to_read(struct fake_kernel *kernel, int64_t node, uint64_t handle, uint64_t offset)
{
	const struct fuse_read_in read = {.fh = handle, .offset = offset, .size = 4096};

	(void)fake_kernel_ask(kernel, FUSE_READ, (uint64_t)node, &read, sizeof(read));
}

static uint64_t number(const struct fake_kernel *kernel)
{
	return strtoull(body(kernel), NULL, 10);
}

#define ENERGY "/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj"

static void test_read_waits_for_a_sample(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t node = look_up(kernel, FAKE_VM ENERGY);
	uint64_t handle;

	assert_true(node > 0);
	assert_int_equal(open_file(kernel, node, O_RDONLY, &handle), 0);
	ask_to_read(kernel, node, handle, 0);
	assert_null(fake_kernel_hear(kernel));
	assert_true(fake_host_answer(&fixture->host, true));
	fake_kernel_wait(kernel, MS);
	assert_int_equal(answer(kernel), 0);
	assert_true(number(kernel) >= 1000000);
	/* The next one gets no answer in time: nobody waits longer than 20 ms. */
	fake_kernel_wait(kernel, 2 * MS);
	ask_to_read(kernel, node, handle, 0);
	fake_kernel_wait(kernel, 19 * MS);
	assert_null(fake_kernel_hear(kernel));
	fake_kernel_wait(kernel, MS);
	assert_int_equal(answer(kernel), 0);
	/* And then nobody waits at all, for a while. */
	ask_to_read(kernel, node, handle, 0);
	assert_int_equal(answer(kernel), 0);
}

/* The answer is not lost, whatever becomes of the worker that should have given it. */
static void test_successor_answers(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t node = look_up(kernel, FAKE_VM ENERGY);
	uint64_t handle, unique;

	assert_int_equal(open_file(kernel, node, O_RDONLY, &handle), 0);
	ask_to_read(kernel, node, handle, 0);
	unique = kernel->unique;
	assert_null(fake_kernel_hear(kernel));
	fake_kernel_stop(kernel);
	fake_kernel_start(kernel);
	assert_null(fake_kernel_hear(kernel));
	fake_kernel_wait(kernel, 20 * MS);
	assert_int_equal(answer(kernel), 0);
	assert_int_equal(((const struct fuse_out_header *)(const void *)kernel->answer)->unique,
			 unique);
	assert_null(fake_kernel_hear(kernel));
}

/* What could not be sent stays for the next worker; who asked is not left waiting. */
static void test_lost_answer_is_the_successors(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t node = look_up(kernel, FAKE_VM "/wattport/uuid");
	uint64_t handle;

	assert_int_equal(open_file(kernel, node, O_RDONLY, &handle), 0);
	/* The worker's end takes requests, and no answers. */
	assert_int_equal(shutdown(kernel->fds[1], SHUT_WR), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	ask_to_read(kernel, node, handle, 0);
	assert_int_equal(kernel->worker->lost, -EPIPE);
	assert_int_equal(wire_unique(kernel->memory->current.bytes), kernel->unique);
	assert_int_not_equal(wire_length(kernel->memory->current.bytes), 0);
	/* Nor can the next one give it, nor that of one which waits: both are left to who comes
	 * then. */
	memcpy(kernel->memory->parked[7].bytes, kernel->memory->current.bytes, FS_PARKED_SIZE);
	fake_kernel_stop(kernel);
	fake_kernel_start(kernel);
	assert_int_equal(kernel->worker->lost, -EPIPE);
	assert_int_not_equal(wire_length(kernel->memory->parked[7].bytes), 0);
	assert_int_not_equal(wire_length(kernel->memory->current.bytes), 0);
}

/* A worker that was killed when it had noted that a read waits, and not yet that this is all. */
static void test_read_that_was_left_twice(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t node = look_up(kernel, FAKE_VM ENERGY);
	uint64_t handle, other, told;

	assert_int_equal(open_file(kernel, node, O_RDONLY, &handle), 0);
	assert_int_equal(open_file(kernel, node, O_RDONLY, &other), 0);
	ask_to_read(kernel, node, handle, 0);
	for (size_t i = 1; i < WORKER_PARKED_TREE_MAX; i++)
		ask_to_read(kernel, node, other, 0);
	assert_null(fake_kernel_hear(kernel));
	memcpy(kernel->memory->current.bytes, kernel->memory->parked[0].bytes, FS_PARKED_SIZE);
	fake_kernel_stop(kernel);
	fake_kernel_start(kernel);
	/* There is no room for it to wait another time: it is answered, and the reader reads on. */
	assert_int_equal(answer(kernel), 0);
	told = number(kernel);
	fake_kernel_wait(kernel, 20 * MS);
	for (size_t i = 0; i < WORKER_PARKED_TREE_MAX; i++)
		assert_int_equal(answer(kernel), 0);
	assert_true(number(kernel) > told);
	ask_to_read(kernel, node, handle, 1);
	assert_int_equal(answer(kernel), 0);
	assert_int_equal(number(kernel), told % 1000000);
}

static void test_what_may_not_be(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t directory = look_up(kernel, FAKE_VM "/wattport");
	int64_t node = look_up(kernel, FAKE_VM "/wattport/uuid");
	int64_t counter = look_up(kernel, FAKE_VM ENERGY);
	static const uint32_t writing[] = {FUSE_SETATTR, FUSE_MKNOD,  FUSE_MKDIR,  FUSE_UNLINK,
					   FUSE_RMDIR,	 FUSE_RENAME, FUSE_LINK,   FUSE_SYMLINK,
					   FUSE_WRITE,	 FUSE_CREATE, FUSE_RENAME2};
	char zero[128] = {0};
	uint64_t handle;

	for (size_t i = 0; i < CHECK_COUNT(writing); i++) {
		(void)fake_kernel_ask(kernel, writing[i], (uint64_t)directory, zero, sizeof(zero));
		assert_int_equal(answer(kernel), -EROFS);
	}
	assert_int_equal(open_file(kernel, node, O_RDWR, &handle), -EROFS);
	assert_int_equal(open_file(kernel, FUSE_ROOT_ID, O_RDONLY, &handle), -EISDIR);
	assert_int_equal(open_file(kernel, 7, O_RDONLY, &handle), -ESTALE);
	ask_to_read(kernel, 7, 0, 0);
	assert_int_equal(answer(kernel), -ESTALE);
	/* A handle that is not of this file: it is read all the same. */
	ask_to_read(kernel, node, 77, 0);
	assert_int_equal(answer(kernel), 0);
	assert_memory_equal(body(kernel), FAKE_VM "\n", sizeof(FAKE_VM));
	ask_to_read(kernel, directory, 77, 0);
	assert_int_equal(answer(kernel), -EISDIR);
	/* Nothing was read of it yet: what is there from the offset on. */
	assert_int_equal(open_file(kernel, counter, O_RDONLY, &handle), 0);
	ask_to_read(kernel, counter, handle, 3);
	assert_int_equal(answer(kernel), 0);
	assert_true(kernel->answer_size > 3);
	assert_int_equal(look_up(kernel, FAKE_VM "/nothing"), -ENOENT);
	assert_int_equal(look_up(kernel, "nothing"), -ENOENT);
}

static void test_whose_it_is(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	const struct fuse_read_in read = {.size = 4096};
	const struct fuse_access_in want = {.mask = R_OK};
	int64_t own = look_up(kernel, FAKE_VM);
	int64_t link = look_up(kernel, FAKE_VM "/class/powercap/intel-rapl:0");
	int64_t energy = look_up(kernel, FAKE_VM ENERGY);
	int64_t other = look_up(kernel, FAKE_OTHER);
	int64_t closed;
	uint64_t handle;

	kernel->caller = (struct fake_caller){0, FAKE_QEMU};
	assert_int_equal(look_up(kernel, FAKE_VM), own);
	closed = look_up(kernel, FAKE_OTHER);
	assert_true(closed > 0);
	assert_int_not_equal(closed, other);
	assert_int_equal(look_up(kernel, "nothing"), -ENOENT);
	(void)fake_kernel_ask(kernel, FUSE_OPENDIR, (uint64_t)closed, &read, sizeof(read));
	assert_int_equal(answer(kernel), 0);
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)closed, &read, sizeof(read));
	assert_int_equal(answer(kernel), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_ACCESS, (uint64_t)closed, &want, sizeof(want));
	assert_int_equal(answer(kernel), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_LOOKUP, (uint64_t)closed, "wattport", 9);
	assert_int_equal(answer(kernel), -EACCES);
	assert_int_equal(open_file(kernel, closed, O_RDONLY, &handle), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_LOOKUP, (uint64_t)other, "wattport", 9);
	assert_int_equal(answer(kernel), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_LOOKUP, 7, "wattport", 9);
	assert_int_equal(answer(kernel), -ESTALE);
	kernel->caller.thread = FAKE_HIDDEN;
	(void)fake_kernel_ask(kernel, FUSE_READLINK, (uint64_t)link, NULL, 0);
	assert_int_equal(answer(kernel), -EACCES);
	assert_int_equal(open_file(kernel, energy, O_RDONLY, &handle), -EACCES);
	kernel->caller = (struct fake_caller){1000, 0};
	assert_int_equal(look_up(kernel, FAKE_VM), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_OPENDIR, FUSE_ROOT_ID, &read, sizeof(read));
	assert_int_equal(answer(kernel), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_OPENDIR, 7, &read, sizeof(read));
	assert_int_equal(answer(kernel), -ESTALE);
}

static void test_listings(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t directory = look_up(kernel, FAKE_VM "/wattport");
	struct fuse_read_in read = {.size = 4096};
	const struct fuse_access_in write = {.mask = W_OK}, execute = {.mask = X_OK};
	int64_t file;

	(void)fake_kernel_ask(kernel, FUSE_READDIR, FUSE_ROOT_ID, &read, sizeof(read));
	assert_int_equal(answer(kernel), 0);
	/* ".", ".." and two machines. */
	assert_int_equal(kernel->answer_size, 32 + 32 + 64 + 64);
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)directory, &read, sizeof(read));
	assert_int_equal(answer(kernel), 0);
	assert_true(kernel->answer_size > 200);
	/* More than there is room for, and less than one entry. */
	read.size = UINT32_MAX;
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)directory, &read, sizeof(read));
	assert_int_equal(answer(kernel), 0);
	read.size = 33;
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)directory, &read, sizeof(read));
	assert_int_equal(answer(kernel), 0);
	assert_int_equal(kernel->answer_size, 32);
	read.size = 4096;
	read.offset = UINT64_MAX;
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)directory, &read, sizeof(read));
	assert_int_equal(answer(kernel), -EINVAL);
	read.offset = 2;
	(void)fake_kernel_ask(kernel, FUSE_READDIR, 7, &read, sizeof(read));
	assert_int_equal(answer(kernel), -ESTALE);
	file = look_up(kernel, FAKE_VM "/wattport/uuid");
	(void)fake_kernel_ask(kernel, FUSE_READDIR, (uint64_t)file, &read, sizeof(read));
	assert_int_equal(answer(kernel), -ENOTDIR);
	(void)fake_kernel_ask(kernel, FUSE_READLINK, (uint64_t)file, NULL, 0);
	assert_int_equal(answer(kernel), -EINVAL);
	(void)fake_kernel_ask(kernel, FUSE_ACCESS, (uint64_t)file, &write, sizeof(write));
	assert_int_equal(answer(kernel), -EROFS);
	(void)fake_kernel_ask(kernel, FUSE_ACCESS, (uint64_t)file, &execute, sizeof(execute));
	assert_int_equal(answer(kernel), -EACCES);
	(void)fake_kernel_ask(kernel, FUSE_GETATTR, 7, &read, sizeof(read));
	assert_int_equal(answer(kernel), -ESTALE);
}

/* No room among those that wait: answered at once, with what there is. */
static void test_many_wait(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	int64_t node = look_up(kernel, FAKE_VM ENERGY);
	uint64_t handle;

	assert_int_equal(open_file(kernel, node, O_RDONLY, &handle), 0);
	for (size_t i = 0; i < WORKER_PARKED_TREE_MAX; i++)
		ask_to_read(kernel, node, handle, 0);
	assert_null(fake_kernel_hear(kernel));
	ask_to_read(kernel, node, handle, 0);
	assert_int_equal(answer(kernel), 0);
	assert_null(fake_kernel_hear(kernel));
	fake_kernel_wait(kernel, 20 * MS);
	for (size_t i = 0; i < WORKER_PARKED_TREE_MAX; i++)
		assert_int_equal(answer(kernel), 0);
	assert_null(fake_kernel_hear(kernel));
}

static void test_name_that_nobody_knows(void **state)
{
	static const char unknown[] = "99999999-0000-4000-8000-000000000001";
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;

	(void)fake_kernel_ask(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, unknown, sizeof(unknown));
	assert_null(fake_kernel_hear(kernel));
	assert_true(fake_host_answer(&fixture->host, false));
	fake_kernel_wait(kernel, MS);
	assert_int_equal(answer(kernel), -ENOENT);
	/* Nobody says that there is no such machine: a start must not fail because of us. */
	(void)fake_kernel_ask(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, unknown, sizeof(unknown));
	fake_kernel_wait(kernel, 20 * MS);
	assert_int_equal(answer(kernel), 0);
}

/* A body that is not there, names that do not end. */
static void test_truncated_requests(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	char name[FS_MESSAGE_SIZE / 2];

	memset(name, 'x', sizeof(name));
	for (uint32_t opcode = FUSE_LOOKUP; opcode <= FUSE_COPY_FILE_RANGE; opcode++) {
		if (opcode == FUSE_NOTIFY_REPLY || opcode == FUSE_INTERRUPT ||
		    opcode == FUSE_DESTROY)
			continue;
		for (size_t size = 0; size <= sizeof(name); size = size * 8 + 1) {
			(void)fake_kernel_ask(kernel, opcode, FUSE_ROOT_ID, name, size);
			fake_kernel_wait(kernel, 20 * MS);
			while (fake_kernel_hear(kernel) != NULL)
				;
		}
	}
	assert_int_equal(fake_kernel_send(kernel, name, 39), -EPROTO);
	assert_true(look_up(kernel, FAKE_VM ENERGY) > 0);
}

/* libfuse says why it will not talk to such a kernel. */
static void test_protocol_that_nobody_speaks(void **state)
{
	struct fixture *fixture = *state;
	struct fake_kernel *kernel = &fixture->kernel;
	const uint32_t major = FUSE_KERNEL_VERSION - 1;

	fake_kernel_close(kernel);
	fake_kernel_open(kernel, &fixture->host);
	memcpy(kernel->memory->init.bytes + sizeof(struct fuse_in_header), &major, sizeof(major));
	fake_kernel_start(kernel);
	assert_int_equal(answer(kernel), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_read_waits_for_a_sample, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_successor_answers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lost_answer_is_the_successors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_read_that_was_left_twice, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_may_not_be, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_whose_it_is, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_listings, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_name_that_nobody_knows, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_truncated_requests, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_protocol_that_nobody_speaks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
