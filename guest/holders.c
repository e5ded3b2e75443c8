#include "guest/holders.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool holders_is_below(const char *path, const char *const paths[], size_t path_count)
{
	for (size_t i = 0; i < path_count; i++) {
		size_t length = strlen(paths[i]);

		if (strncmp(path, paths[i], length) == 0 &&
		    (path[length] == '/' || path[length] == '\0'))
			return true;
	}
	return false;
}

/* What a link of /proc names; nothing else of it is touched. */
static bool holders_link_leads(int directory_fd, const char *name, const char *const paths[],
			       size_t path_count)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(directory_fd, name, target, sizeof(target) - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	return holders_is_below(target, paths, path_count);
}

static bool holders_has_open(int process_fd, const char *const paths[], size_t path_count)
{
	cleanup_fd int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	bool found = false;
	DIR *list;

	if (holders_link_leads(process_fd, "cwd", paths, path_count) ||
	    holders_link_leads(process_fd, "root", paths, path_count))
		return true;
	list = fd >= 0 ? fdopendir(fd) : NULL;
	if (list == NULL)
		return false;
	(void)TAKE_FD(fd);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while (!found && (entry = readdir(list)) != NULL)
		found = holders_link_leads(dirfd(list), entry->d_name, paths, path_count);
	(void)closedir(list);
	return found;
}

/* A process names itself as it likes: what is not printable becomes '?'. */
static void holders_read_name(int process_fd, char ret_name[static HOLDERS_NAME_SIZE])
{
	char text[HOLDERS_NAME_SIZE + 1]; /* with the newline */

	if (file_read_line_at(process_fd, "comm", text, sizeof(text)) < 0)
		(void)snprintf(text, sizeof(text), "?");
	(void)snprintf(ret_name, HOLDERS_NAME_SIZE, "%s", text);
	for (char *c = ret_name; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

static void holders_add(struct holders *holders, uint32_t pid, int process_fd)
{
	struct holder *holder;

	if (holders->count++ >= HOLDERS_LIST_MAX)
		return;
	holder = &holders->list[holders->count - 1];
	holder->pid = (pid_t)pid;
	holders_read_name(process_fd, holder->name);
}

void holders_find(const struct sysroot *root, const char *const paths[], size_t path_count,
		  struct holders *ret_holders)
{
	cleanup_fd int fd = openat(sysroot_proc_fd(root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct holders holders = {.count = 0};
	const struct dirent *entry;

	*ret_holders = holders;
	if (list == NULL)
		return;
	(void)TAKE_FD(fd);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while ((entry = readdir(list)) != NULL) {
		cleanup_fd int process_fd = -1;
		uint32_t pid;

		if (parse_u32(entry->d_name, &pid) < 0 || (pid_t)pid == getpid())
			continue;
		process_fd = openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process_fd >= 0 && holders_has_open(process_fd, paths, path_count))
			holders_add(&holders, pid, process_fd);
	}
	(void)closedir(list);
	*ret_holders = holders;
}

void holders_format(const struct holders *holders, char ret_text[static HOLDERS_TEXT_SIZE])
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < holders->count && i < HOLDERS_LIST_MAX; i++)
		used += (size_t)snprintf(ret_text + used, HOLDERS_TEXT_SIZE - used, "%s%s (%d)",
					 i == 0 ? "" : ", ", holders->list[i].name,
					 (int)holders->list[i].pid);
	if (holders->count > HOLDERS_LIST_MAX)
		(void)snprintf(ret_text + used, HOLDERS_TEXT_SIZE - used, " and %zu more",
			       holders->count - HOLDERS_LIST_MAX);
}
