#include "guest/cgroup_mounts.h"
#include "common/cleanup.h"
#include "common/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *cgroup_version_name(enum cgroup_version version)
{
	static const char *const names[] = {
	    [CGROUP_NONE] = "none", [CGROUP_V1] = "v1", [CGROUP_V2] = "v2"};

	return names[version];
}

/* A word of "rw,cpu,cpuacct". */
static bool cgroup_mounts_has_option(const char *options, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = options; (at = strstr(at, word)) != NULL; at += length)
		if ((at == options || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

/* -1 where it does not lie below /sys, or cannot be opened. */
static int cgroup_mounts_open_point(const struct sysroot *root, const char *point)
{
	const char *sys_path = sysroot_sys_path(root);
	size_t length = strlen(sys_path);

	if (strncmp(point, sys_path, length) != 0 || point[length] != '/')
		return -1;
	return openat(sysroot_sys_fd(root), point + length + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The first mount of that type that has that controller; NULL: whatever it has. */
static int cgroup_mounts_find(const struct sysroot *root, const struct mountinfo *mountinfo,
			      const char *type, const char *controller)
{
	for (size_t i = 0; i < mountinfo->count; i++) {
		const struct mountinfo_entry *entry = &mountinfo->entries[i];
		int fd;

		if (strcmp(entry->type, type) != 0 ||
		    (controller != NULL &&
		     !cgroup_mounts_has_option(entry->super_options, controller)))
			continue;
		fd = cgroup_mounts_open_point(root, entry->point);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* How many control groups lie directly below; kernfs counts them as links. */
static size_t cgroup_mounts_children(int fd)
{
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_nlink < 2)
		return 0;
	return status.st_nlink - 2;
}

int cgroup_mounts_open(const struct sysroot *root, struct cgroup_mounts *ret_mounts)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.count = 0};
	cleanup_fd int v1_fd = -1;
	cleanup_fd int v2_fd = -1;
	int status;

	*ret_mounts = (struct cgroup_mounts){.time_fd = -1, .memory_fd = -1};
	status = mountinfo_read(root, &mountinfo);
	if (status < 0)
		return status;
	v1_fd = cgroup_mounts_find(root, &mountinfo, "cgroup", "cpuacct");
	v2_fd = cgroup_mounts_find(root, &mountinfo, "cgroup2", NULL);
	ret_mounts->memory_fd = cgroup_mounts_find(root, &mountinfo, "cgroup", "memory");
	ret_mounts->memory_version = CGROUP_V1;
	if (v2_fd >= 0 &&
	    (v1_fd < 0 || cgroup_mounts_children(v2_fd) > cgroup_mounts_children(v1_fd))) {
		ret_mounts->version = CGROUP_V2;
		ret_mounts->time_fd = TAKE_FD(v2_fd);
		if (ret_mounts->memory_fd < 0) {
			ret_mounts->memory_fd = fcntl(ret_mounts->time_fd, F_DUPFD_CLOEXEC, 0);
			ret_mounts->memory_version = CGROUP_V2;
		}
		return 0;
	}
	if (v1_fd >= 0) {
		ret_mounts->version = CGROUP_V1;
		ret_mounts->time_fd = TAKE_FD(v1_fd);
	}
	return 0;
}

void cgroup_mounts_close(struct cgroup_mounts *mounts)
{
	if (mounts->time_fd >= 0)
		(void)close(mounts->time_fd);
	if (mounts->memory_fd >= 0)
		(void)close(mounts->memory_fd);
	*mounts = (struct cgroup_mounts){.time_fd = -1, .memory_fd = -1};
}
