/*
 * The source that repeats: a trace that was recorded, one line a read (trace.h).
 *
 * It fills the whole sample, VMs and time included. The machine that was recorded is in
 * source->topology; samples are initialised for its CPUs.
 */
#include "common/cleanup.h"
#include "common/energy_source_internal.h"
#include "common/trace.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

#define REPLAY_LINE_SIZE_MIN 4096

struct replay_source {
	struct energy_source base; /* first: the cast in replay_of() relies on it */
	struct trace_head head;
	gzFile file; /* reads what is not compressed as it is */
	size_t line_number;
	char *line;
	size_t line_capacity;
};

static struct replay_source *replay_of(struct energy_source *source)
{
	static_assert(offsetof(struct replay_source, base) == 0, "base comes first");
	return (struct replay_source *)source;
}

static void replay_close(struct energy_source *base)
{
	struct replay_source *source = replay_of(base);

	trace_head_finish(&source->head);
	if (source->file != NULL)
		(void)gzclose_r(source->file);
	free(source->line);
	free(source);
}

static int replay_grow(struct replay_source *source)
{
	size_t capacity = source->line_capacity * 2;
	char *line;

	if (capacity < REPLAY_LINE_SIZE_MIN)
		capacity = REPLAY_LINE_SIZE_MIN;
	if (capacity > TRACE_LINE_SIZE_MAX * 2)
		return -EFBIG;
	line = realloc(source->line, capacity);
	if (line == NULL)
		return -ENOMEM;
	source->line = line;
	source->line_capacity = capacity;
	return 0;
}

/* Why there is nothing more. A compressed file that was cut off has ended for us, too. */
static int replay_end(struct replay_source *source)
{
	int error;

	(void)gzerror(source->file, &error);
	return error == Z_OK || error == Z_STREAM_END || error == Z_BUF_ERROR ? 0 : -EIO;
}

/*
 * The next line that is not empty, without its newline. -ENODATA at the end; -EFBIG for one that
 * cannot be a sample. *ret_whole: it ended in a newline.
 */
static int replay_next_line(struct replay_source *source, size_t *ret_length, bool *ret_whole)
{
	size_t length = 0;
	int c;

	while ((c = gzgetc(source->file)) != EOF) {
		if (c == '\n') {
			source->line_number++;
			if (length > 0)
				break;
			continue;
		}
		if (length == source->line_capacity) {
			int status = replay_grow(source);

			if (status < 0)
				return status;
		}
		source->line[length++] = (char)c;
	}
	if (c == EOF && replay_end(source) < 0)
		return -EIO;
	if (length == 0)
		return -ENODATA;
	if (c == EOF)
		source->line_number++;
	*ret_whole = c != EOF;
	*ret_length = length;
	return 0;
}

static int replay_read_head(struct replay_source *source, const char *path, struct diag *diag)
{
	size_t length;
	bool whole;
	int status = replay_next_line(source, &length, &whole);

	if (status == -ENODATA)
		return diag_error(diag, -EINVAL, "%s is empty; `wattport record` writes a trace",
				  path);
	if (status < 0)
		return diag_error(diag, status, "%s: line %zu: %s", path, source->line_number + 1,
				  strerror(-status));
	status = trace_parse_head(source->line, length, &source->head, diag);
	if (status < 0)
		diag_prefix(diag, "%s: line %zu", path, source->line_number);
	return status;
}

static int replay_open(const struct energy_source_context *context,
		       struct energy_source **ret_source, struct diag *diag)
{
	struct replay_source *source;
	int status;

	if (context->replay_path == NULL)
		return diag_error(diag, -EINVAL, "it needs the path of a trace");
	source = calloc(1, sizeof(*source));
	if (source == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	source->base.ops = &energy_source_replay;
	errno = 0;
	source->file = gzopen(context->replay_path, "re");
	if (source->file == NULL) {
		if (errno == 0)
			errno = ENOMEM;
		status = diag_error(diag, -errno, "cannot open %s: %s", context->replay_path,
				    strerror(errno));
		goto fail;
	}
	status = replay_read_head(source, context->replay_path, diag);
	if (status < 0)
		goto fail;
	source->base.topology = source->head.topology;
	source->base.zone_count = source->head.zone_count;
	memcpy(source->base.zones, source->head.zones, sizeof(source->base.zones));
	*ret_source = &source->base;
	return 0;
fail:
	replay_close(&source->base);
	return status;
}

static bool replay_same_machine(const struct trace_head *a, const struct trace_head *b)
{
	if (a->clock_tick_ns != b->clock_tick_ns || a->zone_count != b->zone_count ||
	    a->topology->cpu_count != b->topology->cpu_count)
		return false;
	for (size_t i = 0; i < a->topology->cpu_count; i++) {
		const struct topology_cpu *x = &a->topology->cpus[i], *y = &b->topology->cpus[i];

		if (x->cpu != y->cpu || x->core != y->core || x->package != y->package ||
		    x->die != y->die)
			return false;
	}
	for (size_t i = 0; i < a->zone_count; i++) {
		const struct zone *x = &a->zones[i], *y = &b->zones[i];

		if (strcmp(x->id, y->id) != 0 || x->kind != y->kind || x->package != y->package ||
		    x->die != y->die || x->range_uj != y->range_uj)
			return false;
	}
	return true;
}

/* Where wattportd was restarted, and where traces were joined, stands a head again. */
static int replay_next_sample(struct replay_source *source, size_t *ret_length, bool *ret_whole,
			      bool *ret_anew)
{
	static const char begin[] = "{\"wattport_trace\":";
	int status;

	*ret_anew = false;
	while ((status = replay_next_line(source, ret_length, ret_whole)) == 0) {
		cleanup_trace_head struct trace_head head = {.topology = NULL};

		if (*ret_length < strlen(begin) || memcmp(source->line, begin, strlen(begin)) != 0)
			return 0;
		/* Cut off: it is told below, as any line is that is no sample. */
		if (trace_parse_head(source->line, *ret_length, &head, NULL) < 0)
			return 0;
		if (!replay_same_machine(&source->head, &head))
			return diag_error(&source->base.notes, -ESTALE,
					  "line %zu: here begins the trace of another machine, or "
					  "of other zones: replay it by itself",
					  source->line_number);
		*ret_anew = true;
	}
	return status;
}

static int replay_read(struct energy_source *base, struct sample *sample)
{
	struct replay_source *source = replay_of(base);
	size_t length;
	bool whole, anew;
	int status = replay_next_sample(source, &length, &whole, &anew);

	if (status == -ENODATA || status == -ESTALE)
		return status;
	if (status < 0)
		return diag_error(&base->notes, status, "line %zu: %s", source->line_number + 1,
				  strerror(-status));
	status = trace_parse_sample(source->line, length, &source->head, sample, &base->notes);
	sample->anew = anew;
	if (status == 0)
		return 0;
	diag_prefix(&base->notes, "line %zu", source->line_number);
	/* A recording that was cut off in the middle of a line ends before it. */
	if (!whole && status == -EINVAL) {
		diag_append(&base->notes, "it is the last and has no newline: left out");
		return -ENODATA;
	}
	return status;
}

const struct energy_source_ops energy_source_replay = {
    .name = "replay",
    .estimate = false,
    .automatic = false,
    .open = replay_open,
    .close = replay_close,
    .read = replay_read,
};
