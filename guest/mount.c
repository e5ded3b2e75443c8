#include "guest/mount.h"
#include "common/cleanup.h"
#include "guest/mount_own.h"
#include "guest/mount_place.h"
#include "guest/mount_state.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#define MOUNT_WAIT_STEP_NS 200000000L

/* What is at hand while steps are carried out. */
struct mount_task {
	const struct sysroot *root;
	struct mount_place place;
	struct mount_report report;
	bool share_mounted; /* by us, just now */
};

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
	task->report.outcome.changed = true;
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
	status = mount_step_run(task->root, &plan, &done, &task->report.outcome, diag);
	if (status < 0)
		mount_step_roll_back(&plan, done);
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
		mount_place_clear(&task.place);
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
	size_t done;
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
	status = mount_step_run(root, &plan, &done, &task.report.outcome, diag);
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
	    mount_own_observe(&mountinfo, &place.paths, &state) < 0)
		return false;
	return state.sides[0].bound;
}
