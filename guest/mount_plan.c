#include "guest/mount_plan.h"
#include "guest/mount_own.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const mount_plan_sides[MOUNT_PLAN_SIDES] = {"class", "devices/virtual"};

static int mount_plan_grow(struct mount_plan *plan)
{
	size_t capacity = plan->capacity == 0 ? 32 : plan->capacity * 2;
	struct mount_step *steps;

	if (plan->count < plan->capacity)
		return 0;
	if (plan->count >= MOUNT_PLAN_STEP_MAX)
		return -E2BIG;
	steps = reallocarray(plan->steps, capacity, sizeof(*steps));
	if (steps == NULL)
		return -ENOMEM;
	plan->steps = steps;
	plan->capacity = capacity;
	return 0;
}

static int mount_plan_add(struct mount_plan *plan, enum mount_step_kind kind, const char *source,
			  const char *target)
{
	struct mount_step *step;
	int status = mount_plan_grow(plan);

	if (status < 0)
		return status;
	if ((source != NULL && strlen(source) >= sizeof(step->source)) ||
	    strlen(target) >= sizeof(step->target))
		return -ENAMETOOLONG;
	step = &plan->steps[plan->count++];
	*step = (struct mount_step){.kind = kind};
	if (source != NULL)
		memcpy(step->source, source, strlen(source));
	memcpy(step->target, target, strlen(target));
	return 0;
}

static bool mount_side_needs_overlay(const struct mount_side *side)
{
	return !side->bound && !side->has_powercap && !side->overlaid;
}

/* Whether some directory of the kernel has to be bound back. */
static bool mount_side_needs_view(const struct mount_side *side)
{
	if (!side->overlaid && !mount_side_needs_overlay(side))
		return false;
	for (size_t i = 0; i < side->child_count; i++)
		if (!side->children[i].kept)
			return true;
	return false;
}

static bool mount_state_needs_view(const struct mount_state *state)
{
	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++)
		if (mount_side_needs_view(&state->sides[i]))
			return true;
	return false;
}

static int mount_plan_lay_overlay(const struct mount_side *side, const char *name,
				  const struct mount_paths *paths, struct mount_plan *plan)
{
	struct mount_path source = {.text = ""}, target = {.text = ""};
	int status;

	if (!mount_side_needs_overlay(side))
		return 0;
	if (mount_path_format(&source, "%s/%s", paths->frame, name) < 0 ||
	    mount_path_format(&target, "%s/%s/powercap", paths->frame, name) < 0)
		return -ENAMETOOLONG;
	status = mount_plan_add(plan, MOUNT_STEP_DIRECTORY, NULL, target.text);
	if (status < 0)
		return status;
	if (mount_path_format(&target, "%s/%s", paths->sys, name) < 0)
		return -ENAMETOOLONG;
	return mount_plan_add(plan, MOUNT_STEP_OVERLAY, source.text, target.text);
}

static int mount_plan_lay_children(const struct mount_side *side, const char *name,
				   const struct mount_paths *paths, struct mount_plan *plan)
{
	if (!mount_side_needs_view(side))
		return 0;
	for (size_t i = 0; i < side->child_count; i++) {
		const struct mount_child *child = &side->children[i];
		struct mount_path source = {.text = ""}, target = {.text = ""};
		int status;

		if (child->kept)
			continue;
		if (mount_path_format(&source, "%s/view/%s/%s", paths->frame, name, child->name) <
			0 ||
		    mount_path_format(&target, "%s/%s/%s", paths->sys, name, child->name) < 0)
			return -ENAMETOOLONG;
		status = mount_plan_add(plan, MOUNT_STEP_BIND, source.text, target.text);
		if (status < 0)
			return status;
	}
	return 0;
}

/* The second view of /sys comes before the overlays, or a shared /sys would show them there too. */
static int mount_plan_lay_frame(const struct mount_state *state, const struct mount_paths *paths,
				struct mount_plan *plan)
{
	bool view = mount_state_needs_view(state);
	struct mount_path view_path = {.text = ""};
	int status = 0;

	if (mount_path_format(&view_path, "%s/view", paths->frame) < 0)
		return -ENAMETOOLONG;
	/* An earlier run was cut off before it had taken its own away. */
	if (state->view_mounted)
		status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, view_path.text);
	if (view && status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_DIRECTORY, NULL, view_path.text);
	if (view && status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_VIEW, paths->sys, view_path.text);
	for (size_t i = 0; i < MOUNT_PLAN_SIDES && status == 0; i++)
		status = mount_plan_lay_overlay(&state->sides[i], mount_plan_sides[i], paths, plan);
	for (size_t i = 0; i < MOUNT_PLAN_SIDES && status == 0; i++)
		status =
		    mount_plan_lay_children(&state->sides[i], mount_plan_sides[i], paths, plan);
	if (view && status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, view_path.text);
	if ((view || state->view_mounted) && status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_REMOVE, NULL, view_path.text);
	return status;
}

static int mount_plan_lay_binds(const struct mount_state *state, const struct mount_paths *paths,
				struct mount_plan *plan)
{
	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++) {
		struct mount_path source = {.text = ""}, target = {.text = ""};
		int status;

		if (state->sides[i].bound)
			continue;
		if (mount_path_format(&source, "%s/%s/powercap", paths->at, mount_plan_sides[i]) <
			0 ||
		    mount_path_format(&target, "%s/%s/powercap", paths->sys, mount_plan_sides[i]) <
			0)
			return -ENAMETOOLONG;
		status = mount_plan_add(plan, MOUNT_STEP_BIND, source.text, target.text);
		if (status < 0)
			return status;
	}
	return 0;
}

int mount_plan_allow(const struct mount_state *state, struct diag *diag)
{
	if (state->rapl[0] == '\0' || state->sides[0].bound)
		return 0;
	return diag_error(diag, -EEXIST,
			  "this machine has a RAPL of its own (%s): clients read that one already; "
			  "cover it with --force",
			  state->rapl);
}

static int mount_plan_links(const struct mount_state *state, const struct mount_paths *paths,
			    struct mount_plan *plan)
{
	struct mount_path links = {.text = ""};
	int status = 0;

	if (!state->linkless)
		return 0;
	if (mount_path_format(&links, "%s/links", paths->frame) < 0)
		return -ENAMETOOLONG;
	/* Those of an earlier run that came no further may be incomplete. */
	if (state->links_mounted)
		status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, links.text);
	if (status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_DIRECTORY, NULL, links.text);
	if (status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_MEMORY, NULL, links.text);
	if (status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_LINKS, paths->at, links.text);
	if (status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_OVERLAY, links.text, paths->at);
	return status;
}

int mount_plan_mend(const struct mount_state *state, const struct mount_paths *paths,
		    struct mount_plan *plan, struct diag *diag)
{
	int status;

	assert(state->shared);
	assert(plan->count == 0);
	status = mount_plan_links(state, paths, plan);
	if (status < 0)
		return diag_error(diag, status, "cannot plan the mounts: %s", strerror(-status));
	return 0;
}

int mount_plan_lay(const struct mount_state *state, const struct mount_paths *paths,
		   struct mount_plan *plan, struct diag *diag)
{
	int status;

	assert(state->shared);
	assert(plan->count == 0);
	status = mount_plan_lay_frame(state, paths, plan);
	if (status == 0)
		status = mount_plan_lay_binds(state, paths, plan);
	if (status < 0)
		return diag_error(diag, status, "cannot plan the mounts: %s", strerror(-status));
	return 0;
}

/* All that is mounted on a directory of the frame, uppermost first. */
static int mount_plan_undo_own(const struct mountinfo *mountinfo, const struct mount_paths *paths,
			       const char *name, struct mount_plan *plan)
{
	const struct mountinfo_entry *entry;
	struct mount_path path = {.text = ""};
	int status = 0;

	if (mount_path_format(&path, "%s/%s", paths->frame, name) < 0)
		return -ENAMETOOLONG;
	for (entry = mountinfo_on(mountinfo, path.text); status == 0 && entry != NULL;
	     entry = mountinfo_under(mountinfo, entry))
		status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, path.text);
	return status;
}

/*
 * Our overlay of one side, and with it what was bound back on it. These cannot be named one by one:
 * when the kernel takes a directory away (bdi/ with the last file system without a device), no path
 * leads to the mount on it any more.
 */
static int mount_plan_undo_overlay(const struct mountinfo *mountinfo,
				   const struct mount_paths *paths, const char *name,
				   struct mount_plan *plan)
{
	struct mount_path path = {.text = ""};

	if (mount_path_format(&path, "%s/%s", paths->sys, name) < 0)
		return -ENAMETOOLONG;
	if (!mount_own_is_overlay(mountinfo_on(mountinfo, path.text)))
		return 0;
	return mount_plan_add(plan, MOUNT_STEP_DETACH, NULL, path.text);
}

/* All that the agent has mounted on one powercap directory, uppermost first. */
static int mount_plan_undo_side(const struct mountinfo *mountinfo, const struct mount_paths *paths,
				const char *side, struct mount_plan *plan)
{
	const struct mountinfo_entry *entry;
	struct mount_path path = {.text = ""};

	if (mount_path_format(&path, "%s/%s/powercap", paths->sys, side) < 0)
		return -ENAMETOOLONG;
	for (entry = mountinfo_on(mountinfo, path.text);
	     mount_own_is_bind(mountinfo, paths, entry, side) ||
	     mount_own_is_orphan(mountinfo, entry, side);
	     entry = mountinfo_under(mountinfo, entry)) {
		int status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, path.text);

		if (status < 0)
			return status;
	}
	return 0;
}

static int mount_plan_undo_binds(const struct mountinfo *mountinfo, const struct mount_paths *paths,
				 struct mount_plan *plan)
{
	int status = 0;

	for (size_t i = MOUNT_PLAN_SIDES; i-- > 0 && status == 0;)
		status = mount_plan_undo_side(mountinfo, paths, mount_plan_sides[i], plan);
	return status;
}

/* The share and what was laid over it. A tree of another kind was put there by somebody else. */
static int mount_plan_undo_share(const struct mountinfo *mountinfo, const struct mount_paths *paths,
				 struct mount_plan *plan)
{
	const struct mountinfo_entry *entry = mountinfo_on(mountinfo, paths->at);
	int status = 0;

	for (; status == 0 && (mount_own_is_share(entry) || mount_own_is_overlay(entry));
	     entry = mountinfo_under(mountinfo, entry))
		status = mount_plan_add(plan, MOUNT_STEP_UNMOUNT, NULL, paths->at);
	return status < 0 ? status : mount_plan_undo_own(mountinfo, paths, "links", plan);
}

int mount_plan_clear_frame(const struct mount_paths *paths, struct mount_plan *plan)
{
	/* Innermost first. */
	static const char *const below[] = {"/devices/virtual/powercap",
					    "/devices/virtual",
					    "/devices",
					    "/class/powercap",
					    "/class",
					    "/links",
					    "/view",
					    ""};

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		struct mount_path path = {.text = ""};
		int status;

		if (mount_path_format(&path, "%s%s", paths->frame, below[i]) < 0)
			return -ENAMETOOLONG;
		status = mount_plan_add(plan, MOUNT_STEP_REMOVE, NULL, path.text);
		if (status < 0)
			return status;
	}
	return 0;
}

static int mount_plan_undo_frame(const struct mountinfo *mountinfo, const struct mount_paths *paths,
				 struct mount_plan *plan)
{
	int status = 0;

	for (size_t i = MOUNT_PLAN_SIDES; i-- > 0 && status == 0;)
		status = mount_plan_undo_overlay(mountinfo, paths, mount_plan_sides[i], plan);
	if (status < 0)
		return status;
	return mount_plan_undo_own(mountinfo, paths, "view", plan);
}

int mount_plan_undo(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		    struct mount_plan *plan, struct diag *diag)
{
	int status;

	assert(plan->count == 0);
	status = mount_plan_undo_binds(mountinfo, paths, plan);
	if (status == 0)
		status = mount_plan_undo_frame(mountinfo, paths, plan);
	if (status == 0)
		status = mount_plan_undo_share(mountinfo, paths, plan);
	if (status == 0)
		status = mount_plan_clear_frame(paths, plan);
	if (status == 0)
		status = mount_plan_add(plan, MOUNT_STEP_REMOVE, NULL, paths->at);
	if (status < 0)
		return diag_error(diag, status, "cannot plan the unmounts: %s", strerror(-status));
	return 0;
}

void mount_plan_finish(struct mount_plan *plan)
{
	free(plan->steps);
	*plan = (struct mount_plan){.steps = NULL};
}

void mount_state_finish(struct mount_state *state)
{
	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++)
		free(state->sides[i].children);
	*state = (struct mount_state){.shared = false};
}
