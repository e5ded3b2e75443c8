/* move_record.h: what a machine takes along, and that no host tells its guest less than another. */
#include "common/move_record.h"
#include "common/served.h"
#include "tests/unit/check.h"

#define HOSTS	   2
#define WALL_NS	   UINT64_C(1700000000000000000)
#define NS_PER_MS  UINT64_C(1000000)
#define PERIOD_MS  UINT64_C(60000)
#define THREAD_UW  UINT64_C(5000000)
#define VCPUS	   2
#define SECOND_MS  UINT64_C(1000)
#define PACKAGE	   (1 + ZONE_PACKAGE)
#define STEPS	   200
#define MOVES	   40
#define SEED_COUNT 10

static const struct uuid machine = {.bytes = {1}};

struct host {
	struct ledger *ledger;
	struct ledger_floors *floors;
	struct ledger_instant now;
	size_t slot;
};

static struct ledger_vm *vm_of(const struct host *host)
{
	return ledger_vm(host->ledger, host->slot);
}

static void host_open(struct host *host, uint8_t id)
{
	struct ledger_zone *zone;
	int slot;

	*host = (struct host){.now = {.boot = {.bytes = {id}}, .time_ms = 50, .wall_ns = WALL_NS}};
	assert_int_equal(ledger_create(&host->ledger), 0);
	assert_int_equal(ledger_floors_create(host->ledger, &host->floors), 0);
	ledger_host(host->ledger)->id = (struct uuid){.bytes = {id}};
	ledger_host(host->ledger)->zone_count = 1;
	zone = &ledger_host(host->ledger)->zones[0];
	zone->zone.kind = ZONE_PACKAGE;
	zone->thread_power_uw = THREAD_UW;
	slot = ledger_admit(host->ledger, &machine);
	assert_true(slot > 0);
	host->slot = (size_t)slot;
	vm_of(host)->vcpu_count = VCPUS;
}

static void host_close(struct host *host)
{
	ledger_floors_destroy(host->floors);
	ledger_destroy(host->ledger);
}

static void host_pass(struct host *host, uint64_t elapsed_ms, uint64_t energy_uj)
{
	host->now.time_ms += elapsed_ms;
	host->now.wall_ns += elapsed_ms * NS_PER_MS;
	vm_of(host)->guest[0].zone_uj[ZONE_PACKAGE] += energy_uj;
	(void)ledger_floors_advance(host->floors, &host->now);
}

static uint64_t host_told(const struct host *host)
{
	return served_at(
	    (struct served){ledger_counter_floor_uj(vm_of(host), PACKAGE), vm_of(host)->floor_ms},
	    host->now.time_ms);
}

static void host_write(const struct host *host, const struct move_record *before,
		       uint64_t elapsed_ms, struct move_record *ret_record)
{
	move_record_take(ledger_host(host->ledger), vm_of(host), before, elapsed_ms, ret_record);
	ret_record->serial = ++vm_of(host)->move_serial;
	ret_record->written_ns = host->now.wall_ns;
	ret_record->period_ms = PERIOD_MS;
	assert_true(move_record_is_sane(ret_record));
}

/* As host/moves.c does when it meets a record; false: it says nothing new. */
static bool host_meet(struct host *host, const struct move_record *record)
{
	struct ledger_brought brought;

	if (!move_record_is_news(record, ledger_host(host->ledger), vm_of(host)))
		return false;
	move_record_arrive(record, host->now.wall_ns, &brought);
	ledger_floors_bring(host->floors, host->slot, &brought, &host->now);
	return true;
}

static int setup(void **state)
{
	static struct host hosts[HOSTS];

	for (uint8_t i = 0; i < HOSTS; i++)
		host_open(&hosts[i], (uint8_t)(i + 1));
	*state = hosts;
	return 0;
}

static int teardown(void **state)
{
	struct host *hosts = *state;

	for (size_t i = 0; i < HOSTS; i++)
		host_close(&hosts[i]);
	return 0;
}

static void test_goes_on_where_it_arrives(void **state)
{
	struct host *hosts = *state;
	struct move_record record;
	uint64_t brought_uj;

	host_pass(&hosts[0], SECOND_MS, 70000000);
	vm_of(&hosts[0])->generation = 4;
	host_write(&hosts[0], NULL, 0, &record);
	host_pass(&hosts[1], 0, 0);
	assert_true(host_meet(&hosts[1], &record));
	brought_uj = vm_of(&hosts[1])->guest[0].brought_uj[ZONE_PACKAGE];
	assert_true(brought_uj >= 70000001);
	assert_true(host_told(&hosts[1]) >= brought_uj);
	assert_int_equal(vm_of(&hosts[1])->generation, 5);
	/* What it uses here comes on top, and the same record a second time says nothing. */
	assert_false(host_meet(&hosts[1], &record));
	host_pass(&hosts[1], SECOND_MS, 1000000);
	assert_int_equal(vm_of(&hosts[1])->guest[0].brought_uj[ZONE_PACKAGE], brought_uj);
	assert_int_equal(vm_of(&hosts[1])->guest[0].zone_uj[ZONE_PACKAGE], 1000000);
}

/* What was told ahead is owed: it does not stay for ever. */
static void test_what_was_told_ahead_is_paid_off(void **state)
{
	struct host *hosts = *state;
	struct move_record record;
	uint64_t ahead_uj;

	host_pass(&hosts[0], SECOND_MS, 70000000);
	host_write(&hosts[0], NULL, 0, &record);
	assert_true(host_meet(&hosts[1], &record));
	host_pass(&hosts[1], 1, 0);
	ahead_uj = host_told(&hosts[1]) - vm_of(&hosts[1])->guest[0].brought_uj[ZONE_PACKAGE];
	assert_true(ahead_uj > 0);
	for (uint64_t i = 0; i < 64 * ahead_uj / 10000000 + 1; i++)
		host_pass(&hosts[1], SECOND_MS, 10000000);
	assert_int_equal(host_told(&hosts[1]),
			 vm_of(&hosts[1])->guest[0].brought_uj[ZONE_PACKAGE] +
			     vm_of(&hosts[1])->guest[0].zone_uj[ZONE_PACKAGE] + 1);
}

/* There and back: each host has booked what it measured, and the account of the first goes on. */
static void test_comes_back(void **state)
{
	struct host *hosts = *state;
	struct move_record out, back;
	uint64_t told_uj;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &out);
	assert_true(host_meet(&hosts[1], &out));
	host_pass(&hosts[1], SECOND_MS, 30000000);
	host_write(&hosts[1], NULL, 0, &back);
	told_uj = host_told(&hosts[1]);
	assert_true(host_meet(&hosts[0], &back));
	assert_true(host_told(&hosts[0]) >= told_uj);
	assert_int_equal(vm_of(&hosts[0])->guest[0].zone_uj[ZONE_PACKAGE], 50000000);
	assert_int_equal(vm_of(&hosts[1])->guest[0].zone_uj[ZONE_PACKAGE], 30000000);
	assert_true(vm_of(&hosts[0])->guest[0].brought_uj[ZONE_PACKAGE] >= 30000000);
	/* Neither the way out nor an old snapshot takes anything back or adds to it. */
	assert_false(host_meet(&hosts[0], &out));
	assert_false(host_meet(&hosts[1], &out));
}

/* A host whose ledger was lost learns of its own machines from what they carry. */
static void test_own_record_mends_a_lost_ledger(void **state)
{
	struct host *hosts = *state;
	struct move_record record;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &record);
	assert_false(host_meet(&hosts[0], &record));
	ledger_host(hosts[1].ledger)->id = ledger_host(hosts[0].ledger)->id;
	assert_true(host_meet(&hosts[1], &record));
	assert_true(host_told(&hosts[1]) >= host_told(&hosts[0]));
}

/* More sockets and other zones than the target has: they are kept, and travel on. */
static void test_keeps_what_has_no_place(void **state)
{
	struct host *hosts = *state;
	struct move_record record, next;
	size_t far = LEDGER_COUNTER_COUNT(63) + ZONE_DRAM;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &record);
	record.counters[far] = record.counters[LEDGER_COUNTER_PSYS] = record.counters[PACKAGE];
	assert_true(host_meet(&hosts[1], &record));
	host_pass(&hosts[1], SECOND_MS, 1);
	host_write(&hosts[1], NULL, 0, &next);
	assert_true(next.counters[far].told_uj >= record.counters[far].told_uj);
	assert_true(next.counters[LEDGER_COUNTER_PSYS].told_uj >= record.counters[far].told_uj);
}

/* Off, it has seen all that it will see: nothing is told ahead on the other host. */
static void test_a_machine_that_is_off_takes_no_room(void **state)
{
	struct host *hosts = *state;
	struct move_record record;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &record);
	move_record_rest(&record);
	host_pass(&hosts[1], SECOND_MS, 0);
	assert_true(host_meet(&hosts[1], &record));
	assert_in_range(host_told(&hosts[1]), host_told(&hosts[0]),
			host_told(&hosts[0]) + MOVE_RECORD_SKEW_MS);
}

static void test_refuses_the_absurd(void **state)
{
	struct host *hosts = *state;
	struct move_record good, bad;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &good);
	bad = good;
	bad.counters[PACKAGE].told_uj = MOVE_RECORD_UJ_MAX;
	assert_true(move_record_is_sane(&bad));
	bad.counters[PACKAGE].told_uj++;
	assert_false(move_record_is_sane(&bad));
	bad = good;
	bad.counters[PACKAGE].full_uw = MOVE_RECORD_POWER_MAX + 1;
	assert_false(move_record_is_sane(&bad));
	bad = good;
	bad.serial = MOVE_RECORD_UJ_MAX + 1;
	assert_false(move_record_is_sane(&bad));
	bad = good;
	bad.generation = UINT32_MAX;
	assert_false(move_record_is_sane(&bad));
	bad = good;
	bad.machine = (struct uuid){.bytes = {0}};
	assert_false(move_record_is_sane(&bad));
}

/* The largest that is sane overflows nothing, whatever the clocks say. */
static void test_survives_the_largest(void **state)
{
	struct host *hosts = *state;
	struct move_record record;
	struct ledger_brought brought;

	host_pass(&hosts[0], SECOND_MS, 50000000);
	host_write(&hosts[0], NULL, 0, &record);
	record.written_ns = 0;
	record.period_ms = MOVE_RECORD_PERIOD_MS_MAX;
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++)
		record.counters[i] =
		    (struct move_counter){MOVE_RECORD_UJ_MAX, MOVE_RECORD_UJ_MAX,
					  MOVE_RECORD_POWER_MAX, MOVE_RECORD_POWER_MAX};
	assert_true(move_record_is_sane(&record));
	for (uint64_t now_ns = 1; now_ns != 0; now_ns <<= 1) {
		move_record_arrive(&record, now_ns, &brought);
		assert_true(brought.counters[PACKAGE].floor_uj >=
			    brought.counters[PACKAGE].told_uj);
		assert_true(brought.counters[PACKAGE].told_uj >= MOVE_RECORD_UJ_MAX);
	}
	assert_true(host_meet(&hosts[1], &record));
	move_record_wait(&record, ledger_host(hosts[1].ledger), vm_of(&hosts[1]), UINT64_MAX,
			 &brought);
	ledger_floors_bring(hosts[1].floors, hosts[1].slot, &brought, &hosts[1].now);
	host_pass(&hosts[1], SECOND_MS, 1);
}

/* The clocks of two hosts: up to the skew apart all is as if they were one. */
static void set_clocks(struct host *hosts, uint64_t *random)
{
	hosts[1].now.wall_ns = hosts[0].now.wall_ns - MOVE_RECORD_SKEW_MS * NS_PER_MS +
			       check_random_below(random, 2 * MOVE_RECORD_SKEW_MS) * NS_PER_MS;
	hosts[1].now.time_ms += check_random_below(random, 100000);
}

/* What a guest takes in that time: nothing, a little, or all that its vCPUs can. */
static uint64_t random_use(uint64_t *random, uint64_t elapsed_ms)
{
	static const uint64_t powers_uw[] = {0, 200000, 3000000, VCPUS * THREAD_UW * 2};

	return powers_uw[check_random_below(random, 4)] * elapsed_ms / 1000;
}

/*
 * A guest that moves to and fro, whose record is written as host/moves.c does, and that reads all
 * the time, also while it moves and nothing can be written.
 */
static void check_journey(struct host *hosts, uint64_t *random)
{
	struct move_record record;
	uint64_t seen_uj = 0, written_ms = 0, used_uj = 0;
	size_t at = 0;

	host_pass(&hosts[0], 1, 1);
	host_write(&hosts[0], NULL, 0, &record);
	for (size_t move = 0; move < MOVES; move++) {
		struct host *from = &hosts[at], *to = &hosts[1 - at];
		uint64_t moving_ms = check_random_below(random, 30000);

		written_ms = from->now.time_ms;
		for (uint64_t step = check_random_below(random, STEPS); step > 0; step--) {
			uint64_t use_uj = random_use(random, 1000), age_ms;

			host_pass(from, 1000, use_uj);
			used_uj += use_uj;
			assert_true(host_told(from) >= seen_uj);
			seen_uj = host_told(from);
			age_ms = from->now.time_ms - written_ms;
			if (age_ms < PERIOD_MS &&
			    (age_ms < MOVE_RECORD_INTERVAL_MS ||
			     move_record_state(&record, ledger_host(from->ledger), vm_of(from),
					       age_ms) != MOVE_RECORD_OUTGROWN))
				continue;
			host_write(from, &record, age_ms, &record);
			written_ms = from->now.time_ms;
		}
		/* The move begins: the target meets the record, and waits for the guest. */
		set_clocks(hosts, random);
		assert_true(host_meet(to, &record));
		for (; moving_ms >= 500; moving_ms -= 500) {
			struct ledger_brought brought;
			uint64_t use_uj = random_use(random, 500);

			host_pass(from, 500, use_uj);
			used_uj += use_uj;
			seen_uj = host_told(from);
			to->now.time_ms += 500;
			to->now.wall_ns += 500 * NS_PER_MS;
			(void)ledger_floors_advance(to->floors, &to->now);
			move_record_wait(&record, ledger_host(to->ledger), vm_of(to), 500,
					 &brought);
			ledger_floors_bring(to->floors, to->slot, &brought, &to->now);
		}
		host_pass(to, 1, 0);
		assert_true(host_told(to) >= seen_uj);
		seen_uj = host_told(to);
		at = 1 - at;
		host_write(to, NULL, 0, &record);
	}
	/* Nothing twice, nothing lost: what both have booked is what it used. */
	assert_int_equal(vm_of(&hosts[0])->guest[0].zone_uj[ZONE_PACKAGE] +
			     vm_of(&hosts[1])->guest[0].zone_uj[ZONE_PACKAGE],
			 used_uj + 1);
	assert_true(seen_uj > used_uj);
}

static void test_no_journey_takes_anything_back(void **state)
{
	struct host *hosts = *state;

	for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
		uint64_t random = seed;

		for (uint8_t i = 0; i < HOSTS; i++) {
			host_close(&hosts[i]);
			host_open(&hosts[i], (uint8_t)(i + 1));
		}
		check_journey(hosts, &random);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_goes_on_where_it_arrives, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_was_told_ahead_is_paid_off, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_own_record_mends_a_lost_ledger, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_keeps_what_has_no_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_machine_that_is_off_takes_no_room, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_the_absurd, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_survives_the_largest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_journey_takes_anything_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
