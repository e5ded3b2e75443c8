#include "guest/exec_times.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define EXEC_TIMES_PATH_SIZE 64

/* Numbers of as many children as there may be processes, with a blank each. */
#define EXEC_TIMES_LIST_SIZE (EXEC_TIMES_PROCESS_MAX * 11)

struct exec_times_process {
	int32_t pid;
	uint64_t time_ns; /* its own */
};

struct exec_times {
	const struct sysroot *root;
	const struct topology *topology;
	size_t count;
	struct exec_times_process processes[EXEC_TIMES_PROCESS_MAX];
	size_t before_count; /* of the look before, ascending */
	struct exec_times_process before[EXEC_TIMES_PROCESS_MAX];
	char list[EXEC_TIMES_LIST_SIZE];
};

/* The children of one thread. */
static int exec_times_read_children(struct exec_times *times, int32_t pid, int32_t thread)
{
	char path[EXEC_TIMES_PATH_SIZE];
	const char *cursor = times->list;
	uint64_t child;
	size_t length;
	int status;

	(void)snprintf(path, sizeof(path), "%d/task/%d/children", pid, thread);
	status = file_read_at(sysroot_proc_fd(times->root), path, times->list, sizeof(times->list),
			      &length);
	if (status < 0)
		return status;
	while (times->count < EXEC_TIMES_PROCESS_MAX && parse_next_u64(&cursor, &child) == 0 &&
	       child > 0 && child <= INT32_MAX)
		times->processes[times->count++].pid = (int32_t)child;
	return 0;
}

static void exec_times_close(DIR *const *list)
{
	if (*list != NULL)
		(void)closedir(*list);
}

/* Each thread has children of its own. */
static void exec_times_read_threads(struct exec_times *times, int32_t pid)
{
	char path[EXEC_TIMES_PATH_SIZE];
	const struct dirent *entry;
	DIR *list __attribute__((cleanup(exec_times_close))) = NULL;
	cleanup_fd int fd = -1;
	uint32_t thread;

	(void)snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(sysroot_proc_fd(times->root), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd >= 0 ? fdopendir(fd) : NULL;
	if (list == NULL)
		return;
	(void)TAKE_FD(fd);
	while ((entry = readdir(list)) != NULL)
		if (parse_u32(entry->d_name, &thread) == 0 && thread <= INT32_MAX)
			(void)exec_times_read_children(times, pid, (int32_t)thread);
}

int exec_times_create(const struct sysroot *root, const struct topology *topology,
		      struct exec_times **ret_times)
{
	struct exec_times *times = calloc(1, sizeof(*times));

	if (times == NULL)
		return -ENOMEM;
	times->root = root;
	times->topology = topology;
	if (exec_times_read_children(times, getpid(), getpid()) < 0) {
		free(times);
		return -EOPNOTSUPP;
	}
	*ret_times = times;
	return 0;
}

void exec_times_destroy(struct exec_times *times)
{
	free(times);
}

static int exec_times_compare(const void *a, const void *b)
{
	const struct exec_times_process *first = a, *second = b;

	return (first->pid > second->pid) - (first->pid < second->pid);
}

/* One that has ended meanwhile and is waited for no more leaves no trace: its end tells its time.
 */
static void exec_times_take(struct exec_times *times, struct exec_times_process *process,
			    uint64_t place_ns[], struct exec_times_look *look)
{
	char path[EXEC_TIMES_PATH_SIZE], text[THREAD_STAT_SIZE];
	const struct exec_times_process *before;
	struct thread_stat stat;
	size_t length;
	int cpu;

	(void)snprintf(path, sizeof(path), "%d/stat", process->pid);
	if (file_read_at(sysroot_proc_fd(times->root), path, text, sizeof(text), &length) < 0 ||
	    thread_stat_parse(text, &stat) < 0)
		return;
	if (clock_process_cpu_ns(process->pid, &process->time_ns) < 0)
		process->time_ns = thread_ticks_to_ns(stat.time_ticks);
	look->process_count++;
	look->time_ns = features_sum(
	    look->time_ns, features_sum(process->time_ns, thread_ticks_to_ns(stat.waited_ticks)));
	look->memory_bytes =
	    features_sum(look->memory_bytes,
			 features_scale(stat.resident_pages, (uint64_t)sysconf(_SC_PAGESIZE), 1));
	before = bsearch(process, times->before, times->before_count, sizeof(*before),
			 exec_times_compare);
	cpu = topology_index(times->topology, stat.cpu);
	if (cpu >= 0)
		place_ns[cpu] =
		    features_sum(place_ns[cpu], features_delta(before != NULL ? before->time_ns : 0,
							       process->time_ns));
	if (stat.threads == 1)
		(void)exec_times_read_children(times, process->pid, process->pid);
	else
		exec_times_read_threads(times, process->pid);
}

/* Breadth first: children are added behind those whose children they are. */
void exec_times_look(struct exec_times *times, uint64_t place_ns[],
		     struct exec_times_look *ret_look)
{
	struct exec_times_look look = {.process_count = 0};

	memcpy(times->before, times->processes, times->count * sizeof(times->before[0]));
	times->before_count = times->count;
	qsort(times->before, times->before_count, sizeof(times->before[0]), exec_times_compare);
	memset(times->processes, 0, sizeof(times->processes[0]) * times->count);
	times->count = 0;
	(void)exec_times_read_children(times, getpid(), getpid());
	for (size_t i = 0; i < times->count; i++)
		exec_times_take(times, &times->processes[i], place_ns, &look);
	*ret_look = look;
}
