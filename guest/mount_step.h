/*
 * mount_step.h: carries the steps of a plan out, and takes them back.
 *
 * Between mount_plan.c, which decides, and mount.c, which knows what for. One thread; needs
 * CAP_SYS_ADMIN.
 */
#ifndef WATTPORT_GUEST_MOUNT_STEP_H
#define WATTPORT_GUEST_MOUNT_STEP_H

#include "common/diag.h"
#include "common/sysroot.h"
#include "guest/mount_plan.h"

#include <stdbool.h>
#include <stddef.h>

/* What came of the steps carried out. */
struct mount_outcome {
	bool changed; /* something was mounted or unmounted */
	bool busy; /* something that was unmounted is still in use, and goes with its last user */
};

/* 0, or -EPERM with *diag when this process can mount nothing. */
int mount_step_allowed(struct diag *diag);

/*
 * Carries the steps out in order until one fails; *ret_done says how many were. The outcome is
 * added to, not cleared. 0, or why it ended, with *diag.
 */
int mount_step_run(const struct sysroot *root, const struct mount_plan *plan, size_t *ret_done,
		   struct mount_outcome *outcome, struct diag *diag);

/* Takes the first `count` steps back, last first; what had been unmounted stays so. */
void mount_step_roll_back(const struct mount_plan *plan, size_t count);

#endif
