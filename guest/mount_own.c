#include "guest/mount_own.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mount_path_format(struct mount_path *path, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(path->text, sizeof(path->text), format, arguments);
	va_end(arguments);
	return length < 0 || (size_t)length >= sizeof(path->text) ? -ENAMETOOLONG : 0;
}

bool mount_own_is_overlay(const struct mountinfo_entry *entry)
{
	return entry != NULL && strcmp(entry->type, "overlay") == 0 &&
	       strcmp(entry->source, MOUNT_PLAN_SOURCE) == 0;
}

bool mount_own_is_share(const struct mountinfo_entry *entry)
{
	return entry != NULL &&
	       (strcmp(entry->type, "9p") == 0 || strcmp(entry->type, "virtiofs") == 0);
}

/* Whether the mount shows that side of the file system of which `of` shows a directory. */
static bool mount_own_shows(const struct mountinfo_entry *entry, const struct mountinfo_entry *of,
			    const char *side)
{
	struct mount_path root = {.text = ""};

	if (entry->major != of->major || entry->minor != of->minor)
		return false;
	return mount_path_format(&root, "%s/%s/powercap",
				 strcmp(of->root, "/") == 0 ? "" : of->root, side) == 0 &&
	       strcmp(entry->root, root.text) == 0;
}

bool mount_own_is_bind(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		       const struct mountinfo_entry *entry, const char *side)
{
	const struct mountinfo_entry *tree = mountinfo_on(mountinfo, paths->at);

	return entry != NULL && tree != NULL && mount_own_shows(entry, tree, side);
}

bool mount_own_is_orphan(const struct mountinfo *mountinfo, const struct mountinfo_entry *entry,
			 const char *side)
{
	struct mount_path root = {.text = ""};

	if (!mount_own_is_share(entry) && !mount_own_is_overlay(entry))
		return false;
	/* Where the whole is mounted somewhere, the bind is of whoever did that. */
	for (size_t i = 0; i < mountinfo->count; i++) {
		const struct mountinfo_entry *other = &mountinfo->entries[i];

		if (other->major == entry->major && other->minor == entry->minor &&
		    strcmp(other->root, "/") == 0)
			return false;
	}
	return mount_path_format(&root, "/%s/powercap", side) == 0 &&
	       strcmp(entry->root, root.text) == 0;
}

int mount_own_observe(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		      struct mount_state *state)
{
	struct mount_path path = {.text = ""};

	state->shared = mountinfo_on(mountinfo, paths->at) != NULL;
	if (mount_path_format(&path, "%s/links", paths->frame) < 0)
		return -ENAMETOOLONG;
	state->links_mounted = mountinfo_on(mountinfo, path.text) != NULL;
	if (mount_path_format(&path, "%s/view", paths->frame) < 0)
		return -ENAMETOOLONG;
	state->view_mounted = mountinfo_on(mountinfo, path.text) != NULL;
	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++) {
		struct mount_side *side = &state->sides[i];
		const char *name = mount_plan_sides[i];
		const struct mountinfo_entry *on;

		if (mount_path_format(&path, "%s/%s", paths->sys, name) < 0)
			return -ENAMETOOLONG;
		side->overlaid = mount_own_is_overlay(mountinfo_on(mountinfo, path.text));
		for (size_t j = 0; j < side->child_count; j++) {
			if (mount_path_format(&path, "%s/%s/%s", paths->sys, name,
					      side->children[j].name) < 0)
				return -ENAMETOOLONG;
			side->children[j].kept = mountinfo_on(mountinfo, path.text) != NULL;
		}
		if (mount_path_format(&path, "%s/%s/powercap", paths->sys, name) < 0)
			return -ENAMETOOLONG;
		on = mountinfo_on(mountinfo, path.text);
		side->bound = mount_own_is_bind(mountinfo, paths, on, name);
		side->stale = mount_own_is_orphan(mountinfo, on, name);
	}
	return 0;
}
