/*
 * command.h: the subcommands of `wattport`, each in a file host/command_NAME.c.
 *
 * wattport_main.c takes the options in front of the subcommand's name and hands them on: argv[0] is
 * "wattport NAME", then come those options, then the rest of the line. So a subcommand sees the
 * options of all in one place, wherever a person wrote them: it lists `command_options_argp` among
 * its argp children (with a struct command_options as their input) and is done. Its result is the
 * exit status: EXIT_SUCCESS, EXIT_FAILURE after telling on stderr what to do, or
 * COMMAND_EXIT_USAGE.
 */
#ifndef WATTPORT_HOST_COMMAND_H
#define WATTPORT_HOST_COMMAND_H

#include "common/settings.h"

#include <argp.h>
#include <stdbool.h>

#define COMMAND_EXIT_USAGE 2

/* The options of all subcommands; each takes what it needs. Point into argv. */
struct command_options {
	const char *runtime_dir;
	const char *state_dir;
	const char *sysroot;
	const char *config; /* NULL: SETTINGS_PATH, if it is there */
};

/* An initialiser: the defaults. */
#define COMMAND_OPTIONS_INIT                                                                       \
	{                                                                                          \
		.runtime_dir = SETTINGS_RUNTIME_DIR, .state_dir = SETTINGS_STATE_DIR,              \
		.sysroot = "/", .config = NULL                                                     \
	}

extern const struct argp command_options_argp;

/* The line of a subcommand that takes --json and at most one argument. */
struct command_line {
	struct command_options options;
	bool json;
	const char *argument; /* NULL: none was given */
};

/*
 * Parses it. `argument_name` is what --help calls the argument, NULL where there is none. Ends the
 * process on --help, --version and wrong usage.
 */
void command_parse(int argc, char **argv, const char *doc, const char *argument_name,
		   struct command_line *ret_line);

int command_status(int argc, char **argv);
int command_vm(int argc, char **argv);
int command_top(int argc, char **argv);
int command_record(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_prepare(int argc, char **argv);

#endif
