/*
 * plain.h: wattport-fs with tree.mode = tmpfs: keeps plain files up to date.
 *
 * In the place of keeper and worker, for hosts that cannot use FUSE. One process: the mount does
 * not need anybody to hold it (plain_mount.h), and files can be read while nobody writes them. It
 * mounts as root, then becomes the unprivileged user and filters its system calls, as the worker
 * does. One thread.
 *
 * Rule: a value is to be as fresh as if it were computed for its reader. Nobody says beforehand
 * that he will read, so
 * 1. every tree is rewritten once a period (meter.period): what a reader finds who comes once in a
 *    while is no older than the ledger that a period makes;
 * 2. a file that somebody was seen reading (plain_activity.h) is active for PLAIN_ACTIVE_NS: it is
 *    rewritten every PLAIN_ASK_NS, and so often wattportd is asked for a sample while there is any;
 * 3. for PLAIN_HOT_NS after each such time its tree is hot, and is rewritten every PLAIN_STEP_NS,
 * so that reads a millisecond apart differ. Who polls a few times a second or faster has that all
 * the time, and who scrapes every some seconds does not make us write what he will never read;
 * 4. the rounds of 2. and 3. take at most one part in PLAIN_DUTY of the time of one CPU: with very
 *    many active files, or on a busy machine, the steps come later, and are larger by as much.
 * So what is promised is less than with FUSE: the first read after a pause may be a period old, and
 * later ones as old as these intervals and the scheduler make them.
 *
 * After its end, wanted or not, mount and files stay as they are: guests read on, the counters
 * stand still, and whoever is started next goes on from there. `wattport-fs --unmount` ends it for
 * good.
 *
 * In the runtime directory: `vm` (the mount), `fs.pid` (locked while it lives), `fs.sock`
 * (plain_request.h).
 */
#ifndef WATTPORT_FUSEFS_PLAIN_H
#define WATTPORT_FUSEFS_PLAIN_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/vtree.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAIN_ACTIVE_NS (30 * CLOCK_NS_PER_SECOND)
#define PLAIN_STEP_NS	CLOCK_NS_PER_MS
#define PLAIN_ASK_NS	(20 * CLOCK_NS_PER_MS)
#define PLAIN_HOT_NS	(100 * CLOCK_NS_PER_MS)
#define PLAIN_DUTY	4

/* A tree without an account: of a machine that is about to start, or that never did. */
#define PLAIN_ORPHAN_NS (600 * CLOCK_NS_PER_SECOND)

struct plain_options {
	const char *runtime_dir;
	uint64_t period_ns;
	struct vtree_request zones;
	bool replace; /* a wattport-fs that lives */
};

/*
 * Works until SIGTERM or SIGINT: 0. A negative errno with *diag when it cannot start (-EBUSY:
 * another one works in this directory).
 */
int plain_run(const struct plain_options *options, struct diag *diag);

/*
 * Mounts and leaves the writing end to the service manager: for a plain_run() that may not mount
 * itself. 0, or a negative errno with *diag.
 */
int plain_keep(const struct plain_options *options, struct diag *diag);

#endif
