#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <time.h>

#define SUSPENDED_READINGS 3

static uint64_t real_now_ns(clockid_t id)
{
	struct timespec now;
	int status = clock_gettime(id, &now);

	assert(status == 0);
	(void)status;
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static struct mono_time real_now_mono(const struct clock *clock)
{
	(void)clock;
	return (struct mono_time){.ns = real_now_ns(CLOCK_BOOTTIME)};
}

static struct wall_time real_now_wall(const struct clock *clock)
{
	(void)clock;
	return (struct wall_time){.ns = real_now_ns(CLOCK_REALTIME)};
}

/*
 * CLOCK_MONOTONIC stands still meanwhile (clock_gettime(2)). It is read first, so what passes
 * between the two readings makes the difference larger, never negative: the smallest of a few is
 * nearest.
 */
static uint64_t real_suspended_ns(const struct clock *clock)
{
	uint64_t smallest_ns = UINT64_MAX;

	(void)clock;
	for (int i = 0; i < SUSPENDED_READINGS; i++) {
		uint64_t awake_ns = real_now_ns(CLOCK_MONOTONIC);
		uint64_t difference_ns = real_now_ns(CLOCK_BOOTTIME) - awake_ns;

		if (difference_ns < smallest_ns)
			smallest_ns = difference_ns;
	}
	return smallest_ns;
}

const struct clock *clock_real(void)
{
	static const struct clock real = {.now_mono = real_now_mono,
					  .now_wall = real_now_wall,
					  .suspended_ns = real_suspended_ns};

	return &real;
}

struct mono_time clock_now_mono(const struct clock *clock)
{
	return clock->now_mono(clock);
}

struct wall_time clock_now_wall(const struct clock *clock)
{
	return clock->now_wall(clock);
}

uint64_t clock_suspended_ns(const struct clock *clock)
{
	return clock->suspended_ns(clock);
}

int clock_process_cpu_ns(int32_t pid, uint64_t *ret_ns)
{
	struct timespec time;
	clockid_t id;

	/* It returns a positive number (clock_getcpuclockid(3)). */
	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &time) < 0)
		return -ESRCH;
	*ret_ns = (uint64_t)time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)time.tv_nsec;
	return 0;
}

uint64_t clock_elapsed_ns(struct mono_time earlier, struct mono_time later)
{
	return later.ns > earlier.ns ? later.ns - earlier.ns : 0;
}

/* `clock` is the first member, so a pointer to it is a pointer to the whole (C17 6.7.2.1 p15). */
static struct mono_time manual_now_mono(const struct clock *clock)
{
	return ((const struct manual_clock *)clock)->mono;
}

static struct wall_time manual_now_wall(const struct clock *clock)
{
	return ((const struct manual_clock *)clock)->wall;
}

static uint64_t manual_suspended_ns(const struct clock *clock)
{
	return ((const struct manual_clock *)clock)->suspended_ns;
}

void manual_clock_init(struct manual_clock *manual, struct mono_time mono, struct wall_time wall)
{
	static_assert(offsetof(struct manual_clock, clock) == 0, "the cast above relies on it");
	*manual = (struct manual_clock){
	    .clock = {.now_mono = manual_now_mono,
		      .now_wall = manual_now_wall,
		      .suspended_ns = manual_suspended_ns},
	    .mono = mono,
	    .wall = wall,
	};
}

void manual_clock_advance(struct manual_clock *manual, uint64_t elapsed_ns)
{
	manual->mono.ns += elapsed_ns;
	manual->wall.ns += elapsed_ns;
}

void manual_clock_suspend(struct manual_clock *manual, uint64_t elapsed_ns)
{
	manual_clock_advance(manual, elapsed_ns);
	manual->suspended_ns += elapsed_ns;
}
