#include "common/attribution.h"
#include "common/clock.h"

#include <assert.h>
#include <stdbool.h>

#define CARRY_MAX (8 * ATTRIBUTION_CARRY_ONE)

__extension__ typedef unsigned __int128 wide;

struct quota {
	uint64_t whole_uj;
	uint64_t fraction; /* of one microjoule, in 2^-32 */
};

/* energy * weight / total. Hot: most intervals are short, and then 64 bits hold every product. */
static struct quota attribution_quota(uint64_t energy_uj, uint64_t weight, wide total)
{
	uint64_t product;
	wide exact;

	if (total < ATTRIBUTION_CARRY_ONE && !__builtin_mul_overflow(energy_uj, weight, &product)) {
		uint64_t small = (uint64_t)total;

		return (struct quota){.whole_uj = product / small,
				      .fraction = ((product % small) << 32) / small};
	}
	exact = (wide)energy_uj * weight;
	return (struct quota){.whole_uj = (uint64_t)(exact / total),
			      .fraction = (uint64_t)(((exact % total) << 32) / total)};
}

/* The larger score first; among equals the claim that stands first. */
static bool attribution_precedes(const struct attribution_rank *a, const struct attribution_rank *b)
{
	return a->score != b->score ? a->score > b->score : a->claim < b->claim;
}

static void attribution_swap(struct attribution_rank *a, struct attribution_rank *b)
{
	struct attribution_rank former = *a;

	*a = *b;
	*b = former;
}

/* Quickselect (Hoare's FIND): afterwards the first `wanted` ranks precede all others. */
static void attribution_select(struct attribution_rank ranks[], size_t count, size_t wanted)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		size_t edge = low;

		/* The middle as pivot, parked at the end of the range. */
		attribution_swap(&ranks[low + (high - low) / 2], &ranks[high - 1]);
		for (size_t i = low; i < high - 1; i++)
			if (attribution_precedes(&ranks[i], &ranks[high - 1]))
				attribution_swap(&ranks[i], &ranks[edge++]);
		attribution_swap(&ranks[edge], &ranks[high - 1]);
		if (edge == wanted)
			return;
		if (edge < wanted)
			low = edge + 1;
		else
			high = edge;
	}
}

static int64_t attribution_bound(int64_t carry)
{
	if (carry > CARRY_MAX)
		return CARRY_MAX;
	return carry < -CARRY_MAX ? -CARRY_MAX : carry;
}

uint64_t attribution_divide(uint64_t energy_uj, struct attribution_claim claims[], size_t count,
			    struct attribution_scratch *scratch)
{
	uint64_t left_uj = energy_uj;
	size_t ranked = 0;
	wide total = 0;

	assert(count <= ATTRIBUTION_CLAIM_MAX);
	for (size_t i = 0; i < count; i++) {
		claims[i].share_uj = 0;
		total += claims[i].weight;
	}
	if (total == 0)
		return energy_uj;
	for (size_t i = 0; i < count; i++) {
		struct quota quota;

		if (claims[i].weight == 0)
			continue;
		quota = attribution_quota(energy_uj, claims[i].weight, total);
		claims[i].share_uj = quota.whole_uj;
		claims[i].carry = attribution_bound(claims[i].carry + (int64_t)quota.fraction);
		left_uj -= quota.whole_uj;
		scratch->ranks[ranked++] =
		    (struct attribution_rank){.score = claims[i].carry, .claim = (uint32_t)i};
	}
	/* Each of the whole parts lost less than one microjoule, so there is a claim for each left.
	 */
	assert(left_uj < ranked || (left_uj == 0 && ranked > 0));
	if (left_uj > 0)
		attribution_select(scratch->ranks, ranked, (size_t)left_uj);
	for (size_t i = 0; i < left_uj; i++) {
		struct attribution_claim *claim = &claims[scratch->ranks[i].claim];

		claim->share_uj++;
		claim->carry -= ATTRIBUTION_CARRY_ONE;
	}
	return 0;
}

uint64_t attribution_static_uj(uint64_t energy_uj, uint64_t idle_power_uw, uint64_t elapsed_ns,
			       uint64_t *debt)
{
	/* One microwatt for one nanosecond is 10^-9 microjoules. */
	wide due = (wide)idle_power_uw * elapsed_ns + *debt;
	wide bound = (wide)idle_power_uw * CLOCK_NS_PER_SECOND;
	wide whole_uj = due / CLOCK_NS_PER_SECOND;
	uint64_t given_uj = whole_uj < energy_uj ? (uint64_t)whole_uj : energy_uj;

	due -= (wide)given_uj * CLOCK_NS_PER_SECOND;
	if (due > bound)
		due = bound;
	*debt = due > UINT64_MAX ? UINT64_MAX : (uint64_t)due;
	return given_uj;
}

uint64_t attribution_unrented_vcpus(uint64_t host_cpus, uint64_t allocated_vcpus)
{
	return host_cpus > allocated_vcpus ? host_cpus - allocated_vcpus : 0;
}
