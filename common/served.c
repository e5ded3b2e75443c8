#include "common/served.h"

/* Clocks of the real world do not reach these; made-up ones shall not wrap a counter. */
static uint64_t served_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t served_advance(struct served *served, uint64_t account_uj, struct mono_time now)
{
	uint64_t account = served_add(account_uj, 1);
	uint64_t elapsed_ms =
	    clock_elapsed_ns((struct mono_time){served->time_ns}, now) / CLOCK_NS_PER_MS;
	uint64_t least = served_add(served->value_uj, elapsed_ms);

	/*
	 * The value is stored before its time, and both before it is told: a process killed in
	 * between leaves a value that is at least the last one told, with an older time, and so
	 * the next step is larger, never smaller.
	 */
	if (served->value_uj == 0 || account > least) {
		served->value_uj = account;
		__atomic_store_n(&served->time_ns, now.ns, __ATOMIC_RELEASE);
	} else if (elapsed_ms > 0) {
		/* Not `now`: the part of a millisecond that is left counts for the next step. */
		served->value_uj = least;
		__atomic_store_n(&served->time_ns, served->time_ns + elapsed_ms * CLOCK_NS_PER_MS,
				 __ATOMIC_RELEASE);
	}
	return served->value_uj;
}
