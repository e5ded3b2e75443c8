#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/cpu_time_internal.h"

/* 20 digits and a space for each of CPU_LIST_CPUS_MAX. */
#define USAGE_SIZE (4096 * 21 + 1)

/* The kernel's cpuacct_charge() adds a task's run time to its group and every group above, so the
 * root group holds all of it, by CPU. It does so at each switch and each tick: the time of a task
 * that is running now is up to one tick old, as it is in the task's own schedstat. */
struct cpuacct {
	struct cpu_time base;
	struct cpu_time_cpus cpus;
	int fd;
	char text[USAGE_SIZE];
};

int cpu_time_cpuacct_parse(const char *text, struct cpu_time_cpus cpus, uint64_t *busy_ns)
{
	size_t found = 0;

	for (unsigned int cpu = 0; found < cpus.count; cpu++) {
		uint64_t value = 0;

		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++)
			value = value * 10 + (uint64_t)(*text - '0');
		if (*text == ' ')
			text++;
		if (cpu == cpus.ids[found])
			busy_ns[found++] = value;
	}
	return 0;
}

static int cpuacct_read(struct cpu_time *self, uint64_t now_ns, uint64_t *busy_ns)
{
	struct cpuacct *source = (struct cpuacct *)self;
	ssize_t length;

	(void)now_ns;
	length = pread(source->fd, source->text, sizeof(source->text) - 1, 0);
	if (length < 0)
		return -errno;
	source->text[length] = '\0';
	return cpu_time_cpuacct_parse(source->text, source->cpus, busy_ns);
}

static void cpuacct_destroy(struct cpu_time *self)
{
	struct cpuacct *source = (struct cpuacct *)self;

	(void)close(source->fd);
	free(source);
}

static const struct cpu_time_ops cpuacct_ops = {
    .name = "cpuacct", .read = cpuacct_read, .destroy = cpuacct_destroy};

int cpu_time_cpuacct_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source)
{
	static const char *const paths[] = {"/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu",
					    "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage_percpu"};
	cleanup_free struct cpuacct *source = NULL;
	cleanup_fd int fd = -1;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && fd < 0; i++)
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	source->base.ops = &cpuacct_ops;
	source->cpus = cpus;
	source->fd = TAKE_FD(fd);
	*ret_source = (struct cpu_time *)TAKE_PTR(source);
	return 0;
}
