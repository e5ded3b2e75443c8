/*
 * wattportd: reads the host's energy, divides it among the virtual machines, keeps the ledger.
 *
 * One thread runs the flow: it sleeps until the next sample is due, somebody asks for one, or the
 * roster changed. The provider's thread talks to libvirt and never holds it up.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/own_directory.h"
#include "common/settings.h"
#include "common/sysroot.h"
#include "host/confine.h"
#include "host/meter.h"
#include "host/meter_server.h"
#include "host/vm_threads.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>

#define EXIT_USAGE     2
#define ROSTER_WAIT_MS 2000

const char *argp_program_version = "wattportd " WATTPORT_VERSION;

struct options {
	const char *runtime_dir;
	const char *state_dir;
	const char *sysroot;
	const char *config;
	bool verbose;
};

struct daemon {
	struct options options;
	struct config_overrides overrides;
	struct settings settings;
	struct meter *meter;
	struct meter_server *server;
	int timer_fd;
	int signal_fd;
	bool stopping;
};

enum option_key {
	OPTION_RUNTIME_DIR = 256,
	OPTION_STATE_DIR,
	OPTION_SYSROOT,
	OPTION_CONFIG,
};

static error_t take_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPTION_RUNTIME_DIR:
		options->runtime_dir = argument;
		return 0;
	case OPTION_STATE_DIR:
		options->state_dir = argument;
		return 0;
	case OPTION_SYSROOT:
		options->sysroot = argument;
		return 0;
	case OPTION_CONFIG:
		options->config = argument;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct argp_option list[] = {
	    {"runtime-dir", OPTION_RUNTIME_DIR, "DIR", 0,
	     "ledger, socket and trees (" SETTINGS_RUNTIME_DIR ")", 0},
	    {"state-dir", OPTION_STATE_DIR, "DIR", 0, "accounts on disk (" SETTINGS_STATE_DIR ")",
	     0},
	    {"sysroot", OPTION_SYSROOT, "DIR", 0, "take DIR/sys and DIR/proc for /sys and /proc",
	     0},
	    {"config", OPTION_CONFIG, "FILE", 0, "settings (" SETTINGS_PATH ", if it is there)", 0},
	    {"verbose", 'v', NULL, 0, "say more", 0},
	    {NULL, 0, NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .options = list,
	    .parser = take_option,
	    .doc = "Divide the host's energy among its virtual machines."
		   "\vEvery key of the settings is also an option: --section.key=value. "
		   "wattport(1) shows what comes of it, `wattport doctor` what is missing.",
	};

	argp_err_exit_status = EXIT_USAGE;
	(void)argp_parse(&argp, argc, argv, 0, NULL, options);
}

static int arm_timer(const struct daemon *daemon)
{
	uint64_t period_ns = daemon->settings.meter_period_ns;
	struct timespec period = {.tv_sec = (time_t)(period_ns / CLOCK_NS_PER_SECOND),
				  .tv_nsec = (long)(period_ns % CLOCK_NS_PER_SECOND)};
	struct itimerspec timer = {.it_interval = period, .it_value = period};

	return timerfd_settime(daemon->timer_fd, 0, &timer, NULL) < 0 ? -errno : 0;
}

/* Whoever records gets every sample that is booked: only then does a replay book the same. */
static void record_sample(const struct daemon *daemon)
{
	cleanup_free char *line = NULL;

	if (!meter_server_recording(daemon->server))
		return;
	line = meter_trace_line(daemon->meter);
	if (line != NULL)
		meter_server_record(daemon->server, line, strlen(line));
}

static bool serve_refresh(void *context, const struct uuid *uuid)
{
	const struct daemon *daemon = context;
	uint64_t before = meter_sample_count(daemon->meter);
	bool known = meter_refresh(daemon->meter, uuid);

	if (meter_sample_count(daemon->meter) != before)
		record_sample(daemon);
	return known;
}

static char *serve_status(void *context)
{
	const struct daemon *daemon = context;

	return meter_status(daemon->meter);
}

static int serve_reload(void *context, struct diag *diag)
{
	struct daemon *daemon = context;
	struct settings settings;
	int status = settings_load(daemon->options.config, &daemon->overrides, &settings, diag);

	if (status < 0)
		return status;
	status = meter_configure(daemon->meter, &settings, diag);
	if (status < 0)
		return status;
	daemon->settings = settings;
	status = arm_timer(daemon);
	if (status < 0)
		return diag_error(diag, status, "cannot set the timer: %s", strerror(-status));
	log_info("new settings are in force");
	return 0;
}

static char *serve_trace_head(void *context)
{
	const struct daemon *daemon = context;

	return meter_trace_begin(daemon->meter);
}

static void take_sample(const struct daemon *daemon)
{
	uint64_t before = meter_sample_count(daemon->meter);

	meter_sample(daemon->meter);
	if (meter_sample_count(daemon->meter) != before)
		record_sample(daemon);
}

static void handle_signal(struct daemon *daemon)
{
	struct signalfd_siginfo info;
	struct diag diag = DIAG_INIT;

	if (read(daemon->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP) {
		daemon->stopping = true;
		return;
	}
	if (serve_reload(daemon, &diag) < 0)
		log_error("%s", diag.text);
}

/* A first sample without the machines would take them all for gone: a provider gets some time. */
static void await_roster(const struct daemon *daemon)
{
	struct pollfd polled = {.fd = meter_roster_fd(daemon->meter), .events = POLLIN};

	(void)poll(&polled, 1, ROSTER_WAIT_MS);
}

static void run(struct daemon *daemon)
{
	struct pollfd polled[] = {
	    {.fd = daemon->timer_fd, .events = POLLIN},
	    {.fd = daemon->signal_fd, .events = POLLIN},
	    {.fd = meter_server_fd(daemon->server), .events = POLLIN},
	    {.fd = meter_roster_fd(daemon->meter), .events = POLLIN},
	};
	uint64_t expirations;

	while (!daemon->stopping) {
		if (poll(polled, sizeof(polled) / sizeof(polled[0]), -1) < 0 && errno != EINTR)
			return;
		if (polled[2].revents != 0)
			meter_server_handle(daemon->server);
		if (polled[0].revents != 0 || polled[3].revents != 0) {
			(void)!read(daemon->timer_fd, &expirations, sizeof(expirations));
			take_sample(daemon);
			meter_checkpoint(daemon->meter);
		}
		if (polled[1].revents != 0)
			handle_signal(daemon);
	}
}

/* Signals come by descriptor; blocked before the provider's thread exists, so it has them blocked.
 */
static int open_events(struct daemon *daemon, struct diag *diag)
{
	sigset_t signals;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return diag_error(diag, -errno, "cannot block signals: %s", strerror(errno));
	daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	daemon->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (daemon->signal_fd < 0 || daemon->timer_fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	return 0;
}

static int start(struct daemon *daemon, struct diag *diag)
{
	static const struct meter_server_ops ops = {.refresh = serve_refresh,
						    .status = serve_status,
						    .reload = serve_reload,
						    .trace_head = serve_trace_head};
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_fd int runtime_fd = -1;
	cleanup_fd int state_fd = -1;
	cleanup_meter struct meter *meter = NULL;
	cleanup_meter_server struct meter_server *server = NULL;
	struct meter_context context = {.settings = &daemon->settings, .clock = clock_real()};
	int status = sysroot_open(daemon->options.sysroot, &root, diag);

	if (status == 0)
		status = own_directory_open(daemon->options.runtime_dir, 0755, "--runtime-dir",
					    &runtime_fd, diag);
	if (status == 0)
		status = own_directory_open(daemon->options.state_dir, 0700, "--state-dir",
					    &state_fd, diag);
	if (status == 0)
		status = open_events(daemon, diag);
	if (status < 0)
		return status;
	/* The last that takes a capability. */
	context.fd_budget = vm_threads_raise_fd_limit();
	status = confine(
	    &daemon->settings,
	    (struct confine_directories){.runtime_fd = runtime_fd, .state_fd = state_fd}, diag);
	if (status < 0)
		return status;
	context.root = root;
	context.runtime_fd = runtime_fd;
	context.state_fd = state_fd;
	status = meter_create(&context, &meter, diag);
	if (status < 0)
		return status;
	status = meter_server_open(runtime_fd, &ops, daemon, &server, diag);
	if (status < 0)
		return status;
	daemon->meter = meter;
	daemon->server = server;
	status = arm_timer(daemon);
	if (status < 0)
		return diag_error(diag, status, "cannot start the timer: %s", strerror(-status));
	await_roster(daemon);
	take_sample(daemon);
	(void)sd_notify(0, "READY=1");
	log_info("ready");
	run(daemon);
	(void)sd_notify(0, "STOPPING=1");
	log_info("stopped");
	return 0;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {
	    .options = {.runtime_dir = SETTINGS_RUNTIME_DIR,
			.state_dir = SETTINGS_STATE_DIR,
			.sysroot = "/"},
	    .timer_fd = -1,
	    .signal_fd = -1,
	};
	struct diag diag = DIAG_INIT;
	int status;

	log_init("wattportd", LOG_LEVEL_INFO);
	status = config_extract(&argc, argv, &daemon.overrides, &diag);
	if (status == 0) {
		parse_options(argc, argv, &daemon.options);
		if (daemon.options.verbose)
			log_init("wattportd", LOG_LEVEL_DEBUG);
		status = settings_load(daemon.options.config, &daemon.overrides, &daemon.settings,
				       &diag);
	}
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	status = start(&daemon, &diag);
	if (daemon.timer_fd >= 0)
		(void)close(daemon.timer_fd);
	if (daemon.signal_fd >= 0)
		(void)close(daemon.signal_fd);
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
