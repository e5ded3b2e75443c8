#include "guest/cgroup_times.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "guest/cgroup_path.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUP_STAT_SIZE 4096

static_assert(CGROUP_FILE_PATH_SIZE > CGROUP_PATH_SIZE + sizeof("/memory.usage_in_bytes"),
	      "every file's path fits");

__extension__ typedef unsigned __int128 wide;

struct cgroup_node {
	wide heirs; /* the weights of those that went, in the division of its growth */
	char path[CGROUP_PATH_SIZE];
	size_t name;		    /* where in it the name begins */
	struct cgroup_node *parent; /* NULL: the root */
	struct cgroup_node *first_child;
	struct cgroup_node *next_sibling;
	size_t index;
	uint64_t serial;
	uint64_t inode;
	uint64_t links;
	/* Sums; they wrap like counters, and only differences count. */
	uint64_t usage_ns;
	uint64_t gone_ns; /* what its children had used that went */
	uint64_t told_ns; /* of its own */
	uint64_t children_ns;
	uint64_t growth_ns;
	uint64_t previous_growth_ns;
	uint64_t unseen_ns;
	uint32_t owner;
	uint32_t name_hash;
	unsigned int depth;
	int fd; /* of what tells its usage, or -1 */
	bool gone;
	bool list;   /* its children are to be looked for */
	bool listed; /* that was done once, and there was room for all */
	bool known;  /* its usage could be read once */
	bool born;   /* first seen in this step, and its life began after the step before */
};

struct cgroup_times {
	const struct cgroup_mounts *mounts;
	size_t count;
	struct cgroup_node *nodes[CGROUP_TIMES_MAX]; /* parents before their children */
	size_t descriptors;
	uint64_t serial; /* the last that was given */
	bool stepped;
};

static const char *cgroup_node_relative(const struct cgroup_node *node)
{
	return node->parent == NULL ? "." : node->path + 1;
}

static void cgroup_node_file(const struct cgroup_node *node, const char *name,
			     char ret_path[static CGROUP_FILE_PATH_SIZE])
{
	(void)snprintf(ret_path, CGROUP_FILE_PATH_SIZE, "%s/%s", cgroup_node_relative(node), name);
}

static void cgroup_node_close(struct cgroup_times *times, struct cgroup_node *node)
{
	if (node->fd < 0)
		return;
	(void)close(node->fd);
	node->fd = -1;
	times->descriptors--;
}

int cgroup_times_create(const struct cgroup_mounts *mounts, struct cgroup_times **ret_times)
{
	cleanup_cgroup_times struct cgroup_times *times = calloc(1, sizeof(*times));
	struct cgroup_node *root;

	if (times == NULL)
		return -ENOMEM;
	times->mounts = mounts;
	root = calloc(1, sizeof(*root));
	if (root == NULL)
		return -ENOMEM;
	root->path[0] = '/';
	root->fd = -1;
	root->list = true;
	times->nodes[times->count++] = root;
	*ret_times = TAKE_PTR(times);
	return 0;
}

void cgroup_times_destroy(struct cgroup_times *times)
{
	if (times == NULL)
		return;
	for (size_t i = 0; i < times->count; i++) {
		cgroup_node_close(times, times->nodes[i]);
		free(times->nodes[i]);
	}
	free(times);
}

/* FNV-1a: names are compared where it is the same. */
static uint32_t cgroup_name_hash(const char *name)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return hash;
}

/* Takes those out that were told to have gone, and the others together. */
static void cgroup_times_drop(struct cgroup_times *times)
{
	size_t kept = 0;

	for (size_t i = 0; i < times->count; i++) {
		struct cgroup_node *node = times->nodes[i];

		if (node->gone) {
			cgroup_node_close(times, node);
			free(node);
			continue;
		}
		node->first_child = NULL;
		node->index = kept;
		node->born = false;
		node->children_ns = 0;
		node->heirs = 0;
		node->previous_growth_ns = node->growth_ns;
		node->growth_ns = 0;
		times->nodes[kept++] = node;
	}
	times->count = kept;
	for (size_t i = 1; i < kept; i++) {
		struct cgroup_node *node = times->nodes[i];

		node->next_sibling = node->parent->first_child;
		node->parent->first_child = node;
	}
}

/* Who is still there, and who has other children than before. */
static void cgroup_times_check(struct cgroup_times *times, struct cgroup_node *node)
{
	struct stat status = {.st_ino = 0};
	bool there = (node->parent == NULL || !node->parent->gone) &&
		     fstatat(times->mounts->time_fd, cgroup_node_relative(node), &status,
			     AT_SYMLINK_NOFOLLOW) == 0;

	/* The root is there as long as its descriptor is. */
	if (node->parent != NULL && (!there || status.st_ino != node->inode)) {
		node->gone = true;
		if (!node->parent->gone) {
			/* Its name may have been given again. */
			node->parent->list = true;
			node->parent->gone_ns += node->usage_ns;
		}
		return;
	}
	/* kernfs counts a directory's children in its links; where that is not so there is one. */
	if (there && (status.st_nlink != node->links || status.st_nlink < 2))
		node->list = true;
	node->links = status.st_nlink;
}

static bool cgroup_times_knows(const struct cgroup_node *parent, const char *name, uint32_t hash)
{
	for (const struct cgroup_node *child = parent->first_child; child != NULL;
	     child = child->next_sibling)
		if (child->name_hash == hash && !child->gone &&
		    strcmp(child->path + child->name, name) == 0)
			return true;
	return false;
}

static int cgroup_times_add(struct cgroup_times *times, struct cgroup_node *parent,
			    const char *name, bool born)
{
	size_t length = parent->parent == NULL ? 0 : strlen(parent->path);
	struct cgroup_node *node;
	struct stat status;

	if (times->count == CGROUP_TIMES_MAX || parent->depth == CGROUP_DEPTH_MAX ||
	    length + 1 + strlen(name) >= CGROUP_PATH_SIZE)
		return -ENOSPC;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	(void)snprintf(node->path, sizeof(node->path), "%.*s/%s", (int)length, parent->path, name);
	node->name = length + 1;
	node->name_hash = cgroup_name_hash(name);
	node->parent = parent;
	node->fd = -1;
	/* It may have gone meanwhile. */
	if (fstatat(times->mounts->time_fd, node->path + 1, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		free(node);
		return 0;
	}
	node->serial = ++times->serial;
	node->inode = status.st_ino;
	node->links = status.st_nlink;
	node->depth = parent->depth + 1;
	node->born = born;
	node->list = true;
	node->index = times->count;
	node->next_sibling = parent->first_child;
	parent->first_child = node;
	times->nodes[times->count++] = node;
	return 0;
}

static int cgroup_times_list(struct cgroup_times *times, struct cgroup_node *node)
{
	/* Below what was born everything was, too. */
	bool born = times->stepped && (node->listed || node->born);
	cleanup_fd int fd = openat(times->mounts->time_fd, cgroup_node_relative(node),
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct dirent *entry;
	int result = 0;
	DIR *list;

	/* It is looked at again when there is room: whoever makes very many would stop us here. */
	if (times->count == CGROUP_TIMES_MAX) {
		node->listed = false;
		return 0;
	}
	node->list = false;
	if (fd < 0)
		return 0;
	list = fdopendir(fd);
	if (list == NULL)
		return -errno;
	fd = -1;
	while ((entry = readdir(list)) != NULL) {
		int status;

		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    cgroup_times_knows(node, entry->d_name, cgroup_name_hash(entry->d_name)))
			continue;
		status = cgroup_times_add(times, node, entry->d_name, born);
		if (status < 0)
			result = status;
		if (times->count == CGROUP_TIMES_MAX) {
			result = result < 0 ? result : -ENOSPC;
			break;
		}
	}
	(void)closedir(list);
	node->listed = result == 0;
	/* Those for which there was no room are looked for again. */
	node->list = result < 0;
	return result == -ENOSPC ? 0 : result;
}

static int cgroup_times_parse(enum cgroup_version version, const char *text, uint64_t *ret_ns)
{
	const char *cursor;
	uint64_t value;
	int status;

	if (version == CGROUP_V1)
		return parse_u64_line(text, ret_ns);
	cursor = strstr(text, "usage_usec ");
	if (cursor == NULL)
		return -EBADMSG;
	cursor += strlen("usage_usec ");
	status = parse_next_u64(&cursor, &value);
	if (status < 0)
		return status;
	if (__builtin_mul_overflow(value, UINT64_C(1000), ret_ns))
		return -ERANGE;
	return 0;
}

/* What cannot be read keeps its value: it may be going right now. */
static void cgroup_times_read(struct cgroup_times *times, struct cgroup_node *node)
{
	enum cgroup_version version = times->mounts->version;
	char path[CGROUP_FILE_PATH_SIZE], text[CGROUP_STAT_SIZE];
	uint64_t usage_ns;
	size_t length;
	int fd = node->fd;
	int status;

	if (node->parent == NULL && version != CGROUP_V1)
		return;
	if (fd < 0) {
		cgroup_node_file(node, version == CGROUP_V1 ? "cpuacct.usage" : "cpu.stat", path);
		fd = openat(times->mounts->time_fd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
	}
	status = file_pread_all(fd, text, sizeof(text), &length);
	if (node->fd < 0 && times->descriptors < CGROUP_DESCRIPTOR_MAX) {
		node->fd = fd;
		times->descriptors++;
	} else if (node->fd < 0) {
		(void)close(fd);
	}
	if (status < 0 || cgroup_times_parse(version, text, &usage_ns) < 0)
		return;
	node->usage_ns = usage_ns;
	node->known = true;
}

/* Children first, so that their usage is not more than what their parent's is made of. */
static void cgroup_times_tell(struct cgroup_times *times, struct cgroup_node *node)
{
	bool known = node->known;
	uint64_t own_ns;

	if (node->gone)
		return;
	cgroup_times_read(times, node);
	own_ns = node->usage_ns - node->children_ns - node->gone_ns;
	if (node->parent != NULL)
		node->parent->children_ns += node->usage_ns;
	else if (times->mounts->version != CGROUP_V1)
		return;
	if (!known && !node->born) {
		/* It was there before, and its parent told what it used. */
		node->told_ns = own_ns;
		if (node->parent != NULL)
			node->parent->told_ns -= node->usage_ns;
		return;
	}
	if ((int64_t)(own_ns - node->told_ns) <= 0)
		return;
	node->growth_ns = own_ns - node->told_ns;
	node->told_ns = own_ns;
}

static struct cgroup_node *cgroup_node_survivor(struct cgroup_node *node)
{
	while (node->gone)
		node = node->parent;
	return node;
}

static uint64_t cgroup_node_heir_weight(const struct cgroup_node *node)
{
	return node->previous_growth_ns < UINT64_MAX ? node->previous_growth_ns + 1 : UINT64_MAX;
}

/* What a parent's growth has of those that went. */
static void cgroup_times_bequeath(struct cgroup_times *times)
{
	for (size_t i = 0; i < times->count; i++)
		if (times->nodes[i]->gone)
			cgroup_node_survivor(times->nodes[i])->heirs +=
			    cgroup_node_heir_weight(times->nodes[i]);
	for (size_t i = 0; i < times->count; i++) {
		struct cgroup_node *node = times->nodes[i];
		uint64_t weight = cgroup_node_heir_weight(node);
		struct cgroup_node *survivor;
		wide total;

		if (!node->gone)
			continue;
		survivor = cgroup_node_survivor(node);
		total = survivor->heirs + survivor->previous_growth_ns;
		/* Of what is left, and then one heir less: so it adds up. */
		node->growth_ns =
		    (uint64_t)((wide)survivor->growth_ns * (weight >> 1) / ((total >> 1) + 1));
		if (survivor->previous_growth_ns == 0 && survivor->heirs == weight)
			node->growth_ns = survivor->growth_ns;
		survivor->heirs -= weight;
		survivor->growth_ns -= node->growth_ns;
	}
}

int cgroup_times_step(struct cgroup_times *times)
{
	int result = 0;

	if (times->mounts->version == CGROUP_NONE)
		return 0;
	if (times->stepped)
		cgroup_times_drop(times);
	for (size_t i = 0; i < times->count; i++)
		cgroup_times_check(times, times->nodes[i]);
	/* Also those that are found on the way. */
	for (size_t i = 0; i < times->count; i++) {
		int status = 0;

		if (!times->nodes[i]->gone && times->nodes[i]->list)
			status = cgroup_times_list(times, times->nodes[i]);
		if (status < 0)
			result = status;
	}
	for (size_t i = times->count; i > 0; i--)
		cgroup_times_tell(times, times->nodes[i - 1]);
	cgroup_times_bequeath(times);
	for (size_t i = 0; i < times->count; i++)
		times->nodes[i]->unseen_ns =
		    features_sum(times->nodes[i]->unseen_ns, times->nodes[i]->growth_ns);
	times->stepped = true;
	return result;
}

size_t cgroup_times_count(const struct cgroup_times *times)
{
	return times->count;
}

struct cgroup_time cgroup_times_get(struct cgroup_times *times, size_t index)
{
	struct cgroup_node *node;

	assert(index < times->count);
	node = times->nodes[index];
	return (struct cgroup_time){.path = node->path,
				    .gone = node->gone,
				    .growth_ns = node->growth_ns,
				    .serial = node->serial,
				    .unseen_ns = &node->unseen_ns,
				    .owner = &node->owner};
}

int cgroup_times_find(const struct cgroup_times *times, const char *path)
{
	for (size_t i = 0; i < times->count; i++)
		if (!times->nodes[i]->gone && strcmp(times->nodes[i]->path, path) == 0)
			return (int)i;
	return -ENOENT;
}

size_t cgroup_times_parent(const struct cgroup_times *times, size_t index)
{
	assert(index < times->count);
	return times->nodes[index]->parent != NULL ? times->nodes[index]->parent->index : 0;
}

uint64_t cgroup_times_memory(const struct cgroup_times *times, size_t index)
{
	char path[CGROUP_FILE_PATH_SIZE], text[32];
	uint64_t bytes = 0;

	assert(index < times->count);
	if (times->mounts->memory_fd < 0)
		return 0;
	cgroup_node_file(times->nodes[index],
			 times->mounts->memory_version == CGROUP_V1 ? "memory.usage_in_bytes"
								    : "memory.current",
			 path);
	if (file_read_line_at(times->mounts->memory_fd, path, text, sizeof(text)) < 0 ||
	    parse_u64(text, &bytes) < 0)
		return 0;
	return bytes;
}

int cgroup_times_processes(const struct cgroup_times *times, size_t index,
			   char ret_path[static CGROUP_FILE_PATH_SIZE])
{
	assert(index < times->count);
	cgroup_node_file(times->nodes[index], "cgroup.procs", ret_path);
	return times->mounts->time_fd;
}
