#include "common/http_address.h"
#include "guest/agent.h"
#include "guest/agent_settings.h"
#include "guest/compat.h"
#include "guest/mount.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_ENTRY_MAX 64 /* --SECTION.KEY=VALUE of one command line */
#define AGENT_KEY_MAX	64 /* keys of the configuration */
#define AGENT_NAME_SIZE 64

enum {
	AGENT_KEY_CONFIG = 0x200,
	AGENT_KEY_OUTPUT,
	AGENT_KEY_COMPAT,
	AGENT_KEY_SETTING = 0x1000, /* and those behind it: one a key of the configuration */
};

static const struct agent_command {
	const char *name;
	int (*run)(struct agent *agent, int argc, char **argv);
} agent_commands[] = {
    {"mount", agent_mount},	{"status", agent_status}, {"exec", agent_exec},
    {"session", agent_session}, {"top", agent_top},
};

struct agent_main {
	struct agent agent;
	struct agent_meaning meaning;
	const char *config; /* NULL: the default, which need not exist */
	size_t entry_count;
	struct config_entry entries[AGENT_ENTRY_MAX];
	size_t output_count;
	const char *outputs[OUTPUTS_MAX];
	char compat[CONFIG_TEXT_SIZE];
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

static void agent_add_entry(struct agent_main *main_options, const struct config_key *key,
			    const char *value, const struct argp_state *state)
{
	if (main_options->entry_count == AGENT_ENTRY_MAX)
		argp_error(state, "more than %d --SECTION.KEY=VALUE arguments", AGENT_ENTRY_MAX);
	main_options->entries[main_options->entry_count++] =
	    (struct config_entry){.section = key->section, .name = key->name, .value = value};
}

static void agent_add_compat(struct agent_main *main_options, const char *name,
			     const struct argp_state *state)
{
	size_t length = strlen(main_options->compat);
	struct diag diag = DIAG_INIT;
	uint32_t tools;

	if (compat_parse(name, &tools, &diag) < 0)
		argp_error(state, "--compat: %s", diag.text);
	(void)snprintf(main_options->compat + length, sizeof(main_options->compat) - length, "%s%s",
		       length > 0 ? " " : "", name);
}

static error_t agent_main_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_main *main_options = state->input;
	size_t count;
	const struct config_key *keys = agent_settings_keys(&count);

	if (key >= AGENT_KEY_SETTING && (size_t)(key - AGENT_KEY_SETTING) < count) {
		agent_add_entry(main_options, &keys[key - AGENT_KEY_SETTING], argument, state);
		return 0;
	}
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &main_options->agent;
		state->child_inputs[1] = &main_options->meaning;
		return 0;
	case AGENT_KEY_CONFIG:
		main_options->config = argument;
		return 0;
	case AGENT_KEY_OUTPUT:
		if (main_options->output_count == OUTPUTS_MAX)
			argp_error(state, "there are %d outputs at most", OUTPUTS_MAX);
		main_options->outputs[main_options->output_count++] = argument;
		return 0;
	case AGENT_KEY_COMPAT:
		agent_add_compat(main_options, argument, state);
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

/* The configuration, and what the command line says over it. */
static int agent_load_settings(const struct agent_main *main_options,
			       struct agent_settings *settings)
{
	const struct agent_settings_entries entries = {main_options->entries,
						       main_options->entry_count};
	struct diag diag = DIAG_INIT;
	struct http_address address;
	int status = agent_settings_load(main_options->config, &entries, settings, &diag);

	for (size_t i = 0; status == 0 && i < main_options->output_count; i++) {
		status = agent_settings_add_output(settings, main_options->outputs[i], &diag);
		if (status < 0)
			diag_prefix(&diag, "--output");
	}
	if (status == 0 && main_options->compat[0] != '\0')
		status = compat_parse(main_options->compat, &settings->http_compat, &diag);
	if (status == 0) {
		status = http_address_parse(settings->http_listen, &address, &diag);
		if (status < 0)
			diag_prefix(&diag, "--http.listen");
	}
	if (status < 0)
		(void)agent_fail("%s", diag.text);
	return status;
}

/* What the command line does not say of it. */
static void agent_add_meaning(struct agent_meaning *meaning, const struct agent_settings *settings)
{
	const struct carbon_options carbon = agent_settings_carbon(settings);

	if (meaning->carbon.spec == NULL)
		meaning->carbon.spec = carbon.spec;
	if (meaning->carbon.period_ns == 0)
		meaning->carbon.period_ns = carbon.period_ns;
	if (meaning->carbon.age_max_ns == 0)
		meaning->carbon.age_max_ns = carbon.age_max_ns;
	if (meaning->equivalents == NULL)
		meaning->equivalents = settings->carbon_equivalents;
}

static int agent_run_service(struct agent_main *main_options)
{
	static struct agent_settings settings;
	struct agent *agent = &main_options->agent;

	if (agent_load_settings(main_options, &settings) < 0)
		return AGENT_EXIT_USAGE;
	if (!agent->at_given)
		agent->at = settings.agent_at;
	if (!agent->source_given)
		agent->source = (enum meter_source)settings.agent_source;
	agent_add_meaning(&main_options->meaning, &settings);
	return agent_serve(agent, &settings, &main_options->meaning);
}

#define AGENT_OPTIONS                                                                              \
	{"config",                                                                                 \
	 AGENT_KEY_CONFIG,                                                                         \
	 "FILE",                                                                                   \
	 0,                                                                                        \
	 "The service's configuration (" AGENT_SETTINGS_PATH ")",                                  \
	 0},                                                                                       \
	    {"output",                                                                             \
	     AGENT_KEY_OUTPUT,                                                                     \
	     "FORMAT:SINK",                                                                        \
	     0,                                                                                    \
	     "The service: also write csv, json or influx to - (stdout), a file, a pipe, "         \
	     "udp://HOST:PORT or http://HOST:PORT/DATABASE; FORMAT@PERIOD sets how often",         \
	     0},                                                                                   \
	{                                                                                          \
		"compat", AGENT_KEY_COMPAT, "TOOL", 0,                                             \
		    "The service: also export by the names of scaphandre, node or kepler", 0       \
	}

/* What is given by hand now and then is in --help; all of them are in wattport-agent.conf(5). */
static bool agent_option_is_shown(const struct config_key *key)
{
	return strcmp(key->section, "web") == 0 || strcmp(key->name, "listen") == 0 ||
	       strcmp(key->section, "accounts") == 0;
}

int main(int argc, char **argv)
{
	static char names[AGENT_KEY_MAX][AGENT_NAME_SIZE];
	static struct argp_option options[AGENT_KEY_MAX + 8] = {AGENT_OPTIONS};
	static const struct argp_child children[] = {
	    {.argp = &agent_argp}, {.argp = &agent_meaning_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = options,
	    .parser = agent_main_parse,
	    .args_doc = "\nmount [OPTION...]\nstatus [OPTION...]\nexec [OPTION...] -- COMMAND "
			"[ARGUMENT...]\nsession [OPTION...] start|stop|list [NAME]"
			"\ntop [OPTION...]",
	    .doc =
		"Reads the energy of this machine, from the host's tree or from its own RAPL.\v"
		"Without a command: the service, which exports the readings for Prometheus and "
		"writes them to outputs.\n"
		"  mount   lay the host's tree over this machine's powercap\n"
		"  status  show power and energy now\n"
		"  exec    measure a command\n"
		"  session measure between two commands, for the scripts of batch systems\n"
		"  top     show who uses the power, on a terminal\n"
		"Each has its own --help. Every key of the service's configuration is also taken "
		"as --SECTION.KEY=VALUE.",
	    .children = children,
	};
	struct agent_main main_options = {
	    .agent = {.sysroot = "/",
		      .at = MOUNT_AT_DEFAULT,
		      .source = METER_AUTO,
		      .clock = clock_real()},
	};
	char name[64];
	size_t count, filled = 3;
	const struct config_key *keys = agent_settings_keys(&count);
	int rest;

	assert(count <= AGENT_KEY_MAX);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s.%s", keys[i].section, keys[i].name);
		options[filled++] = (struct argp_option){
		    names[i],	     AGENT_KEY_SETTING + (int)i,
		    "VALUE",	     agent_option_is_shown(&keys[i]) ? 0 : OPTION_HIDDEN,
		    keys[i].summary, 0};
	}
	argp_err_exit_status = AGENT_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &main_options) != 0)
		return AGENT_EXIT_USAGE;
	if (main_options.command == NULL)
		return agent_run_service(&main_options);
	rest = argc - main_options.command_index;
	assert(rest > 0);
	(void)snprintf(name, sizeof(name), "wattport-agent %s", main_options.command->name);
	argv[main_options.command_index] = name;
	return main_options.command->run(&main_options.agent, rest,
					 argv + main_options.command_index);
}
