/*
 * features.h: what a thread did, in amounts of that which draws power.
 *
 * Between the sampler's second half, which fills them, and calibration.h, which finds what one unit
 * of each costs. Amounts of threads add up to those of a CPU package. Saturating integers: absurd
 * input gives absurd amounts, never wrapped ones. Pure.
 */
#ifndef WATTPORT_COMMON_FEATURES_H
#define WATTPORT_COMMON_FEATURES_H

#include "common/sample.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Times are nanoseconds. The `fast` ones are multiplied by the thread's clock in GHz: what a cycle
 * or an instruction takes grows with the square of the voltage, and that about with the clock, so
 * that a feature and its fast one together are right at any clock in between.
 */
enum features_kind {
	FEATURES_AWAKE,	 /* that any CPU of a package was busy, divided by the threads' time */
	FEATURES_UNCORE, /* what all CPUs share, which comes with the first few: likewise */
	FEATURES_CORE,	 /* time times core_share.h: adds up to the time that cores were busy */
	FEATURES_THREAD, /* time */
	FEATURES_BLIND,	 /* as FEATURES_CORE, of threads whose events are not counted */
	/* The same times how busy the CPU was: where clocks follow the load, busy CPUs are dear. */
	FEATURES_LOADED,
	FEATURES_CYCLES, /* times core_share.h */
	FEATURES_CYCLES_FAST,
	FEATURES_INSTRUCTIONS,
	FEATURES_INSTRUCTIONS_FAST,
	FEATURES_LLC_MISSES,
	FEATURES_COUNT,
};

struct features {
	uint64_t amount[FEATURES_COUNT];
};

/* A thread's counters, or what they have come on by. */
struct features_counters {
	bool has_events;
	uint32_t cpu; /* as in the sample; of what has come: where the thread was before */
	uint64_t time_ns;
	uint64_t cycles;
	uint64_t instructions;
	uint64_t llc_misses;
};

struct features_counters features_counters(const struct sample_vcpu *vcpu);

/* What has come since *previous, which is replaced; a counter that went back gives nothing. */
struct features_counters features_spent(struct features_counters *previous,
					const struct sample_vcpu *now);

/* Half of it, and what is left in *spent. */
struct features_counters features_halve(struct features_counters *spent);

/* One thread's interval, on a CPU that left it that much of its core and was so busy, each of
 * CORE_SHARE_ONE. */
struct features features_weigh(const struct features_counters *spent, uint32_t core_share,
			       uint32_t busy);

/* Of threads of which only the time is known. */
struct features features_of_time(uint64_t time_ns, uint64_t core_ns, uint64_t loaded_ns);

/* Adds part / whole of `added`; `whole` is not 0. */
void features_add(struct features *total, const struct features *added, uint64_t part,
		  uint64_t whole);

/* What came since `before`; a counter that went back gives nothing. */
uint64_t features_delta(uint64_t before, uint64_t now);

/* Saturating: amount * part / whole, where `whole` is not 0; a + b. */
uint64_t features_scale(uint64_t amount, uint64_t part, uint64_t whole);
static inline uint64_t features_sum(uint64_t a, uint64_t b)
{
	return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

#endif
