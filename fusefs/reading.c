#include "fusefs/reading.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READING_OPEN_NS	  (100 * CLOCK_NS_PER_MS)    /* how often to look for a missing ledger */
#define READING_FOLLOW_NS CLOCK_NS_PER_SECOND	     /* how often to look for a replaced one */
#define READING_HOST_NS	  (100 * CLOCK_NS_PER_MS)    /* how long the host's record is good for */
#define READING_POWER_NS  (10 * CLOCK_NS_PER_SECOND) /* how long an old power is told for true */
#define READING_NO_SOURCE "none"

/* What a counter makes on its own while its account rests, see served.h: a microjoule in each
 * millisecond. */
#define READING_REST_UW 1000

struct reading {
	int runtime_fd;
	struct fs_memory *memory;
	struct vtree_request zones;
	uint64_t period_ns;
	const struct clock *clock;
	struct ledger_reader *ledger; /* NULL while there is none */
	uint64_t next_open_ns;
	uint64_t next_follow_ns;
	uint64_t next_host_ns;
	bool host_has[ZONE_PSYS + 1]; /* by enum zone_kind */
	char source[LEDGER_SOURCE_SIZE + 1];
	struct ledger_host host; /* scratch: too large for the stack */
	struct ledger_vm vm;
};

int reading_create(int runtime_fd, struct fs_memory *memory, const struct vtree_request *zones,
		   uint64_t period_ns, const struct clock *clock, struct reading **ret_reading)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (reading == NULL)
		return -ENOMEM;
	reading->runtime_fd = runtime_fd;
	reading->memory = memory;
	reading->zones = *zones;
	reading->period_ns = period_ns;
	reading->clock = clock;
	(void)memcpy(reading->source, READING_NO_SOURCE, sizeof(READING_NO_SOURCE));
	*ret_reading = reading;
	return 0;
}

void reading_destroy(struct reading *reading)
{
	if (reading == NULL)
		return;
	ledger_reader_close(reading->ledger);
	free(reading);
}

/* The ledger, opened or followed when it is time to look again; NULL: there is none. */
static struct ledger_reader *reading_ledger(struct reading *reading, struct mono_time now)
{
	if (reading->ledger == NULL && now.ns >= reading->next_open_ns) {
		reading->next_open_ns = now.ns + READING_OPEN_NS;
		reading->next_follow_ns = now.ns + READING_FOLLOW_NS;
		reading->next_host_ns = 0;
		if (ledger_reader_open(reading->runtime_fd, &reading->ledger, NULL) < 0)
			return NULL;
	}
	if (reading->ledger != NULL && now.ns >= reading->next_follow_ns) {
		reading->next_follow_ns = now.ns + READING_FOLLOW_NS;
		/* Where that fails, the old mapping goes on to tell the last state. */
		(void)ledger_reader_follow(reading->ledger, NULL);
	}
	return reading->ledger;
}

/* What all trees share: from the host's record, which is too large to copy for each read. */
static void reading_host(struct reading *reading, struct mono_time now)
{
	const struct ledger_host *host = &reading->host;

	if (now.ns < reading->next_host_ns)
		return;
	if (ledger_reader_host(reading->ledger, &reading->host) < 0)
		return;
	reading->next_host_ns = now.ns + READING_HOST_NS;
	reading->memory->exact = host->guest_view_exact != 0;
	memset(reading->host_has, 0, sizeof(reading->host_has));
	for (uint32_t i = 0; i < host->zone_count; i++)
		reading->host_has[host->zones[i].zone.kind] = true;
	if (host->source[0] != '\0') {
		memcpy(reading->source, host->source, LEDGER_SOURCE_SIZE);
		reading->source[LEDGER_SOURCE_SIZE] = '\0';
	}
}

/* The account into reading->vm; false: it cannot be had now. */
static bool reading_vm(struct reading *reading, uint32_t slot, struct mono_time now)
{
	struct tree *tree = &reading->memory->trees.trees[slot];
	const struct tree_key *key = &reading->memory->trees.keys[slot];
	struct ledger_reader *ledger = reading_ledger(reading, now);
	uint32_t sockets;

	tree->used_ns = now.ns;
	tree->shape.exact = reading->memory->exact;
	if (ledger == NULL)
		return false;
	reading_host(reading, now);
	tree->shape.exact = reading->memory->exact;
	if (ledger_reader_vm(ledger, &key->uuid, &tree->ledger_slot, &reading->vm) < 0)
		return false;
	sockets = reading->vm.socket_count > 0 ? reading->vm.socket_count : 1;
	tree->shape.socket_count = sockets < VTREE_SOCKET_MAX ? sockets : VTREE_SOCKET_MAX;
	tree->shape.core = reading->zones.core && reading->host_has[ZONE_CORE];
	tree->shape.uncore = reading->zones.uncore && reading->host_has[ZONE_UNCORE];
	tree->shape.dram = reading->host_has[ZONE_DRAM];
	tree->shape.psys = reading->zones.psys && reading->host_has[ZONE_PSYS];
	tree->generation = reading->vm.generation;
	tree->updated_ns = reading->vm.updated_ns;
	if (tree->updated_ns < tree->since_ns)
		tree->since_ns = tree->updated_ns;
	return true;
}

const struct vtree_shape *reading_shape(struct reading *reading, uint32_t slot,
					struct mono_time now)
{
	assert(slot < TREE_MAX);
	(void)reading_vm(reading, slot, now);
	return &reading->memory->trees.trees[slot].shape;
}

bool reading_is_stale(struct reading *reading, uint32_t slot, struct mono_time now)
{
	struct tree *tree = &reading->memory->trees.trees[slot];
	const struct tree_key *key = &reading->memory->trees.keys[slot];
	struct ledger_reader *ledger = reading_ledger(reading, now);
	uint64_t updated_ns;

	assert(slot < TREE_MAX);
	if (ledger == NULL)
		return false;
	if (ledger_reader_vm_updated(ledger, &key->uuid, &tree->ledger_slot, &updated_ns) < 0)
		return true;
	if (clock_elapsed_ns((struct mono_time){updated_ns}, now) < READING_FRESH_NS)
		return false;
	return !reading_vm(reading, slot, now) || reading->vm.state == LEDGER_VM_RUNNING;
}

static_assert(VTREE_SOCKET_MAX == LEDGER_SOCKET_MAX, "each socket of the account has its zone");

/*
 * The power that a reader of the counters would work out. While the account rests, or when its
 * power is too old to be told for true, that is what the counters make on their own; so what is
 * told never is a wattage of the past for ever, and never nothing.
 */
static uint64_t reading_power_uw(const struct vtree_shape *shape, const struct ledger_vm *vm,
				 uint64_t age_ns)
{
	uint64_t counters = shape->dram ? 2 : 1;
	uint64_t rest_uw = READING_REST_UW * counters * shape->socket_count;

	if (age_ns > READING_POWER_NS || vm->guest_power_uw < rest_uw)
		return rest_uw;
	return vm->guest_power_uw;
}

/*
 * When the sample was taken, and how old it is; without one, how long it has been waited for.
 * Isolated, the time counts from the tree's own beginning, for the host's clock would tell two
 * guests that they share a host. And within two periods no sample is called old: how old it is in
 * truth depends on how often others read.
 */
static void reading_time(const struct reading *reading, const struct tree *tree,
			 struct mono_time now, struct vtree_values *ret_values)
{
	bool exact = tree->shape.exact;
	uint64_t since_ns = tree->updated_ns != 0 ? tree->updated_ns : tree->since_ns;
	uint64_t age_ns = clock_elapsed_ns((struct mono_time){since_ns}, now);

	ret_values->time_ns = tree->updated_ns;
	if (!exact && tree->updated_ns != 0)
		ret_values->time_ns = tree->updated_ns - tree->since_ns + 1;
	if (!exact && age_ns < 2 * reading->period_ns)
		age_ns = 0;
	ret_values->age_ms = age_ns / CLOCK_NS_PER_MS;
}

void reading_values(struct reading *reading, uint32_t slot, struct mono_time now, bool counters,
		    struct vtree_values *ret_values)
{
	static const struct ledger_vm nothing = {.state = 0};
	const struct ledger_vm *vm = &nothing;
	struct tree *tree = &reading->memory->trees.trees[slot];
	uint64_t age_ns;

	assert(slot < TREE_MAX);
	if (reading_vm(reading, slot, now))
		vm = &reading->vm;
	ret_values->shape = tree->shape;
	ret_values->uuid = reading->memory->trees.keys[slot].uuid;
	ret_values->generation = tree->generation;
	age_ns = clock_elapsed_ns((struct mono_time){tree->updated_ns}, now);
	reading_time(reading, tree, now, ret_values);
	ret_values->source = reading->source;
	ret_values->wall_s = clock_now_wall(reading->clock).ns / CLOCK_NS_PER_SECOND;
	ret_values->power_uw = reading_power_uw(&tree->shape, vm, age_ns);
	ret_values->load_ppm = age_ns > READING_POWER_NS ? 0 : (uint32_t)vm->guest_load_ppm;
	if (!counters)
		return;
	for (uint32_t socket = 0; socket < tree->shape.socket_count; socket++)
		for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
			ret_values->socket_uj[socket][kind] = served_advance(
			    &tree->sockets[socket][kind], vm->guest[socket].zone_uj[kind], now);
	ret_values->psys_uj = served_advance(&tree->psys, vm->guest_psys_uj, now);
}

bool reading_has_account(struct reading *reading, const struct uuid *uuid, struct mono_time now)
{
	struct ledger_reader *ledger = reading_ledger(reading, now);
	uint64_t updated_ns;
	size_t slot = 0;

	return ledger != NULL && ledger_reader_vm_updated(ledger, uuid, &slot, &updated_ns) == 0;
}

bool reading_next_process(void *context, struct mono_time now, size_t *cursor,
			  struct ledger_process *ret_process)
{
	const struct ledger_reader *ledger = reading_ledger(context, now);

	return ledger != NULL && ledger_reader_next_process(ledger, cursor, ret_process);
}

/* The slot of that machine; accounts and slots mostly come in the same order: look there first. */
static int reading_slot(const struct tree_table *trees, const struct uuid *uuid, uint32_t expected)
{
	if (expected < trees->count && trees->keys[expected].used &&
	    uuid_equal(&trees->keys[expected].uuid, uuid))
		return (int)expected;
	return tree_table_find(trees, uuid);
}

void reading_list(struct reading *reading, struct mono_time now)
{
	struct tree_table *trees = &reading->memory->trees;
	struct ledger_reader *ledger = reading_ledger(reading, now);
	struct ledger_copy copy;
	int slot = -1;

	/* Without a ledger, or memory, the list stays what it was. */
	if (ledger == NULL || ledger_reader_copy(ledger, &copy) < 0)
		return;
	for (uint32_t i = 0; i < trees->count; i++)
		trees->keys[i].listed = false;
	for (size_t i = 0; i < copy.vm_count; i++) {
		const struct uuid *uuid = &copy.vms[i].uuid;

		/* What departed machines used is nobody's tree. */
		if (uuid_is_nil(uuid))
			continue;
		slot = reading_slot(trees, uuid, (uint32_t)(slot + 1));
		if (slot < 0)
			slot = tree_table_admit(trees, uuid, now);
		if (slot >= 0)
			trees->keys[slot].listed = true;
	}
	ledger_copy_free(&copy);
}
