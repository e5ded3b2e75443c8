/* Open files: content that is fixed for one read sequence. */
#include "fusefs/worker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int worker_open_handle(struct worker *worker, struct tree_node node)
{
	struct handle_table *handles = &worker->memory->handles;
	struct tree *tree = &worker->memory->trees.trees[node.slot];
	uint64_t id = tree_node_pack(node);
	int handle = -ENOENT;

	if (worker->again)
		handle = handle_table_opened(handles, id, worker->unique);
	if (handle < 0)
		handle = handle_table_open(handles, tree, id, worker->unique);
	return handle;
}

void worker_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	struct tree_node node;
	int handle = -ESTALE;

	if ((info->flags & O_ACCMODE) != O_RDONLY)
		handle = -EROFS;
	else if (id == FUSE_ROOT_ID)
		handle = -EISDIR;
	else if (worker_is_closed(id))
		handle = -EACCES;
	else if (worker_node(worker, id, &node))
		handle = worker_may_read(worker, request, node, now)
			     ? worker_open_handle(worker, node)
			     : -EACCES;
	if (handle < 0) {
		(void)fuse_reply_err(request, -handle);
		return;
	}
	info->fh = (uint64_t)handle;
	/* No page cache: every read comes here, also those of a descriptor kept for days. */
	info->direct_io = 1;
	info->noflush = 1;
	if (fuse_reply_open(request, info) == -ENOENT && !worker->again)
		/* Whoever wanted it was interrupted: nobody will close it. (One that was begun by
		 * the predecessor may have been answered by it: then it is open.) */
		handle_table_close(&worker->memory->handles,
				   &worker->memory->trees.trees[node.slot], (uint32_t)handle);
}

void worker_release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct tree_node node;

	/* One that is sent again may have been done already. */
	if (handle_table_node(&worker->memory->handles, info->fh) == id &&
	    worker_node(worker, id, &node))
		handle_table_close(&worker->memory->handles,
				   &worker->memory->trees.trees[node.slot], (uint32_t)info->fh);
	(void)fuse_reply_err(request, 0);
}

/* What the file says now; its length, or a negative errno. */
static int worker_content(struct worker *worker, struct tree_node node,
			  char ret_text[static VTREE_CONTENT_SIZE])
{
	struct vtree_values values;

	reading_values(worker->reading, node.slot, clock_now_mono(worker->clock),
		       vtree_counter(node.node) != VTREE_COUNTER_NONE, &values);
	return vtree_content(&values, node.node, ret_text);
}

/* Computes what the file says now and keeps it for the handle. */
static int worker_freeze(struct worker *worker, uint32_t handle, uint64_t unique)
{
	struct handle_table *handles = &worker->memory->handles;
	char text[VTREE_CONTENT_SIZE];
	int length =
	    worker_content(worker, tree_node_unpack(handle_table_node(handles, handle)), text);

	if (length < 0)
		return length;
	handle_table_freeze(handles, handle, unique, text, (size_t)length);
	return 0;
}

/* The part of a text that the caller wants to have. */
static void worker_reply_part(fuse_req_t request, const char *text, size_t length, size_t size,
			      off_t offset)
{
	size_t start = (size_t)offset < length ? (size_t)offset : length;

	if (size > length - start)
		size = length - start;
	(void)fuse_reply_buf(request, text + start, size);
}

static void worker_reply_frozen(struct worker *worker, fuse_req_t request, uint32_t handle,
				size_t size, off_t offset)
{
	size_t length;
	const char *text = handle_table_text(&worker->memory->handles, handle, &length);

	worker_reply_part(request, text, length, size, offset);
}

/*
 * The kernel has the file open, but another version did not leave us what we know a handle by: the
 * file still is what its node says, only that nothing is kept between one read and the next.
 */
static void worker_reply_unknown(struct worker *worker, fuse_req_t request, struct tree_node node,
				 size_t size, off_t offset)
{
	char text[VTREE_CONTENT_SIZE];
	int length = worker_content(worker, node, text);

	if (length < 0)
		(void)fuse_reply_err(request, -length);
	else
		worker_reply_part(request, text, (size_t)length, size, offset);
}

static void worker_reply_fresh(struct worker *worker, fuse_req_t request, uint32_t handle,
			       uint64_t unique, size_t size)
{
	int status = worker_freeze(worker, handle, unique);

	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		worker_reply_frozen(worker, request, handle, size, 0);
}

/* Lets the read wait for a sample if one is worth it and can be had. */
static bool worker_park_read(struct worker *worker, fuse_req_t request, uint32_t slot,
			     uint32_t handle, size_t size)
{
	struct mono_time now = clock_now_mono(worker->clock);
	struct worker_parked parked = {.request = request,
				       .unique = worker->unique,
				       .slot = slot,
				       .uuid = worker->memory->trees.keys[slot].uuid,
				       .handle = handle,
				       .size = size};

	return reading_is_stale(worker->reading, slot, now) && worker_park(worker, &parked, now);
}

void worker_answer_read(struct worker *worker, const struct worker_parked *parked)
{
	/* A worker that was killed may have left it twice. With the first answer the reader reads
	 * on, and what it reads must not be made anew. */
	if (handle_table_frozen_for(&worker->memory->handles, parked->handle, parked->unique))
		worker_reply_frozen(worker, parked->request, parked->handle, parked->size, 0);
	else
		worker_reply_fresh(worker, parked->request, parked->handle, parked->unique,
				   parked->size);
}

void worker_read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		 struct fuse_file_info *info)
{
	struct worker *worker = worker_of(request);
	struct tree_node node;
	size_t length = 0;
	int status = 0;

	if (!worker_node(worker, id, &node)) {
		(void)fuse_reply_err(request, ESTALE);
		return;
	}
	if (handle_table_node(&worker->memory->handles, info->fh) != id) {
		worker_reply_unknown(worker, request, node, size, offset);
		return;
	}
	if (offset == 0) {
		if (worker->again && handle_table_frozen_for(&worker->memory->handles,
							     (uint32_t)info->fh, worker->unique))
			worker_reply_frozen(worker, request, (uint32_t)info->fh, size, 0);
		else if (vtree_counter(node.node) == VTREE_COUNTER_NONE ||
			 !worker_park_read(worker, request, node.slot, (uint32_t)info->fh, size))
			worker_reply_fresh(worker, request, (uint32_t)info->fh, worker->unique,
					   size);
		return;
	}
	(void)handle_table_text(&worker->memory->handles, (uint32_t)info->fh, &length);
	if (length == 0)
		status = worker_freeze(worker, (uint32_t)info->fh, worker->unique);
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		worker_reply_frozen(worker, request, (uint32_t)info->fh, size, offset);
}
