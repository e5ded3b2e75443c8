#include "common/cleanup.h"
#include "guest/agent.h"
#include "guest/exec.h"
#include "guest/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct agent_exec_options {
	struct agent *agent;
	bool json;
	const char *output;
	char **command; /* NULL-terminated tail of argv */
};

static error_t agent_exec_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_exec_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options->agent;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'o':
		options->output = argument;
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

/* Opened before the command runs: it would be a pity to lose an hour's measurement to a typo. */
static FILE *agent_exec_output(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	FILE *stream;

	if (fd < 0)
		return NULL;
	stream = fdopen(fd, "w");
	if (stream == NULL)
		(void)close(fd);
	return stream;
}

static int agent_exec_report(const struct agent_exec_options *options,
			     const struct exec_result *result, FILE *stream)
{
	const struct report_exec report = {
	    .result = result, .command = options->command, .at = options->agent->at};
	int status =
	    options->json ? report_exec_json(stream, &report) : report_exec_text(stream, &report);

	if (status < 0)
		(void)agent_fail("cannot write the report");
	return status;
}

/* Like a shell, and env(1): the command's status, or 126, 127 or 1 for our own failures. */
static int agent_exec_run(const struct agent_exec_options *options, struct meter *meter,
			  FILE *stream)
{
	cleanup_free struct exec_result *result = calloc(1, sizeof(*result));
	struct diag diag = DIAG_INIT;
	int status;

	if (result == NULL)
		return agent_fail("out of memory");
	status = exec_run(meter, options->command, result, &diag);
	if (status < 0) {
		(void)agent_fail("%s", diag.text);
		return exec_status_of_error(status);
	}
	if (agent_exec_report(options, result, stream) < 0 && result->exit_status == 0)
		return AGENT_EXIT_FAILED;
	return result->exit_status;
}

int agent_exec(struct agent *agent, int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
	    {"json", 'j', NULL, 0, "For programs", 0},
	    {"output", 'o', "FILE", 0, "Write the report to FILE, not to stderr", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {{.argp = &agent_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = argp_options,
	    .parser = agent_exec_parse,
	    .args_doc = "[--] COMMAND [ARGUMENT...]",
	    .doc = "Runs a command and reports the energy that this machine used meanwhile. The "
		   "exit status is the command's; 126 or 127 when it cannot be started.",
	    .children = children,
	};
	struct agent_exec_options options = {.agent = agent};
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_file FILE *output = NULL;

	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	if (options.output != NULL) {
		output = agent_exec_output(options.output);
		if (output == NULL)
			return agent_fail("cannot write %s: %s", options.output, strerror(errno));
	}
	if (agent_open_meter(agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	return agent_exec_run(&options, meter, output != NULL ? output : stderr);
}
