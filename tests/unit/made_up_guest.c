#include "tests/unit/made_up_guest.h"
#include "tests/unit/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_NS	 UINT64_C(10000000)
#define RANGE_UJ "262143328850"

static void write_cpus(struct made_up_guest *made_up)
{
	char text[1024];
	int length = snprintf(text, sizeof(text), "cpu 0 0 0 0 0 0 0 0 0 0\n");

	/* All are equally busy. */
	for (int cpu = 0; cpu < MADE_UP_CPUS; cpu++)
		length += snprintf(text + length, sizeof(text) - (size_t)length,
				   "cpu%d %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", cpu,
				   made_up->busy_ns / TICK_NS / MADE_UP_CPUS,
				   made_up->idle_ns / TICK_NS / MADE_UP_CPUS);
	tree_write(&made_up->guest.tree, "proc/stat", "%s", text);
}

static void cgroup_file(const struct made_up_guest *made_up, size_t cgroup, const char *name,
			char *path, size_t size)
{
	(void)snprintf(path, size, "sys/fs/cgroup%s/%s", made_up->cgroups[cgroup].path, name);
}

static void write_usage(struct made_up_guest *made_up, size_t cgroup)
{
	char path[MADE_UP_CGROUP_PATH + 64];
	const struct made_up_cgroup *row = &made_up->cgroups[cgroup];

	if (!row->there)
		return;
	cgroup_file(made_up, cgroup, made_up->version == 1 ? "cpuacct.usage" : "cpu.stat", path,
		    sizeof(path));
	if (made_up->version == 1)
		tree_write(&made_up->guest.tree, path, "%" PRIu64 "\n", row->usage_ns);
	else
		tree_write(&made_up->guest.tree, path,
			   "usage_usec %" PRIu64 "\nuser_usec 0\nsystem_usec 0\n",
			   row->usage_ns / 1000);
}

static size_t open_cgroup(struct made_up_guest *made_up, const char *path, size_t parent)
{
	char file[MADE_UP_CGROUP_PATH + 64];
	struct made_up_cgroup *row = &made_up->cgroups[made_up->count];

	assert_true(made_up->count < MADE_UP_CGROUP_MAX);
	*row = (struct made_up_cgroup){.there = true, .parent = parent};
	(void)snprintf(row->path, sizeof(row->path), "%s", path);
	cgroup_file(made_up, made_up->count, "cgroup.procs", file, sizeof(file));
	tree_write(&made_up->guest.tree, file, "%s", "");
	cgroup_file(made_up, made_up->count,
		    made_up->version == 1 ? "memory.usage_in_bytes" : "memory.current", file,
		    sizeof(file));
	tree_write(&made_up->guest.tree, file, "1048576\n");
	write_usage(made_up, made_up->count);
	return made_up->count++;
}

void made_up_guest_create(struct made_up_guest *made_up, int version)
{
	const struct tree *tree = &made_up->guest.tree;

	*made_up = (struct made_up_guest){.version = version, .energy_uj = 1000000};
	guest_tree_create(&made_up->guest);
	made_up->cgroups = calloc(MADE_UP_CGROUP_MAX, sizeof(*made_up->cgroups));
	assert_non_null(made_up->cgroups);
	manual_clock_init(&made_up->clock, (struct mono_time){1000 * CLOCK_NS_PER_SECOND},
			  (struct wall_time){0});
	tree_write(tree, "proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 400000 kB\n");
	tree_write(tree, "sys/devices/system/cpu/present", "0-%d\n", MADE_UP_CPUS - 1);
	for (int cpu = 0; cpu < MADE_UP_CPUS; cpu++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/core_id",
			       cpu);
		tree_write(tree, path, "%d\n", cpu);
		(void)snprintf(path, sizeof(path),
			       "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
		tree_write(tree, path, "0\n");
	}
	made_up_guest_pass(made_up, 0, 0);
	guest_tree_add_zone(&made_up->guest, "sys", 0, made_up->energy_uj, RANGE_UJ);
	if (version == 0)
		return;
	(void)open_cgroup(made_up, "", 0);
	if (version == 1)
		tree_write(tree, "proc/self/mountinfo",
			   "1 0 0:1 / / rw - ext4 root rw\n"
			   "2 1 0:2 / %s/sys/fs/cgroup rw - cgroup cgroup rw,cpu,cpuacct\n"
			   "3 1 0:3 / %s/sys/fs/cgroup rw - cgroup cgroup rw,memory\n",
			   tree->path, tree->path);
	else
		tree_write(tree, "proc/self/mountinfo",
			   "1 0 0:1 / / rw - ext4 root rw\n"
			   "2 1 0:2 / %s/sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
			   tree->path);
}

void made_up_guest_remove(struct made_up_guest *made_up)
{
	accounts_view_release(made_up->view);
	accounts_destroy(made_up->accounts);
	meter_destroy(made_up->meter);
	free(made_up->cgroups);
	guest_tree_remove(&made_up->guest);
}

void made_up_guest_open(struct made_up_guest *made_up, const struct accounts_options *options)
{
	const struct meter_options meter = {.source = METER_POWERCAP, .at = made_up->guest.at};
	struct diag diag = DIAG_INIT;

	assert_int_equal(
	    meter_create(made_up->guest.root, &made_up->clock.clock, &meter, &made_up->meter), 0);
	assert_int_equal(accounts_create(made_up->guest.root, &made_up->clock.clock, made_up->meter,
					 options, &made_up->accounts, &diag),
			 0);
}

/* The control group of that path that is there, or count. */
static size_t find_cgroup(const struct made_up_guest *made_up, const char *path)
{
	for (size_t i = made_up->count; i > 0; i--)
		if (made_up->cgroups[i - 1].there &&
		    strcmp(made_up->cgroups[i - 1].path, path) == 0)
			return i - 1;
	return made_up->count;
}

size_t made_up_guest_add(struct made_up_guest *made_up, const char *path)
{
	char part[MADE_UP_CGROUP_PATH];
	size_t at = 0, length = 0;

	/* From above: each but the first has its parent by then. */
	while (path[length] != '\0') {
		size_t found;

		length += 1 + strcspn(path + length + 1, "/");
		(void)snprintf(part, sizeof(part), "%.*s", (int)length, path);
		found = find_cgroup(made_up, part);
		at = found < made_up->count ? found : open_cgroup(made_up, part, at);
	}
	return at;
}

/* Whoever is below another was made after it. */
static bool lies_in(const struct made_up_guest *made_up, size_t cgroup, size_t above)
{
	while (cgroup > above)
		cgroup = made_up->cgroups[cgroup].parent;
	return cgroup == above;
}

void made_up_guest_rmdir(struct made_up_guest *made_up, size_t cgroup)
{
	char path[MADE_UP_CGROUP_PATH + 64];

	for (size_t i = made_up->count; i > cgroup; i--) {
		if (!made_up->cgroups[i - 1].there || !lies_in(made_up, i - 1, cgroup))
			continue;
		cgroup_file(made_up, i - 1, ".", path, sizeof(path));
		path[strlen(path) - 2] = '\0';
		tree_delete(&made_up->guest.tree, path);
		made_up->cgroups[i - 1].there = false;
	}
}

void made_up_guest_run(struct made_up_guest *made_up, size_t cgroup, uint64_t time_ns)
{
	size_t at = cgroup;

	made_up->busy_ns += time_ns;
	for (;;) {
		made_up->cgroups[at].usage_ns += time_ns;
		write_usage(made_up, at);
		if (at == 0)
			return;
		at = made_up->cgroups[at].parent;
	}
}

/* The list of the control group's processes. */
static void write_list(struct made_up_guest *made_up, size_t cgroup)
{
	char path[MADE_UP_CGROUP_PATH + 64], text[16 * MADE_UP_PROCESS_MAX] = "";
	size_t length = 0;

	if (!made_up->cgroups[cgroup].there)
		return;
	for (size_t i = 0; i < MADE_UP_PROCESS_MAX; i++)
		if (made_up->processes[i].pid != 0 && made_up->processes[i].cgroup == cgroup)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%d\n",
						   made_up->processes[i].pid);
	cgroup_file(made_up, cgroup, "cgroup.procs", path, sizeof(path));
	tree_write(&made_up->guest.tree, path, "%s", text);
}

static void write_process(struct made_up_guest *made_up, const struct made_up_process *process)
{
	char path[64], life[16] = "";

	if (process->life != 0)
		(void)snprintf(life, sizeof(life), ".%u", process->life);
	(void)snprintf(path, sizeof(path), "proc/%d/stat", process->pid);
	tree_write(&made_up->guest.tree, path,
		   "%d (work %d%s) %c %d 1 1 0 -1 0 0 0 0 0 %" PRIu64 " 0 0 0 20 0 %u 0 %" PRIu64
		   " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0\n",
		   process->pid, process->pid, life, process->state, process->parent,
		   process->time_ns / TICK_NS, process->threads, process->start_ticks);
	(void)snprintf(path, sizeof(path), "proc/%d/schedstat", process->pid);
	tree_write(&made_up->guest.tree, path, "%" PRIu64 " 0 0\n",
		   process->time_ns - process->others_ns);
}

size_t made_up_guest_start(struct made_up_guest *made_up, int32_t pid, size_t cgroup, uint32_t uid)
{
	char path[64];
	size_t i = 0;

	while (i + 1 < MADE_UP_PROCESS_MAX && made_up->processes[i].pid != 0)
		i++;
	assert_int_equal(made_up->processes[i].pid, 0);
	made_up->processes[i] =
	    (struct made_up_process){.pid = pid,
				     .cgroup = cgroup,
				     .uid = uid,
				     .start_ticks = made_up->clock.mono.ns / TICK_NS,
				     .threads = 1,
				     .parent = 1,
				     .state = 'S'};
	write_process(made_up, &made_up->processes[i]);
	(void)snprintf(path, sizeof(path), "proc/%d/status", pid);
	tree_write(&made_up->guest.tree, path, "Name:\twork\nUid:\t%u\t%u\t%u\t%u\n", uid, uid, uid,
		   uid);
	write_list(made_up, cgroup);
	return i;
}

void made_up_guest_work(struct made_up_guest *made_up, size_t process, uint64_t time_ns)
{
	made_up->processes[process].time_ns += time_ns;
	write_process(made_up, &made_up->processes[process]);
	made_up_guest_run(made_up, made_up->processes[process].cgroup, time_ns);
}

void made_up_guest_end(struct made_up_guest *made_up, size_t process)
{
	struct made_up_process *row = &made_up->processes[process];
	size_t cgroup = row->cgroup;
	char path[64];

	/* Whoever has it open reads nothing any more. */
	(void)snprintf(path, sizeof(path), "proc/%d/schedstat", row->pid);
	tree_write(&made_up->guest.tree, path, "%s", "");
	(void)snprintf(path, sizeof(path), "proc/%d", row->pid);
	tree_delete(&made_up->guest.tree, path);
	*row = (struct made_up_process){.pid = 0};
	write_list(made_up, cgroup);
}

void made_up_guest_be_busy(struct made_up_guest *made_up, uint64_t time_ns)
{
	made_up->busy_ns += time_ns;
}

void made_up_guest_pass(struct made_up_guest *made_up, uint64_t elapsed_ns, uint64_t energy_uj)
{
	manual_clock_advance(&made_up->clock, elapsed_ns);
	made_up->energy_uj += energy_uj;
	guest_tree_set_energy(&made_up->guest, "sys", 0, made_up->energy_uj);
	/* The CPUs' idle time is what is left of all time; the machine is old. */
	made_up->idle_ns = (1000000 * CLOCK_NS_PER_SECOND + made_up->clock.mono.ns) * MADE_UP_CPUS -
			   made_up->busy_ns;
	write_cpus(made_up);
}

void made_up_guest_tick(struct made_up_guest *made_up)
{
	assert_int_equal(accounts_tick(made_up->accounts), 0);
	accounts_view_release(made_up->view);
	made_up->view = accounts_latest(made_up->accounts);
	assert_non_null(made_up->view);
}

const struct account *made_up_guest_account(const struct made_up_guest *made_up,
					    enum account_kind kind, const char *name)
{
	const struct accounts_group *group = &made_up->view->groups[kind];

	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->accounts[i].name, name) == 0)
			return &group->accounts[i];
	return NULL;
}
