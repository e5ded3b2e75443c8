/*
 * `wattport top`: who uses the power, now and over and over, on a terminal.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/meaning.h"
#include "common/settings.h"
#include "common/top.h"
#include "common/top_meaning.h"
#include "common/utf8.h"
#include "host/command.h"
#include "host/ledger_view.h"
#include "host/top_ledger.h"

#include <errno.h>
#include <sys/utsname.h>

#define TOP_LEDGER_STEP_NS (50 * CLOCK_NS_PER_MS) /* one look at the ledger costs little */

struct top_arguments {
	struct meaning_options meaning;
	struct command_options command;
	struct top_options top;
};

static error_t top_arguments_parse(int key, char *argument, struct argp_state *state)
{
	struct top_arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->top;
		state->child_inputs[1] = &arguments->meaning;
		state->child_inputs[2] = &arguments->command;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Where its frames come from. */
struct top_host {
	struct ledger_view *view;
	struct top_meaning meaning;
};

/* What there is to see now; where there is no ledger, why not. */
static int top_take_ledger(void *context, struct top_frame *frame)
{
	struct top_host *host = context;
	cleanup_ledger_copy struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	struct utsname name;
	int status;

	if (uname(&name) == 0)
		utf8_copy(frame->place, sizeof(frame->place), name.nodename);
	if (ledger_view_copy(host->view, &copy, &frame->notice) < 0)
		return 0;
	if (summary_init(&summary, &copy, clock_now_mono(clock_real())) < 0)
		return -ENOMEM;
	status = top_ledger_fill(&copy, &summary, frame);
	if (status == 0)
		top_meaning_tell(&host->meaning, frame);
	return status;
}

/* As the page has it, unless the options say otherwise. A configuration that is wrong is told, and
 * what can be shown without it is. */
static int top_open_meaning(const struct top_arguments *arguments, struct meaning *ret_meaning)
{
	struct meaning_options options = arguments->meaning;
	struct settings settings;
	struct diag diag = DIAG_INIT;
	int status = settings_load(arguments->command.config, NULL, &settings, &diag);

	if (status < 0) {
		log_error("%s", diag.text);
		if (arguments->command.config != NULL ||
		    settings_load(SETTINGS_NO_FILE, NULL, &settings, NULL) < 0)
			return status;
	}
	diag = (struct diag)DIAG_INIT;
	meaning_default(&options, settings.view.carbon, settings.view.equivalents);
	status = meaning_open(&options, clock_real(), ret_meaning, &diag);
	if (diag.text[0] != '\0')
		log_error("%s", diag.text);
	return status;
}

static int top_host_run(const struct top_arguments *arguments, struct top_host *host)
{
	const struct top_source source = {.program = "wattport top",
					  .clock = clock_real(),
					  .take = top_take_ledger,
					  .context = host,
					  .step_ns = TOP_LEDGER_STEP_NS};
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	struct diag diag = DIAG_INIT;

	if (top_open_meaning(arguments, &meaning) < 0)
		return EXIT_FAILURE;
	host->meaning =
	    (struct top_meaning){.carbon = meaning.carbon, .equivalents = meaning.equivalents};
	if (top_run(&source, &arguments->top, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int command_top(int argc, char **argv)
{
	static const struct argp_child children[] = {
	    {&top_argp, 0, NULL, 0},
	    {&meaning_argp, 0, NULL, 0},
	    {&command_options_argp, 0, NULL, 0},
	    {NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .parser = top_arguments_parse,
	    .doc = "Shows which virtual machine uses how much power, until you quit with q. The "
		   "key ? tells the others.",
	    .children = children,
	};
	struct top_arguments arguments = {.command = COMMAND_OPTIONS_INIT, .top = TOP_OPTIONS_INIT};
	cleanup_ledger_view struct ledger_view *view = NULL;
	struct top_host host;

	/* Wrong usage ends the process in argp(3), with argp_err_exit_status. */
	(void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (ledger_view_create(arguments.command.runtime_dir, &view) < 0) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	host = (struct top_host){.view = view};
	return top_host_run(&arguments, &host);
}
