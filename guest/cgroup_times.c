#include "common/cleanup.h"
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "guest/cgroup_times_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUP_STAT_SIZE 4096

static_assert(CGROUP_FILE_PATH_SIZE > CGROUP_PATH_SIZE + sizeof("/memory.usage_in_bytes"),
	      "every file's path fits");

const char *cgroup_node_relative(const struct cgroup_node *node)
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
	times->places_max = CGROUP_TIMES_MAX;
	root = calloc(1, sizeof(*root));
	if (root == NULL)
		return -ENOMEM;
	root->path[0] = '/';
	root->fd = -1;
	root->list = true;
	root->weight = 1;
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
	memset(times->known, 0, sizeof(times->known));
	for (size_t i = 1; i < kept; i++)
		cgroup_list_link(times, times->nodes[i]);
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

static const char *cgroup_times_file(enum cgroup_version version)
{
	return version == CGROUP_V1 ? "cpuacct.usage" : "cpu.stat";
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

int cgroup_times_read_usage(const struct cgroup_times *times, const char *path, uint64_t *ret_ns)
{
	char file[CGROUP_FILE_PATH_SIZE], text[CGROUP_STAT_SIZE];
	size_t length;
	int status;

	(void)snprintf(file, sizeof(file), "%s/%s", path,
		       cgroup_times_file(times->mounts->version));
	status = file_read_at(times->mounts->time_fd, file, text, sizeof(text), &length);
	return status == 0 ? cgroup_times_parse(times->mounts->version, text, ret_ns) : status;
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
		cgroup_node_file(node, cgroup_times_file(version), path);
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

void cgroup_times_give_up(struct cgroup_times *times, struct cgroup_node *node)
{
	uint64_t own_ns;

	assert(node->parent != NULL && node->known && !node->gone && node->weight == 1);
	cgroup_places_leave(times, node);
	/* What it uses between this reading and its parent's is its parent's already. */
	cgroup_times_read(times, node);
	own_ns = node->usage_ns - node->gone_ns;
	if ((int64_t)(own_ns - node->told_ns) > 0)
		node->growth_ns = own_ns - node->told_ns;
	node->gone = true;
	node->given_up = true;
	node->parent->gone_ns += node->usage_ns;
	/* It may come back, and was not born then. */
	node->parent->list = true;
	node->parent->listed = false;
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
		if (times->nodes[i]->gone && !times->nodes[i]->given_up)
			cgroup_node_survivor(times->nodes[i])->heirs +=
			    cgroup_node_heir_weight(times->nodes[i]);
	for (size_t i = 0; i < times->count; i++) {
		struct cgroup_node *node = times->nodes[i];
		uint64_t weight = cgroup_node_heir_weight(node);
		struct cgroup_node *survivor;
		wide total;

		if (!node->gone || node->given_up)
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
	cgroup_places_count(times);
	/* Also those that are found on the way. */
	for (size_t i = 0; i < times->count; i++) {
		int status = 0;

		if (!times->nodes[i]->gone && times->nodes[i]->list)
			status = cgroup_list_children(times, times->nodes[i]);
		if (status < 0)
			result = status;
	}
	for (size_t i = times->count; i > 0; i--)
		cgroup_times_tell(times, times->nodes[i - 1]);
	cgroup_times_bequeath(times);
	for (size_t i = 0; i < times->count; i++) {
		struct cgroup_node *node = times->nodes[i];

		node->unseen_ns = features_sum(node->unseen_ns, node->growth_ns);
		node->idle_steps = node->growth_ns > 0 ? 0 : node->idle_steps + 1;
	}
	times->stepped = true;
	times->steps++;
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
