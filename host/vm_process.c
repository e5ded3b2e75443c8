#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"
#include "host/thread_time.h"
#include "host/vm_process_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define VM_PROCESS_STAT_SIZE	1024
#define VM_PROCESS_CAPACITY_MIN 16

/* -ESRCH unless the process is there and is the one that is meant. */
static int vm_process_verify(const struct vm_process *process)
{
	char path[THREAD_TIME_PATH_SIZE], line[VM_PROCESS_STAT_SIZE];
	struct thread_stat stat;
	size_t length;
	int status;

	(void)snprintf(path, sizeof(path), "%" PRId32 "/stat", process->identity.pid);
	status = file_read_at(process->context->proc_fd, path, line, sizeof(line), &length);
	if (status == -ENOENT)
		return -ESRCH;
	if (status < 0)
		return status;
	if (thread_stat_parse(line, &stat) < 0 || stat.start_ticks != process->identity.start_ticks)
		return -ESRCH;
	return 0;
}

bool vm_process_exists(const struct vm_process *process)
{
	return vm_process_verify(process) != -ESRCH;
}

int vm_process_open(struct vm_process_context *context, const struct vm_roster_process *identity,
		    struct vm_process **ret_process)
{
	struct vm_process *process = calloc(1, sizeof(*process));
	int status;

	if (process == NULL)
		return -ENOMEM;
	process->context = context;
	process->identity = *identity;
	process->scan_wanted = true;
	status = vm_process_verify(process);
	if (status < 0) {
		free(process);
		return status;
	}
	process->kind_known =
	    thread_time_find_kind(context->proc_fd, identity->pid, &process->kind);
	*ret_process = process;
	return 0;
}

/* A thread keeps its times, and where they matter its last CPU too. */
static size_t vm_process_fds_per_thread(const struct vm_process *process)
{
	return process->context->want_cpu ? 2 : 1;
}

static void vm_thread_close(struct vm_process *process, struct vm_thread *thread)
{
	vm_events_close(&process->context->events, &thread->events);
	thread_time_close(&thread->files);
	if (thread->kept)
		process->context->fd_budget += vm_process_fds_per_thread(process);
	thread->kept = false;
}

/* Takes descriptors for the thread as soon as there are some left. */
static int vm_thread_keep(struct vm_process *process, struct vm_thread *thread)
{
	size_t fds = vm_process_fds_per_thread(process);
	int status;

	if (thread->kept || process->context->fd_budget < fds)
		return 0;
	status = thread_time_keep(&thread->files, process->context->proc_fd);
	if (status < 0 || !thread_time_kept(&thread->files))
		return status;
	thread->kept = true;
	process->context->fd_budget -= fds;
	return 0;
}

void vm_process_close(struct vm_process *process)
{
	if (process == NULL)
		return;
	for (size_t i = 0; i < process->count; i++)
		vm_thread_close(process, &process->threads[i]);
	free(process->threads);
	free(process);
}

/* Begins anew with the other files. Nothing is counted twice: so far all times read zero. */
static void vm_process_decide(struct vm_process *process)
{
	if (process->kind_known)
		return;
	process->kind_known =
	    thread_time_find_kind(process->context->proc_fd, process->identity.pid, &process->kind);
	if (process->kind != THREAD_STAT)
		return;
	for (size_t i = 0; i < process->count; i++)
		vm_thread_close(process, &process->threads[i]);
	process->count = 0;
	process->scanned.ns = 0;
}

static int vm_thread_compare(const void *left, const void *right)
{
	const struct vm_thread *a = left, *b = right;

	return (a->tid > b->tid) - (a->tid < b->tid);
}

void vm_process_thread_path(const struct vm_process *process, const struct vm_thread *thread,
			    char path[static THREAD_TIME_PATH_SIZE])
{
	if (thread->kernel_thread)
		(void)snprintf(path, THREAD_TIME_PATH_SIZE, "%" PRId32, thread->tid);
	else
		(void)snprintf(path, THREAD_TIME_PATH_SIZE, "%" PRId32 "/task/%" PRId32,
			       process->identity.pid, thread->tid);
}

/* Appends; the caller sorts. */
static int vm_process_append(struct vm_process *process, int32_t tid, bool kernel_thread)
{
	size_t capacity = process->capacity > 0 ? process->capacity * 2 : VM_PROCESS_CAPACITY_MIN;
	struct vm_thread thread = {
	    .tid = tid, .role = THREAD_OTHER, .kernel_thread = kernel_thread, .listed = true};
	char path[THREAD_TIME_PATH_SIZE];
	struct vm_thread *threads;
	int status;

	if (process->count == VM_PROCESS_THREAD_MAX)
		return -ENOSPC;
	if (process->count == process->capacity) {
		threads = realloc(process->threads, capacity * sizeof(*threads));
		if (threads == NULL)
			return -ENOMEM;
		process->threads = threads;
		process->capacity = capacity;
	}
	thread_events_init(&thread.events);
	vm_process_thread_path(process, &thread, path);
	(void)thread_time_open(&thread.files, process->context->proc_fd, path, process->kind,
			       false);
	status = vm_thread_keep(process, &thread);
	if (status < 0)
		return status;
	if (!kernel_thread)
		vm_process_roles_identify(process, &thread);
	process->threads[process->count++] = thread;
	return 0;
}

static void vm_process_sort(struct vm_process *process)
{
	if (process->count > 1)
		qsort(process->threads, process->count, sizeof(*process->threads),
		      vm_thread_compare);
}

static struct vm_thread *vm_process_find(struct vm_process *process, int32_t tid, size_t count)
{
	struct vm_thread key = {.tid = tid};

	if (count == 0)
		return NULL;
	return bsearch(&key, process->threads, count, sizeof(key), vm_thread_compare);
}

int vm_process_add_kernel_thread(struct vm_process *process, int32_t tid)
{
	int status;

	if (vm_process_find(process, tid, process->count) != NULL)
		return 0;
	status = vm_process_append(process, tid, true);
	vm_process_sort(process);
	return status;
}

/*
 * The kernel's listing may pass over a live thread when another one ends meanwhile (first_tid() in
 * fs/proc/base.c counts positions). To forget such a thread and find it again later would book all
 * its time twice, so whoever is missing is looked for by name.
 */
static bool vm_thread_exists(const struct vm_process *process, const struct vm_thread *thread)
{
	char path[THREAD_TIME_PATH_SIZE];
	struct stat stat;

	if (thread->ended || thread->listed || thread->kernel_thread)
		return !thread->ended;
	vm_process_thread_path(process, thread, path);
	return fstatat(process->context->proc_fd, path, &stat, 0) == 0 || errno != ENOENT;
}

/* Forgets the threads that have ended; what they spent is booked. */
static void vm_process_sweep(struct vm_process *process)
{
	size_t kept = 0;

	for (size_t i = 0; i < process->count; i++) {
		struct vm_thread *thread = &process->threads[i];

		if (vm_thread_exists(process, thread))
			process->threads[kept++] = *thread;
		else
			vm_thread_close(process, thread);
	}
	process->count = kept;
}

/* Lists the task directory. Threads that were known keep their place and their counts. */
static int vm_process_list(struct vm_process *process)
{
	char path[THREAD_TIME_PATH_SIZE];
	size_t known = process->count;
	const struct dirent *entry;
	int result = 0, fd;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "%" PRId32 "/task", process->identity.pid);
	fd = openat(process->context->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	directory = fdopendir(fd);
	if (directory == NULL) {
		result = -errno;
		(void)close(fd);
		return result;
	}
	for (size_t i = 0; i < known; i++)
		process->threads[i].listed = false;
	while ((entry = readdir(directory)) != NULL) {
		struct vm_thread *thread;
		uint32_t tid;
		int status;

		if (parse_u32(entry->d_name, &tid) < 0 || tid > INT32_MAX)
			continue;
		thread = vm_process_find(process, (int32_t)tid, known);
		if (thread != NULL && !thread->ended) {
			thread->listed = true;
			continue;
		}
		status = vm_process_append(process, (int32_t)tid, false);
		if (status < 0 && status != -ESRCH)
			result = status;
	}
	(void)closedir(directory);
	vm_process_sort(process);
	return result;
}

static int vm_process_scan(struct vm_process *process, struct mono_time now, size_t vcpu_count)
{
	int status = vm_process_verify(process);

	if (status < 0)
		return status;
	if (process->scanned.ns == 0)
		process->opened = now;
	process->scanned = now;
	process->scan_wanted = false;
	status = vm_process_list(process);
	if (status == -ESRCH)
		return status;
	vm_process_sweep(process);
	vm_process_roles_resolve(process, now, vcpu_count);
	if (status < 0)
		process->scan_wanted = true;
	return status;
}

/*
 * Whether the task directory has to be listed. A file system that does not count subdirectories in
 * st_nlink (anything but proc) shows fewer than three links: then the clock decides.
 */
static bool vm_process_scan_due(struct vm_process *process, struct mono_time now)
{
	bool aged = clock_elapsed_ns(process->scanned, now) >= VM_PROCESS_SCAN_NS ||
		    clock_elapsed_ns(process->opened, now) < VM_PROCESS_NAMING_NS;
	char path[THREAD_TIME_PATH_SIZE];
	struct stat stat;

	if (process->scanned.ns == 0)
		return true;
	(void)snprintf(path, sizeof(path), "%" PRId32 "/task", process->identity.pid);
	if (fstatat(process->context->proc_fd, path, &stat, 0) < 0)
		return true;
	if (stat.st_nlink != process->links || stat.st_nlink < 3)
		process->scan_wanted = true;
	process->links = stat.st_nlink;
	return aged && (process->scan_wanted || process->incomplete);
}

static int vm_process_book(struct vm_process *process, struct vm_thread *thread, size_t vcpu_count,
			   struct mono_time now, struct vm_cpu_time *time)
{
	struct thread_events_growth growth;
	uint64_t now_ns, spent_ns;
	int status = vm_thread_keep(process, thread);

	if (status < 0)
		return status;
	status = thread_time_read(&thread->files, process->context->proc_fd, &now_ns);
	if (status < 0)
		return status;
	/* Never true for a kept descriptor; by path, the thread may be another one by now. */
	if (now_ns < thread->time_ns)
		return -ESRCH;
	spent_ns = now_ns - thread->time_ns;
	thread->time_ns = now_ns;
	switch (thread->role) {
	case THREAD_OTHER:
		time->overhead_ns += spent_ns;
		return 0;
	case THREAD_ALL_VCPUS:
		vm_cpu_time_add_all(time, vcpu_count, spent_ns);
		return 0;
	case THREAD_VCPU:
		break;
	}
	status = vm_cpu_time_add(time, thread->vcpu, spent_ns);
	if (status < 0)
		return status;
	time->vcpus[thread->vcpu].has_events = vm_events_read(
	    &process->context->events, &thread->events, thread->tid, spent_ns, now, &growth);
	vm_cpu_time_add_events(time, thread->vcpu, &growth);
	if (!process->context->want_cpu || spent_ns == 0)
		return 0;
	return thread_time_read_cpu(&thread->files, process->context->proc_fd, thread->kept,
				    &time->vcpus[thread->vcpu].cpu);
}

int vm_process_read(struct vm_process *process, struct mono_time now, size_t vcpu_count,
		    struct vm_cpu_time *time)
{
	int result = 0;

	assert(vcpu_count <= time->capacity);
	vm_process_decide(process);
	if (vm_process_scan_due(process, now))
		result = vm_process_scan(process, now, vcpu_count);
	if (result == -ESRCH)
		return result;
	time->vcpu_count = 0;
	for (size_t i = 0; i < time->capacity; i++)
		time->vcpus[i].has_events = false;
	for (size_t i = 0; i < process->count; i++) {
		struct vm_thread *thread = &process->threads[i];
		int status =
		    thread->ended ? 0 : vm_process_book(process, thread, vcpu_count, now, time);

		if (status == -ESRCH) {
			thread->ended = true;
			vm_thread_close(process, thread);
			process->scan_wanted = true;
			if (thread->tid == process->identity.pid)
				return -ESRCH;
		} else if (status < 0) {
			result = status;
		}
	}
	return result;
}

void vm_process_tell(const struct vm_process *process, struct sample_process *ret_process)
{
	uint64_t ticks = process->identity.start_ticks, ns[2] = {0, 0};

	for (size_t i = 0; i < process->count; i++)
		if (!process->threads[i].ended)
			ns[process->threads[i].role == THREAD_OTHER] += process->threads[i].time_ns;
	*ret_process =
	    (struct sample_process){ticks + 1, thread_ticks_to_ns(ticks), ns[false], ns[true]};
}

enum sample_precision vm_process_precision(const struct vm_process *process)
{
	return process->kind == THREAD_SCHEDSTAT ? SAMPLE_NANOSECONDS : SAMPLE_JIFFIES;
}

size_t vm_process_unkept(const struct vm_process *process)
{
	size_t unkept = 0;

	for (size_t i = 0; i < process->count; i++)
		if (!thread_time_kept(&process->threads[i].files))
			unkept++;
	return unkept;
}

size_t vm_process_short(const struct vm_process *process)
{
	bool uncounted =
	    process->context->events.error == -EMFILE || process->context->events.error == -ENFILE;
	size_t count = 0;

	for (size_t i = 0; i < process->count; i++) {
		const struct vm_thread *thread = &process->threads[i];

		if (!thread_time_kept(&thread->files) || (uncounted && thread->events.refused))
			count++;
	}
	return count;
}

const struct vm_roster_process *vm_process_identity(const struct vm_process *process)
{
	return &process->identity;
}
