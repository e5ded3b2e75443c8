#include "fusefs/runtime_directory.h"
#include "common/cleanup.h"
#include "common/own_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int runtime_directory_open(const char *path, int *ret_fd, char ret_path[static PATH_MAX],
			   struct diag *diag)
{
	cleanup_fd int fd = -1;
	int status = 0;

	if (mkdir(path, 0755) == 0)
		status = chmod(path, 0755) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		status = -errno;
	if (status < 0)
		return diag_error(diag, status,
				  "cannot make %s: %s; name another directory with --runtime-dir",
				  path, strerror(-status));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || realpath(path, ret_path) == NULL)
		return diag_error(diag, -errno, "cannot open %s: %s", path, strerror(errno));
	status = own_directory_check(fd, path, "--runtime-dir", diag);
	if (status < 0)
		return status;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int runtime_directory_join(const char *path, const char *name, char ret_path[static PATH_MAX],
			   struct diag *diag)
{
	int length = snprintf(ret_path, PATH_MAX, "%s/%s", path, name);

	if (length < 0 || length >= PATH_MAX)
		return diag_error(diag, -ENAMETOOLONG, "the path %s is too long", path);
	return 0;
}
