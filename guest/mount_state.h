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
 * Whether a Wattport tree that can be used is at the directory: -ENOTCONN when it is empty or does
 * not answer, -ELOOP when it carries no symbolic links.
 */
int mount_state_check_tree(const char *at, struct diag *diag);

#endif
