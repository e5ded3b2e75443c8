#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/sysroot.h"
#include "host/halt_poll.h"

#include <stdio.h>

#define SECOND CLOCK_NS_PER_SECOND

struct host {
	struct tree tree;
	struct sysroot *root;
	struct halt_poll poll;
	struct mono_time now;
};

static void host_open(struct host *host)
{
	*host = (struct host){.now = {1000 * SECOND}};
	tree_create(&host->tree);
	assert_int_equal(sysroot_open(host->tree.path, &host->root, NULL), 0);
}

static void host_close(struct host *host)
{
	sysroot_close(host->root);
	tree_remove(&host->tree);
}

static void host_write(const struct host *host, const char *machine, const char *success,
		       const char *fail)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s/halt_poll_success_ns", machine);
	tree_write(&host->tree, path, "%s\n", success);
	(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s/halt_poll_fail_ns", machine);
	tree_write(&host->tree, path, "%s\n", fail);
	/* As KVM has it for each vCPU. */
	(void)snprintf(path, sizeof(path), "sys/kernel/debug/kvm/%s/vcpu0/pid", machine);
	tree_write(&host->tree, path, "77\n");
}

static uint64_t host_read(struct host *host, int pid, uint64_t later_ns)
{
	host->now.ns += later_ns;
	halt_poll_read(&host->poll, sysroot_sys_fd(host->root), pid, host->now);
	return host->poll.total_ns;
}

static void test_both_counters_of_the_right_machine(void **state)
{
	struct host host;

	(void)state;
	host_open(&host);
	host_write(&host, "100-12", "5", "6");
	host_write(&host, "10-9", "1000", "300");
	host_write(&host, "1-1", "7", "7");
	assert_int_equal(host_read(&host, 10, 0), 1300);
	assert_true(host.poll.known);
	host_write(&host, "10-9", "2000", "400");
	/* Not as often as somebody asks. */
	assert_int_equal(host_read(&host, 10, SECOND / 2), 1300);
	assert_int_equal(host_read(&host, 10, SECOND / 2), 2400);
	host_close(&host);
}

/* Sums go on over restarts and where somebody cleared the counters. */
static void test_it_only_grows(void **state)
{
	struct host host;

	(void)state;
	host_open(&host);
	host_write(&host, "10-9", "1000", "0");
	assert_int_equal(host_read(&host, 10, 0), 1000);
	host_write(&host, "10-9", "0", "0");
	assert_int_equal(host_read(&host, 10, SECOND), 1000);
	host_write(&host, "10-9", "0", "5");
	assert_int_equal(host_read(&host, 10, SECOND), 1005);
	tree_delete(&host.tree, "sys/kernel/debug/kvm/10-9");
	assert_int_equal(host_read(&host, 10, SECOND), 1005);
	host_write(&host, "11-8", "20", "0");
	assert_int_equal(host_read(&host, 11, 0), 1025);
	assert_true(host.poll.known);
	host_close(&host);
}

static void test_where_nothing_is_to_be_seen(void **state)
{
	static const char *const bad[] = {"", "-1", "x", "18446744073709551615",
					  "99999999999999999999999"};
	struct host host;

	(void)state;
	host_open(&host);
	assert_int_equal(host_read(&host, 10, 0), 0);
	assert_false(host.poll.known);
	/* A kernel before 5.8; and text that is no number. */
	tree_write(&host.tree, "sys/kernel/debug/kvm/10-9/halt_wakeup", "5\n");
	assert_int_equal(host_read(&host, 10, HALT_POLL_RETRY_NS), 0);
	for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
		host_write(&host, "10-9", bad[i], "1");
		assert_int_equal(host_read(&host, 10, HALT_POLL_RETRY_NS), 0);
		assert_false(host.poll.known);
	}
	host_write(&host, "10-9", "2", "1");
	/* It is looked for again, but not at once. */
	assert_int_equal(host_read(&host, 10, HALT_POLL_RETRY_NS - 1), 0);
	assert_int_equal(host_read(&host, 10, 1), 3);
	host_close(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_counters_of_the_right_machine),
	    cmocka_unit_test(test_it_only_grows),
	    cmocka_unit_test(test_where_nothing_is_to_be_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
