#include "common/cleanup.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/agent_settings.h"

#include <string.h>

/* What the configuration calls it, too. */
#define MEANING_NONE "none"

enum {
	MEANING_KEY_CARBON = 0x300,
	MEANING_KEY_CARBON_PERIOD,
	MEANING_KEY_CARBON_AGE,
	MEANING_KEY_EQUIVALENTS,
	MEANING_KEY_CONFIG,
};

static void meaning_duration(const struct argp_state *state, const char *name, const char *argument,
			     uint64_t *ret_ns)
{
	if (parse_duration_ns(argument, ret_ns) < 0 || *ret_ns < CLOCK_NS_PER_SECOND)
		argp_error(state, "--%s takes a duration of 1s or more, not '%s'", name, argument);
}

static error_t meaning_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_meaning *meaning = state->input;
	struct diag diag = DIAG_INIT;
	enum carbon_kind kind;

	switch (key) {
	case MEANING_KEY_CARBON:
		if (strcmp(argument, MEANING_NONE) != 0 && carbon_check(argument, &kind, &diag) < 0)
			argp_error(state, "--carbon: %s", diag.text);
		meaning->carbon.spec = argument;
		return 0;
	case MEANING_KEY_CARBON_PERIOD:
		meaning_duration(state, "carbon-period", argument, &meaning->carbon.period_ns);
		return 0;
	case MEANING_KEY_CARBON_AGE:
		meaning_duration(state, "carbon-age", argument, &meaning->carbon.age_max_ns);
		return 0;
	case MEANING_KEY_EQUIVALENTS:
		meaning->equivalents = argument;
		return 0;
	case MEANING_KEY_CONFIG:
		meaning->config = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option meaning_options[] = {
    {"carbon", MEANING_KEY_CARBON, "WHAT", 0,
     "Tell CO2e (meaning.carbon): none, or " CARBON_ALLOWED, 2},
    {"carbon-period", MEANING_KEY_CARBON_PERIOD, "TIME", 0,
     "Read the file or run the command so often (5min)", 2},
    {"carbon-age", MEANING_KEY_CARBON_AGE, "TIME", 0, "No grams from a figure that is older (2h)",
     2},
    {"equivalents", MEANING_KEY_EQUIVALENTS, "FILE", 0,
     "What energy is compared with (meaning.equivalents)", 2},
    {"config", MEANING_KEY_CONFIG, "FILE", 0,
     "What holds without these options (" AGENT_SETTINGS_PATH ")", 2},
    {.name = NULL}};

const struct argp agent_meaning_argp = {.options = meaning_options, .parser = meaning_parse};

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
		       const struct agent_settings *settings, struct carbon **ret_carbon,
		       struct equivalents **ret_equivalents)
{
	const char *path =
	    meaning->equivalents != NULL ? meaning->equivalents : settings->meaning_equivalents;
	struct carbon_options options = meaning->carbon;
	struct diag diag = DIAG_INIT;
	int status;

	*ret_carbon = NULL;
	*ret_equivalents = NULL;
	if (options.spec == NULL)
		options.spec = settings->meaning_carbon;
	if (strcmp(options.spec, MEANING_NONE) != 0) {
		status = carbon_create(&options, agent->clock, ret_carbon, &diag);
		if (status < 0) {
			(void)agent_fail("%s", diag.text);
			return status;
		}
	}
	if (equivalents_load(path, ret_equivalents, &diag) < 0)
		(void)agent_fail("%s", diag.text);
	return 0;
}
