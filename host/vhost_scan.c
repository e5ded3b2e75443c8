#include "host/vhost_scan.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"
#include "host/kernel_release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define VHOST_SCAN_LINE_SIZE 128
#define VHOST_SCAN_KTHREADD  2 /* whose children the kernel's threads are: rest_init() */

bool vhost_scan_needed(int proc_fd)
{
	struct kernel_release release;

	return kernel_release_read(proc_fd, &release) == 0 && kernel_release_before(&release, 6, 4);
}

int vhost_scan_owner(const char *comm, int32_t *ret_pid)
{
	static const char prefix[] = "vhost-";
	uint32_t pid;

	if (strncmp(comm, prefix, strlen(prefix)) != 0 ||
	    parse_u32(comm + strlen(prefix), &pid) < 0 || pid == 0 || pid > INT32_MAX)
		return -EINVAL;
	*ret_pid = (int32_t)pid;
	return 0;
}

/*
 * Whether it is a thread of the kernel. Anybody may call a process "vhost-PID" (PR_SET_NAME), and
 * would have a machine pay for it; but nobody becomes a child of kthreadd.
 */
static bool vhost_scan_is_worker(int proc_fd, const struct dirent *entry)
{
	char path[sizeof(entry->d_name) + 8], line[THREAD_STAT_SIZE];
	struct thread_stat stat;
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/stat", entry->d_name);
	return file_read_at(proc_fd, path, line, sizeof(line), &length) == 0 &&
	       thread_stat_parse(line, &stat) == 0 && stat.parent == VHOST_SCAN_KTHREADD;
}

int vhost_scan_run(int proc_fd, void (*found)(void *user, int32_t owner_pid, int32_t tid),
		   void *user)
{
	cleanup_fd int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *directory;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (directory == NULL)
		return -errno;
	(void)TAKE_FD(fd);
	while ((entry = readdir(directory)) != NULL) {
		char path[sizeof(entry->d_name) + 8], comm[VHOST_SCAN_LINE_SIZE];
		uint32_t tid;
		int32_t owner;

		if (parse_u32(entry->d_name, &tid) < 0 || tid > INT32_MAX)
			continue;
		(void)snprintf(path, sizeof(path), "%s/comm", entry->d_name);
		if (file_read_line_at(proc_fd, path, comm, sizeof(comm)) == 0 &&
		    vhost_scan_owner(comm, &owner) == 0 && vhost_scan_is_worker(proc_fd, entry))
			found(user, owner, (int32_t)tid);
	}
	(void)closedir(directory);
	return 0;
}
