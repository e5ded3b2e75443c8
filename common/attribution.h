/*
 * attribution.h: one zone's energy of one interval, divided exactly.
 *
 * Third stage of the flow, the heart of it: pure functions over plain numbers, called by the engine
 * for each zone and sample. Nothing is created, nothing is lost:
 *
 *     energy_uj = sum over claims + other_uj + idle_uj            always, in whole microjoules
 *
 * The rule: static energy (idle power times time, at most what was measured) goes by policy, the
 * rest goes by weight. Weights are nanoseconds of CPU time on the zone's CPUs, for DRAM bytes held.
 *
 * How a whole number is divided: each claim gets the whole part of its quota, the microjoules that
 * are left go one each to the largest remainders (Hamilton's method). What a claim was entitled to
 * and did not get is carried over to its next division, so a small claim is served in time even
 * when its share is a fraction of a microjoule each time.
 */
#ifndef WATTPORT_COMMON_ATTRIBUTION_H
#define WATTPORT_COMMON_ATTRIBUTION_H

#include <stddef.h>
#include <stdint.h>

/* A microjoule in the fixed point of what is carried over. */
#define ATTRIBUTION_CARRY_ONE (INT64_C(1) << 32)

/* Claims of one division: a VM's active and overhead time, or its rent, the host's part, and
 * that of machines that are missing. */
#define ATTRIBUTION_CLAIM_MAX (2 * 4096 + 2)

struct attribution_claim {
	uint64_t weight;
	int64_t carry;	   /* in and out: what earlier divisions owe it, in 2^-32 microjoules */
	uint64_t share_uj; /* out */
};

/* Room for the work of one division; attribution never allocates. */
struct attribution_rank {
	int64_t score;
	uint32_t claim;
};
struct attribution_scratch {
	struct attribution_rank ranks[ATTRIBUTION_CLAIM_MAX];
};

/*
 * Divides `energy_uj` by weight: the shares' sum is energy_uj exactly. Returns what could not be
 * divided: 0, or energy_uj when no claim has a weight. Equal claims are served in the order in
 * which they stand, so a caller that wants results that do not depend on order sorts them.
 */
uint64_t attribution_divide(uint64_t energy_uj, struct attribution_claim claims[], size_t count,
			    struct attribution_scratch *scratch);

enum attribution_policy {
	ATTRIBUTION_IDLE_VCPU, /* each vCPU of a running VM carries 1/L, the rest stays with the
				  host */
	ATTRIBUTION_IDLE_BUSY, /* by use, like the dynamic part */
	ATTRIBUTION_IDLE_NONE, /* all of it stays with the host */
};

/*
 * The static part of `energy_uj` measured over `elapsed_ns` at `idle_power_uw`: at most the energy.
 * *debt keeps what could not be given yet (a counter that has not moved) in 10^-9 microjoules and
 * is bounded to one second's worth; start it with 0.
 */
uint64_t attribution_static_uj(uint64_t energy_uj, uint64_t idle_power_uw, uint64_t elapsed_ns,
			       uint64_t *debt);

/*
 * The weight of what nobody has rented under ATTRIBUTION_IDLE_VCPU, in vCPUs: L - allocated, where
 * L is the larger of the host's logical CPUs and the allocated vCPUs.
 */
uint64_t attribution_unrented_vcpus(uint64_t host_cpus, uint64_t allocated_vcpus);

#endif
