#include "host/exporter.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/page.h"
#include "host/exporter_metrics.h"
#include "host/ledger_view.h"
#include "host/page_host.h"
#include "host/status_json.h"
#include "host/summary.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#define STATUS_UNAVAILABLE 503

struct exporter {
	const struct clock *clock;
	struct page *page;
	pthread_mutex_t lock; /* for view and reason */
	struct ledger_view *view;
	struct metrics *metrics;
	struct diag reason; /* why the figures were not fresh when last asked; empty: they were */
};

/* One instant of the ledger, or why there is none. */
struct exporter_picture {
	int status;
	struct ledger_copy copy;
	struct summary summary;
	struct diag reason; /* not empty: there is none, or it is not fresh */
};

static void exporter_picture_release(struct exporter_picture *picture)
{
	summary_finish(&picture->summary);
	ledger_copy_free(&picture->copy);
}
#define cleanup_picture __attribute__((cleanup(exporter_picture_release)))

/* Tells the log once when the figures go and when they are back. */
static void exporter_note(struct exporter *exporter, const struct diag *reason)
{
	const bool was_fresh = exporter->reason.text[0] == '\0';
	const bool is_fresh = reason->text[0] == '\0';

	if (was_fresh && !is_fresh)
		log_warning("no fresh figures: %s", reason->text);
	else if (!was_fresh && is_fresh)
		log_info("the figures are fresh again");
	exporter->reason = *reason;
}

/* Nobody holds the lock for longer than a copy of the ledger takes. */
static void exporter_look(struct exporter *exporter, struct exporter_picture *picture)
{
	int status = pthread_mutex_lock(&exporter->lock);

	assert(status == 0);
	(void)status;
	picture->status = ledger_view_copy(exporter->view, &picture->copy, &picture->reason);
	if (picture->status == 0) {
		picture->status = summary_init(&picture->summary, &picture->copy,
					       clock_now_mono(exporter->clock));
		if (picture->status < 0)
			(void)diag_error(&picture->reason, picture->status, "out of memory");
	}
	if (picture->status == 0)
		(void)summary_check_fresh(&picture->summary, &picture->reason);
	exporter_note(exporter, &picture->reason);
	(void)pthread_mutex_unlock(&exporter->lock);
}

static int exporter_answer_page(void *context, const struct http_request *request,
				struct http_response *response)
{
	struct exporter *exporter = context;

	return page_answer(exporter->page, request->path, response);
}

static int exporter_page_view(const struct exporter_picture *picture, struct page_view *ret_view)
{
	return page_host_view(picture->status == 0 ? &picture->copy : NULL, &picture->summary,
			      &picture->reason, ret_view);
}

static int exporter_answer_now(void *context, const struct http_request *request,
			       struct http_response *response)
{
	cleanup_picture struct exporter_picture picture = {.status = 0};
	cleanup_page_host struct page_view view = {.group_count = 0};
	struct exporter *exporter = context;
	int status;

	(void)request;
	exporter_look(exporter, &picture);
	status = exporter_page_view(&picture, &view);
	if (status < 0)
		return status;
	return page_answer_now(exporter->page, &view, response);
}

void exporter_tick(struct exporter *exporter)
{
	cleanup_picture struct exporter_picture picture = {.status = 0};
	cleanup_page_host struct page_view view = {.group_count = 0};

	exporter_look(exporter, &picture);
	if (exporter_page_view(&picture, &view) == 0)
		page_show(exporter->page, &view);
}

static int exporter_answer_metrics(void *context, const struct http_request *request,
				   struct http_response *response)
{
	cleanup_picture struct exporter_picture picture = {.status = 0};
	const enum metrics_format format = metrics_negotiate(request->accept);
	struct exporter *exporter = context;

	exporter_look(exporter, &picture);
	metrics_begin(exporter->metrics, format);
	exporter_metrics_write(exporter->metrics, picture.status == 0 ? &picture.copy : NULL,
			       &picture.summary);
	page_write_metrics(exporter->page, exporter->metrics);
	response->content_type = metrics_content_type(format);
	return metrics_finish(exporter->metrics, &response->body, &response->body_size);
}

static int exporter_answer_status(void *context, const struct http_request *request,
				  struct http_response *response)
{
	cleanup_picture struct exporter_picture picture = {.status = 0};

	(void)request;
	exporter_look(context, &picture);
	if (picture.status == 0) {
		response->allocated = status_json(&picture.copy, &picture.summary);
	} else {
		response->allocated = status_json_failure(picture.reason.text);
		response->status = STATUS_UNAVAILABLE;
	}
	if (response->allocated == NULL)
		return -ENOMEM;
	response->content_type = "application/json";
	response->body = response->allocated;
	response->body_size = strlen(response->allocated);
	return 0;
}

static int exporter_answer_healthz(void *context, const struct http_request *request,
				   struct http_response *response)
{
	cleanup_picture struct exporter_picture picture = {.status = 0};
	struct exporter *exporter = context;

	(void)request;
	exporter_look(exporter, &picture);
	response->body = "ok\n";
	if (picture.reason.text[0] != '\0') {
		response->status = STATUS_UNAVAILABLE;
		if (asprintf(&response->allocated, "%s\n", picture.reason.text) < 0) {
			response->allocated = NULL; /* asprintf(3) leaves it undefined */
			return -ENOMEM;
		}
		response->body = response->allocated;
	}
	response->body_size = strlen(response->body);
	return 0;
}

const struct http_route *exporter_routes(size_t *ret_count)
{
	static const struct http_route routes[] = {
	    PAGE_ROUTES(exporter_answer_page),	   {"/api/v1/now", exporter_answer_now},
	    {"/metrics", exporter_answer_metrics}, {"/status.json", exporter_answer_status},
	    {"/healthz", exporter_answer_healthz},
	};

	*ret_count = sizeof(routes) / sizeof(routes[0]);
	return routes;
}

int exporter_create(const char *runtime_dir, const struct clock *clock, struct page *page,
		    struct exporter **ret_exporter)
{
	struct exporter *exporter = calloc(1, sizeof(*exporter));
	int status;

	if (exporter == NULL)
		return -ENOMEM;
	exporter->clock = clock;
	exporter->page = page;
	status = pthread_mutex_init(&exporter->lock, NULL);
	if (status != 0) {
		free(exporter);
		return -status;
	}
	status = ledger_view_create(runtime_dir, &exporter->view);
	if (status == 0)
		status = metrics_create(&exporter->metrics);
	if (status < 0) {
		exporter_destroy(exporter);
		return status;
	}
	*ret_exporter = exporter;
	return 0;
}

void exporter_destroy(struct exporter *exporter)
{
	if (exporter == NULL)
		return;
	(void)pthread_mutex_destroy(&exporter->lock);
	ledger_view_destroy(exporter->view);
	metrics_destroy(exporter->metrics);
	free(exporter);
}
