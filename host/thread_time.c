#include "host/thread_time.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int thread_schedstat_parse(const char *text, uint64_t *ret_time_ns)
{
	return parse_next_u64(&text, ret_time_ns) < 0 ? -EINVAL : 0;
}

enum thread_role thread_role_of(const char *comm, uint32_t *ret_vcpu)
{
	static const char prefix[] = "CPU ";
	char digits[12];
	const char *cursor;
	size_t length;

	if (strcmp(comm, "ALL CPUs/TCG") == 0)
		return THREAD_ALL_VCPUS;
	if (strncmp(comm, prefix, strlen(prefix)) != 0)
		return THREAD_OTHER;
	cursor = comm + strlen(prefix);
	length = strspn(cursor, "0123456789");
	if (length == 0 || length >= sizeof(digits) || cursor[length] != '/')
		return THREAD_OTHER;
	memcpy(digits, cursor, length);
	digits[length] = '\0';
	return parse_u32(digits, ret_vcpu) == 0 ? THREAD_VCPU : THREAD_OTHER;
}

/*
 * Without sched_info every schedstat reads "0 0 0" (proc_pid_schedstat() in fs/proc/base.c). So it
 * does for a process that has just begun and never left its CPU yet: which of both it is shows when
 * either of its times has moved.
 */
bool thread_time_find_kind(int proc_fd, int32_t pid, enum thread_time_kind *ret_kind)
{
	char path[THREAD_TIME_PATH_SIZE], line[THREAD_STAT_SIZE];
	struct thread_stat stat;
	uint64_t time_ns;
	size_t length;

	*ret_kind = THREAD_STAT;
	(void)snprintf(path, sizeof(path), "%" PRId32 "/schedstat", pid);
	if (file_read_at(proc_fd, path, line, sizeof(line), &length) < 0 ||
	    thread_schedstat_parse(line, &time_ns) < 0)
		return true;
	if (time_ns > 0) {
		*ret_kind = THREAD_SCHEDSTAT;
		return true;
	}
	(void)snprintf(path, sizeof(path), "%" PRId32 "/stat", pid);
	if (file_read_at(proc_fd, path, line, sizeof(line), &length) == 0 &&
	    thread_stat_parse(line, &stat) == 0 && stat.time_ticks > 0)
		return true;
	*ret_kind = THREAD_SCHEDSTAT;
	return false;
}

/* NAME below the thread's directory; a thread that has gone is -ESRCH, however the kernel says it.
 */
static int thread_time_open_file(const struct thread_time *thread, int proc_fd, const char *name,
				 int *ret_fd)
{
	char path[THREAD_TIME_PATH_SIZE + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", thread->path, name);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	*ret_fd = fd;
	return 0;
}

static const char *thread_time_file(const struct thread_time *thread)
{
	return thread->kind == THREAD_SCHEDSTAT ? "schedstat" : "stat";
}

/* Running out of descriptors or memory costs precision or speed, never the thread. */
static bool thread_time_is_shortage(int status)
{
	return status == -EMFILE || status == -ENFILE || status == -ENOMEM;
}

int thread_time_open(struct thread_time *thread, int proc_fd, const char *path,
		     enum thread_time_kind kind, bool keep)
{
	*thread = (struct thread_time){.kind = kind, .time_fd = -1, .stat_fd = -1};
	(void)snprintf(thread->path, sizeof(thread->path), "%s", path);
	return keep ? thread_time_keep(thread, proc_fd) : 0;
}

int thread_time_keep(struct thread_time *thread, int proc_fd)
{
	int status =
	    thread_time_open_file(thread, proc_fd, thread_time_file(thread), &thread->time_fd);

	return thread_time_is_shortage(status) ? 0 : status;
}

void thread_time_close(struct thread_time *thread)
{
	if (thread->time_fd >= 0)
		(void)close(thread->time_fd);
	if (thread->stat_fd >= 0)
		(void)close(thread->stat_fd);
	thread->time_fd = -1;
	thread->stat_fd = -1;
}

bool thread_time_kept(const struct thread_time *thread)
{
	return thread->time_fd >= 0;
}

static int thread_time_read_file(const struct thread_time *thread, int proc_fd, int kept_fd,
				 const char *name, char buffer[static THREAD_STAT_SIZE])
{
	cleanup_fd int fd = -1;
	size_t length;
	int status;

	/* One line each, so one call gets all; a second one that finds the end would double the
	 * cost. */
	if (kept_fd >= 0)
		return file_pread_line(kept_fd, buffer, THREAD_STAT_SIZE, &length);
	status = thread_time_open_file(thread, proc_fd, name, &fd);
	if (status < 0)
		return status;
	return file_pread_line(fd, buffer, THREAD_STAT_SIZE, &length);
}

int thread_time_read(struct thread_time *thread, int proc_fd, uint64_t *ret_time_ns)
{
	char buffer[THREAD_STAT_SIZE];
	struct thread_stat stat;
	int status = thread_time_read_file(thread, proc_fd, thread->time_fd,
					   thread_time_file(thread), buffer);

	if (status < 0)
		return status;
	if (thread->kind == THREAD_SCHEDSTAT)
		return thread_schedstat_parse(buffer, ret_time_ns);
	status = thread_stat_parse(buffer, &stat);
	if (status < 0)
		return status;
	*ret_time_ns = thread_ticks_to_ns(stat.time_ticks);
	return 0;
}

int thread_time_read_cpu(struct thread_time *thread, int proc_fd, bool keep, uint32_t *ret_cpu)
{
	char buffer[THREAD_STAT_SIZE];
	struct thread_stat stat;
	int fd = thread->kind == THREAD_STAT ? thread->time_fd : thread->stat_fd;
	int status;

	if (fd < 0 && keep) {
		status = thread_time_open_file(thread, proc_fd, "stat", &thread->stat_fd);
		if (status < 0 && !thread_time_is_shortage(status))
			return status;
		fd = thread->stat_fd;
	}
	status = thread_time_read_file(thread, proc_fd, fd, "stat", buffer);
	if (status < 0)
		return status;
	status = thread_stat_parse(buffer, &stat);
	if (status < 0)
		return status;
	*ret_cpu = stat.cpu;
	return 0;
}
