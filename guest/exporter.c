#include "guest/exporter.h"
#include "common/cleanup.h"
#include "common/metrics.h"
#include "guest/accounts_json.h"
#include "guest/compat.h"
#include "guest/outputs.h"
#include "guest/page_guest.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

struct exporter {
	pthread_mutex_t lock; /* for the meter and `denied` */
	struct meter *meter;
	bool denied; /* of the last reading, whoever took it */
	struct page *page;
	struct meter_reading reading; /* of the HTTP server's thread alone */
	struct exporter_extras extras;
	struct metrics *metrics;	  /* of the HTTP server's thread alone */
	struct accounts_thread *accounts; /* NULL: nothing is divided */
};

static const struct metrics_family exporter_energy = {
    "wattport_guest_energy_joules", METRICS_COUNTER, "joules",
    "Energy that this machine used, by zone: the counter of its powercap, unwrapped."};
static const struct metrics_family exporter_power = {
    "wattport_guest_power_watts", METRICS_GAUGE, "watts",
    "Mean power since the last reading that is at least a second old, by zone."};
static const struct metrics_family exporter_up = {
    "wattport_up", METRICS_GAUGE, NULL,
    "1 when the figures are read and at most 10 s old, else 0: then they are absent."};
static const struct metrics_family exporter_age = {
    "wattport_data_age_seconds", METRICS_GAUGE, "seconds",
    "Age of the host's last sample; 0 where this machine's own counters are read."};
static const struct metrics_family exporter_estimate = {
    "wattport_data_estimate", METRICS_GAUGE, NULL,
    "1 when the host computes the figures from a model, 0 when it measures them."};
static const struct metrics_family exporter_build = {"wattport_build", METRICS_INFO, NULL,
						     "The version of this program."};

int exporter_create(struct meter *meter, struct page *page, struct exporter **ret_exporter)
{
	cleanup_free struct exporter *exporter = calloc(1, sizeof(*exporter));
	int status;

	if (exporter == NULL)
		return -ENOMEM;
	exporter->meter = meter;
	exporter->page = page;
	status = metrics_create(&exporter->metrics);
	if (status < 0)
		return status;
	status = pthread_mutex_init(&exporter->lock, NULL);
	if (status != 0) {
		metrics_destroy(exporter->metrics);
		return -status;
	}
	*ret_exporter = TAKE_PTR(exporter);
	return 0;
}

void exporter_destroy(struct exporter *exporter)
{
	if (exporter == NULL)
		return;
	(void)pthread_mutex_destroy(&exporter->lock);
	metrics_destroy(exporter->metrics);
	free(exporter);
}

void exporter_set_accounts(struct exporter *exporter, struct accounts_thread *accounts)
{
	exporter->accounts = accounts;
}

/* Nobody holds the lock for longer than a reading takes. */
static void exporter_lock(struct exporter *exporter)
{
	int status = pthread_mutex_lock(&exporter->lock);

	assert(status == 0);
	(void)status;
}

static void exporter_read(struct exporter *exporter, struct meter_reading *ret_reading)
{
	exporter_lock(exporter);
	meter_read(exporter->meter, ret_reading);
	exporter->denied = ret_reading->denied;
	(void)pthread_mutex_unlock(&exporter->lock);
}

/* Two meters, each of which may lose what it has open. */
bool exporter_denied(struct exporter *exporter)
{
	const struct accounts_view *view = accounts_thread_view(exporter->accounts);
	bool denied = view != NULL && view->reading.denied;

	accounts_view_release(view);
	exporter_lock(exporter);
	denied = denied || exporter->denied;
	(void)pthread_mutex_unlock(&exporter->lock);
	return denied;
}

void exporter_set_extras(struct exporter *exporter, const struct exporter_extras *extras)
{
	exporter->extras = *extras;
}

bool exporter_tick(struct exporter *exporter, struct meter_reading *ret_reading)
{
	exporter_read(exporter, ret_reading);
	return ret_reading->up;
}

static void exporter_add_zones(struct metrics *metrics, const struct meter_reading *reading)
{
	metrics_begin_family(metrics, &exporter_energy);
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		const struct metrics_label label = {"zone", zone->id};

		if (zone->available && reading->up)
			metrics_add(metrics, &label, 1, metrics_micro(zone->energy_uj));
	}
	metrics_begin_family(metrics, &exporter_power);
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		const struct metrics_label label = {"zone", zone->id};

		if (zone->has_power && reading->up)
			metrics_add(metrics, &label, 1, metrics_micro(zone->power_uw));
	}
}

void exporter_write_metrics(struct metrics *metrics, const struct meter_reading *reading)
{
	const struct metrics_label version = {"version", WATTPORT_VERSION};
	bool estimate = false;

	exporter_add_zones(metrics, reading);
	metrics_add_single(metrics, &exporter_up, metrics_integer(reading->up));
	/* A tree that does not tell its age has none that we know. */
	if (reading->has_info)
		metrics_add_single(
		    metrics, &exporter_age,
		    (struct metrics_value){.magnitude = reading->info.age_ms, .decimals = 3});
	else if (reading->up)
		metrics_add_single(metrics, &exporter_age, metrics_integer(0));
	if (meter_reading_estimate(reading, &estimate) && (reading->has_info || reading->up))
		metrics_add_single(metrics, &exporter_estimate, metrics_integer(estimate));
	metrics_begin_family(metrics, &exporter_build);
	metrics_add(metrics, &version, 1, metrics_integer(1));
}

/* Other tools' names have the zones of this moment, as our own have. */
static void exporter_write_extras(struct exporter *exporter, const struct accounts_view *divided)
{
	struct accounts_view view = {.interval_ns = 0};
	const struct compat_machine machine = {
	    .view = &view, .host = exporter->extras.host, .sys_path = exporter->extras.sys_path};

	if (divided != NULL && divided->reading.up)
		view = *divided;
	view.reading = exporter->reading;
	if (exporter->extras.compat != 0)
		compat_write_metrics(exporter->metrics, exporter->extras.compat, &machine);
	if (exporter->extras.outputs != NULL)
		outputs_write_metrics(exporter->extras.outputs, exporter->metrics);
}

static int exporter_handle_metrics(void *context, const struct http_request *request,
				   struct http_response *response)
{
	struct exporter *exporter = context;
	enum metrics_format format = metrics_negotiate(request->accept);
	const struct accounts_view *view = accounts_thread_view(exporter->accounts);
	int status;

	exporter_read(exporter, &exporter->reading);
	metrics_begin(exporter->metrics, format);
	exporter_write_metrics(exporter->metrics, &exporter->reading);
	/* The accounts may be older: what is gone by now is gone for them, too. */
	if (view != NULL && exporter->reading.up)
		exporter_write_accounts(exporter->metrics, view);
	page_write_metrics(exporter->page, exporter->metrics);
	exporter_write_extras(exporter, view);
	accounts_view_release(view);
	status = metrics_finish(exporter->metrics, &response->body, &response->body_size);
	if (status < 0)
		return status;
	response->content_type = metrics_content_type(format);
	return 0;
}

/* What is not there yet, or not at all, is the empty answer of a machine without it. */
static int exporter_handle_accounts(void *context, const struct http_request *request,
				    struct http_response *response)
{
	struct exporter *exporter = context;
	const struct accounts_view *view = accounts_thread_view(exporter->accounts);
	int status;

	(void)request;
	response->content_type = "application/json";
	if (view == NULL) {
		static const char text[] = "{\"up\":false,\"reason\":\"nothing is divided\"}\n";

		response->status = 503;
		response->body = text;
		response->body_size = sizeof(text) - 1;
		return 0;
	}
	status = accounts_json(view, &response->allocated, &response->body_size);
	accounts_view_release(view);
	response->body = response->allocated;
	return status;
}

/* The agent is healthy while it answers; whether the host's side is, tells `wattport_up`. */
static int exporter_handle_health(void *context, const struct http_request *request,
				  struct http_response *response)
{
	static const char text[] = "ok\n";

	(void)context;
	(void)request;
	response->body = text;
	response->body_size = sizeof(text) - 1;
	return 0;
}

static int exporter_handle_page(void *context, const struct http_request *request,
				struct http_response *response)
{
	struct exporter *exporter = context;

	return page_answer(exporter->page, request->path, response);
}

/*
 * What the page shows now, into the history and, where there is a response, into that. The reading
 * is that of the accounts, so that all parts are of one moment; a new one where nothing is divided.
 */
static int exporter_page_now(struct exporter *exporter, struct http_response *response)
{
	const struct accounts_view *accounts = accounts_thread_view(exporter->accounts);
	struct page_view view = {.group_count = 0};
	struct meter_reading reading;
	int status;

	if (accounts != NULL)
		reading = accounts->reading;
	else
		exporter_read(exporter, &reading);
	status = page_guest_view(&reading, accounts, &view);
	if (status == 0 && response != NULL)
		status = page_answer_now(exporter->page, &view, response);
	else if (status == 0)
		page_show(exporter->page, &view);
	page_guest_release(&view);
	accounts_view_release(accounts);
	return status;
}

static int exporter_handle_now(void *context, const struct http_request *request,
			       struct http_response *response)
{
	(void)request;
	return exporter_page_now(context, response);
}

void exporter_show(struct exporter *exporter)
{
	(void)exporter_page_now(exporter, NULL);
}

const struct http_route exporter_routes[] = {
    {"/metrics", exporter_handle_metrics},
    {"/healthz", exporter_handle_health},
    {"/api/v1/accounts", exporter_handle_accounts},
    {"/api/v1/now", exporter_handle_now},
    PAGE_ROUTES(exporter_handle_page),
};
const size_t exporter_route_count = sizeof(exporter_routes) / sizeof(exporter_routes[0]);
