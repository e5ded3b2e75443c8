#include "common/cleanup.h"
#include "common/top.h"
#include "common/top_meaning.h"
#include "common/utf8.h"
#include "guest/accounts.h"
#include "guest/agent.h"
#include "guest/agent_settings.h"
#include "guest/top_accounts.h"

#include <errno.h>
#include <locale.h>
#include <sys/utsname.h>

struct agent_top_options {
	struct agent *agent;
	struct agent_meaning meaning;
	struct top_options top;
};

/* Where its frames come from. */
struct agent_top {
	struct accounts *accounts;
	struct top_meaning meaning;
};

static error_t agent_top_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_top_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->top;
		state->child_inputs[1] = options->agent;
		state->child_inputs[2] = &options->meaning;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* One tick, and what it made known. */
static int agent_top_take(void *context, struct top_frame *frame)
{
	struct agent_top *top = context;
	const struct accounts_view *view;
	struct utsname name;
	int status = accounts_tick(top->accounts);

	if (status < 0)
		return status;
	if (uname(&name) == 0)
		utf8_copy(frame->place, sizeof(frame->place), name.nodename);
	view = accounts_latest(top->accounts);
	if (view == NULL)
		return 0;
	status = top_accounts_fill(view, frame);
	accounts_view_release(view);
	if (status == 0)
		top_meaning_tell(&top->meaning, frame);
	return status;
}

static int agent_top_run(const struct agent *agent, const struct agent_top_options *options,
			 struct agent_top *top)
{
	const struct top_source source = {.program = "wattport-agent top",
					  .clock = agent->clock,
					  .take = agent_top_take,
					  .context = top,
					  .step_ns = options->top.period_ns};
	struct diag diag = DIAG_INIT;

	if (top_run(&source, &options->top, &diag) < 0)
		return agent_fail("%s", diag.text);
	return 0;
}

int agent_top(struct agent *agent, int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &top_argp},
						     {.argp = &agent_argp},
						     {.argp = &agent_meaning_argp},
						     {.argp = NULL}};
	static const struct argp argp = {
	    .parser = agent_top_parse,
	    .doc = "Shows which unit, process, user, container or job uses how much power, until "
		   "you quit with q. The key ? tells the others.",
	    .children = children,
	};
	struct accounts_options wanted;
	struct agent_settings settings;
	struct agent_top_options options = {.agent = agent, .top = TOP_OPTIONS_INIT};
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_accounts struct accounts *accounts = NULL;
	struct diag diag = DIAG_INIT;
	struct agent_top top;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	/* Only which characters there are: numbers and messages stay as they are everywhere. */
	(void)setlocale(LC_CTYPE, "");
	if (agent_read_settings(&options.meaning, &settings) < 0 ||
	    agent_open_meaning(agent, &options.meaning, &settings, &meaning) < 0 ||
	    agent_open_meter(agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	wanted = agent_settings_accounts(&settings);
	wanted.top = ACCOUNTS_TOP_MAX;
	if (accounts_create(root, agent->clock, meter, &wanted, &accounts, &diag) < 0)
		return agent_fail("%s", diag.text);
	top = (struct agent_top){
	    .accounts = accounts,
	    .meaning = {.carbon = meaning.carbon, .equivalents = meaning.equivalents}};
	return agent_top_run(agent, &options, &top);
}
