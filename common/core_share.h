/*
 * core_share.h: how much of a core a thread had that ran on one of its CPUs.
 *
 * Part of the sampler's second half, used by activity.c. Hyper-threads share a core: the second one
 * adds 5 to 30 % to what the first one draws, not 100 %. So a core's energy is not that of its
 * threads' times but of the time in which any of them ran, and of that time a thread has what it
 * ran alone, and of what it ran beside others an equal part: its Shapley value.
 *
 * What a thread ran beside others is not measured, only how busy each CPU was. The rule is
 * E[1 / (1 + K)], K the siblings that are busy at once; we take their being busy as independent
 * chances, so that with two threads to a core the share is 1 - b/2, b the sibling's busy part, and
 * the shares of both add up to the time in which the core was not idle.
 *
 * CPU times come in steps of up to 10 ms: the busy parts are those of the last
 * CORE_SHARE_MEMORY_NS, or of the interval where it is longer. Integers; one thread.
 */
#ifndef WATTPORT_COMMON_CORE_SHARE_H
#define WATTPORT_COMMON_CORE_SHARE_H

#include "common/topology.h"

#include <stddef.h>
#include <stdint.h>

#define CORE_SHARE_MEMORY_NS UINT64_C(100000000)
#define CORE_SHARE_ONE	     UINT32_C(65536)

/* More "siblings" than any processor has mean that cores are not known: each CPU is one then. */
#define CORE_SHARE_SIBLING_MAX 8

struct core_share;

/* The topology must outlive it. */
int core_share_create(const struct topology *topology, struct core_share **ret_share);
void core_share_destroy(struct core_share *share);

/* The busy time of every CPU in the last interval, by the index of topology->cpus[]. */
void core_share_step(struct core_share *share, const uint64_t busy_ns[], uint64_t elapsed_ns);

/* What a thread on that CPU had of its core, of CORE_SHARE_ONE; never 0. */
uint32_t core_share_of(const struct core_share *share, size_t cpu);

/* How busy the CPU was, of CORE_SHARE_ONE. */
uint32_t core_share_busy(const struct core_share *share, size_t cpu);

static inline void cleanup_core_share_value(struct core_share *const *share)
{
	core_share_destroy(*share);
}
#define cleanup_core_share __attribute__((cleanup(cleanup_core_share_value)))

#endif
