/*
 * Standard output, a file, or a named pipe.
 *
 * It is opened by the unprivileged user that the service has become, so that it can be opened again
 * as often as logs are rotated. A pipe is opened without waiting for a reader (fifo(7): ENXIO
 * then). What was written of a line when the disk became full is completed when there is room
 * again; in a new file or to a new reader the line is written from its start.
 */
#include "common/cleanup.h"
#include "guest/output_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_STREAM_BATCH ((size_t)256 << 10)

struct output_stream {
	struct output_sink sink;
	int fd; /* -1: to be opened */
	bool regular;
	const char *head; /* what is left of the first line, or of the end of a torn one; or NULL */
};

static int output_stream_open(const struct output_sink_options *options,
			      struct output_sink **ret_sink, struct diag *diag)
{
	struct output_stream *stream = calloc(1, sizeof(*stream));
	struct stat status;

	if (stream == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	stream->sink = (struct output_sink){.ops = &output_sink_stream, .options = *options};
	stream->fd = -1;
	if (options->spec->kind == OUTPUT_STDOUT) {
		stream->fd = STDOUT_FILENO;
		stream->regular = fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode);
		stream->head = options->spec->format->header;
	}
	*ret_sink = &stream->sink;
	return 0;
}

static void output_stream_shut(struct output_stream *stream)
{
	if (stream->fd >= 0 && stream->fd != STDOUT_FILENO)
		(void)close(stream->fd);
	stream->fd = -1;
}

static void output_stream_close(struct output_sink *sink)
{
	struct output_stream *stream = (struct output_stream *)sink;

	output_stream_shut(stream);
	free(stream);
}

static void output_stream_reopen(struct output_sink *sink)
{
	struct output_stream *stream = (struct output_stream *)sink;

	if (stream->fd != STDOUT_FILENO)
		output_stream_shut(stream);
}

/* Whether a file ends in the midst of a line: whoever wrote it last was killed while its disk was
 * full. */
static bool output_stream_is_torn(const char *path, off_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char last = '\n';

	return fd >= 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int output_stream_connect(struct output_stream *stream, struct diag *diag)
{
	const struct output_spec *spec = stream->sink.options.spec;
	struct stat status;

	stream->fd = open(spec->target,
			  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (stream->fd < 0 && errno == ENXIO)
		return diag_error(diag, -ENXIO, "nobody reads the pipe");
	if (stream->fd < 0 && (errno == EACCES || errno == EROFS))
		return diag_error(
		    diag, -errno,
		    "cannot open %s: %s; user %u opens it: give it the directory or the "
		    "file, and name the directory in the unit's ReadWritePaths=",
		    spec->target, strerror(errno), geteuid());
	if (stream->fd < 0 || fstat(stream->fd, &status) < 0)
		return diag_error(diag, -errno, "cannot open %s: %s", spec->target,
				  strerror(errno));
	stream->regular = S_ISREG(status.st_mode);
	stream->head = NULL;
	if (!stream->regular || status.st_size == 0)
		stream->head = spec->format->header;
	else if (output_stream_is_torn(spec->target, status.st_size))
		stream->head = "\n";
	return 0;
}

/* Waits until there is room: 0, -ETIMEDOUT, -ECANCELED. */
static int output_stream_wait(const struct output_stream *stream)
{
	const struct output_sink_options *options = &stream->sink.options;
	struct pollfd waits[] = {{.fd = stream->fd, .events = POLLOUT},
				 {.fd = options->stop_fd, .events = POLLIN}};
	int count = poll(waits, 2, (int)options->timeout_ms);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	if (count == 0)
		return -ETIMEDOUT;
	return waits[0].revents != 0 ? 0 : -ECANCELED;
}

/*
 * So much that a write(2) to a pipe that has room cannot wait for its reader (pipe(7): PIPE_BUF
 * bytes go at once or not at all), also where it is not ours to make non-blocking: whole lines
 * where they fit.
 */
static size_t output_stream_piece(const struct output_stream *stream, const char *text, size_t size)
{
	const char *end;

	if (stream->regular || size <= PIPE_BUF)
		return size;
	end = memrchr(text, '\n', PIPE_BUF);
	return end != NULL ? (size_t)(end - text) + 1 : PIPE_BUF;
}

/* How many bytes went out, or -errno. */
static ssize_t output_stream_write(const struct output_stream *stream, const char *text,
				   size_t size)
{
	int status = output_stream_wait(stream);
	ssize_t written;

	if (status < 0)
		return status;
	written = write(stream->fd, text, output_stream_piece(stream, text, size));
	if (written < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	return written;
}

static enum output_outcome output_stream_fail(struct output_stream *stream, int error,
					      struct diag *diag)
{
	const struct output_spec *spec = stream->sink.options.spec;

	switch (error) {
	case -EPIPE:
		output_stream_shut(stream);
		(void)diag_error(diag, error, "nobody reads any more");
		return spec->kind == OUTPUT_STDOUT ? OUTPUT_ENDED : OUTPUT_LATER;
	case -ETIMEDOUT:
		(void)diag_error(diag, error, "its reader takes nothing");
		return OUTPUT_LATER;
	case -ENOSPC:
	case -EDQUOT:
		(void)diag_error(diag, error, "%s: make room for it", strerror(-error));
		return OUTPUT_LATER;
	default:
		(void)diag_error(diag, error, "cannot write: %s", strerror(-error));
		return OUTPUT_LATER;
	}
}

static enum output_outcome output_stream_send(struct output_sink *sink,
					      const struct output_batch *batch, size_t *progress,
					      struct diag *diag)
{
	struct output_stream *stream = (struct output_stream *)sink;

	if (stream->fd < 0) {
		if (output_stream_connect(stream, diag) < 0)
			return OUTPUT_LATER;
		*progress = output_line_start(batch, *progress);
	}
	while (stream->head != NULL) {
		ssize_t written = output_stream_write(stream, stream->head, strlen(stream->head));

		if (written < 0)
			return output_stream_fail(stream, (int)written, diag);
		stream->head += written;
		if (*stream->head == '\0')
			stream->head = NULL;
	}
	while (*progress < batch->size) {
		ssize_t written =
		    output_stream_write(stream, batch->text + *progress, batch->size - *progress);

		if (written < 0)
			return output_stream_fail(stream, (int)written, diag);
		*progress += (size_t)written;
	}
	return OUTPUT_SENT;
}

const struct output_sink_ops output_sink_stream = {
    .batch_size_max = OUTPUT_STREAM_BATCH,
    .open = output_stream_open,
    .close = output_stream_close,
    .send = output_stream_send,
    .reopen = output_stream_reopen,
};
