/* exec.h: a command between two readings of a tree that the command itself changes. */
#include "guest/exec.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct guest_tree guest;
	struct meter *meter;
	struct exec_options options;
	struct exec_result *result;
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

	exec_result_destroy(fixture->result);
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
	exec_result_destroy(fixture->result);
	fixture->result = NULL;
	fixture->options.command = command;
	fixture->options.clock = clock_real();
	return exec_run(fixture->meter, &fixture->options, &fixture->result, &diag);
}

static void test_measures_what_the_command_uses(void **state)
{
	struct fixture *fixture = *state;
	const struct exec_result *result;
	struct meter_use use;

	assert_int_equal(run(fixture,
			     "echo 7500000 > tree/devices/virtual/powercap/intel-rapl/intel-rapl:0/"
			     "energy_uj"),
			 0);
	result = fixture->result;
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
	assert_int_equal(fixture->result->exit_status, 42);
	assert_int_equal(run(fixture, "kill -KILL $$"), 0);
	assert_int_equal(fixture->result->exit_status, EXEC_STATUS_SIGNAL + SIGKILL);
}

static void test_tells_what_cannot_be_started(void **state)
{
	struct fixture *fixture = *state;
	char absent[] = "/nonexistent/command", directory[] = "/";
	char *command[] = {absent, NULL};
	const struct exec_options options = {.command = command, .clock = clock_real()};
	struct diag diag = DIAG_INIT;
	int status = exec_run(fixture->meter, &options, &fixture->result, &diag);

	assert_int_equal(status, -ENOENT);
	assert_int_equal(exec_status_of_error(status), EXEC_STATUS_NOT_FOUND);
	check_contains(diag.text, absent);
	command[0] = directory;
	status = exec_run(fixture->meter, &options, &fixture->result, &diag);
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
	assert_int_equal(fixture->result->exit_status, 7);
}

/* The command finds the signals as its caller left them, and so does the caller afterwards. */
static void test_leaves_the_signal_mask_alone(void **state)
{
	struct fixture *fixture = *state;
	sigset_t mask;

	assert_int_equal(run(fixture, "kill -USR1 $$; exit 0"), 0);
	assert_int_equal(fixture->result->exit_status, EXEC_STATUS_SIGNAL + SIGUSR1);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
	assert_int_equal(sigismember(&mask, SIGTERM), 0);
	assert_int_equal(sigismember(&mask, SIGCHLD), 0);
}

/* A tree that ends while the command runs: the command is not harmed, the energy is unknown. */
static void test_survives_a_host_that_goes_away(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(run(fixture, "echo 60000 > tree/wattport/age_ms"), 0);
	assert_int_equal(fixture->result->exit_status, 0);
	assert_true(fixture->result->before.up);
	assert_false(fixture->result->after.up);
}

#define ENERGY "tree/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj"

/* A child that outlives the command is of it; its CPU time and its energy, too. */
static void test_waits_for_children_that_outlive_it(void **state)
{
	struct fixture *fixture = *state;
	struct meter_use use;

	/* The child goes on when the command is gone: its parent is then another. */
	assert_int_equal(run(fixture, "parent=$$; (while kill -0 $parent 2>/dev/null; do :; done; "
				      "echo 7500000 >" ENERGY ") & exit 5"),
			 0);
	assert_int_equal(fixture->result->exit_status, 5);
	assert_false(fixture->result->left_running);
	assert_int_equal(fixture->result->process_count, 2);
	assert_true(exec_result_total(fixture->result, &use));
	assert_int_equal(use.energy_uj, 2500000);
}

static void test_ends_with_the_command_when_told(void **state)
{
	struct fixture *fixture = *state;
	struct meter_use use;

	/* The child waits for a pipe that nobody opens until we do. */
	fixture->options.command_only = true;
	assert_int_equal(run(fixture, "mkfifo gate; (read x <gate; echo 7500000 >" ENERGY
				      ") >/dev/null 2>&1 & exit 0"),
			 0);
	assert_true(fixture->result->left_running);
	assert_true(exec_result_total(fixture->result, &use));
	assert_int_equal(use.energy_uj, 0);
	assert_int_equal(run(fixture, "echo >gate"), 0);
	while (wait(NULL) > 0)
		;
}

/* Each label begins a phase with what the counter said when it came, and all sum to the whole. */
static void test_marks_cut_it_into_phases(void **state)
{
	struct fixture *fixture = *state;
	const struct phases *phases;
	struct meter_use use;
	uint64_t sum_uj = 0;

	/* The exec waits for no reader: what a mark has seen, only its phase can tell. */
	assert_int_equal(run(fixture,
			     "for i in 6 7 8; do echo train >&$WATTPORT_MARK; "
			     "echo ${i}000000 >" ENERGY "; echo >&$WATTPORT_MARK; done; "
			     "printf 'caf\\303 \\033[2J%0200d\\nno end' 7 >&$WATTPORT_MARK"),
			 0);
	phases = fixture->result->phases;
	assert_true(fixture->result->marks_possible);
	assert_true(exec_result_total(fixture->result, &use));
	assert_int_equal(use.energy_uj, 3000000);
	for (size_t i = 0; i < phases_count(phases); i++)
		sum_uj += phases_get(phases, i)->energy_uj;
	assert_int_equal(sum_uj, use.energy_uj);
	assert_int_equal(phases_whole(phases)->energy_uj, use.energy_uj);
	assert_string_equal(phases_get(phases, phases_count(phases) - 1)->label,
			    "caf? ?[2J000000000000000000000000000000000000000000000000000000");
}

/* Only the command gets the descriptor, in a number that a shell can name. */
static void test_the_descriptor_of_marks(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(setenv("WATTPORT_MARK", "1", 1), 0);
	assert_int_equal(run(fixture, "test $WATTPORT_MARK -ge 3 && test $WATTPORT_MARK -le 9 && "
				      "test $(env | grep -c ^WATTPORT_MARK=) = 1"),
			 0);
	assert_int_equal(fixture->result->exit_status, 0);
	assert_int_equal(unsetenv("WATTPORT_MARK"), 0);
}

static void test_without_a_free_descriptor_there_are_no_marks(void **state)
{
	struct fixture *fixture = *state;
	int fds[7], count = 0;

	while (count < 7) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		if (fd > 9) {
			(void)close(fd);
			break;
		}
		fds[count++] = fd;
	}
	assert_int_equal(run(fixture, "test -z \"$WATTPORT_MARK\""), 0);
	assert_int_equal(fixture->result->exit_status, 0);
	assert_false(fixture->result->marks_possible);
	while (count > 0)
		(void)close(fds[--count]);
}

/* Grams are those of the intensity at the time; the reason stands where there is none. */
static void test_tells_grams(void **state)
{
	struct fixture *fixture = *state;
	const struct carbon_options options = {.spec = "360"};
	cleanup_carbon struct carbon *carbon = NULL;

	assert_int_equal(carbon_create(&options, clock_real(), &carbon, NULL), 0);
	fixture->options.carbon = carbon;
	assert_int_equal(run(fixture, "echo 15000000 >" ENERGY), 0);
	assert_true(fixture->result->has_carbon);
	assert_int_equal(fixture->result->co2e.co2e_ug, 1000);
	assert_int_equal(fixture->result->co2e.unknown_uj, 0);
	fixture->options.carbon = NULL;
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
	    EXEC_TEST(test_waits_for_children_that_outlive_it),
	    EXEC_TEST(test_ends_with_the_command_when_told),
	    EXEC_TEST(test_marks_cut_it_into_phases),
	    EXEC_TEST(test_the_descriptor_of_marks),
	    EXEC_TEST(test_without_a_free_descriptor_there_are_no_marks),
	    EXEC_TEST(test_tells_grams),
	};

	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
