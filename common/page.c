#include "common/page.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/page_file.h"
#include "common/page_json.h"
#include "common/page_meaning.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#define STATUS_NOT_FOUND 404

#define TYPE_SCRIPT	 "text/javascript; charset=utf-8"
#define TYPE_JSON	 "application/json"

struct page {
	const struct clock *clock;
	char *charts; /* the library, or NULL */
	size_t charts_size;
	pthread_mutex_t lock; /* for history and meaning */
	struct page_history *history;
	struct page_meaning meaning;
};

struct page_file {
	const char *path;
	const char *type;
	const char *body;
	const size_t *size;
};

static const struct page_file page_files[] = {
    {"/", "text/html; charset=utf-8", page_file_html, &page_file_html_size},
    {"/page/page.css", "text/css; charset=utf-8", page_file_css, &page_file_css_size},
    {"/page/page.js", TYPE_SCRIPT, page_file_main, &page_file_main_size},
    {"/page/text.js", TYPE_SCRIPT, page_file_text, &page_file_text_size},
    {"/page/chart.js", TYPE_SCRIPT, page_file_chart, &page_file_chart_size},
    {"/page/table.js", TYPE_SCRIPT, page_file_table, &page_file_table_size},
    {"/page/icon.svg", "image/svg+xml", page_file_icon, &page_file_icon_size},
};

static int page_read_charts(const char *path, char **ret_text, size_t *ret_size, struct diag *diag)
{
	cleanup_free char *text = malloc(PAGE_CHARTS_SIZE_MAX);
	char *fitting;
	size_t size;
	int status;

	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = file_read_at(AT_FDCWD, path, text, PAGE_CHARTS_SIZE_MAX, &size);
	if (status < 0)
		return diag_error(diag, status, "the library of charts, %s: %s", path,
				  strerror(-status));
	fitting = realloc(text, size + 1);
	if (fitting != NULL)
		text = fitting;
	*ret_text = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

static int page_find_charts(struct page *page, const char *charts, struct diag *diag)
{
	struct diag ignored = DIAG_INIT;

	if (strcmp(charts, "none") == 0)
		return 0;
	if (strcmp(charts, "auto") != 0)
		return page_read_charts(charts, &page->charts, &page->charts_size, diag);
	/* Where the package is not installed, the page tells whoever looks at it. */
	(void)page_read_charts(PAGE_CHARTS_DEFAULT, &page->charts, &page->charts_size, &ignored);
	return 0;
}

int page_create(const char *charts, const struct clock *clock, struct page **ret_page,
		struct diag *diag)
{
	struct page *page = calloc(1, sizeof(*page));
	int status;

	if (page == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	page->clock = clock;
	status = pthread_mutex_init(&page->lock, NULL);
	if (status != 0) {
		free(page);
		return diag_error(diag, -status, "a lock: %s", strerror(status));
	}
	status = page_history_create(&page->history);
	if (status < 0)
		(void)diag_error(diag, status, "out of memory");
	else
		status = page_find_charts(page, charts, diag);
	if (status < 0) {
		page_destroy(page);
		return status;
	}
	*ret_page = page;
	return 0;
}

void page_destroy(struct page *page)
{
	if (page == NULL)
		return;
	(void)pthread_mutex_destroy(&page->lock);
	page_history_destroy(page->history);
	free(page->charts);
	free(page);
}

void page_set_meaning(struct page *page, struct carbon *carbon,
		      const struct equivalents *equivalents)
{
	page->meaning.carbon = carbon;
	page->meaning.equivalents = equivalents;
}

static void page_lock(struct page *page)
{
	int status = pthread_mutex_lock(&page->lock);

	assert(status == 0);
	(void)status;
}

void page_show(struct page *page, const struct page_view *view)
{
	page_lock(page);
	page_history_add(page->history, view, page->clock);
	page_meaning_add(&page->meaning, view);
	(void)pthread_mutex_unlock(&page->lock);
}

void page_write_metrics(struct page *page, struct metrics *metrics)
{
	page_lock(page);
	page_meaning_write(&page->meaning, metrics);
	(void)pthread_mutex_unlock(&page->lock);
}

/* Hands a text over to be freed when it is sent. */
static int page_answer_text(char *text, struct http_response *response)
{
	if (text == NULL)
		return -ENOMEM;
	response->content_type = TYPE_JSON;
	response->allocated = text;
	response->body = text;
	response->body_size = strlen(text);
	return 0;
}

int page_answer_now(struct page *page, const struct page_view *view, struct http_response *response)
{
	char *text;

	page_show(page, view);
	page_lock(page);
	text = page_json(view, page->clock, &page->meaning);
	(void)pthread_mutex_unlock(&page->lock);
	return page_answer_text(text, response);
}

/* "/api/v1/history", then perhaps "/hour", then perhaps "/KIND". */
static int page_answer_history(struct page *page, const char *path, struct http_response *response)
{
	enum page_range range = PAGE_RANGE_MINUTES;
	const char *kind = path + strlen(PAGE_HISTORY_PATH);
	char *text;

	if (strncmp(kind, "/hour", 5) == 0 && (kind[5] == '/' || kind[5] == '\0')) {
		range = PAGE_RANGE_HOUR;
		kind += 5;
	}

	page_lock(page);
	text =
	    page_history_json(page->history, page->clock, range, kind[0] == '/' ? kind + 1 : NULL);
	(void)pthread_mutex_unlock(&page->lock);
	return page_answer_text(text, response);
}

static int page_answer_charts(const struct page *page, struct http_response *response)
{
	static const char missing[] =
	    "the library that draws charts was not there when this "
	    "program started: install " PAGE_CHARTS_PACKAGE " and start it again\n";

	if (page->charts == NULL) {
		response->status = STATUS_NOT_FOUND;
		response->body = missing;
		response->body_size = sizeof(missing) - 1;
		return 0;
	}
	response->content_type = TYPE_SCRIPT;
	response->body = page->charts;
	response->body_size = page->charts_size;
	return 0;
}

int page_answer(struct page *page, const char *path, struct http_response *response)
{
	for (size_t i = 0; i < sizeof(page_files) / sizeof(page_files[0]); i++) {
		if (strcmp(page_files[i].path, path) != 0)
			continue;
		response->content_type = page_files[i].type;
		response->body = page_files[i].body;
		response->body_size = *page_files[i].size;
		return 0;
	}
	if (strcmp(path, "/page/charts.js") == 0)
		return page_answer_charts(page, response);
	if (strncmp(path, PAGE_HISTORY_PATH, strlen(PAGE_HISTORY_PATH)) == 0)
		return page_answer_history(page, path, response);
	return -ENOENT;
}
