#include "common/core_share.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>

__extension__ typedef unsigned __int128 wide;

struct core_share_cpu {
	uint32_t busy;	    /* of CORE_SHARE_ONE */
	uint32_t share;	    /* likewise */
	uint32_t next;	    /* the next CPU of the same core, in a ring */
	uint64_t memory_ns; /* busy time that is remembered */
};

struct core_share {
	size_t cpu_count;
	uint64_t window_ns; /* what the remembered times are parts of */
	struct core_share_cpu cpus[];
};

static bool core_share_same(const struct topology_cpu *a, const struct topology_cpu *b)
{
	return a->package == b->package && a->die == b->die && a->core == b->core;
}

/* Ties every CPU into the ring of its core. Once at start, so that n^2 does no harm. */
static void core_share_join(struct core_share *share, const struct topology *topology)
{
	for (size_t i = 0; i < share->cpu_count; i++) {
		size_t siblings = 1;
		size_t last = i;

		share->cpus[i].next = (uint32_t)i;
		for (size_t j = 0; j < share->cpu_count; j++)
			if (j != i && core_share_same(&topology->cpus[i], &topology->cpus[j]))
				siblings++;
		if (siblings > CORE_SHARE_SIBLING_MAX)
			continue;
		for (size_t j = 0; j < i; j++)
			if (core_share_same(&topology->cpus[i], &topology->cpus[j]))
				last = j;
		if (last == i)
			continue;
		share->cpus[i].next = share->cpus[last].next;
		share->cpus[last].next = (uint32_t)i;
	}
}

int core_share_create(const struct topology *topology, struct core_share **ret_share)
{
	struct core_share *share =
	    calloc(1, sizeof(*share) + topology->cpu_count * sizeof(share->cpus[0]));

	if (share == NULL)
		return -ENOMEM;
	share->cpu_count = topology->cpu_count;
	core_share_join(share, topology);
	for (size_t i = 0; i < share->cpu_count; i++)
		share->cpus[i].share = CORE_SHARE_ONE;
	*ret_share = share;
	return 0;
}

void core_share_destroy(struct core_share *share)
{
	free(share);
}

/*
 * E[1 / (1 + K)] is the integral from 0 to 1 of the product over siblings of (1 - b + b t), as the
 * integral of t^k is 1 / (1 + k): so the product's coefficients, which are the chances of K = k,
 * are multiplied out one sibling at a time.
 */
static uint32_t core_share_expect(const struct core_share *share, size_t cpu)
{
	uint64_t chances[CORE_SHARE_SIBLING_MAX + 1] = {CORE_SHARE_ONE};
	uint64_t sum = 0;
	size_t siblings = 0;

	for (size_t i = share->cpus[cpu].next; i != cpu; i = share->cpus[i].next) {
		uint64_t busy = share->cpus[i].busy;

		siblings++;
		assert(siblings < CORE_SHARE_SIBLING_MAX);
		for (size_t k = siblings; k > 0; k--)
			chances[k] =
			    (chances[k] * (CORE_SHARE_ONE - busy) + chances[k - 1] * busy) /
			    CORE_SHARE_ONE;
		chances[0] = chances[0] * (CORE_SHARE_ONE - busy) / CORE_SHARE_ONE;
	}
	if (siblings == 0)
		return CORE_SHARE_ONE;
	for (size_t k = 0; k <= siblings; k++)
		sum += chances[k] / (k + 1);
	return sum > 0 ? (uint32_t)sum : 1;
}

void core_share_step(struct core_share *share, const uint64_t busy_ns[], uint64_t elapsed_ns)
{
	uint64_t keep_ns =
	    elapsed_ns < CORE_SHARE_MEMORY_NS ? CORE_SHARE_MEMORY_NS - elapsed_ns : 0;

	if (elapsed_ns == 0)
		return;
	if (share->window_ns > keep_ns) {
		for (size_t i = 0; i < share->cpu_count; i++)
			share->cpus[i].memory_ns =
			    (uint64_t)((wide)share->cpus[i].memory_ns * keep_ns / share->window_ns);
		share->window_ns = keep_ns;
	}
	share->window_ns += elapsed_ns;
	for (size_t i = 0; i < share->cpu_count; i++) {
		struct core_share_cpu *cpu = &share->cpus[i];

		/* A clock that leaps shows more than there was. */
		cpu->memory_ns += busy_ns[i] < elapsed_ns ? busy_ns[i] : elapsed_ns;
		cpu->busy = (uint32_t)((wide)cpu->memory_ns * CORE_SHARE_ONE / share->window_ns);
	}
	for (size_t i = 0; i < share->cpu_count; i++)
		share->cpus[i].share = core_share_expect(share, i);
}

uint32_t core_share_of(const struct core_share *share, size_t cpu)
{
	assert(cpu < share->cpu_count);
	return share->cpus[cpu].share;
}

uint32_t core_share_busy(const struct core_share *share, size_t cpu)
{
	assert(cpu < share->cpu_count);
	return share->cpus[cpu].busy;
}
