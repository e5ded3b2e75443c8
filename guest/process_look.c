/* A look at the processes of all control groups that have used time. */
#include "common/features.h"
#include "common/file.h"
#include "common/parse.h"
#include "guest/process_times_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCESS_LIST_SIZE_MAX (8U << 20)

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
	times->cgroups[times->cgroup_count++] = (struct process_cgroup){.looked_at = true};
}

static int process_compare_serials(const void *serial, const void *cgroup)
{
	uint64_t wanted = *(const uint64_t *)serial;
	uint64_t found = ((const struct process_cgroup *)cgroup)->serial;

	return wanted < found ? -1 : wanted > found;
}

/*
 * Whoever was in a control group that was looked at, and is in none any more, has ended. So has who
 * was in one that is no more, which may have gone in a step without a look.
 */
static void process_find_ended(struct process_times *times)
{
	for (size_t i = 0; i < times->count; i++) {
		struct process *process = &times->processes[i];
		const struct process_cgroup *cgroup;

		if (process->pid == 0 || process->ended || process->look == times->look)
			continue;
		cgroup = bsearch(&process->cgroup, times->cgroups, times->cgroup_count,
				 sizeof(times->cgroups[0]), process_compare_serials);
		process->ended = cgroup == NULL || cgroup->looked_at;
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
		struct process_cgroup *known = &times->cgroups[times->cgroup_count++];
		int dir_fd, status;

		*known = (struct process_cgroup){.serial = cgroup.serial};
		if (*cgroup.unseen_ns == 0 && times->look > 1 && !cgroup.gone &&
		    !(root_time && i == 0))
			continue;
		if (!cgroup.gone) {
			dir_fd = cgroup_times_processes(cgroups, i, path);
			status = process_read_list(times, dir_fd, path);
			if (status == -ENOMEM)
				result = status;
			/* Nobody has ended because his list could not be read: the next look does.
			 */
			if (status < 0)
				continue;
			process_look_at_list(times, cgroup.serial,
					     (uint32_t)unit_roster_of(roster, *cgroup.owner));
		}
		*cgroup.unseen_ns = 0;
		known->looked_at = true;
	}
	return result;
}

int process_times_look(struct process_times *times, struct cgroup_times *cgroups,
		       enum cgroup_version version, struct unit_roster *roster,
		       const struct topology *topology)
{
	bool root_time = version != CGROUP_V1;
	/* Like start times, it goes on during suspension. */
	uint64_t now_ns = clock_now_mono(times->clock).ns;
	int status = 0;

	times->look++;
	times->cgroup_count = 0;
	for (size_t i = 0; i < times->count; i++)
		times->processes[i].growth_ns = 0;
	if (version == CGROUP_NONE)
		process_look_at_all(times);
	else
		status = process_look_at_cgroups(times, cgroups, root_time, roster);
	process_find_ended(times);
	process_tell_units(times, root_time, roster, topology);
	times->before_ns = times->looked_ns;
	times->looked_ns = now_ns;
	return status;
}

/* The path in the hierarchy that tells of time, of "4:cpu,cpuacct:/path" or "0::/path"; or NULL. */
static const char *process_cgroup_path(char *text, enum cgroup_version version)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		char *number = strsep(&line, ":");
		char *controllers = line != NULL ? strsep(&line, ":") : NULL;
		char *controller;

		if (line == NULL)
			continue;
		if (version == CGROUP_V2 && strcmp(number, "0") == 0)
			return line;
		while (version == CGROUP_V1 && (controller = strsep(&controllers, ",")) != NULL)
			if (strcmp(controller, "cpuacct") == 0)
				return line;
	}
	return NULL;
}

struct process *process_times_adopt(struct process_times *times, struct cgroup_times *cgroups,
				    enum cgroup_version version, struct unit_roster *roster,
				    int32_t pid)
{
	char file[PROCESS_FILE_SIZE], text[PROCESS_STATUS_SIZE];
	struct cgroup_time cgroup;
	struct process *process;
	const char *path;
	size_t length;
	int index;

	process_file(pid, "cgroup", file);
	if (file_read_at(sysroot_proc_fd(times->root), file, text, sizeof(text), &length) < 0)
		return NULL;
	path = process_cgroup_path(text, version);
	index = path != NULL ? cgroup_times_find(cgroups, path) : -ENOENT;
	if (index < 0)
		return NULL;
	cgroup = cgroup_times_get(cgroups, (size_t)index);
	process_meet(times, pid, cgroup.serial, (uint32_t)unit_roster_of(roster, *cgroup.owner));
	process = process_times_find(times, pid);
	if (process == NULL)
		return NULL;
	/* Of one that is older, which no look has found, what it has used is of no interval of
	 * ours. */
	if (process->growth_ns == process->time_ns)
		process->time_ns = 0;
	process->growth_ns = 0;
	return process;
}
