#include "host/trace_file.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Or zlib's input could be written to, by its type. */
#define ZLIB_CONST
#include <zlib.h>

/* zlib's largest window, and 16 for gzip's frame: deflateInit2() in zlib.h. */
#define TRACE_FILE_WINDOW (15 + 16)
#define TRACE_FILE_MEMORY 8

struct trace_file {
	const char *path; /* the caller's */
	int fd;
	bool gzip;
	off_t size; /* of what is whole */
	char *text; /* gathered, for gzip */
	size_t length;
	size_t capacity;
	struct mono_time gathered; /* since when; 0: nothing yet */
};

static bool trace_file_is_gzip(const char *path)
{
	static const char suffix[] = ".gz";
	size_t length = strlen(path);

	return length > strlen(suffix) && strcmp(path + length - strlen(suffix), suffix) == 0;
}

int trace_file_create(const char *path, struct trace_file **ret_file, struct diag *diag)
{
	struct trace_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	file->path = path;
	file->gzip = trace_file_is_gzip(path);
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		int status = diag_error(diag, -errno, "cannot write %s: %s", path, strerror(errno));

		free(file);
		return status;
	}
	*ret_file = file;
	return 0;
}

void trace_file_close(struct trace_file *file)
{
	if (file == NULL)
		return;
	(void)close(file->fd);
	free(file->text);
	free(file);
}

static int trace_file_write(struct trace_file *file, const void *data, size_t length,
			    struct diag *diag)
{
	int status = file_write_all(file->fd, data, length);

	if (status == 0) {
		file->size += (off_t)length;
		return 0;
	}
	/* Half a line, or half a member, is worse than none. A pipe cannot be cut, and need not. */
	(void)!ftruncate(file->fd, file->size);
	return diag_error(diag, status,
			  "cannot write %s: %s; what it holds until here is whole and can be "
			  "replayed",
			  file->path, strerror(-status));
}

/* One member of gzip out of `text`, allocated. */
static int trace_file_compress(const char *text, size_t length, void **ret_data, size_t *ret_length)
{
	z_stream stream = {.next_in = NULL};
	cleanup_free Bytef *data = NULL;
	uLong bound;
	int result;

	if (length > UINT_MAX / 2)
		return -EFBIG;
	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, TRACE_FILE_WINDOW,
			 TRACE_FILE_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, length);
	data = malloc(bound);
	if (data == NULL) {
		(void)deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (const Bytef *)text;
	stream.avail_in = (uInt)length;
	stream.next_out = data;
	stream.avail_out = (uInt)bound;
	result = deflate(&stream, Z_FINISH);
	*ret_length = stream.total_out;
	(void)deflateEnd(&stream);
	if (result != Z_STREAM_END)
		return -EIO;
	*ret_data = TAKE_PTR(data);
	return 0;
}

int trace_file_flush(struct trace_file *file, struct diag *diag)
{
	cleanup_free void *data = NULL;
	size_t length = 0;
	int status;

	if (file->length == 0)
		return 0;
	status = trace_file_compress(file->text, file->length, &data, &length);
	if (status < 0)
		return diag_error(diag, status, "cannot compress %s: %s", file->path,
				  strerror(-status));
	file->length = 0;
	return trace_file_write(file, data, length, diag);
}

static int trace_file_gather(struct trace_file *file, const char *line, size_t length)
{
	size_t needed = file->length + length;

	if (needed > file->capacity) {
		size_t capacity = needed > TRACE_FILE_GATHER_SIZE ? needed : TRACE_FILE_GATHER_SIZE;
		char *text = realloc(file->text, capacity);

		if (text == NULL)
			return -ENOMEM;
		file->text = text;
		file->capacity = capacity;
	}
	memcpy(file->text + file->length, line, length);
	file->length = needed;
	return 0;
}

int trace_file_add(struct trace_file *file, const char *line, size_t length, struct mono_time now,
		   struct diag *diag)
{
	int status;

	if (!file->gzip)
		return trace_file_write(file, line, length, diag);
	if (file->length > 0 && file->length + length > TRACE_FILE_GATHER_SIZE) {
		status = trace_file_flush(file, diag);
		if (status < 0)
			return status;
	}
	if (file->length == 0)
		file->gathered = now;
	status = trace_file_gather(file, line, length);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	if (clock_elapsed_ns(file->gathered, now) < TRACE_FILE_GATHER_NS)
		return 0;
	return trace_file_flush(file, diag);
}
