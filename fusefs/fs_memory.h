/*
 * fs_memory.h: what outlives keeper and worker: shared by the keeper, which makes it, and the
 * worker.
 *
 * A worker may be killed at any instruction and its successor goes on with what stands here: how
 * the kernel opened the connection, which node ids and handles are out, what was told of every
 * counter, and which requests nobody has answered yet. So does the worker of another keeper, also
 * of another version (heritage.h). One writer at a time.
 *
 * Linux 6.9 and later send unanswered requests again when asked to (FUSE_NOTIFY_RESEND). For older
 * kernels the requests are kept here as they came and a new worker plays them again.
 */
#ifndef WATTPORT_FUSEFS_FS_MEMORY_H
#define WATTPORT_FUSEFS_FS_MEMORY_H

#include "common/diag.h"
#include "fusefs/handle_table.h"
#include "fusefs/heritage.h"
#include "fusefs/tree_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The kernel wants room for its largest request: 8192 bytes at least (FUSE_MIN_READ_BUFFER), and
 * the largest write, which is refused here.
 */
#define FS_MESSAGE_SIZE 16384
#define FS_PARKED_SIZE	128 /* a FUSE_READ has 80 bytes */
#define FS_PARKED_MAX	1024

/* A request as it came; wire_length() is 0 where none is. */
struct fs_message {
	_Alignas(8) char bytes[FS_MESSAGE_SIZE];
};

/* A read that waits for a sample, as it came. */
struct fs_parked_message {
	_Alignas(8) char bytes[FS_PARKED_SIZE];
};

/* Who adds a member that a successor needs lists it in fs_memory.c, too. */
struct fs_memory {
	struct heritage heritage; /* first: it says where the rest is */
	uint32_t granted;	  /* what the kernel was asked for when it opened the connection */
	bool opened;		  /* the kernel's FUSE_INIT is answered */
	bool exact;		  /* guest-view, as the ledger said last */
	bool told_blind;	  /* it was logged that processes are hidden */
	bool told_away;		  /* it was logged that wattportd does not answer */
	bool told_no_resend;	  /* the kernel cannot send again, and that was logged */
	struct fs_message init;
	struct fs_message current; /* read and not yet dealt with */
	struct fs_parked_message parked[FS_PARKED_MAX];
	struct tree_table trees;
	struct handle_table handles;
};

/*
 * All zero but for its head. The memory is inherited over fork(2) and stays one for parent and
 * children. The descriptor, for whom to hand it to, is the caller's, and is not needed otherwise.
 */
int fs_memory_create(struct fs_memory **ret_memory, int *ret_fd, struct diag *diag);

/*
 * Begins to inherit what a predecessor has, which may still write there. *fd is its descriptor.
 * Memory of the same layout is mapped: *ret_old is all zero. For memory of another layout (or with
 * `copy`, for tests, of any) there is new memory, as yet empty, whose descriptor *fd is then;
 * *ret_old, with the old one, has to be copied there. -EPROTO: it is not such memory, or damaged.
 */
int fs_memory_inherit(int *fd, bool copy, struct fs_memory **ret_memory,
		      struct heritage_mapping *ret_old, struct diag *diag);

/*
 * Once the predecessor cannot write any more: copies what fs_memory_inherit() left to be copied,
 * unmaps it and closes its descriptor, and mends what no worker of ours would have left. Cannot
 * fail: nobody serves now.
 */
void fs_memory_adopt(struct fs_memory *memory, struct heritage_mapping *old);

/* Unmaps it. NULL is allowed. */
void fs_memory_destroy(struct fs_memory *memory);

#endif
