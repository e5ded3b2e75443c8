/*
 * mount_plan.h: which mounts are left to make, and which to take away.
 *
 * The pure half of `wattport-agent mount`: from the machine's state to a list of steps that
 * mount.c carries out. One thread a plan.
 *
 * Rule: the tree's powercap directories appear at /sys/class/powercap and
 * /sys/devices/virtual/powercap, and nothing else of /sys changes. Where the kernel has such a
 * directory, the tree's is bound on it. Where it has none, nobody can make one in sysfs: there a
 * read-only overlay of a nearly empty frame (FRAME/class/powercap) and the kernel's own directory
 * takes the place of the parent, only to offer the mount point. Two things follow:
 * 1. The share itself is never a layer of the overlay: every look-up in /sys/devices/virtual would
 *    then ask the host first, and hang with it.
 * 2. An overlay is read-only, but tunables below /sys/class and /sys/devices/virtual are written
 *    (zram's disksize, uevent by `udevadm trigger`). So each of the kernel's other directories is
 *    bound back in its own place, from a second, private view of /sys that goes away at the end.
 *    One that the kernel makes later is seen, but is read-only until `mount` is run again.
 *
 * Where the share carries no symbolic links, the tree is made whole first: a file system in memory
 * that holds nothing but them (FRAME/links) is laid over the share in its own place, so that all
 * that follows, and whoever reads the tree there, finds the links in it.
 */
#ifndef WATTPORT_GUEST_MOUNT_PLAN_H
#define WATTPORT_GUEST_MOUNT_PLAN_H

#include "common/diag.h"
#include "common/mountinfo.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define MOUNT_PLAN_STEP_MAX  4096
#define MOUNT_PLAN_SIDES     2
#define MOUNT_PLAN_SOURCE    "wattport" /* of the overlays: by it we know our own */
#define MOUNT_PLAN_ZONE_SIZE 64
#define MOUNT_PLAN_PATH_SIZE 1024 /* of each path, with the NUL; longer ones are refused */

/* Absolute paths without links, as mountinfo writes them. */
struct mount_paths {
	const char *sys;
	const char *at;	   /* where the share is mounted */
	const char *frame; /* the overlays' directories, links, and the second view of /sys */
};

/* The directories that hold powercap, in /sys as in the tree. */
extern const char *const mount_plan_sides[MOUNT_PLAN_SIDES];

/* A directory of the kernel beside powercap. */
struct mount_child {
	char name[NAME_MAX + 1];
	bool kept; /* something is mounted on it: bound back already */
};

struct mount_side {
	bool has_powercap; /* the directory is there, to bind on */
	bool overlaid;	   /* by us */
	bool bound;	   /* the tree's directory lies on it */
	bool stale;	   /* that of a tree that was unmounted since does */
	size_t child_count;
	struct mount_child *children;
};

struct mount_state {
	bool shared;			 /* something is mounted at paths.at */
	bool linkless;			 /* and carries no symbolic links */
	bool links_mounted;		 /* links were made for such a one */
	bool view_mounted;		 /* the second view of /sys is left of an earlier run */
	char rapl[MOUNT_PLAN_ZONE_SIZE]; /* a zone of the machine's own RAPL, or empty */
	struct mount_side sides[MOUNT_PLAN_SIDES];
};

enum mount_step_kind {
	MOUNT_STEP_DIRECTORY, /* make target, with its parents */
	MOUNT_STEP_VIEW,      /* source without its submounts on target, private */
	MOUNT_STEP_OVERLAY,   /* source and below it target's own content, read-only, on target */
	MOUNT_STEP_BIND,      /* source on target */
	MOUNT_STEP_MEMORY,    /* an empty file system of the agent's own on target */
	MOUNT_STEP_LINKS,     /* the links that the tree at source lacks, made in target */
	MOUNT_STEP_UNMOUNT,   /* target */
	MOUNT_STEP_DETACH,    /* target, with all that is mounted below it */
	MOUNT_STEP_REMOVE,    /* the empty directory target */
};

struct mount_step {
	enum mount_step_kind kind;
	char source[MOUNT_PLAN_PATH_SIZE]; /* empty where the kind has none */
	char target[MOUNT_PLAN_PATH_SIZE];
};

struct mount_plan {
	size_t count;
	size_t capacity;
	struct mount_step *steps;
};

/* 0, or -EEXIST when the machine has a RAPL of its own that would be covered. */
int mount_plan_allow(const struct mount_state *state, struct diag *diag);

/*
 * Fills an empty plan ({0}) with what makes the tree at paths->at whole; no step is left when it
 * is.
 */
int mount_plan_mend(const struct mount_state *state, const struct mount_paths *paths,
		    struct mount_plan *plan, struct diag *diag);

/*
 * Fills an empty plan ({0}) with what is left to do once the share is mounted; no step is left when
 * all is in place. The state must be looked at after that, for the first file system without a
 * device that is mounted makes a directory of its own: devices/virtual/bdi. -E2BIG, -ENOMEM.
 */
int mount_plan_lay(const struct mount_state *state, const struct mount_paths *paths,
		   struct mount_plan *plan, struct diag *diag);

/* Fills an empty plan with what takes away exactly what mount_plan_lay() had made. */
int mount_plan_undo(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		    struct mount_plan *plan, struct diag *diag);

/* Adds the removal of the frame's directories; those that were never made, or are in use, stay. */
int mount_plan_clear_frame(const struct mount_paths *paths, struct mount_plan *plan);

void mount_plan_finish(struct mount_plan *plan);
void mount_state_finish(struct mount_state *state);

#define cleanup_mount_plan  __attribute__((cleanup(mount_plan_finish)))
#define cleanup_mount_state __attribute__((cleanup(mount_state_finish)))

#endif
