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

/* A CPU's place in the order in which those of one core stand together. */
struct core_share_seat {
	const struct topology_cpu *cpu;
	size_t index;
};

static int core_share_order(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* 0 for two CPUs of the same core. */
static int core_share_compare(const struct topology_cpu *a, const struct topology_cpu *b)
{
	int order = core_share_order(a->package, b->package);

	if (order == 0)
		order = core_share_order(a->die, b->die);
	return order != 0 ? order : core_share_order(a->core, b->core);
}

/* Within a core by number, so that a round rounds the same everywhere. */
static int core_share_compare_seats(const void *a, const void *b)
{
	const struct core_share_seat *left = a, *right = b;
	int order = core_share_compare(left->cpu, right->cpu);

	if (order != 0)
		return order;
	return left->index < right->index ? -1 : left->index > right->index;
}

/* Ties every CPU into the ring of its core. */
static int core_share_join(struct core_share *share, const struct topology *topology)
{
	cleanup_free struct core_share_seat *seats = calloc(share->cpu_count + 1, sizeof(*seats));
	size_t end;

	if (seats == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < share->cpu_count; i++)
		seats[i] = (struct core_share_seat){.cpu = &topology->cpus[i], .index = i};
	qsort(seats, share->cpu_count, sizeof(*seats), core_share_compare_seats);
	for (size_t first = 0; first < share->cpu_count; first = end) {
		for (end = first + 1; end < share->cpu_count; end++)
			if (core_share_compare(seats[first].cpu, seats[end].cpu) != 0)
				break;
		for (size_t i = first; i < end; i++) {
			size_t next = i + 1 < end ? i + 1 : first;

			if (end - first > CORE_SHARE_SIBLING_MAX)
				next = i;
			share->cpus[seats[i].index].next = (uint32_t)seats[next].index;
		}
	}
	return 0;
}

int core_share_create(const struct topology *topology, struct core_share **ret_share)
{
	cleanup_core_share struct core_share *share =
	    calloc(1, sizeof(*share) + topology->cpu_count * sizeof(share->cpus[0]));
	int status;

	if (share == NULL)
		return -ENOMEM;
	share->cpu_count = topology->cpu_count;
	status = core_share_join(share, topology);
	if (status < 0)
		return status;
	for (size_t i = 0; i < share->cpu_count; i++)
		share->cpus[i].share = CORE_SHARE_ONE;
	*ret_share = TAKE_PTR(share);
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
