#include "tests/raplsim/processes.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/model.h"
#include "tests/raplsim/parse.h"

__extension__ typedef unsigned __int128 energy_fj;

#define PATH_SIZE 64
#define LINE_SIZE 128

struct followed {
	pid_t pid;
	energy_fj energy_fj;
	uint64_t ended_ns; /* CPU time of threads that are no more. */
	struct process_thread *threads;
	size_t thread_count;
};

struct processes {
	size_t count;
	struct followed followed[PROCESSES_MAX];
};

int processes_create(struct processes **ret_processes)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return -ENOMEM;
	*ret_processes = processes;
	return 0;
}

void processes_destroy(struct processes *processes)
{
	if (!processes)
		return;
	for (size_t i = 0; i < processes->count; i++)
		free(processes->followed[i].threads);
	free(processes);
}

static const struct followed *find(const struct processes *processes, pid_t pid)
{
	for (size_t i = 0; i < processes->count; i++) {
		if (processes->followed[i].pid == pid)
			return &processes->followed[i];
	}
	return NULL;
}

int processes_follow(struct processes *processes, pid_t pid)
{
	char path[PATH_SIZE];

	if (find(processes, pid))
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if (access(path, F_OK) < 0)
		return -ESRCH;
	if (processes->count == PROCESSES_MAX)
		return -E2BIG;
	processes->followed[processes->count++] = (struct followed){.pid = pid};
	return 0;
}

/* The first line of a thread's file, without its newline. */
static int read_line(int task_fd, const char *tid, const char *name, char line[LINE_SIZE])
{
	char path[PATH_SIZE];
	cleanup_fd int fd = -1;
	ssize_t length;

	if (snprintf(path, sizeof(path), "%s/%s", tid, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = openat(task_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, line, LINE_SIZE - 1);
	if (length < 0)
		return -errno;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* The first field of schedstat is the time spent on a CPU in nanoseconds
 * (Documentation/scheduler/sched-stats.rst). */
static int read_thread(int task_fd, const char *name, struct process_thread *ret_thread)
{
	struct process_thread thread = {.tid = 0};
	char line[LINE_SIZE];
	uint64_t tid;
	int r;

	r = parse_u64(name, &tid);
	if (r < 0)
		return r;
	thread.tid = (pid_t)tid;
	r = read_line(task_fd, name, "schedstat", line);
	if (r < 0)
		return r;
	line[strcspn(line, " ")] = '\0';
	r = parse_u64(line, &thread.cpu_ns);
	if (r < 0)
		return r;
	r = read_line(task_fd, name, "comm", line);
	if (r < 0)
		return r;
	(void)snprintf(thread.comm, sizeof(thread.comm), "%.63s", line);
	*ret_thread = thread;
	return 0;
}

static int list_threads(pid_t pid, struct process_thread **ret_threads, size_t *ret_count)
{
	cleanup_free struct process_thread *threads = NULL;
	char path[PATH_SIZE];
	size_t count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		struct process_thread thread;
		struct process_thread *more;

		if (read_thread(dirfd(dir), entry->d_name, &thread) < 0)
			continue; /* "." and "..", or it ended meanwhile. */
		more = reallocarray(threads, count + 1, sizeof(*threads));
		if (!more) {
			(void)closedir(dir);
			return -ENOMEM;
		}
		threads = more;
		threads[count++] = thread;
	}
	(void)closedir(dir);
	*ret_threads = TAKE_PTR(threads);
	*ret_count = count;
	return 0;
}

static const struct process_thread *find_thread(const struct process_thread *threads, size_t count,
						pid_t tid)
{
	for (size_t i = 0; i < count; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	return NULL;
}

static void sample(struct followed *process, uint64_t busy_uw)
{
	struct process_thread *threads = NULL;
	size_t count = 0;
	uint64_t spent_ns = 0;

	/* A process that has ended keeps what it had: its list becomes empty. */
	if (list_threads(process->pid, &threads, &count) == -ENOMEM)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct process_thread *before =
		    find_thread(process->threads, process->thread_count, threads[i].tid);
		uint64_t before_ns = before ? before->cpu_ns : 0;

		if (threads[i].cpu_ns > before_ns)
			spent_ns += threads[i].cpu_ns - before_ns;
	}
	for (size_t i = 0; i < process->thread_count; i++) {
		if (!find_thread(threads, count, process->threads[i].tid))
			process->ended_ns += process->threads[i].cpu_ns;
	}
	free(process->threads);
	process->threads = threads;
	process->thread_count = count;
	process->energy_fj += (energy_fj)busy_uw * spent_ns;
}

void processes_sample(struct processes *processes, uint64_t busy_uw)
{
	for (size_t i = 0; i < processes->count; i++)
		sample(&processes->followed[i], busy_uw);
}

struct process processes_get(const struct processes *processes, pid_t pid)
{
	const struct followed *followed = find(processes, pid);
	struct process process;

	assert(followed);
	process = (struct process){.pid = pid,
				   .cpu_ns = followed->ended_ns,
				   .true_uj = (uint64_t)(followed->energy_fj / MODEL_FJ_PER_UJ),
				   .threads = followed->threads,
				   .thread_count = followed->thread_count};
	for (size_t i = 0; i < followed->thread_count; i++)
		process.cpu_ns += followed->threads[i].cpu_ns;
	return process;
}
