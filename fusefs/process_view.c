#include "fusefs/process_view.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

/* Before Linux 5.8 "subset" is unknown, and all instances of a PID namespace hide the same. */
static int process_view_mount(int *ret_proc_fd)
{
	cleanup_fd int context = fsopen("proc", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return -errno;
	*ret_proc_fd = fd;
	return 0;
}

int process_view_open(const struct sysroot *root, int *ret_proc_fd, struct diag *diag)
{
	int fd;

	/* Another machine's processes are only where the sysroot says. */
	if (strcmp(sysroot_path(root), "/") == 0 && process_view_mount(ret_proc_fd) == 0)
		return 0;
	fd = fcntl(sysroot_proc_fd(root), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	*ret_proc_fd = fd;
	return 0;
}
