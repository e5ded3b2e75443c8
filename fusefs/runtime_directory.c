#include "fusefs/runtime_directory.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int runtime_directory_open(struct runtime_directory *directory, const char *path, struct diag *diag)
{
	int status = 0;

	if (mkdir(path, 0755) == 0)
		status = chmod(path, 0755) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		status = -errno;
	if (status < 0)
		return diag_error(diag, status,
				  "cannot make %s: %s; name another directory with --runtime-dir",
				  path, strerror(-status));
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0 || realpath(path, directory->path) == NULL)
		return diag_error(diag, -errno, "cannot open %s: %s", path, strerror(errno));
	return 0;
}

int runtime_directory_lock(struct runtime_directory *directory, struct diag *diag)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%" PRIdMAX "\n", (intmax_t)getpid());
	cleanup_fd int fd = -1;

	fd = openat(directory->fd, RUNTIME_DIRECTORY_PID_NAME,
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return diag_error(diag, -errno, "cannot make %s/%s: %s", directory->path,
				  RUNTIME_DIRECTORY_PID_NAME, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_error(
		    diag, -EBUSY,
		    "another wattport-fs serves %s; stop it, or give this one its own "
		    "--runtime-dir",
		    directory->path);
	/* From here on the file is ours, also to take away. */
	directory->lock_fd = TAKE_FD(fd);
	if (ftruncate(directory->lock_fd, 0) < 0)
		return diag_error(diag, -errno, "cannot write %s: %s", RUNTIME_DIRECTORY_PID_NAME,
				  strerror(errno));
	return file_write_all(directory->lock_fd, text, (size_t)length);
}

void runtime_directory_close(struct runtime_directory *directory)
{
	if (directory->lock_fd >= 0) {
		(void)unlinkat(directory->fd, RUNTIME_DIRECTORY_PID_NAME, 0);
		(void)close(directory->lock_fd);
	}
	if (directory->fd >= 0)
		(void)close(directory->fd);
	directory->fd = directory->lock_fd = -1;
}

int runtime_directory_join(const struct runtime_directory *directory, const char *name,
			   char ret_path[static PATH_MAX], struct diag *diag)
{
	int length = snprintf(ret_path, PATH_MAX, "%s/%s", directory->path, name);

	if (length < 0 || length >= PATH_MAX)
		return diag_error(diag, -ENAMETOOLONG, "the path %s is too long", directory->path);
	return 0;
}
