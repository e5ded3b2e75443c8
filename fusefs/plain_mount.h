/*
 * plain_mount.h: the plain files' file system: written by one process, read-only for all others.
 *
 * For tree.mode = tmpfs, at the start of plain.c, while it is still root. A tmpfs is mounted at
 * RUNTIME/vm, read-only; the one way to write to it is a second mount of the same file system that
 * has no path any more: it is taken out of sight as soon as its directory is open, and lives by
 * that descriptor. So a virtiofsd or QEMU that runs as root gets EROFS for whatever its guest
 * tries, whatever the modes of the files are. No mount that can be written to is ever visible
 * outside a directory of root's, not even while this is done, nor does one spread to the mount
 * namespaces of machines that run: what is bound to RUNTIME/vm is read-only before it is.
 *
 * The mount does not end with its process. A successor takes it over, and its files with it; only
 * `wattport-fs --unmount` and a wattport-fs of another mode take it away (mountpoint.h).
 *
 * Bounded, so that no mistake can fill the memory: enough for as many machines as there are
 * accounts, of more zones than one socket with its memory has. A file takes one page and one inode;
 * what is not used costs nothing. One thread.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_MOUNT_H
#define WATTPORT_FUSEFS_PLAIN_MOUNT_H

#include "common/diag.h"
#include "fusefs/tree_table.h"

#include <stdbool.h>
#include <sys/types.h>

#define PLAIN_MOUNT_TREE_INODES 128 /* one socket with DRAM: about 60 */
#define PLAIN_MOUNT_INODE_MAX	(TREE_MAX * PLAIN_MOUNT_TREE_INODES)
#define PLAIN_MOUNT_STAGE_NAME	".vm-stage" /* there while the mount is made */

/* Whom the files belong to. */
struct plain_mount_owner {
	uid_t user;
	gid_t group;
};

/*
 * Makes the mount at `path` or takes over the one that is there, and gives all of it to the owner.
 * `stage` is the path of a directory beside it that is made and removed here. *ret_root_fd: the
 * directory of all trees, to be written to. *ret_taken: it was there before.
 */
int plain_mount_attach(const char *path, const char *stage, struct plain_mount_owner owner,
		       int *ret_root_fd, bool *ret_taken, struct diag *diag);

/* Whether plain files are mounted at that absolute path. Asks no file system: one may hang. */
bool plain_mount_is(const char *path);

#endif
