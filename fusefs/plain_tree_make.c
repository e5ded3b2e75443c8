/*
 * plain_tree_make.c: directories, files and links as vtree.h describes them, on disk.
 *
 * Only this process writes there, so paths are walked as strings: nobody can put a link into them.
 */
#include "common/cleanup.h"
#include "common/file.h"
#include "fusefs/plain_tree_internal.h"
#include "fusefs/plain_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define STAGED	  PLAIN_TREE_STAGING "/made"
#define RETIRED	  PLAIN_TREE_STAGING "/retired"
#define MODE_MASK 07777

struct maker {
	int root_fd;
	const struct vtree_values *values;
};

/* --- taking away --- */

int plain_tree_remove(int root_fd, const char *path)
{
	/* fts(3) takes no descriptor: the process's own stands for the directory. */
	char full[PLAIN_WALK_PATH_SIZE + 32];
	char *paths[] = {full, NULL};
	const FTSENT *entry;
	int status = 0;
	FTS *walk;

	(void)snprintf(full, sizeof(full), "/dev/fd/%d/%s", root_fd, path);
	walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (walk == NULL)
		return -errno;
	while ((entry = fts_read(walk)) != NULL) {
		int flags = entry->fts_info == FTS_DP ? AT_REMOVEDIR : 0;

		if (entry->fts_info == FTS_D)
			continue;
		if (unlinkat(AT_FDCWD, entry->fts_path, flags) < 0 && errno != ENOENT &&
		    status == 0)
			status = -errno;
	}
	(void)fts_close(walk);
	return status;
}

/* Takes it out of sight at once, then apart. */
static int plain_tree_retire(int root_fd, const char *path)
{
	int status = plain_tree_remove(root_fd, RETIRED);

	if (status < 0)
		return status;
	if (renameat(root_fd, path, root_fd, RETIRED) < 0)
		return errno == ENOENT ? 0 : -errno;
	return plain_tree_remove(root_fd, RETIRED);
}

/* --- new entries --- */

static int plain_tree_make_file(const struct maker *maker, const struct plain_walk *walk)
{
	char text[VTREE_CONTENT_SIZE];
	int length = plain_tree_text(maker->values, walk->node, text);
	cleanup_fd int fd = -1;

	if (length < 0)
		return length;
	fd = openat(maker->root_fd, walk->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    walk->attributes.mode & MODE_MASK);
	if (fd < 0)
		return -errno;
	return file_write_all(fd, text, (size_t)length);
}

static int plain_tree_make_link(const struct maker *maker, const struct plain_walk *walk)
{
	char target[VTREE_LINK_SIZE];
	int length = vtree_link(walk->shape, walk->node, target);

	if (length < 0)
		return length;
	return symlinkat(target, maker->root_fd, walk->path) < 0 ? -errno : 0;
}

/* Makes the entry with all that is in it, where nothing is yet. */
static int plain_tree_make(const struct maker *maker, const char *path, struct vtree_node node)
{
	struct plain_walk walk;
	int status = 0;

	plain_walk_begin(&walk, &maker->values->shape, path, node);
	while (status == 0 && plain_walk_next(&walk)) {
		mode_t mode = walk.attributes.mode;

		if (S_ISREG(mode))
			status = plain_tree_make_file(maker, &walk);
		else if (S_ISLNK(mode))
			status = plain_tree_make_link(maker, &walk);
		/* As in sysfs, 0755: the owner adds what the tree may get later. */
		else if (mkdirat(maker->root_fd, walk.path, (mode & MODE_MASK) | S_IWUSR) < 0)
			status = -errno;
	}
	return status;
}

static int plain_tree_add(const struct maker *maker, const char *path, struct vtree_node node)
{
	int status = plain_tree_remove(maker->root_fd, STAGED);

	if (status == 0)
		status = plain_tree_make(maker, STAGED, node);
	if (status == 0 && renameat(maker->root_fd, STAGED, maker->root_fd, path) < 0)
		status = -errno;
	if (status < 0)
		(void)plain_tree_remove(maker->root_fd, STAGED);
	return status;
}

/* --- entries that are there --- */

/* Removes what has no place in the directory. */
static int plain_tree_sweep(const struct maker *maker, const struct plain_walk *walk)
{
	int fd =
	    openat(maker->root_fd, walk->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int status = 0;

	if (directory == NULL) {
		status = -errno;
		if (fd >= 0)
			(void)close(fd);
		return status;
	}
	while (status == 0 &&
	       (entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		char path[PLAIN_WALK_PATH_SIZE + NAME_MAX + 2];
		struct vtree_node found;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    vtree_lookup(walk->shape, walk->node, entry->d_name, &found) == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", walk->path, entry->d_name);
		status = plain_tree_retire(maker->root_fd, path);
	}
	(void)closedir(directory);
	return status;
}

/* Whether a link that is there leads where it should. */
static bool plain_tree_leads(const struct maker *maker, const struct plain_walk *walk)
{
	char wanted[VTREE_LINK_SIZE], target[VTREE_LINK_SIZE];
	int length = vtree_link(walk->shape, walk->node, wanted);
	ssize_t got = readlinkat(maker->root_fd, walk->path, target, sizeof(target));

	return length > 0 && got == length && memcmp(wanted, target, (size_t)length) == 0;
}

static bool plain_tree_fits(const struct maker *maker, const struct plain_walk *walk,
			    const struct stat *there)
{
	if ((there->st_mode & S_IFMT) != (walk->attributes.mode & S_IFMT))
		return false;
	if (S_ISREG(there->st_mode))
		return there->st_size > 0 && there->st_size <= VTREE_CONTENT_SIZE;
	return !S_ISLNK(there->st_mode) || plain_tree_leads(maker, walk);
}

static int plain_tree_mend(const struct maker *maker, struct plain_walk *walk)
{
	mode_t mode = walk->attributes.mode;
	struct stat there;
	int status = 0;

	if (fstatat(maker->root_fd, walk->path, &there, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
	} else if (plain_tree_fits(maker, walk, &there)) {
		if (S_ISDIR(mode))
			return plain_tree_sweep(maker, walk);
		if (S_ISREG(mode) && there.st_mode != mode &&
		    fchmodat(maker->root_fd, walk->path, mode & MODE_MASK, 0) < 0)
			return -errno;
		return 0;
	} else {
		status = plain_tree_retire(maker->root_fd, walk->path);
	}
	if (S_ISDIR(mode))
		plain_walk_skip(walk);
	return status < 0 ? status : plain_tree_add(maker, walk->path, walk->node);
}

/* The place where things are made and taken apart is not among the trees but for as long as it is
 * needed. */
static int plain_tree_begin(int root_fd)
{
	return mkdirat(root_fd, PLAIN_TREE_STAGING, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void plain_tree_end(int root_fd)
{
	(void)unlinkat(root_fd, PLAIN_TREE_STAGING, AT_REMOVEDIR);
}

int plain_tree_sync(int root_fd, const char *top, const struct vtree_values *values)
{
	const struct maker maker = {.root_fd = root_fd, .values = values};
	struct plain_walk walk;
	int status = plain_tree_begin(root_fd);

	plain_walk_begin(&walk, &values->shape, top, vtree_root());
	while (status == 0 && plain_walk_next(&walk))
		status = plain_tree_mend(&maker, &walk);
	plain_tree_end(root_fd);
	return status;
}

/* Whether the directory is a zone's and its `name` there says that it is another's. */
static bool plain_tree_is_anothers(const struct maker *maker, const struct plain_walk *walk)
{
	char there[VTREE_CONTENT_SIZE + 1], wanted[VTREE_CONTENT_SIZE];
	char path[PLAIN_WALK_PATH_SIZE + sizeof("/name")];
	struct vtree_node name;
	size_t length;
	int size;

	if (vtree_lookup(walk->shape, walk->node, "name", &name) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/name", walk->path);
	if (file_read_at(maker->root_fd, path, there, sizeof(there), &length) < 0)
		return false;
	size = vtree_content(maker->values, name, wanted);
	return size != (int)length || memcmp(there, wanted, length) != 0;
}

int plain_tree_discard(int root_fd, const char *top, const struct vtree_values *values)
{
	const struct maker maker = {.root_fd = root_fd, .values = values};
	struct plain_walk walk;
	int status = plain_tree_begin(root_fd);

	plain_walk_begin(&walk, &values->shape, top, vtree_root());
	while (status == 0 && plain_walk_next(&walk)) {
		if (!S_ISDIR(walk.attributes.mode) || !plain_tree_is_anothers(&maker, &walk))
			continue;
		plain_walk_skip(&walk);
		status = plain_tree_retire(root_fd, walk.path);
	}
	plain_tree_end(root_fd);
	return status;
}
