/* ledger_floors.h: the rule, its ceilings, and what a reboot makes of both. */
#include "common/ledger_floors.h"
#include "common/served.h"
#include "tests/unit/check.h"

#define SECOND_MS   UINT64_C(1000)
#define INTERVAL_NS UINT64_C(5000000000)
#define WALL_NS	    UINT64_C(1700000000000000000)
#define NS_PER_MS   UINT64_C(1000000)

struct fixture {
	struct ledger *ledger;
	struct ledger_floors *floors;
	struct ledger_instant now;
	struct ledger_vm *vm; /* of one socket */
};

static const struct uuid machine = {.bytes = {1}};

static int setup(void **state)
{
	static struct fixture fixture;
	int slot;

	fixture =
	    (struct fixture){.now = {.boot = {.bytes = {9}}, .time_ms = 50, .wall_ns = WALL_NS}};
	assert_int_equal(ledger_create(&fixture.ledger), 0);
	assert_int_equal(ledger_floors_create(fixture.ledger, &fixture.floors), 0);
	slot = ledger_admit(fixture.ledger, &machine);
	assert_true(slot > 0);
	fixture.vm = ledger_vm(fixture.ledger, (size_t)slot);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	ledger_floors_destroy(fixture->floors);
	ledger_destroy(fixture->ledger);
	return 0;
}

static enum ledger_floors_room advance_after(struct fixture *fixture, uint64_t elapsed_ms)
{
	fixture->now.time_ms += elapsed_ms;
	fixture->now.wall_ns += elapsed_ms * NS_PER_MS;
	return ledger_floors_advance(fixture->floors, &fixture->now);
}

/* What a server tells of the package. */
static uint64_t told(const struct fixture *fixture)
{
	return served_at(
	    (struct served){fixture->vm->guest[0].floor_uj[ZONE_PACKAGE], fixture->vm->floor_ms},
	    fixture->now.time_ms);
}

static uint64_t *package(const struct fixture *fixture)
{
	return &fixture->vm->guest[0].zone_uj[ZONE_PACKAGE];
}

static void test_follows_an_account_that_moves(void **state)
{
	struct fixture *fixture = *state;

	advance_after(fixture, 0);
	assert_int_equal(told(fixture), 1);
	for (uint64_t i = 1; i < 100; i++) {
		*package(fixture) += 5000;
		advance_after(fixture, 1);
		assert_int_equal(told(fixture), i * 5000 + 1);
	}
	assert_int_equal(ledger_host(fixture->ledger)->told.time_ms, fixture->now.time_ms);
}

/* The record of a machine that rests is not written: its lines go on. */
static void test_goes_on_when_the_account_rests(void **state)
{
	struct fixture *fixture = *state;
	struct ledger_vm before;

	*package(fixture) = 70;
	advance_after(fixture, 0);
	before = *fixture->vm;
	for (uint64_t ms = 1; ms <= 3000; ms++) {
		advance_after(fixture, 1);
		assert_int_equal(told(fixture), 71 + ms);
	}
	assert_memory_equal(fixture->vm, &before, sizeof(before));
}

/* Every kind of counter of every socket that the machine has, and of those that it had. */
static void test_every_counter_has_a_floor(void **state)
{
	struct fixture *fixture = *state;
	struct ledger_vm *vm = fixture->vm;

	vm->socket_count = LEDGER_SOCKET_MAX;
	advance_after(fixture, 0);
	vm->socket_count = 1;
	for (uint32_t socket = 0; socket < LEDGER_SOCKET_MAX; socket++)
		for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++) {
			assert_int_equal(vm->guest[socket].floor_uj[kind], 1);
			vm->guest[socket].zone_uj[kind] = 10000 + socket * 10 + kind;
		}
	vm->guest_psys_uj = 77000;
	advance_after(fixture, 10);
	for (uint32_t socket = 0; socket < LEDGER_SOCKET_MAX; socket++)
		for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
			assert_int_equal(vm->guest[socket].floor_uj[kind],
					 10001 + socket * 10 + kind);
	assert_int_equal(vm->guest_psys_floor_uj, 77001);
	assert_int_equal(vm->floor_ms, fixture->now.time_ms);
}

/* An hour ahead of the account: nobody reads 0 W, and 64 times as much pays it off. */
static void test_what_is_owed_is_paid_slowly(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before_uj, owed_uj = 3600 * SECOND_MS;

	advance_after(fixture, 0);
	advance_after(fixture, owed_uj);
	before_uj = told(fixture);
	assert_int_equal(before_uj - *package(fixture), owed_uj + 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t lead_uj = told(fixture) - *package(fixture);

		*package(fixture) += 10000;
		advance_after(fixture, 1);
		assert_in_range(told(fixture) - before_uj, 10000 * 62 / 64, 10000);
		assert_true(told(fixture) - *package(fixture) < lead_uj);
		before_uj = told(fixture);
	}
	for (int i = 0; i < 64; i++) {
		*package(fixture) += owed_uj;
		advance_after(fixture, 1);
	}
	assert_int_equal(told(fixture), *package(fixture) + 1);
}

static void test_departed_have_none(void **state)
{
	struct fixture *fixture = *state;
	const struct ledger_vm *departed;
	int slot = ledger_find(fixture->ledger, &machine);

	*package(fixture) = 9;
	advance_after(fixture, 0);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_AMPLE);
	assert_int_equal(ledger_depart(fixture->ledger, (size_t)slot), 0);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_AMPLE);
	departed = ledger_vm_const(fixture->ledger, 0);
	CHECK_POINTER(departed);
	assert_int_equal(departed->guest_psys_floor_uj, 0);
	/* The same machine in the same slot: another account, which is on no disk. */
	assert_int_equal(ledger_admit(fixture->ledger, &machine), slot);
	fixture->vm = ledger_vm(fixture->ledger, (size_t)slot);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_NONE);
	assert_int_equal(told(fixture), 1);
}

static void test_numbers_at_their_ends(void **state)
{
	struct fixture *fixture = *state;

	*package(fixture) = UINT64_MAX - 5;
	advance_after(fixture, 0);
	assert_int_equal(told(fixture), UINT64_MAX - 4);
	*package(fixture) = UINT64_MAX;
	advance_after(fixture, 100);
	assert_int_equal(told(fixture), UINT64_MAX);
	ledger_floors_promise(fixture->floors, UINT64_MAX);
	assert_int_equal(advance_after(fixture, UINT64_MAX / 2 / NS_PER_MS), LEDGER_FLOORS_AMPLE);
	assert_int_equal(told(fixture), UINT64_MAX);
}

/* The ceiling of the package, as a checkpoint would hold it. */
static uint64_t ceiling(const struct fixture *fixture)
{
	struct ledger_vm copy = *fixture->vm;

	ledger_floors_put(fixture->floors, (size_t)ledger_find(fixture->ledger, &machine), &copy);
	return copy.guest[0].floor_uj[ZONE_PACKAGE];
}

static void test_ceilings_follow_the_power(void **state)
{
	struct fixture *fixture = *state;
	uint64_t room_uj;

	assert_int_equal(advance_after(fixture, 0), LEDGER_FLOORS_NONE);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	assert_int_equal(ceiling(fixture), told(fixture) + 10000 + LEDGER_FLOORS_ROOM_UJ);
	/* 20 W for 5 s: it passes the room of a machine that rested. */
	*package(fixture) += 100000000;
	assert_int_equal(advance_after(fixture, 5 * SECOND_MS), LEDGER_FLOORS_NONE);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	room_uj = ceiling(fixture) - told(fixture);
	assert_int_equal(room_uj, 200000000 + 10000 + LEDGER_FLOORS_ROOM_UJ);
	/* At the same power half of it is left when the next one is due. */
	*package(fixture) += 100000000;
	assert_int_equal(advance_after(fixture, 5 * SECOND_MS), LEDGER_FLOORS_AMPLE);
	/* A fifth is left, then nothing. */
	*package(fixture) += 60000000;
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_SHORT);
	*package(fixture) += room_uj - 160000000 - (told(fixture) - *package(fixture));
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_SHORT);
	*package(fixture) += 2;
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_NONE);
	/* It rests again. */
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	advance_after(fixture, 5 * SECOND_MS);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	assert_int_equal(ceiling(fixture) - told(fixture), 20000 + LEDGER_FLOORS_ROOM_UJ);
}

/* Another machine, or another socket, was in no checkpoint yet. */
static void test_new_counters_have_no_ceiling(void **state)
{
	struct fixture *fixture = *state;
	const struct uuid other = {.bytes = {2}};

	advance_after(fixture, 0);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_AMPLE);
	fixture->vm->socket_count = 2;
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_NONE);
	ledger_floors_promise(fixture->floors, INTERVAL_NS);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_AMPLE);
	assert_true(ledger_admit(fixture->ledger, &other) > 0);
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_NONE);
}

/* A wattportd that is started again: the accounts and floors of the map, no checkpoint of its own.
 */
static void test_goes_on_in_the_same_boot(void **state)
{
	struct fixture *fixture = *state;
	uint64_t floor_uj;

	*package(fixture) = 1000;
	advance_after(fixture, 0);
	ledger_floors_destroy(fixture->floors);
	floor_uj = fixture->vm->guest[0].floor_uj[ZONE_PACKAGE];
	fixture->now.time_ms += 30 * SECOND_MS;
	fixture->now.wall_ns = 0;
	ledger_floors_resume(fixture->ledger, &fixture->now);
	assert_int_equal(fixture->vm->guest[0].floor_uj[ZONE_PACKAGE], floor_uj);
	assert_int_equal(told(fixture), floor_uj + 30000);
	assert_int_equal(ledger_floors_create(fixture->ledger, &fixture->floors), 0);
	*package(fixture) += 640000;
	assert_int_equal(advance_after(fixture, 1), LEDGER_FLOORS_NONE);
	/* The account had a head start of its own: it has caught up. */
	assert_int_equal(told(fixture), *package(fixture) + 1);
}

static uint64_t told_after_reboot(struct fixture *fixture, uint64_t wall_ns)
{
	struct ledger_instant then = fixture->now;
	uint64_t told_uj;

	fixture->now = (struct ledger_instant){
	    .boot = {.bytes = {10}}, .time_ms = 77 * SECOND_MS, .wall_ns = wall_ns};
	ledger_floors_resume(fixture->ledger, &fixture->now);
	assert_int_equal(ledger_host(fixture->ledger)->told.time_ms, 77 * SECOND_MS);
	told_uj = told(fixture);
	fixture->now = then;
	return told_uj;
}

static void test_reboot_adds_the_time_between(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		uint64_t wall_ns;
		uint64_t added_uj;
	} cases[] = {
	    {WALL_NS + 3600 * SECOND_MS * NS_PER_MS, 3600 * SECOND_MS},
	    {WALL_NS + LEDGER_FLOORS_AWAY_MS_MIN * NS_PER_MS - 1, LEDGER_FLOORS_AWAY_MS_MIN},
	    {WALL_NS, LEDGER_FLOORS_AWAY_MS_MIN},
	    {0, LEDGER_FLOORS_AWAY_MS_MIN},
	    {WALL_NS + LEDGER_FLOORS_AWAY_MS_MAX * NS_PER_MS, LEDGER_FLOORS_AWAY_MS_MAX},
	    {UINT64_MAX, LEDGER_FLOORS_AWAY_MS_MAX},
	};
	struct ledger_vm before;

	*package(fixture) = 123456;
	advance_after(fixture, 0);
	before = *fixture->vm;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		*fixture->vm = before;
		ledger_host(fixture->ledger)->told = fixture->now;
		assert_int_equal(told_after_reboot(fixture, cases[i].wall_ns),
				 123457 + cases[i].added_uj);
		assert_int_equal(fixture->vm->guest[0].zone_uj[ZONE_PACKAGE], 123456);
		assert_int_equal(fixture->vm->guest[1].floor_uj[ZONE_PACKAGE], 0);
	}
	/* Also what the floor had become until it was advanced last, though it was not written. */
	*fixture->vm = before;
	ledger_host(fixture->ledger)->told = fixture->now;
	advance_after(fixture, 9 * SECOND_MS);
	assert_memory_equal(fixture->vm, &before, sizeof(before));
	assert_int_equal(told_after_reboot(fixture, 0),
			 123457 + 9 * SECOND_MS + LEDGER_FLOORS_AWAY_MS_MIN);
}

/* Where the kernel does not name its boots, a time that is yet to come is of another one. */
static void test_boot_without_a_name(void **state)
{
	struct fixture *fixture = *state;

	fixture->now.boot = (struct uuid){.bytes = {0}};
	advance_after(fixture, 0);
	fixture->now.time_ms += 5;
	ledger_floors_resume(fixture->ledger, &fixture->now);
	assert_int_equal(told(fixture), 6);
	fixture->now.time_ms = 10;
	ledger_floors_resume(fixture->ledger, &fixture->now);
	assert_int_equal(told(fixture), 1 + LEDGER_FLOORS_AWAY_MS_MIN);
}

int main(void)
{
#define FLOORS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    FLOORS_TEST(test_follows_an_account_that_moves),
	    FLOORS_TEST(test_goes_on_when_the_account_rests),
	    FLOORS_TEST(test_every_counter_has_a_floor),
	    FLOORS_TEST(test_what_is_owed_is_paid_slowly),
	    FLOORS_TEST(test_departed_have_none),
	    FLOORS_TEST(test_numbers_at_their_ends),
	    FLOORS_TEST(test_ceilings_follow_the_power),
	    FLOORS_TEST(test_new_counters_have_no_ceiling),
	    FLOORS_TEST(test_goes_on_in_the_same_boot),
	    FLOORS_TEST(test_reboot_adds_the_time_between),
	    FLOORS_TEST(test_boot_without_a_name),
	};

	return cmocka_run_group_tests_name("ledger_floors", tests, NULL, NULL);
}
