/*
 * clock.h: time as a dependency that tests can hold in their hand.
 *
 * A foundation; the only caller of clock_gettime(). Monotonic time is CLOCK_BOOTTIME, which goes on
 * during suspend and is the same in every process of one machine, so that it may stand in the
 * shared ledger. Nanoseconds in 64 bits last 584 years. The real clock is safe in any thread.
 */
#ifndef WATTPORT_COMMON_CLOCK_H
#define WATTPORT_COMMON_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_SECOND UINT64_C(1000000000)
#define CLOCK_NS_PER_MS	    UINT64_C(1000000)

struct mono_time {
	uint64_t ns;
};

struct wall_time {
	uint64_t ns; /* since 1970-01-01 UTC */
};

struct clock {
	struct mono_time (*now_mono)(const struct clock *clock);
	struct wall_time (*now_wall)(const struct clock *clock);
	/* How much of the monotonic time the machine was suspended for. */
	uint64_t (*suspended_ns)(const struct clock *clock);
};

/* The machine's own clock: constant, never freed. */
const struct clock *clock_real(void);

struct mono_time clock_now_mono(const struct clock *clock);
struct wall_time clock_now_wall(const struct clock *clock);

/* Since the machine's start; off by what passes between two readings of its clocks. */
uint64_t clock_suspended_ns(const struct clock *clock);

/*
 * The CPU time of a process so far, by the kernel's own clock of it: nanoseconds, with threads that
 * have ended and what runs this very moment. -ESRCH where there is none of that number.
 */
int clock_process_cpu_ns(int32_t pid, uint64_t *ret_ns);

/* later - earlier, or 0 where the order is the other way round. */
uint64_t clock_elapsed_ns(struct mono_time earlier, struct mono_time later);

/* A clock that moves only when told to: set its members at will. */
struct manual_clock {
	struct clock clock;
	struct mono_time mono;
	struct wall_time wall;
	uint64_t suspended_ns;
};

void manual_clock_init(struct manual_clock *manual, struct mono_time mono, struct wall_time wall);
void manual_clock_advance(struct manual_clock *manual, uint64_t elapsed_ns);

/* The same, and the machine was suspended meanwhile. */
void manual_clock_suspend(struct manual_clock *manual, uint64_t elapsed_ns);

#endif
