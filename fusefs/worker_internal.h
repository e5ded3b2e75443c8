/*
 * worker_internal.h: what the parts of the worker share: the process and its loop (worker.c), the
 * kernel's requests (worker_session.c), the directory of all trees (worker_trees.c), names and
 * attributes (worker_names.c), open files (worker_files.c), requests that wait (worker_parked.c).
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

#define WORKER_PARKED_TREE_MAX 64 /* reads of one tree that may wait at the same time; lookups */
#define WORKER_NOT_PARKED      UINT32_MAX
#define WORKER_LOOKUP	       TREE_MAX /* worker_parked.slot of a lookup */

/* A read that waits for a sample, or a lookup that waits for wattportd to know the machine. */
struct worker_parked {
	fuse_req_t request; /* NULL: free */
	uint64_t unique;
	uint32_t slot; /* of the tree, or WORKER_LOOKUP */
	struct uuid uuid;
	uint32_t handle; /* of a read */
	size_t size;
};

struct worker {
	const struct worker_options *options;
	struct fs_memory *memory;
	const struct clock *clock;
	struct fuse_session *session;
	struct reading *reading;
	struct refresh *refresh;
	struct access *access;
	bool swallow;	 /* answers are for the predecessor: do not send them */
	int lost;	 /* why an answer could not be sent, a negative errno; 0: none was lost */
	bool again;	 /* the request at hand may have been begun by the predecessor */
	uint64_t unique; /* of the request at hand */
	uint32_t parked_now; /* where the request at hand was parked, or WORKER_NOT_PARKED */
	uint32_t parked_limit;
	uint32_t parked_count[TREE_MAX + 1]; /* by slot; WORKER_LOOKUP is one too */
	struct worker_parked parked[FS_PARKED_MAX];
};

/*
 * A worker that serves nothing yet. Options and clock stay the caller's and outlive it; of the
 * descriptors fuse_fd, runtime_fd and proc_fd are used, and fuse_fd is libfuse's from then on.
 */
int worker_create(const struct worker_options *options, const struct clock *clock,
		  struct worker **ret_worker, struct diag *diag);

/* NULL is allowed. Closes fuse_fd. */
void worker_destroy(struct worker *worker);

/* Hears the kernel's opening message, which it sends once for a mount; answered once. */
void worker_greet(struct worker *worker);

/* Has every request answered that the predecessor did not answer. */
void worker_take_over(struct worker *worker);

/*
 * Takes a burst of requests, or as many as are answered; 0 when there are no more for now, -ENODEV
 * when there never will be.
 */
int worker_receive(struct worker *worker);

/* The worker that a request is for. */
struct worker *worker_of(fuse_req_t request);

/* Whether the id is a node of a tree that is there; fills *ret_node. */
bool worker_node(const struct worker *worker, fuse_ino_t id, struct tree_node *ret_node);

/* What the caller of the request is to that machine's tree, NULL: to all (access.h). */
enum access_verdict worker_verdict(struct worker *worker, fuse_req_t request,
				   const struct uuid *machine, struct mono_time now);

/* Whether the caller of the request may see what is in this tree. */
bool worker_may_read(struct worker *worker, fuse_req_t request, struct tree_node node,
		     struct mono_time now);

/* Whether the id is of a directory that stands for another machine's tree (worker_trees.c). */
bool worker_is_closed(fuse_ino_t id);

/* Looks a name up in the directory of all trees. */
void worker_lookup_tree(fuse_req_t request, const char *name);

/* The tree at that place of the listing, and the place behind it; -ENOENT behind the last. */
int worker_list_tree(const struct worker *worker, off_t place, struct uuid *ret_uuid,
		     fuse_ino_t *ret_id, off_t *ret_next);

/* Answers a lookup with that node. */
void worker_reply_entry(struct worker *worker, fuse_req_t request, fuse_ino_t id,
			struct mono_time now);

/* Has a request wait for wattportd; false: do with what there is. */
bool worker_park(struct worker *worker, const struct worker_parked *parked, struct mono_time now);

/* Answer requests that have waited. */
void worker_answer_read(struct worker *worker, const struct worker_parked *parked);
void worker_answer_lookup(struct worker *worker, const struct worker_parked *parked,
			  enum refresh_end end);

/* The kernel's requests, each as fuse_lowlevel_ops describes it. */
void worker_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void worker_getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void worker_readlink(fuse_req_t request, fuse_ino_t id);
void worker_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void worker_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info);
void worker_access(fuse_req_t request, fuse_ino_t id, int mask);
void worker_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void worker_read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		 struct fuse_file_info *info);
void worker_release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);

/* Answers what waits for that (refresh_done). */
void worker_unpark(void *context, uint32_t tag, enum refresh_end end);

#endif
