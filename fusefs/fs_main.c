/*
 * wattport-fs: serves each virtual machine the tree of files that it mounts.
 *
 * Privilege: the keeper stays root to unmount at its end; all that guests can reach is served by
 * the worker that it forks (worker.h).
 */
#include "common/config.h"
#include "common/log.h"
#include "common/settings.h"
#include "fusefs/keeper.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>

#define EXIT_USAGE 2

enum fs_option {
	OPTION_RUNTIME_DIR = 0x100,
	OPTION_CONFIG,
	OPTION_SYSROOT,
	OPTION_VERBOSE,
	OPTION_FOREGROUND,
	OPTION_REPLACE,
	OPTION_KEEP_MOUNTED,
	OPTION_UNMOUNT,
	OPTION_WITHOUT_RESEND,
	OPTION_COPY_MEMORY,
};

struct fs_arguments {
	struct keeper_options keeper;
	const char *config;
	bool unmount;
};

/* argp(3) looks for these by name. */
const char *argp_program_version = "wattport-fs " WATTPORT_VERSION;

static error_t fs_parse(int key, char *argument, struct argp_state *state)
{
	struct fs_arguments *arguments = state->input;

	switch (key) {
	case OPTION_RUNTIME_DIR:
		arguments->keeper.runtime_dir = argument;
		return 0;
	case OPTION_CONFIG:
		arguments->config = argument;
		return 0;
	case OPTION_SYSROOT:
		arguments->keeper.sysroot = argument;
		return 0;
	case OPTION_FOREGROUND:
		return 0;
	case OPTION_VERBOSE:
		log_init("wattport-fs", LOG_LEVEL_DEBUG);
		return 0;
	case OPTION_REPLACE:
		arguments->keeper.replace = true;
		return 0;
	case OPTION_KEEP_MOUNTED:
		arguments->keeper.keep_mounted = true;
		return 0;
	case OPTION_UNMOUNT:
		arguments->unmount = true;
		return 0;
	case OPTION_WITHOUT_RESEND:
		arguments->keeper.without_resend = true;
		return 0;
	case OPTION_COPY_MEMORY:
		arguments->keeper.copy_memory = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option fs_options[] = {
    {"runtime-dir", OPTION_RUNTIME_DIR, "DIR", 0,
     "Where the ledger is and the trees appear, under DIR/vm (default " SETTINGS_RUNTIME_DIR ")",
     0},
    {"config", OPTION_CONFIG, "FILE", 0, "The configuration (default " SETTINGS_PATH ")", 0},
    {"sysroot", OPTION_SYSROOT, "DIR", 0, "Look at DIR/proc for the processes that read", 0},
    {"replace", OPTION_REPLACE, NULL, 0,
     "Take over from a wattport-fs that runs, which no reader notices", 0},
    {"keep-mounted", OPTION_KEEP_MOUNTED, NULL, 0,
     "At SIGTERM leave the trees served, for the next wattport-fs to take over", 0},
    {"unmount", OPTION_UNMOUNT, NULL, 0,
     "Take trees away that were left, end who serves them, and exit", 0},
    {"verbose", OPTION_VERBOSE, NULL, 0, "Say more", 0},
    /* There is no other way to run; service files may say so. */
    {"foreground", OPTION_FOREGROUND, NULL, OPTION_HIDDEN, NULL, 0},
    {"without-resend", OPTION_WITHOUT_RESEND, NULL, OPTION_HIDDEN, NULL, 0},
    {"copy-memory", OPTION_COPY_MEMORY, NULL, OPTION_HIDDEN, NULL, 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp fs_argp = {
    .options = fs_options,
    .parser = fs_parse,
    .doc = "Serves each virtual machine a tree of files like the kernel's powercap class, with the "
	   "energy that the machine uses.\v"
	   "Every key of the configuration is also taken as --SECTION.KEY=VALUE.",
};

int main(int argc, char **argv)
{
	struct fs_arguments arguments = {
	    .keeper = {.runtime_dir = SETTINGS_RUNTIME_DIR, .sysroot = "/"}};
	struct config_overrides overrides;
	struct settings settings;
	struct diag diag = DIAG_INIT;
	int status;

	log_init("wattport-fs", LOG_LEVEL_INFO);
	argp_err_exit_status = EXIT_USAGE;
	if (config_extract(&argc, argv, &overrides, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	if (argp_parse(&fs_argp, argc, argv, 0, NULL, &arguments) != 0)
		return EXIT_USAGE;
	status = settings_load(arguments.config, &overrides, &settings, &diag);
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	arguments.keeper.zones = settings_tree(&settings);
	if (access_users_resolve(settings.vms_users, &arguments.keeper.users, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	/* Without libvirt nobody knows of a machine that is about to be started for the first time.
	 */
	arguments.keeper.any_name = settings.vms_provider == SETTINGS_PROVIDER_PROCFS;
	arguments.keeper.period_ns = settings.meter_period_ns;
	status = arguments.unmount ? keeper_unmount(&arguments.keeper, &diag)
				   : keeper_run(&arguments.keeper, &diag);
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
