/*
 * mount.h: lays the host's tree over this machine's powercap, and takes it away again.
 *
 * The acting half of `wattport-agent mount`: looks at the machine, has mount_plan.c decide and
 * mount_step.c carry it out, and looks whether the tree can be read. Safe to repeat: what is in
 * place is left alone, what is in place but dead for good is laid anew. One thread; needs
 * CAP_SYS_ADMIN.
 */
#ifndef WATTPORT_GUEST_MOUNT_H
#define WATTPORT_GUEST_MOUNT_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/sysroot.h"
#include "guest/holders.h"
#include "guest/mount_plan.h"
#include "guest/mount_step.h"
#include "guest/share.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define MOUNT_AT_DEFAULT "/run/wattport/tree"

struct mount_options {
	const char *at; /* absolute; where the share is mounted */
	const char *tag;
	enum share_transport transport;
	bool force;	  /* cover a RAPL of this machine's own */
	bool optional;	  /* that there is no share is no failure */
	bool share_only;  /* nothing is laid over /sys */
	uint64_t wait_ns; /* for a share that has not appeared yet */
};

struct mount_report {
	char at[PATH_MAX]; /* where the tree is, without links */
	struct mount_outcome outcome;
	bool absent;			    /* optional: there is no share */
	char covered[MOUNT_PLAN_ZONE_SIZE]; /* a zone of its own that the tree covers, or empty */
	struct holders holders;		    /* undo: who has files of the tree open */
};

/*
 * Lays the tree. On failure nothing is left mounted that was not there before, and *diag says what
 * is missing: -ENODEV no share, -ENOPKG no module, -EEXIST a RAPL of its own, -EPERM not allowed
 * to, -ENOTCONN a share that does not answer, -EBADMSG one that holds no tree, -EINVAL a bad
 * option.
 */
int mount_lay(const struct sysroot *root, const struct clock *clock,
	      const struct mount_options *options, struct mount_report *ret_report,
	      struct diag *diag);

/* Takes away what mount_lay() made; nothing to do is no error. Asks the host nothing. */
int mount_undo(const struct sysroot *root, const char *at, struct mount_report *ret_report,
	       struct diag *diag);

/* Whether the tree lies over this machine's /sys/class/powercap. */
bool mount_is_laid(const struct sysroot *root, const char *at);

/*
 * Why a share that is mounted cannot be read: -ENODEV its device is gone, else as tree_check(). 0
 * when it can, and when none is mounted.
 */
int mount_explain(const struct sysroot *root, const char *at, struct diag *diag);

#endif
