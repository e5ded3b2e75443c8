#include "tests/raplsim/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tests/raplsim/parse.h"
#include "tests/raplsim/truth.h"

#define NS_PER_MS     UINT64_C(1000000)
#define WATT_DECIMALS 6
#define PASS_MS_MAX   (UINT64_C(1000) * 3600 * 24 * 365)
#define POWER_UW_MAX  UINT64_C(1000000000000)

struct command {
	const char *name;
	const char *arguments;
	size_t words_min; /* The command's own name included. */
	size_t words_max;
	enum command_status (*run)(struct simulator *simulator, size_t count, char *const *words,
				   FILE *out);
};

static enum command_status run_truth(struct simulator *simulator, size_t count, char *const *words,
				     FILE *out)
{
	pid_t pids[COMMANDS_WORDS_MAX / 2];
	size_t pid_count = 0;
	int r;

	for (size_t i = 1; i < count; i += 2) {
		uint64_t pid;

		if (strcmp(words[i], "--pid") != 0 || i + 1 == count ||
		    parse_u64(words[i + 1], &pid) < 0 || pid == 0 || pid > INT32_MAX) {
			(void)fprintf(out, "truth takes `--pid PID`, not '%s'\n", words[i]);
			return COMMAND_USAGE;
		}
		r = processes_follow(simulator->processes, (pid_t)pid);
		if (r < 0) {
			(void)fprintf(out, "process %s: %s\n", words[i + 1], strerror(-r));
			return COMMAND_FAILED;
		}
		pids[pid_count++] = (pid_t)pid;
	}
	r = truth_print(simulator, pids, pid_count, out);
	if (r < 0) {
		(void)fprintf(out, "the truth cannot be had: %s\n", strerror(-r));
		return COMMAND_FAILED;
	}
	return COMMAND_OK;
}

static enum command_status run_set(struct simulator *simulator, size_t count, char *const *words,
				   FILE *out)
{
	struct host_config config = simulator->config.host;
	uint64_t power_uw;
	int r;

	(void)count;
	if (parse_fixed(words[2], WATT_DECIMALS, &power_uw) < 0 || power_uw > POWER_UW_MAX) {
		(void)fprintf(out, "'%s' is not a power in watts (at most 1000000, 6 decimals)\n",
			      words[2]);
		return COMMAND_USAGE;
	}
	if (strcmp(words[1], "idle-watts") == 0) {
		config.idle_uw = power_uw;
	} else if (strcmp(words[1], "busy-watts") == 0) {
		config.busy_uw = power_uw;
	} else if (strcmp(words[1], "dram-watts") == 0) {
		config.dram_uw = power_uw;
	} else {
		(void)fprintf(out, "'%s' cannot be set: idle-watts, busy-watts, dram-watts can\n",
			      words[1]);
		return COMMAND_USAGE;
	}
	r = simulator_set_power(simulator, &config);
	if (r < 0) {
		(void)fprintf(out, "cannot read the CPU times: %s\n", strerror(-r));
		return COMMAND_FAILED;
	}
	return COMMAND_OK;
}

/* `fault ZONE FILE KIND [--for N [reads]]` */
static enum command_status run_fault(struct simulator *simulator, size_t count, char *const *words,
				     FILE *out)
{
	struct fault fault;
	size_t dir = tree_find_dir(simulator->tree, words[1]);
	size_t file;

	if (fault_parse(words[3], &fault) < 0) {
		(void)fprintf(out,
			      "'%s' is no fault: eio, enodata, eacces, garbage, empty, missing, "
			      "freeze, backward or slow:MS (at most %d)\n",
			      words[3], FAULTS_DELAY_MS_MAX);
		return COMMAND_USAGE;
	}
	if (count > 4 && (count < 6 || strcmp(words[4], "--for") != 0 ||
			  parse_u64(words[5], &fault.reads_left) < 0 || fault.reads_left == 0 ||
			  (count == 7 && strcmp(words[6], "reads") != 0))) {
		(void)fprintf(out, "after the fault only `--for N` may follow, N at least 1\n");
		return COMMAND_USAGE;
	}
	file = dir == TREE_NONE ? TREE_NONE : tree_find_file(simulator->tree, dir, words[2]);
	if (file == TREE_NONE || tree_node(simulator->tree, file)->kind == TREE_DIR) {
		(void)fprintf(out, "there is no %s '%s'\n", dir == TREE_NONE ? "zone" : "file",
			      words[dir == TREE_NONE ? 1 : 2]);
		return COMMAND_FAILED;
	}
	faults_set(simulator->faults, file, fault);
	return COMMAND_OK;
}

static enum command_status run_clear(struct simulator *simulator, size_t count, char *const *words,
				     FILE *out)
{
	(void)count;
	(void)words;
	(void)out;
	faults_clear(simulator->faults);
	return COMMAND_OK;
}

static enum command_status run_zone(struct simulator *simulator, size_t count, char *const *words,
				    FILE *out)
{
	bool present = strcmp(words[1], "add") == 0;
	size_t dir = tree_find_dir(simulator->tree, words[2]);
	int r;

	(void)count;
	if (!present && strcmp(words[1], "remove") != 0) {
		(void)fprintf(out, "a zone can be removed or added, not '%s'\n", words[1]);
		return COMMAND_USAGE;
	}
	r = dir == TREE_NONE ? -EINVAL : tree_zone_set(simulator->tree, dir, present);
	if (r == -EINVAL)
		(void)fprintf(out, "there is no zone '%s'\n", words[2]);
	else if (r < 0)
		(void)fprintf(out, "zone '%s' is %s already\n", words[2],
			      present ? "there" : "gone");
	return r < 0 ? COMMAND_FAILED : COMMAND_OK;
}

static enum command_status run_load(struct simulator *simulator, size_t count, char *const *words,
				    FILE *out)
{
	const struct host *host = &simulator->host;
	uint64_t permille;
	uint64_t cpu;
	size_t i = 0;
	int r;

	(void)count;
	if (parse_u64(words[1], &cpu) < 0 || parse_u64(words[2], &permille) < 0 ||
	    permille > 1000) {
		(void)fprintf(out, "load takes a CPU and 0 to 1000\n");
		return COMMAND_USAGE;
	}
	while (i < host->cpu_count && host->cpus[i].id != cpu)
		i++;
	if (i == host->cpu_count) {
		(void)fprintf(out, "there is no CPU %s\n", words[1]);
		return COMMAND_FAILED;
	}
	r = simulator_advance(simulator);
	if (r == 0)
		r = cpu_time_script_load(simulator->cpu_time, i, permille, simulator->now_ns);
	if (r < 0) {
		(void)fprintf(out, "CPU time is not scripted: run with --busy clock\n");
		return COMMAND_FAILED;
	}
	return COMMAND_OK;
}

static enum command_status run_pass(struct simulator *simulator, size_t count, char *const *words,
				    FILE *out)
{
	uint64_t duration_ns;
	int r;

	(void)count;
	if (parse_fixed(words[1], 6, &duration_ns) < 0 || duration_ns / NS_PER_MS > PASS_MS_MAX) {
		(void)fprintf(out, "'%s' is not a time in milliseconds\n", words[1]);
		return COMMAND_USAGE;
	}
	r = simulator_pass(simulator, duration_ns);
	if (r < 0) {
		(void)fprintf(out, "time passes by itself: run with --time manual\n");
		return COMMAND_FAILED;
	}
	return COMMAND_OK;
}

static enum command_status run_quit(struct simulator *simulator, size_t count, char *const *words,
				    FILE *out)
{
	(void)count;
	(void)words;
	(void)out;
	simulator->quit = true;
	return COMMAND_OK;
}

static const struct command commands[] = {
    {"truth", "[--pid PID]...", 1, COMMANDS_WORDS_MAX, run_truth},
    {"set", "idle-watts|busy-watts|dram-watts W", 3, 3, run_set},
    {"fault",
     "ZONE FILE eio|enodata|eacces|garbage|empty|missing|freeze|backward|slow:MS [--for N]", 4, 7,
     run_fault},
    {"clear", "", 1, 1, run_clear},
    {"zone", "remove|add ZONE", 3, 3, run_zone},
    {"load", "CPU PERMILLE", 3, 3, run_load},
    {"pass", "MS", 2, 2, run_pass},
    {"quit", "", 1, 1, run_quit},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum command_status commands_run(struct simulator *simulator, size_t count, char *const *words,
				 FILE *out)
{
	for (size_t i = 0; i < COMMAND_COUNT && count > 0; i++) {
		const struct command *command = &commands[i];

		if (strcmp(command->name, words[0]) != 0)
			continue;
		if (count >= command->words_min && count <= command->words_max)
			return command->run(simulator, count, words, out);
		(void)fprintf(out, "usage: %s %s\n", command->name, command->arguments);
		return COMMAND_USAGE;
	}
	(void)fprintf(out, "unknown command '%s'; there are:\n", count > 0 ? words[0] : "");
	commands_print_usage(out);
	return COMMAND_FAILED;
}

void commands_print_usage(FILE *out)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		(void)fprintf(out, "  %s %s\n", commands[i].name, commands[i].arguments);
}
