/* Names, attributes and links. */
#include "fusefs/worker_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel may believe what it was told of a name or its attributes for this long. */
#define WORKER_TIMEOUT_S    1.0
#define WORKER_READDIR_SIZE 16384
#define WORKER_READDIR_HEAD 2 /* "." and ".." come before the rest */

struct worker *worker_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

bool worker_node(const struct worker *worker, fuse_ino_t id, struct tree_node *ret_node)
{
	*ret_node = tree_node_unpack(id);
	return tree_table_valid(&worker->memory->trees, *ret_node);
}

bool worker_may_read(struct worker *worker, fuse_req_t request, struct tree_node node,
		     struct mono_time now)
{
	const struct fuse_ctx *caller = fuse_req_ctx(request);

	if (!reading_shape(worker->reading, node.slot, now)->exact ||
	    vtree_counter(node.node) == VTREE_COUNTER_NONE)
		return true;
	return access_allows(worker->options->proc_fd,
			     (struct access_caller){.user = caller->uid, .thread = caller->pid},
			     reading_pid(worker->reading, node.slot, now));
}

static void worker_fill_stat(const struct worker *worker, fuse_ino_t id,
			     const struct vtree_attributes *attributes, struct stat *ret_stat)
{
	uint64_t started_ns = worker->memory->started_wall_ns;
	struct timespec started = {.tv_sec = (time_t)(started_ns / CLOCK_NS_PER_SECOND),
				   .tv_nsec = (long)(started_ns % CLOCK_NS_PER_SECOND)};

	*ret_stat = (struct stat){
	    .st_ino = id,
	    .st_mode = attributes->mode,
	    .st_nlink = attributes->link_count,
	    .st_size = (off_t)attributes->size,
	    .st_blksize = VTREE_CONTENT_SIZE,
	    .st_atim = started,
	    .st_mtim = started,
	    .st_ctim = started,
	};
}

/* The directory of all trees, or a node of one. */
static int worker_stat(struct worker *worker, fuse_ino_t id, struct mono_time now,
		       struct stat *ret_stat)
{
	struct vtree_attributes attributes = {.mode = S_IFDIR | 0555, .link_count = 2};
	struct tree_node node;
	int status = 0;

	if (id != FUSE_ROOT_ID) {
		if (!worker_node(worker, id, &node))
			return -ESTALE;
		status = vtree_attributes(reading_shape(worker->reading, node.slot, now), node.node,
					  &attributes);
	}
	if (status < 0)
		return status;
	worker_fill_stat(worker, id, &attributes, ret_stat);
	return 0;
}

/* The tree of a machine: any uuid in libvirt's spelling, since a tree is opened before its machine
 * runs. */
static int worker_lookup_tree(struct worker *worker, const char *name, struct mono_time now,
			      fuse_ino_t *ret_id)
{
	struct tree_table *trees = &worker->memory->trees;
	char text[UUID_TEXT_SIZE];
	struct uuid uuid;
	int slot;

	if (uuid_parse(name, &uuid) < 0 || uuid_is_nil(&uuid))
		return -ENOENT;
	uuid_format(&uuid, text);
	if (strcmp(name, text) != 0)
		return -ENOENT;
	slot = tree_table_find(trees, &uuid);
	if (slot < 0) {
		/* Somebody's slot may have to go: know who has an account. */
		if (trees->count == TREE_MAX)
			(void)reading_list(worker->reading, now);
		slot = tree_table_admit(trees, &uuid, now);
	}
	if (slot < 0)
		return slot;
	*ret_id = tree_node_pack(tree_table_root(trees, (uint32_t)slot));
	return 0;
}

static int worker_lookup_node(struct worker *worker, fuse_ino_t parent, const char *name,
			      struct mono_time now, fuse_ino_t *ret_id)
{
	struct tree_node node;
	int status;

	if (!worker_node(worker, parent, &node))
		return -ESTALE;
	status = vtree_lookup(reading_shape(worker->reading, node.slot, now), node.node, name,
			      &node.node);
	if (status < 0)
		return status;
	*ret_id = tree_node_pack(node);
	return 0;
}

void worker_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	struct fuse_entry_param entry = {.attr_timeout = WORKER_TIMEOUT_S,
					 .entry_timeout = WORKER_TIMEOUT_S};
	int status;

	if (parent == FUSE_ROOT_ID)
		status = worker_lookup_tree(worker, name, now, &entry.ino);
	else
		status = worker_lookup_node(worker, parent, name, now, &entry.ino);
	if (status == 0)
		status = worker_stat(worker, entry.ino, now, &entry.attr);
	/* An error instead of an empty entry: that a name is not there is never remembered. */
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		(void)fuse_reply_entry(request, &entry);
}

void worker_getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct stat stat;
	int status = worker_stat(worker, id, clock_now_mono(worker->clock), &stat);

	(void)info;
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		(void)fuse_reply_attr(request, &stat, WORKER_TIMEOUT_S);
}

void worker_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	char target[VTREE_LINK_SIZE];
	struct tree_node node;
	int status = -ESTALE;

	if (worker_node(worker, id, &node))
		status =
		    vtree_link(reading_shape(worker->reading, node.slot, now), node.node, target);
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		(void)fuse_reply_readlink(request, target);
}

/* One entry of a listing; `next` is where the one behind it is. */
struct worker_listed {
	char name[UUID_TEXT_SIZE];
	fuse_ino_t id;
	mode_t mode;
	off_t next;
};

static_assert(UUID_TEXT_SIZE >= VTREE_NAME_SIZE, "both kinds of name fit");

/* The machines of the ledger: places are slots, which stay where they are. */
static int worker_list_trees(struct worker *worker, off_t offset, struct worker_listed *ret_entry)
{
	const struct tree_table *trees = &worker->memory->trees;

	for (off_t slot = offset - WORKER_READDIR_HEAD; slot < (off_t)trees->count; slot++) {
		if (!trees->keys[slot].used || !trees->keys[slot].listed)
			continue;
		uuid_format(&trees->keys[slot].uuid, ret_entry->name);
		ret_entry->id = tree_node_pack(tree_table_root(trees, (uint32_t)slot));
		ret_entry->mode = S_IFDIR;
		ret_entry->next = slot + WORKER_READDIR_HEAD + 1;
		return 0;
	}
	return -ENOENT;
}

static int worker_list_node(const struct vtree_shape *shape, struct tree_node directory,
			    off_t offset, struct worker_listed *ret_entry)
{
	struct tree_node child = directory;
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	int status =
	    vtree_list(shape, directory.node, (size_t)(offset - WORKER_READDIR_HEAD), &entry);

	if (status < 0)
		return status;
	child.node = entry.node;
	status = vtree_attributes(shape, child.node, &attributes);
	if (status < 0)
		return status;
	memcpy(ret_entry->name, entry.name, sizeof(entry.name));
	ret_entry->id = tree_node_pack(child);
	ret_entry->mode = attributes.mode;
	ret_entry->next = offset + 1;
	return 0;
}

/* The entry at that place; -ENOENT behind the last. */
static int worker_list(struct worker *worker, fuse_ino_t id, off_t offset, struct mono_time now,
		       struct worker_listed *ret_entry)
{
	struct tree_node node;

	if (offset < 0)
		return -EINVAL;
	if (offset < WORKER_READDIR_HEAD) {
		*ret_entry = (struct worker_listed){
		    .id = id, .mode = S_IFDIR, .next = offset + 1, .name = ".."};
		if (offset == 0)
			ret_entry->name[1] = '\0';
		return 0;
	}
	if (id == FUSE_ROOT_ID)
		return worker_list_trees(worker, offset, ret_entry);
	if (!worker_node(worker, id, &node))
		return -ESTALE;
	return worker_list_node(reading_shape(worker->reading, node.slot, now), node, offset,
				ret_entry);
}

void worker_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	char buffer[WORKER_READDIR_SIZE];
	struct worker_listed entry;
	size_t used = 0;
	int status;

	(void)info;
	if (size > sizeof(buffer))
		size = sizeof(buffer);
	if (id == FUSE_ROOT_ID && offset == 0)
		(void)reading_list(worker->reading, now);
	while ((status = worker_list(worker, id, offset, now, &entry)) == 0) {
		struct stat stat = {.st_ino = entry.id, .st_mode = entry.mode};
		size_t needed = fuse_add_direntry(request, buffer + used, size - used, entry.name,
						  &stat, entry.next);

		if (needed > size - used)
			break;
		used += needed;
		offset = entry.next;
	}
	if (status < 0 && status != -ENOENT)
		(void)fuse_reply_err(request, -status);
	else
		(void)fuse_reply_buf(request, buffer, used);
}

void worker_access(fuse_req_t request, fuse_ino_t id, int mask)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	struct tree_node node;
	struct stat stat;
	int status = worker_stat(worker, id, now, &stat);

	if (status == 0 && (mask & W_OK) != 0)
		status = -EROFS;
	if (status == 0 && S_ISREG(stat.st_mode) && worker_node(worker, id, &node) &&
	    ((mask & X_OK) != 0 || !worker_may_read(worker, request, node, now)))
		status = -EACCES;
	(void)fuse_reply_err(request, -status);
}
