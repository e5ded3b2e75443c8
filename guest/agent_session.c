#include "common/cleanup.h"
#include "common/own_directory.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/agent_report.h"
#include "guest/agent_settings.h"
#include "guest/session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
	SESSION_KEY_FORMAT = 0x500,
	SESSION_KEY_STATE_DIR,
	SESSION_KEY_MAX_WATTS,
};

enum session_action {
	SESSION_START,
	SESSION_STOP,
	SESSION_LIST,
};

static const char *const session_actions[] = {
    [SESSION_START] = "start", [SESSION_STOP] = "stop", [SESSION_LIST] = "list"};

struct agent_session_options {
	struct agent *agent;
	struct agent_meaning meaning;
	enum agent_report_format format;
	const char *output;
	const char *state_dir;
	uint64_t power_uw_max; /* 0: not told */
	enum session_action action;
	const char *name;
	size_t argument_count;
};

static void agent_session_argument(struct agent_session_options *options, const char *argument,
				   const struct argp_state *state)
{
	struct diag diag = DIAG_INIT;

	if (options->argument_count == 0) {
		for (size_t i = 0; i < sizeof(session_actions) / sizeof(session_actions[0]); i++) {
			if (strcmp(argument, session_actions[i]) == 0) {
				options->action = (enum session_action)i;
				options->argument_count++;
				return;
			}
		}
		argp_error(state, "it is start, stop or list, not '%s'", argument);
	}
	if (options->argument_count > 1 || options->action == SESSION_LIST)
		argp_error(state, "what is '%s' for?", argument);
	if (session_name_check(argument, &diag) < 0)
		argp_error(state, "%s", diag.text);
	options->name = argument;
	options->argument_count++;
}

static void agent_session_watts(struct agent_session_options *options, const char *argument,
				const struct argp_state *state)
{
	uint32_t watts;

	if (parse_u32(argument, &watts) < 0 || watts == 0 || watts > 5000)
		argp_error(state, "--max-watts takes whole watts from 1 to 5000, not '%s'",
			   argument);
	else
		options->power_uw_max = (uint64_t)watts * 1000000;
}

static error_t agent_session_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_session_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options->agent;
		state->child_inputs[1] = &options->meaning;
		return 0;
	case SESSION_KEY_FORMAT:
		if (agent_report_format_parse(argument, &options->format) < 0)
			argp_error(state, "--format is text, json or csv, not '%s'", argument);
		return 0;
	case 'o':
		options->output = argument;
		return 0;
	case SESSION_KEY_STATE_DIR:
		options->state_dir = argument;
		return 0;
	case SESSION_KEY_MAX_WATTS:
		agent_session_watts(options, argument, state);
		return 0;
	case ARGP_KEY_ARG:
		agent_session_argument(options, argument, state);
		return 0;
	case ARGP_KEY_END:
		if (options->argument_count == 0)
			argp_error(state, "start NAME, stop NAME or list?");
		if (options->argument_count == 1 && options->action != SESSION_LIST)
			argp_error(state, "which name has the session?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* "2026-11-21 18:45:00 UTC" */
static const char *agent_session_time(struct wall_time time, char text[static 32])
{
	time_t seconds = (time_t)(time.ns / CLOCK_NS_PER_SECOND);
	struct tm broken;

	if (gmtime_r(&seconds, &broken) == NULL ||
	    strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &broken) == 0)
		(void)snprintf(text, 32, "at an unknown time");
	return text;
}

static int agent_session_start(const struct agent_session_options *options, int dir_fd)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	char boot[SESSION_BOOT_SIZE];
	struct session_state state;
	struct meter_reading reading;
	struct diag diag = DIAG_INIT;
	int status;

	if (agent_open_meter(options->agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	status = session_read_boot(root, boot, &diag);
	if (status == 0) {
		meter_read(meter, &reading);
		status = session_begin(options->name, &reading,
				       clock_now_wall(options->agent->clock), boot, &state, &diag);
	}
	if (status == 0)
		status = session_save(dir_fd, &state, &diag);
	return status == 0 ? 0 : agent_fail("%s", diag.text);
}

/* One intensity for all of it: that at its end. */
static void agent_session_grams(struct carbon *carbon, struct exec_result *result)
{
	struct meter_use use;

	if (carbon == NULL)
		return;
	carbon_wait(carbon);
	carbon_now(carbon, &result->carbon);
	result->has_carbon = true;
	if (exec_result_total(result, &use))
		carbon_sum_add(&result->co2e, &result->carbon, use.energy_uj);
}

/* What is written is told; only then the session goes. */
static int agent_session_tell(const struct agent_session_options *options,
			      const struct session_state *state, struct agent_report *report,
			      int dir_fd)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	struct exec_result result = {.exit_status = 0};
	struct session_limit limit = {.power_uw_max = options->power_uw_max};
	struct report_exec told = {
	    .result = &result, .session = state->name, .at = options->agent->at};
	char boot[SESSION_BOOT_SIZE];
	struct agent_settings settings;
	struct meter_reading reading;
	struct diag diag = DIAG_INIT, note;

	if (agent_read_settings(&options->meaning, &settings) < 0 ||
	    agent_open_meaning(options->agent, &options->meaning, &settings, &meaning) < 0 ||
	    agent_open_meter(options->agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	if (session_read_boot(root, boot, &diag) < 0)
		return agent_fail("%s", diag.text);
	if (limit.power_uw_max == 0)
		limit = session_guess_limit(root);
	meter_read(meter, &reading);
	session_conclude(state, &reading, boot, limit, &result, &note);
	agent_session_grams(meaning.carbon, &result);
	told.equivalents = meaning.equivalents;
	told.note = note.text;
	if (agent_report_write(report, &told) < 0)
		return AGENT_EXIT_FAILED;
	if (!result.after.up && session_is_lost(state, &reading, boot) == 0)
		return agent_fail("the session %s is kept: it may be ended later", state->name);
	if (session_remove(dir_fd, state->name) < 0)
		return agent_fail("the session %s cannot be removed", state->name);
	return exec_result_known(&result) && note.text[0] == '\0' ? 0 : AGENT_EXIT_FAILED;
}

static int agent_session_stop(const struct agent_session_options *options, int dir_fd)
{
	struct agent_report report = AGENT_REPORT_INIT;
	struct session_state state;
	struct diag diag = DIAG_INIT;
	int status;

	if (session_load(dir_fd, options->name, &state, &diag) < 0)
		return agent_fail("%s", diag.text);
	if (agent_report_open(&report, options->format, options->output, stdout) < 0)
		return AGENT_EXIT_FAILED;
	status = agent_session_tell(options, &state, &report, dir_fd);
	agent_report_close(&report);
	return status;
}

struct agent_session_listing {
	int dir_fd;
	int damaged;
};

static void agent_session_line(const char *name, void *context)
{
	struct agent_session_listing *listing = context;
	struct session_state state;
	struct diag diag = DIAG_INIT;
	char text[32];

	if (session_load(listing->dir_fd, name, &state, &diag) < 0) {
		(void)agent_fail("%s", diag.text);
		listing->damaged++;
		return;
	}
	(void)printf("%-24s since %s, by user %" PRIu32 "\n", state.name,
		     agent_session_time(state.began, text), state.user);
}

static int agent_session_list(int dir_fd)
{
	struct agent_session_listing listing = {.dir_fd = dir_fd};
	int status = session_list(dir_fd, agent_session_line, &listing);

	if (status < 0)
		return agent_fail("cannot list the sessions: %s", strerror(-status));
	return listing.damaged == 0 ? 0 : AGENT_EXIT_FAILED;
}

static int agent_session_run(const struct agent_session_options *options)
{
	struct diag diag = DIAG_INIT;
	cleanup_fd int dir_fd = -1;

	if (own_directory_open(options->state_dir, 0700, "--state-dir", &dir_fd, &diag) < 0)
		return agent_fail("%s", diag.text);
	switch (options->action) {
	case SESSION_START:
		return agent_session_start(options, dir_fd);
	case SESSION_STOP:
		return agent_session_stop(options, dir_fd);
	case SESSION_LIST:
		return agent_session_list(dir_fd);
	}
	return AGENT_EXIT_USAGE;
}

int agent_session(struct agent *agent, int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
	    {"format", SESSION_KEY_FORMAT, "NAME", 0, "stop: text, json or csv", 0},
	    {"output", 'o', "FILE", 0,
	     "stop: write the report to FILE; CSV is added to what is there", 0},
	    {"state-dir", SESSION_KEY_STATE_DIR, "DIR", 0,
	     "Where sessions are kept (" SESSION_DIRECTORY ")", 0},
	    {"max-watts", SESSION_KEY_MAX_WATTS, "WATTS", 0,
	     "stop: what a zone draws at most; tells how often its counter can have wrapped", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {
	    {.argp = &agent_argp}, {.argp = &agent_meaning_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = argp_options,
	    .parser = agent_session_parse,
	    .args_doc = "start NAME\nstop NAME\nlist",
	    .doc = "Measures the energy of this machine between two commands, for the prologue and "
		   "epilogue of a job: start keeps the counters' values in a file, stop reports "
		   "what came since.",
	    .children = children,
	};
	struct agent_session_options options = {.agent = agent, .state_dir = SESSION_DIRECTORY};

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	return agent_session_run(&options);
}
