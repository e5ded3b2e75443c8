/*
 * mount_state.h: looks at the machine before anything is mounted.
 *
 * Fills mount_plan.h's state from sysfs, the share and mountinfo; changes nothing. One thread.
 */
#ifndef WATTPORT_GUEST_MOUNT_STATE_H
#define WATTPORT_GUEST_MOUNT_STATE_H

#include "common/diag.h"
#include "common/sysroot.h"
#include "guest/mount_plan.h"

#define MOUNT_STATE_CHILD_MAX 1024 /* directories of one side */

/* The caller ends it with mount_state_finish(). */
int mount_state_read(const struct sysroot *root, const struct mountinfo *mountinfo,
		     const struct mount_paths *paths, struct mount_state *ret_state,
		     struct diag *diag);

/*
 * A zone of the machine's own RAPL that a mount hides: empty where there is none, and on kernels
 * before 5.2, which show nobody what is below a mount. `sys_path` is where sysfs is mounted.
 */
void mount_state_find_covered(const char *sys_path, char ret_zone[static MOUNT_PLAN_ZONE_SIZE]);

#endif
