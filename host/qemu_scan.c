#include "host/qemu_scan.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"
#include "fusefs/process_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define QEMU_SCAN_PATH_SIZE 32

static void cleanup_directory_value(DIR *const *directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}
#define cleanup_directory __attribute__((cleanup(cleanup_directory_value)))

void qemu_scan_init(struct qemu_scan *scan)
{
	*scan = (struct qemu_scan){.users = NULL};
}

void qemu_scan_finish(struct qemu_scan *scan)
{
	free(scan->processes);
	free(scan->buffer);
	qemu_scan_init(scan);
}

/*
 * A stream over the directory whose position is its own: the sysroot's descriptor is shared. NULL:
 * errno tells.
 */
static DIR *qemu_scan_open(struct qemu_scan *scan, int proc_fd)
{
	DIR *directory;
	int fd;

	if (scan->buffer == NULL)
		scan->buffer = malloc(QEMU_CMDLINE_SIZE_MAX);
	if (scan->buffer == NULL)
		return NULL;
	fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	directory = fdopendir(fd);
	if (directory == NULL)
		(void)close(fd);
	return directory;
}

/* The next process of the directory: its pid, 0 at the end, or the negative errno. */
static int qemu_scan_next(DIR *directory)
{
	for (;;) {
		const struct dirent *entry;
		uint32_t pid;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return -errno;
		if (parse_u32(entry->d_name, &pid) == 0 && pid > 0 && pid <= INT32_MAX)
			return (int)pid;
	}
}

/* PID/NAME into the scan's buffer. */
static int qemu_scan_read(struct qemu_scan *scan, int proc_fd, int pid, const char *name,
			  size_t *ret_length)
{
	char path[QEMU_SCAN_PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%d/%s", pid, name);
	return file_read_at(proc_fd, path, scan->buffer, QEMU_CMDLINE_SIZE_MAX, ret_length);
}

/*
 * Whether its user runs machines: by the real user of its status, as the owner of its directory is
 * root for whoever forbids others to look (PR_SET_DUMPABLE).
 */
static int qemu_scan_believe(struct qemu_scan *scan, int proc_fd, int pid, bool *ret_believed)
{
	struct process_status process;
	size_t length;
	int status;

	*ret_believed = true;
	if (scan->users == NULL)
		return 0;
	status = qemu_scan_read(scan, proc_fd, pid, "status", &length);
	if (status < 0)
		return status;
	*ret_believed = process_status_parse(scan->buffer, &process) == 0 &&
			access_users_have(scan->users, process.user);
	return 0;
}

static const struct qemu_process *qemu_scan_known(const struct qemu_scan *scan, int pid)
{
	for (size_t i = 0; i < scan->count; i++)
		if (scan->processes[i].process.pid == pid)
			return &scan->processes[i];
	return NULL;
}

/*
 * The command line. It lies in the memory of its process, and to read that takes its lock
 * (proc_pid_cmdline_read() in fs/proc/base.c), which one that hangs may hold for hours; no other
 * file that is read here does. So that of a process which is known is not read again: it stays the
 * same unless the process becomes another program, which goes by another name.
 */
static int qemu_scan_read_cmdline(struct qemu_scan *scan, const struct qemu_scan *before,
				  int proc_fd, struct qemu_process *process)
{
	const struct qemu_process *known = qemu_scan_known(before, process->process.pid);
	size_t length;
	int status;

	if (known != NULL && known->process.start_ticks == process->process.start_ticks &&
	    strcmp(known->comm, process->comm) == 0) {
		process->cmdline = known->cmdline;
		return 0;
	}
	status = qemu_scan_read(scan, proc_fd, process->process.pid, "cmdline", &length);
	if (status < 0)
		return status;
	/* A process that has ended and waits for its parent has none any more. */
	if (length == 0)
		return -ESRCH;
	return qemu_cmdline_parse(scan->buffer, length, &process->cmdline);
}

/* 0, or why the process is not to be listed. */
static int qemu_scan_inspect(struct qemu_scan *scan, const struct qemu_scan *before, int proc_fd,
			     int pid, struct qemu_process *ret_process)
{
	char path[QEMU_SCAN_PATH_SIZE], line[THREAD_STAT_SIZE];
	struct qemu_process found = {.process = {.pid = pid}};
	struct thread_stat stat;
	size_t length;
	int status;

	(void)snprintf(path, sizeof(path), "%d/comm", pid);
	status = file_read_line_at(proc_fd, path, line, sizeof(line));
	if (status < 0)
		return status;
	if (!qemu_cmdline_is_qemu(line))
		return -ENOENT;
	(void)snprintf(found.comm, sizeof(found.comm), "%.*s", QEMU_SCAN_COMM_SIZE - 1, line);
	(void)snprintf(path, sizeof(path), "%d/stat", pid);
	status = file_read_at(proc_fd, path, line, sizeof(line), &length);
	if (status < 0)
		return status;
	status = thread_stat_parse(line, &stat);
	if (status < 0)
		return status;
	found.process.start_ticks = stat.start_ticks;
	status = qemu_scan_believe(scan, proc_fd, pid, &found.believed);
	if (status < 0)
		return status;
	status = qemu_scan_read_cmdline(scan, before, proc_fd, &found);
	if (status < 0)
		return status;
	*ret_process = found;
	return found.cmdline.probe ? -ENOENT : 0;
}

static int qemu_scan_append(struct qemu_scan *scan, const struct qemu_process *process)
{
	size_t capacity = scan->capacity > 0 ? scan->capacity * 2 : 16;
	struct qemu_process *processes;

	if (scan->count == scan->capacity) {
		processes = realloc(scan->processes, capacity * sizeof(*processes));
		if (processes == NULL)
			return -ENOMEM;
		scan->processes = processes;
		scan->capacity = capacity;
	}
	scan->processes[scan->count++] = *process;
	return 0;
}

static int qemu_process_compare(const void *left, const void *right)
{
	const struct qemu_process *a = left, *b = right;

	if (a->process.start_ticks != b->process.start_ticks)
		return a->process.start_ticks < b->process.start_ticks ? -1 : 1;
	return (a->process.pid > b->process.pid) - (a->process.pid < b->process.pid);
}

/*
 * What is to be listed under that id, in a scan that follows upon `before`; NULL: nothing.
 * Processes vanish and may be hidden: those are simply not there. But one that was there, is, and
 * cannot be looked at, for want of descriptors say, has not ended: that would end its machine's
 * account.
 */
static const struct qemu_process *qemu_scan_look(struct qemu_scan *scan,
						 const struct qemu_scan *before, int proc_fd,
						 int pid, struct qemu_process *process)
{
	int status = qemu_scan_inspect(scan, before, proc_fd, pid, process);

	if (status == 0)
		return process;
	return status == -ENOENT || status == -ESRCH ? NULL : qemu_scan_known(before, pid);
}

static int qemu_scan_fill(struct qemu_scan *scan, const struct qemu_scan *before, int proc_fd)
{
	cleanup_directory DIR *directory = qemu_scan_open(scan, proc_fd);

	if (directory == NULL)
		return -errno;
	for (;;) {
		const struct qemu_process *found;
		struct qemu_process process;
		int pid = qemu_scan_next(directory);
		int status;

		if (pid <= 0)
			return pid;
		found = qemu_scan_look(scan, before, proc_fd, pid, &process);
		status = found != NULL ? qemu_scan_append(scan, found) : 0;
		if (status < 0)
			return status;
		scan->unbelieved += found != NULL && !found->believed ? 1 : 0;
	}
}

int qemu_scan_run(struct qemu_scan *scan, int proc_fd)
{
	struct qemu_scan before = *scan;
	int status;

	scan->processes = NULL;
	scan->count = 0;
	scan->capacity = 0;
	scan->unbelieved = 0;
	status = qemu_scan_fill(scan, &before, proc_fd);
	if (status < 0) {
		free(scan->processes);
		before.buffer = scan->buffer;
		*scan = before;
		return status;
	}
	free(before.processes);
	if (scan->count > 1)
		qsort(scan->processes, scan->count, sizeof(*scan->processes), qemu_process_compare);
	return 0;
}

/* Of two with one uuid: whether it is the first rather than the second, which is the elder. */
static bool qemu_process_is_rather(const struct qemu_process *process,
				   const struct qemu_process *elder, int libvirt_id)
{
	bool named[2] = {false, false};
	const struct qemu_process *both[2] = {process, elder};

	if (process->believed != elder->believed)
		return process->believed;
	for (size_t i = 0; i < 2 && libvirt_id >= 0; i++)
		named[i] = both[i]->cmdline.has_libvirt_id &&
			   both[i]->cmdline.libvirt_id == (uint32_t)libvirt_id;
	return named[0] && !named[1];
}

const struct qemu_process *qemu_scan_find(const struct qemu_scan *scan, const struct uuid *uuid,
					  int libvirt_id)
{
	const struct qemu_process *found = NULL;

	for (size_t i = 0; i < scan->count; i++) {
		const struct qemu_process *process = &scan->processes[i];

		if (!process->cmdline.has_uuid || !uuid_equal(&process->cmdline.uuid, uuid))
			continue;
		if (found == NULL || qemu_process_is_rather(process, found, libvirt_id))
			found = process;
	}
	return found;
}

/* Anything else (a shell, `virsh start UUID`) may name a machine that there is not. */
static bool qemu_scan_is_helper(int proc_fd, int pid)
{
	char path[QEMU_SCAN_PATH_SIZE], comm[THREAD_STAT_SIZE];

	(void)snprintf(path, sizeof(path), "%d/comm", pid);
	if (file_read_line_at(proc_fd, path, comm, sizeof(comm)) < 0)
		return false;
	return qemu_cmdline_is_qemu(comm) || strcmp(comm, "virtiofsd") == 0;
}

int qemu_scan_mentions(struct qemu_scan *scan, int proc_fd, const struct uuid *uuid)
{
	cleanup_directory DIR *directory = qemu_scan_open(scan, proc_fd);
	char text[UUID_TEXT_SIZE];

	if (directory == NULL)
		return -errno;
	uuid_format(uuid, text);
	for (;;) {
		size_t length;
		bool believed;
		int pid = qemu_scan_next(directory);

		if (pid <= 0)
			return pid;
		if (!qemu_scan_is_helper(proc_fd, pid) ||
		    qemu_scan_believe(scan, proc_fd, pid, &believed) < 0 || !believed ||
		    qemu_scan_read(scan, proc_fd, pid, "cmdline", &length) < 0)
			continue;
		if (memmem(scan->buffer, length, text, strlen(text)) != NULL)
			return 1;
	}
}
