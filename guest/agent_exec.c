#include "common/cleanup.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/agent_report.h"
#include "guest/agent_settings.h"
#include "guest/exec.h"

#include <errno.h>
#include <string.h>

enum {
	EXEC_KEY_FORMAT = 0x400,
	EXEC_KEY_PERIOD,
	EXEC_KEY_COMMAND_ONLY,
	EXEC_KEY_IDLE_POWER,
	EXEC_KEY_IDLE_POWER_DRAM,
};

struct agent_exec_options {
	struct agent *agent;
	struct agent_meaning meaning;
	enum agent_report_format format;
	const char *output;
	uint64_t period_ns;
	bool command_only;
	struct engine_idle_power package;
	struct engine_idle_power dram;
	char **command; /* NULL-terminated tail of argv */
};

static void agent_exec_power(struct engine_idle_power *power, const char *name,
			     const char *argument, const struct argp_state *state)
{
	power->given = true;
	if (parse_power_uw(argument, &power->power_uw) < 0)
		argp_error(state, "--%s takes a power with its unit, such as 12.5W, not '%s'", name,
			   argument);
}

static error_t agent_exec_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_exec_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options->agent;
		state->child_inputs[1] = &options->meaning;
		return 0;
	case EXEC_KEY_FORMAT:
		if (agent_report_format_parse(argument, &options->format) < 0)
			argp_error(state, "--format is text, json or csv, not '%s'", argument);
		return 0;
	case 'j':
		options->format = AGENT_REPORT_JSON;
		return 0;
	case 'o':
		options->output = argument;
		return 0;
	case EXEC_KEY_PERIOD:
		if (parse_duration_ns(argument, &options->period_ns) < 0 ||
		    options->period_ns < EXEC_PERIOD_NS_MIN ||
		    options->period_ns > EXEC_PERIOD_NS_MAX)
			argp_error(state, "--period takes a duration from 1ms to 10s, not '%s'",
				   argument);
		return 0;
	case EXEC_KEY_COMMAND_ONLY:
		options->command_only = true;
		return 0;
	case EXEC_KEY_IDLE_POWER:
		agent_exec_power(&options->package, "idle-power", argument, state);
		return 0;
	case EXEC_KEY_IDLE_POWER_DRAM:
		agent_exec_power(&options->dram, "idle-power-dram", argument, state);
		return 0;
	case ARGP_KEY_ARG:
		/* The first one begins the command; options behind it are the command's own. */
		options->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command is to be measured?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Like a shell, and env(1): the command's status, or 126, 127 or 1 for our own failures. */
static int agent_exec_run(const struct agent_exec_options *options, struct agent_report *report)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	cleanup_exec_result struct exec_result *result = NULL;
	struct exec_options exec = {.command = options->command,
				    .period_ns = options->period_ns,
				    .command_only = options->command_only,
				    .clock = options->agent->clock};
	struct report_exec told = {.command = options->command, .at = options->agent->at};
	struct agent_settings settings;
	struct accounts_options accounts;
	struct diag diag = DIAG_INIT;
	int status;

	if (agent_read_settings(&options->meaning, &settings) < 0)
		return AGENT_EXIT_FAILED;
	accounts = agent_settings_accounts(&settings);
	exec.package = options->package.given ? options->package : accounts.package;
	exec.dram = options->dram.given ? options->dram : accounts.dram;
	/* Before anything else is opened or blocked: it may start a process of its own. */
	if (agent_open_meaning(options->agent, &options->meaning, &settings, &meaning) < 0 ||
	    agent_open_meter(options->agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	if (meaning.carbon != NULL)
		carbon_wait(meaning.carbon);
	exec.carbon = meaning.carbon;
	exec.root = root;
	status = exec_run(meter, &exec, &result, &diag);
	if (status < 0) {
		(void)agent_fail("%s", diag.text);
		return exec_status_of_error(status);
	}
	told.result = result;
	told.equivalents = meaning.equivalents;
	if (agent_report_write(report, &told) < 0 && result->exit_status == 0)
		return AGENT_EXIT_FAILED;
	return result->exit_status;
}

int agent_exec(struct agent *agent, int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
	    {"format", EXEC_KEY_FORMAT, "NAME", 0, "text, json or csv", 0},
	    {"json", 'j', NULL, 0, "The same as --format json", 0},
	    {"output", 'o', "FILE", 0,
	     "Write the report to FILE, not to stderr; CSV is added to what is there", 0},
	    {"period", EXEC_KEY_PERIOD, "TIME", 0,
	     "Take readings so often (10ms, or less often where that costs much)", 0},
	    {"command-only", EXEC_KEY_COMMAND_ONLY, NULL, 0,
	     "End with the command, not with the last of its children", 0},
	    {"idle-power", EXEC_KEY_IDLE_POWER, "WATTS", 0,
	     "What each package draws at rest (accounts.idle-power, or an estimate)", 0},
	    {"idle-power-dram", EXEC_KEY_IDLE_POWER_DRAM, "WATTS", 0,
	     "The same of each package's memory (accounts.idle-power-dram, or an estimate)", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {
	    {.argp = &agent_argp}, {.argp = &agent_meaning_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = argp_options,
	    .parser = agent_exec_parse,
	    .args_doc = "[--] COMMAND [ARGUMENT...]",
	    .doc =
		"Runs a command and reports the energy that this machine used meanwhile, and how "
		"much of it was the command's. A line "
		"that the command writes to the descriptor in WATTPORT_MARK begins a phase. The "
		"exit status is the command's; 126 or 127 when it cannot be started.",
	    .children = children,
	};
	struct agent_exec_options options = {.agent = agent};
	struct agent_report report = AGENT_REPORT_INIT;
	int status;

	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	/* It would be a pity to lose an hour's measurement to a typo. */
	if (agent_report_open(&report, options.format, options.output, stderr) < 0)
		return AGENT_EXIT_FAILED;
	status = agent_exec_run(&options, &report);
	agent_report_close(&report);
	return status;
}
