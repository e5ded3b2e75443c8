#include "guest/outputs.h"
#include "common/cleanup.h"
#include "common/metrics.h"
#include "guest/output_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct outputs_entry {
	struct output *output;
	struct mono_time due;
	uint64_t wall_ns; /* of the last view */
};

struct outputs {
	char host[OUTPUTS_HOST_SIZE];
	struct output_credentials *credentials;
	bool exposed;
	size_t count;
	struct outputs_entry entries[OUTPUTS_MAX];
};

static const struct metrics_family outputs_up = {
    "wattport_output_up", METRICS_GAUGE, NULL,
    "1 when the output delivered its last rows, 0 when it could not; absent before the first."};
static const struct metrics_family outputs_queued = {
    "wattport_output_queued", METRICS_GAUGE, NULL,
    "Rows that wait for the output to deliver them."};
static const struct metrics_family outputs_dropped = {
    "wattport_output_dropped", METRICS_COUNTER, NULL,
    "Rows that the output will never deliver: there was no room for them to wait, or the server "
    "refused them."};

/* Two threads that write to one place would write through each other. */
static int outputs_check_place(const struct outputs *outputs, const struct output *output,
			       struct diag *diag)
{
	const struct output_spec *spec = output_spec(output);

	for (size_t i = 0; i < outputs->count; i++) {
		const struct output_spec *other = output_spec(outputs->entries[i].output);

		if (other->kind == spec->kind && strcmp(other->target, spec->target) == 0)
			return diag_error(diag, -EEXIST, "%s and %s go to the same place",
					  other->text, spec->text);
	}
	return 0;
}

static int outputs_open(struct outputs *outputs, const struct outputs_options *options,
			struct diag *diag)
{
	struct output_options one = {
	    .period_ns = options->period_ns,
	    .buffer_size = options->buffer_size,
	    .timeout_ms = options->timeout_ms,
	    .ca_file = options->ca_file,
	};
	int status = 0;

	if (options->credentials_file != NULL)
		status = output_credentials_read(options->credentials_file, &outputs->credentials,
						 &outputs->exposed, diag);
	one.credentials = outputs->credentials;
	for (size_t i = 0; status == 0 && i < options->count; i++) {
		one.spec = options->specs[i];
		status = output_create(&one, &outputs->entries[i].output, diag);
		if (status == 0)
			status = outputs_check_place(outputs, outputs->entries[i].output, diag);
		outputs->count += outputs->entries[i].output != NULL;
	}
	return status;
}

int outputs_create(const struct outputs_options *options, struct outputs **ret_outputs,
		   struct diag *diag)
{
	struct outputs *outputs = calloc(1, sizeof(*outputs));
	int status;

	if (outputs == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	if (options->host != NULL)
		(void)snprintf(outputs->host, sizeof(outputs->host), "%s", options->host);
	else if (gethostname(outputs->host, sizeof(outputs->host) - 1) < 0)
		outputs->host[0] = '\0';
	status = outputs_open(outputs, options, diag);
	if (status < 0) {
		outputs_destroy(outputs, clock_real());
		return status;
	}
	*ret_outputs = outputs;
	return 0;
}

int outputs_start(struct outputs *outputs, struct diag *diag)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < outputs->count; i++)
		status = output_start(outputs->entries[i].output, diag);
	return status;
}

void outputs_destroy(struct outputs *outputs, const struct clock *clock)
{
	struct output_deadline drain = {.clock = clock}, end = {.clock = clock};
	struct mono_time now;

	if (outputs == NULL)
		return;
	now = clock_now_mono(clock);
	drain.time.ns = now.ns + OUTPUTS_DRAIN_NS;
	end.time.ns = now.ns + OUTPUTS_END_NS;
	for (size_t i = 0; i < outputs->count; i++)
		output_end(outputs->entries[i].output);
	for (size_t i = 0; i < outputs->count; i++)
		(void)output_await(outputs->entries[i].output, &drain);
	/* Those that have ended do not notice. */
	for (size_t i = 0; i < outputs->count; i++)
		output_cut(outputs->entries[i].output);
	for (size_t i = 0; i < outputs->count; i++)
		output_destroy(outputs->entries[i].output, &end);
	output_credentials_destroy(outputs->credentials);
	free(outputs);
}

size_t outputs_count(const struct outputs *outputs)
{
	return outputs->count;
}

const char *outputs_host(const struct outputs *outputs)
{
	return outputs->host;
}

bool outputs_exposed(const struct outputs *outputs)
{
	return outputs->exposed;
}

uint64_t outputs_due_ns(const struct outputs *outputs, struct mono_time now)
{
	uint64_t least = OUTPUTS_PERIOD_NS_NO;

	for (size_t i = 0; i < outputs->count; i++) {
		uint64_t left = clock_elapsed_ns(now, outputs->entries[i].due);

		if (left < least)
			least = left;
	}
	return least;
}

void outputs_tick(struct outputs *outputs, struct mono_time now, const struct accounts_view *view)
{
	const struct output_tick tick = {.host = outputs->host, .view = view};

	for (size_t i = 0; i < outputs->count; i++) {
		struct outputs_entry *entry = &outputs->entries[i];
		uint64_t period_ns = output_period_ns(entry->output);

		if (entry->due.ns > now.ns)
			continue;
		/* A view is written once, however often it is handed over. */
		if (view->wall_ns != entry->wall_ns)
			output_push(entry->output, &tick);
		entry->wall_ns = view->wall_ns;
		/* Ticks that were missed, in a machine that slept, are not made up for. */
		entry->due.ns += period_ns;
		if (entry->due.ns <= now.ns)
			entry->due.ns = now.ns + period_ns;
	}
}

void outputs_reopen(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->count; i++)
		output_reopen(outputs->entries[i].output);
}

static void outputs_add(struct outputs *outputs, size_t index, struct metrics *metrics,
			struct metrics_value value)
{
	const struct metrics_label label = {"output",
					    output_spec(outputs->entries[index].output)->text};

	metrics_add(metrics, &label, 1, value);
}

void outputs_write_metrics(struct outputs *outputs, struct metrics *metrics)
{
	struct output_state states[OUTPUTS_MAX];

	if (outputs->count == 0)
		return;
	for (size_t i = 0; i < outputs->count; i++)
		output_get_state(outputs->entries[i].output, &states[i]);
	metrics_begin_family(metrics, &outputs_up);
	for (size_t i = 0; i < outputs->count; i++)
		if (states[i].tried)
			outputs_add(outputs, i, metrics, metrics_integer(states[i].up));
	metrics_begin_family(metrics, &outputs_queued);
	for (size_t i = 0; i < outputs->count; i++)
		outputs_add(outputs, i, metrics, metrics_integer(states[i].queued));
	metrics_begin_family(metrics, &outputs_dropped);
	for (size_t i = 0; i < outputs->count; i++)
		outputs_add(outputs, i, metrics, metrics_integer(states[i].dropped));
}
