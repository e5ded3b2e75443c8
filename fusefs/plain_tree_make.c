/*
 * plain_tree_make.c: directories, files and links as vtree.h describes them, on disk.
 *
 * Only this process writes there, so paths are walked as strings: nobody can put a link into them.
 */
#include "common/cleanup.h"
#include "common/file.h"
#include "fusefs/plain_tree_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define STAGED	PLAIN_TREE_STAGING "/made"
#define RETIRED PLAIN_TREE_STAGING "/retired"

struct maker {
	int root_fd;
	const struct vtree_values *values;
};

static int plain_tree_join(char ret_path[static PLAIN_TREE_PATH_SIZE], const char *directory,
			   const char *name)
{
	int length = snprintf(ret_path, PLAIN_TREE_PATH_SIZE, "%s/%s", directory, name);

	return length < PLAIN_TREE_PATH_SIZE ? 0 : -ENAMETOOLONG;
}

static bool plain_tree_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *plain_tree_list(int root_fd, const char *path)
{
	int fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL && fd >= 0)
		(void)close(fd);
	return directory;
}

static int plain_tree_remove_directory(int root_fd, const char *path)
{
	DIR *directory = plain_tree_list(root_fd, path);
	const struct dirent *entry;
	int status = 0;

	if (directory == NULL)
		return -errno;
	while (status == 0 &&
	       (entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		char child[PLAIN_TREE_PATH_SIZE];

		if (plain_tree_is_dot(entry->d_name))
			continue;
		status = plain_tree_join(child, path, entry->d_name);
		if (status == 0)
			status = plain_tree_remove(root_fd, child);
	}
	(void)closedir(directory);
	if (status == 0 && unlinkat(root_fd, path, AT_REMOVEDIR) < 0)
		status = -errno;
	return status;
}

int plain_tree_remove(int root_fd, const char *path)
{
	if (unlinkat(root_fd, path, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR ? plain_tree_remove_directory(root_fd, path) : -errno;
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

static int plain_tree_make_file(const struct maker *maker, const char *path, struct vtree_node node,
				mode_t mode)
{
	char text[VTREE_CONTENT_SIZE];
	int length = vtree_content(maker->values, node, text);
	cleanup_fd int fd = -1;

	if (length < 0)
		return length;
	fd = openat(maker->root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 07777);
	if (fd < 0)
		return -errno;
	return file_write_all(fd, text, (size_t)length);
}

static int plain_tree_make_link(const struct maker *maker, const char *path, struct vtree_node node)
{
	char target[VTREE_LINK_SIZE];
	int length = vtree_link(&maker->values->shape, node, target);

	if (length < 0)
		return length;
	return symlinkat(target, maker->root_fd, path) < 0 ? -errno : 0;
}

/* Makes the entry with all that is in it, where nothing is yet. */
static int plain_tree_make(const struct maker *maker, const char *path, struct vtree_node node)
{
	const struct vtree_shape *shape = &maker->values->shape;
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	int status = vtree_attributes(shape, node, &attributes);

	if (status < 0)
		return status;
	if (S_ISREG(attributes.mode))
		return plain_tree_make_file(maker, path, node, attributes.mode);
	if (S_ISLNK(attributes.mode))
		return plain_tree_make_link(maker, path, node);
	/* As in sysfs, 0755: the owner adds what the tree may get later. */
	if (mkdirat(maker->root_fd, path, (attributes.mode & 07777) | S_IWUSR) < 0)
		return -errno;
	for (size_t i = 0; vtree_list(shape, node, i, &entry) == 0; i++) {
		char child[PLAIN_TREE_PATH_SIZE];

		status = plain_tree_join(child, path, entry.name);
		if (status == 0)
			status = plain_tree_make(maker, child, entry.node);
		if (status < 0)
			return status;
	}
	return 0;
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

static int plain_tree_sync_entry(const struct maker *maker, const char *path,
				 struct vtree_node node);

/* Removes what has no place in the directory. */
static int plain_tree_sweep(const struct maker *maker, const char *path, struct vtree_node node)
{
	DIR *directory = plain_tree_list(maker->root_fd, path);
	const struct dirent *entry;
	int status = 0;

	if (directory == NULL)
		return -errno;
	while (status == 0 &&
	       (entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		char child[PLAIN_TREE_PATH_SIZE];
		struct vtree_node found;

		if (plain_tree_is_dot(entry->d_name) ||
		    vtree_lookup(&maker->values->shape, node, entry->d_name, &found) == 0)
			continue;
		status = plain_tree_join(child, path, entry->d_name);
		if (status == 0)
			status = plain_tree_retire(maker->root_fd, child);
	}
	(void)closedir(directory);
	return status;
}

static int plain_tree_sync_directory(const struct maker *maker, const char *path,
				     struct vtree_node node)
{
	struct vtree_entry entry;

	for (size_t i = 0; vtree_list(&maker->values->shape, node, i, &entry) == 0; i++) {
		char child[PLAIN_TREE_PATH_SIZE];
		int status = plain_tree_join(child, path, entry.name);

		if (status == 0)
			status = plain_tree_sync_entry(maker, child, entry.node);
		if (status < 0)
			return status;
	}
	return plain_tree_sweep(maker, path, node);
}

/* Whether a link that is there leads where it should. */
static bool plain_tree_leads(const struct maker *maker, const char *path, struct vtree_node node)
{
	char wanted[VTREE_LINK_SIZE], target[VTREE_LINK_SIZE];
	int length = vtree_link(&maker->values->shape, node, wanted);
	ssize_t got = readlinkat(maker->root_fd, path, target, sizeof(target));

	return length > 0 && got == length && memcmp(wanted, target, (size_t)length) == 0;
}

static int plain_tree_replace(const struct maker *maker, const char *path, struct vtree_node node)
{
	int status = plain_tree_retire(maker->root_fd, path);

	return status < 0 ? status : plain_tree_add(maker, path, node);
}

static int plain_tree_sync_entry(const struct maker *maker, const char *path,
				 struct vtree_node node)
{
	struct vtree_attributes attributes;
	struct stat there;
	int status = vtree_attributes(&maker->values->shape, node, &attributes);

	if (status < 0)
		return status;
	if (fstatat(maker->root_fd, path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? plain_tree_add(maker, path, node) : -errno;
	if ((there.st_mode & S_IFMT) != (attributes.mode & S_IFMT) ||
	    (S_ISREG(there.st_mode) && there.st_size == 0) ||
	    (S_ISLNK(there.st_mode) && !plain_tree_leads(maker, path, node)))
		return plain_tree_replace(maker, path, node);
	if (S_ISDIR(there.st_mode))
		return plain_tree_sync_directory(maker, path, node);
	if (S_ISREG(there.st_mode) && there.st_mode != attributes.mode &&
	    fchmodat(maker->root_fd, path, attributes.mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

int plain_tree_sync(int root_fd, const char *top, const struct vtree_values *values)
{
	const struct maker maker = {.root_fd = root_fd, .values = values};
	int status;

	if (mkdirat(root_fd, PLAIN_TREE_STAGING, 0700) < 0 && errno != EEXIST)
		return -errno;
	status = plain_tree_sync_entry(&maker, top, vtree_root());
	/* It is not among the trees but for as long as it is needed. */
	(void)unlinkat(root_fd, PLAIN_TREE_STAGING, AT_REMOVEDIR);
	return status;
}

/* --- walks --- */

static int plain_tree_walk_node(const struct vtree_shape *shape, const char *path,
				struct vtree_node node, plain_tree_visit *visit, void *context)
{
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	int status = vtree_attributes(shape, node, &attributes);

	if (status == 0 && S_ISREG(attributes.mode))
		return visit(context, path, node);
	if (status < 0 || S_ISLNK(attributes.mode))
		return status;
	for (size_t i = 0; vtree_list(shape, node, i, &entry) == 0; i++) {
		char child[PLAIN_TREE_PATH_SIZE];

		status = plain_tree_join(child, path, entry.name);
		if (status == 0)
			status = plain_tree_walk_node(shape, child, entry.node, visit, context);
		if (status < 0)
			return status;
	}
	return 0;
}

int plain_tree_walk(const struct vtree_shape *shape, const char *top, plain_tree_visit *visit,
		    void *context)
{
	return plain_tree_walk_node(shape, top, vtree_root(), visit, context);
}

/* The zone's directory, if its `name` says that it is another's. */
static int plain_tree_discard_zone(void *context, const char *path, struct vtree_node node)
{
	static const char name[] = "/name";
	const struct maker *maker = context;
	char there[VTREE_CONTENT_SIZE + 1], wanted[VTREE_CONTENT_SIZE];
	char directory[PLAIN_TREE_PATH_SIZE];
	size_t length = strlen(path), got;
	int size;

	if (length < sizeof(name) || strcmp(path + length - strlen(name), name) != 0)
		return 0;
	size = vtree_content(maker->values, node, wanted);
	if (size < 0)
		return size;
	if (file_read_at(maker->root_fd, path, there, sizeof(there), &got) < 0 ||
	    (got == (size_t)size && memcmp(there, wanted, got) == 0))
		return 0;
	(void)snprintf(directory, sizeof(directory), "%.*s", (int)(length - strlen(name)), path);
	return plain_tree_retire(maker->root_fd, directory);
}

int plain_tree_discard(int root_fd, const char *top, const struct vtree_values *values)
{
	struct maker maker = {.root_fd = root_fd, .values = values};
	int status;

	if (mkdirat(root_fd, PLAIN_TREE_STAGING, 0700) < 0 && errno != EEXIST)
		return -errno;
	status = plain_tree_walk(&values->shape, top, plain_tree_discard_zone, &maker);
	(void)unlinkat(root_fd, PLAIN_TREE_STAGING, AT_REMOVEDIR);
	return status;
}
