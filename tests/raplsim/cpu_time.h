/* How long each CPU has been busy. Three sources stand behind one interface: this machine's cpuacct
 * cgroup (nanoseconds), its /proc/stat (ticks of 10 ms), and a script of loads for tests. The
 * simulator reads it before every advance of the model. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cpu_time;

struct cpu_time_ops {
	const char *name;
	/* Fills in one cumulative value for each of the CPUs given at opening. 0 or -errno. */
	int (*read)(struct cpu_time *self, uint64_t now_ns, uint64_t *busy_ns);
	void (*destroy)(struct cpu_time *self);
};

/* Every source begins with this. */
struct cpu_time {
	const struct cpu_time_ops *ops;
};

/* The CPUs to read: ids ascending; they outlive the source. */
struct cpu_time_cpus {
	const unsigned int *ids;
	size_t count;
};

/* The most exact source of this machine. Returns 0, -errno of the last one that was tried. */
int cpu_time_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source);

/* The sources themselves. -ENOENT where the machine does not have it. */
int cpu_time_cpuacct_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source);
int cpu_time_stat_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source);

/* A load of 0 for each CPU until the script says otherwise; now_ns is the first moment. */
int cpu_time_script_open(size_t cpu_count, uint64_t now_ns, struct cpu_time **ret_source);
/* From now_ns on the CPU at index is busy for permille of the time. -EINVAL past 1000, -ENOTSUP if
 * the source follows no script. */
int cpu_time_script_load(struct cpu_time *source, size_t index, uint64_t permille, uint64_t now_ns);

int cpu_time_read(struct cpu_time *source, uint64_t now_ns, uint64_t *busy_ns);
const char *cpu_time_name(const struct cpu_time *source);
void cpu_time_destroy(struct cpu_time *source);
