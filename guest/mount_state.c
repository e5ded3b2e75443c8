#include "guest/mount_state.h"
#include "common/cleanup.h"
#include "guest/mount_own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
static void mount_state_find_rapl(int sys_fd, struct mount_state *state)
{
	const struct dirent *entry;
	DIR *list = mount_state_open_list(sys_fd, "class/powercap");

	if (list == NULL)
		return;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while ((entry = readdir(list)) != NULL && state->rapl[0] == '\0') {
		char path[NAME_MAX + sizeof("/energy_uj")];

		(void)snprintf(path, sizeof(path), "%s/energy_uj", entry->d_name);
		if (entry->d_name[0] != '.' && strchr(entry->d_name, ':') != NULL &&
		    faccessat(dirfd(list), path, F_OK, 0) == 0)
			(void)snprintf(state->rapl, sizeof(state->rapl), "%.*s",
				       MOUNT_PLAN_ZONE_SIZE - 1, entry->d_name);
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
			return diag_error(diag, status, "cannot list %s/%s: %s", paths->sys,
					  mount_plan_sides[i], strerror(-status));
	}
	status = mount_own_observe(mountinfo, paths, &state);
	if (status < 0)
		return diag_error(diag, status, "cannot look at the mounts: %s", strerror(-status));
	if (!state.sides[0].bound)
		mount_state_find_rapl(sys_fd, &state);
	*ret_state = state;
	state = (struct mount_state){.shared = false};
	return 0;
}

/* One zone's link, followed to its counter. */
static int mount_state_check_links(int at_fd, struct diag *diag)
{
	const struct dirent *entry;
	DIR *list = mount_state_open_list(at_fd, "class/powercap");
	bool followed = false;
	int status = 0;

	if (list == NULL)
		return diag_error(diag, -ENOTCONN, "it cannot be read: %s", strerror(errno));
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while (status == 0 && (entry = readdir(list)) != NULL) {
		struct stat attributes;

		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(list), entry->d_name, &attributes, 0) == 0)
			followed = true;
		else
			status = -errno;
	}
	(void)closedir(list);
	if (status == -ELOOP)
		return diag_error(
		    diag, -ELOOP,
		    "it carries no symbolic links (accessmode='mapped'); on the host: "
		    "wattport attach DOMAIN, which shares it with passthrough");
	if (status < 0)
		return diag_error(diag, -ENOTCONN, "it cannot be read: %s", strerror(-status));
	if (!followed)
		return diag_error(diag, -ENOTCONN, "it holds no zones");
	return 0;
}

int mount_state_check_tree(const char *at, struct diag *diag)
{
	cleanup_fd int at_fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;

	if (at_fd < 0)
		return diag_error(diag, -ENOTCONN,
				  "the share at %s cannot be opened: %s; on the host: systemctl "
				  "status wattportd wattport-fs",
				  at, strerror(errno));
	status = mount_state_check_links(at_fd, diag);
	if (status == -ELOOP) {
		diag_prefix(diag, "the share at %s is no use as it is", at);
		return status;
	}
	if (status < 0) {
		diag_prefix(diag,
			    "the share at %s is there but serves no tree (on the host: systemctl "
			    "status wattportd wattport-fs)",
			    at);
		return status;
	}
	return 0;
}
