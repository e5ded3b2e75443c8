#include "common/own_directory.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int own_directory_check(int fd, const char *path, const char *option, struct diag *diag)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return diag_error(diag, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (stat.st_uid != 0 && stat.st_uid != geteuid())
		return diag_error(diag, -EPERM,
				  "the directory %s belongs to user %u, who could put anything in "
				  "the place of its files; make it root's (chown root %s), or name "
				  "another with %s",
				  path, stat.st_uid, path, option);
	if ((stat.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return diag_error(diag, -EPERM,
				  "others may write in the directory %s and put anything in the "
				  "place of its files; forbid it (chmod go-w %s), or name another "
				  "with %s",
				  path, path, option);
	return 0;
}

int own_directory_open(const char *path, mode_t mode, const char *option, int *ret_fd,
		       struct diag *diag)
{
	cleanup_free char *copy = strdup(path);
	cleanup_fd int fd = -1;
	int status;

	if (copy == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0755);
		*slash = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return diag_error(diag, -errno,
				  "cannot make the directory %s: %s; name another with %s", path,
				  strerror(errno), option);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return diag_error(diag, -errno,
				  "cannot open the directory %s: %s; name another with %s", path,
				  strerror(errno), option);
	status = own_directory_check(fd, path, option, diag);
	if (status == 0)
		*ret_fd = TAKE_FD(fd);
	return status;
}
