#include "common/served.h"

/* Clocks of the real world do not reach these; made-up ones shall not wrap a counter. */
static uint64_t served_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t served_ms(struct mono_time now)
{
	return now.ns / CLOCK_NS_PER_MS;
}

uint64_t served_at(struct served point, uint64_t now_ms)
{
	uint64_t ahead_ms;

	if (point.value_uj == 0)
		return 0;
	if (now_ms >= point.time_ms)
		return served_add(point.value_uj, now_ms - point.time_ms);
	ahead_ms = point.time_ms - now_ms;
	return point.value_uj > ahead_ms ? point.value_uj - ahead_ms : 1;
}

static uint64_t served_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t served_advance(struct served *told, struct served floor, struct mono_time now)
{
	uint64_t now_ms = served_ms(now);
	/* Where nothing was told of it at all, the floor may be none, too. */
	uint64_t least = told->value_uj > 0 ? told->value_uj : 1;
	uint64_t value =
	    served_larger(served_larger(served_at(floor, now_ms), least), served_at(*told, now_ms));

	if (value == told->value_uj)
		return value;
	/*
	 * The time is stored before its value, and both before it is told: a process killed in
	 * between leaves no less than the last value told, and not above the floor's line either,
	 * where another server would not follow.
	 */
	__atomic_store_n(&told->time_ms, now_ms, __ATOMIC_RELEASE);
	__atomic_store_n(&told->value_uj, value, __ATOMIC_RELEASE);
	return value;
}
