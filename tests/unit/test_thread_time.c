#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/thread_stat.h"
#include "host/kernel_release.h"
#include "host/thread_time.h"
#include "host/vhost_scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A line of a Linux 6.1 machine; the name was chosen by somebody who means ill. */
static const char stat_line[] =
    "4711 (CPU 0) R 1 (x) S 1 4711 4711 0 -1 4194560 40982 1660076 0 813 127 469 2156 1260 20 0 "
    "13 0 240 51458048 4772 18446744073709551615 1 1 0 0 0 0 0 4096 1256 0 0 0 17 5 0 0 0 0 0 0\n";

static void test_stat(void **state)
{
	struct thread_stat stat;

	(void)state;
	assert_int_equal(thread_stat_parse(stat_line, &stat), 0);
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.parent, 1);
	assert_int_equal(stat.time_ticks, 127 + 469);
	assert_int_equal(stat.start_ticks, 240);
	assert_int_equal(stat.cpu, 5);
	assert_int_equal(thread_ticks_to_ns(3), UINT64_C(30000000));
	assert_true(thread_ticks_to_ns(UINT64_MAX) == UINT64_MAX);
}

/* No line that ends early is taken, wherever it ends before the last field that is used. */
static void test_stat_cut_short(void **state)
{
	const char *cpu = strstr(stat_line, " 5 0 0 0 0 0 0\n");
	char text[sizeof(stat_line)];
	struct thread_stat stat;

	(void)state;
	assert_non_null(cpu);
	for (const char *end = stat_line; end <= cpu; end++) {
		memcpy(text, stat_line, (size_t)(end - stat_line));
		text[end - stat_line] = '\0';
		if (thread_stat_parse(text, &stat) == 0)
			fail_msg("taken: %s", text);
	}
}

static void test_schedstat(void **state)
{
	uint64_t time_ns;

	(void)state;
	assert_int_equal(thread_schedstat_parse("187617803 9432316 386\n", &time_ns), 0);
	assert_int_equal(time_ns, 187617803);
	assert_int_equal(thread_schedstat_parse("", &time_ns), -EINVAL);
	assert_int_equal(thread_schedstat_parse("-1 0 0\n", &time_ns), -EINVAL);
}

static void test_roles(void **state)
{
	static const struct {
		const char *comm;
		enum thread_role role;
		uint32_t vcpu;
	} cases[] = {
	    {"CPU 0/KVM", THREAD_VCPU, 0},	  {"CPU 127/KVM", THREAD_VCPU, 127},
	    {"CPU 3/TCG", THREAD_VCPU, 3},	  {"ALL CPUs/TCG", THREAD_ALL_VCPUS, 9},
	    {"qemu-system-x86", THREAD_OTHER, 9}, {"IO iothread1", THREAD_OTHER, 9},
	    {"vhost-4711", THREAD_OTHER, 9},	  {"CPU /KVM", THREAD_OTHER, 9},
	    {"CPU x/KVM", THREAD_OTHER, 9},	  {"CPU 1", THREAD_OTHER, 9},
	    {"CPU 99999999999", THREAD_OTHER, 9},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		uint32_t vcpu = 9;

		assert_int_equal(thread_role_of(cases[i].comm, &vcpu), cases[i].role);
		assert_int_equal(vcpu, cases[i].vcpu);
	}
}

static void test_kept_and_unkept_read_the_same(void **state)
{
	const struct tree *tree = *state;
	struct thread_time kept, unkept, ticks;
	uint64_t time_ns;
	uint32_t cpu;

	tree_write(tree, "proc/4/task/5/schedstat", "1234567 0 1\n");
	tree_write(tree, "proc/4/task/5/stat", "%s", stat_line);
	assert_int_equal(thread_time_open(&kept, tree->fd, "proc/4/task/5", THREAD_SCHEDSTAT, true),
			 0);
	assert_int_equal(
	    thread_time_open(&unkept, tree->fd, "proc/4/task/5", THREAD_SCHEDSTAT, false), 0);
	assert_int_equal(thread_time_open(&ticks, tree->fd, "proc/4/task/5", THREAD_STAT, true), 0);
	assert_true(thread_time_kept(&kept));
	assert_false(thread_time_kept(&unkept));
	tree_write(tree, "proc/4/task/5/schedstat", "2234567 0 1\n");
	assert_int_equal(thread_time_read(&kept, tree->fd, &time_ns), 0);
	assert_int_equal(time_ns, 2234567);
	assert_int_equal(thread_time_read(&unkept, tree->fd, &time_ns), 0);
	assert_int_equal(time_ns, 2234567);
	assert_int_equal(thread_time_read(&ticks, tree->fd, &time_ns), 0);
	assert_int_equal(time_ns, UINT64_C(5960000000));
	assert_int_equal(thread_time_read_cpu(&kept, tree->fd, true, &cpu), 0);
	assert_int_equal(cpu, 5);
	tree_delete(tree, "proc/4/task/5");
	assert_int_equal(thread_time_read(&unkept, tree->fd, &time_ns), -ESRCH);
	assert_int_equal(thread_time_read_cpu(&unkept, tree->fd, false, &cpu), -ESRCH);
	assert_int_equal(
	    thread_time_open(&unkept, tree->fd, "proc/4/task/6", THREAD_SCHEDSTAT, true), -ESRCH);
	thread_time_close(&kept);
	thread_time_close(&ticks);
}

static void test_vhost_names(void **state)
{
	int32_t pid = 0;

	(void)state;
	assert_int_equal(vhost_scan_owner("vhost-4711", &pid), 0);
	assert_int_equal(pid, 4711);
	assert_int_equal(vhost_scan_owner("vhost-", &pid), -EINVAL);
	assert_int_equal(vhost_scan_owner("vhost-4711x", &pid), -EINVAL);
}

static void test_kernel_releases(void **state)
{
	struct kernel_release release;

	(void)state;
	assert_int_equal(kernel_release_parse("6.1.0-18-amd64", &release), 0);
	assert_true(kernel_release_before(&release, 6, 4));
	assert_false(kernel_release_before(&release, 6, 1));
	assert_int_equal(kernel_release_parse("5.15", &release), 0);
	assert_true(kernel_release_before(&release, 6, 4));
	assert_int_equal(kernel_release_parse("10.0.1", &release), 0);
	assert_false(kernel_release_before(&release, 6, 9));
	assert_int_equal(kernel_release_parse("strange", &release), -EINVAL);
	assert_int_equal(kernel_release_parse("6", &release), -EINVAL);
	assert_int_equal(kernel_release_parse("6.", &release), -EINVAL);
	assert_int_equal(kernel_release_parse("99999999999999.1", &release), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_stat_cut_short),
	    cmocka_unit_test(test_schedstat),
	    cmocka_unit_test(test_roles),
	    TREE_TEST(test_kept_and_unkept_read_the_same),
	    cmocka_unit_test(test_vhost_names),
	    cmocka_unit_test(test_kernel_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
