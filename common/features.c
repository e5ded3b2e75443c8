#include "common/features.h"
#include "common/core_share.h"

#include <assert.h>

#define MHZ_PER_GHZ 1000

/* No processor is faster: a count beyond it says that the time is a coarse one. */
#define CLOCK_MHZ_MAX UINT64_C(8000)

__extension__ typedef unsigned __int128 wide;

uint64_t features_scale(uint64_t amount, uint64_t part, uint64_t whole)
{
	wide scaled;

	assert(whole > 0);
	scaled = (wide)amount * part / whole;
	return scaled < UINT64_MAX ? (uint64_t)scaled : UINT64_MAX;
}

struct features_counters features_counters(const struct sample_vcpu *vcpu)
{
	return (struct features_counters){.has_events = vcpu->has_events,
					  .cpu = vcpu->cpu,
					  .time_ns = vcpu->time_ns,
					  .cycles = vcpu->cycles,
					  .instructions = vcpu->instructions,
					  .llc_misses = vcpu->llc_misses};
}

uint64_t features_delta(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

struct features_counters features_spent(struct features_counters *previous,
					const struct sample_vcpu *now)
{
	struct features_counters before = *previous, after = features_counters(now);

	*previous = after;
	return (struct features_counters){
	    .has_events = before.has_events && after.has_events,
	    .cpu = before.cpu,
	    .time_ns = features_delta(before.time_ns, after.time_ns),
	    .cycles = features_delta(before.cycles, after.cycles),
	    .instructions = features_delta(before.instructions, after.instructions),
	    .llc_misses = features_delta(before.llc_misses, after.llc_misses),
	};
}

struct features_counters features_halve(struct features_counters *spent)
{
	struct features_counters half = *spent;

	half.time_ns /= 2;
	half.cycles /= 2;
	half.instructions /= 2;
	half.llc_misses /= 2;
	spent->time_ns -= half.time_ns;
	spent->cycles -= half.cycles;
	spent->instructions -= half.instructions;
	spent->llc_misses -= half.llc_misses;
	return half;
}

struct features features_of_time(uint64_t time_ns, uint64_t core_ns, uint64_t loaded_ns)
{
	return (struct features){.amount = {[FEATURES_THREAD] = time_ns,
					    [FEATURES_CORE] = core_ns,
					    [FEATURES_BLIND] = core_ns,
					    [FEATURES_LOADED] = loaded_ns}};
}

struct features features_weigh(const struct features_counters *spent, uint32_t core_share,
			       uint32_t busy)
{
	uint64_t core_ns = features_scale(spent->time_ns, core_share, CORE_SHARE_ONE);
	struct features features = features_of_time(spent->time_ns, core_ns,
						    features_scale(core_ns, busy, CORE_SHARE_ONE));
	uint64_t *amount = features.amount;
	uint64_t clock_mhz;

	if (!spent->has_events)
		return features;
	amount[FEATURES_BLIND] = 0;
	amount[FEATURES_LOADED] = 0;
	amount[FEATURES_CYCLES] = features_scale(spent->cycles, core_share, CORE_SHARE_ONE);
	amount[FEATURES_INSTRUCTIONS] = spent->instructions;
	amount[FEATURES_LLC_MISSES] = spent->llc_misses;
	if (spent->time_ns == 0)
		return features;
	clock_mhz = features_scale(spent->cycles, MHZ_PER_GHZ, spent->time_ns);
	if (clock_mhz > CLOCK_MHZ_MAX)
		clock_mhz = CLOCK_MHZ_MAX;
	amount[FEATURES_CYCLES_FAST] =
	    features_scale(amount[FEATURES_CYCLES], clock_mhz, MHZ_PER_GHZ);
	amount[FEATURES_INSTRUCTIONS_FAST] =
	    features_scale(spent->instructions, clock_mhz, MHZ_PER_GHZ);
	return features;
}

void features_add(struct features *total, const struct features *added, uint64_t part,
		  uint64_t whole)
{
	/* All of it, most often; and that is what a sample does for each machine and zone. */
	for (size_t i = 0; i < FEATURES_COUNT && part == whole; i++)
		total->amount[i] = features_sum(total->amount[i], added->amount[i]);
	for (size_t i = 0; i < FEATURES_COUNT && part != whole; i++)
		total->amount[i] =
		    features_sum(total->amount[i], features_scale(added->amount[i], part, whole));
}
