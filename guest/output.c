#include "guest/output.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

/* Of an outage: reasons that come in turns are told so often. */
#define OUTPUT_REASONS_MAX 5

struct output {
	struct output_spec spec;
	uint64_t period_ns;
	struct output_sink *sink;
	int work_fd;	/* eventfd(2): a batch waits */
	int control_fd; /* eventfd(2): ending or reopen */
	int stop_fd;	/* eventfd(2): with `stop`, never read */
	int done_fd;	/* eventfd(2): the thread has ended, never read */
	atomic_bool stop;
	bool started;
	pthread_t thread;

	pthread_mutex_t lock; /* of the rest; never held while the sink works */
	struct output_queue queue;
	struct output_state state;
	uint64_t sending; /* rows of the batch that the thread has */
	bool ending;
	bool reopen;
	bool ended; /* the sink takes nothing ever again */

	bool told_large; /* the main thread's own */

	/* The thread's own. */
	bool down;
	bool refusing;
	unsigned int reasons;	 /* of this outage, told */
	struct diag reason;	 /* the last of them */
	uint64_t dropped_before; /* state.dropped when this outage or row of refusals began */
};

static void output_lock(struct output *output)
{
	int status = pthread_mutex_lock(&output->lock);

	assert(status == 0);
	(void)status;
}

static void output_unlock(struct output *output)
{
	(void)pthread_mutex_unlock(&output->lock);
}

static void output_ring(int fd)
{
	const uint64_t one = 1;

	/* It can only fail for being rung already. */
	(void)!write(fd, &one, sizeof(one));
}

static void output_hush(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

static void output_free(struct output *output)
{
	const int fds[] = {output->work_fd, output->control_fd, output->stop_fd, output->done_fd};

	output_sink_close(output->sink);
	output_queue_finish(&output->queue);
	(void)pthread_mutex_destroy(&output->lock);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	free(output);
}

static int output_open_sink(struct output *output, const struct output_options *options,
			    struct diag *diag)
{
	const struct output_sink_options sink_options = {
	    .spec = &output->spec,
	    .credentials = options->credentials,
	    .ca_file = options->ca_file,
	    .timeout_ms = options->timeout_ms,
	    .stop_fd = output->stop_fd,
	    .stop = &output->stop,
	};
	int status;

	if (output->work_fd < 0 || output->control_fd < 0 || output->stop_fd < 0 ||
	    output->done_fd < 0)
		return diag_error(diag, -EMFILE, "no descriptors are left");
	status = output_sink_open(&sink_options, &output->sink, diag);
	if (status < 0)
		diag_prefix(diag, "%s", output->spec.text);
	return status;
}

int output_create(const struct output_options *options, struct output **ret_output,
		  struct diag *diag)
{
	struct output *output = calloc(1, sizeof(*output));
	int status;

	if (output == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	output->work_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	output->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	output->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	output->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)pthread_mutex_init(&output->lock, NULL);
	output_queue_init(&output->queue, options->buffer_size);
	status = output_spec_parse(options->spec, &output->spec, diag);
	if (status == 0)
		status = output_open_sink(output, options, diag);
	if (status < 0) {
		output_free(output);
		return status;
	}
	output->period_ns =
	    output->spec.period_ns > 0 ? output->spec.period_ns : options->period_ns;
	*ret_output = output;
	return 0;
}

/* Waits for `fd` or for control; timeout_ms < 0: as long as it takes. */
static void output_wait(const struct output *output, int fd, int timeout_ms)
{
	struct pollfd waits[] = {{.fd = output->control_fd, .events = POLLIN},
				 {.fd = fd, .events = POLLIN}};

	(void)poll(waits, 2, timeout_ms);
	output_hush(output->control_fd);
	if (fd >= 0)
		output_hush(fd);
}

/* Takes what waits, and what was asked; false: the thread is to end, with what still waits. */
static bool output_next(struct output *output, struct output_batch *ret_batch)
{
	for (;;) {
		bool found, ending, reopen;

		output_lock(output);
		found =
		    !atomic_load(&output->stop) &&
		    output_queue_take(&output->queue, output->sink->ops->batch_size_max, ret_batch);
		output->sending = found ? ret_batch->rows : 0;
		ending = output->ending;
		reopen = output->reopen;
		output->reopen = false;
		output_unlock(output);
		if (reopen && output->sink->ops->reopen != NULL)
			output->sink->ops->reopen(output->sink);
		if (found)
			return true;
		if (ending)
			return false;
		output_wait(output, output->work_fd, -1);
	}
}

static void output_set_up(struct output *output, bool up)
{
	output_lock(output);
	output->state.tried = true;
	output->state.up = up;
	output_unlock(output);
}

static uint64_t output_dropped(struct output *output, uint64_t more)
{
	uint64_t dropped;

	output_lock(output);
	output->state.dropped += more;
	dropped = output->state.dropped;
	output_unlock(output);
	return dropped;
}

/* Whether a person would learn something new: figures in a message (times, codes) do not count. */
static bool output_is_same(const char *first, const char *second)
{
	static const char digits[] = "0123456789";

	for (;;) {
		first += strspn(first, digits);
		second += strspn(second, digits);
		if (*first != *second)
			return false;
		if (*first == '\0')
			return true;
		first++;
		second++;
	}
}

/* Told when it begins and when it ends, however often it was tried in between; and what is wrong
 * now where that is something else than before. */
static void output_tell_down(struct output *output, const struct diag *why)
{
	output_set_up(output, false);
	if (!output->down) {
		output->down = true;
		output->reasons = 0;
		output->reason.text[0] = '\0';
		output->dropped_before = output_dropped(output, 0);
	}
	if (output->reasons == OUTPUT_REASONS_MAX || output_is_same(output->reason.text, why->text))
		return;
	output->reasons++;
	output->reason = *why;
	log_warning("output %s: %s; keeping up to %zu KiB until it is back", output->spec.text,
		    why->text, output->queue.size_max / 1024);
}

static void output_tell_up(struct output *output)
{
	uint64_t dropped;

	output_set_up(output, true);
	if (!output->down && !output->refusing)
		return;
	dropped = output_dropped(output, 0) - output->dropped_before;
	output->down = output->refusing = false;
	log_info("output %s: works again; %" PRIu64 " rows were dropped meanwhile",
		 output->spec.text, dropped);
}

static void output_tell_refused(struct output *output, const struct diag *why, uint64_t rows)
{
	uint64_t dropped = output_dropped(output, rows);

	output_set_up(output, false);
	if (!output->refusing)
		log_warning("output %s: %s; %" PRIu64 " rows are dropped, and so will be all that "
			    "is refused until something is accepted again",
			    output->spec.text, why->text, rows);
	if (!output->refusing && !output->down)
		output->dropped_before = dropped - rows;
	output->refusing = true;
}

static void output_tell_ended(struct output *output, const struct diag *why, uint64_t rows)
{
	output_set_up(output, false);
	(void)output_dropped(output, rows);
	output_lock(output);
	output->ended = true;
	output->state.dropped += output->queue.rows;
	output_queue_finish(&output->queue);
	output_queue_init(&output->queue, output->queue.size_max);
	output_unlock(output);
	log_warning("output %s: %s; it ends here", output->spec.text, why->text);
}

/* The pause behind a failure; false: this was the last try. */
static bool output_pause(struct output *output, int *pause_ms)
{
	bool ending, reopen;

	output_lock(output);
	ending = output->ending;
	output_unlock(output);
	if (ending)
		return false;
	output_wait(output, -1, *pause_ms);
	*pause_ms = *pause_ms > OUTPUT_PAUSE_MS_MAX / 2 ? OUTPUT_PAUSE_MS_MAX : *pause_ms * 2;
	output_lock(output);
	reopen = output->reopen;
	output->reopen = false;
	output_unlock(output);
	if (reopen && output->sink->ops->reopen != NULL)
		output->sink->ops->reopen(output->sink);
	return true;
}

/* Until it is sent, refused, or there is no more time. */
static void output_deliver(struct output *output, const struct output_batch *batch)
{
	size_t progress = 0;
	int pause_ms = OUTPUT_PAUSE_MS_MIN;

	for (;;) {
		struct diag why = DIAG_INIT;

		switch (output->sink->ops->send(output->sink, batch, &progress, &why)) {
		case OUTPUT_SENT:
			output_tell_up(output);
			return;
		case OUTPUT_REFUSED:
			output_tell_refused(output, &why, batch->rows);
			return;
		case OUTPUT_ENDED:
			output_tell_ended(output, &why, batch->rows);
			return;
		case OUTPUT_LATER:
			output_tell_down(output, &why);
			break;
		}
		if (!output_pause(output, &pause_ms)) {
			(void)output_dropped(output, batch->rows);
			return;
		}
	}
}

static void *output_run(void *context)
{
	struct output *output = context;
	struct output_batch batch;

	(void)prctl(PR_SET_NAME, "output");
	while (output_next(output, &batch)) {
		output_deliver(output, &batch);
		free(batch.text);
	}
	output_ring(output->done_fd);
	return NULL;
}

int output_start(struct output *output, struct diag *diag)
{
	int status = -pthread_create(&output->thread, NULL, output_run, output);

	if (status < 0)
		return diag_error(diag, status, "%s: cannot start its thread: %s",
				  output->spec.text, strerror(-status));
	output->started = true;
	return 0;
}

void output_end(struct output *output)
{
	output_lock(output);
	output->ending = true;
	output_unlock(output);
	output_ring(output->control_fd);
}

/* By a clock that nobody sets, as that of pthread_timedjoin_np(3) is set. */
bool output_await(const struct output *output, const struct output_deadline *deadline)
{
	struct pollfd done = {.fd = output->done_fd, .events = POLLIN};

	if (!output->started)
		return true;
	for (;;) {
		uint64_t left_ns =
		    clock_elapsed_ns(clock_now_mono(deadline->clock), deadline->time);
		uint64_t left_ms = (left_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
		int count = poll(&done, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);

		if (count > 0)
			return true;
		if (count == 0 && left_ns == 0)
			return false;
	}
}

void output_cut(struct output *output)
{
	atomic_store(&output->stop, true);
	output_ring(output->stop_fd);
}

void output_destroy(struct output *output, const struct output_deadline *deadline)
{
	bool ended = output_await(output, deadline);
	struct output_state state;

	output_get_state(output, &state);
	if (output->started && (state.dropped > 0 || state.queued > 0))
		log_warning("output %s: %" PRIu64 " rows were not delivered", output->spec.text,
			    state.dropped + state.queued);
	if (!ended) {
		log_warning("output %s: hangs, and is left behind", output->spec.text);
		(void)pthread_detach(output->thread);
		return;
	}
	if (output->started)
		(void)pthread_join(output->thread, NULL);
	output_free(output);
}

const struct output_spec *output_spec(const struct output *output)
{
	return &output->spec;
}

uint64_t output_period_ns(const struct output *output)
{
	return output->period_ns;
}

static uint64_t output_count_rows(const char *text, size_t size)
{
	uint64_t rows = 0;

	for (const char *end = text; (end = memchr(end, '\n', size - (size_t)(end - text))) != NULL;
	     end++)
		rows++;
	return rows;
}

void output_push(struct output *output, const struct output_tick *tick)
{
	struct output_batch batch = {.text = NULL};
	FILE *stream = open_memstream(&batch.text, &batch.size);
	bool failed = stream == NULL, large = false;

	if (stream != NULL) {
		output->spec.format->write(stream, tick);
		failed = ferror(stream) != 0;
		if (fclose(stream) != 0)
			failed = true;
	}
	output_lock(output);
	if (failed) {
		/* Without memory it cannot be told how many; one that is missing is one too many.
		 */
		output->state.dropped++;
		free(batch.text);
	} else {
		batch.rows = output_count_rows(batch.text, batch.size);
		large = batch.size > output->queue.size_max;
		if (output->ended) {
			output->state.dropped += batch.rows;
			free(batch.text);
		} else {
			output->state.dropped += output_queue_push(&output->queue, batch);
		}
	}
	output_unlock(output);
	output_ring(output->work_fd);
	/* Nothing was tried then, so nobody else tells it. */
	if (large && !output->told_large) {
		output->told_large = true;
		log_warning("output %s: what one tick writes, %zu KiB, does not fit into "
			    "output.buffer and is dropped: make that larger",
			    output->spec.text, batch.size / 1024);
	}
}

void output_reopen(struct output *output)
{
	output_lock(output);
	output->reopen = true;
	output_unlock(output);
	output_ring(output->control_fd);
}

void output_get_state(struct output *output, struct output_state *ret_state)
{
	output_lock(output);
	*ret_state = output->state;
	ret_state->queued = output->queue.rows + output->sending;
	output_unlock(output);
}
