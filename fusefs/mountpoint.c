#include "fusefs/mountpoint.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "fusefs/plain_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define MOUNTPOINT_STALE_MAX 16 /* keepers that died one upon the other */
#define MOUNTPOINT_FLAGS     (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY | MS_NOATIME)
#define FUSE_MAGIC	     0x65735546 /* FUSE_SUPER_MAGIC of fs/fuse/inode.c */

/* A FUSE mount lies there: of a dead server (ENOTCONN), or one that still answers. */
static bool mountpoint_is_fuse(const char *path)
{
	struct statfs statfs_of;

	if (statfs(path, &statfs_of) < 0)
		return errno == ENOTCONN || errno == ECONNABORTED;
	return statfs_of.f_type == FUSE_MAGIC;
}

/*
 * The caller holds the runtime directory's lock, so whatever FUSE lies there has no keeper. If all
 * of the runtime directory is on FUSE, nothing is mounted at the path itself and umount2() says so.
 */
void mountpoint_clear(const char *path)
{
	for (size_t i = 0; i < MOUNTPOINT_STALE_MAX && mountpoint_is_fuse(path); i++) {
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return;
		log_info("took the mount of a dead keeper away from %s", path);
	}
}

int mountpoint_attach(const char *path, int *ret_fuse_fd, struct diag *diag)
{
	cleanup_fd int fd = -1;
	char options[128];

	mountpoint_clear(path);
	/* The files of a wattport-fs that ran with tree.mode = tmpfs. */
	while (plain_mount_is(path) && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		log_info("took the plain files away from %s", path);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return diag_error(diag, -errno, "cannot make %s: %s", path, strerror(errno));
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return diag_error(diag, -errno,
				  "cannot open /dev/fuse: %s; load the module (modprobe fuse) "
				  "and start as root",
				  strerror(errno));
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other", fd);
	if (mount("wattport", path, "fuse.wattport", MOUNTPOINT_FLAGS, options) < 0)
		return diag_error(diag, -errno, "cannot mount at %s: %s%s", path, strerror(errno),
				  errno == EPERM ? "; start as root (CAP_SYS_ADMIN)" : "");
	*ret_fuse_fd = TAKE_FD(fd);
	return 0;
}

int mountpoint_detach(const char *path, struct diag *diag)
{
	if (umount2(path, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EBUSY && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	/* Somebody else has unmounted it: then it is as it should be. */
	if (errno == EINVAL || errno == ENOENT)
		return 0;
	return diag_error(diag, -errno, "cannot unmount %s: %s", path, strerror(errno));
}
