/* outputs.h: how it ends: all outputs side by side, and within one limit, whatever their sinks do.
 */
#include "common/cleanup.h"
#include "guest/outputs.h"
#include "tests/unit/check.h"
#include "tests/unit/output_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_SIZE 512

/* What befell the sinks, in order: " good:sent good:closed". */
static struct {
	pthread_mutex_t lock;
	char text[TEXT_SIZE];
	sem_t tried;
	sem_t release;			   /* of the sink that hears nothing */
	const atomic_bool *stop_of_silent; /* a part of what is left behind, and no leak */
} events = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(const struct output_sink *sink, const char *what)
{
	size_t used;

	(void)pthread_mutex_lock(&events.lock);
	used = strlen(events.text);
	(void)snprintf(events.text + used, sizeof(events.text) - used, " %s:%s",
		       sink->options.spec->target + 1, what);
	(void)pthread_mutex_unlock(&events.lock);
}

static size_t place_of(const char *event)
{
	const char *place = strstr(events.text, event);

	CHECK_POINTER(place);
	return (size_t)(place - events.text);
}

static enum output_outcome send_batch(struct output_sink *sink, const struct output_batch *batch,
				      size_t *progress, struct diag *diag)
{
	struct pollfd stop = {.fd = sink->options.stop_fd, .events = POLLIN};
	const char *name = sink->options.spec->target + 1;

	note(sink, "tried");
	(void)sem_post(&events.tried);
	if (strncmp(name, "hung", 4) == 0) {
		(void)poll(&stop, 1, -1);
		note(sink, "cut");
		(void)diag_error(diag, -ECANCELED, "cut short");
		return OUTPUT_LATER;
	}
	if (strcmp(name, "silent") == 0)
		(void)sem_wait(&events.release);
	*progress = batch->size;
	return OUTPUT_SENT;
}

static void close_sink(struct output_sink *sink)
{
	note(sink, "closed");
	free(sink);
}

int __wrap_output_sink_open(const struct output_sink_options *options,
			    struct output_sink **ret_sink, struct diag *diag);
int __wrap_output_sink_open(const struct output_sink_options *options,
			    struct output_sink **ret_sink, struct diag *diag)
{
	static const struct output_sink_ops ops = {
	    .batch_size_max = 1 << 20, .send = send_batch, .close = close_sink};
	struct output_sink *sink = calloc(1, sizeof(*sink));

	(void)diag;
	CHECK_POINTER(sink);
	*sink = (struct output_sink){.ops = &ops, .options = *options};
	if (strcmp(options->spec->target, "/silent") == 0)
		events.stop_of_silent = options->stop;
	*ret_sink = sink;
	return 0;
}

/* One tick of each, which all of them have tried to send when it returns. */
static struct outputs *start(const char *const specs[], size_t count)
{
	struct outputs_options options = {.count = count,
					  .period_ns = CLOCK_NS_PER_SECOND,
					  .buffer_size = 1 << 20,
					  .timeout_ms = 60000,
					  .host = OUTPUT_FIXTURE_HOST};
	struct diag diag = DIAG_INIT;
	struct outputs *outputs = NULL;

	events.text[0] = '\0';
	assert_int_equal(sem_init(&events.tried, 0, 0), 0);
	assert_int_equal(sem_init(&events.release, 0, 0), 0);
	for (size_t i = 0; i < count; i++)
		options.specs[i] = specs[i];
	if (outputs_create(&options, &outputs, &diag) < 0 || outputs_start(outputs, &diag) < 0)
		fail_msg("%s", diag.text);
	outputs_tick(outputs, clock_now_mono(clock_real()), output_fixture_view());
	for (size_t i = 0; i < count; i++)
		assert_int_equal(sem_wait(&events.tried), 0);
	return outputs;
}

static void test_those_that_deliver_end_at_once(void **state)
{
	static const char *const specs[] = {"json:/first", "json:/second"};

	(void)state;
	outputs_destroy(start(specs, CHECK_COUNT(specs)), clock_real());
	assert_true(place_of("first:tried") < place_of("first:closed"));
	assert_true(place_of("second:tried") < place_of("second:closed"));
	assert_null(strstr(events.text, "cut"));
}

/*
 * The first hears nothing, not even that it is to stop, and is left behind; the others do, and are
 * cut short and closed. None of them waits for what comes before it in the list.
 */
static void test_one_that_hangs_costs_the_others_nothing(void **state)
{
	static const char *const specs[] = {"json:/silent", "json:/hung1", "json:/hung2",
					    "json:/good"};
	static const char *const closed[] = {"hung1:closed", "hung2:closed", "good:closed"};

	(void)state;
	outputs_destroy(start(specs, CHECK_COUNT(specs)), clock_real());
	for (size_t i = 0; i < CHECK_COUNT(closed); i++) {
		assert_true(place_of("hung1:cut") < place_of(closed[i]));
		assert_true(place_of("hung2:cut") < place_of(closed[i]));
	}
	assert_null(strstr(events.text, "silent:closed"));
	assert_true(atomic_load(events.stop_of_silent));
	(void)sem_post(&events.release);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_those_that_deliver_end_at_once),
	    cmocka_unit_test(test_one_that_hangs_costs_the_others_nothing),
	};

	return cmocka_run_group_tests_name("outputs", tests, NULL, NULL);
}
