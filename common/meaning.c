#include "common/meaning.h"
#include "common/parse.h"

#include <assert.h>
#include <string.h>

enum {
	MEANING_KEY_CARBON = 0x300,
	MEANING_KEY_CARBON_PERIOD,
	MEANING_KEY_CARBON_AGE,
	MEANING_KEY_EQUIVALENTS,
};

static void meaning_duration(const struct argp_state *state, const char *name, const char *argument,
			     uint64_t *ret_ns)
{
	if (parse_duration_ns(argument, ret_ns) < 0 || *ret_ns < CLOCK_NS_PER_SECOND)
		argp_error(state, "--%s takes a duration of 1s or more, not '%s'", name, argument);
}

static error_t meaning_parse(int key, char *argument, struct argp_state *state)
{
	struct meaning_options *options = state->input;
	struct diag diag = DIAG_INIT;
	enum carbon_kind kind;

	switch (key) {
	case MEANING_KEY_CARBON:
		if (strcmp(argument, MEANING_NONE) != 0 && carbon_check(argument, &kind, &diag) < 0)
			argp_error(state, "--carbon: %s", diag.text);
		options->carbon.spec = argument;
		return 0;
	case MEANING_KEY_CARBON_PERIOD:
		meaning_duration(state, "carbon-period", argument, &options->carbon.period_ns);
		return 0;
	case MEANING_KEY_CARBON_AGE:
		meaning_duration(state, "carbon-age", argument, &options->carbon.age_max_ns);
		return 0;
	case MEANING_KEY_EQUIVALENTS:
		options->equivalents = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option meaning_options[] = {
    {"carbon", MEANING_KEY_CARBON, "WHAT", 0,
     "Tell CO2e (meaning.carbon): " MEANING_NONE ", " CARBON_ALLOWED, 2},
    {"carbon-period", MEANING_KEY_CARBON_PERIOD, "TIME", 0,
     "Read the file or run the command so often (5min)", 2},
    {"carbon-age", MEANING_KEY_CARBON_AGE, "TIME", 0, "No grams from a figure that is older (2h)",
     2},
    {"equivalents", MEANING_KEY_EQUIVALENTS, "FILE", 0,
     "What energy is compared with (meaning.equivalents)", 2},
    {.name = NULL}};

const struct argp meaning_argp = {.options = meaning_options, .parser = meaning_parse};

void meaning_default(struct meaning_options *options, const char *carbon, const char *equivalents)
{
	if (options->carbon.spec == NULL)
		options->carbon.spec = carbon;
	if (options->equivalents == NULL)
		options->equivalents = equivalents;
}

int meaning_open(const struct meaning_options *options, const struct clock *clock,
		 struct meaning *ret_meaning, struct diag *diag)
{
	struct meaning meaning = {.carbon = NULL};
	int status = 0;

	assert(options->carbon.spec != NULL && options->equivalents != NULL);
	if (strcmp(options->carbon.spec, MEANING_NONE) != 0)
		status = carbon_create(&options->carbon, clock, &meaning.carbon, diag);
	if (status < 0)
		return status;
	(void)equivalents_load(options->equivalents, &meaning.equivalents, diag);
	*ret_meaning = meaning;
	return 0;
}

void meaning_close(struct meaning *meaning)
{
	carbon_destroy(meaning->carbon);
	equivalents_destroy(meaning->equivalents);
	*meaning = (struct meaning){.carbon = NULL};
}
