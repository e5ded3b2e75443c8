/*
 * page.h: the page for people at `/`, one for hypervisor and guest: its files, its history.
 *
 * Last stage of wattport-exporter and of the agent's service, beside their metrics. The page, its
 * style and its script are in the program (cmake/embed.cmake); the library that draws charts is the
 * distribution's, and is read when the page is created, before the sandbox closes. Without it the
 * page shows tables and says which package is missing.
 *
 *     /  /page/...               the page, its parts: constant
 *     /api/v1/now                what the tables show, of this moment (page_json.h)
 *     /api/v1/history[/hour]     what the charts show, of before (page_history.h)
 *
 * All but page_create() and page_destroy() may be called in any thread.
 */
#ifndef WATTPORT_COMMON_PAGE_H
#define WATTPORT_COMMON_PAGE_H

#include "common/carbon.h"
#include "common/clock.h"
#include "common/equivalents.h"
#include "common/http_server.h"
#include "common/page_history.h"
#include "common/page_view.h"

/* Where Debian's and Ubuntu's package has it. */
#define PAGE_CHARTS_PACKAGE  "libjs-dygraphs"
#define PAGE_CHARTS_DEFAULT  "/usr/share/javascript/dygraphs/dygraph.min.js"
#define PAGE_CHARTS_SIZE_MAX ((size_t)1 << 20)

/* How often its owner should show it a view, whether anybody looks or not. */
#define PAGE_PERIOD_SECONDS 1

struct page;

/*
 * `charts` is "auto" (where the package has it, or none), "none", or a file. -ENOMEM; or, of a file
 * that was named, why it cannot be read: *diag says it.
 */
int page_create(const char *charts, const struct clock *clock, struct page **ret_page,
		struct diag *diag);
void page_destroy(struct page *page);

/*
 * What energy means: both, or one of them, may be NULL; they outlive the page, which is the only
 * one to use them from then on. Before anything is shown.
 */
void page_set_meaning(struct page *page, struct carbon *carbon,
		      const struct equivalents *equivalents);

/* Takes a view into the history, and counts its grams. */
void page_show(struct page *page, const struct page_view *view);

/* What energy means, for a page of /metrics: nothing where no intensity was asked for. */
struct metrics;
void page_write_metrics(struct page *page, struct metrics *metrics);

/* Answers /api/v1/now with it; it is taken into the history, too. 0 or -ENOMEM. */
int page_answer_now(struct page *page, const struct page_view *view,
		    struct http_response *response);

/* Answers all other paths that belong to the page: 0, -ENOMEM, or -ENOENT where it does not. */
int page_answer(struct page *page, const char *path, struct http_response *response);

#define PAGE_HISTORY_PATH "/api/v1/history"
#define PAGE_HISTORY_ROUTES(handler, kind)                                                         \
	{PAGE_HISTORY_PATH kind, handler},                                                         \
	{                                                                                          \
		PAGE_HISTORY_PATH "/hour" kind, handler                                            \
	}

/* They, for a table of routes: the handler calls page_answer(). */
#define PAGE_ROUTES(handler)                                                                       \
	{"/", handler}, {"/page/page.css", handler}, {"/page/page.js", handler},                   \
	    {"/page/text.js", handler}, {"/page/chart.js", handler}, {"/page/table.js", handler},  \
	    {"/page/icon.svg", handler}, {"/page/charts.js", handler},                             \
	    PAGE_HISTORY_ROUTES(handler, ""), PAGE_HISTORY_ROUTES(handler, "/vm"),                 \
	    PAGE_HISTORY_ROUTES(handler, "/unit"), PAGE_HISTORY_ROUTES(handler, "/user"),          \
	    PAGE_HISTORY_ROUTES(handler, "/process"), PAGE_HISTORY_ROUTES(handler, "/slice"),      \
	    PAGE_HISTORY_ROUTES(handler, "/container"), PAGE_HISTORY_ROUTES(handler, "/pod"),      \
	    PAGE_HISTORY_ROUTES(handler, "/job")

static inline void cleanup_page_value(struct page *const *page)
{
	page_destroy(*page);
}
#define cleanup_page __attribute__((cleanup(cleanup_page_value)))

#endif
