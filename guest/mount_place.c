#include "guest/mount_place.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int mount_place_make(const char *path, struct diag *diag)
{
	char partial[MOUNT_PLACE_FRAME_SIZE];
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
		return diag_error(diag, -errno,
				  "cannot make the directory %s: %s; name another place with --at",
				  partial, strerror(errno));
	}
	return 0;
}

/*
 * mountinfo names places without links. A share that does not answer may fail to tell that it is no
 * link, as it may be asked to by realpath(3): the directory that it lies in can always be resolved.
 */
static int mount_place_resolve(const char *at, char ret_resolved[static PATH_MAX])
{
	cleanup_free char *whole = realpath(at, NULL);
	cleanup_free char *parent = NULL;
	const char *name = strrchr(at, '/');
	char directory[PATH_MAX];
	int length;

	assert(name != NULL && strlen(at) < PATH_MAX);
	if (whole != NULL) {
		(void)snprintf(ret_resolved, PATH_MAX, "%s", whole);
		return 0;
	}
	if (errno == ENOENT)
		return -ENOENT;
	(void)snprintf(directory, sizeof(directory), "%.*s", name == at ? 1 : (int)(name - at), at);
	parent = realpath(directory, NULL);
	if (parent == NULL)
		return -errno;
	length =
	    snprintf(ret_resolved, PATH_MAX, "%s%s", strcmp(parent, "/") == 0 ? "" : parent, name);
	return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int mount_place_init(const struct sysroot *root, const char *at, bool make,
		     struct mount_place *place, struct diag *diag)
{
	int status;

	if (at[0] != '/' || strlen(at) >= PATH_MAX)
		return diag_error(diag, -EINVAL, "--at wants an absolute path, not '%s'", at);
	if (strpbrk(at, ":,\\") != NULL)
		return diag_error(diag, -EINVAL,
				  "--at cannot hold ':', ',' or '\\', which part the options of "
				  "mount(8)");
	if (make) {
		bool made = access(at, F_OK) < 0 && errno == ENOENT;

		status = mount_place_make(at, diag);
		if (status < 0)
			return status;
		place->made = made;
	}
	status = mount_place_resolve(at, place->at);
	if (status == -ENOENT && !make)
		(void)snprintf(place->at, sizeof(place->at), "%s", at);
	else if (status < 0)
		return diag_error(diag, status, "cannot resolve %s: %s", at, strerror(-status));
	(void)snprintf(place->frame, sizeof(place->frame), "%s" MOUNT_PLACE_FRAME_SUFFIX,
		       place->at);
	place->paths = (struct mount_paths){
	    .sys = sysroot_sys_path(root), .at = place->at, .frame = place->frame};
	return 0;
}

void mount_place_clear(const struct mount_place *place)
{
	cleanup_mount_plan struct mount_plan plan = {.steps = NULL};

	(void)mount_plan_clear_frame(&place->paths, &plan);
	for (size_t i = 0; i < plan.count; i++)
		(void)rmdir(plan.steps[i].target);
	if (place->made)
		(void)rmdir(place->at);
}
