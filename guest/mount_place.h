/*
 * mount_place.h: the places that `wattport-agent mount` uses: made, resolved and cleared.
 *
 * Beside the directory of the share lies one of the agent's own, the frame, with all that the
 * mounts are made of. One thread.
 */
#ifndef WATTPORT_GUEST_MOUNT_PLACE_H
#define WATTPORT_GUEST_MOUNT_PLACE_H

#include "common/diag.h"
#include "common/sysroot.h"
#include "guest/mount_plan.h"

#include <limits.h>
#include <stdbool.h>

#define MOUNT_PLACE_FRAME_SUFFIX "-frame"
#define MOUNT_PLACE_FRAME_SIZE	 (PATH_MAX + sizeof(MOUNT_PLACE_FRAME_SUFFIX))

/* The strings behind a struct mount_paths: it must stay where it was initialised. */
struct mount_place {
	char at[PATH_MAX];
	char frame[MOUNT_PLACE_FRAME_SIZE];
	struct mount_paths paths;
	bool made; /* the directory `at` was not there before */
};

/*
 * Resolves `at` as mountinfo would name it, which works also where a share lies that no longer
 * answers; makes it first if asked to. -EINVAL for a path that mount(2) could not take.
 */
int mount_place_init(const struct sysroot *root, const char *at, bool make,
		     struct mount_place *place, struct diag *diag);

/* Makes the directory and those that lead to it. */
int mount_place_make(const char *path, struct diag *diag);

/* Removes the directories that a mount_lay() which failed has left; no mounts are left by then. */
void mount_place_clear(const struct mount_place *place);

#endif
