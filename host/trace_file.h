/*
 * trace_file.h: a trace on disk that is whole at any moment.
 *
 * The writing end of `wattport record`. Only whole lines get into the file; where one finds no room
 * the file is cut back to the last that did, so what is there can always be replayed. A name that
 * ends in .gz asks for gzip: lines gather for a while and become a member of their own, and members
 * behind one another are one file to every reader of gzip. One thread.
 */
#ifndef WATTPORT_HOST_TRACE_FILE_H
#define WATTPORT_HOST_TRACE_FILE_H

#include "common/clock.h"
#include "common/diag.h"

#include <stddef.h>

/* So much text, or so long a time, goes into one member of gzip: what a power cut may cost. */
#define TRACE_FILE_GATHER_SIZE ((size_t)4 * 1024 * 1024)
#define TRACE_FILE_GATHER_NS   (30 * CLOCK_NS_PER_SECOND)

struct trace_file;

/* Makes the file, or empties it; it is its owner's alone, since names of machines are in it. */
int trace_file_create(const char *path, struct trace_file **ret_file, struct diag *diag);

/* Takes a line with its newline. A negative errno with *diag: what was written is kept. */
int trace_file_add(struct trace_file *file, const char *line, size_t length, struct mono_time now,
		   struct diag *diag);

/* Writes what has gathered. */
int trace_file_flush(struct trace_file *file, struct diag *diag);

/* Closes it; what was not flushed is lost. */
void trace_file_close(struct trace_file *file);

static inline void cleanup_trace_file_value(struct trace_file *const *file)
{
	trace_file_close(*file);
}
#define cleanup_trace_file __attribute__((cleanup(cleanup_trace_file_value)))

#endif
