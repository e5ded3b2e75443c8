#include "common/http_address.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/mount.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_LISTEN_DEFAULT ":9772"

enum {
	AGENT_KEY_LISTEN = 0x200,
	AGENT_KEY_WEB_CONFIG_FILE,
	AGENT_KEY_ACCOUNTS_TOP,
	AGENT_KEY_ACCOUNTS_PERIOD,
	AGENT_KEY_ACCOUNTS_IDLE_POWER,
};

static const struct agent_command {
	const char *name;
	int (*run)(struct agent *agent, int argc, char **argv);
} agent_commands[] = {
    {"mount", agent_mount},
    {"status", agent_status},
    {"exec", agent_exec},
};

struct agent_main {
	struct agent agent;
	struct agent_service_options service;
	const struct agent_command *command; /* NULL: the service */
	int command_index;		     /* in argv */
};

const char *argp_program_version = "wattport-agent " WATTPORT_VERSION;

static const struct agent_command *agent_find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(agent_commands) / sizeof(agent_commands[0]); i++)
		if (strcmp(agent_commands[i].name, name) == 0)
			return &agent_commands[i];
	return NULL;
}

static void agent_main_parse_accounts(int key, const char *argument, struct argp_state *state,
				      struct agent_service_options *options)
{
	struct engine_idle_power *idle = &options->accounts.package;
	uint32_t top;

	switch (key) {
	case AGENT_KEY_ACCOUNTS_TOP:
		if (parse_u32(argument, &top) < 0 || top > ACCOUNTS_TOP_MAX)
			argp_error(
			    state,
			    "--accounts.top is a number from 0 (divide nothing) to %d, not '%s'",
			    ACCOUNTS_TOP_MAX, argument);
		options->accounts.top = top;
		break;
	case AGENT_KEY_ACCOUNTS_PERIOD:
		if (parse_duration_ns(argument, &options->accounts_period_ns) < 0 ||
		    options->accounts_period_ns < ACCOUNTS_PERIOD_NS_MIN ||
		    options->accounts_period_ns > ACCOUNTS_PERIOD_NS_MAX)
			argp_error(state, "--accounts.period is a time from 100ms to 30s, not '%s'",
				   argument);
		break;
	default:
		idle->given = strcmp(argument, "auto") != 0;
		if (idle->given && parse_power_uw(argument, &idle->power_uw) < 0)
			argp_error(state,
				   "--accounts.idle-power is a power of each package, as 12.5W, or "
				   "auto, not '%s'",
				   argument);
		break;
	}
}

static error_t agent_main_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_main *main_options = state->input;
	struct http_address address;
	struct diag diag = DIAG_INIT;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &main_options->agent;
		return 0;
	case AGENT_KEY_LISTEN:
		if (http_address_parse(argument, &address, &diag) < 0)
			argp_error(state, "--http.listen: %s", diag.text);
		main_options->service.listen = argument;
		return 0;
	case AGENT_KEY_WEB_CONFIG_FILE:
		main_options->service.web_config = argument;
		return 0;
	case AGENT_KEY_ACCOUNTS_TOP:
	case AGENT_KEY_ACCOUNTS_PERIOD:
	case AGENT_KEY_ACCOUNTS_IDLE_POWER:
		agent_main_parse_accounts(key, argument, state, &main_options->service);
		return 0;
	case ARGP_KEY_ARG:
		main_options->command = agent_find_command(argument);
		if (main_options->command == NULL)
			argp_error(state, "there is no command '%s'", argument);
		/* What follows is the command's. */
		main_options->command_index = state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
	    {"http.listen", AGENT_KEY_LISTEN, "HOST:PORT", 0,
	     "Where the service listens (" AGENT_LISTEN_DEFAULT ": every address)", 0},
	    {"web.config.file", AGENT_KEY_WEB_CONFIG_FILE, "FILE", 0,
	     "The service: TLS and passwords, as Prometheus' exporters take them", 0},
	    {"accounts.top", AGENT_KEY_ACCOUNTS_TOP, "NUMBER", 0,
	     "So many units, processes, users and so on are shown by name (50); 0: divide nothing",
	     0},
	    {"accounts.period", AGENT_KEY_ACCOUNTS_PERIOD, "TIME", 0,
	     "How often energy is divided (1s)", 0},
	    {"accounts.idle-power", AGENT_KEY_ACCOUNTS_IDLE_POWER, "POWER", 0,
	     "What each package draws at rest, or auto: it is found (auto)", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {{.argp = &agent_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = options,
	    .parser = agent_main_parse,
	    .args_doc = "\nmount [OPTION...]\nstatus [OPTION...]\nexec [OPTION...] -- COMMAND "
			"[ARGUMENT...]",
	    .doc = "Reads the energy of this machine, from the host's tree or from its own RAPL.\v"
		   "Without a command: the service, which exports the readings for Prometheus.\n"
		   "  mount   lay the host's tree over this machine's powercap\n"
		   "  status  show power and energy now\n"
		   "  exec    measure a command\n"
		   "Each has its own --help.",
	    .children = children,
	};
	struct agent_main main_options = {
	    .agent = {.sysroot = "/",
		      .at = MOUNT_AT_DEFAULT,
		      .source = METER_AUTO,
		      .clock = clock_real()},
	    .service = {.listen = AGENT_LISTEN_DEFAULT,
			.accounts = {.top = ACCOUNTS_TOP_DEFAULT, .exits = true},
			.accounts_period_ns = ACCOUNTS_PERIOD_NS_DEFAULT},
	};
	char name[64];
	int rest;

	argp_err_exit_status = AGENT_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &main_options) != 0)
		return AGENT_EXIT_USAGE;
	if (main_options.command == NULL)
		return agent_serve(&main_options.agent, &main_options.service);
	rest = argc - main_options.command_index;
	assert(rest > 0);
	(void)snprintf(name, sizeof(name), "wattport-agent %s", main_options.command->name);
	argv[main_options.command_index] = name;
	return main_options.command->run(&main_options.agent, rest,
					 argv + main_options.command_index);
}
