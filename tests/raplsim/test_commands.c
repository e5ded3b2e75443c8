#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "tests/raplsim/commands.h"
#include "tests/raplsim/test.h"

#define WORDS_MAX 8

/* Two CPUs on two packages, time by hand: everything below is exact. */
static int setup(void **state)
{
	static struct simulator simulator;
	struct simulator_config config = {.update_ns = 1000000,
					  .cpu_count = 2,
					  .scripted = true,
					  .manual = true,
					  .host = {.packages = 2,
						   .dies = 1,
						   .idle_uw = 10000000,
						   .busy_uw = 20000000,
						   .unit_pj = 61035000,
						   .dram_unit_pj = 61035000,
						   .psys_unit_pj = 61035000}};

	assert_int_equal(simulator_init(&simulator, &config), 0);
	*state = &simulator;
	return 0;
}

static int teardown(void **state)
{
	simulator_finish(*state);
	return 0;
}

/* Runs a command line whose words stand apart by one space. The caller frees the answer. */
static char *answer_to(struct simulator *simulator, const char *line, enum command_status status)
{
	char text[256];
	char *words[WORDS_MAX];
	char *save = NULL;
	char *answer = NULL;
	size_t length = 0;
	size_t count = 0;
	FILE *out = open_memstream(&answer, &length);

	assert_non_null(out);
	assert_true(strlen(line) < sizeof(text));
	memcpy(text, line, strlen(line) + 1);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(count < WORDS_MAX);
		words[count++] = word;
	}
	assert_int_equal(commands_run(simulator, count, words, out), status);
	assert_int_equal(fclose(out), 0);
	return answer;
}

static void command(struct simulator *simulator, const char *line)
{
	free(answer_to(simulator, line, COMMAND_OK));
}

static void assert_refused(struct simulator *simulator, const char *line,
			   enum command_status status, const char *says)
{
	char *answer = answer_to(simulator, line, status);

	if (!strstr(answer, says))
		fail_msg("'%s' answers '%s'", line, answer);
	free(answer);
}

static json_int_t true_uj(struct simulator *simulator, const char *zone)
{
	char *answer = answer_to(simulator, "truth", COMMAND_OK);
	json_t *truth = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
	json_int_t value;

	assert_non_null(truth);
	value = json_integer_value(
	    json_object_get(json_object_get(json_object_get(truth, "zones"), zone), "true_uj"));
	json_decref(truth);
	free(answer);
	return value;
}

static void test_truth_follows_load_and_power(void **state)
{
	struct simulator *simulator = *state;

	command(simulator, "pass 1000");
	assert_int_equal(true_uj(simulator, "package-0"), 10000000);
	command(simulator, "load 0 500");
	command(simulator, "pass 1000");
	assert_int_equal(true_uj(simulator, "package-0"), 10000000 + 20000000);
	assert_int_equal(true_uj(simulator, "package-1"), 20000000);
	command(simulator, "set idle-watts 0");
	command(simulator, "set busy-watts 100");
	command(simulator, "pass 500");
	command(simulator, "load 0 0");
	command(simulator, "pass 500");
	assert_int_equal(true_uj(simulator, "package-0"), 30000000 + 25000000);
	assert_int_equal(true_uj(simulator, "package-1"), 20000000);
}

static void test_followed_process_has_its_threads(void **state)
{
	char line[64];
	char *answer;
	json_t *truth;
	const json_t *process;
	const json_t *thread;

	(void)snprintf(line, sizeof(line), "truth --pid %d", (int)getpid());
	answer = answer_to(*state, line, COMMAND_OK);
	truth = json_loads(answer, 0, NULL);
	assert_non_null(truth);
	process = json_array_get(json_object_get(truth, "processes"), 0);
	thread = json_array_get(json_object_get(process, "threads"), 0);
	assert_int_equal(json_integer_value(json_object_get(process, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(thread, "tid")), getpid());
	/* At 20 W from its first moment on: 20 nJ for each microsecond. */
	assert_int_equal(json_integer_value(json_object_get(process, "true_uj")),
			 json_integer_value(json_object_get(process, "cpu_ns")) / 50);
	json_decref(truth);
	free(answer);
}

static void test_faults_and_zones(void **state)
{
	struct simulator *simulator = *state;
	size_t energy = tree_find_file(simulator->tree, tree_find_dir(simulator->tree, "package-1"),
				       "energy_uj");

	command(simulator, "fault package-1 energy_uj missing --for 3 reads");
	assert_true(faults_hides(simulator->faults, energy));
	command(simulator, "clear");
	assert_false(faults_hides(simulator->faults, energy));
	command(simulator, "fault devices/system/cpu online empty");
	command(simulator, "zone remove intel-rapl:1");
	assert_false(tree_visible(simulator->tree, energy));
	assert_refused(simulator, "zone remove package-1", COMMAND_FAILED, "gone already");
	command(simulator, "zone add package-1");
	assert_true(tree_visible(simulator->tree, energy));
	command(simulator, "quit");
	assert_true(simulator->quit);
}

static void test_bad_commands_are_refused(void **state)
{
	static const struct {
		const char *line;
		enum command_status status;
		const char *says;
	} bad[] = {
	    {"", COMMAND_FAILED, "unknown command"},
	    {"frob", COMMAND_FAILED, "unknown command 'frob'"},
	    {"quit now", COMMAND_USAGE, "usage: quit"},
	    {"truth --pid", COMMAND_USAGE, "--pid PID"},
	    {"truth --pid 0", COMMAND_USAGE, "--pid PID"},
	    {"truth --pid 2147483647", COMMAND_FAILED, "No such process"},
	    {"set idle-watts", COMMAND_USAGE, "usage: set"},
	    {"set idle-watts -1", COMMAND_USAGE, "not a power"},
	    {"set idle-watts 1000000.1", COMMAND_USAGE, "not a power"},
	    {"set colour 1", COMMAND_USAGE, "'colour' cannot be set"},
	    {"fault package-0 energy_uj late", COMMAND_USAGE, "'late' is no fault"},
	    {"fault package-0 energy_uj eio --for 0", COMMAND_USAGE, "--for N"},
	    {"fault package-0 energy_uj eio --for", COMMAND_USAGE, "--for N"},
	    {"fault package-9 energy_uj eio", COMMAND_FAILED, "no zone 'package-9'"},
	    {"fault package-0 energy eio", COMMAND_FAILED, "no file 'energy'"},
	    {"fault devices/system cpu eio", COMMAND_FAILED, "no file 'cpu'"},
	    {"zone flip package-0", COMMAND_USAGE, "not 'flip'"},
	    {"zone add devices", COMMAND_FAILED, "no zone 'devices'"},
	    {"zone add package-0", COMMAND_FAILED, "there already"},
	    {"load 2 5", COMMAND_FAILED, "no CPU 2"},
	    {"load 0 1001", COMMAND_USAGE, "0 to 1000"},
	    {"pass 1s", COMMAND_USAGE, "milliseconds"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(*state, bad[i].line, bad[i].status, bad[i].says);
	assert_int_equal(true_uj(*state, "package-0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_truth_follows_load_and_power, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_followed_process_has_its_threads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_faults_and_zones, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_commands_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
