#include "guest/agent.h"
#include "guest/agent_settings.h"

enum {
	MEANING_KEY_CONFIG = 0x380,
};

static error_t agent_meaning_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_meaning *meaning = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &meaning->options;
		return 0;
	case MEANING_KEY_CONFIG:
		meaning->config = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option agent_meaning_options[] = {
    {"config", MEANING_KEY_CONFIG, "FILE", 0,
     "What holds without these options (" AGENT_SETTINGS_PATH ")", 2},
    {.name = NULL}};
static const struct argp_child agent_meaning_children[] = {{.argp = &meaning_argp}, {.argp = NULL}};

const struct argp agent_meaning_argp = {.options = agent_meaning_options,
					.parser = agent_meaning_parse,
					.children = agent_meaning_children};

int agent_read_settings(const struct agent_meaning *meaning, struct agent_settings *ret_settings)
{
	struct diag diag = DIAG_INIT;
	int status = agent_settings_load(meaning->config, NULL, ret_settings, &diag);

	if (status < 0)
		(void)agent_fail("%s", diag.text);
	if (status == 0 || meaning->config != NULL)
		return status;
	return agent_settings_load(AGENT_SETTINGS_NO_FILE, NULL, ret_settings, NULL);
}

int agent_open_meaning(const struct agent *agent, const struct agent_meaning *meaning,
		       const struct agent_settings *settings, struct meaning *ret_meaning)
{
	struct meaning_options options = meaning->options;
	struct diag diag = DIAG_INIT;
	int status;

	meaning_default(&options, settings->view.carbon, settings->view.equivalents);
	status = meaning_open(&options, agent->clock, ret_meaning, &diag);
	if (diag.text[0] != '\0')
		(void)agent_fail("%s", diag.text);
	return status;
}
