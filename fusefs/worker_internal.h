/*
 * worker_internal.h: what the parts of the worker share: the loop (worker.c), names and attributes
 * (worker_names.c), open files (worker_files.c).
 */
#ifndef WATTPORT_FUSEFS_WORKER_INTERNAL_H
#define WATTPORT_FUSEFS_WORKER_INTERNAL_H

#define FUSE_USE_VERSION 314

#include "fusefs/access.h"
#include "fusefs/fuse_wire.h"
#include "fusefs/reading.h"
#include "fusefs/refresh.h"
#include "fusefs/worker.h"

#include <fuse_lowlevel.h>

#define WORKER_PARKED_TREE_MAX 64 /* reads of one tree that may wait at the same time */
#define WORKER_NOT_PARKED      UINT32_MAX

/* A read that waits for a sample. */
struct worker_parked {
	fuse_req_t request; /* NULL: free */
	uint64_t unique;
	uint32_t slot;
	uint32_t handle;
	size_t size;
};

struct worker {
	const struct worker_options *options;
	struct fs_memory *memory;
	const struct clock *clock;
	struct fuse_session *session;
	struct reading *reading;
	struct refresh *refresh;
	bool swallow;	     /* answers are for the predecessor: do not send them */
	bool again;	     /* the request at hand may have been begun by the predecessor */
	uint64_t unique;     /* of the request at hand */
	uint32_t parked_now; /* where the request at hand was parked, or WORKER_NOT_PARKED */
	uint32_t parked_limit;
	uint32_t parked_count[TREE_MAX];
	struct worker_parked parked[FS_PARKED_MAX];
};

/* The worker that a request is for. */
struct worker *worker_of(fuse_req_t request);

/* Whether the id is a node of a tree that is there; fills *ret_node. */
bool worker_node(const struct worker *worker, fuse_ino_t id, struct tree_node *ret_node);

/* Whether the caller of the request may read this file (access.h). */
bool worker_may_read(struct worker *worker, fuse_req_t request, struct tree_node node,
		     struct mono_time now);

/* The kernel's requests, each as fuse_lowlevel_ops describes it. */
void worker_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void worker_getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void worker_readlink(fuse_req_t request, fuse_ino_t id);
void worker_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info);
void worker_access(fuse_req_t request, fuse_ino_t id, int mask);
void worker_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void worker_read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		 struct fuse_file_info *info);
void worker_release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);

/* Answers the reads of that tree that wait (refresh_done). */
void worker_unpark(void *context, uint32_t slot);

#endif
