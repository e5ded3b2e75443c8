#include "guest/mount_state.h"
#include "common/cleanup.h"
#include "guest/mount_own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define MOUNT_STATE_TREE_CLONE                                                                     \
	1U /* OPEN_TREE_CLONE of linux/mount.h, which glibc's conflicts with */

/* NULL, and errno, where it cannot be listed. */
static DIR *mount_state_open_list(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list;

	if (fd < 0)
		return NULL;
	list = fdopendir(fd);
	if (list == NULL)
		(void)close(fd);
	return list;
}

static int mount_side_add_child(struct mount_side *side, const char *name)
{
	struct mount_child *children, *child;

	if (side->child_count >= MOUNT_STATE_CHILD_MAX)
		return -E2BIG;
	children = reallocarray(side->children, side->child_count + 1, sizeof(*children));
	if (children == NULL)
		return -ENOMEM;
	side->children = children;
	child = &children[side->child_count++];
	*child = (struct mount_child){.kept = false};
	(void)snprintf(child->name, sizeof(child->name), "%s", name);
	return 0;
}

/* The kernel's directories of one side; powercap itself is the tree's place. */
static int mount_state_list_side(int sys_fd, const char *name, struct mount_side *side)
{
	const struct dirent *entry;
	DIR *list = mount_state_open_list(sys_fd, name);
	int status = 0;

	if (list == NULL)
		return -errno;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while (status == 0 && (entry = readdir(list)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (strcmp(entry->d_name, "powercap") == 0)
			side->has_powercap = true;
		else
			status = mount_side_add_child(side, entry->d_name);
	}
	(void)closedir(list);
	return status;
}

/* A control type alone ("intel-rapl", its module loaded on a CPU without RAPL) measures nothing. */
static void mount_state_find_rapl(int sys_fd, char zone[static MOUNT_PLAN_ZONE_SIZE])
{
	const struct dirent *entry;
	DIR *list = mount_state_open_list(sys_fd, "class/powercap");

	if (list == NULL)
		return;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while ((entry = readdir(list)) != NULL && zone[0] == '\0') {
		char path[NAME_MAX + sizeof("/energy_uj")];

		(void)snprintf(path, sizeof(path), "%s/energy_uj", entry->d_name);
		if (entry->d_name[0] != '.' && strchr(entry->d_name, ':') != NULL &&
		    faccessat(dirfd(list), path, F_OK, 0) == 0)
			(void)snprintf(zone, MOUNT_PLAN_ZONE_SIZE, "%.*s", MOUNT_PLAN_ZONE_SIZE - 1,
				       entry->d_name);
	}
	(void)closedir(list);
}

int mount_state_read(const struct sysroot *root, const struct mountinfo *mountinfo,
		     const struct mount_paths *paths, struct mount_state *ret_state,
		     struct diag *diag)
{
	cleanup_mount_state struct mount_state state = {.shared = false};
	int sys_fd = sysroot_sys_fd(root);
	int status;

	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++) {
		status = mount_state_list_side(sys_fd, mount_plan_sides[i], &state.sides[i]);
		if (status < 0)
			return diag_error(diag, status,
					  "cannot list %s/%s: %s: the tree is laid over sysfs, "
					  "which has to be mounted there",
					  paths->sys, mount_plan_sides[i], strerror(-status));
	}
	status = mount_own_observe(mountinfo, paths, &state);
	if (status < 0)
		return diag_error(diag, status, "cannot look at the mounts: %s", strerror(-status));
	if (!state.sides[0].bound && !state.sides[0].stale)
		mount_state_find_rapl(sys_fd, state.rapl);
	*ret_state = state;
	state = (struct mount_state){.shared = false};
	return 0;
}

void mount_state_find_covered(const char *sys_path, char ret_zone[static MOUNT_PLAN_ZONE_SIZE])
{
	/* A copy of the mount alone, without what lies over it. */
	cleanup_fd int fd =
	    (int)syscall(SYS_open_tree, AT_FDCWD, sys_path, MOUNT_STATE_TREE_CLONE | O_CLOEXEC);
	char covered[MOUNT_PLAN_ZONE_SIZE] = "";

	if (fd >= 0)
		mount_state_find_rapl(fd, covered);
	(void)snprintf(ret_zone, MOUNT_PLAN_ZONE_SIZE, "%s", covered);
}
