#include "guest/tree_check.h"
#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

/* What a part of it could not be read for. */
static int tree_check_fail(const char *at, int error, struct diag *diag)
{
	if (error == EACCES || error == EPERM)
		return diag_error(diag, -EACCES,
				  "the host refuses the share at %s: it is another machine's tree; "
				  "on the host: wattport attach DOMAIN",
				  at);
	return diag_error(diag, -ENOTCONN,
			  "the share at %s does not answer: %s; on the host: systemctl status "
			  "wattport-fs; if it was away: wattport detach DOMAIN, wattport attach "
			  "DOMAIN",
			  at, strerror(error));
}

static bool tree_check_is_empty(DIR *list)
{
	const struct dirent *entry;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is the caller's alone. */
	while ((entry = readdir(list)) != NULL)
		if (entry->d_name[0] != '.')
			return false;
	return true;
}

/* A share that holds something else, or nothing where the host has mounted nothing. */
static int tree_check_top(const char *at, DIR *list, struct diag *diag)
{
	static const char *const parts[] = {"wattport", "class/powercap",
					    "devices/virtual/powercap"};
	struct stat attributes;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (fstatat(dirfd(list), parts[i], &attributes, 0) == 0)
			continue;
		if (errno != ENOENT && errno != ENOTDIR)
			return tree_check_fail(at, errno, diag);
		if (tree_check_is_empty(list))
			return diag_error(diag, -EBADMSG,
					  "the share at %s is empty: the host serves no tree "
					  "there; on the host: systemctl status wattport-fs; then "
					  "wattport detach DOMAIN, wattport attach DOMAIN",
					  at);
		return diag_error(diag, -EBADMSG,
				  "the share at %s is no tree of Wattport's: it has no %s; on the "
				  "host: wattport attach DOMAIN; if that share has another tag: "
				  "--tag",
				  at, parts[i]);
	}
	return 0;
}

/* One zone's link, followed to its device. */
static int tree_check_links(const char *at, int at_fd, struct diag *diag)
{
	cleanup_fd int fd = openat(at_fd, "class/powercap", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct stat attributes;
	bool followed = false;
	int error = 0;

	if (list == NULL)
		return tree_check_fail(at, errno, diag);
	(void)TAKE_FD(fd);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while (error == 0 && !followed && (entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(list), entry->d_name, &attributes, 0) == 0)
			followed = true;
		else
			error = errno;
	}
	(void)closedir(list);
	if (error == ELOOP)
		return diag_error(diag, -ELOOP, "the share at %s carries no symbolic links", at);
	if (error != 0)
		return tree_check_fail(at, error, diag);
	if (!followed)
		return diag_error(diag, -EBADMSG,
				  "the tree at %s holds no zones; on the host: wattport status",
				  at);
	return 0;
}

int tree_check(const char *at, struct diag *diag)
{
	DIR *list = opendir(at);
	int status;

	if (list == NULL)
		return tree_check_fail(at, errno, diag);
	status = tree_check_top(at, list, diag);
	if (status == 0)
		status = tree_check_links(at, dirfd(list), diag);
	(void)closedir(list);
	return status;
}
