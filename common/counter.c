#include "common/counter.h"
#include "common/clock.h"

#include <assert.h>

#define COUNTER_HARDWARE_MAX UINT64_C(0xffffffff)

/*
 * The kernel keeps the unit in whole nanojoules (intel_rapl_common.c: energy_unit with
 * ENERGY_UNIT_SCALE 1000) and shows floor(value * unit / 1000), so the unit is found again exactly
 * by rounding up: floor() took less than one microjoule, and 1000 nJ / (2^32 - 1) is below one nJ.
 */
uint64_t counter_modulus_uj(uint64_t range_uj)
{
	uint64_t whole_uj = range_uj / COUNTER_HARDWARE_MAX;
	uint64_t rest_uj = range_uj % COUNTER_HARDWARE_MAX;
	uint64_t rest_nj = (rest_uj * 1000 + COUNTER_HARDWARE_MAX - 1) / COUNTER_HARDWARE_MAX;
	uint64_t unit_uj = 1, modulus_uj;

	if (rest_nj * COUNTER_HARDWARE_MAX / 1000 == rest_uj && range_uj > 0)
		unit_uj = whole_uj + rest_nj * (COUNTER_HARDWARE_MAX + 1) / 1000 - rest_uj;
	if (__builtin_add_overflow(range_uj, unit_uj, &modulus_uj))
		return UINT64_MAX;
	return modulus_uj;
}

/* What a power makes of that time; too much to count is the largest number. */
static uint64_t counter_energy_uj_max(uint64_t power_uw, uint64_t elapsed_ns)
{
	uint64_t seconds = elapsed_ns / CLOCK_NS_PER_SECOND;
	uint64_t rest_ns = elapsed_ns % CLOCK_NS_PER_SECOND;
	uint64_t energy_uj;

	static_assert(COUNTER_POWER_UW_MAX <= UINT64_MAX / CLOCK_NS_PER_SECOND,
		      "the product below fits");
	if (power_uw > COUNTER_POWER_UW_MAX)
		power_uw = COUNTER_POWER_UW_MAX;
	if (__builtin_mul_overflow(seconds, power_uw, &energy_uj) ||
	    __builtin_add_overflow(energy_uj, rest_ns * power_uw / CLOCK_NS_PER_SECOND, &energy_uj))
		return UINT64_MAX;
	return energy_uj;
}

/* Whether the counter may have come so far around. */
static bool counter_may_wrap(const struct counter *counter, uint64_t wrapped_uj, uint64_t range_uj,
			     uint64_t elapsed_ns)
{
	if (wrapped_uj > counter_energy_uj_max(COUNTER_POWER_UW_MAX, elapsed_ns))
		return false;
	return wrapped_uj < range_uj / 2 ||
	       (elapsed_ns >= COUNTER_LONG_NS &&
		wrapped_uj <= counter_energy_uj_max(counter->power_uw_max, elapsed_ns));
}

bool counter_may_be_more(const struct counter *counter, uint64_t energy_uj, uint64_t range_uj,
			 uint64_t elapsed_ns)
{
	uint64_t more_uj;

	if (elapsed_ns < COUNTER_LONG_NS ||
	    __builtin_add_overflow(energy_uj, counter_modulus_uj(range_uj), &more_uj))
		return false;
	return more_uj <= counter_energy_uj_max(counter->power_uw_max > 0 ? counter->power_uw_max
									  : COUNTER_POWER_UW_MAX,
						elapsed_ns);
}

static enum counter_event counter_compare(const struct counter *counter, uint64_t raw_uj,
					  uint64_t range_uj, uint64_t now_ns,
					  uint64_t *ret_energy_uj)
{
	struct mono_time before = {.ns = counter->time_ns}, now = {.ns = now_ns};
	uint64_t wrapped_uj;

	if (raw_uj >= counter->raw_uj) {
		*ret_energy_uj = raw_uj - counter->raw_uj;
		return COUNTER_ADVANCED;
	}
	/* The range may have shrunk under the counter: then there is no way round. */
	if (counter->raw_uj > range_uj)
		return COUNTER_BACKWARD;
	wrapped_uj = counter_modulus_uj(range_uj) - counter->raw_uj + raw_uj;
	if (!counter_may_wrap(counter, wrapped_uj, range_uj, clock_elapsed_ns(before, now)))
		return COUNTER_BACKWARD;
	*ret_energy_uj = wrapped_uj;
	return COUNTER_WRAPPED;
}

enum counter_event counter_advance(struct counter *counter, uint64_t raw_uj, uint64_t range_uj,
				   uint64_t now_ns, uint64_t *ret_energy_uj)
{
	enum counter_event event = COUNTER_FIRST;

	*ret_energy_uj = 0;
	if (raw_uj > range_uj)
		return COUNTER_INVALID;
	if (counter->primed)
		event = counter_compare(counter, raw_uj, range_uj, now_ns, ret_energy_uj);
	counter->primed = true;
	counter->raw_uj = raw_uj;
	counter->time_ns = now_ns;
	return event;
}
