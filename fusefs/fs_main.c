/*
 * wattport-fs: serves each virtual machine the tree of files that it mounts.
 *
 * Privilege: the keeper mounts, or finds the mount that --mount has left to the service manager;
 * then it keeps what unmounting and making workers takes. All that guests can reach is served by
 * the worker that it forks (worker.h).
 */
#include "common/config.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/settings.h"
#include "fusefs/keeper.h"
#include "fusefs/plain.h"

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
	OPTION_MOUNT,
	OPTION_UNMOUNT,
	OPTION_WITHOUT_RESEND,
	OPTION_COPY_MEMORY,
};

struct fs_arguments {
	struct keeper_options keeper;
	const char *config;
	bool mount;
	bool unmount;
};

/* argp(3) looks for these by name. */
const char *argp_program_version = "wattport-fs " WATTPORT_VERSION;

/* How many descriptors the service manager has; whoever asks it may have got no answer. */
static error_t fs_parse_stored(const char *argument, int *ret_stored, struct argp_state *state)
{
	uint32_t count = 0;

	if (argument != NULL && *argument != '\0' &&
	    (parse_u32(argument, &count) < 0 || count > INT32_MAX)) {
		argp_error(state, "--mount takes a number of descriptors: %s", argument);
		return EINVAL;
	}
	*ret_stored = (int)count;
	return 0;
}

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
	case OPTION_MOUNT:
		arguments->mount = true;
		return fs_parse_stored(argument, &arguments->keeper.stored, state);
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
    {"mount", OPTION_MOUNT, "STORED", OPTION_ARG_OPTIONAL,
     "Mount the trees for a wattport-fs that may not, leave them to the service manager, which has "
     "STORED descriptors already, and exit",
     0},
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

static int fs_configure(struct keeper_options *keeper, const struct settings *settings,
			struct diag *diag)
{
	keeper->zones = settings_tree(settings);
	/* Without libvirt nobody knows of a machine that is about to be started for the first time.
	 */
	keeper->any_name = settings->vms_provider == SETTINGS_PROVIDER_PROCFS;
	keeper->period_ns = settings->meter_period_ns;
	return access_users_resolve(settings->vms_users, &keeper->users, diag);
}

static int fs_serve(const struct fs_arguments *arguments, const struct settings *settings,
		    struct diag *diag)
{
	const struct keeper_options *keeper = &arguments->keeper;
	const struct plain_options plain = {.runtime_dir = keeper->runtime_dir,
					    .period_ns = keeper->period_ns,
					    .zones = keeper->zones,
					    .replace = keeper->replace};

	if (arguments->unmount)
		return keeper_unmount(keeper, diag);
	if (settings->tree_mode == SETTINGS_TREE_TMPFS)
		return arguments->mount ? plain_keep(&plain, diag) : plain_run(&plain, diag);
	return arguments->mount ? keeper_mount(keeper, diag) : keeper_run(keeper, diag);
}

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
	if (settings_load(arguments.config, &overrides, &settings, &diag) < 0 ||
	    fs_configure(&arguments.keeper, &settings, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	status = fs_serve(&arguments, &settings, &diag);
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
