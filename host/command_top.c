/*
 * `wattport top`: who uses the power, now and over and over, on a terminal.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/top.h"
#include "common/utf8.h"
#include "host/command.h"
#include "host/ledger_view.h"
#include "host/top_ledger.h"

#include <errno.h>
#include <sys/utsname.h>

struct top_arguments {
	struct command_options command;
	struct top_options top;
};

static error_t top_arguments_parse(int key, char *argument, struct argp_state *state)
{
	struct top_arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->top;
		state->child_inputs[1] = &arguments->command;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What there is to see now; where there is no ledger, why not. */
static int top_take_ledger(void *context, struct top_frame *frame)
{
	struct ledger_view *view = context;
	cleanup_ledger_copy struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	struct utsname name;

	if (uname(&name) == 0)
		utf8_copy(frame->place, sizeof(frame->place), name.nodename);
	if (ledger_view_copy(view, &copy, &frame->notice) < 0)
		return 0;
	if (summary_init(&summary, &copy, clock_now_mono(clock_real())) < 0)
		return -ENOMEM;
	return top_ledger_fill(&copy, &summary, frame);
}

int command_top(int argc, char **argv)
{
	static const struct argp_child children[] = {
	    {&top_argp, 0, NULL, 0},
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
	struct diag diag = DIAG_INIT;
	struct top_source source = {
	    .program = "wattport top", .clock = clock_real(), .take = top_take_ledger};
	int status;

	/* Wrong usage ends the process in argp(3), with argp_err_exit_status. */
	(void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = ledger_view_create(arguments.command.runtime_dir, &view);
	if (status < 0) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	source.context = view;
	if (top_run(&source, &arguments.top, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
