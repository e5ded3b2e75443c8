/*
 * file.h: whole small files, read and written exactly.
 *
 * A foundation. Kernel files are read in one go into the caller's buffer and end in a NUL; a file
 * that does not fit is refused, never cut. No state: safe in any thread.
 */
#ifndef WATTPORT_COMMON_FILE_H
#define WATTPORT_COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a kept descriptor from its start. Returns 0; -EFBIG when the content and its NUL do not fit
 * in `size` bytes; else the error of pread(2). EINTR and short reads are continued.
 */
int file_pread_all(int fd, char *buffer, size_t size, size_t *ret_length);

/*
 * The same of a file of one line, without the call that finds the end: reads up to the newline, or
 * up to as much as the buffer holds. For files whose every reading costs.
 */
int file_pread_line(int fd, char *buffer, size_t size, size_t *ret_length);

/* The same for a file that is opened and closed: also the errors of openat(2). */
int file_read_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_length);

/* file_read_at() without the trailing newline, for one-line files; an empty line is -ENODATA. */
int file_read_line_at(int dir_fd, const char *path, char *buffer, size_t size);

/* Writes all of it, continuing after EINTR and short writes. */
int file_write_all(int fd, const void *data, size_t size);

/*
 * Puts `data` in the place of `name` so that after a crash at any moment the old or the new content
 * is there, whole: temporary file, fsync, rename, fsync of the directory. On failure the old file
 * is untouched and the temporary one is gone.
 */
int file_replace_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);

/* Its two halves, for who has something to do when the new content is on disk and the old still has
 * its name. What was prepared goes when that is completed, or prepared anew. */
int file_prepare_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);
int file_complete_at(int dir_fd, const char *name);

#endif
