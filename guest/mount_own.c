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

bool mount_own_is_bind(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		       const struct mountinfo_entry *entry, const char *side)
{
	const struct mountinfo_entry *tree = mountinfo_on(mountinfo, paths->at);
	struct mount_path root = {.text = ""};

	if (entry == NULL)
		return false;
	/* The share may have been unmounted by hand: then its kind must do. */
	if (tree == NULL)
		tree = entry;
	if (entry->major != tree->major || entry->minor != tree->minor)
		return false;
	if (tree == entry && !mount_own_is_share(entry) && !mount_own_is_overlay(entry))
		return false;
	if (mount_path_format(&root, "%s/%s/powercap",
			      tree == entry || strcmp(tree->root, "/") == 0 ? "" : tree->root,
			      side) < 0)
		return false;
	return strcmp(entry->root, root.text) == 0;
}

int mount_own_observe(const struct mountinfo *mountinfo, const struct mount_paths *paths,
		      struct mount_state *state)
{
	struct mount_path path = {.text = ""};

	state->shared = mountinfo_on(mountinfo, paths->at) != NULL;
	for (size_t i = 0; i < MOUNT_PLAN_SIDES; i++) {
		struct mount_side *side = &state->sides[i];
		const char *name = mount_plan_sides[i];

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
		side->bound =
		    mount_own_is_bind(mountinfo, paths, mountinfo_on(mountinfo, path.text), name);
	}
	return 0;
}
