#include "common/cpu_busy.h"
#include "common/cleanup.h"
#include "common/cpu_busy_internal.h"
#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

/* Ten columns of 20 digits, their spaces and the name fit. */
#define CPU_BUSY_LINE_SIZE_MAX 256

/*
 * iowait is known to step back a little and to return (proc(5); get_iowait_time() reads another
 * CPU's runqueue): such a counter is waited for. One that falls further has been reset.
 */
#define CPU_BUSY_STEP_BACK_TICKS_MAX 100

/* Elapsed time that no CPU has accounted for at all: the machine was suspended. */
#define CPU_BUSY_GAP_NS_MIN CLOCK_NS_PER_SECOND

struct cpu_busy_cpu {
	bool online;
	uint64_t rest_ticks[CPU_BUSY_REST_COUNT]; /* the highest seen */
	uint64_t total_ticks;
	uint64_t rest_ns;   /* idle, iowait and steal since it came online under our eyes */
	uint64_t since_ns;  /* running_ns of that moment */
	uint64_t before_ns; /* busy time up to that moment */
	uint64_t busy_ns;
};

struct cpu_busy {
	const struct topology *topology;
	int stat_fd;
	uint64_t tick_ns;
	bool primed;
	struct mono_time time;
	uint64_t running_ns; /* since the first reading, without the time suspended */
	size_t buffer_size;
	char *buffer;
	struct cpu_busy_line *lines; /* of the CPUs of the topology; cpu = UINT32_MAX: no line */
	struct cpu_busy_cpu *cpus;
};

static int cpu_busy_parse_line(const char *text, struct cpu_busy_line *ret_line)
{
	struct cpu_busy_line line = {.cpu = 0};
	uint64_t cpu, ticks;
	size_t column = 0;
	int status = parse_next_u64(&text, &cpu);

	if (status < 0)
		return status;
	if (cpu >= TOPOLOGY_CPU_MAX)
		return -ERANGE;
	line.cpu = (uint32_t)cpu;
	/* user nice system idle iowait irq softirq steal [guest guest_nice] */
	for (; column < 8 && (status = parse_next_u64(&text, &ticks)) == 0; column++) {
		if (column == 3)
			line.rest_ticks[CPU_BUSY_IDLE] = ticks;
		else if (column == 4)
			line.rest_ticks[CPU_BUSY_IOWAIT] = ticks;
		else if (column == 7)
			line.rest_ticks[CPU_BUSY_STEAL] = ticks;
		if (__builtin_add_overflow(line.total_ticks, ticks, &line.total_ticks))
			return -ERANGE;
	}
	/* Old kernels have fewer columns, none has fewer than four. */
	if (status < 0 && status != -ENODATA)
		return status;
	if (column < 4)
		return -EINVAL;
	*ret_line = line;
	return 0;
}

int cpu_busy_next_line(const char **cursor, struct cpu_busy_line *ret_line)
{
	const char *line = *cursor;
	const char *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncmp(line, "cpu", 3) != 0)
			return -ENODATA;
		if (line[3] != ' ' && cpu_busy_parse_line(line + 3, ret_line) == 0) {
			*cursor = end + 1;
			return 0;
		}
	}
	return -ENODATA;
}

int cpu_busy_open(const struct sysroot *root, const struct topology *topology,
		  struct cpu_busy **ret_busy, struct diag *diag)
{
	cleanup_cpu_busy struct cpu_busy *busy = calloc(1, sizeof(*busy));
	long ticks_per_second = sysconf(_SC_CLK_TCK);
	size_t count = topology->cpu_count;

	if (busy == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	busy->stat_fd = -1;
	busy->topology = topology;
	busy->tick_ns =
	    CLOCK_NS_PER_SECOND / (ticks_per_second > 0 ? (uint64_t)ticks_per_second : 100);
	/* One for the sum; CPUs that come online later have their own lines, so some to spare. */
	busy->buffer_size = (count + 64) * CPU_BUSY_LINE_SIZE_MAX;
	busy->buffer = malloc(busy->buffer_size);
	busy->cpus = calloc(count + 1, sizeof(*busy->cpus));
	busy->lines = calloc(count + 1, sizeof(*busy->lines));
	if (busy->buffer == NULL || busy->cpus == NULL || busy->lines == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	busy->stat_fd = openat(sysroot_proc_fd(root), "stat", O_RDONLY | O_CLOEXEC);
	if (busy->stat_fd < 0)
		return diag_error(diag, -errno, "cannot open proc/stat under %s: %s",
				  sysroot_path(root), strerror(errno));
	*ret_busy = TAKE_PTR(busy);
	return 0;
}

void cpu_busy_close(struct cpu_busy *busy)
{
	if (busy == NULL)
		return;
	if (busy->stat_fd >= 0)
		(void)close(busy->stat_fd);
	free(busy->buffer);
	free(busy->cpus);
	free(busy->lines);
	free(busy);
}

/* One pread: the kernel puts the cpu lines first, and what does not fit is of no interest. */
static int cpu_busy_fetch(struct cpu_busy *busy)
{
	struct cpu_busy_line line;
	const char *cursor = busy->buffer;
	ssize_t got;

	do
		got = pread(busy->stat_fd, busy->buffer, busy->buffer_size - 1, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	busy->buffer[got] = '\0';
	for (size_t i = 0; i < busy->topology->cpu_count; i++)
		busy->lines[i].cpu = UINT32_MAX;
	while (cpu_busy_next_line(&cursor, &line) == 0) {
		int index = topology_index(busy->topology, line.cpu);

		if (index >= 0)
			busy->lines[index] = line;
	}
	return 0;
}

/* elapsed_ns without the part of it that not one CPU knows of. */
static uint64_t cpu_busy_running_ns(const struct cpu_busy *busy, uint64_t elapsed_ns)
{
	uint64_t longest_ns = 0;
	bool known = false;

	for (size_t i = 0; i < busy->topology->cpu_count; i++) {
		uint64_t counted_ns;

		if (busy->lines[i].cpu == UINT32_MAX || !busy->cpus[i].online ||
		    busy->lines[i].total_ticks < busy->cpus[i].total_ticks)
			continue;
		known = true;
		if (__builtin_mul_overflow(busy->lines[i].total_ticks - busy->cpus[i].total_ticks,
					   busy->tick_ns, &counted_ns))
			counted_ns = UINT64_MAX;
		if (counted_ns > longest_ns)
			longest_ns = counted_ns;
	}
	if (!known || longest_ns >= elapsed_ns || elapsed_ns - longest_ns < CPU_BUSY_GAP_NS_MIN)
		return elapsed_ns;
	return longest_ns;
}

/* Begins to count a CPU that was not there before, from the busy time that it had. */
static void cpu_busy_start(struct cpu_busy_cpu *cpu, const struct cpu_busy_line *line,
			   uint64_t running_ns)
{
	*cpu = (struct cpu_busy_cpu){
	    .online = true,
	    .total_ticks = line->total_ticks,
	    .since_ns = running_ns,
	    .before_ns = cpu->busy_ns,
	    .busy_ns = cpu->busy_ns,
	};
	memcpy(cpu->rest_ticks, line->rest_ticks, sizeof(cpu->rest_ticks));
}

static void cpu_busy_go_on(struct cpu_busy_cpu *cpu, const struct cpu_busy_line *line,
			   uint64_t running_ns, uint64_t tick_ns)
{
	uint64_t online_ns = running_ns - cpu->since_ns;

	for (size_t i = 0; i < CPU_BUSY_REST_COUNT; i++) {
		uint64_t before = cpu->rest_ticks[i], now = line->rest_ticks[i], added_ns;

		if (now < before && before - now <= CPU_BUSY_STEP_BACK_TICKS_MAX)
			continue;
		cpu->rest_ticks[i] = now;
		if (now < before)
			continue;
		if (__builtin_mul_overflow(now - before, tick_ns, &added_ns) ||
		    __builtin_add_overflow(cpu->rest_ns, added_ns, &cpu->rest_ns))
			cpu->rest_ns = UINT64_MAX;
	}
	cpu->total_ticks = line->total_ticks;
	/* The ticks lag behind the clock by up to one each: a smaller difference waits. */
	if (online_ns > cpu->rest_ns && cpu->before_ns + online_ns - cpu->rest_ns > cpu->busy_ns)
		cpu->busy_ns = cpu->before_ns + online_ns - cpu->rest_ns;
}

int cpu_busy_read(struct cpu_busy *busy, struct mono_time now, uint64_t busy_ns[])
{
	int status = cpu_busy_fetch(busy);

	if (status < 0)
		return status;
	if (busy->primed)
		busy->running_ns += cpu_busy_running_ns(busy, clock_elapsed_ns(busy->time, now));
	/* A clock that went back adds nothing until it has passed the old mark. */
	if (!busy->primed || now.ns > busy->time.ns)
		busy->time = now;
	busy->primed = true;
	for (size_t i = 0; i < busy->topology->cpu_count; i++) {
		struct cpu_busy_cpu *cpu = &busy->cpus[i];

		if (busy->lines[i].cpu == UINT32_MAX)
			cpu->online = false;
		else if (!cpu->online)
			cpu_busy_start(cpu, &busy->lines[i], busy->running_ns);
		else
			cpu_busy_go_on(cpu, &busy->lines[i], busy->running_ns, busy->tick_ns);
		busy_ns[i] = cpu->busy_ns;
	}
	return 0;
}

void cpu_busy_rest(const struct cpu_busy *busy, uint64_t rest_ns[])
{
	for (size_t i = 0; i < busy->topology->cpu_count; i++) {
		const struct cpu_busy_cpu *cpu = &busy->cpus[i];
		uint64_t ticks = 0;

		rest_ns[i] = UINT64_MAX;
		for (size_t kind = 0; kind < CPU_BUSY_REST_COUNT; kind++)
			if (__builtin_add_overflow(ticks, cpu->rest_ticks[kind], &ticks))
				ticks = UINT64_MAX;
		if (cpu->online && __builtin_mul_overflow(ticks, busy->tick_ns, &rest_ns[i]))
			rest_ns[i] = UINT64_MAX;
	}
}
