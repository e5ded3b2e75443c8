#include "common/ledger_floors.h"
#include "common/clock.h"
#include "common/served.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define FLOORS_PSYS	      LEDGER_COUNTER_PSYS
#define FLOORS_COUNT(sockets) LEDGER_COUNTER_COUNT(sockets)
#define FLOORS_MAX	      LEDGER_COUNTER_MAX

#define FLOORS_POWER_MS_MIN   UINT64_C(100)

__extension__ typedef unsigned __int128 wide;

/* What is kept of a counter beside the ledger. */
struct floors_counter {
	uint64_t account_uj; /* where the floor was advanced last */
	uint64_t saved_uj;   /* the floor, where the ceiling was set */
	uint64_t ceiling_uj; /* 0: none */
};

struct floors_vm {
	struct uuid uuid;
	uint32_t socket_count; /* that it ever had: also a socket that it has no more goes on */
	struct floors_counter counters[FLOORS_MAX];
};

/* Untouched pages of it cost nothing, so it may be as large as it can ever be. */
struct ledger_floors {
	struct ledger *ledger;
	uint64_t saved_ms;
	struct floors_vm vms[LEDGER_VM_MAX];
};

static uint64_t floors_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t floors_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What the machine used here, and what it brought. */
static uint64_t floors_account(const struct ledger_vm *vm, size_t counter)
{
	return floors_add(ledger_counter_zone_uj(vm, counter),
			  ledger_counter_brought_uj(vm, counter));
}

static uint64_t *floors_brought(struct ledger_vm *vm, size_t counter)
{
	if (counter == FLOORS_PSYS)
		return &vm->guest_psys_brought_uj;
	return &vm->guest[(counter - 1) / ZONE_SOCKET_KIND_COUNT]
		    .brought_uj[(counter - 1) % ZONE_SOCKET_KIND_COUNT];
}

static uint64_t *floors_floor(struct ledger_vm *vm, size_t counter)
{
	if (counter == FLOORS_PSYS)
		return &vm->guest_psys_floor_uj;
	return &vm->guest[(counter - 1) / ZONE_SOCKET_KIND_COUNT]
		    .floor_uj[(counter - 1) % ZONE_SOCKET_KIND_COUNT];
}

/* What a floor has become by then. */
static uint64_t floors_line(struct ledger_vm *vm, size_t counter, uint64_t now_ms)
{
	return served_at((struct served){*floors_floor(vm, counter), vm->floor_ms}, now_ms);
}

/* What the departed have used is no guest's. */
static struct ledger_vm *floors_guest(struct ledger *ledger, size_t slot)
{
	struct ledger_vm *vm = ledger_vm(ledger, slot);

	return vm != NULL && !uuid_is_nil(&vm->uuid) ? vm : NULL;
}

int ledger_floors_create(struct ledger *ledger, struct ledger_floors **ret_floors)
{
	struct ledger_floors *floors = calloc(1, sizeof(*floors));

	if (floors == NULL)
		return -ENOMEM;
	floors->ledger = ledger;
	*ret_floors = floors;
	return 0;
}

void ledger_floors_destroy(struct ledger_floors *floors)
{
	free(floors);
}

/* What went by between an instant and one in another boot, as far as it can be known. */
static uint64_t floors_away_ms(const struct ledger_instant *then, const struct ledger_instant *now)
{
	uint64_t away_ms =
	    now->wall_ns > then->wall_ns ? (now->wall_ns - then->wall_ns) / CLOCK_NS_PER_MS : 0;

	if (away_ms < LEDGER_FLOORS_AWAY_MS_MIN)
		return LEDGER_FLOORS_AWAY_MS_MIN;
	return away_ms < LEDGER_FLOORS_AWAY_MS_MAX ? away_ms : LEDGER_FLOORS_AWAY_MS_MAX;
}

void ledger_floors_resume(struct ledger *ledger, const struct ledger_instant *now)
{
	struct ledger_instant *told = &ledger_host(ledger)->told;
	uint64_t away_ms = floors_away_ms(told, now);

	/* Where the boot's name cannot be read, a time that is yet to come gives another one away.
	 */
	if (uuid_equal(&told->boot, &now->boot) && told->time_ms <= now->time_ms)
		return;
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		struct ledger_vm *vm = floors_guest(ledger, slot);

		if (vm == NULL)
			continue;
		for (size_t i = 0; i < FLOORS_MAX; i++) {
			uint64_t *floor_uj = floors_floor(vm, i);

			if (*floor_uj > 0)
				*floor_uj = floors_add(floors_line(vm, i, told->time_ms), away_ms);
		}
		vm->floor_ms = now->time_ms;
	}
	*told = *now;
}

/*
 * The memory of the account in that slot. It starts anew for another account, and for one that was
 * never advanced: a machine that departed and came back may find its old slot.
 */
static struct floors_vm *floors_memory(struct ledger_floors *floors, size_t slot,
				       struct ledger_vm *vm)
{
	struct floors_vm *memory = &floors->vms[slot];

	if (!uuid_equal(&memory->uuid, &vm->uuid) || vm->guest_psys_floor_uj == 0) {
		*memory = (struct floors_vm){.uuid = vm->uuid};
		for (size_t i = 0; i < FLOORS_MAX; i++) {
			uint64_t account_uj = floors_account(vm, i);
			uint64_t floor_uj = *floors_floor(vm, i);

			memory->counters[i].account_uj = account_uj;
			memory->counters[i].saved_uj =
			    floors_larger(floor_uj, floors_add(account_uj, 1));
			if ((floor_uj > 0 || account_uj > 0) && i != FLOORS_PSYS)
				memory->socket_count =
				    (uint32_t)((i - 1) / ZONE_SOCKET_KIND_COUNT + 1);
		}
	}
	if (vm->socket_count > memory->socket_count)
		memory->socket_count = vm->socket_count;
	assert(memory->socket_count <= LEDGER_SOCKET_MAX);
	return memory;
}

/*
 * The rule; `before_uj` and `line_uj` are what the floor was at the last advance, and what it has
 * become. An account never falls while a ledger is open; if it did, it would have grown by 0.
 */
static uint64_t floors_next(const struct ledger_vm *vm, size_t i,
			    const struct floors_counter *counter, uint64_t before_uj,
			    uint64_t line_uj)
{
	uint64_t account_uj = floors_account(vm, i);
	uint64_t grown_uj = account_uj > counter->account_uj ? account_uj - counter->account_uj : 0;
	uint64_t paid_uj =
	    grown_uj / LEDGER_FLOORS_CATCH_UP + (grown_uj % LEDGER_FLOORS_CATCH_UP > 0 ? 1 : 0);
	uint64_t paid_off_uj = floors_add(before_uj, grown_uj - paid_uj);

	return floors_larger(floors_larger(floors_add(account_uj, 1), line_uj), paid_off_uj);
}

static enum ledger_floors_room floors_room(const struct floors_counter *counter, uint64_t told_uj)
{
	/* Without a ceiling it has passed it: whatever is told is more than nothing. */
	if (told_uj > counter->ceiling_uj)
		return LEDGER_FLOORS_NONE;
	return counter->ceiling_uj - told_uj < (counter->ceiling_uj - counter->saved_uj) / 4
		   ? LEDGER_FLOORS_SHORT
		   : LEDGER_FLOORS_AMPLE;
}

static enum ledger_floors_room floors_advance_vm(struct floors_vm *memory, struct ledger_vm *vm,
						 uint64_t before_ms, uint64_t now_ms)
{
	enum ledger_floors_room room = LEDGER_FLOORS_AMPLE;
	size_t count = FLOORS_COUNT(memory->socket_count);
	uint64_t next_uj[FLOORS_MAX];
	bool still = true;

	for (size_t i = 0; i < count; i++) {
		const struct floors_counter *counter = &memory->counters[i];
		uint64_t line_uj = floors_line(vm, i, now_ms);
		enum ledger_floors_room left;

		next_uj[i] = floors_next(vm, i, counter, floors_line(vm, i, before_ms), line_uj);
		still =
		    still && next_uj[i] == line_uj && floors_account(vm, i) == counter->account_uj;
		left = floors_room(counter, next_uj[i]);
		if (left > room)
			room = left;
	}
	/* Lines that just go on need not be written: the record of a machine that is off rests. */
	if (still)
		return room;
	for (size_t i = 0; i < count; i++) {
		*floors_floor(vm, i) = next_uj[i];
		memory->counters[i].account_uj = floors_account(vm, i);
	}
	vm->floor_ms = now_ms;
	return room;
}

enum ledger_floors_room ledger_floors_advance(struct ledger_floors *floors,
					      const struct ledger_instant *now)
{
	struct ledger_instant *told = &ledger_host(floors->ledger)->told;
	enum ledger_floors_room room = LEDGER_FLOORS_AMPLE;

	for (size_t slot = 0; slot < ledger_slot_count(floors->ledger); slot++) {
		struct ledger_vm *vm = floors_guest(floors->ledger, slot);
		enum ledger_floors_room left;

		if (vm == NULL)
			continue;
		left = floors_advance_vm(floors_memory(floors, slot, vm), vm, told->time_ms,
					 now->time_ms);
		if (left > room)
			room = left;
	}
	*told = *now;
	return room;
}

/* A ceiling, for a counter that grew by that much in that time. */
static uint64_t floors_ceiling(uint64_t told_uj, uint64_t grown_uj, uint64_t elapsed_ms,
			       uint64_t interval_ms)
{
	wide grows_uj = (wide)grown_uj * interval_ms / elapsed_ms + interval_ms;
	wide room_uj = 2 * grows_uj + LEDGER_FLOORS_ROOM_UJ;

	return room_uj < UINT64_MAX - told_uj ? told_uj + (uint64_t)room_uj : UINT64_MAX;
}

void ledger_floors_promise(struct ledger_floors *floors, uint64_t interval_ns)
{
	uint64_t now_ms = ledger_host(floors->ledger)->told.time_ms;
	uint64_t elapsed_ms = now_ms > floors->saved_ms ? now_ms - floors->saved_ms : 0;

	/* The power of a moment says little, and a checkpoint soon after will know better. */
	if (elapsed_ms < FLOORS_POWER_MS_MIN)
		elapsed_ms = FLOORS_POWER_MS_MIN;
	for (size_t slot = 0; slot < ledger_slot_count(floors->ledger); slot++) {
		struct ledger_vm *vm = floors_guest(floors->ledger, slot);
		struct floors_vm *memory;

		if (vm == NULL)
			continue;
		memory = floors_memory(floors, slot, vm);
		for (size_t i = 0; i < FLOORS_COUNT(memory->socket_count); i++) {
			struct floors_counter *counter = &memory->counters[i];
			uint64_t told_uj = floors_line(vm, i, now_ms);
			uint64_t grown_uj =
			    told_uj > counter->saved_uj ? told_uj - counter->saved_uj : 0;

			counter->ceiling_uj = floors_ceiling(told_uj, grown_uj, elapsed_ms,
							     interval_ns / CLOCK_NS_PER_MS);
			counter->saved_uj = told_uj;
		}
	}
	floors->saved_ms = now_ms;
}

/* The counters that the record tells of, and their sockets: also those that it has not here. */
static uint32_t floors_brought_sockets(const struct ledger_brought *brought)
{
	uint32_t count = 0;

	for (size_t i = FLOORS_PSYS + 1; i < FLOORS_MAX; i++)
		if (brought->counters[i].floor_uj > 0)
			count = (uint32_t)((i - 1) / ZONE_SOCKET_KIND_COUNT + 1);
	return count;
}

void ledger_floors_bring(struct ledger_floors *floors, size_t slot,
			 const struct ledger_brought *brought, const struct ledger_instant *now)
{
	struct ledger_vm *vm = floors_guest(floors->ledger, slot);
	struct floors_vm *memory;
	uint32_t socket_count = floors_brought_sockets(brought);

	assert(vm != NULL);
	memory = floors_memory(floors, slot, vm);
	if (socket_count > memory->socket_count)
		memory->socket_count = socket_count;
	for (size_t i = 0; i < FLOORS_MAX; i++) {
		const struct ledger_brought_counter *counter = &brought->counters[i];
		uint64_t *floor_uj = floors_floor(vm, i);
		uint64_t *brought_uj = floors_brought(vm, i);
		uint64_t zone_uj = ledger_counter_zone_uj(vm, i);

		*floor_uj = floors_larger(floors_line(vm, i, now->time_ms), counter->floor_uj);
		if (counter->told_uj > zone_uj)
			*brought_uj = floors_larger(*brought_uj, counter->told_uj - zone_uj);
		memory->counters[i].account_uj = floors_account(vm, i);
	}
	vm->floor_ms = now->time_ms;
	if (brought->serial > vm->move_serial)
		vm->move_serial = brought->serial;
	if (brought->generation > vm->generation)
		vm->generation = brought->generation;
}

void ledger_floors_put(const struct ledger_floors *floors, size_t slot, struct ledger_vm *copy)
{
	const struct floors_vm *memory = &floors->vms[slot];

	assert(slot < LEDGER_VM_MAX);
	if (!uuid_equal(&memory->uuid, &copy->uuid))
		return;
	for (size_t i = 0; i < FLOORS_COUNT(memory->socket_count); i++)
		*floors_floor(copy, i) = memory->counters[i].ceiling_uj;
	copy->floor_ms = floors->saved_ms;
}
