#include "tests/raplsim/cpu_time.h"

int cpu_time_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source)
{
	int r = cpu_time_cpuacct_open(cpus, ret_source);

	return r == 0 ? 0 : cpu_time_stat_open(cpus, ret_source);
}

int cpu_time_read(struct cpu_time *source, uint64_t now_ns, uint64_t *busy_ns)
{
	return source->ops->read(source, now_ns, busy_ns);
}

const char *cpu_time_name(const struct cpu_time *source)
{
	return source->ops->name;
}

void cpu_time_destroy(struct cpu_time *source)
{
	if (source)
		source->ops->destroy(source);
}
