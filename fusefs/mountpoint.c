#include "fusefs/mountpoint.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/mountinfo.h"
#include "common/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MOUNTPOINT_STALE_MAX 16 /* keepers that died one upon the other */
#define MOUNTPOINT_FLAGS     (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY | MS_NOATIME)
#define MOUNTPOINT_TYPE	     "fuse.wattport"
#define MOUNTPOINT_SOURCE    "wattport"

int mountpoint_device(const char *path, uint64_t *ret_device, struct diag *diag)
{
	/* This machine's own, whatever --sysroot says. */
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_mountinfo struct mountinfo mounts = {.text = NULL};
	const struct mountinfo_entry *entry;
	int status = sysroot_open("/", &root, diag);

	if (status < 0)
		return status;
	status = mountinfo_read(root, &mounts);
	if (status < 0)
		return diag_error(diag, status, "cannot read the list of mounts: %s",
				  strerror(-status));
	entry = mountinfo_on(&mounts, path);
	if (entry == NULL || strcmp(entry->type, MOUNTPOINT_TYPE) != 0)
		return -ENOENT;
	*ret_device = (uint64_t)entry->major << 32 | entry->minor;
	return 0;
}

/* The caller holds the runtime directory's lock and goes on with no mount that is there. */
static int mountpoint_clear(const char *path, struct diag *diag)
{
	uint64_t device;

	for (size_t i = 0; i < MOUNTPOINT_STALE_MAX; i++) {
		int status = mountpoint_device(path, &device, diag);

		if (status == -ENOENT)
			return 0;
		if (status < 0)
			return status;
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			break;
		log_info("took the mount of a dead keeper away from %s", path);
	}
	return 0;
}

int mountpoint_attach(const char *path, int *ret_fuse_fd, struct diag *diag)
{
	cleanup_fd int fd = -1;
	char options[128];
	int status = mountpoint_clear(path, diag);

	if (status < 0)
		return status;
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
	if (mount(MOUNTPOINT_SOURCE, path, MOUNTPOINT_TYPE, MOUNTPOINT_FLAGS, options) < 0)
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
