#include "guest/mount.h"
#include "common/cleanup.h"
#include "guest/module.h"
#include "guest/mount_state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#define MOUNT_WAIT_STEP_NS 200000000L
#define MOUNT_FRAME_SUFFIX "-frame"

/* The strings behind a struct mount_paths. */
struct mount_place {
	char at[PATH_MAX];
	char frame[PATH_MAX + sizeof(MOUNT_FRAME_SUFFIX)];
	struct mount_paths paths;
	bool made; /* the directory `at` was not there before */
};

/* What is needed to carry steps out. */
struct mount_task {
	const struct sysroot *root;
	struct mount_place place;
	struct mount_report report;
	bool share_mounted; /* by us, just now */
};

static int mount_make_directories(const char *path, struct diag *diag)
{
	char partial[PATH_MAX + sizeof(MOUNT_FRAME_SUFFIX)];
	size_t length = strlen(path);

	assert(path[0] == '/' && length < sizeof(partial));
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(partial, path, i);
		partial[i] = '\0';
		/* An overlay's directory has its uppermost layer's mode: no umask may narrow it. */
		if (mkdir(partial, 0755) == 0 && chmod(partial, 0755) == 0)
			continue;
		if (errno == EEXIST)
			continue;
		if (errno == EACCES)
			return diag_error(
			    diag, -EPERM,
			    "cannot make the directory %s: mounting needs root: run it "
			    "with sudo",
			    partial);
		return diag_error(diag, -errno, "cannot make the directory %s: %s", partial,
				  strerror(errno));
	}
	return 0;
}

/* mountinfo names places without links, so the directory is made first and then resolved. */
static int mount_place_init(const struct sysroot *root, const char *at, bool make,
			    struct mount_place *place, struct diag *diag)
{
	cleanup_free char *resolved = NULL;

	if (at[0] != '/' || strlen(at) >= PATH_MAX)
		return diag_error(diag, -EINVAL, "--at wants an absolute path, not '%s'", at);
	if (strpbrk(at, ":,\\") != NULL)
		return diag_error(diag, -EINVAL,
				  "--at cannot hold ':', ',' or '\\', which part the options of "
				  "mount(8)");
	if (make) {
		bool made = access(at, F_OK) < 0;
		int status = mount_make_directories(at, diag);

		if (status < 0)
			return status;
		place->made = made;
	}
	resolved = realpath(at, NULL);
	if (resolved == NULL && (make || errno != ENOENT))
		return diag_error(diag, -errno, "cannot resolve %s: %s", at, strerror(errno));
	(void)snprintf(place->at, sizeof(place->at), "%s", resolved != NULL ? resolved : at);
	(void)snprintf(place->frame, sizeof(place->frame), "%s" MOUNT_FRAME_SUFFIX, place->at);
	place->paths = (struct mount_paths){
	    .sys = sysroot_sys_path(root), .at = place->at, .frame = place->frame};
	return 0;
}

static int mount_do_overlay(const struct mount_task *task, const struct mount_step *step,
			    struct diag *diag)
{
	static const char *const modules[] = {"overlay", NULL};
	char options[2 * PATH_MAX + 64];

	if (!module_provide(task->root, "overlay", modules))
		return diag_error(diag, -ENOPKG,
				  "this kernel has no %s to bind on and no overlay file system to "
				  "make one with; load or build the module 'overlay', or read the "
				  "tree at %s",
				  step->target, task->report.at);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s", step->source, step->target);
	if (mount(MOUNT_PLAN_SOURCE, step->target, "overlay",
		  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return diag_error(diag, -errno, "cannot mount an overlay on %s: %s", step->target,
				  strerror(errno));
	return 0;
}

static int mount_do_bind(const struct mount_step *step, bool private_view, struct diag *diag)
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
static int mount_do_unmount(const char *target, bool *busy, struct diag *diag)
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

static int mount_do_step(struct mount_task *task, const struct mount_step *step, struct diag *diag)
{
	switch (step->kind) {
	case MOUNT_STEP_DIRECTORY:
		return mount_make_directories(step->target, diag);
	case MOUNT_STEP_VIEW:
		return mount_do_bind(step, true, diag);
	case MOUNT_STEP_OVERLAY:
		return mount_do_overlay(task, step, diag);
	case MOUNT_STEP_BIND:
		return mount_do_bind(step, false, diag);
	case MOUNT_STEP_UNMOUNT:
		return mount_do_unmount(step->target, &task->report.busy, diag);
	case MOUNT_STEP_REMOVE:
		(void)rmdir(step->target);
		return 0;
	}
	assert(false);
	return -EINVAL;
}

/* Takes the first `count` steps back, last first; what was unmounted on the way fails silently. */
static void mount_roll_back(const struct mount_plan *plan, size_t count)
{
	while (count-- > 0) {
		const struct mount_step *step = &plan->steps[count];

		switch (step->kind) {
		case MOUNT_STEP_VIEW:
		case MOUNT_STEP_OVERLAY:
		case MOUNT_STEP_BIND:
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

/* What a failed mount_lay() leaves: no mounts by now, but directories. */
static void mount_clear(const struct mount_place *place)
{
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};

	(void)mount_plan_clear_frame(&place->paths, &plan);
	for (size_t i = 0; i < plan.count; i++)
		(void)rmdir(plan.steps[i].target);
	if (place->made)
		(void)rmdir(place->at);
}

/* Carries the steps out in order; returns how many were done, and with which status it ended. */
static size_t mount_carry_out(struct mount_task *task, const struct mount_plan *plan,
			      int *ret_status, struct diag *diag)
{
	int status = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct mount_step *step = &plan->steps[i];

		status = mount_do_step(task, step, diag);
		if (status < 0) {
			*ret_status = status;
			return i;
		}
		if (step->kind != MOUNT_STEP_DIRECTORY && step->kind != MOUNT_STEP_REMOVE)
			task->report.changed = true;
	}
	*ret_status = status;
	return plan->count;
}

/* Looks for the share until it is there or the time is over. */
static int mount_await_share(const struct sysroot *root, const struct clock *clock,
			     const struct mount_options *options, struct share_choice *ret_choice,
			     struct diag *diag)
{
	struct mono_time start = clock_now_mono(clock);

	for (;;) {
		struct share_state state;
		int status;

		share_probe(root, options->tag, &state);
		share_provide(root, options->tag, options->transport, &state);
		status = share_choose(&state, options->tag, options->transport, ret_choice, diag);
		if (status != -ENODEV ||
		    clock_elapsed_ns(start, clock_now_mono(clock)) >= options->wait_ns)
			return status;
		(void)nanosleep(&(struct timespec){.tv_nsec = MOUNT_WAIT_STEP_NS}, NULL);
	}
}

static int mount_read_mountinfo(const struct sysroot *root, struct mountinfo *ret_mountinfo,
				struct diag *diag)
{
	int status = mountinfo_read(root, ret_mountinfo);

	if (status < 0)
		return diag_error(diag, status, "cannot read the list of mounts: %s",
				  strerror(-status));
	return 0;
}

static int mount_look(const struct mount_task *task, struct mount_state *ret_state,
		      struct diag *diag)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	int status = mount_read_mountinfo(task->root, &mountinfo, diag);

	if (status < 0)
		return status;
	return mount_state_read(task->root, &mountinfo, &task->place.paths, ret_state, diag);
}

/* The share alone, unless something is mounted in its place already. */
static int mount_lay_share(struct mount_task *task, const struct clock *clock,
			   const struct mount_options *options, struct diag *diag)
{
	cleanup_mount_state struct mount_state state = {.shared = false};
	struct share_choice choice = {.count = 0};
	int status = mount_look(task, &state, diag);

	if (status == 0 && !options->force)
		status = mount_plan_allow(&state, diag);
	if (status < 0 || state.shared)
		return status;
	status = mount_await_share(task->root, clock, options, &choice, diag);
	if (status < 0)
		return status;
	status = -ENODEV;
	for (size_t i = 0; i < choice.count && status < 0; i++)
		status = share_mount(choice.transports[i], options->tag, task->place.at, diag);
	if (status < 0)
		return status;
	task->share_mounted = true;
	task->report.changed = true;
	return 0;
}

/* What lies over /sys: all steps, or none of them. */
static int mount_lay_over(struct mount_task *task, struct diag *diag)
{
	cleanup_mount_state struct mount_state state = {.shared = false};
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	int status = mount_look(task, &state, diag);
	size_t done;

	if (status == 0)
		status = mount_plan_lay(&state, &task->place.paths, &plan, diag);
	if (status < 0 || plan.count == 0)
		return status;
	status = mount_state_check_tree(task->place.at, diag);
	if (status < 0)
		return status;
	done = mount_carry_out(task, &plan, &status, diag);
	if (status < 0)
		mount_roll_back(&plan, done);
	return status;
}

int mount_lay(const struct sysroot *root, const struct clock *clock,
	      const struct mount_options *options, struct mount_report *ret_report,
	      struct diag *diag)
{
	struct mount_task task = {.root = root};
	int status = mount_place_init(root, options->at, true, &task.place, diag);

	if (status < 0)
		return status;
	memcpy(task.report.at, task.place.at, sizeof(task.report.at));
	status = mount_lay_share(&task, clock, options, diag);
	if (status == 0)
		status = mount_lay_over(&task, diag);
	if (status < 0) {
		if (task.share_mounted)
			(void)umount2(task.place.at, UMOUNT_NOFOLLOW | MNT_DETACH);
		mount_clear(&task.place);
		return status;
	}
	*ret_report = task.report;
	return 0;
}

int mount_undo(const struct sysroot *root, const char *at, struct mount_report *ret_report,
	       struct diag *diag)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	struct mount_task task = {.root = root};
	int status = mount_place_init(root, at, false, &task.place, diag);

	if (status < 0)
		return status;
	memcpy(task.report.at, task.place.at, sizeof(task.report.at));
	status = mount_read_mountinfo(root, &mountinfo, diag);
	if (status < 0)
		return status;
	status = mount_plan_undo(&mountinfo, &task.place.paths, &plan, diag);
	if (status < 0)
		return status;
	(void)mount_carry_out(&task, &plan, &status, diag);
	if (status < 0)
		return status;
	*ret_report = task.report;
	return 0;
}

bool mount_is_laid(const struct sysroot *root, const char *at)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	struct mount_state state = {.shared = false};
	struct mount_place place;

	if (mount_place_init(root, at, false, &place, NULL) < 0 ||
	    mountinfo_read(root, &mountinfo) < 0 ||
	    mount_plan_observe(&mountinfo, &place.paths, &state) < 0)
		return false;
	return state.sides[0].bound;
}
