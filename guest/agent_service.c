#include "common/cleanup.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/page.h"
#include "common/privilege.h"
#include "guest/agent.h"
#include "guest/agent_settings.h"
#include "guest/exporter.h"
#include "guest/outputs.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

struct agent_service {
	const struct agent *agent;
	struct exporter *exporter;
	struct accounts_thread *accounts; /* NULL: nothing is divided */
	struct http_server *server;
	struct outputs *outputs;
	struct meter_reading reading; /* of the last tick */
	bool up;		      /* of the last tick: only changes are told */
	bool renewable; /* had the right to read every zone, and gave it up: a new start has it */
	struct mono_time started;
};

/* Says so when the figures come or go, and not at every tick in between. */
static void agent_service_tick(struct agent_service *service, bool first)
{
	bool up = exporter_tick(service->exporter, &service->reading);

	if (!up && (service->up || first))
		log_warning("%s", service->reading.reason.text);
	else if (up && !service->up)
		log_info("the energy of this machine can be read");
	service->up = up;
}

/*
 * Gives the outputs that are due what is known now: the accounts as of their last tick, or where
 * nothing is divided the zones alone.
 */
static void agent_service_output(struct agent_service *service)
{
	struct mono_time now = clock_now_mono(service->agent->clock);
	const struct accounts_view *divided;
	struct accounts_view view = {.interval_ns = 0};

	if (outputs_due_ns(service->outputs, now) > 0)
		return;
	divided = accounts_thread_view(service->accounts);
	if (divided == NULL) {
		agent_service_tick(service, false);
		view.reading = service->reading;
		view.wall_ns = clock_now_wall(service->agent->clock).ns;
	}
	outputs_tick(service->outputs, now, divided != NULL ? divided : &view);
	accounts_view_release(divided);
}

/*
 * An initramfs may have no users at all: then there is nobody to become, and the filter alone must
 * do. Every other failure to give up what is not needed ends the service.
 */
static int agent_service_drop(struct diag *diag)
{
	int status = privilege_drop(diag);

	if (status == -ENOENT) {
		log_warning("%s; going on as root", diag->text);
		return 0;
	}
	return status;
}

/* As root: opens the source, for energy_uj may be root's alone, and the port. Then nobody's. */
static int agent_service_start(struct agent_service *service, const struct agent_settings *settings,
			       struct diag *diag)
{
	const struct http_server_options server_options = {
	    .listen = settings->http_listen,
	    .listen_option = "--http.listen",
	    .routes = exporter_routes,
	    .route_count = exporter_route_count,
	    .context = service->exporter,
	    .web_config =
		strcmp(settings->view.web_config, "none") != 0 ? settings->view.web_config : NULL,
	};
	bool rights = privilege_reads_all();
	int status;

	service->started = clock_now_mono(service->agent->clock);
	agent_service_tick(service, true);
	/* What is denied in spite of them (a security module) will be so again. */
	rights = rights && !exporter_denied(service->exporter);
	status = http_server_open(&server_options, &service->server, diag);
	if (status < 0)
		return status;
	if (http_server_exposed(service->server) != NULL)
		log_warning("%s holds secrets and may be read by everybody: chmod o= it",
			    http_server_exposed(service->server));
	if (outputs_exposed(service->outputs))
		log_warning(
		    "%s holds secrets and may be read by others than its owner: chmod go= it",
		    settings->output_credentials);
	status = agent_service_drop(diag);
	service->renewable = rights && !privilege_reads_all();
	if (status == 0)
		status = outputs_start(service->outputs, diag);
	if (status == 0)
		status = http_server_start(service->server, diag);
	if (status == 0 && service->accounts != NULL)
		status = accounts_thread_start(service->accounts, diag);
	if (status < 0)
		return status;
	/* Who writes nothing has no use for what writing needs. */
	status = privilege_filter(outputs_count(service->outputs) > 0
				      ? &privilege_table_wattport_agent_outputs
				      : &privilege_table_wattport_agent,
				  diag);
	if (status == -ENOSYS) {
		log_warning("%s; going on without", diag->text);
		return 0;
	}
	return status;
}

/* Reads TLS and passwords again, where there is something new. */
static void agent_service_reload(struct agent_service *service, bool asked)
{
	struct diag diag = DIAG_INIT;
	int status = http_server_reload(service->server, asked, &diag);

	if (status > 0)
		log_info("the web configuration was read again");
	else if (status < 0)
		log_warning("%s; what was read before goes on to hold", diag.text);
	else if (asked)
		log_info("there is no web configuration to read again");
}

/* A tree that was taken away is let go of so soon; mount waits for that (mount.c). */
#define AGENT_LOOK_NS (5 * CLOCK_NS_PER_SECOND)
#define AGENT_SHOW_NS (PAGE_PERIOD_SECONDS * CLOCK_NS_PER_SECOND)
#define AGENT_LOAD_NS (30 * CLOCK_NS_PER_SECOND) /* files that may have changed */
static_assert(AGENT_LOOK_NS <= METER_PERIOD_NS_MAX, "counters that wrap are read in time");

/* How long nothing has to be done: the page's history goes on, outputs fall due. */
static struct timespec agent_service_rest(const struct agent_service *service,
					  struct mono_time shown)
{
	struct mono_time now = clock_now_mono(service->agent->clock);
	uint64_t elapsed_ns = clock_elapsed_ns(shown, now);
	uint64_t rest_ns = elapsed_ns < AGENT_SHOW_NS ? AGENT_SHOW_NS - elapsed_ns : 0;
	uint64_t due_ns = outputs_due_ns(service->outputs, now);

	if (due_ns < rest_ns)
		rest_ns = due_ns;
	return (struct timespec){.tv_sec = (time_t)(rest_ns / CLOCK_NS_PER_SECOND),
				 .tv_nsec = (long)(rest_ns % CLOCK_NS_PER_SECOND)};
}

/*
 * A source that goes and returns, in exact view or on bare metal, has to be opened again, which is
 * root's, and the right to that was given up. Ways to keep it, and why they are not gone:
 *
 * 1. CAP_DAC_READ_SEARCH alone would let the process that answers HTTP read every file of the
 *    machine, /etc/shadow among them, for as long as it runs.
 * 2. A descriptor of the directory, or an O_PATH one of the file, saves no check: openat(2), and
 *    open(2) by way of /proc/self/fd, ask again who opens. One of the file itself is open to the
 *    mount, or the device, that is gone.
 * 3. A second process with that right, which hands descriptors over, would be there for years for
 *    what is done in a moment, once in a while.
 *
 * So the service ends, for its manager to start it anew with its rights: Restart=always. What was
 * started without them goes on and says what it needs, for a new start would have no more.
 */
#define AGENT_LIFE_NS_MIN (UINT64_C(3) * CLOCK_NS_PER_SECOND)

/*
 * A source that comes and goes ceaselessly makes no tight loop of it: with RestartSec=1 this is no
 * more than three starts in the ten seconds in which systemd allows for five.
 */
static bool agent_service_is_locked_out(const struct agent_service *service, struct mono_time now)
{
	return service->renewable && clock_elapsed_ns(service->started, now) >= AGENT_LIFE_NS_MIN &&
	       exporter_denied(service->exporter);
}

/* Until a signal ends it: 0; or -EACCES, when it has to be started anew. */
static int agent_service_run(struct agent_service *service, const sigset_t *signals,
			     struct diag *diag)
{
	struct mono_time looked = clock_now_mono(service->agent->clock);
	struct mono_time shown = looked;
	struct mono_time loaded = looked;

	for (;;) {
		const struct timespec rest = agent_service_rest(service, shown);
		int signal_number = sigtimedwait(signals, NULL, &rest);
		struct mono_time now = clock_now_mono(service->agent->clock);

		if (signal_number == SIGINT || signal_number == SIGTERM)
			return 0;
		if (signal_number == SIGHUP) {
			agent_service_reload(service, true);
			outputs_reopen(service->outputs);
		}
		agent_service_output(service);
		if (clock_elapsed_ns(shown, now) >= AGENT_SHOW_NS) {
			shown = now;
			exporter_show(service->exporter);
			if (agent_service_is_locked_out(service, now))
				return diag_error(
				    diag, -EACCES,
				    "the counters are there, but energy_uj is for root alone, and "
				    "the right to open it was given up at the start: ending, to be "
				    "started anew with it (Restart=always)");
		}
		if (clock_elapsed_ns(looked, now) >= AGENT_LOOK_NS) {
			looked = now;
			agent_service_tick(service, false);
		}
		if (clock_elapsed_ns(loaded, now) >= AGENT_LOAD_NS) {
			loaded = now;
			agent_service_reload(service, false);
		}
	}
}

/* As root: what outputs need of files that are root's, and libraries while they may be loaded. */
static int agent_service_open(struct agent_service *service, const struct agent *agent,
			      const struct agent_settings *settings, const struct sysroot *root)
{
	const struct outputs_options options = agent_settings_outputs(settings);
	struct exporter_extras extras = {.compat = settings->http_compat,
					 .sys_path = sysroot_sys_path(root)};
	struct diag diag = DIAG_INIT;

	service->agent = agent;
	if (outputs_create(&options, &service->outputs, &diag) < 0)
		return agent_fail("%s", diag.text);
	extras.outputs = service->outputs;
	extras.host = outputs_host(service->outputs);
	exporter_set_extras(service->exporter, &extras);
	return 0;
}

/* A sink that goes away is an error of its write, and no reason to end. */
static void agent_service_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGTERM);
	(void)sigaddset(ret_signals, SIGHUP);
	/* Blocked before any thread is made, so that none of them ever takes them. */
	(void)sigprocmask(SIG_BLOCK, ret_signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

/*
 * As root, where it is: a first tick opens what only root may open. A machine on which nothing can
 * be divided is told why, and its energy is exported all the same.
 */
static int agent_service_open_accounts(const struct agent *agent, const struct sysroot *root,
				       const struct agent_settings *settings, struct meter *meter,
				       struct accounts **ret_accounts)
{
	cleanup_accounts struct accounts *accounts = NULL;
	const struct accounts_options options = agent_settings_accounts(settings);
	const struct accounts_view *view;
	struct diag diag = DIAG_INIT;
	int status;

	if (options.top == 0)
		return 0;
	status = accounts_create(root, agent->clock, meter, &options, &accounts, &diag);
	if (status < 0) {
		log_warning("nothing is divided among services: %s", diag.text);
		return 0;
	}
	status = accounts_tick(accounts);
	if (status < 0)
		return status;
	view = accounts_latest(accounts);
	if (view != NULL && !view->exits.counted)
		log_info("processes that end between two looks are in the rest: %s",
			 view->exits.reason);
	accounts_view_release(view);
	*ret_accounts = TAKE_PTR(accounts);
	return 0;
}

int agent_serve(const struct agent *agent, const struct agent_settings *settings)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_sysroot struct sysroot *accounts_root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_meaning struct meaning meaning = {.carbon = NULL};
	cleanup_page struct page *page = NULL;
	cleanup_meter struct meter *accounts_meter = NULL;
	cleanup_accounts struct accounts *accounts = NULL;
	cleanup_accounts_thread struct accounts_thread *thread = NULL;
	cleanup_exporter struct exporter *exporter = NULL;
	const struct agent_meaning wanted = {.config = NULL};
	struct agent_service service = {.up = false};
	struct diag diag = DIAG_INIT;
	sigset_t signals;
	int status;

	log_init("wattport-agent", LOG_LEVEL_INFO);
	/* Before the signals are blocked and privileges go: it may start a process. */
	if (agent_open_meaning(agent, &wanted, settings, &meaning) < 0)
		return AGENT_EXIT_FAILED;
	agent_service_signals(&signals);
	/* A meter has one thread: the accounts' and that of the requests have one each. */
	if (agent_open_meter(agent, &root, &meter) < 0 ||
	    agent_open_meter(agent, &accounts_root, &accounts_meter) < 0)
		return AGENT_EXIT_FAILED;
	if (page_create(settings->view.charts, agent->clock, &page, &diag) < 0)
		return agent_fail("http.charts: %s", diag.text);
	page_set_meaning(page, meaning.carbon, meaning.equivalents);
	if (exporter_create(meter, page, &exporter) < 0 ||
	    agent_service_open_accounts(agent, accounts_root, settings, accounts_meter, &accounts) <
		0 ||
	    (accounts != NULL &&
	     accounts_thread_create(accounts, settings->accounts_period_ns, &thread) < 0))
		return agent_fail("out of memory");
	exporter_set_accounts(exporter, thread);
	service.exporter = exporter;
	service.accounts = thread;
	if (agent_service_open(&service, agent, settings, root) != 0)
		return AGENT_EXIT_FAILED;
	status = agent_service_start(&service, settings, &diag);
	if (status == 0) {
		log_info("listening on port %u (%s)", http_server_port(service.server),
			 http_server_scheme(service.server));
		status = agent_service_run(&service, &signals, &diag);
	}
	/* First who reads their state, then they themselves. */
	http_server_close(service.server);
	outputs_destroy(service.outputs, agent->clock);
	return status == 0 ? 0 : agent_fail("%s", diag.text);
}
