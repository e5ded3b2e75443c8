#include "common/cleanup.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/process_exits.h"
#include "guest/report.h"

#include <time.h>

#define AGENT_STATUS_PERIOD_NS_MAX (UINT64_C(3600) * CLOCK_NS_PER_SECOND)

enum {
	AGENT_KEY_JSON = 0x300,
	AGENT_KEY_PERIOD,
};

struct agent_status_options {
	struct agent *agent;
	bool json;
	uint64_t period_ns;
};

static error_t agent_status_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_status_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options->agent;
		return 0;
	case AGENT_KEY_JSON:
		options->json = true;
		return 0;
	case AGENT_KEY_PERIOD:
		if (parse_duration_ns(argument, &options->period_ns) < 0 ||
		    options->period_ns < CLOCK_NS_PER_MS ||
		    options->period_ns > AGENT_STATUS_PERIOD_NS_MAX)
			argp_error(state, "--period is 1ms to 1h, with its unit, not '%s'",
				   argument);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "status takes no arguments, only options");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct agent_status_measured {
	struct meter_reading readings[2];
	struct accounts_exits exits; /* between them */
};

static void agent_status_count(void *context, const struct process_exit *exit)
{
	(void)context;
	(void)exit;
}

/*
 * Two readings, a period apart; longer periods are cut so that no wrap is missed, and no exit for
 * want of room.
 */
static void agent_status_measure(struct meter *meter, struct process_exits *exits,
				 uint64_t period_ns, struct agent_status_measured *measured)
{
	struct meter_reading *readings = measured->readings;

	meter_read(meter, &readings[0]);
	for (uint64_t left_ns = period_ns; left_ns > 0;) {
		uint64_t part_ns = left_ns < METER_PERIOD_NS_MAX ? left_ns : METER_PERIOD_NS_MAX;

		(void)nanosleep(
		    &(struct timespec){.tv_sec = (time_t)(part_ns / CLOCK_NS_PER_SECOND),
				       .tv_nsec = (long)(part_ns % CLOCK_NS_PER_SECOND)},
		    NULL);
		meter_read(meter, &readings[1]);
		if (exits != NULL)
			process_exits_drain(exits, agent_status_count, NULL);
		left_ns -= part_ns;
	}
	if (exits == NULL)
		return;
	measured->exits.counted = true;
	measured->exits.ended = process_exits_ended(exits);
	measured->exits.lost = process_exits_lost(exits);
}

int agent_status(struct agent *agent, int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
	    {"json", AGENT_KEY_JSON, NULL, 0, "For programs", 0},
	    {"period", AGENT_KEY_PERIOD, "TIME", 0, "Measure power over so long (1s)", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {{.argp = &agent_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = argp_options,
	    .parser = agent_status_parse,
	    .doc = "Shows power and energy of this machine, by zone, what the figures are worth, "
		   "and how many processes ended meanwhile. Fails when they are not measured now.",
	    .children = children,
	};
	struct agent_status_options options = {.agent = agent, .period_ns = CLOCK_NS_PER_SECOND};
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_process_exits struct process_exits *exits = NULL;
	cleanup_free struct agent_status_measured *measured = calloc(1, sizeof(*measured));
	struct diag diag = DIAG_INIT;
	struct report_status report;
	int status;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	if (measured == NULL)
		return agent_fail("out of memory");
	if (agent_open_meter(agent, &root, &meter) < 0)
		return AGENT_EXIT_FAILED;
	if (process_exits_open(root, &exits, &diag) < 0)
		(void)snprintf(measured->exits.reason, sizeof(measured->exits.reason), "%s",
			       diag.text);
	agent_status_measure(meter, exits, options.period_ns, measured);
	report = (struct report_status){.earlier = &measured->readings[0],
					.later = &measured->readings[1],
					.at = agent->at,
					.exits = &measured->exits};
	status = options.json ? report_status_json(stdout, &report)
			      : report_status_text(stdout, &report);
	if (status < 0)
		return agent_fail("cannot write the report");
	return measured->readings[1].up ? 0 : AGENT_EXIT_FAILED;
}
