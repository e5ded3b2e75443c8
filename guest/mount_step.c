#include "guest/mount_step.h"
#include "guest/module.h"
#include "guest/mount_place.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int mount_step_overlay(const struct sysroot *root, const struct mount_step *step,
			      struct diag *diag)
{
	static const char *const modules[] = {"overlay", NULL};
	char options[2 * MOUNT_PLAN_PATH_SIZE + 64];

	if (!module_provide(root, "overlay", modules))
		return diag_error(diag, -ENOPKG,
				  "this kernel has no %s to bind on and no overlay file system to "
				  "make one with; load or build the module 'overlay', or read the "
				  "tree at %s",
				  step->target, step->source);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s", step->source, step->target);
	if (mount(MOUNT_PLAN_SOURCE, step->target, "overlay",
		  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return diag_error(diag, -errno, "cannot mount an overlay on %s: %s", step->target,
				  strerror(errno));
	return 0;
}

static int mount_step_bind(const struct mount_step *step, bool private_view, struct diag *diag)
{
	if (mount(step->source, step->target, NULL, MS_BIND, NULL) < 0)
		return diag_error(diag, -errno, "cannot bind %s on %s: %s", step->source,
				  step->target, strerror(errno));
	if (private_view && mount(NULL, step->target, NULL, MS_PRIVATE, NULL) < 0) {
		int status = -errno;

		(void)umount2(step->target, MNT_DETACH);
		return diag_error(diag, status, "cannot make %s private: %s", step->target,
				  strerror(-status));
	}
	return 0;
}

/* A mount that is in use leaves its place at once and goes when its last user closes it. */
static int mount_step_unmount(const char *target, bool *busy, struct diag *diag)
{
	if (umount2(target, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EBUSY && umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) == 0) {
		*busy = true;
		return 0;
	}
	if (errno == EPERM)
		return diag_error(diag, -EPERM, "unmounting needs root: run it with sudo");
	return diag_error(diag, -errno, "cannot unmount %s: %s", target, strerror(errno));
}

static int mount_step_do(const struct sysroot *root, const struct mount_step *step,
			 struct mount_outcome *outcome, struct diag *diag)
{
	switch (step->kind) {
	case MOUNT_STEP_DIRECTORY:
		return mount_place_make(step->target, diag);
	case MOUNT_STEP_VIEW:
		return mount_step_bind(step, true, diag);
	case MOUNT_STEP_OVERLAY:
		return mount_step_overlay(root, step, diag);
	case MOUNT_STEP_BIND:
		return mount_step_bind(step, false, diag);
	case MOUNT_STEP_UNMOUNT:
		return mount_step_unmount(step->target, &outcome->busy, diag);
	case MOUNT_STEP_REMOVE:
		(void)rmdir(step->target);
		return 0;
	}
	assert(false);
	return -EINVAL;
}

int mount_step_run(const struct sysroot *root, const struct mount_plan *plan, size_t *ret_done,
		   struct mount_outcome *outcome, struct diag *diag)
{
	size_t done = 0;
	int status = 0;

	for (; done < plan->count; done++) {
		const struct mount_step *step = &plan->steps[done];

		status = mount_step_do(root, step, outcome, diag);
		if (status < 0)
			break;
		if (step->kind != MOUNT_STEP_DIRECTORY && step->kind != MOUNT_STEP_REMOVE)
			outcome->changed = true;
	}
	*ret_done = done;
	return status;
}

void mount_step_roll_back(const struct mount_plan *plan, size_t count)
{
	while (count-- > 0) {
		const struct mount_step *step = &plan->steps[count];

		switch (step->kind) {
		case MOUNT_STEP_VIEW:
		case MOUNT_STEP_OVERLAY:
		case MOUNT_STEP_BIND:
			/* One that the plan itself unmounts on its way is gone: no matter. */
			(void)umount2(step->target, UMOUNT_NOFOLLOW | MNT_DETACH);
			break;
		case MOUNT_STEP_DIRECTORY:
			(void)rmdir(step->target);
			break;
		case MOUNT_STEP_UNMOUNT:
		case MOUNT_STEP_REMOVE:
			break;
		}
	}
}
