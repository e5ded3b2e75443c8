/*
 * worker.h: the process that serves the trees: unprivileged, replaceable at any instant.
 *
 * Forked by the keeper, which holds the mount. It takes up what fs_memory.h holds of its
 * predecessor: answers the kernel's opening message (or swallows the answer, if that was given
 * before), has unanswered requests sent again, and serves them from one event loop: requests of the
 * kernel, answers of wattportd, and deadlines. One thread.
 *
 * It does not end with its keeper: readers shall not notice that one is killed or upgraded. It
 * serves on until another keeper takes over (takeover.h) or the mount is gone.
 */
#ifndef WATTPORT_FUSEFS_WORKER_H
#define WATTPORT_FUSEFS_WORKER_H

#include "common/diag.h"
#include "common/privilege.h"
#include "common/vtree.h"
#include "fusefs/access_users.h"
#include "fusefs/fs_memory.h"

#include <stdbool.h>
#include <stdint.h>

/* What the keeper hands over; all of it stays the caller's. */
struct worker_options {
	struct fs_memory *memory;
	int fuse_fd;			   /* non-blocking */
	int runtime_fd;			   /* the runtime directory */
	int proc_fd;			   /* /proc, for access.h */
	const struct access_users *users;  /* likewise */
	const struct privilege_user *user; /* whom it becomes, if it is root */
	int ready_fd;			   /* gets one byte when the worker serves */
	int pid_fd;			   /* of the workers, to be locked (pid_file.h) */
	/*
	 * -1, or a stream socket, for a worker that is to take the place of one that serves: it
	 * says with one byte that it is ready to serve, and waits for the reign.
	 */
	int go_fd;
	uint64_t reign; /* of its keeper (heritage.h), without go_fd */
	struct vtree_request zones;
	bool any_name;	     /* nobody can say which machines there are: take every uuid */
	uint64_t period_ns;  /* of samples that nobody asked for */
	bool without_resend; /* do as on Linux before 6.9, for tests */
};

/*
 * Gives up privileges and serves until the mount is gone (0) or something is wrong that another
 * worker could not mend (a negative errno with *diag).
 */
int worker_run(const struct worker_options *options, struct diag *diag);

#endif
