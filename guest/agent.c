#include "guest/agent.h"
#include "common/cleanup.h"
#include "guest/mount.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum agent_key {
	AGENT_KEY_SYSROOT = 0x100,
	AGENT_KEY_AT,
	AGENT_KEY_SOURCE,
};

static error_t agent_parse(int key, char *argument, struct argp_state *state)
{
	struct agent *agent = state->input;

	switch (key) {
	case AGENT_KEY_SYSROOT:
		agent->sysroot = argument;
		return 0;
	case AGENT_KEY_AT:
		agent->at = argument;
		agent->at_given = true;
		return 0;
	case AGENT_KEY_SOURCE:
		agent->source_given = true;
		if (meter_source_parse(argument, &agent->source) < 0)
			argp_error(state, "--source is auto, tree or powercap, not '%s'", argument);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define AGENT_PLACE_OPTIONS                                                                        \
	{"at", AGENT_KEY_AT, "DIR", 0, "Where the tree is mounted (" MOUNT_AT_DEFAULT ")", 1},     \
	{                                                                                          \
		"sysroot", AGENT_KEY_SYSROOT, "DIR", 0, "Read sys and proc below DIR", 1           \
	}

static const struct argp_option agent_place_options[] = {AGENT_PLACE_OPTIONS, {.name = NULL}};
static const struct argp_option agent_options[] = {
    {"source", AGENT_KEY_SOURCE, "NAME", 0,
     "tree (the host's), powercap (this machine's own), or auto (the first that is there)", 1},
    AGENT_PLACE_OPTIONS,
    {.name = NULL}};

const struct argp agent_place_argp = {.options = agent_place_options, .parser = agent_parse};
const struct argp agent_argp = {.options = agent_options, .parser = agent_parse};

int agent_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)fprintf(stderr, "wattport-agent: ");
	(void)vfprintf(stderr, format, arguments);
	(void)fprintf(stderr, "\n");
	va_end(arguments);
	return AGENT_EXIT_FAILED;
}

int agent_open_meter(const struct agent *agent, struct sysroot **ret_root, struct meter **ret_meter)
{
	const struct meter_options options = {.source = agent->source, .at = agent->at};
	cleanup_sysroot struct sysroot *root = NULL;
	struct diag diag = DIAG_INIT;
	int status = sysroot_open(agent->sysroot, &root, &diag);

	if (status < 0) {
		(void)agent_fail("%s", diag.text);
		return status;
	}
	status = meter_create(root, agent->clock, &options, ret_meter);
	if (status < 0) {
		(void)agent_fail("%s", strerror(-status));
		return status;
	}
	*ret_root = TAKE_PTR(root);
	return 0;
}
