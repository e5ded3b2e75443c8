#include "host/command.h"

#include <errno.h>

enum command_option {
	OPTION_RUNTIME_DIR = 0x100,
	OPTION_STATE_DIR,
	OPTION_SYSROOT,
	OPTION_CONFIG,
	OPTION_JSON,
};

static error_t command_options_parse(int key, char *argument, struct argp_state *state)
{
	struct command_options *options = state->input;

	switch (key) {
	case OPTION_RUNTIME_DIR:
		options->runtime_dir = argument;
		return 0;
	case OPTION_STATE_DIR:
		options->state_dir = argument;
		return 0;
	case OPTION_SYSROOT:
		options->sysroot = argument;
		return 0;
	case OPTION_CONFIG:
		options->config = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option command_options_list[] = {
    {NULL, 0, NULL, 0, "Options of all commands:", 10},
    {"runtime-dir", OPTION_RUNTIME_DIR, "DIR", 0,
     "Where the ledger and the trees are (default " SETTINGS_RUNTIME_DIR ")", 10},
    {"state-dir", OPTION_STATE_DIR, "DIR", 0,
     "Where the accounts are kept (default " SETTINGS_STATE_DIR ")", 10},
    {"sysroot", OPTION_SYSROOT, "DIR", 0, "Take sys and proc from DIR (default /)", 10},
    {"config", OPTION_CONFIG, "FILE", 0, "The configuration (default " SETTINGS_PATH ")", 10},
    {NULL, 0, NULL, 0, NULL, 0},
};

const struct argp command_options_argp = {
    .options = command_options_list,
    .parser = command_options_parse,
};

struct command_parsing {
	struct command_line line;
	bool takes_argument;
};

static error_t command_line_parse(int key, char *argument, struct argp_state *state)
{
	struct command_parsing *parsing = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &parsing->line.options;
		return 0;
	case OPTION_JSON:
		parsing->line.json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!parsing->takes_argument || parsing->line.argument != NULL)
			argp_error(state, "unexpected argument: %s", argument);
		parsing->line.argument = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void command_parse(int argc, char **argv, const char *doc, const char *argument_name,
		   struct command_line *ret_line)
{
	static const struct argp_option options[] = {
	    {"json", OPTION_JSON, NULL, 0, "Print JSON with exact integers", 1},
	    {NULL, 0, NULL, 0, NULL, 0},
	};
	static const struct argp_child children[] = {
	    {&command_options_argp, 0, NULL, 0},
	    {NULL, 0, NULL, 0},
	};
	const struct argp argp = {
	    .options = options,
	    .parser = command_line_parse,
	    .args_doc = argument_name,
	    .doc = doc,
	    .children = children,
	};
	struct command_parsing parsing = {
	    .line = {.options = COMMAND_OPTIONS_INIT, .json = false, .argument = NULL},
	    .takes_argument = argument_name != NULL,
	};

	/* Wrong usage ends the process in argp(3), with argp_err_exit_status. */
	(void)argp_parse(&argp, argc, argv, 0, NULL, &parsing);
	*ret_line = parsing.line;
}
