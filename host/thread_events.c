#include "host/thread_events.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__extension__ typedef unsigned __int128 wide;

int thread_events_system_open(const struct perf_event_attr *attribute, int32_t tid, int group_fd)
{
	long fd = syscall(SYS_perf_event_open, attribute, tid, -1, group_fd, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* PERF_COUNT_HW_CACHE_MISSES is "usually last level cache misses", perf_event_open(2). */
const struct thread_events_source thread_events_hardware = {
    .kinds =
	{
	    [THREAD_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
	    [THREAD_INSTRUCTIONS] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
	    [THREAD_LLC_MISSES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
	},
    .open = thread_events_system_open,
};

void thread_events_init(struct thread_events *events)
{
	*events = (struct thread_events){.fds = {-1, -1, -1}};
}

int thread_events_open(struct thread_events *events, const struct thread_events_source *source,
		       int32_t tid)
{
	thread_events_init(events);
	for (size_t i = 0; i < THREAD_EVENT_COUNT; i++) {
		/* Neither host nor guest, neither user nor kernel is left out: all of it is paid
		 * for. A child thread is no vCPU, so nothing is inherited. */
		const struct perf_event_attr attribute = {
		    .type = source->kinds[i].type,
		    .size = sizeof(attribute),
		    .config = source->kinds[i].config,
		    .read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
				   PERF_FORMAT_TOTAL_TIME_RUNNING,
		};
		int fd = source->open(&attribute, tid, events->fds[0]);

		if (fd < 0) {
			thread_events_close(events);
			return fd;
		}
		events->fds[i] = fd;
	}
	return 0;
}

static const struct {
	int error;
	const char *reason;
	const char *remedy;
} thread_events_refusals[] = {
    {EACCES, "the kernel does not let us count events",
     "run wattportd with CAP_PERFMON (Linux 5.8), or sysctl kernel.perf_event_paranoid=-1"},
    {EPERM, "the kernel does not let us count events",
     "run wattportd with CAP_PERFMON (Linux 5.8), and let its seccomp filter pass "
     "perf_event_open"},
    {ENOENT, "this machine has no counters of cycles, instructions and cache misses",
     "if it is a virtual machine, give it a PMU: <pmu state='on'/>"},
    {EOPNOTSUPP, "this machine has no counters of cycles, instructions and cache misses",
     "if it is a virtual machine, give it a PMU: <pmu state='on'/>"},
    {ENODEV, "this machine has no counters of cycles, instructions and cache misses",
     "if it is a virtual machine, give it a PMU: <pmu state='on'/>"},
    {ENOSYS, "this kernel cannot count events", "run a kernel with CONFIG_PERF_EVENTS"},
    {EMFILE, "there are too few descriptors to count events of every vCPU",
     "raise LimitNOFILE= of wattportd.service"},
    {ENFILE, "there are too few descriptors to count events of every vCPU",
     "raise the sysctl fs.file-max"},
};

const char *thread_events_reason(int error)
{
	for (size_t i = 0; i < sizeof(thread_events_refusals) / sizeof(thread_events_refusals[0]);
	     i++)
		if (thread_events_refusals[i].error == -error)
			return thread_events_refusals[i].reason;
	return "events cannot be counted";
}

const char *thread_events_remedy(int error)
{
	for (size_t i = 0; i < sizeof(thread_events_refusals) / sizeof(thread_events_refusals[0]);
	     i++)
		if (thread_events_refusals[i].error == -error)
			return thread_events_refusals[i].remedy;
	return "set attribution.events = none";
}

void thread_events_close(struct thread_events *events)
{
	for (size_t i = THREAD_EVENT_COUNT; i-- > 0;)
		if (events->fds[i] >= 0)
			(void)close(events->fds[i]);
	thread_events_init(events);
}

bool thread_events_opened(const struct thread_events *events)
{
	return events->fds[0] >= 0;
}

/* The counters have 64 bits: past the last number comes 0, and what seems more than half of them
 * is a step back. */
static uint64_t thread_events_difference(uint64_t last, uint64_t now)
{
	uint64_t difference = now - last;

	return difference <= INT64_MAX ? difference : 0;
}

static uint64_t thread_events_scale(uint64_t count, uint64_t enabled_ns, uint64_t running_ns)
{
	wide scaled;

	if (running_ns >= enabled_ns)
		return count;
	scaled = (wide)count * enabled_ns / running_ns;
	return scaled < INT64_MAX ? (uint64_t)scaled : INT64_MAX;
}

bool thread_events_advance(struct thread_events_reading *last,
			   const struct thread_events_reading *now,
			   struct thread_events_growth *ret_growth)
{
	uint64_t enabled_ns = thread_events_difference(last->enabled_ns, now->enabled_ns);
	uint64_t running_ns = thread_events_difference(last->running_ns, now->running_ns);

	*ret_growth = (struct thread_events_growth){.count = {0}};
	/* Scaling each step by itself, not the sums, is what never goes back. */
	if (running_ns == 0 && enabled_ns > 0)
		return false;
	for (size_t i = 0; i < THREAD_EVENT_COUNT; i++)
		ret_growth->count[i] = thread_events_scale(
		    thread_events_difference(last->raw[i], now->raw[i]), enabled_ns, running_ns);
	*last = *now;
	return true;
}

int thread_events_read(struct thread_events *events, struct thread_events_growth *ret_growth)
{
	/* PERF_FORMAT_GROUP, perf_event_open(2): how many, the times, then one value each. */
	struct {
		uint64_t count;
		struct thread_events_reading reading;
	} values;
	ssize_t got;

	do {
		got = read(events->fds[0], &values, sizeof(values));
	} while (got < 0 && errno == EINTR);
	/* 0 is what a group in an error state reads. */
	if (got != (ssize_t)sizeof(values) || values.count != THREAD_EVENT_COUNT)
		return -EIO;
	events->counted = thread_events_advance(&events->last, &values.reading, ret_growth);
	return events->counted ? 1 : 0;
}
