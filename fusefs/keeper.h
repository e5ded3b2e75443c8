/*
 * keeper.h: the process that holds the mount, so that whoever serves it may come and go.
 *
 * Started by the service manager, as root. It opens as little as possible: the lock, the mount, and
 * the kernel's opening message, which it never looks into. It forks the worker and, whenever that
 * dies, another one. One thread.
 *
 * In the runtime directory: `vm` (the mount), `fs.pid` (the keeper's, locked while it lives),
 * `fs-worker.pid` (the worker's at the moment).
 */
#ifndef WATTPORT_FUSEFS_KEEPER_H
#define WATTPORT_FUSEFS_KEEPER_H

#include "common/diag.h"
#include "common/vtree.h"

#include <stdbool.h>

#define KEEPER_PID_NAME	       "fs.pid"
#define KEEPER_WORKER_PID_NAME "fs-worker.pid"

struct keeper_options {
	const char *runtime_dir;
	const char *sysroot;
	struct vtree_request zones;
	bool without_resend; /* worker.h */
};

/*
 * Serves until SIGTERM or SIGINT: 0, with the mount gone. A negative errno with *diag when it
 * cannot start (-EBUSY: another one serves this directory) or somebody else has unmounted it.
 */
int keeper_run(const struct keeper_options *options, struct diag *diag);

#endif
