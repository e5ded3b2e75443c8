#include "common/cleanup.h"
#include "common/parse.h"
#include "guest/agent.h"
#include "guest/mount.h"

#include <stdio.h>
#include <string.h>

enum {
	AGENT_KEY_UNDO = 0x300,
	AGENT_KEY_TAG,
	AGENT_KEY_TRANSPORT,
	AGENT_KEY_WAIT,
	AGENT_KEY_FORCE,
	AGENT_KEY_OPTIONAL,
	AGENT_KEY_SHARE_ONLY,
};

struct agent_mount_options {
	struct agent *agent;
	struct mount_options mount;
	bool undo;
};

static error_t agent_mount_parse(int key, char *argument, struct argp_state *state)
{
	struct agent_mount_options *options = state->input;
	uint32_t seconds;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = options->agent;
		return 0;
	case AGENT_KEY_UNDO:
		options->undo = true;
		return 0;
	case AGENT_KEY_TAG:
		if (argument[0] == '\0' || strlen(argument) >= SHARE_TAG_SIZE)
			argp_error(state, "--tag has 1 to %d bytes", SHARE_TAG_SIZE - 1);
		options->mount.tag = argument;
		return 0;
	case AGENT_KEY_TRANSPORT:
		if (share_transport_parse(argument, &options->mount.transport) < 0)
			argp_error(state, "--transport is auto, 9p or virtiofs, not '%s'",
				   argument);
		return 0;
	case AGENT_KEY_WAIT:
		if (parse_u32(argument, &seconds) == 0)
			options->mount.wait_ns = seconds * CLOCK_NS_PER_SECOND;
		else if (parse_duration_ns(argument, &options->mount.wait_ns) < 0)
			argp_error(state, "--wait is a time like 30s, not '%s'", argument);
		return 0;
	case AGENT_KEY_FORCE:
		options->mount.force = true;
		return 0;
	case AGENT_KEY_OPTIONAL:
		options->mount.optional = true;
		return 0;
	case AGENT_KEY_SHARE_ONLY:
		options->mount.share_only = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "mount takes no arguments, only options");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int agent_mount_undo(const struct sysroot *root, const char *at)
{
	char holders[HOLDERS_TEXT_SIZE];
	struct diag diag = DIAG_INIT;
	struct mount_report report;

	if (mount_undo(root, at, &report, &diag) < 0)
		return agent_fail("%s", diag.text);
	(void)printf("%s\n",
		     report.outcome.changed ? "The tree is unmounted." : "Nothing was mounted.");
	if (report.outcome.busy) {
		holders_format(&report.holders, holders);
		(void)printf("Programs still have files of it open%s%s; it goes with the last of "
			     "them. Restart them before the share is detached.\n",
			     holders[0] != '\0' ? ": " : "", holders);
	}
	return 0;
}

/* What a reading says now: that, and not the mount alone, is what the user wanted. */
static int agent_mount_show(struct agent *agent, const struct sysroot *root,
			    const struct mount_options *mount, const struct mount_report *report)
{
	const struct meter_options options = {.source = METER_TREE, .at = report->at};
	cleanup_free struct meter_reading *reading = calloc(1, sizeof(*reading));
	cleanup_meter struct meter *meter = NULL;

	if (reading == NULL || meter_create(root, agent->clock, &options, &meter) < 0)
		return agent_fail("out of memory");
	meter_read(meter, reading);
	if (mount->share_only)
		(void)printf("The host's tree is %s at %s.\n",
			     report->outcome.changed ? "now" : "already", report->at);
	else
		(void)printf("The host's tree %s over %s/class/powercap.\n",
			     report->outcome.changed ? "now lies" : "lies already",
			     sysroot_sys_path(root));
	if (report->covered[0] != '\0')
		(void)printf("It covers a RAPL of this machine's own (%s).\n", report->covered);
	for (size_t i = 0; i < reading->zone_count; i++)
		(void)printf("%s%s", i == 0 ? "Zones: " : ", ", reading->zones[i].id);
	if (reading->zone_count > 0)
		(void)printf(reading->has_info && reading->info.estimate
				 ? " (an ESTIMATE: the host computes, it does not measure)\n"
				 : "\n");
	if (!reading->up)
		(void)fprintf(stderr, "wattport-agent: warning: %s\n", reading->reason.text);
	return 0;
}

int agent_mount(struct agent *agent, int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
	    {"undo", AGENT_KEY_UNDO, NULL, 0, "Take away what mount has made", 0},
	    {"tag", AGENT_KEY_TAG, "TAG", 0, "The share's tag (" SHARE_TAG_DEFAULT ")", 0},
	    {"transport", AGENT_KEY_TRANSPORT, "NAME", 0, "9p, virtiofs or auto", 0},
	    {"wait", AGENT_KEY_WAIT, "TIME", 0, "Wait so long (30s) for the share to appear", 0},
	    {"optional", AGENT_KEY_OPTIONAL, NULL, 0, "That there is no share is no failure", 0},
	    {"share-only", AGENT_KEY_SHARE_ONLY, NULL, 0, "Lay nothing over /sys", 0},
	    {"force", AGENT_KEY_FORCE, NULL, 0, "Cover a RAPL of this machine's own", 0},
	    {.name = NULL}};
	static const struct argp_child children[] = {{.argp = &agent_place_argp}, {.argp = NULL}};
	static const struct argp argp = {
	    .options = argp_options,
	    .parser = agent_mount_parse,
	    .doc = "Finds the host's share, mounts it and lays it over this machine's powercap: "
		   "class/powercap and devices/virtual/powercap of /sys. May be repeated.",
	    .children = children,
	};
	struct agent_mount_options options = {
	    .agent = agent,
	    .mount = {.tag = SHARE_TAG_DEFAULT, .transport = SHARE_AUTO},
	};
	cleanup_sysroot struct sysroot *root = NULL;
	struct diag diag = DIAG_INIT;
	struct mount_report report;

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return AGENT_EXIT_USAGE;
	options.mount.at = agent->at;
	if (sysroot_open(agent->sysroot, &root, &diag) < 0)
		return agent_fail("%s", diag.text);
	if (options.undo)
		return agent_mount_undo(root, agent->at);
	if (mount_lay(root, agent->clock, &options.mount, &report, &diag) < 0)
		return agent_fail("%s", diag.text);
	if (report.absent) {
		(void)printf("No share tagged '%s' is here: nothing is mounted.\n",
			     options.mount.tag);
		return 0;
	}
	return agent_mount_show(agent, root, &options.mount, &report);
}
