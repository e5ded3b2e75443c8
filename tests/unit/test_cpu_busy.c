#include "common/cpu_busy.h"
#include "common/cpu_busy_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <inttypes.h>
#include <stdio.h>

#define MS  CLOCK_NS_PER_MS
#define SEC CLOCK_NS_PER_SECOND

/* Two CPUs (numbers 0 and 2) whose /proc/stat the tests write. */
struct machine {
	struct tree tree;
	struct sysroot *root;
	struct topology *topology;
	struct cpu_busy *busy;
	uint64_t busy_ns[2];
};

static int setup(void **state)
{
	static struct machine machine;

	machine = (struct machine){.root = NULL};
	tree_create(&machine.tree);
	tree_write(&machine.tree, "proc/stat", "cpu 0\n");
	assert_int_equal(sysroot_open(machine.tree.path, &machine.root, NULL), 0);
	assert_int_equal(topology_create(&machine.topology), 0);
	assert_int_equal(topology_add(machine.topology, &(struct topology_cpu){.cpu = 0}), 0);
	assert_int_equal(topology_add(machine.topology, &(struct topology_cpu){.cpu = 2}), 0);
	assert_int_equal(cpu_busy_open(machine.root, machine.topology, &machine.busy, NULL), 0);
	*state = &machine;
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	cpu_busy_close(machine->busy);
	topology_destroy(machine->topology);
	sysroot_close(machine->root);
	tree_remove(&machine->tree);
	return 0;
}

/* CPU 0 is always idle; CPU 2 has what is given. */
static void write_stat(const struct machine *machine, uint64_t user, uint64_t idle, uint64_t iowait)
{
	tree_write(&machine->tree, "proc/stat",
		   "cpu  1 2 3 4 5 6 7 8 9 10\n"
		   "cpu0 0 0 0 %" PRIu64 " 0 0 0 0 0 0\n"
		   "cpu2 %" PRIu64 " 0 0 %" PRIu64 " %" PRIu64 " 0 0 0 0 0\n"
		   "intr 1 2\n",
		   user + idle + iowait, user, idle, iowait);
}

static void read_at(struct machine *machine, uint64_t ns)
{
	assert_int_equal(
	    cpu_busy_read(machine->busy, (struct mono_time){.ns = ns}, machine->busy_ns), 0);
}

static void test_busy_is_what_is_not_idle(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 500, 1000, 10);
	read_at(machine, 7 * SEC);
	assert_int_equal(machine->busy_ns[1], 0);
	/* One second: 0.6 s idle, 0.1 s waiting; user time says nothing. */
	write_stat(machine, 500 + 99, 1060, 20);
	read_at(machine, 8 * SEC);
	assert_int_equal(machine->busy_ns[1], 300 * MS);
	write_stat(machine, 500 + 199, 1060, 20);
	read_at(machine, 9 * SEC);
	assert_int_equal(machine->busy_ns[1], 1300 * MS);
}

/* Read a hundred times a second, an idle CPU must not seem busy by a tick each time. */
static void test_ticks_do_not_add_up(void **state)
{
	struct machine *machine = *state;

	for (uint64_t i = 0; i < 1000; i++) {
		write_stat(machine, 0, i * 7 / 10, 0);
		read_at(machine, SEC + i * 7 * MS);
	}
	assert_in_range(machine->busy_ns[1], 0, 10 * MS);
}

static void test_counters_that_step_back(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 0, 1000, 500);
	read_at(machine, SEC);
	/* iowait falls by 0.2 s, as it is known to: nothing is lost, nothing counted twice. */
	write_stat(machine, 100, 1000, 480);
	read_at(machine, 2 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
	write_stat(machine, 100, 1100, 500);
	read_at(machine, 3 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
	/* idle starts again from 0: from there on it counts. */
	write_stat(machine, 200, 0, 500);
	read_at(machine, 4 * SEC);
	assert_int_equal(machine->busy_ns[1], 2 * SEC);
	write_stat(machine, 200, 100, 500);
	read_at(machine, 5 * SEC);
	assert_int_equal(machine->busy_ns[1], 2 * SEC);
}

static void test_a_cpu_goes_and_comes(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 0, 0, 0);
	read_at(machine, SEC);
	write_stat(machine, 100, 0, 0);
	read_at(machine, 2 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
	tree_write(&machine->tree, "proc/stat", "cpu 1\ncpu0 0 0 0 1000\n");
	read_at(machine, 12 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
	/* Back with other counters: what it did meanwhile is unknown, so nothing. */
	tree_write(&machine->tree, "proc/stat", "cpu 1\ncpu0 0 0 0 1100\ncpu2 5 0 0 3\n");
	read_at(machine, 13 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
	tree_write(&machine->tree, "proc/stat", "cpu 1\ncpu0 0 0 0 1200\ncpu2 55 0 0 53\n");
	read_at(machine, 14 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC + SEC / 2);
}

static void test_a_suspended_machine_is_not_busy(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 0, 0, 0);
	read_at(machine, SEC);
	/* An hour passes, of which every CPU knows one second. */
	write_stat(machine, 50, 50, 0);
	read_at(machine, 3601 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC / 2);
	assert_int_equal(machine->busy_ns[0], 0);
}

static void test_a_clock_that_goes_back(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 0, 0, 0);
	read_at(machine, 10 * SEC);
	read_at(machine, 4 * SEC);
	write_stat(machine, 100, 0, 0);
	read_at(machine, 11 * SEC);
	assert_int_equal(machine->busy_ns[1], SEC);
}

static void test_a_failed_read_changes_nothing(void **state)
{
	struct machine *machine = *state;

	write_stat(machine, 0, 0, 0);
	read_at(machine, SEC);
	machine->busy_ns[1] = 42;
	fault_arm(FAULT_PREAD, 1, EIO);
	assert_int_equal(
	    cpu_busy_read(machine->busy, (struct mono_time){.ns = 2 * SEC}, machine->busy_ns),
	    -EIO);
	assert_true(fault_disarm());
	assert_int_equal(machine->busy_ns[1], 42);
	write_stat(machine, 200, 0, 0);
	read_at(machine, 3 * SEC);
	assert_int_equal(machine->busy_ns[1], 2 * SEC);
}

/* Whatever /proc/stat says, and whenever: what is told never decreases. */
static void test_property_never_decreases(void **state)
{
	struct machine *machine = *state;
	uint64_t seed = 2, now_ns = SEC, before_ns[2] = {0, 0};

	for (size_t i = 0; i < 3000; i++) {
		write_stat(machine, check_random_below(&seed, 1000),
			   check_random_below(&seed, 8) == 0 ? UINT64_MAX / 4 : 300 + i * 10,
			   check_random_below(&seed, 500));
		now_ns += check_random_below(&seed, 5 * SEC);
		read_at(machine, now_ns - check_random_below(&seed, SEC));
		for (size_t k = 0; k < 2; k++) {
			assert_true(machine->busy_ns[k] >= before_ns[k]);
			assert_true(machine->busy_ns[k] <= now_ns);
			before_ns[k] = machine->busy_ns[k];
		}
	}
}

static void test_lines(void **state)
{
	static const struct {
		const char *text;
		int status;
		struct cpu_busy_line line;
	} rows[] = {
	    {"cpu3 1 2 3 4 5 6 7 8 9 10\n", 0, {3, {4, 5, 8}, 36}},
	    {"cpu  9 9 9 9\ncpu1 1 2 3 4\n", 0, {1, {4, 0, 0}, 10}},
	    {"cpux 1\ncpu0 1 2 3\ncpu8191 1 1 1 7\n", 0, {8191, {7, 0, 0}, 10}},
	    {"cpu8192 1 2 3 4\n", -ENODATA, {0}},
	    {"cpu0 1 2 3 4", -ENODATA, {0}}, /* cut: the number may go on */
	    {"cpu0 18446744073709551615 1 1 1\n", -ENODATA, {0}},
	    {"cpu0 18446744073709551616 1 1 1\n", -ENODATA, {0}},
	    {"cpu0 1 2 -3 4\n", -ENODATA, {0}},
	    {"intr 5\ncpu0 1 2 3 4\n", -ENODATA, {0}},
	    {"", -ENODATA, {0}},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		const char *cursor = rows[i].text;
		struct cpu_busy_line line = {.cpu = 0};

		assert_int_equal(cpu_busy_next_line(&cursor, &line), rows[i].status);
		if (rows[i].status < 0)
			continue;
		assert_int_equal(line.cpu, rows[i].line.cpu);
		assert_int_equal(line.total_ticks, rows[i].line.total_ticks);
		assert_memory_equal(line.rest_ticks, rows[i].line.rest_ticks,
				    sizeof(line.rest_ticks));
	}
}

static void test_every_call_of_opening_may_fail(void **state)
{
	const struct machine *machine = *state;
	unsigned nth = 1;
	int status;

	do {
		cleanup_cpu_busy struct cpu_busy *busy = NULL;
		struct diag diag = DIAG_INIT;

		fault_arm(FAULT_MEMORY | FAULT_OPENAT, nth++, ENOMEM);
		status = cpu_busy_open(machine->root, machine->topology, &busy, &diag);
		assert_int_equal(status, fault_disarm() ? -ENOMEM : 0);
		assert_true((diag.text[0] == '\0') == (status == 0));
	} while (status < 0);
	assert_int_equal(nth, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_busy_is_what_is_not_idle, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ticks_do_not_add_up, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_counters_that_step_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_cpu_goes_and_comes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_suspended_machine_is_not_busy, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_clock_that_goes_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_failed_read_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_property_never_decreases, setup, teardown),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test_setup_teardown(test_every_call_of_opening_may_fail, setup, teardown),
	};

	return cmocka_run_group_tests_name("cpu_busy", tests, NULL, NULL);
}
