#include "common/sysroot.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct sysroot {
	int sys_fd;
	int proc_fd;
	char *path;
	char *sys_path;
};

static int sysroot_open_directory(int root_fd, const char *path, const char *name, int *ret_fd,
				  struct diag *diag)
{
	int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return diag_error(
		    diag, -errno,
		    "cannot open %s under %s: %s; mount it, or name another root with --sysroot",
		    name, path, strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* "PATH/NAME" without links; /proc/self/fd is not asked, for `path` may hold no real /proc. */
static int sysroot_resolve(const char *path, const char *name, char **ret_path, struct diag *diag)
{
	cleanup_free char *joined = NULL;
	char *resolved;

	if (asprintf(&joined, "%s/%s", path, name) < 0) {
		joined = NULL;
		return diag_error(diag, -ENOMEM, "out of memory");
	}
	resolved = realpath(joined, NULL);
	if (resolved == NULL)
		return diag_error(diag, -errno, "cannot resolve %s: %s", joined, strerror(errno));
	*ret_path = resolved;
	return 0;
}

int sysroot_open(const char *path, struct sysroot **ret_root, struct diag *diag)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_fd int root_fd = -1;
	int status;

	root = malloc(sizeof(*root));
	if (root == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*root = (struct sysroot){.sys_fd = -1, .proc_fd = -1};
	root->path = strdup(path);
	if (root->path == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return diag_error(diag, -errno, "cannot open the root %s: %s; check --sysroot",
				  path, strerror(errno));
	status = sysroot_open_directory(root_fd, path, "sys", &root->sys_fd, diag);
	if (status < 0)
		return status;
	status = sysroot_open_directory(root_fd, path, "proc", &root->proc_fd, diag);
	if (status < 0)
		return status;
	status = sysroot_resolve(path, "sys", &root->sys_path, diag);
	if (status < 0)
		return status;
	*ret_root = TAKE_PTR(root);
	return 0;
}

int sysroot_open_tree(const struct sysroot *root, const char *sys_path, struct sysroot **ret_root,
		      struct diag *diag)
{
	cleanup_sysroot struct sysroot *tree = malloc(sizeof(*tree));
	int status;

	if (tree == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*tree = (struct sysroot){.sys_fd = -1, .proc_fd = -1};
	tree->path = strdup(sys_path);
	if (tree->path == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	tree->sys_fd = open(sys_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->sys_fd < 0)
		return diag_error(diag, -errno, "cannot open the tree %s: %s", sys_path,
				  strerror(errno));
	tree->proc_fd = fcntl(root->proc_fd, F_DUPFD_CLOEXEC, 0);
	if (tree->proc_fd < 0)
		return diag_error(diag, -errno, "out of descriptors");
	status = sysroot_resolve(sys_path, ".", &tree->sys_path, diag);
	if (status < 0)
		return status;
	*ret_root = TAKE_PTR(tree);
	return 0;
}

void sysroot_close(struct sysroot *root)
{
	if (root == NULL)
		return;
	if (root->sys_fd >= 0)
		(void)close(root->sys_fd);
	if (root->proc_fd >= 0)
		(void)close(root->proc_fd);
	free(root->sys_path);
	free(root->path);
	free(root);
}

int sysroot_sys_fd(const struct sysroot *root)
{
	return root->sys_fd;
}

int sysroot_proc_fd(const struct sysroot *root)
{
	return root->proc_fd;
}

const char *sysroot_path(const struct sysroot *root)
{
	return root->path;
}

const char *sysroot_sys_path(const struct sysroot *root)
{
	return root->sys_path;
}
