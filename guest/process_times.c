#include "common/cleanup.h"
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"
#include "common/utf8.h"
#include "guest/process_times_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCESS_NONE UINT32_MAX

/* Its owner and its threads are looked at anew after so many looks; in its first ones always. */
#define PROCESS_VERIFY_LOOKS 16

/* What schedstat and stat of a process with one thread may differ by: two ticks and a bit. */
#define PROCESS_DIFFERENCE_NS UINT64_C(30000000)

/* A process that began so long before the last look had been seen in it, if it had run by then. */
#define PROCESS_START_NS UINT64_C(20000000)

int process_times_create(const struct sysroot *root, const struct clock *clock,
			 struct process_times **ret_times)
{
	struct process_times *times = calloc(1, sizeof(*times));

	if (times == NULL)
		return -ENOMEM;
	times->root = root;
	times->clock = clock;
	times->free = PROCESS_NONE;
	memset(times->buckets, 0xff, sizeof(times->buckets));
	*ret_times = times;
	return 0;
}

static void process_close(struct process_times *times, struct process *process)
{
	if (process->fd < 0)
		return;
	(void)close(process->fd);
	process->fd = -1;
	times->descriptors--;
}

void process_times_destroy(struct process_times *times)
{
	if (times == NULL)
		return;
	for (size_t i = 0; i < times->count; i++)
		if (times->processes[i].pid != 0)
			process_close(times, &times->processes[i]);
	free(times->list);
	free(times);
}

static uint32_t *process_bucket(struct process_times *times, int32_t pid)
{
	return &times->buckets[(uint32_t)pid % PROCESS_BUCKETS];
}

static struct process *process_find_from(struct process_times *times, uint32_t at, int32_t pid)
{
	for (; at != PROCESS_NONE; at = times->processes[at].next)
		if (times->processes[at].pid == pid)
			return &times->processes[at];
	return NULL;
}

struct process *process_times_find(struct process_times *times, int32_t pid)
{
	return process_find_from(times, *process_bucket(times, pid), pid);
}

struct process *process_times_find_before(struct process_times *times,
					  const struct process *process)
{
	return process_find_from(times, process->next, process->pid);
}

/* The newest comes first in its bucket, so that it is found before an ended one of its number. */
static struct process *process_add(struct process_times *times, int32_t pid)
{
	struct process *process;
	uint32_t at = times->free;

	if (at != PROCESS_NONE)
		times->free = times->processes[at].next;
	else if (times->count < PROCESS_MAX)
		at = (uint32_t)times->count++;
	else
		return NULL;
	process = &times->processes[at];
	*process = (struct process){.pid = pid, .fd = -1, .next = *process_bucket(times, pid)};
	*process_bucket(times, pid) = at;
	return process;
}

static void process_remove(struct process_times *times, struct process *process)
{
	uint32_t at = (uint32_t)(process - times->processes);
	uint32_t *link = process_bucket(times, process->pid);

	while (*link != at)
		link = &times->processes[*link].next;
	*link = process->next;
	process_close(times, process);
	*process = (struct process){.pid = 0, .fd = -1, .next = times->free};
	times->free = at;
}

struct process *process_times_add_ended(struct process_times *times, int32_t pid)
{
	struct process *process = process_add(times, pid);

	if (process != NULL) {
		process->ended = true;
		process->fleeting = true;
	}
	return process;
}

void process_file(int32_t pid, const char *name, char path[static PROCESS_FILE_SIZE])
{
	(void)snprintf(path, PROCESS_FILE_SIZE, "%d/%s", pid, name);
}

/* "1234 (comm) S ..." */
static void process_take_comm(struct process *process, char *text)
{
	const char *begin = strchr(text, '(');
	char *end = strrchr(text, ')');

	if (begin == NULL || end == NULL || end < begin)
		return;
	*end = '\0';
	utf8_copy(process->comm, sizeof(process->comm), begin + 1);
}

/* The real user, as the kernel's accounting has it. */
static void process_read_owner(struct process_times *times, struct process *process)
{
	char path[PROCESS_FILE_SIZE], text[PROCESS_STATUS_SIZE];
	const char *cursor;
	uint64_t uid;
	size_t length;

	process_file(process->pid, "status", path);
	if (file_read_at(sysroot_proc_fd(times->root), path, text, sizeof(text), &length) < 0)
		return;
	cursor = strstr(text, "\nUid:");
	if (cursor == NULL)
		return;
	cursor += strlen("\nUid:");
	if (parse_next_u64(&cursor, &uid) == 0 && uid <= UINT32_MAX)
		process->uid = (uint32_t)uid;
}

/* What schedstat says, of the thread that gave the process its number: "RUN WAIT SLICES". */
static int process_read_schedule(int fd, uint64_t *ret_ns)
{
	char text[64];
	const char *cursor = text;
	size_t length;
	int status = file_pread_all(fd, text, sizeof(text), &length);

	if (status == 0)
		status = parse_next_u64(&cursor, ret_ns);
	return status < 0 ? status : 0;
}

/* A descriptor that stays with this process, whoever gets its number afterwards. */
static void process_keep(struct process_times *times, struct process *process,
			 const struct thread_stat *stat)
{
	uint64_t stat_ns = thread_ticks_to_ns(stat->time_ticks);
	char path[PROCESS_FILE_SIZE];
	uint64_t time_ns = 0;
	int fd;

	if (times->descriptors >= PROCESS_DESCRIPTOR_MAX)
		return;
	process_file(process->pid, "schedstat", path);
	fd = openat(sysroot_proc_fd(times->root), path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Threads that ended are in stat alone; a kernel may not count at all. */
	if (process_read_schedule(fd, &time_ns) < 0 || stat->threads != 1 ||
	    time_ns + PROCESS_DIFFERENCE_NS < stat_ns || time_ns == 0) {
		(void)close(fd);
		return;
	}
	process->fd = fd;
	process->by_schedule = true;
	times->descriptors++;
}

static void process_advance(struct process *process, uint64_t time_ns)
{
	if (time_ns <= process->time_ns)
		return;
	process->growth_ns = features_sum(process->growth_ns, time_ns - process->time_ns);
	process->time_ns = time_ns;
}

static bool process_read_stat(const struct process_times *times, int32_t pid,
			      char text[static THREAD_STAT_SIZE], struct thread_stat *ret_stat)
{
	char path[PROCESS_FILE_SIZE];
	size_t length;

	process_file(pid, "stat", path);
	return file_read_at(sysroot_proc_fd(times->root), path, text, THREAD_STAT_SIZE, &length) ==
		   0 &&
	       thread_stat_parse(text, ret_stat) == 0;
}

/* By the file of its number: who that is now. Returns whether it is still this one. */
static bool process_verify(struct process_times *times, struct process *process,
			   struct thread_stat *ret_stat)
{
	char text[THREAD_STAT_SIZE];
	char comm[PROCESS_COMM_SIZE];

	if (!process_read_stat(times, process->pid, text, ret_stat))
		return false;
	if (process->look > 0 && process->start_ticks != ret_stat->start_ticks)
		return false;
	process->start_ticks = ret_stat->start_ticks;
	process->cpu = ret_stat->cpu;
	process->parent = ret_stat->parent <= INT32_MAX ? (int32_t)ret_stat->parent : 0;
	process->threads = process->threads || ret_stat->threads != 1;
	memcpy(comm, process->comm, sizeof(comm));
	process_take_comm(process, text);
	if (times->look >= process->verify || strcmp(comm, process->comm) != 0) {
		process_read_owner(times, process);
		process->verify = times->look + (process->look == 0 ? 1 : PROCESS_VERIFY_LOOKS);
	}
	/* It has more threads now: its schedstat is one thread's. */
	if (ret_stat->threads != 1 && process->fd >= 0)
		process_close(times, process);
	return true;
}

bool process_times_lives(struct process_times *times, struct process *process, bool *ret_leaderless)
{
	char text[THREAD_STAT_SIZE];
	struct thread_stat stat;
	bool dead;

	if (!process_read_stat(times, process->pid, text, &stat) ||
	    stat.start_ticks != process->start_ticks)
		return false;
	dead = stat.state == 'Z' || stat.state == 'X';
	process->threads = process->threads || stat.threads > 1;
	*ret_leaderless = dead && stat.threads > 1;
	return !dead || stat.threads > 1;
}

bool process_times_threads(struct process_times *times, struct process *process)
{
	char text[THREAD_STAT_SIZE];
	struct thread_stat stat;
	uint64_t first_ns = 0;

	/* Without a descriptor every look sees it. */
	if (process->threads || process->fd < 0)
		return process->threads;
	/* What its first thread has not used was others'. */
	if (process_read_stat(times, process->pid, text, &stat) &&
	    stat.start_ticks == process->start_ticks &&
	    process_read_schedule(process->fd, &first_ns) == 0)
		process->threads =
		    stat.threads > 1 || thread_ticks_to_ns(stat.time_ticks) >
					    features_sum(first_ns, PROCESS_DIFFERENCE_NS);
	return process->threads;
}

uint64_t process_times_before_ns(const struct process_times *times)
{
	return times->before_ns;
}

/* Returns whether the process is still there. */
static bool process_update(struct process_times *times, struct process *process)
{
	uint64_t before_ns = process->time_ns;
	struct thread_stat stat;
	uint64_t time_ns = 0;

	if (process->fd >= 0 && times->look < process->verify) {
		if (process_read_schedule(process->fd, &time_ns) == 0) {
			process_advance(process, time_ns);
			return true;
		}
		process_close(times, process);
	}
	if (!process_verify(times, process, &stat))
		return false;
	if (process->fd >= 0 && process_read_schedule(process->fd, &time_ns) == 0)
		process_advance(process, time_ns);
	else
		process_advance(process, thread_ticks_to_ns(stat.time_ticks));
	if (process->fd < 0 && process->time_ns > before_ns)
		process_keep(times, process, &stat);
	return true;
}

/* One that was not known. All that it has used is of this interval, where it began in it. */
void process_meet(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit)
{
	struct process *process = process_add(times, pid);
	struct thread_stat stat;
	uint64_t time_ns = 0;

	if (process == NULL)
		return;
	if (!process_verify(times, process, &stat)) {
		process_remove(times, process);
		return;
	}
	process->cgroup = cgroup;
	process->unit = unit;
	process->look = times->look;
	process_keep(times, process, &stat);
	time_ns = thread_ticks_to_ns(stat.time_ticks);
	if (process->fd >= 0)
		(void)process_read_schedule(process->fd, &time_ns);
	process->time_ns = time_ns;
	if (times->look > 1 && features_sum(thread_ticks_to_ns(stat.start_ticks),
					    PROCESS_START_NS) >= times->looked_ns)
		process->growth_ns = time_ns;
}

void process_see(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit)
{
	struct process *process = process_times_find(times, pid);

	if (process != NULL && !process->ended) {
		if (process->look == times->look)
			return;
		if (process_update(times, process)) {
			process->cgroup = cgroup;
			process->unit = unit;
			process->look = times->look;
			return;
		}
		process->ended = true;
	}
	process_meet(times, pid, cgroup, unit);
}

void process_times_forget(struct process_times *times)
{
	for (size_t i = 0; i < times->count; i++)
		if (times->processes[i].pid != 0 && times->processes[i].ended)
			process_remove(times, &times->processes[i]);
}

void process_times_leave(struct process_times *times, uint32_t unit)
{
	for (size_t i = 0; i < times->count; i++)
		if (times->processes[i].pid != 0 && times->processes[i].unit == unit)
			times->processes[i].unit = UNIT_MORE;
}

size_t process_times_count(const struct process_times *times)
{
	return times->count;
}

struct process *process_times_get(struct process_times *times, size_t index)
{
	assert(index < times->count);
	return &times->processes[index];
}
