/*
 * counter.h: a raw counter that wraps, turned into energy that only grows.
 *
 * The only place where raw readings meet totals; called by the engine for each zone and sample.
 * Pure state machine: one thread a counter.
 *
 * RAPL counts 32 bits of hardware units (Intel SDM vol. 3B, 15.10.2; arch/x86 intel_rapl_common.c):
 * max_energy_range_uj is (2^32 - 1) units in microjoules, and after the hardware value 2^32 - 1
 * comes 0, so that one wrap adds the range and one unit.
 */
#ifndef WATTPORT_COMMON_COUNTER_H
#define WATTPORT_COMMON_COUNTER_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* No zone of a real machine draws more: what would need it was not a wrap but a step backwards. */
#define COUNTER_POWER_UW_MAX UINT64_C(5000000000)

/*
 * After that long without a reading (wattportd was away, or the zone) the counter may have gone
 * round by more than half of its range, or more than once. What the zone can draw decides then.
 */
#define COUNTER_LONG_NS (10 * CLOCK_NS_PER_SECOND)

enum counter_event {
	COUNTER_FIRST,	  /* nothing to compare with: books nothing */
	COUNTER_ADVANCED, /* by 0 or more */
	COUNTER_WRAPPED,
	COUNTER_BACKWARD, /* less than before and no wrap: books nothing, goes on from here */
	COUNTER_INVALID,  /* larger than its own range: books nothing, state unchanged */
};

struct counter {
	bool primed;
	uint64_t raw_uj;
	uint64_t time_ns;
	uint64_t power_uw_max; /* the most that the zone can draw; 0: nobody knows */
};

/*
 * Takes the reading `raw_uj` of time `now_ns`, without the time that the machine was suspended: a
 * counter that begins at 0 after that is no wrap of hours; *ret_energy_uj is what came since the
 * last accepted one (0 for all events but ADVANCED and WRAPPED). A reading below the last is a wrap
 * when it needs less than half the range and at most COUNTER_POWER_UW_MAX since the last reading;
 * after COUNTER_LONG_NS also when it needs more than that half but no more than power_uw_max. More
 * wraps than that one are never booked: counter_may_be_more().
 */
enum counter_event counter_advance(struct counter *counter, uint64_t raw_uj, uint64_t range_uj,
				   uint64_t now_ns, uint64_t *ret_energy_uj);

/* Whether another wrap than those in `energy_uj` may have gone unseen in that time. */
bool counter_may_be_more(const struct counter *counter, uint64_t energy_uj, uint64_t range_uj,
			 uint64_t elapsed_ns);

/* What one wrap adds: the range and, for ranges of 32 hardware bits, one unit (else 1 uJ).
 * Saturates. */
uint64_t counter_modulus_uj(uint64_t range_uj);

#endif
