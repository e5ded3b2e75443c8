#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/cpu_time_internal.h"

#define STAT_SIZE     (1U << 20)
#define NS_PER_SECOND UINT64_C(1000000000)

/* For machines without cpuacct. A CPU was busy for the time that passed less the time it was idle,
 * waiting for I/O or taken away by a hypervisor. The kernel counts idle time exactly but prints it
 * in ticks, so a value may be a tick off; it never goes back and never drifts. */
struct stat_source {
	struct cpu_time base;
	struct cpu_time_cpus cpus;
	int fd;
	uint64_t tick_ns;
	uint64_t start_ns;     /* 0 before the first reading. */
	uint64_t *start_ticks; /* One array holds these and, behind them, the last readings. */
	uint64_t *last_ns;
	uint64_t *away_ticks;
	char text[STAT_SIZE];
};

static uint64_t take_number(const char **text)
{
	uint64_t value = 0;

	while (**text == ' ')
		(*text)++;
	for (; **text >= '0' && **text <= '9'; (*text)++)
		value = value * 10 + (uint64_t)(**text - '0');
	return value;
}

int cpu_time_stat_parse(const char *text, struct cpu_time_cpus cpus, uint64_t *ret_away_ticks)
{
	size_t found = 0;

	/* The first line is the sum over all CPUs. */
	for (; text && found < cpus.count; text = strchr(text, '\n')) {
		uint64_t fields[8];

		if (*text == '\n')
			text++;
		if (strncmp(text, "cpu", 3) != 0)
			return -EINVAL;
		text += 3;
		if (*text == ' ')
			continue;
		if (take_number(&text) != cpus.ids[found])
			continue;
		/* user nice system idle iowait irq softirq steal: proc(5). */
		for (size_t i = 0; i < 8; i++) {
			if (*text != ' ')
				return -EINVAL;
			fields[i] = take_number(&text);
		}
		ret_away_ticks[found++] = fields[3] + fields[4] + fields[7];
	}
	return found == cpus.count ? 0 : -EINVAL;
}

static int stat_read(struct cpu_time *self, uint64_t now_ns, uint64_t *busy_ns)
{
	struct stat_source *source = (struct stat_source *)self;
	ssize_t length = pread(source->fd, source->text, sizeof(source->text) - 1, 0);
	int r;

	if (length < 0)
		return -errno;
	source->text[length] = '\0';
	r = cpu_time_stat_parse(source->text, source->cpus, source->away_ticks);
	if (r < 0)
		return r;
	if (source->start_ns == 0) {
		source->start_ns = now_ns;
		memcpy(source->start_ticks, source->away_ticks,
		       source->cpus.count * sizeof(*source->start_ticks));
	}
	for (size_t i = 0; i < source->cpus.count; i++) {
		uint64_t elapsed_ns = now_ns - source->start_ns;
		uint64_t away_ns = 0;

		if (source->away_ticks[i] > source->start_ticks[i])
			away_ns =
			    (source->away_ticks[i] - source->start_ticks[i]) * source->tick_ns;
		if (elapsed_ns > away_ns && elapsed_ns - away_ns > source->last_ns[i])
			source->last_ns[i] = elapsed_ns - away_ns;
		busy_ns[i] = source->last_ns[i];
	}
	return 0;
}

static void stat_destroy(struct cpu_time *self)
{
	struct stat_source *source = (struct stat_source *)self;

	(void)close(source->fd);
	free(source->start_ticks);
	free(source);
}

static const struct cpu_time_ops stat_ops = {
    .name = "/proc/stat", .read = stat_read, .destroy = stat_destroy};

int cpu_time_stat_open(struct cpu_time_cpus cpus, struct cpu_time **ret_source)
{
	cleanup_free struct stat_source *source = NULL;
	cleanup_free uint64_t *arrays = NULL;
	cleanup_fd int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	source = calloc(1, sizeof(*source));
	arrays = calloc(cpus.count * 3 + 1, sizeof(*arrays));
	if (!source || !arrays)
		return -ENOMEM;
	source->base.ops = &stat_ops;
	source->cpus = cpus;
	source->fd = TAKE_FD(fd);
	source->tick_ns = NS_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
	source->start_ticks = TAKE_PTR(arrays);
	source->last_ns = source->start_ticks + cpus.count;
	source->away_ticks = source->last_ns + cpus.count;
	*ret_source = (struct cpu_time *)TAKE_PTR(source);
	return 0;
}
