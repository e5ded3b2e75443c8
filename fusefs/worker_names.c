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

enum access_verdict worker_verdict(struct worker *worker, fuse_req_t request,
				   const struct uuid *machine, struct mono_time now)
{
	const struct fuse_ctx *caller = fuse_req_ctx(request);

	return access_ask(worker->access,
			  (struct access_caller){.user = caller->uid, .thread = caller->pid},
			  machine, now);
}

bool worker_may_read(struct worker *worker, fuse_req_t request, struct tree_node node,
		     struct mono_time now)
{
	return access_allows(
	    worker_verdict(worker, request, &worker->memory->trees.keys[node.slot].uuid, now));
}

/*
 * The number for stat(2). Not the node's id: that holds the tree's slot, which would tell a guest
 * how many machines came before it.
 */
static ino_t worker_inode(const struct worker *worker, fuse_ino_t id)
{
	struct tree_node node = tree_node_unpack(id);

	if (id == FUSE_ROOT_ID)
		return FUSE_ROOT_ID;
	if (worker_is_closed(id))
		return tree_inode(id, vtree_root());
	return tree_inode(tree_hash(&worker->memory->trees.keys[node.slot].uuid), node.node);
}

/* No times: one that all trees bear would tell two guests that they share a host. */
static void worker_fill_stat(const struct worker *worker, fuse_ino_t id,
			     const struct vtree_attributes *attributes, struct stat *ret_stat)
{
	*ret_stat = (struct stat){
	    .st_ino = worker_inode(worker, id),
	    .st_mode = attributes->mode,
	    .st_nlink = attributes->link_count,
	    .st_size = (off_t)attributes->size,
	    .st_blksize = VTREE_CONTENT_SIZE,
	};
}

/* The directory of all trees, a closed one, or a node of a tree. */
static int worker_stat(struct worker *worker, fuse_ino_t id, struct mono_time now,
		       struct stat *ret_stat)
{
	struct vtree_attributes attributes = {.mode = S_IFDIR | 0555, .link_count = 2};
	struct tree_node node;
	int status = 0;

	if (worker_is_closed(id)) {
		attributes.mode = S_IFDIR;
	} else if (id != FUSE_ROOT_ID) {
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

/*
 * How long the kernel may believe what it was told of a node. A tree itself is asked for anew by
 * everybody who comes by: the answer depends on who asks, and what lies in it is reached only
 * through it.
 */
static double worker_timeout_s(fuse_ino_t id)
{
	if (worker_is_closed(id) || tree_node_unpack(id).node.id == vtree_root().id)
		return 0.0;
	return WORKER_TIMEOUT_S;
}

void worker_reply_entry(struct worker *worker, fuse_req_t request, fuse_ino_t id,
			struct mono_time now)
{
	struct fuse_entry_param entry = {
	    .ino = id, .attr_timeout = worker_timeout_s(id), .entry_timeout = worker_timeout_s(id)};
	int status = worker_stat(worker, id, now, &entry.attr);

	/* An error instead of an empty entry: that a name is not there is never remembered. */
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		(void)fuse_reply_entry(request, &entry);
}

/* The node of that name, for a caller who may know. */
static int worker_lookup_node(struct worker *worker, fuse_req_t request, fuse_ino_t parent,
			      const char *name, struct mono_time now, fuse_ino_t *ret_id)
{
	struct tree_node node;
	int status;

	if (worker_is_closed(parent))
		return -EACCES;
	if (!worker_node(worker, parent, &node))
		return -ESTALE;
	if (!worker_may_read(worker, request, node, now))
		return -EACCES;
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
	fuse_ino_t id = 0;
	int status;

	if (parent == FUSE_ROOT_ID) {
		worker_lookup_tree(request, name);
		return;
	}
	status = worker_lookup_node(worker, request, parent, name, now, &id);
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		worker_reply_entry(worker, request, id, now);
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
		(void)fuse_reply_attr(request, &stat, worker_timeout_s(id));
}

void worker_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	char target[VTREE_LINK_SIZE];
	struct tree_node node;
	int status = -ESTALE;

	if (worker_node(worker, id, &node))
		status = !worker_may_read(worker, request, node, now)
			     ? -EACCES
			     : vtree_link(reading_shape(worker->reading, node.slot, now), node.node,
					  target);
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

static int worker_list_trees(struct worker *worker, off_t offset, struct worker_listed *ret_entry)
{
	struct uuid uuid;
	int status = worker_list_tree(worker, offset - WORKER_READDIR_HEAD, &uuid, &ret_entry->id,
				      &ret_entry->next);

	if (status < 0)
		return status;
	uuid_format(&uuid, ret_entry->name);
	ret_entry->mode = S_IFDIR;
	ret_entry->next += WORKER_READDIR_HEAD;
	return 0;
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

/* Whether the caller may read that file or directory: 0 or a negative errno. */
static int worker_check_read(struct worker *worker, fuse_req_t request, fuse_ino_t id,
			     struct mono_time now)
{
	struct tree_node node;

	if (worker_is_closed(id))
		return -EACCES;
	if (id == FUSE_ROOT_ID)
		return access_allows(worker_verdict(worker, request, NULL, now)) ? 0 : -EACCES;
	if (!worker_node(worker, id, &node))
		return -ESTALE;
	return worker_may_read(worker, request, node, now) ? 0 : -EACCES;
}

/*
 * To open a directory shows nothing, so it passes for a process of another machine: QEMU does it to
 * what it shares before it starts (local_init() of hw/9pfs/9p-local.c).
 */
void worker_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	const struct uuid *machine = NULL;
	struct tree_node node;

	if (id != FUSE_ROOT_ID && !worker_is_closed(id)) {
		if (!worker_node(worker, id, &node)) {
			(void)fuse_reply_err(request, ESTALE);
			return;
		}
		machine = &worker->memory->trees.keys[node.slot].uuid;
	}
	if (worker_verdict(worker, request, machine, clock_now_mono(worker->clock)) ==
	    ACCESS_DENIED)
		(void)fuse_reply_err(request, EACCES);
	else
		(void)fuse_reply_open(request, info);
}

void worker_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	char buffer[WORKER_READDIR_SIZE];
	struct worker_listed entry;
	size_t used = 0;
	int status = worker_check_read(worker, request, id, now);

	(void)info;
	if (status < 0) {
		(void)fuse_reply_err(request, -status);
		return;
	}
	if (size > sizeof(buffer))
		size = sizeof(buffer);
	if (id == FUSE_ROOT_ID && offset == 0)
		reading_list(worker->reading, now);
	while ((status = worker_list(worker, id, offset, now, &entry)) == 0) {
		struct stat stat = {.st_ino = worker_inode(worker, entry.id),
				    .st_mode = entry.mode};
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

/*
 * access(2), and chdir(2) with X_OK, which passes: virtiofsd does that to what it shares before it
 * serves anything, and it shows nothing.
 */
void worker_access(fuse_req_t request, fuse_ino_t id, int mask)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	struct stat stat;
	int status = worker_stat(worker, id, now, &stat);

	if (status == 0 && (mask & W_OK) != 0)
		status = -EROFS;
	if (status == 0 && (mask & X_OK) != 0 && !S_ISDIR(stat.st_mode))
		status = -EACCES;
	if (status == 0 && (mask & R_OK) != 0)
		status = worker_check_read(worker, request, id, now);
	(void)fuse_reply_err(request, -status);
}
