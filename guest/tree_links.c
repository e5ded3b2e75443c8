#include "guest/tree_links.h"
#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TREE_LINKS_CLASS   "class/powercap"
#define TREE_LINKS_DEVICES "devices/virtual/powercap"

/* One walk down the devices. */
struct tree_links {
	int tree_fd;
	int into_fd;
	size_t count;
	char path[PATH_MAX]; /* of the directory at hand, from the tree's top */
};

/* The directory as the tree has it; that it is there already is no error. */
static int tree_links_make_directory(const struct tree_links *links, const char *path)
{
	struct stat attributes;

	if (fstatat(links->tree_fd, path, &attributes, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(attributes.st_mode))
		return -ENOTDIR;
	if (mkdirat(links->into_fd, path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* An overlay shows the uppermost layer's mode. */
	if (fchmodat(links->into_fd, path, attributes.st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static int tree_links_make_leading(const struct tree_links *links)
{
	static const char *const paths[] = {"class", TREE_LINKS_CLASS, "devices", "devices/virtual",
					    TREE_LINKS_DEVICES};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int status = tree_links_make_directory(links, paths[i]);

		if (status < 0)
			return status;
	}
	return 0;
}

static int tree_links_add(struct tree_links *links, const char *target, const char *path)
{
	if (links->count >= TREE_LINKS_MAX)
		return -E2BIG;
	if (symlinkat(target, links->into_fd, path) < 0)
		return -errno;
	links->count++;
	return 0;
}

/* The class's link to the device at hand, where the tree lists one. */
static int tree_links_add_flat(struct tree_links *links, const char *name)
{
	char path[sizeof(TREE_LINKS_CLASS) + NAME_MAX + 1];
	char target[PATH_MAX + sizeof("../../")];
	struct stat attributes;

	(void)snprintf(path, sizeof(path), TREE_LINKS_CLASS "/%s", name);
	(void)snprintf(target, sizeof(target), "../../%s", links->path);
	if (fstatat(links->tree_fd, path, &attributes, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return tree_links_add(links, target, path);
}

/* "../../../../class/powercap" for a device two directories below devices/virtual. */
static void tree_links_format_subsystem(const char *directory, char *target, size_t size)
{
	size_t used = (size_t)snprintf(target, size, "..");

	for (const char *c = directory; *c != '\0' && used < size; c++)
		if (*c == '/')
			used += (size_t)snprintf(target + used, size - used, "/..");
	if (used < size)
		(void)snprintf(target + used, size - used, "/" TREE_LINKS_CLASS);
}

/* "../../intel-rapl:0" for a device below that. */
static void tree_links_format_parent(const char *directory, char *target, size_t size)
{
	const char *end = strrchr(directory, '/');
	const char *start = end;

	while (start > directory && start[-1] != '/')
		start--;
	(void)snprintf(target, size, "../../%.*s", end == NULL ? 0 : (int)(end - start), start);
}

/* A link that the tree lists in the directory at hand; one of another name is left as it is. */
static int tree_links_add_own(struct tree_links *links, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2];
	char target[PATH_MAX];

	if (strcmp(name, "subsystem") == 0)
		tree_links_format_subsystem(links->path, target, sizeof(target));
	else if (strcmp(name, "device") == 0)
		tree_links_format_parent(links->path, target, sizeof(target));
	else
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", links->path, name);
	return tree_links_add(links, target, path);
}

/* The entry's type, which some file systems tell with the name. */
static int tree_links_type(int directory_fd, const struct dirent *entry, mode_t *ret_type)
{
	struct stat attributes;

	if (entry->d_type == DT_UNKNOWN) {
		if (fstatat(directory_fd, entry->d_name, &attributes, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		*ret_type = attributes.st_mode & S_IFMT;
		return 0;
	}
	*ret_type = (mode_t)DTTOIF(entry->d_type);
	return 0;
}

static DIR *tree_links_open(const struct tree_links *links)
{
	cleanup_fd int fd =
	    openat(links->tree_fd, links->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;

	if (list != NULL)
		(void)TAKE_FD(fd);
	return list;
}

static int tree_links_walk(struct tree_links *links, unsigned int depth);

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than TREE_LINKS_DEPTH_MAX. */
static int tree_links_enter(struct tree_links *links, const char *name, unsigned int depth)
{
	size_t length = strlen(links->path);
	int status;

	if (length + 1 + strlen(name) >= sizeof(links->path))
		return -ENAMETOOLONG;
	(void)snprintf(links->path + length, sizeof(links->path) - length, "/%s", name);
	status = tree_links_make_directory(links, links->path);
	if (status == 0)
		status = tree_links_add_flat(links, name);
	if (status == 0)
		status = tree_links_walk(links, depth + 1);
	links->path[length] = '\0';
	return status;
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than TREE_LINKS_DEPTH_MAX. */
static int tree_links_walk(struct tree_links *links, unsigned int depth)
{
	const struct dirent *entry;
	int status = 0;
	DIR *list;

	if (depth > TREE_LINKS_DEPTH_MAX)
		return -E2BIG;
	list = tree_links_open(links);
	if (list == NULL)
		return -errno;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while (status == 0 && (entry = readdir(list)) != NULL) {
		mode_t type = 0;

		if (entry->d_name[0] == '.')
			continue;
		status = tree_links_type(dirfd(list), entry, &type);
		if (status == 0 && S_ISDIR(type))
			status = tree_links_enter(links, entry->d_name, depth);
		else if (status == 0 && S_ISLNK(type))
			status = tree_links_add_own(links, entry->d_name);
	}
	(void)closedir(list);
	return status;
}

int tree_links_make(int tree_fd, int into_fd, struct diag *diag)
{
	struct tree_links links = {
	    .tree_fd = tree_fd, .into_fd = into_fd, .path = TREE_LINKS_DEVICES};
	int status = tree_links_make_leading(&links);

	if (status == 0)
		status = tree_links_walk(&links, 0);
	if (status < 0)
		return diag_error(diag, status,
				  "cannot make the tree's links, which the share does not carry: "
				  "%s: %s",
				  links.path, strerror(-status));
	return 0;
}
