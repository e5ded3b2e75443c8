/*
 * wattport: the command line. Finds the subcommand in its table and hands the line over to it.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "host/command.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

/* In the order in which --help shows them. */
static const struct command commands[] = {
    {"status", "what the host and its virtual machines use", command_status},
    {"vm", "the virtual machines, or all of one", command_vm},
    {"top", "who uses the power now, on a terminal", command_top},
    {"attach", "give a virtual machine its energy tree", command_attach},
    {"detach", "take it away again", command_detach},
    {"prepare", "make the tree of a machine that is about to start", command_prepare},
    {"record", "the samples that are booked, into a trace", command_record},
    {"replay", "book a trace, with any settings of attribution", command_replay},
    {"doctor", "what this host can do, and what mends the rest", command_doctor},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* argp(3) looks for this by name. */
const char *argp_program_version = "wattport " WATTPORT_VERSION;

struct main_arguments {
	struct command_options options; /* checked here, parsed again by the subcommand */
	const struct command *command;
	int first; /* index in argv of the subcommand's name */
};

static const struct command *main_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static error_t main_parse(int key, char *argument, struct argp_state *state)
{
	struct main_arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->options;
		return 0;
	case ARGP_KEY_ARG:
		arguments->command = main_find(argument);
		if (arguments->command == NULL)
			argp_error(state, "there is no command %s; --help lists them", argument);
		arguments->first = state->next - 1;
		state->next = state->argc; /* the rest is the subcommand's */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing; --help lists them");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands, behind the options; argp frees it. */
static char *main_help(int key, const char *text, void *input)
{
	cleanup_file FILE *stream = NULL;
	char *help = NULL;
	size_t size;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC) {
		/* Unchanged, by its own address, which argp(3) wants back without the const. */
		memcpy(&help, &text, sizeof(help));
		return help;
	}
	stream = open_memstream(&help, &size);
	if (stream == NULL)
		return NULL;
	(void)fprintf(stream, "Commands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		(void)fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(stream, "\n`wattport COMMAND --help` tells more of each.");
	return fclose(TAKE_PTR(stream)) == 0 ? help : NULL;
}

/*
 * "wattport", options, NAME, rest -> "wattport NAME", options, rest. Both have as many words, less
 * one.
 */
static int main_run(const struct main_arguments *arguments, int argc, char **argv)
{
	const size_t front = (size_t)arguments->first;
	const size_t rest = (size_t)argc - front;
	cleanup_free char **words = calloc((size_t)argc + 1, sizeof(*words));
	cleanup_free char *name = NULL;

	if (words == NULL || asprintf(&name, "wattport %s", arguments->command->name) < 0) {
		name = NULL; /* asprintf(3) leaves it undefined */
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	memcpy(words, argv, front * sizeof(*words));
	memcpy(words + front, argv + front + 1, rest * sizeof(*words)); /* and the NULL */
	words[0] = name;
	return arguments->command->run(argc - 1, words);
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = {
	    {&command_options_argp, 0, NULL, 0},
	    {NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .parser = main_parse,
	    .args_doc = "COMMAND [ARGUMENT...]",
	    .doc = "Shows and manages the energy accounts of this host's virtual machines.\v",
	    .children = children,
	    .help_filter = main_help,
	};
	struct main_arguments arguments = {.options = COMMAND_OPTIONS_INIT, .command = NULL};

	log_init("wattport", LOG_LEVEL_INFO);
	/* Only how wide characters are: numbers and messages stay as they are everywhere. */
	(void)setlocale(LC_CTYPE, "");
	argp_err_exit_status = COMMAND_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments) != 0)
		return COMMAND_EXIT_USAGE;
	return main_run(&arguments, argc, argv);
}
