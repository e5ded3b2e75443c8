#include "common/file.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

int file_pread_all(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t used = 0;

	assert(size > 1);
	for (;;) {
		ssize_t got = pread(fd, buffer + used, size - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
		if (used == size)
			return -EFBIG;
	}
	buffer[used] = '\0';
	*ret_length = used;
	return 0;
}

int file_pread_line(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t used = 0;

	assert(size > 1);
	while (used < size - 1 && (used == 0 || buffer[used - 1] != '\n')) {
		ssize_t got = pread(fd, buffer + used, size - 1 - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	buffer[used] = '\0';
	*ret_length = used;
	return 0;
}

int file_read_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_length)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return file_pread_all(fd, buffer, size, ret_length);
}

int file_read_line_at(int dir_fd, const char *path, char *buffer, size_t size)
{
	size_t length = 0;
	int status = file_read_at(dir_fd, path, buffer, size, &length);

	if (status < 0)
		return status;
	if (length > 0 && buffer[length - 1] == '\n')
		buffer[--length] = '\0';
	return length > 0 ? 0 : -ENODATA;
}

int file_write_all(int fd, const void *data, size_t size)
{
	const char *cursor = data;

	while (size > 0) {
		ssize_t written = write(fd, cursor, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		cursor += written;
		size -= (size_t)written;
	}
	return 0;
}

static int file_write_synced(int dir_fd, const char *name, const void *data, size_t size,
			     mode_t mode)
{
	cleanup_fd int fd =
	    openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int status;

	if (fd < 0)
		return -errno;
	status = file_write_all(fd, data, size);
	if (status < 0)
		return status;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return close(TAKE_FD(fd)) < 0 ? -errno : 0;
}

static int file_temporary_name(const char *name, char ret_name[static NAME_MAX + 1])
{
	int length = snprintf(ret_name, NAME_MAX + 1, ".%s.new", name);

	return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int file_prepare_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode)
{
	char temporary[NAME_MAX + 1];
	int status = file_temporary_name(name, temporary);

	if (status < 0)
		return status;
	status = file_write_synced(dir_fd, temporary, data, size, mode);
	if (status < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return status;
}

int file_complete_at(int dir_fd, const char *name)
{
	char temporary[NAME_MAX + 1];
	cleanup_fd int directory = -1;
	int status = file_temporary_name(name, temporary);

	if (status < 0)
		return status;
	if (renameat(dir_fd, temporary, dir_fd, name) < 0) {
		status = -errno;
		(void)unlinkat(dir_fd, temporary, 0);
		return status;
	}
	/* The rename itself must reach the disk; O_PATH descriptors cannot be synced, so reopen. */
	directory = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory < 0 || fsync(directory) < 0 ? -errno : 0;
}

int file_replace_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode)
{
	int status = file_prepare_at(dir_fd, name, data, size, mode);

	return status < 0 ? status : file_complete_at(dir_fd, name);
}
