/*
 * keeper.h: the process that holds the mount, so that whoever serves it may come and go.
 *
 * Started by the service manager, as root. It opens as little as possible: the lock, the mount, and
 * the kernel's opening message, which it never looks into. It forks the worker and, whenever that
 * dies, another one. One thread.
 *
 * The keeper may come and go, too. What it holds is kept by the service manager and by its worker,
 * which serves on without it, so the next keeper finds all of it (takeover.h), whatever became of
 * this one and whichever version the next one is.
 *
 * In the runtime directory: `vm` (the mount), `fs.pid` (the keeper's process), `fs-worker.pid` (the
 * worker's at the moment); each is locked by the process that it names.
 */
#ifndef WATTPORT_FUSEFS_KEEPER_H
#define WATTPORT_FUSEFS_KEEPER_H

#include "common/diag.h"
#include "common/vtree.h"
#include "fusefs/access_users.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper_options {
	const char *runtime_dir;
	const char *sysroot;
	struct vtree_request zones;
	struct access_users users;
	bool any_name; /* worker.h */
	uint64_t period_ns;
	bool replace;	     /* take over also from a keeper that lives */
	int stored;	     /* keeper_mount(): so many descriptors the service manager has */
	bool keep_mounted;   /* SIGTERM: leave the mount and its worker to the next keeper */
	bool without_resend; /* worker.h; for tests */
	bool copy_memory;    /* as if the predecessor had another layout; for tests */
};

/*
 * Serves until SIGTERM or SIGINT: 0, with the mount gone (or kept). A negative errno with *diag
 * when it cannot start (-EBUSY: another one serves this directory) or somebody else has unmounted
 * it.
 */
int keeper_run(const struct keeper_options *options, struct diag *diag);

/*
 * Takes the mount away that a keeper has left, and ends who serves it; 0 also if there is none.
 * -EBUSY: a keeper lives.
 */
int keeper_unmount(const struct keeper_options *options, struct diag *diag);

/*
 * Mounts the trees, or takes over what is mounted, and leaves all to the service manager: for a
 * keeper_run() that may not mount itself, and sees the host's mounts without changing them. Where
 * the manager has a connection already, nothing is done. 0, or a negative errno with *diag.
 */
int keeper_mount(const struct keeper_options *options, struct diag *diag);

#endif
