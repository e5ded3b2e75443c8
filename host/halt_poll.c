#include "host/halt_poll.h"
#include "common/file.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HALT_POLL_DIRECTORY "kernel/debug/kvm"
#define HALT_POLL_PATH_SIZE 96
#define HALT_POLL_TEXT_SIZE 32

/* The FD of a directory named "PID-FD", or -ENOENT. */
static int halt_poll_parse_name(const char *name, int32_t pid)
{
	char prefix[16];
	uint32_t fd;

	(void)snprintf(prefix, sizeof(prefix), "%" PRId32 "-", pid);
	if (strncmp(name, prefix, strlen(prefix)) != 0 ||
	    parse_u32(name + strlen(prefix), &fd) < 0 || fd > INT32_MAX)
		return -ENOENT;
	return (int)fd;
}

/* A QEMU has one machine, so the first directory of its pid is the one. */
static int halt_poll_find(int sys_fd, int32_t pid)
{
	int fd = openat(sys_fd, HALT_POLL_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *directory;
	int found = -ENOENT;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (directory == NULL) {
		found = -errno;
		(void)close(fd);
		return found;
	}
	while (found < 0 && (entry = readdir(directory)) != NULL)
		found = halt_poll_parse_name(entry->d_name, pid);
	(void)closedir(directory);
	return found;
}

static int halt_poll_read_file(const struct halt_poll *poll, int sys_fd, const char *name,
			       uint64_t *ret_value)
{
	char path[HALT_POLL_PATH_SIZE], text[HALT_POLL_TEXT_SIZE];
	int status;

	(void)snprintf(path, sizeof(path), HALT_POLL_DIRECTORY "/%" PRId32 "-%" PRId32 "/%s",
		       poll->pid, poll->vm_fd, name);
	status = file_read_line_at(sys_fd, path, text, sizeof(text));
	return status < 0 ? status : parse_u64(text, ret_value);
}

void halt_poll_read(struct halt_poll *poll, int sys_fd, int32_t pid, struct mono_time now)
{
	uint64_t success_ns, fail_ns, sum_ns;
	bool same = poll->pid == pid;

	if (same && poll->read.ns != 0 &&
	    clock_elapsed_ns(poll->read, now) <
		(poll->vm_fd >= 0 ? HALT_POLL_PERIOD_NS : HALT_POLL_RETRY_NS))
		return;
	poll->read = now;
	if (!same || poll->vm_fd < 0) {
		poll->pid = pid;
		poll->vm_fd = halt_poll_find(sys_fd, pid);
		poll->last_ns = 0;
	}
	if (poll->vm_fd < 0)
		return;
	if (halt_poll_read_file(poll, sys_fd, "halt_poll_success_ns", &success_ns) < 0 ||
	    halt_poll_read_file(poll, sys_fd, "halt_poll_fail_ns", &fail_ns) < 0 ||
	    __builtin_add_overflow(success_ns, fail_ns, &sum_ns) || sum_ns > INT64_MAX) {
		/* Gone, or of a kernel before 5.8. */
		poll->vm_fd = -1;
		return;
	}
	/* Whoever is root may set these counters back to 0; from there they are gone on with. */
	if (sum_ns > poll->last_ns)
		poll->total_ns += sum_ns - poll->last_ns;
	poll->last_ns = sum_ns;
	poll->known = true;
}
