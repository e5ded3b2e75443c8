#include "common/top.h"
#include "common/cleanup.h"
#include "common/top_screen.h"
#include "common/top_terminal.h"
#include "common/utf8.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define TOP_WIDTH_DEFAULT 80
#define TOP_ONCE_NS_MAX	  (3 * CLOCK_NS_PER_SECOND) /* for a second sample */

/* All that one run of `top` knows. */
struct top {
	const struct top_source *source;
	const struct top_options *options;
	struct top_frame frame; /* what is shown */
	struct top_frame next;
	struct top_history history;
	struct top_view view;
};

static void top_finish(struct top *top)
{
	top_frame_finish(&top->frame);
	top_frame_finish(&top->next);
	top_view_finish(&top->view);
	free(top);
}

static inline void cleanup_top_value(struct top *const *top)
{
	if (*top != NULL)
		top_finish(*top);
}
#define cleanup_top __attribute__((cleanup(cleanup_top_value)))

static struct mono_time top_now(const struct top *top)
{
	return clock_now_mono(top->source->clock);
}

/* While it is paused measuring goes on, since counters wrap; only nothing of it is shown. */
static int top_take(struct top *top)
{
	int status;

	top_frame_clear(&top->next);
	status = top->source->take(top->source->context, &top->next);
	if (status == 0 && !top->view.paused) {
		const struct top_frame before = top->frame;

		top->frame = top->next;
		top->next = before;
		top_history_add(&top->history, &top->frame);
	}
	return status;
}

static void top_sleep(uint64_t duration_ns)
{
	const struct timespec time = {.tv_sec = (time_t)(duration_ns / CLOCK_NS_PER_SECOND),
				      .tv_nsec = (long)(duration_ns % CLOCK_NS_PER_SECOND)};

	(void)ppoll(NULL, 0, &time, NULL);
}

/* Of two samples, so that it is known which power is idle; where none comes, of one. */
static int top_take_two(struct top *top)
{
	const struct mono_time begin = top_now(top);
	int status = top_take(top);

	while (status == 0 && top->frame.fresh && top->history.frames < 2 &&
	       clock_elapsed_ns(begin, top_now(top)) < TOP_ONCE_NS_MAX) {
		top_sleep(top->source->step_ns);
		status = top_take(top);
	}
	return status;
}

static bool top_is_unicode(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static struct top_scene top_scene_of(struct top *top, bool interactive)
{
	return (struct top_scene){
	    .program = top->source->program,
	    .frame = &top->frame,
	    .history = &top->history,
	    .view = &top->view,
	    /* Old figures move away from the end of the picture. */
	    .now = top->frame.fresh ? top->history.last : top_now(top),
	    .interactive = interactive,
	};
}

/* The page that --kind names. */
static int top_choose_page(struct top *top, struct diag *diag)
{
	const struct top_frame *frame = &top->frame;

	if (top->options->kind == NULL || frame->page_count == 0)
		return 0;
	for (size_t i = 0; i < frame->page_count; i++) {
		if (strcmp(frame->pages[i].title, top->options->kind) == 0) {
			top->view.page = i;
			return 0;
		}
	}
	(void)diag_error(diag, -EINVAL, "there is no kind %s here; there are:", top->options->kind);
	for (size_t i = 0; i < frame->page_count; i++)
		diag_append(diag, "%s", frame->pages[i].title);
	return -EINVAL;
}

static int top_print(struct top *top)
{
	struct top_scene scene = top_scene_of(top, false);
	cleanup_top_canvas struct top_canvas canvas = {.cells = NULL};
	size_t width = top->options->width, height = top->options->height;
	int status = 0;

	if (width == 0)
		width = TOP_WIDTH_DEFAULT;
	scene.whole = height == 0;
	if (scene.whole)
		status = top_screen_full_height(&scene, width, &height);
	if (status == 0)
		status = top_canvas_init(&canvas, width, height, top_is_unicode());
	if (status == 0)
		status = top_screen_draw(&scene, &canvas);
	if (status == 0)
		status = top_canvas_print(&canvas, stdout);
	/* What is printed may stand in a buffer until now: only flushing tells if it arrived. */
	if (status == 0 && fflush(stdout) != 0)
		status = -errno;
	return status;
}

static int top_once(struct top *top, struct diag *diag)
{
	int status = top_take_two(top);

	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = top_choose_page(top, diag);
	if (status < 0)
		return status;
	status = top_print(top);
	if (status < 0)
		return diag_error(diag, status, "cannot print: %s", strerror(-status));
	if (!top->frame.fresh)
		return diag_error(diag, -EAGAIN, "%s", top->frame.notice.text);
	return 0;
}

static int top_paint(struct top *top, struct top_terminal *terminal)
{
	const struct top_scene scene = top_scene_of(top, true);
	cleanup_top_canvas struct top_canvas canvas = {.cells = NULL};
	size_t width, height;
	int status;

	top_terminal_size(terminal, &width, &height);
	status = top_canvas_init(&canvas, width, height, top_is_unicode());
	if (status == 0 && height > 0 && width > 0)
		status = top_screen_draw(&scene, &canvas);
	if (status == 0)
		top_terminal_paint(terminal, &canvas);
	return status;
}

/* How long until the next frame is due. */
static uint64_t top_left_ns(const struct top *top, struct mono_time taken)
{
	const uint64_t elapsed_ns = clock_elapsed_ns(taken, top_now(top));

	return elapsed_ns < top->options->period_ns ? top->options->period_ns - elapsed_ns : 0;
}

/* Until a person quits or something ends it, of which `ret_event` tells. */
static int top_loop(struct top *top, struct top_terminal *terminal, struct top_event *ret_event)
{
	struct mono_time taken = top_now(top);

	for (;;) {
		int status = top_paint(top, terminal);

		if (status < 0)
			return status;
		top_terminal_wait(terminal, top_left_ns(top, taken), ret_event);
		if (ret_event->kind == TOP_EVENT_END)
			return 0;
		if (ret_event->kind == TOP_EVENT_KEY &&
		    top_view_key(&top->view, &top->frame, ret_event->key) == TOP_QUIT)
			return 0;
		if (top_left_ns(top, taken) > 0)
			continue;
		taken = top_now(top);
		status = top_take(top);
		if (status < 0)
			return status;
	}
}

static int top_watch(struct top *top, struct diag *diag)
{
	struct top_terminal *terminal = NULL;
	struct top_event event = {.kind = TOP_EVENT_NONE};
	int status = top_take(top);

	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = top_choose_page(top, diag);
	if (status < 0)
		return status;
	status = top_terminal_open(&terminal, diag);
	if (status < 0)
		return status;
	status = top_loop(top, terminal, &event);
	top_terminal_close(terminal);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	/* Whoever waits for us is told what ended us, as if nothing had been in between. */
	if (event.kind == TOP_EVENT_END && event.signal != 0)
		(void)raise(event.signal);
	return 0;
}

int top_run(const struct top_source *source, const struct top_options *options, struct diag *diag)
{
	cleanup_top struct top *top = calloc(1, sizeof(*top));

	if (top == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	top->source = source;
	top->options = options;
	top->view.sort = options->sort;
	top->view.watt_hours = options->watt_hours;
	utf8_copy(top->view.filter, sizeof(top->view.filter), options->filter);
	return options->once ? top_once(top, diag) : top_watch(top, diag);
}
