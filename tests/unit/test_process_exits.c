/* process_exits.h: what the kernel's messages say, and what is refused. */
#include "guest/process_exits.h"
#include "tests/unit/check.h"

#include <linux/acct.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <string.h>

/* As prepare_reply() and fill_stats() of kernel/taskstats.c lay it out: nothing is aligned. */
struct message {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	struct nlattr task;
	struct nlattr pid_head;
	uint32_t pid;
	struct nlattr stats_head;
	struct taskstats stats;
} __attribute__((packed));

static struct message message_of(uint32_t pid)
{
	struct message message = {
	    .header = {.nlmsg_len = sizeof(message), .nlmsg_type = 31},
	    .generic = {.cmd = TASKSTATS_CMD_NEW},
	    .task = {.nla_type = TASKSTATS_TYPE_AGGR_PID,
		     .nla_len = sizeof(message) - offsetof(struct message, task)},
	    .pid_head = {.nla_type = TASKSTATS_TYPE_PID, .nla_len = 8},
	    .pid = pid,
	    .stats_head = {.nla_type = TASKSTATS_TYPE_STATS,
			   .nla_len = sizeof(message) - offsetof(struct message, stats_head)},
	    .stats = {.version = TASKSTATS_VERSION,
		      .ac_pid = pid,
		      .ac_ppid = 7,
		      .ac_tgid = pid,
		      .ac_uid = 1000,
		      .ac_comm = "sh",
		      .ac_flag = AGROUP,
		      .cpu_run_virtual_total = 12345},
	};

	return message;
}

static void test_a_process(void **state)
{
	struct message message = message_of(4711);
	struct process_exit exit;

	(void)state;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), 0);
	assert_int_equal(exit.pid, 4711);
	assert_int_equal(exit.parent, 7);
	assert_int_equal(exit.uid, 1000);
	assert_string_equal(exit.comm, "sh");
	assert_int_equal(exit.cpu_ns, 12345);
	assert_true(exit.last);
}

static void test_a_thread(void **state)
{
	struct message message = message_of(4712);
	struct process_exit exit;

	(void)state;
	message.stats.ac_tgid = 4711;
	message.stats.ac_flag = 0;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), 0);
	assert_int_equal(exit.pid, 4711);
	assert_false(exit.last);
	/* Kernels before 6.0 do not say whose thread it was. */
	message.stats.version = 10;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), 0);
	assert_int_equal(exit.pid, 4712);
	assert_true(exit.last);
}

static void test_without_delay_accounting(void **state)
{
	struct message message = message_of(1);
	struct process_exit exit;

	(void)state;
	message.stats.cpu_run_virtual_total = 0;
	message.stats.ac_utime = 3000;
	message.stats.ac_stime = 1000;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), 0);
	assert_int_equal(exit.cpu_ns, 4000000);
}

static void test_bad_messages(void **state)
{
	struct message message = message_of(1);
	struct process_exit exit;

	(void)state;
	for (size_t size = 0; size < sizeof(message); size++)
		assert_true(process_exits_parse(&message, size, &exit) < 0);
	message.task.nla_type = TASKSTATS_TYPE_AGGR_TGID;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), -ENOMSG);
	message = message_of(1);
	message.stats_head.nla_len = 60;
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), -EBADMSG);
	message = message_of(0);
	assert_int_equal(process_exits_parse(&message, sizeof(message), &exit), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_process),
	    cmocka_unit_test(test_a_thread),
	    cmocka_unit_test(test_without_delay_accounting),
	    cmocka_unit_test(test_bad_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
