/* Control groups that came: found in the directory of what they lie in. */
#include "guest/cgroup_times_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a: names are compared where it is the same. */
static uint32_t cgroup_list_hash(const char *name)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return hash;
}

static struct cgroup_node **cgroup_list_bucket(struct cgroup_times *times,
					       const struct cgroup_node *parent, uint32_t hash)
{
	uint32_t serial = (uint32_t)parent->serial;

	return &times->known[(hash ^ serial * UINT32_C(2654435761)) % CGROUP_BUCKETS];
}

void cgroup_list_link(struct cgroup_times *times, struct cgroup_node *node)
{
	struct cgroup_node **bucket = cgroup_list_bucket(times, node->parent, node->name_hash);

	node->next_sibling = node->parent->first_child;
	node->parent->first_child = node;
	node->next_known = *bucket;
	*bucket = node;
}

static bool cgroup_list_knows(struct cgroup_times *times, const struct cgroup_node *parent,
			      const char *name)
{
	uint32_t hash = cgroup_list_hash(name);

	for (const struct cgroup_node *child = *cgroup_list_bucket(times, parent, hash);
	     child != NULL; child = child->next_known)
		if (child->parent == parent && child->name_hash == hash && !child->gone &&
		    strcmp(child->path + child->name, name) == 0)
			return true;
	return false;
}

/* 0, also where it cannot have a place; -ENOSPC: it could, if there were one; -ENOMEM. */
static int cgroup_list_add(struct cgroup_times *times, struct cgroup_node *parent, const char *name,
			   bool used)
{
	size_t length = parent->parent == NULL ? 0 : strlen(parent->path);
	char path[CGROUP_PATH_SIZE];
	struct cgroup_node *node;
	struct stat status;

	if (parent->depth == CGROUP_DEPTH_MAX || length + 1 + strlen(name) >= CGROUP_PATH_SIZE)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*s/%s", (int)length, parent->path, name);
	/* It may have gone meanwhile. */
	if (fstatat(times->mounts->time_fd, path + 1, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!cgroup_places_make(times, parent, used))
		return -ENOSPC;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	memcpy(node->path, path, sizeof(path));
	node->name = length + 1;
	node->name_hash = cgroup_list_hash(name);
	node->parent = parent;
	node->fd = -1;
	node->serial = ++times->serial;
	node->inode = status.st_ino;
	node->links = status.st_nlink;
	node->depth = parent->depth + 1;
	/* Below what was born everything was, too. */
	node->born = times->stepped && (parent->listed || parent->born);
	node->list = true;
	node->index = times->count;
	cgroup_list_link(times, node);
	times->nodes[times->count++] = node;
	cgroup_places_enter(times, node);
	return 0;
}

/* Whether one that has no place has ever used time. */
static bool cgroup_list_has_used(const struct cgroup_times *times, const struct cgroup_node *parent,
				 const char *name)
{
	char path[CGROUP_PATH_SIZE];
	uint64_t usage_ns = 0;

	return (size_t)snprintf(path, sizeof(path), "%s/%s", cgroup_node_relative(parent), name) <
		   sizeof(path) &&
	       cgroup_times_read_usage(times, path, &usage_ns) == 0 && usage_ns > 0;
}

/* One name in a directory that is not known: 0; -ENOSPC: it gets no place; or -ENOMEM. */
static int cgroup_list_meet(struct cgroup_times *times, struct cgroup_node *parent,
			    const char *name, size_t unknown)
{
	int status = cgroup_list_add(times, parent, name, false);

	if (status != -ENOSPC || !cgroup_places_ask(times, parent) || unknown < parent->skipped)
		return status;
	times->tried++;
	parent->skipped = unknown + 1;
	return cgroup_list_has_used(times, parent, name)
		   ? cgroup_list_add(times, parent, name, true)
		   : -ENOSPC;
}

int cgroup_list_children(struct cgroup_times *times, struct cgroup_node *node)
{
	const struct dirent *entry;
	size_t unknown = 0;
	bool whole = true;
	int result = 0;
	DIR *list;
	int fd;

	/* Those for which there was no room are looked for when they may get some: whoever makes
	 * very many would stop us here. */
	if (!cgroup_places_worthwhile(times, node)) {
		node->listed = false;
		return 0;
	}
	fd = openat(times->mounts->time_fd, cgroup_node_relative(node),
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	node->list = false;
	if (fd < 0)
		return 0;
	list = fdopendir(fd);
	if (list == NULL) {
		(void)close(fd);
		return -errno;
	}
	while (whole && (entry = readdir(list)) != NULL) {
		int status;

		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    cgroup_list_knows(times, node, entry->d_name))
			continue;
		status = cgroup_list_meet(times, node, entry->d_name, unknown++);
		if (status < 0 && result != -ENOMEM)
			result = status;
		whole = status != -ENOSPC || cgroup_places_ask(times, node);
	}
	(void)closedir(list);
	if (whole)
		node->skipped = 0;
	/* One that was in it may have had to go. */
	node->list = node->list || result < 0;
	node->listed = !node->list;
	return result == -ENOSPC ? 0 : result;
}
