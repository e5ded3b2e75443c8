#include "common/ledger.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>

/* A power of two, at least twice the accounts, so that probing stays short. */
#define LEDGER_INDEX_SIZE    8192
#define LEDGER_SLOT_DEPARTED 0
#define LEDGER_SLOT_FIRST    1

static_assert(LEDGER_INDEX_SIZE >= 2 * LEDGER_VM_MAX, "the index must stay half empty");
static_assert(LEDGER_VM_MAX < UINT16_MAX, "slots are kept in 16 bits");

const uint64_t ledger_duration_bounds_us[LEDGER_DURATION_COUNT - 1] = {
    10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000};

struct ledger {
	struct ledger_host host;
	size_t slot_count;
	struct ledger_vm *vms[LEDGER_VM_MAX];
	uint16_t index[LEDGER_INDEX_SIZE]; /* by the uuid's hash: slot + 1, or 0; linear probing */
};

int ledger_create(struct ledger **ret_ledger)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (ledger == NULL)
		return -ENOMEM;
	*ret_ledger = ledger;
	return 0;
}

void ledger_destroy(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	for (size_t slot = 0; slot < LEDGER_VM_MAX; slot++)
		free(ledger->vms[slot]);
	free(ledger);
}

struct ledger_host *ledger_host(struct ledger *ledger)
{
	return &ledger->host;
}

const struct ledger_host *ledger_host_const(const struct ledger *ledger)
{
	return &ledger->host;
}

static int ledger_zone_index(struct ledger_host *host, const struct zone *zone)
{
	uint32_t index;

	for (index = 0; index < host->zone_count; index++)
		if (strcmp(host->zones[index].zone.id, zone->id) == 0)
			break;
	if (index == host->zone_count) {
		if (host->zone_count == ZONE_MAX)
			return -ENOSPC;
		host->zone_count++;
	}
	host->zones[index].zone = *zone;
	return (int)index;
}

int ledger_set_zones(struct ledger *ledger, const struct zone zones[], size_t count,
		     uint32_t ret_index[])
{
	struct ledger_host *host = &ledger->host;

	for (uint32_t i = 0; i < host->zone_count; i++) {
		host->zones[i].available = 0;
		host->zones[i].error = -ENODEV;
		host->zones[i].power_uw = 0;
	}
	for (size_t i = 0; i < count; i++) {
		int index = ledger_zone_index(host, &zones[i]);

		if (index < 0)
			return index;
		ret_index[i] = (uint32_t)index;
	}
	return 0;
}

size_t ledger_slot_count(const struct ledger *ledger)
{
	return ledger->slot_count;
}

struct ledger_vm *ledger_vm(struct ledger *ledger, size_t slot)
{
	return slot < ledger->slot_count ? ledger->vms[slot] : NULL;
}

const struct ledger_vm *ledger_vm_const(const struct ledger *ledger, size_t slot)
{
	return slot < ledger->slot_count ? ledger->vms[slot] : NULL;
}

/* Version 4 uuids are random, but others are not: FNV-1a (RFC draft-eastlake-fnv) over all bytes.
 */
static size_t ledger_hash(const struct uuid *uuid)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		hash = (hash ^ uuid->bytes[i]) * 16777619U;
	return hash % LEDGER_INDEX_SIZE;
}

int ledger_find(const struct ledger *ledger, const struct uuid *uuid)
{
	for (size_t i = ledger_hash(uuid); ledger->index[i] != 0; i = (i + 1) % LEDGER_INDEX_SIZE) {
		size_t slot = ledger->index[i] - 1U;

		if (uuid_equal(&ledger->vms[slot]->uuid, uuid))
			return (int)slot;
	}
	return -ENOENT;
}

static void ledger_index_add(struct ledger *ledger, size_t slot)
{
	size_t i = ledger_hash(&ledger->vms[slot]->uuid);

	while (ledger->index[i] != 0)
		i = (i + 1) % LEDGER_INDEX_SIZE;
	ledger->index[i] = (uint16_t)(slot + 1);
}

/* Taking one out of a probed table would break the chains: departures are rare, so build it anew.
 */
static void ledger_index_rebuild(struct ledger *ledger)
{
	memset(ledger->index, 0, sizeof(ledger->index));
	for (size_t slot = 0; slot < ledger->slot_count; slot++)
		if (ledger->vms[slot] != NULL)
			ledger_index_add(ledger, slot);
}

static int ledger_open_slot(struct ledger *ledger, size_t slot, const struct uuid *uuid)
{
	struct ledger_vm *vm = calloc(1, sizeof(*vm));

	assert(ledger->vms[slot] == NULL);
	if (vm == NULL)
		return -ENOMEM;
	vm->uuid = *uuid;
	vm->state = LEDGER_VM_OFF;
	vm->socket_count = 1;
	ledger->vms[slot] = vm;
	if (slot >= ledger->slot_count)
		ledger->slot_count = slot + 1;
	ledger_index_add(ledger, slot);
	return (int)slot;
}

static int ledger_free_slot(const struct ledger *ledger)
{
	for (size_t slot = LEDGER_SLOT_FIRST; slot < LEDGER_VM_MAX; slot++)
		if (ledger->vms[slot] == NULL)
			return (int)slot;
	return -ENOSPC;
}

static int ledger_longest_gone(const struct ledger *ledger)
{
	int found = -ENOSPC;

	for (size_t slot = LEDGER_SLOT_FIRST; slot < ledger->slot_count; slot++) {
		const struct ledger_vm *vm = ledger->vms[slot];

		if (vm == NULL || vm->state != LEDGER_VM_GONE)
			continue;
		if (found < 0 || vm->seen_wall_ns < ledger->vms[found]->seen_wall_ns)
			found = (int)slot;
	}
	return found;
}

/* The slot of the account of those that have departed, opened with the first of them. */
static int ledger_open_departed(struct ledger *ledger)
{
	static const struct uuid nil = {.bytes = {0}};

	if (ledger->vms[LEDGER_SLOT_DEPARTED] != NULL)
		return LEDGER_SLOT_DEPARTED;
	return ledger_open_slot(ledger, LEDGER_SLOT_DEPARTED, &nil);
}

int ledger_admit(struct ledger *ledger, const struct uuid *uuid)
{
	int slot = ledger_find(ledger, uuid);
	int status;

	if (slot >= 0)
		return slot;
	if (uuid_is_nil(uuid))
		return ledger_open_departed(ledger);
	slot = ledger_free_slot(ledger);
	if (slot < 0) {
		slot = ledger_longest_gone(ledger);
		if (slot < 0)
			return slot;
		status = ledger_depart(ledger, (size_t)slot);
		if (status < 0)
			return status;
	}
	return ledger_open_slot(ledger, (size_t)slot, uuid);
}

static void ledger_add(uint64_t *total, uint64_t amount)
{
	bool overflow = __builtin_add_overflow(*total, amount, total);

	/* 2^64 uJ are 584 years at a gigawatt: what overflows was never measured. */
	assert(!overflow);
	(void)overflow;
}

/* Times are what a trace says they are, and stand still where that is absurd. */
static void ledger_add_time(uint64_t *total_ns, uint64_t amount_ns)
{
	*total_ns = amount_ns < UINT64_MAX - *total_ns ? *total_ns + amount_ns : UINT64_MAX;
}

void ledger_book(struct ledger *ledger, size_t slot, uint32_t zone, enum ledger_part part,
		 uint64_t energy_uj)
{
	assert(zone < ledger->host.zone_count);
	assert(part < LEDGER_PART_COUNT);
	ledger_add(&ledger->vms[slot]->shares[zone].part_uj[part], energy_uj);
}

int ledger_depart(struct ledger *ledger, size_t slot)
{
	const struct ledger_vm *vm = ledger_vm_const(ledger, slot);
	struct ledger_vm *departed;
	int status;

	assert(vm != NULL && slot != LEDGER_SLOT_DEPARTED);
	status = ledger_open_departed(ledger);
	if (status < 0)
		return status;
	departed = ledger->vms[LEDGER_SLOT_DEPARTED];
	(void)snprintf(departed->name, sizeof(departed->name), "%s", LEDGER_DEPARTED_NAME);
	departed->state = LEDGER_VM_GONE;
	departed->seen_wall_ns = vm->seen_wall_ns;
	ledger_add_time(&departed->vcpu_ns, vm->vcpu_ns);
	ledger_add_time(&departed->overhead_ns, vm->overhead_ns);
	ledger_add_time(&departed->halt_poll_ns, vm->halt_poll_ns);
	departed->has_halt_poll |= vm->has_halt_poll;
	for (uint32_t zone = 0; zone < ledger->host.zone_count; zone++) {
		struct ledger_share *to = &departed->shares[zone];
		const struct ledger_share *from = &vm->shares[zone];

		for (size_t part = 0; part < LEDGER_PART_COUNT; part++)
			ledger_add(&to->part_uj[part], from->part_uj[part]);
		ledger_add(&to->halt_poll_uj, from->halt_poll_uj);
		ledger_add(&to->guest_view_uj, from->guest_view_uj);
	}
	free(TAKE_PTR(ledger->vms[slot]));
	ledger_index_rebuild(ledger);
	return 0;
}

/* Where a counter lies: its socket and kind; psys has no socket. */
static const struct ledger_guest_socket *ledger_counter_socket(const struct ledger_vm *vm,
							       size_t counter)
{
	assert(counter > LEDGER_COUNTER_PSYS && counter < LEDGER_COUNTER_MAX);
	return &vm->guest[(counter - 1) / ZONE_SOCKET_KIND_COUNT];
}

enum zone_kind ledger_counter_kind(size_t counter)
{
	if (counter == LEDGER_COUNTER_PSYS)
		return ZONE_PSYS;
	return (enum zone_kind)((counter - 1) % ZONE_SOCKET_KIND_COUNT);
}

void ledger_counter_name(size_t counter, char ret_name[static ZONE_ID_SIZE])
{
	const char *kind = zone_kind_name(ledger_counter_kind(counter));

	if (counter == LEDGER_COUNTER_PSYS)
		(void)snprintf(ret_name, ZONE_ID_SIZE, "%s", kind);
	else
		(void)snprintf(ret_name, ZONE_ID_SIZE, "%s-%zu", kind,
			       (counter - 1) / ZONE_SOCKET_KIND_COUNT);
}

uint64_t ledger_counter_zone_uj(const struct ledger_vm *vm, size_t counter)
{
	if (counter == LEDGER_COUNTER_PSYS)
		return vm->guest_psys_uj;
	return ledger_counter_socket(vm, counter)->zone_uj[ledger_counter_kind(counter)];
}

uint64_t ledger_counter_brought_uj(const struct ledger_vm *vm, size_t counter)
{
	if (counter == LEDGER_COUNTER_PSYS)
		return vm->guest_psys_brought_uj;
	return ledger_counter_socket(vm, counter)->brought_uj[ledger_counter_kind(counter)];
}

uint64_t ledger_counter_floor_uj(const struct ledger_vm *vm, size_t counter)
{
	if (counter == LEDGER_COUNTER_PSYS)
		return vm->guest_psys_floor_uj;
	return ledger_counter_socket(vm, counter)->floor_uj[ledger_counter_kind(counter)];
}

void ledger_forget_readings(struct ledger *ledger)
{
	for (uint32_t i = 0; i < ZONE_MAX; i++) {
		ledger->host.zones[i].reading = (struct ledger_reading){.range_uj = 0};
		ledger->host.zones[i].rest_ns = 0;
		ledger->host.zones[i].rest_cpus = 0;
	}
	for (size_t slot = 0; slot < ledger->slot_count; slot++)
		if (ledger->vms[slot] != NULL)
			ledger->vms[slot]->process = (struct ledger_process_time){.run = 0};
}

bool ledger_has_readings(const struct ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->host.zone_count; i++)
		if (ledger->host.zones[i].reading.range_uj > 0)
			return true;
	return false;
}

uint64_t ledger_share_total_uj(const struct ledger_share *share)
{
	uint64_t total = 0;

	for (size_t part = 0; part < LEDGER_PART_COUNT; part++)
		ledger_add(&total, share->part_uj[part]);
	return total;
}

int64_t ledger_conservation_error_uj(const struct ledger *ledger, uint32_t zone)
{
	const struct ledger_zone *host = &ledger->host.zones[zone];
	uint64_t booked = host->other_uj + host->idle_uj + host->away_uj;

	for (size_t slot = 0; slot < ledger->slot_count; slot++)
		if (ledger->vms[slot] != NULL)
			booked += ledger_share_total_uj(&ledger->vms[slot]->shares[zone]);
	return (int64_t)(host->energy_uj - booked);
}

int64_t ledger_copy_conservation_error_uj(const struct ledger_host *host,
					  const struct ledger_vm vms[], size_t vm_count,
					  uint32_t zone)
{
	uint64_t booked =
	    host->zones[zone].other_uj + host->zones[zone].idle_uj + host->zones[zone].away_uj;

	for (size_t i = 0; i < vm_count; i++)
		booked += ledger_share_total_uj(&vms[i].shares[zone]);
	return (int64_t)(host->zones[zone].energy_uj - booked);
}
