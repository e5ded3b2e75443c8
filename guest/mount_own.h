/*
 * mount_own.h: which of this machine's mounts are the agent's own.
 *
 * No list is kept of what was mounted: what the kernel tells is always true, also after a crash.
 * The agent's overlays and file systems are known by their source, its binds by the device and the
 * directory that they show. Pure.
 */
#ifndef WATTPORT_GUEST_MOUNT_OWN_H
#define WATTPORT_GUEST_MOUNT_OWN_H

#include "common/mountinfo.h"
#include "guest/mount_plan.h"

#include <stdbool.h>

/* A path built in place. */
struct mount_path {
	char text[MOUNT_PLAN_PATH_SIZE];
};

/* -ENAMETOOLONG: paths that are too long end all before anything is done. */
int mount_path_format(struct mount_path *path, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether the mount, which may be NULL, is one of the agent's overlays. */
bool mount_own_is_overlay(const struct mountinfo_entry *entry);

/* Whether it is a share of a host's. */
bool mount_own_is_share(const struct mountinfo_entry *entry);

/* Whether it is that side's powercap directory of the tree at paths->at. */
bool mount_own_is_bind(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		       const struct mountinfo_entry *entry, const char *side);

/* Whether it is that side's powercap directory of a tree that was unmounted since. */
bool mount_own_is_orphan(const struct mountinfo *mountinfo, const struct mountinfo_entry *entry,
			 const char *side);

/* The state's part that mountinfo tells: all but linkless, rapl and which directories there are. */
int mount_own_observe(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		      struct mount_state *state);

#endif
