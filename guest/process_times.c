#include "guest/process_times.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/thread_stat.h"
#include "common/utf8.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCESS_BUCKETS	      8192
#define PROCESS_NONE	      UINT32_MAX
#define PROCESS_LIST_SIZE_MAX (8U << 20)
#define PROCESS_STATUS_SIZE   4096

/* Its owner and its threads are looked at anew after so many looks; in its first ones always. */
#define PROCESS_VERIFY_LOOKS 16

/* What schedstat and stat of a process with one thread may differ by: two ticks and a bit. */
#define PROCESS_DIFFERENCE_NS UINT64_C(30000000)

/* A process that began so long before the last look had been seen in it, if it had run by then. */
#define PROCESS_START_NS UINT64_C(20000000)

struct process_times {
	const struct sysroot *root;
	const struct clock *clock;
	uint64_t look;
	uint64_t looked_ns; /* since the machine's start: when the look before began */
	uint64_t now_ns;
	size_t descriptors;
	size_t count;	      /* entries ever used */
	uint32_t free;	      /* the first free entry below, or PROCESS_NONE */
	size_t scanned_count; /* serials of the control groups that were looked at, ascending */
	uint64_t scanned[CGROUP_TIMES_MAX];
	char *list; /* of process numbers */
	size_t list_size;
	uint32_t buckets[PROCESS_BUCKETS];
	struct process processes[PROCESS_MAX];
};

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

struct process *process_times_find(struct process_times *times, int32_t pid)
{
	for (uint32_t at = *process_bucket(times, pid); at != PROCESS_NONE;
	     at = times->processes[at].next)
		if (times->processes[at].pid == pid)
			return &times->processes[at];
	return NULL;
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

static void process_file(int32_t pid, const char *name, char path[static 64])
{
	(void)snprintf(path, 64, "%d/%s", pid, name);
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
	char path[64], text[PROCESS_STATUS_SIZE];
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
	char path[64];
	uint64_t time_ns;
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

/* By the file of its number: who that is now. Returns whether it is still this one. */
static bool process_verify(struct process_times *times, struct process *process,
			   struct thread_stat *ret_stat)
{
	char path[64], text[THREAD_STAT_SIZE];
	char comm[PROCESS_COMM_SIZE];
	size_t length;

	process_file(process->pid, "stat", path);
	if (file_read_at(sysroot_proc_fd(times->root), path, text, sizeof(text), &length) < 0 ||
	    thread_stat_parse(text, ret_stat) < 0)
		return false;
	if (process->look > 0 && process->start_ticks != ret_stat->start_ticks)
		return false;
	process->start_ticks = ret_stat->start_ticks;
	process->cpu = ret_stat->cpu;
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

/* Returns whether the process is still there. */
static bool process_update(struct process_times *times, struct process *process)
{
	uint64_t before_ns = process->time_ns;
	struct thread_stat stat;
	uint64_t time_ns;

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
static void process_meet(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit)
{
	struct process *process = process_add(times, pid);
	struct thread_stat stat;
	uint64_t time_ns;

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

static void process_see(struct process_times *times, int32_t pid, uint64_t cgroup, uint32_t unit)
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

/* All of the file, however long: numbers, one on a line. */
static int process_read_list(struct process_times *times, int dir_fd, const char *path)
{
	size_t length;
	int status = times->list == NULL
			 ? -EFBIG
			 : file_read_at(dir_fd, path, times->list, times->list_size, &length);

	while (status == -EFBIG && times->list_size < PROCESS_LIST_SIZE_MAX) {
		size_t size = times->list_size == 0 ? 4096 : times->list_size * 2;
		char *list = realloc(times->list, size);

		if (list == NULL)
			return -ENOMEM;
		times->list = list;
		times->list_size = size;
		status = file_read_at(dir_fd, path, times->list, times->list_size, &length);
	}
	return status;
}

static void process_look_at_list(struct process_times *times, uint64_t cgroup, uint32_t unit)
{
	char *cursor = times->list, *line;
	uint32_t pid;

	while ((line = strsep(&cursor, "\n")) != NULL)
		if (parse_u32(line, &pid) == 0 && pid > 0 && pid <= INT32_MAX)
			process_see(times, (int32_t)pid, cgroup, unit);
}

/* Without control groups: all that /proc lists. */
static void process_look_at_all(struct process_times *times)
{
	int fd = openat(sysroot_proc_fd(times->root), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	uint32_t pid;

	if (list == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(list)) != NULL)
		if (parse_u32(entry->d_name, &pid) == 0 && pid > 0 && pid <= INT32_MAX)
			process_see(times, (int32_t)pid, 0, UNIT_ROOT);
	(void)closedir(list);
	times->scanned[times->scanned_count++] = 0;
}

static int process_compare_serials(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return *first < *second ? -1 : *first > *second;
}

/* Whoever was in a control group that was looked at, and is in none any more, has ended. */
static void process_find_ended(struct process_times *times)
{
	for (size_t i = 0; i < times->count; i++) {
		struct process *process = &times->processes[i];

		if (process->pid != 0 && !process->ended && process->look != times->look &&
		    bsearch(&process->cgroup, times->scanned, times->scanned_count,
			    sizeof(times->scanned[0]), process_compare_serials) != NULL)
			process->ended = true;
	}
}

/* Where they were, how many they are, and the root's time where nothing else tells it. */
static void process_tell_units(struct process_times *times, bool root_time,
			       struct unit_roster *roster, const struct topology *topology)
{
	for (size_t i = 0; i < UNIT_MAX; i++)
		if (unit_roster_unit(roster, i) != NULL)
			unit_roster_unit(roster, i)->members = 0;
	for (size_t i = 0; i < times->count; i++) {
		const struct process *process = &times->processes[i];
		struct unit *unit =
		    process->pid != 0 ? unit_roster_unit(roster, process->unit) : NULL;
		int cpu;

		if (unit == NULL)
			continue;
		unit->members += process->ended ? 0 : 1;
		if (root_time && process->unit == UNIT_ROOT)
			unit->growth_ns = features_sum(unit->growth_ns, process->growth_ns);
		cpu = topology_index(topology, process->cpu);
		if (cpu >= 0)
			unit->place_ns[cpu] = features_sum(unit->place_ns[cpu], process->growth_ns);
	}
}

static int process_look_at_cgroups(struct process_times *times, struct cgroup_times *cgroups,
				   bool root_time, struct unit_roster *roster)
{
	char path[CGROUP_FILE_PATH_SIZE];
	int result = 0;

	for (size_t i = 0; i < cgroup_times_count(cgroups); i++) {
		struct cgroup_time cgroup = cgroup_times_get(cgroups, i);
		int dir_fd, status;

		if (*cgroup.unseen_ns == 0 && times->look > 1 && !cgroup.gone &&
		    !(root_time && i == 0))
			continue;
		*cgroup.unseen_ns = 0;
		times->scanned[times->scanned_count++] = cgroup.serial;
		if (cgroup.gone)
			continue;
		dir_fd = cgroup_times_processes(cgroups, i, path);
		status = process_read_list(times, dir_fd, path);
		if (status == 0)
			process_look_at_list(times, cgroup.serial,
					     (uint32_t)unit_roster_of(roster, *cgroup.owner));
		else if (status == -ENOMEM)
			result = status;
	}
	return result;
}

int process_times_look(struct process_times *times, struct cgroup_times *cgroups,
		       enum cgroup_version version, struct unit_roster *roster,
		       const struct topology *topology)
{
	bool root_time = version != CGROUP_V1;
	uint64_t now_ns =
	    features_sum(clock_now_mono(times->clock).ns, clock_suspended_ns(times->clock));
	int status = 0;

	times->look++;
	times->scanned_count = 0;
	for (size_t i = 0; i < times->count; i++)
		times->processes[i].growth_ns = 0;
	if (version == CGROUP_NONE)
		process_look_at_all(times);
	else
		status = process_look_at_cgroups(times, cgroups, root_time, roster);
	process_find_ended(times);
	process_tell_units(times, root_time, roster, topology);
	times->looked_ns = now_ns;
	return status;
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
