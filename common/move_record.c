#include "common/move_record.h"
#include "common/clock.h"
#include "common/served.h"

#include <assert.h>

#define MOVE_ROOM_UJ UINT64_C(1000000)
#define MOVE_REST_UW UINT64_C(1000) /* a counter rises by 1 uJ a millisecond on its own */

__extension__ typedef unsigned __int128 wide;

/* Nothing here comes near the limit but what is forged, and that stops there. */
static uint64_t move_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t move_energy(uint64_t power_uw, uint64_t elapsed_ms)
{
	wide energy_uj = (wide)power_uw * elapsed_ms / 1000;

	return energy_uj < UINT64_MAX ? (uint64_t)energy_uj : UINT64_MAX;
}

static uint64_t move_power(uint64_t energy_uj, uint64_t elapsed_ms)
{
	wide power_uw = (wide)energy_uj * 1000 / elapsed_ms;

	return power_uw < MOVE_RECORD_POWER_MAX ? (uint64_t)power_uw : MOVE_RECORD_POWER_MAX;
}

static uint64_t move_limit(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

bool move_record_is_sane(const struct move_record *record)
{
	if (record->serial > MOVE_RECORD_UJ_MAX || record->generation >= UINT32_MAX ||
	    record->period_ms > MOVE_RECORD_PERIOD_MS_MAX || uuid_is_nil(&record->machine) ||
	    uuid_is_nil(&record->ledger))
		return false;
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		const struct move_counter *counter = &record->counters[i];

		if (counter->told_uj > MOVE_RECORD_UJ_MAX ||
		    counter->room_uj > MOVE_RECORD_UJ_MAX ||
		    counter->power_uw > MOVE_RECORD_POWER_MAX ||
		    counter->full_uw > MOVE_RECORD_POWER_MAX)
			return false;
	}
	return true;
}

static uint64_t move_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * What one more busy thread may add in any zone of the kind, at most; false: the host has no such
 * zone. Twice the mean, or twice what the guest is told for one, for some work costs more than
 * other; and where guests are shown their exact share, static power may be divided by use.
 */
static bool move_thread_power(const struct ledger_host *host, const struct ledger_vm *vm,
			      enum zone_kind kind, uint64_t *ret_power_uw)
{
	uint64_t largest_uw = 0;
	bool found = false;

	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];
		uint64_t power_uw =
		    2 * move_larger(zone->thread_power_uw, vm->shares[i].guest_thread_power_uw);

		if (zone->zone.kind != kind)
			continue;
		found = true;
		/* What is not learned yet is at most all that there is. */
		if (power_uw == 0)
			power_uw = zone->power_uw;
		if (host->guest_view_exact)
			power_uw = move_add(power_uw, zone->idle_power_uw);
		largest_uw = move_larger(largest_uw, power_uw);
	}
	*ret_power_uw = move_limit(largest_uw, MOVE_RECORD_POWER_MAX);
	return found;
}

/* Of the account, without what goes on by itself. */
static uint64_t move_account(const struct ledger_vm *vm, size_t counter)
{
	return move_add(ledger_counter_zone_uj(vm, counter),
			ledger_counter_brought_uj(vm, counter));
}

static uint64_t move_told(const struct ledger_vm *vm, size_t counter, uint64_t now_ms)
{
	return served_at((struct served){ledger_counter_floor_uj(vm, counter), vm->floor_ms},
			 now_ms);
}

void move_record_take(const struct ledger_host *host, const struct ledger_vm *vm,
		      const struct move_record *before, uint64_t elapsed_ms,
		      struct move_record *ret_record)
{
	*ret_record = (struct move_record){
	    .machine = vm->uuid, .ledger = host->id, .generation = vm->generation};
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		struct move_counter *counter = &ret_record->counters[i];
		uint64_t told_uj = move_told(vm, i, host->told.time_ms);
		uint64_t thread_uw, recent_uw = vm->guest_power_uw, busy_uw;
		bool has = move_thread_power(host, vm, ledger_counter_kind(i), &thread_uw);

		/* A kind that this host does not measure is shown to nobody. */
		if (told_uj == 0 || (!has && move_account(vm, i) == 0))
			continue;
		if (before != NULL && before->counters[i].told_uj > 0 && elapsed_ms > 0)
			recent_uw = move_power(told_uj > before->counters[i].told_uj
						   ? told_uj - before->counters[i].told_uj
						   : 0,
					       elapsed_ms);
		recent_uw = move_limit(recent_uw, MOVE_RECORD_POWER_MAX / 8);
		busy_uw = move_limit(thread_uw, MOVE_RECORD_POWER_MAX / 2 / (vm->vcpu_count + 1)) *
			  vm->vcpu_count;
		counter->told_uj = move_limit(told_uj, MOVE_RECORD_UJ_MAX);
		counter->power_uw = recent_uw + recent_uw / 4 + MOVE_REST_UW;
		counter->full_uw = recent_uw + move_larger(recent_uw, busy_uw) + MOVE_REST_UW;
		counter->room_uj = move_limit(
		    MOVE_ROOM_UJ + move_energy(counter->full_uw, 2 * MOVE_RECORD_INTERVAL_MS),
		    MOVE_RECORD_UJ_MAX);
	}
	assert(move_record_is_sane(ret_record) || uuid_is_nil(&host->id));
}

void move_record_rest(struct move_record *record)
{
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		struct move_counter *counter = &record->counters[i];

		if (counter->told_uj == 0)
			continue;
		counter->room_uj = 0;
		counter->power_uw = counter->full_uw = MOVE_REST_UW;
	}
}

enum move_record_state move_record_state(const struct move_record *record,
					 const struct ledger_host *host, const struct ledger_vm *vm,
					 uint64_t elapsed_ms)
{
	enum move_record_state state = MOVE_RECORD_IDLE;

	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		const struct move_counter *counter = &record->counters[i];
		uint64_t told_uj = move_told(vm, i, host->told.time_ms);

		if (counter->told_uj == 0 && move_account(vm, i) > 0)
			return MOVE_RECORD_OUTGROWN;
		if (counter->told_uj == 0)
			continue;
		if (told_uj > move_add(counter->told_uj + counter->room_uj / 4,
				       move_energy(counter->power_uw, elapsed_ms)))
			return MOVE_RECORD_OUTGROWN;
		if (told_uj > counter->told_uj && told_uj - counter->told_uj > elapsed_ms + 1)
			state = MOVE_RECORD_HOLDS;
	}
	return state;
}

bool move_record_is_news(const struct move_record *record, const struct ledger_host *host,
			 const struct ledger_vm *vm)
{
	/* Our own newest one says nothing; a later one of ours was forgotten with a part of the
	 * accounts. Of another host's, one with the number of our last was written without it. */
	if (uuid_equal(&record->ledger, &host->id))
		return record->serial > vm->move_serial;
	return record->serial >= vm->move_serial;
}

/*
 * For how long after it was written a guest may have read: until now, by clocks that may differ;
 * but a machine that runs has a newer one after `period`, so one that is older has slept since.
 */
static uint64_t move_age_ms(const struct move_record *record, uint64_t now_ns)
{
	uint64_t limit_ms = 2 * record->period_ms + MOVE_RECORD_LATE_MS;
	uint64_t age_ms;

	if (now_ns < record->written_ns)
		return record->period_ms + MOVE_RECORD_SKEW_MS;
	age_ms = (now_ns - record->written_ns) / CLOCK_NS_PER_MS + MOVE_RECORD_SKEW_MS;
	return move_limit(age_ms, limit_ms);
}

/* The best guess of what it took in that time: four fifths of the slope. */
static uint64_t move_likely(const struct move_counter *counter, uint64_t elapsed_ms)
{
	return move_energy(counter->power_uw - counter->power_uw / 5, elapsed_ms);
}

void move_record_arrive(const struct move_record *record, uint64_t now_ns,
			struct ledger_brought *ret_brought)
{
	uint64_t age_ms = move_age_ms(record, now_ns);

	*ret_brought = (struct ledger_brought){.serial = record->serial + 1,
					       .generation = (uint32_t)record->generation + 1};
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		const struct move_counter *counter = &record->counters[i];

		if (counter->told_uj == 0)
			continue;
		ret_brought->counters[i].told_uj = move_add(
		    counter->told_uj, move_likely(counter, move_limit(age_ms, record->period_ms)));
		ret_brought->counters[i].floor_uj =
		    move_add(move_add(counter->told_uj, counter->room_uj),
			     move_energy(counter->power_uw, age_ms));
	}
}

void move_record_wait(const struct move_record *record, const struct ledger_host *host,
		      const struct ledger_vm *vm, uint64_t elapsed_ms,
		      struct ledger_brought *ret_brought)
{
	*ret_brought = (struct ledger_brought){.serial = 0};
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		const struct move_counter *counter = &record->counters[i];
		struct ledger_brought_counter *brought = &ret_brought->counters[i];

		if (counter->told_uj == 0)
			continue;
		brought->told_uj = move_add(move_account(vm, i), move_likely(counter, elapsed_ms));
		brought->floor_uj = move_add(move_told(vm, i, host->told.time_ms),
					     move_energy(counter->full_uw, elapsed_ms));
	}
}
