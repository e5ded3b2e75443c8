/* exec.h: a command between two readings of a tree that the command itself changes. */
#include "guest/exec.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct guest_tree guest;
	struct meter *meter;
	struct exec_result result;
};

static int fixture_create(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct meter_options options = {.source = METER_TREE};

	assert_non_null(fixture);
	guest_tree_create(&fixture->guest);
	guest_tree_add_zone(&fixture->guest, "tree", 0, 5000000, GUEST_TREE_RANGE);
	guest_tree_set_info(&fixture->guest, "powercap", 2);
	options.at = fixture->guest.at;
	assert_int_equal(meter_create(fixture->guest.root, clock_real(), &options, &fixture->meter),
			 0);
	*state = fixture;
	return 0;
}

static int fixture_remove(void **state)
{
	struct fixture *fixture = *state;

	meter_destroy(fixture->meter);
	guest_tree_remove(&fixture->guest);
	free(fixture);
	return 0;
}

/* Runs a shell script in the directory of the test. */
static int run(struct fixture *fixture, const char *script)
{
	char shell[] = "/bin/sh", option[] = "-c", text[1024];
	char *command[] = {shell, option, text, NULL};
	struct diag diag = DIAG_INIT;

	(void)snprintf(text, sizeof(text), "cd %s; %s", fixture->guest.tree.path, script);
	return exec_run(fixture->meter, command, &fixture->result, &diag);
}

static void test_measures_what_the_command_uses(void **state)
{
	struct fixture *fixture = *state;
	struct exec_result *result = &fixture->result;
	struct meter_use use;

	assert_int_equal(run(fixture,
			     "echo 7500000 > tree/devices/virtual/powercap/intel-rapl/intel-rapl:0/"
			     "energy_uj"),
			 0);
	assert_int_equal(result->exit_status, 0);
	assert_true(result->before.up);
	assert_true(result->after.up);
	assert_true(meter_reading_use(&result->before, &result->after, "package-0", &use));
	assert_int_equal(use.energy_uj, 2500000);
	assert_true(use.power_uw > 0);
	assert_true(result->elapsed_ns > 0);
	assert_true(result->user_ns + result->system_ns > 0);
}

static void test_hands_on_the_exit_status(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(run(fixture, "exit 42"), 0);
	assert_int_equal(fixture->result.exit_status, 42);
	assert_int_equal(run(fixture, "kill -KILL $$"), 0);
	assert_int_equal(fixture->result.exit_status, EXEC_STATUS_SIGNAL + SIGKILL);
}

static void test_tells_what_cannot_be_started(void **state)
{
	struct fixture *fixture = *state;
	char absent[] = "/nonexistent/command", directory[] = "/";
	char *command[] = {absent, NULL};
	struct diag diag = DIAG_INIT;
	int status = exec_run(fixture->meter, command, &fixture->result, &diag);

	assert_int_equal(status, -ENOENT);
	assert_int_equal(exec_status_of_error(status), EXEC_STATUS_NOT_FOUND);
	check_contains(diag.text, absent);
	command[0] = directory;
	status = exec_run(fixture->meter, command, &fixture->result, &diag);
	assert_int_equal(status, -EACCES);
	assert_int_equal(exec_status_of_error(status), EXEC_STATUS_CANNOT);
}

/* The command signals its parent, gets the signal back, and says so with its exit status. */
static void test_hands_on_signals(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(run(fixture, "trap 'exit 7' TERM; kill -TERM $PPID; "
				      "while :; do read x < /dev/null; done"),
			 0);
	assert_int_equal(fixture->result.exit_status, 7);
}

/* The command finds the signals as its caller left them, and so does the caller afterwards. */
static void test_leaves_the_signal_mask_alone(void **state)
{
	struct fixture *fixture = *state;
	sigset_t mask;

	assert_int_equal(run(fixture, "kill -USR1 $$; exit 0"), 0);
	assert_int_equal(fixture->result.exit_status, EXEC_STATUS_SIGNAL + SIGUSR1);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
	assert_int_equal(sigismember(&mask, SIGTERM), 0);
	assert_int_equal(sigismember(&mask, SIGCHLD), 0);
}

/* A tree that ends while the command runs: the command is not harmed, the energy is unknown. */
static void test_survives_a_host_that_goes_away(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(run(fixture, "echo 60000 > tree/wattport/age_ms"), 0);
	assert_int_equal(fixture->result.exit_status, 0);
	assert_true(fixture->result.before.up);
	assert_false(fixture->result.after.up);
}

int main(void)
{
#define EXEC_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_create, fixture_remove)
	const struct CMUnitTest tests[] = {
	    EXEC_TEST(test_measures_what_the_command_uses),
	    EXEC_TEST(test_hands_on_the_exit_status),
	    EXEC_TEST(test_tells_what_cannot_be_started),
	    EXEC_TEST(test_hands_on_signals),
	    EXEC_TEST(test_leaves_the_signal_mask_alone),
	    EXEC_TEST(test_survives_a_host_that_goes_away),
	};

	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
