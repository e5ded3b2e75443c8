/* process_exits.h: what the kernel's messages say, and what is refused. */
#include "guest/process_exits.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_exits.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <string.h>

static const unsigned int versions[] = {8, 9, 10, 11, 12, 13, 14};

/* A process of one thread, that has executed a program. */
static const struct made_up_exit process = {.task = 4711,
					    .group = 4711,
					    .parent = 7,
					    .uid = 1000,
					    .cpu_ns = 12345,
					    .elapsed_ns = 5000000,
					    .group_elapsed_ns = 5000000,
					    .last = true};

static struct process_exit parsed(struct made_up_exit exit, unsigned int version)
{
	unsigned char message[MADE_UP_EXIT_SIZE];
	struct process_exit got;

	exit.version = version;
	assert_int_equal(process_exits_parse(message, made_up_exit_write(&exit, message), &got), 0);
	return got;
}

static void test_a_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct process_exit exit = parsed(process, versions[i]);

		assert_int_equal(exit.pid, 4711);
		assert_int_equal(exit.parent, 7);
		assert_int_equal(exit.uid, 1000);
		assert_string_equal(exit.comm, "task");
		assert_int_equal(exit.cpu_ns, 12345);
		assert_int_equal(exit.elapsed_ns, 5000000);
		assert_int_equal(exit.group_ns, 0);
		assert_false(exit.older);
		/* Before Linux 6.0 it might as well be a thread. */
		assert_int_equal(exit.kind,
				 versions[i] >= 12 ? PROCESS_EXIT_PROCESS : PROCESS_EXIT_UNKNOWN);
		assert_int_equal(exit.leads, versions[i] >= 12);
	}
}

/* One that has only forked is told from a thread by every kernel. */
static void test_a_fork(void **state)
{
	struct made_up_exit fork = process;

	(void)state;
	fork.forked = true;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++)
		assert_true(parsed(fork, versions[i]).leads);
}

static void test_a_thread(void **state)
{
	struct made_up_exit thread = process;

	(void)state;
	thread.task = 4712;
	thread.last = false;
	thread.elapsed_ns = 2000000;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct process_exit exit = parsed(thread, versions[i]);
		bool tells = versions[i] >= 12;

		assert_int_equal(exit.pid, tells ? 4711 : 4712);
		assert_int_equal(exit.kind, tells ? PROCESS_EXIT_THREAD : PROCESS_EXIT_UNKNOWN);
		assert_int_equal(exit.elapsed_ns, tells ? 5000000 : 2000000);
		assert_false(exit.leads);
	}
}

/* The last thread of a process that had several: every kernel says whose, and all that they used.
 */
static void test_the_last_of_several(void **state)
{
	struct made_up_exit last = process;

	(void)state;
	last.task = 4713;
	last.group_ns = 99999;
	last.elapsed_ns = 1000000;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct process_exit exit = parsed(last, versions[i]);

		assert_int_equal(exit.kind, PROCESS_EXIT_PROCESS);
		assert_int_equal(exit.pid, 4711);
		assert_int_equal(exit.group_ns, 99999);
		assert_int_equal(exit.cpu_ns, 12345);
		assert_int_equal(exit.older, versions[i] < 12);
		assert_int_equal(exit.elapsed_ns, versions[i] < 12 ? 1000000 : 5000000);
	}
}

/* Where the parts of a message lie; nothing is aligned. */
enum place {
	PLACE_TASK = sizeof(struct nlmsghdr) + sizeof(struct genlmsghdr),
	PLACE_STATS_HEAD = PLACE_TASK + 2 * sizeof(struct nlattr) + sizeof(uint32_t),
	PLACE_STATS = PLACE_STATS_HEAD + sizeof(struct nlattr),
};

static void test_without_delay_accounting(void **state)
{
	const uint64_t user_us = 3000, system_us = 1000;
	struct made_up_exit exit = process;
	unsigned char message[MADE_UP_EXIT_SIZE];
	struct process_exit got;
	size_t size;

	(void)state;
	exit.version = 13;
	exit.cpu_ns = 0;
	size = made_up_exit_write(&exit, message);
	memcpy(message + PLACE_STATS + offsetof(struct taskstats, ac_utime), &user_us,
	       sizeof(user_us));
	memcpy(message + PLACE_STATS + offsetof(struct taskstats, ac_stime), &system_us,
	       sizeof(system_us));
	assert_int_equal(process_exits_parse(message, size, &got), 0);
	assert_int_equal(got.cpu_ns, 4000000);
}

static void test_bad_messages(void **state)
{
	const uint16_t short_length = 60, group_type = TASKSTATS_TYPE_AGGR_TGID;
	struct made_up_exit exit = process;
	unsigned char message[MADE_UP_EXIT_SIZE];
	struct process_exit got;
	size_t whole;

	(void)state;
	exit.version = 13;
	exit.group_ns = 1;
	whole = made_up_exit_write(&exit, message);
	for (size_t size = 0; size < whole; size++)
		assert_true(process_exits_parse(message, size, &got) < 0);
	exit.group_ns = 0;
	whole = made_up_exit_write(&exit, message);
	memcpy(message + PLACE_TASK + offsetof(struct nlattr, nla_type), &group_type,
	       sizeof(group_type));
	assert_int_equal(process_exits_parse(message, whole, &got), -ENOMSG);
	whole = made_up_exit_write(&exit, message);
	memcpy(message + PLACE_STATS_HEAD + offsetof(struct nlattr, nla_len), &short_length,
	       sizeof(short_length));
	assert_int_equal(process_exits_parse(message, whole, &got), -EBADMSG);
	exit.task = 0;
	whole = made_up_exit_write(&exit, message);
	assert_int_equal(process_exits_parse(message, whole, &got), -EBADMSG);
	exit.task = 1;
	exit.group = 0;
	exit.group_ns = 1;
	whole = made_up_exit_write(&exit, message);
	assert_int_equal(process_exits_parse(message, whole, &got), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_process),
	    cmocka_unit_test(test_a_fork),
	    cmocka_unit_test(test_a_thread),
	    cmocka_unit_test(test_the_last_of_several),
	    cmocka_unit_test(test_without_delay_accounting),
	    cmocka_unit_test(test_bad_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
