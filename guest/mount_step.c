#include "guest/mount_step.h"
#include "common/cleanup.h"
#include "guest/module.h"
#include "guest/mount_place.h"
#include "guest/tree_links.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int mount_step_allowed(struct diag *diag)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0 ||
	    (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0)
		return 0;
	if (geteuid() != 0)
		return diag_error(diag, -EPERM, "mounting needs root: run it with sudo");
	return diag_error(diag, -EPERM,
			  "this root may not mount: it lacks CAP_SYS_ADMIN, as in a container: run "
			  "wattport-agent mount in the virtual machine itself");
}

/* mount(2) failed on that directory. */
static int mount_step_fail(int error, const char *target, struct diag *diag)
{
	if (error == EPERM || error == EACCES)
		return diag_error(diag, -EPERM,
				  "the kernel does not let this process mount on %s: run it in the "
				  "virtual machine itself, not in a container; a security module "
				  "tells in the kernel's log",
				  target);
	return diag_error(diag, -error, "cannot mount on %s: %s", target, strerror(error));
}

static int mount_step_overlay(const struct sysroot *root, const struct mount_step *step,
			      struct diag *diag)
{
	static const char *const modules[] = {"overlay", NULL};
	char options[2 * MOUNT_PLAN_PATH_SIZE + 64];

	if (!module_provide(root, "overlay", modules))
		return diag_error(diag, -ENOPKG,
				  "%s takes an overlay, and this kernel has no module 'overlay'",
				  step->target);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s", step->source, step->target);
	if (mount(MOUNT_PLAN_SOURCE, step->target, "overlay",
		  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return mount_step_fail(errno, step->target, diag);
	return 0;
}

static int mount_step_bind(const struct mount_step *step, bool private_view, struct diag *diag)
{
	if (mount(step->source, step->target, NULL, MS_BIND, NULL) < 0)
		return mount_step_fail(errno, step->target, diag);
	if (private_view && mount(NULL, step->target, NULL, MS_PRIVATE, NULL) < 0) {
		int error = errno;

		(void)umount2(step->target, MNT_DETACH);
		return mount_step_fail(error, step->target, diag);
	}
	return 0;
}

static int mount_step_memory(const struct mount_step *step, struct diag *diag)
{
	if (mount(MOUNT_PLAN_SOURCE, step->target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=1m") < 0)
		return mount_step_fail(errno, step->target, diag);
	return 0;
}

static int mount_step_links(const struct mount_step *step, struct diag *diag)
{
	cleanup_fd int tree_fd = open(step->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int into_fd = open(step->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (tree_fd < 0 || into_fd < 0)
		return diag_error(diag, -errno, "cannot open %s: %s",
				  tree_fd < 0 ? step->source : step->target, strerror(errno));
	return tree_links_make(tree_fd, into_fd, diag);
}

static int mount_step_fail_unmount(int error, const char *target, struct diag *diag)
{
	if (error == EPERM)
		return diag_error(diag, -EPERM, "unmounting needs root: run it with sudo");
	return diag_error(diag, -error, "cannot unmount %s: %s", target, strerror(error));
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
	return mount_step_fail_unmount(errno, target, diag);
}

static int mount_step_detach(const char *target, struct diag *diag)
{
	if (umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
		return 0;
	return mount_step_fail_unmount(errno, target, diag);
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
	case MOUNT_STEP_MEMORY:
		return mount_step_memory(step, diag);
	case MOUNT_STEP_LINKS:
		return mount_step_links(step, diag);
	case MOUNT_STEP_UNMOUNT:
		return mount_step_unmount(step->target, &outcome->busy, diag);
	case MOUNT_STEP_DETACH:
		return mount_step_detach(step->target, diag);
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
		case MOUNT_STEP_MEMORY:
			/* One that the plan itself unmounts on its way is gone: no matter. */
			(void)umount2(step->target, UMOUNT_NOFOLLOW | MNT_DETACH);
			break;
		case MOUNT_STEP_DIRECTORY:
			(void)rmdir(step->target);
			break;
		case MOUNT_STEP_LINKS:
		case MOUNT_STEP_UNMOUNT:
		case MOUNT_STEP_DETACH:
		case MOUNT_STEP_REMOVE:
			break;
		}
	}
}
