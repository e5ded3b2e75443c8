/* exec_share.h: a tree of processes on a machine made up by the test, whose joules are known. */
#include "guest/exec_share.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* No kernel has processes of such numbers: what /proc says is all that there is of them. */
#define COMMAND	  400000001
#define CHILD	  400000002
#define TICK_NS	  UINT64_C(10000000)
#define SECOND_NS CLOCK_NS_PER_SECOND

struct fixture {
	struct made_up_guest machine;
	struct meter *meter;
	struct meter_reading reading;
	struct exec_share *share;
	struct phases *phases;
	uint64_t begin_uj;
};

static int fixture_create(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct meter_options options = {.source = METER_POWERCAP};

	assert_non_null(fixture);
	made_up_guest_create(&fixture->machine, 0);
	options.at = fixture->machine.guest.at;
	assert_int_equal(meter_create(fixture->machine.guest.root, &fixture->machine.clock.clock,
				      &options, &fixture->meter),
			 0);
	*state = fixture;
	return 0;
}

static int fixture_remove(void **state)
{
	struct fixture *fixture = *state;

	exec_share_destroy(fixture->share);
	phases_destroy(fixture->phases);
	meter_destroy(fixture->meter);
	made_up_guest_remove(&fixture->machine);
	free(fixture);
	return 0;
}

static void set_children(const struct fixture *fixture, int32_t pid, const char *children)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "proc/%d/task/%d/children", pid, pid);
	tree_write(&fixture->machine.guest.tree, path, "%s", children);
}

/*
 * A process with that time of its own and of children that it has waited for, nobody knows where:
 * the machine that is made up has all its CPUs equally busy.
 */
static void set_process(const struct fixture *fixture, int32_t pid, uint64_t own_ns,
			uint64_t waited_ns)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	tree_write(&fixture->machine.guest.tree, path,
		   "%d (x) S 1 1 1 0 -1 0 0 0 0 0 %" PRIu64 " 0 %" PRIu64
		   " 0 20 0 1 0 100 0 256 0 0 0 0 0 0 0 0 0 0 0 0 17 99 0 0\n",
		   pid, own_ns / TICK_NS, waited_ns / TICK_NS);
}

static void begin(struct fixture *fixture, struct exec_share_options options)
{
	struct diag diag = DIAG_INIT;

	options.root = fixture->machine.guest.root;
	options.clock = &fixture->machine.clock.clock;
	set_children(fixture, getpid(), "");
	assert_int_equal(exec_share_create(&options, &fixture->share, &diag), 0);
	meter_read(fixture->meter, &fixture->reading);
	fixture->begin_uj = fixture->reading.zones[0].energy_uj;
	fixture->phases = phases_create(&fixture->reading);
	assert_int_equal(exec_share_begin(fixture->share, &fixture->reading, &diag), 0);
}

/* Time goes by, in which the machine was busy for `busy_ns` in all, and a reading is taken. */
static void pass(struct fixture *fixture, uint64_t elapsed_ns, uint64_t energy_uj, uint64_t busy_ns)
{
	made_up_guest_be_busy(&fixture->machine, busy_ns);
	made_up_guest_pass(&fixture->machine, elapsed_ns, energy_uj);
	meter_read_zones(fixture->meter, &fixture->reading);
	phases_book(fixture->phases, &fixture->reading, NULL);
}

static void take(struct fixture *fixture, uint64_t ended_ns)
{
	assert_int_equal(
	    exec_share_take(fixture->share, &fixture->reading, ended_ns, fixture->phases), 0);
}

static struct exec_share_zone conclude(struct fixture *fixture)
{
	struct exec_share_zone zone;

	assert_int_equal(exec_share_conclude(fixture->share, fixture->phases), 0);
	phases_end(fixture->phases);
	zone = exec_share_of(fixture->share, 0);
	assert_true(zone.divided);
	/* The promise, to the microjoule. */
	assert_int_equal(zone.command_uj + zone.other_uj + zone.idle_uj,
			 fixture->reading.zones[0].energy_uj - fixture->begin_uj);
	assert_int_equal(phases_whole(fixture->phases)->command_uj, zone.command_uj);
	assert_int_equal(phases_whole(fixture->phases)->command_zones_uj[0], zone.command_uj);
	return zone;
}

static void check_near(uint64_t value, uint64_t wanted, uint64_t part_ppm)
{
	uint64_t difference = value > wanted ? value - wanted : wanted - value;

	if (difference > wanted / 1000000 * part_ppm)
		fail_msg("%" PRIu64 " is not %" PRIu64, value, wanted);
}

static const struct exec_share_options two_watts = {
    .package = {.given = true, .power_uw = 2000000}};

/* 10 W, of which 2 W at rest; the command has a CPU for itself, and so has somebody else. */
static void test_divides_by_work(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[16];

	begin(fixture, two_watts);
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	set_children(fixture, COMMAND, "");
	for (uint64_t second = 1; second <= 4; second++) {
		set_process(fixture, COMMAND, second * SECOND_NS, 0);
		pass(fixture, SECOND_NS, 10000001, 2 * SECOND_NS);
		assert_true(exec_share_is_due(fixture->share, &fixture->reading));
		take(fixture, 0);
	}
	zone = conclude(fixture);
	assert_true(zone.idle_given);
	assert_int_equal(zone.idle_uj, 8000000);
	check_near(zone.command_uj, 16000000, 20000);
}

/* Children of children count, those that were waited for count in who did, and nobody twice. */
static void test_counts_all_of_the_tree_once(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[32];

	begin(fixture, two_watts);
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	(void)snprintf(children, sizeof(children), "%d ", CHILD);
	set_children(fixture, COMMAND, children);
	set_children(fixture, CHILD, "");
	set_process(fixture, COMMAND, 0, 0);
	set_process(fixture, CHILD, SECOND_NS, 0);
	pass(fixture, SECOND_NS, 10000000, 2 * SECOND_NS);
	take(fixture, 0);
	/* It has worked on, and ended; its parent has waited for it. */
	set_children(fixture, COMMAND, "");
	set_process(fixture, COMMAND, 0, 2 * SECOND_NS);
	pass(fixture, SECOND_NS, 10000000, 2 * SECOND_NS);
	take(fixture, 0);
	phases_cut(fixture->phases, "the end");
	check_near(phases_get(fixture->phases, 0)->command_uj, 8000000, 20000);
	/* All have ended, one of which nobody has seen. */
	set_children(fixture, getpid(), "");
	pass(fixture, SECOND_NS, 10000000, 2 * SECOND_NS);
	take(fixture, 3 * SECOND_NS);
	zone = conclude(fixture);
	check_near(zone.command_uj, 12000000, 20000);
}

/* Phases of a run that is over before the first division get their own parts. */
static void test_phases_of_a_short_run(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[16];
	uint64_t first_uj, second_uj;

	begin(fixture, two_watts);
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	set_children(fixture, COMMAND, "");
	set_process(fixture, COMMAND, 400000000, 0);
	pass(fixture, 400000000, 4000000, 400000000);
	take(fixture, 0);
	phases_cut(fixture->phases, "rest");
	pass(fixture, 400000000, 4000000, 400000000);
	take(fixture, 0);
	assert_int_equal(phases_number(fixture->phases), 1);
	assert_int_equal(phases_get(fixture->phases, 0)->command_uj, 0);
	zone = conclude(fixture);
	first_uj = phases_get(fixture->phases, 0)->command_uj;
	second_uj = phases_get(fixture->phases, 1)->command_uj;
	assert_int_equal(first_uj + second_uj, zone.command_uj);
	check_near(first_uj, 3200000, 20000);
	assert_int_equal(second_uj, 0);
	assert_int_equal(phases_label(fixture->phases, 0)->command_uj, first_uj);
}

/* Not given, and no second to find it in: an estimate, and never nothing. */
static void test_estimates_the_rest(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[16];

	begin(fixture, (struct exec_share_options){.root = NULL});
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	set_children(fixture, COMMAND, "");
	set_process(fixture, COMMAND, 400000000, 0);
	pass(fixture, 400000000, 4000000, 400000000);
	take(fixture, 0);
	zone = conclude(fixture);
	assert_false(zone.idle_given);
	/* A quarter of the CPUs, and full load adds two and a half times the rest: 10 W / 1.625. */
	check_near(zone.idle_uj, 2461538, 100000);
	assert_true(zone.command_uj > 0);
}

/* More marks in a moment than are kept; and readings of one instant. */
static void test_many_marks(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[16], label[16];
	uint64_t sum_uj = 0;

	begin(fixture, two_watts);
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	set_children(fixture, COMMAND, "");
	for (uint64_t i = 1; i <= 3 * (uint64_t)EXEC_SHARE_KEPT_MAX; i++) {
		set_process(fixture, COMMAND, i * TICK_NS, 0);
		pass(fixture, TICK_NS, 100001, 2 * TICK_NS);
		take(fixture, 0);
		take(fixture, 0);
		(void)snprintf(label, sizeof(label), "%" PRIu64, i);
		phases_cut(fixture->phases, label);
	}
	zone = conclude(fixture);
	for (size_t i = 0; i < phases_count(fixture->phases); i++)
		sum_uj += phases_get(fixture->phases, i)->command_uj;
	assert_int_equal(sum_uj, zone.command_uj);
	check_near(zone.command_uj, (uint64_t)3 * EXEC_SHARE_KEPT_MAX * 40000, 40000);
}

/* More phases at once than the list has room for: what comes behind them is not lost, either. */
static void test_more_phases_than_fit(void **state)
{
	struct fixture *fixture = *state;
	struct exec_share_zone zone;
	char children[16];
	uint64_t sum_uj;

	begin(fixture, two_watts);
	(void)snprintf(children, sizeof(children), "%d ", COMMAND);
	set_children(fixture, getpid(), children);
	set_children(fixture, COMMAND, "");
	for (uint64_t i = 1; i <= 3; i++) {
		set_process(fixture, COMMAND, i * 10 * TICK_NS, 0);
		pass(fixture, 10 * TICK_NS, 1000001, 20 * TICK_NS);
		take(fixture, 0);
		for (size_t k = 0; k <= PHASES_MAX; k++)
			phases_cut(fixture->phases, i == 1 ? "one" : "more");
	}
	zone = conclude(fixture);
	sum_uj = phases_unlisted(fixture->phases)->command_uj;
	for (size_t i = 0; i < phases_count(fixture->phases); i++)
		sum_uj += phases_get(fixture->phases, i)->command_uj;
	assert_int_equal(sum_uj, zone.command_uj);
	assert_true(phases_unlisted(fixture->phases)->command_uj > 0);
}

static void test_a_kernel_that_lists_no_children(void **state)
{
	struct fixture *fixture = *state;
	const struct exec_share_options options = {.root = fixture->machine.guest.root,
						   .clock = &fixture->machine.clock.clock};
	struct diag diag = DIAG_INIT;

	assert_int_equal(exec_share_create(&options, &fixture->share, &diag), -EOPNOTSUPP);
	check_contains(diag.text, "CONFIG_PROC_CHILDREN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_divides_by_work, fixture_create, fixture_remove),
	    cmocka_unit_test_setup_teardown(test_counts_all_of_the_tree_once, fixture_create,
					    fixture_remove),
	    cmocka_unit_test_setup_teardown(test_phases_of_a_short_run, fixture_create,
					    fixture_remove),
	    cmocka_unit_test_setup_teardown(test_estimates_the_rest, fixture_create,
					    fixture_remove),
	    cmocka_unit_test_setup_teardown(test_many_marks, fixture_create, fixture_remove),
	    cmocka_unit_test_setup_teardown(test_more_phases_than_fit, fixture_create,
					    fixture_remove),
	    cmocka_unit_test_setup_teardown(test_a_kernel_that_lists_no_children, fixture_create,
					    fixture_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
