/*
 * takeover.h: how a new keeper comes by what the one before left.
 *
 * Before it serves, a keeper makes sure that it is the only one and looks for a connection and its
 * memory (heritage.h) wherever they may be, in this order:
 *   1. what the service manager has kept (fd_store.h);
 *   2. with `replace`, a keeper that lives: its descriptors are taken (pidfd_getfd(2));
 *   3. a worker that went on to serve when its keeper was killed or told to leave it.
 * Of several the memory of the highest epoch holds. A connection is good if it is alive and what is
 * mounted at the mount point is the memory's own mount.
 *
 * Up to here whoever serves goes on, and so he does if the new wattport-fs then finds that it
 * cannot serve: it lets a worker get ready for all that may fail (keeper_worker.c) before it seizes
 * power. Then the keeper that lives and the old worker are ended, and nobody else can write to the
 * memory any more. Readers wait from then on until the new worker serves. It knows of the new reign
 * before the old worker is ended, so that it serves even if its keeper is killed in between; but
 * where the memory is copied, as its layout is another, which only the keeper can do.
 *
 * Why no other worker can be there: a worker locks its file first and then looks whether the reign
 * in the memory is still that of its keeper; a new keeper, alone by its own lock, first raises the
 * reign and then looks who holds the worker's lock. Whichever comes first, a worker of an old
 * keeper either ends by itself or is seen here and ended.
 *
 * A failure harms nobody: the old processes go on to serve. One thread.
 */
#ifndef WATTPORT_FUSEFS_TAKEOVER_H
#define WATTPORT_FUSEFS_TAKEOVER_H

#include "common/diag.h"
#include "fusefs/fd_store.h"
#include "fusefs/heritage.h"
#include "fusefs/pid_file.h"

#include <stdbool.h>
#include <stdint.h>

#define TAKEOVER_KEEPER_NAME "fs.pid"
#define TAKEOVER_WORKER_NAME "fs-worker.pid"

struct takeover_request {
	int runtime_fd;
	const char *runtime_dir; /* for messages */
	const char *mount_path;
	bool replace; /* a keeper that lives */
	bool give_up; /* want nothing of what is there: it is to end */
};

/* All of it the caller's; -1 where there is none. */
struct takeover {
	int lock_fd;   /* the keeper's file, locked; -1 while there is a rival */
	int worker_fd; /* the worker's file, for workers to lock */
	int fuse_fd;   /* with memory_fd, or neither */
	int memory_fd;
	struct fd_store store; /* what the service manager had kept; its descriptors are closed */
	struct pid_file_holder rival; /* the keeper that lives; its pidfd is -1 if there is none */
	uint64_t device;	      /* what was mounted when it was looked for; 0: nothing */
	struct heritage_mapping memory; /* that was found, or all zero */
};

#define TAKEOVER_NOTHING                                                                           \
	{                                                                                          \
		.lock_fd = -1, .worker_fd = -1, .fuse_fd = -1, .memory_fd = -1, .rival = {         \
			.pidfd = -1                                                                \
		}                                                                                  \
	}

/*
 * Finds what there is and ends nobody. -EBUSY: another keeper lives and is not to be replaced.
 * -EPERM: somebody serves but his descriptors cannot be had, and without them running guests would
 * lose their tree.
 */
int takeover_begin(const struct takeover_request *request, struct takeover *ret_takeover,
		   struct diag *diag);

/*
 * Ends the keeper that lives, and begins a new reign: only this keeper's workers can come to serve,
 * once takeover_end_worker() has ended the one that still does. -EBUSY or -EAGAIN: somebody else
 * was faster, or what was found does not hold any more. On failure the mount is still served if it
 * was before, at the least by a worker without its keeper.
 */
int takeover_seize(const struct takeover_request *request, struct takeover *takeover,
		   struct diag *diag);

/* Takes both files away and closes all; `worker_lives`: all but the worker's file goes. */
void takeover_finish(struct takeover *takeover, int runtime_fd, bool worker_lives);

/*
 * Ends the worker that serves without a keeper, if there is one: by a process that holds the
 * keeper's lock. One that cannot be ended is told.
 */
int takeover_end_worker(const struct takeover *takeover, struct diag *diag);

#endif
