#include "tests/raplsim/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/raplsim/cleanup.h"

#define PATH_SIZE  64
#define MOUNTS_MAX 16

int sysroot_open(const char *dir)
{
	int fd;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A mount whose server is gone answers ENOTCONN; any other shows as another device. */
static bool is_mounted(int dir_fd)
{
	struct stat outside;
	struct stat inside;

	if (fstat(dir_fd, &outside) < 0)
		return false;
	if (fstatat(dir_fd, "sys", &inside, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOTCONN;
	return inside.st_dev != outside.st_dev;
}

static int unmount_stale(int dir_fd)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/sys", dir_fd);
	for (int i = 0; i < MOUNTS_MAX && is_mounted(dir_fd); i++) {
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
	}
	return 0;
}

int sysroot_prepare(int dir_fd)
{
	int r;

	r = unmount_stale(dir_fd);
	if (r < 0)
		return r;
	if (mkdirat(dir_fd, "sys", 0755) < 0 && errno != EEXIST)
		return -errno;
	if (symlinkat("/proc", dir_fd, "proc") < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

void sysroot_clean(int dir_fd)
{
	struct stat proc;

	(void)unlinkat(dir_fd, "sys", AT_REMOVEDIR);
	if (fstatat(dir_fd, "proc", &proc, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(proc.st_mode))
		(void)unlinkat(dir_fd, "proc", 0);
}
