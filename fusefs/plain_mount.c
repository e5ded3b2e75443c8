#include "fusefs/plain_mount.h"
#include "common/cleanup.h"
#include "common/mountinfo.h"
#include "common/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PLAIN_MOUNT_TYPE   "tmpfs"
#define PLAIN_MOUNT_SOURCE "wattport"
#define PLAIN_MOUNT_FLAGS  (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME)

bool plain_mount_is(const char *path)
{
	/* This machine's own, whatever --sysroot says. */
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_mountinfo struct mountinfo mounts = {.text = NULL};
	const struct mountinfo_entry *entry;

	if (sysroot_open("/", &root, NULL) < 0 || mountinfo_read(root, &mounts) < 0)
		return false;
	entry = mountinfo_on(&mounts, path);
	return entry != NULL && strcmp(entry->type, PLAIN_MOUNT_TYPE) == 0 &&
	       strcmp(entry->source, PLAIN_MOUNT_SOURCE) == 0;
}

static int plain_mount_fail(struct diag *diag, const char *what, const char *path)
{
	return diag_error(diag, -errno, "cannot %s %s: %s%s", what, path, strerror(errno),
			  errno == EPERM ? "; start as root (CAP_SYS_ADMIN)" : "");
}

/* The two places below the stage: a mount to write to, and one to show. */
struct plain_mount_stage {
	char writable[PATH_MAX + 4];
	char shown[PATH_MAX + 4];
};

static int plain_mount_make_stage(const char *path, struct plain_mount_stage *ret_stage,
				  struct diag *diag)
{
	(void)snprintf(ret_stage->writable, sizeof(ret_stage->writable), "%s/rw", path);
	(void)snprintf(ret_stage->shown, sizeof(ret_stage->shown), "%s/ro", path);
	/* What a predecessor that was killed has left. */
	(void)umount2(ret_stage->writable, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)umount2(ret_stage->shown, MNT_DETACH | UMOUNT_NOFOLLOW);
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) ||
	    (mkdir(ret_stage->writable, 0700) < 0 && errno != EEXIST) ||
	    (mkdir(ret_stage->shown, 0700) < 0 && errno != EEXIST))
		return plain_mount_fail(diag, "make a directory in", path);
	return 0;
}

/* Out of sight; what is open or bound elsewhere lives on. */
static void plain_mount_remove_stage(const char *path, const struct plain_mount_stage *stage)
{
	(void)umount2(stage->writable, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)umount2(stage->shown, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)rmdir(stage->writable);
	(void)rmdir(stage->shown);
	(void)rmdir(path);
}

static int plain_mount_bind(const char *from, const char *to, unsigned long flags,
			    struct diag *diag)
{
	/* A bind mount has the flags of its origin until it is mounted again. */
	if (mount(from, to, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | PLAIN_MOUNT_FLAGS | flags, NULL) < 0)
		return plain_mount_fail(diag, "mount at", to);
	return 0;
}

static int plain_mount_make(const char *path, const struct plain_mount_stage *stage,
			    struct diag *diag)
{
	char options[128];
	int status;

	(void)snprintf(
	    options, sizeof(options), "mode=0755,nr_inodes=%d,size=%llu", PLAIN_MOUNT_INODE_MAX,
	    (unsigned long long)PLAIN_MOUNT_INODE_MAX * (unsigned long long)sysconf(_SC_PAGESIZE));
	if (mount(PLAIN_MOUNT_SOURCE, stage->writable, PLAIN_MOUNT_TYPE, PLAIN_MOUNT_FLAGS,
		  options) < 0)
		return plain_mount_fail(diag, "mount a tmpfs at", stage->writable);
	status = plain_mount_bind(stage->writable, stage->shown, MS_RDONLY, diag);
	if (status < 0)
		return status;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return plain_mount_fail(diag, "make", path);
	return plain_mount_bind(stage->shown, path, MS_RDONLY, diag);
}

/*
 * Everything to the owner: at first the directory alone, later what a predecessor made that ran as
 * another user. Nobody but wattport-fs has ever written there, so no link leads out of it.
 */
static int plain_mount_give(char *path, struct plain_mount_owner owner, struct diag *diag)
{
	char *paths[] = {path, NULL};
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	const FTSENT *entry;
	int status = 0;

	if (walk == NULL)
		return plain_mount_fail(diag, "look into", path);
	while (status == 0 && (entry = fts_read(walk)) != NULL) {
		if (entry->fts_info == FTS_DP || entry->fts_statp == NULL ||
		    (entry->fts_statp->st_uid == owner.user &&
		     entry->fts_statp->st_gid == owner.group))
			continue;
		if (lchown(entry->fts_path, owner.user, owner.group) < 0)
			status = plain_mount_fail(diag, "give away", entry->fts_path);
	}
	(void)fts_close(walk);
	return status;
}

int plain_mount_attach(const char *path, const char *stage, struct plain_mount_owner owner,
		       int *ret_root_fd, bool *ret_taken, struct diag *diag)
{
	struct plain_mount_stage places;
	bool taken = plain_mount_is(path);
	cleanup_fd int fd = -1;
	int status = plain_mount_make_stage(stage, &places, diag);

	if (status == 0 && taken)
		status = plain_mount_bind(path, places.writable, 0, diag);
	else if (status == 0)
		status = plain_mount_make(path, &places, diag);
	if (status == 0)
		status = plain_mount_give(places.writable, owner, diag);
	if (status == 0) {
		fd = open(places.writable, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			status = plain_mount_fail(diag, "open", places.writable);
	}
	plain_mount_remove_stage(stage, &places);
	if (status < 0)
		return status;
	*ret_root_fd = TAKE_FD(fd);
	*ret_taken = taken;
	return 0;
}
