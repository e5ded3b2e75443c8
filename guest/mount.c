#include "guest/mount.h"
#include "common/cleanup.h"
#include "guest/mount_own.h"
#include "guest/mount_place.h"
#include "guest/mount_state.h"
#include "guest/tree_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#define MOUNT_WAIT_STEP_NS (CLOCK_NS_PER_SECOND / 5)
/* The agent's service looks at its tree every 5 s, and the kernel logs each attempt. */
#define MOUNT_BUSY_NS	   (20 * CLOCK_NS_PER_SECOND)
#define MOUNT_BUSY_STEP_NS CLOCK_NS_PER_SECOND

/* What is at hand while a tree is laid. */
struct mount_task {
	const struct sysroot *root;
	struct mount_place place;
	struct mount_report report;
	bool remains; /* of a tree that is of no use any more: they go before the new one comes */
	bool share_mounted; /* by us, just now */
	size_t mended;	    /* steps of the plan below that were carried out */
	struct mount_plan mend;
};

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

static int mount_take_away(const struct sysroot *root, const struct mount_paths *paths,
			   struct mount_outcome *outcome, struct diag *diag)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};
	size_t done;
	int status = mount_read_mountinfo(root, &mountinfo, diag);

	if (status == 0)
		status = mount_plan_undo(&mountinfo, paths, &plan, diag);
	if (status < 0)
		return status;
	return mount_step_run(root, &plan, &done, outcome, diag);
}

/* The share at the bottom of what is mounted there, by whomever; NULL when there is none. */
static const struct mountinfo_entry *mount_find_share(const struct mountinfo *mountinfo,
						      const char *at)
{
	const struct mountinfo_entry *entry = mountinfo_on(mountinfo, at);

	while (mount_own_is_overlay(entry))
		entry = mountinfo_under(mountinfo, entry);
	return mount_own_is_share(entry) ? entry : NULL;
}

static int mount_explain_place(const struct sysroot *root, const struct mount_place *place,
			       struct diag *diag)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};
	const struct mountinfo_entry *share;
	enum share_transport transport;
	struct share_state state;
	int status = mountinfo_read(root, &mountinfo);

	share = status == 0 ? mount_find_share(&mountinfo, place->at) : NULL;
	if (share == NULL)
		return 0;
	status = tree_check(place->at, diag);
	if (status == -ELOOP)
		return 0;
	if (status != -ENOTCONN || share_transport_parse(share->type, &transport) < 0)
		return status;
	share_probe(root, share->source, &state);
	if (share_is_there(&state, transport))
		return status;
	return diag_error(diag, -ENODEV,
			  "the device of the share at %s is gone; wattport-agent mount --undo "
			  "takes away what is left of it; on the host: wattport attach DOMAIN",
			  place->at);
}

/* One look for the share, and the attempt to mount it. */
static int mount_try_share(struct mount_task *task, const struct mount_options *options,
			   struct diag *diag)
{
	struct share_choice choice = {.count = 0};
	int status = share_find(task->root, options->tag, options->transport, &choice, diag);

	if (status < 0)
		return status;
	if (task->remains) {
		task->remains = false;
		status =
		    mount_take_away(task->root, &task->place.paths, &task->report.outcome, diag);
		if (status == 0)
			status = mount_place_make(task->place.at, diag);
	}
	if (status < 0)
		return status;
	status = share_mount(&choice, options->tag, task->place.at, diag);
	if (status < 0)
		return status;
	task->share_mounted = true;
	task->report.outcome.changed = true;
	return 0;
}

/* Whether that share is mounted where we can see it: nobody is about to let go of it then. */
static bool mount_is_elsewhere(const struct sysroot *root, const char *tag)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = NULL};

	if (mountinfo_read(root, &mountinfo) < 0)
		return true;
	for (size_t i = 0; i < mountinfo.count; i++)
		if (mount_own_is_share(&mountinfo.entries[i]) &&
		    strcmp(mountinfo.entries[i].source, tag) == 0)
			return true;
	return false;
}

/* For how long what has failed like that is tried again. */
static uint64_t mount_patience_ns(const struct mount_task *task, int status,
				  const struct mount_options *options)
{
	/* A device that has just come may still be without its driver: -ENOPKG. */
	if (status == -ENODEV || status == -ENOPKG)
		return options->wait_ns;
	/* A tree was just taken away, and who reads it has not noticed yet. */
	if (status == -EBUSY && !mount_is_elsewhere(task->root, options->tag))
		return options->wait_ns > MOUNT_BUSY_NS ? options->wait_ns : MOUNT_BUSY_NS;
	return 0;
}

static int mount_await_share(struct mount_task *task, const struct clock *clock,
			     const struct mount_options *options, struct diag *diag)
{
	struct mono_time start = clock_now_mono(clock);

	for (;;) {
		int status = mount_try_share(task, options, diag);
		uint64_t step_ns;

		if (clock_elapsed_ns(start, clock_now_mono(clock)) >=
		    mount_patience_ns(task, status, options))
			return status;
		step_ns = status == -EBUSY ? MOUNT_BUSY_STEP_NS : MOUNT_WAIT_STEP_NS;
		(void)nanosleep(
		    &(struct timespec){.tv_sec = (time_t)(step_ns / CLOCK_NS_PER_SECOND),
				       .tv_nsec = (long)(step_ns % CLOCK_NS_PER_SECOND)},
		    NULL);
	}
}

/* A machine with a RAPL of its own is told so, whether it has a share or not. */
static int mount_allow(const struct mount_task *task, const struct mount_state *state,
		       const struct mount_options *options, struct diag *diag)
{
	struct share_choice choice;

	if (options->force || options->share_only)
		return 0;
	if (options->optional && !state->shared &&
	    share_find(task->root, options->tag, options->transport, &choice, NULL) == -ENODEV)
		return 0;
	return mount_plan_allow(state, diag);
}

/* The share alone, unless a living one is mounted in its place already. */
static int mount_lay_share(struct mount_task *task, const struct clock *clock,
			   const struct mount_options *options, struct diag *diag)
{
	cleanup_mount_state struct mount_state state = {.shared = false};
	struct diag dead_diag = DIAG_INIT;
	int dead, status = mount_look(task, &state, diag);

	if (status == 0)
		status = mount_allow(task, &state, options, diag);
	if (status < 0)
		return status;
	dead = mount_explain_place(task->root, &task->place, &dead_diag);
	task->remains =
	    dead == -ENODEV || dead == -ENOTCONN || state.sides[0].stale || state.sides[1].stale;
	if (state.shared && !task->remains)
		return 0;
	status = mount_await_share(task, clock, options, diag);
	if (status != -ENODEV)
		return status;
	if (dead < 0 && task->remains)
		return diag_error(diag, dead, "%s", dead_diag.text);
	if (!options->optional || task->remains)
		return status;
	task->report.absent = true;
	return 0;
}

/* A share that carries no links is laid over with those that the tree should have. */
static int mount_mend(struct mount_task *task, struct diag *diag)
{
	cleanup_mount_state struct mount_state state = {.shared = false};
	int checked = tree_check(task->place.at, diag);
	int status;

	if (checked != -ELOOP)
		return checked;
	status = mount_look(task, &state, diag);
	if (status < 0)
		return status;
	state.linkless = true;
	status = mount_plan_mend(&state, &task->place.paths, &task->mend, diag);
	if (status == 0)
		status = mount_step_run(task->root, &task->mend, &task->mended,
					&task->report.outcome, diag);
	if (status == 0)
		return tree_check(task->place.at, diag);
	diag_prefix(diag, "the share carries no symbolic links (accessmode='mapped')");
	diag_append(diag, "on the host: wattport attach DOMAIN shares it with passthrough");
	return status;
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
	if (status < 0)
		return status;
	status = mount_step_run(task->root, &plan, &done, &task->report.outcome, diag);
	if (status == 0)
		return 0;
	mount_step_roll_back(&plan, done);
	if (status == -ENOPKG)
		diag_append(diag,
			    "install or build it, or mount the share alone (--share-only), for "
			    "software that can be told to read it at %s",
			    task->place.at);
	return status;
}

static int mount_do_lay(struct mount_task *task, const struct clock *clock,
			const struct mount_options *options, struct diag *diag)
{
	int status = mount_lay_share(task, clock, options, diag);

	if (status < 0 || task->report.absent)
		return status;
	status = mount_mend(task, diag);
	if (status == 0 && !options->share_only)
		status = mount_lay_over(task, diag);
	return status;
}

int mount_lay(const struct sysroot *root, const struct clock *clock,
	      const struct mount_options *options, struct mount_report *ret_report,
	      struct diag *diag)
{
	struct mount_task task = {.root = root};
	int status = mount_step_allowed(diag);

	if (status == 0)
		status = mount_place_init(root, options->at, true, &task.place, diag);
	if (status < 0)
		return status;
	memcpy(task.report.at, task.place.at, sizeof(task.report.at));
	status = mount_do_lay(&task, clock, options, diag);
	if (status < 0)
		mount_step_roll_back(&task.mend, task.mended);
	if (status < 0 && task.share_mounted)
		(void)umount2(task.place.at, UMOUNT_NOFOLLOW | MNT_DETACH);
	if (status < 0 || task.report.absent)
		mount_place_clear(&task.place);
	mount_plan_finish(&task.mend);
	if (status < 0)
		return status;
	mount_state_find_covered(task.place.paths.sys, task.report.covered);
	*ret_report = task.report;
	return 0;
}

int mount_undo(const struct sysroot *root, const char *at, struct mount_report *ret_report,
	       struct diag *diag)
{
	char class_path[PATH_MAX], device_path[PATH_MAX];
	struct mount_place place;
	const char *const paths[] = {place.at, class_path, device_path};
	struct mount_report report = {.absent = false};
	int status = mount_place_init(root, at, false, &place, diag);

	if (status < 0)
		return status;
	memcpy(report.at, place.at, sizeof(report.at));
	(void)snprintf(class_path, sizeof(class_path), "%s/class/powercap", place.paths.sys);
	(void)snprintf(device_path, sizeof(device_path), "%s/devices/virtual/powercap",
		       place.paths.sys);
	/* Once unmounted, what they hold has no path any more. */
	holders_find(root, paths, sizeof(paths) / sizeof(paths[0]), &report.holders);
	status = mount_take_away(root, &place.paths, &report.outcome, diag);
	if (status < 0)
		return status;
	*ret_report = report;
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

int mount_explain(const struct sysroot *root, const char *at, struct diag *diag)
{
	struct mount_place place;
	int status = mount_place_init(root, at, false, &place, diag);

	return status < 0 ? status : mount_explain_place(root, &place, diag);
}
