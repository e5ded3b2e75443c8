#include "common/cleanup.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/privilege.h"
#include "guest/agent.h"
#include "guest/exporter.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

struct agent_service {
	struct exporter *exporter;
	struct accounts_thread *accounts; /* NULL: nothing is divided */
	struct http_server *server;
	bool up; /* of the last tick: only changes are told */
};

/* Says so when the figures come or go, and not at every tick in between. */
static void agent_service_tick(struct agent_service *service, bool first)
{
	struct diag reason = DIAG_INIT;
	bool up = exporter_tick(service->exporter, &reason);

	if (!up && (service->up || first))
		log_warning("%s", reason.text);
	else if (up && !service->up)
		log_info("the energy of this machine can be read");
	service->up = up;
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
static int agent_service_start(struct agent_service *service,
			       const struct agent_service_options *options, struct diag *diag)
{
	const struct http_server_options server_options = {
	    .listen = options->listen,
	    .listen_option = "--http.listen",
	    .routes = exporter_routes,
	    .route_count = exporter_route_count,
	    .context = service->exporter,
	    .web_config = options->web_config,
	};
	int status;

	agent_service_tick(service, true);
	status = http_server_open(&server_options, &service->server, diag);
	if (status < 0)
		return status;
	if (http_server_exposed(service->server) != NULL)
		log_warning("%s holds secrets and may be read by everybody: chmod o= it",
			    http_server_exposed(service->server));
	status = agent_service_drop(diag);
	if (status < 0)
		return status;
	status = http_server_start(service->server, diag);
	if (status == 0 && service->accounts != NULL)
		status = accounts_thread_start(service->accounts, diag);
	if (status < 0)
		return status;
	status = privilege_filter(&privilege_table_wattport_agent, diag);
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

/* Until a signal ends it. */
static void agent_service_run(struct agent_service *service, const sigset_t *signals)
{
	const struct timespec period = {.tv_sec =
					    (time_t)(METER_PERIOD_NS_MAX / CLOCK_NS_PER_SECOND)};

	for (;;) {
		int signal_number = sigtimedwait(signals, NULL, &period);

		if (signal_number == SIGINT || signal_number == SIGTERM)
			return;
		if (signal_number == SIGHUP) {
			agent_service_reload(service, true);
		} else if (errno == EAGAIN) {
			agent_service_tick(service, false);
			agent_service_reload(service, false);
		}
	}
}

/*
 * As root, where it is: a first tick opens what only root may open. A machine on which nothing can
 * be divided is told why, and its energy is exported all the same.
 */
static int agent_service_open_accounts(const struct agent *agent, const struct sysroot *root,
				       const struct agent_service_options *options,
				       struct meter *meter, struct accounts **ret_accounts)
{
	cleanup_accounts struct accounts *accounts = NULL;
	const struct accounts_view *view;
	struct diag diag = DIAG_INIT;
	int status;

	if (options->accounts.top == 0)
		return 0;
	status = accounts_create(root, agent->clock, meter, &options->accounts, &accounts, &diag);
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

int agent_serve(const struct agent *agent, const struct agent_service_options *options)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_sysroot struct sysroot *accounts_root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_meter struct meter *accounts_meter = NULL;
	cleanup_accounts struct accounts *accounts = NULL;
	cleanup_accounts_thread struct accounts_thread *thread = NULL;
	cleanup_exporter struct exporter *exporter = NULL;
	struct agent_service service = {.up = false};
	struct diag diag = DIAG_INIT;
	sigset_t signals;
	int status;

	log_init("wattport-agent", LOG_LEVEL_INFO);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	/* Blocked before the server's thread is made, so that it never takes them. */
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	/* A meter has one thread: the accounts' and that of the requests have one each. */
	if (agent_open_meter(agent, &root, &meter) < 0 ||
	    agent_open_meter(agent, &accounts_root, &accounts_meter) < 0)
		return AGENT_EXIT_FAILED;
	if (exporter_create(meter, &exporter) < 0 ||
	    agent_service_open_accounts(agent, accounts_root, options, accounts_meter, &accounts) <
		0 ||
	    (accounts != NULL &&
	     accounts_thread_create(accounts, options->accounts_period_ns, &thread) < 0))
		return agent_fail("out of memory");
	exporter_set_accounts(exporter, thread);
	service.exporter = exporter;
	service.accounts = thread;
	status = agent_service_start(&service, options, &diag);
	if (status == 0) {
		log_info("listening on port %u (%s)", http_server_port(service.server),
			 http_server_scheme(service.server));
		agent_service_run(&service, &signals);
	}
	http_server_close(service.server);
	return status == 0 ? 0 : agent_fail("%s", diag.text);
}
