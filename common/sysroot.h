/*
 * sysroot.h: where /sys and /proc are.
 *
 * A foundation, and the only file that knows these two paths. Everybody else opens relative to the
 * descriptors it hands out: `openat(sysroot_sys_fd(root), "class/powercap", ...)`. With --sysroot
 * DIR they lie under DIR; that is how tests and the simulator put another machine in the place of
 * this one. Immutable after opening: safe in any thread.
 */
#ifndef WATTPORT_COMMON_SYSROOT_H
#define WATTPORT_COMMON_SYSROOT_H

#include "common/diag.h"

struct sysroot;

/* `path` is "/" or the DIR of --sysroot. The caller ends it with sysroot_close(). */
int sysroot_open(const char *path, struct sysroot **ret_root, struct diag *diag);
void sysroot_close(struct sysroot *root);

/*
 * Another machine's /sys (a mounted tree: class/powercap lies at its top) beside the processes of
 * this one: what the agent reads when the tree is not laid over /sys. Errors as sysroot_open().
 */
int sysroot_open_tree(const struct sysroot *root, const char *sys_path, struct sysroot **ret_root,
		      struct diag *diag);

/* Descriptors of the directories; they belong to the sysroot. */
int sysroot_sys_fd(const struct sysroot *root);
int sysroot_proc_fd(const struct sysroot *root);

/* The path that was opened, for messages; belongs to the sysroot. */
const char *sysroot_path(const struct sysroot *root);

/*
 * The absolute path of its /sys without links, as mount points are written in mountinfo; belongs to
 * the sysroot. For mount(2), which takes no descriptors; all else opens relative to those.
 */
const char *sysroot_sys_path(const struct sysroot *root);

static inline void cleanup_sysroot_value(struct sysroot *const *root)
{
	sysroot_close(*root);
}
#define cleanup_sysroot __attribute__((cleanup(cleanup_sysroot_value)))

#endif
