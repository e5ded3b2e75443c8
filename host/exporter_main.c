/*
 * wattport-exporter: serves the ledger over HTTP to Prometheus, programs and people.
 *
 * Privilege: listening may need root (a port below 1024). From then on it runs as an unprivileged
 * user that can read the ledger and answer connections that others open, and nothing else.
 */
#include "common/config.h"
#include "common/http_address.h"
#include "common/log.h"
#include "common/meaning.h"
#include "common/privilege.h"
#include "common/settings.h"
#include "host/exporter.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

enum exporter_option {
	OPTION_RUNTIME_DIR = 0x100,
	OPTION_CONFIG,
	OPTION_SYSROOT,
	OPTION_HTTP_LISTEN,
	OPTION_WEB_CONFIG_FILE,
	OPTION_HTTP_CHARTS,
};

struct exporter_arguments {
	const char *runtime_dir;
	const char *config;
	const char *listen;	/* NULL: the configuration's */
	const char *web_config; /* likewise */
	const char *charts;	/* likewise */
};

/* argp(3) looks for these by name. */
const char *argp_program_version = "wattport-exporter " WATTPORT_VERSION;

static error_t exporter_parse(int key, char *argument, struct argp_state *state)
{
	struct exporter_arguments *arguments = state->input;

	switch (key) {
	case OPTION_RUNTIME_DIR:
		arguments->runtime_dir = argument;
		return 0;
	case OPTION_CONFIG:
		arguments->config = argument;
		return 0;
	case OPTION_SYSROOT:
		return 0;	 /* nothing of /sys or /proc is read here */
	case OPTION_HTTP_LISTEN: /* with a space; with `=` it is config.h's */
		arguments->listen = argument;
		return 0;
	case OPTION_WEB_CONFIG_FILE: /* likewise */
		arguments->web_config = argument;
		return 0;
	case OPTION_HTTP_CHARTS: /* likewise */
		arguments->charts = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option exporter_options[] = {
    {"runtime-dir", OPTION_RUNTIME_DIR, "DIR", 0,
     "Where the ledger is (default " SETTINGS_RUNTIME_DIR ")", 0},
    {"config", OPTION_CONFIG, "FILE", 0, "The configuration (default " SETTINGS_PATH ")", 0},
    {"sysroot", OPTION_SYSROOT, "DIR", 0, "Taken as by the other programs; without effect", 0},
    {"http.listen", OPTION_HTTP_LISTEN, "ADDRESS", 0,
     "HOST:PORT, [IPV6]:PORT or :PORT to answer on (default :9771)", 0},
    {"web.config.file", OPTION_WEB_CONFIG_FILE, "FILE", 0,
     "TLS and passwords, as Prometheus' exporters take them (default none)", 0},
    {"http.charts", OPTION_HTTP_CHARTS, "FILE", 0,
     "The library that draws the page's charts, auto or none (default auto)", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp exporter_argp = {
    .options = exporter_options,
    .parser = exporter_parse,
    .doc = "Serves the energy accounts of this host's virtual machines over HTTP: /metrics for "
	   "Prometheus, /status.json for programs, / for people, /healthz for probes.\v"
	   "Every key of the configuration is also taken as --SECTION.KEY=VALUE.",
};

/* Reads TLS and passwords again, where there is something new. */
static void exporter_reload(struct http_server *server, bool asked)
{
	struct diag diag = DIAG_INIT;
	int status = http_server_reload(server, asked, &diag);

	if (status > 0)
		log_info("the web configuration was read again");
	else if (status < 0)
		log_warning("%s; what was read before goes on to hold", diag.text);
	else if (asked)
		log_info("there is no web configuration to read again");
}

/* Until a signal ends the service; they are blocked in every thread. */
static void exporter_wait(struct exporter *exporter, struct http_server *server,
			  const sigset_t *signals)
{
	const struct timespec period = {.tv_sec = PAGE_PERIOD_SECONDS};
	unsigned int ticks = 0;

	for (;;) {
		int number = sigtimedwait(signals, NULL, &period);

		if (number == SIGINT || number == SIGTERM)
			return;
		if (number == SIGHUP)
			exporter_reload(server, true);
		if (number < 0 && errno != EAGAIN)
			continue;
		exporter_tick(exporter);
		if (++ticks % (HTTP_RELOAD_SECONDS / PAGE_PERIOD_SECONDS) == 0)
			exporter_reload(server, false);
	}
}

static int exporter_serve(struct exporter *exporter, const struct exporter_arguments *arguments,
			  struct diag *diag)
{
	cleanup_http_server struct http_server *server = NULL;
	struct http_server_options options = {
	    .listen = arguments->listen,
	    .listen_option = "--http.listen",
	    .context = exporter,
	    .web_config = arguments->web_config,
	};
	sigset_t signals;
	int status;

	options.routes = exporter_routes(&options.route_count);
	status = http_server_open(&options, &server, diag);
	if (status < 0)
		return status;
	if (http_server_exposed(server) != NULL)
		log_warning("%s holds secrets and may be read by everybody: chmod o= it",
			    http_server_exposed(server));
	/* Nothing from here on needs root: the ledger may be read by all, and keys have been. */
	status = privilege_drop(diag);
	if (status < 0)
		return status;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	status = http_server_start(server, diag);
	if (status < 0)
		return status;
	/* After the start, so that no thread and no socket can be made any more. */
	status = privilege_filter(&privilege_table_wattport_exporter, diag);
	if (status < 0)
		return status;
	log_info("answering %s on %s (port %u)", http_server_scheme(server), arguments->listen,
		 (unsigned int)http_server_port(server));
	exporter_wait(exporter, server, &signals);
	log_info("ending");
	return 0;
}

/*
 * What energy means, for the page: -errno where the configuration asks for what there is not. An
 * unreadable table of equivalents is told, and only they are missing.
 */
static int exporter_open_meaning(const struct settings *settings, struct meaning *ret_meaning)
{
	const struct meaning_options options = {.carbon = {.spec = settings->view.carbon},
						.equivalents = settings->view.equivalents};
	struct diag diag = DIAG_INIT;
	int status = meaning_open(&options, clock_real(), ret_meaning, &diag);

	if (status < 0)
		log_error("meaning.carbon: %s", diag.text);
	else if (diag.text[0] != '\0')
		log_warning("%s", diag.text);
	return status;
}

int main(int argc, char **argv)
{
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	cleanup_page struct page *page = NULL;
	cleanup_exporter struct exporter *exporter = NULL;
	struct exporter_arguments arguments = {.runtime_dir = SETTINGS_RUNTIME_DIR};
	struct config_overrides overrides;
	struct http_address address;
	struct settings settings;
	struct diag diag = DIAG_INIT;

	log_init("wattport-exporter", LOG_LEVEL_INFO);
	argp_err_exit_status = EXIT_USAGE;
	if (config_extract(&argc, argv, &overrides, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	if (argp_parse(&exporter_argp, argc, argv, 0, NULL, &arguments) != 0)
		return EXIT_USAGE;
	if (settings_load(arguments.config, &overrides, &settings, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_USAGE;
	}
	if (arguments.listen == NULL)
		arguments.listen = settings.http_listen;
	if (arguments.web_config == NULL && strcmp(settings.view.web_config, "none") != 0)
		arguments.web_config = settings.view.web_config;
	if (arguments.charts == NULL)
		arguments.charts = settings.view.charts;
	if (http_address_parse(arguments.listen, &address, &diag) < 0) {
		log_error("--http.listen: %s", diag.text);
		return EXIT_USAGE;
	}
	if (exporter_open_meaning(&settings, &meaning) < 0)
		return EXIT_FAILURE;
	if (page_create(arguments.charts, clock_real(), &page, &diag) < 0) {
		log_error("--http.charts: %s", diag.text);
		return EXIT_FAILURE;
	}
	page_set_meaning(page, meaning.carbon, meaning.equivalents);
	if (exporter_create(arguments.runtime_dir, clock_real(), page, &exporter) < 0) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	if (exporter_serve(exporter, &arguments, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
