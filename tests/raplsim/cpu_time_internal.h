/* The pure parsers of the CPU time sources, for their tests. Any thread. */
#pragma once

#include "tests/raplsim/cpu_time.h"

/* cpuacct.usage_percpu: one number of nanoseconds for each CPU number from 0 on. -EINVAL if it is
 * malformed or a CPU is missing. */
int cpu_time_cpuacct_parse(const char *text, struct cpu_time_cpus cpus, uint64_t *busy_ns);

/* The time that /proc/stat says each CPU was not ours to spend: idle, iowait and steal, in clock
 * ticks. -EINVAL if it is malformed or a CPU is missing. */
int cpu_time_stat_parse(const char *text, struct cpu_time_cpus cpus, uint64_t *ret_away_ticks);
