#include "common/ledger.h"
#include "tests/unit/check.h"
#include "tests/unit/ledger_fixture.h"

#include <stdio.h>

struct fixture {
	struct ledger *ledger;
};

static struct uuid uuid_of(uint32_t number)
{
	struct uuid uuid = {.bytes = {[15] = 1}};

	memcpy(uuid.bytes, &number, sizeof(number));
	return uuid;
}

static struct zone zone_of(const char *id)
{
	struct zone zone = {.kind = ZONE_PACKAGE, .die = ZONE_ANY_DIE, .range_uj = 1000};

	(void)snprintf(zone.id, sizeof(zone.id), "%s", id);
	return zone;
}

static int setup(void **state)
{
	static struct fixture fixture;

	assert_int_equal(ledger_create(&fixture.ledger), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	const struct fixture *fixture = *state;

	ledger_destroy(fixture->ledger);
	return 0;
}

static void add_two_zones(struct ledger *ledger)
{
	const struct zone zones[] = {zone_of("package-0"), zone_of("dram-0")};
	uint32_t index[2];

	assert_int_equal(ledger_set_zones(ledger, zones, 2, index), 0);
}

static void test_zones_are_found_again_by_their_id(void **state)
{
	const struct fixture *fixture = *state;
	const struct zone first[] = {zone_of("package-0"), zone_of("package-1")};
	struct zone second[] = {zone_of("psys"), zone_of("package-1")};
	struct ledger_host *host = ledger_host(fixture->ledger);
	uint32_t index[2];

	assert_int_equal(ledger_set_zones(fixture->ledger, first, 2, index), 0);
	assert_int_equal(index[0], 0);
	assert_int_equal(index[1], 1);
	host->zones[0].energy_uj = 5;
	host->zones[1].energy_uj = 7;
	for (size_t i = 0; i < 2; i++) {
		host->zones[i].available = 1;
		host->zones[i].error = 0;
		host->zones[i].power_uw = 9;
	}
	second[1].range_uj = 2000;
	assert_int_equal(ledger_set_zones(fixture->ledger, second, 2, index), 0);
	assert_int_equal(index[0], 2);
	assert_int_equal(index[1], 1);
	assert_int_equal(host->zone_count, 3);
	assert_string_equal(host->zones[2].zone.id, "psys");
	assert_int_equal(host->zones[1].zone.range_uj, 2000);
	/* What is no longer listed keeps its total. */
	assert_int_equal(host->zones[0].energy_uj, 5);
	assert_int_equal(host->zones[1].energy_uj, 7);
	assert_int_equal(host->zones[0].available, 0);
	assert_int_equal(host->zones[0].error, -ENODEV);
	assert_int_equal(host->zones[0].power_uw, 0);
}

static void test_zones_end_at_their_maximum(void **state)
{
	const struct fixture *fixture = *state;
	struct zone zones[ZONE_MAX + 1];
	uint32_t index[ZONE_MAX + 1];

	for (size_t i = 0; i <= ZONE_MAX; i++) {
		char id[ZONE_ID_SIZE];

		(void)snprintf(id, sizeof(id), "package-%zu", i);
		zones[i] = zone_of(id);
	}
	assert_int_equal(ledger_set_zones(fixture->ledger, zones, ZONE_MAX, index), 0);
	assert_int_equal(index[ZONE_MAX - 1], ZONE_MAX - 1);
	assert_int_equal(ledger_host(fixture->ledger)->zone_count, ZONE_MAX);
	/* All known: no room is needed. One more: there is none. */
	assert_int_equal(ledger_set_zones(fixture->ledger, zones, ZONE_MAX, index), 0);
	assert_int_equal(ledger_set_zones(fixture->ledger, zones, ZONE_MAX + 1, index), -ENOSPC);
	assert_int_equal(ledger_host(fixture->ledger)->zone_count, ZONE_MAX);
}

static void test_an_account_is_opened_empty_and_found_again(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid first = uuid_of(1), second = uuid_of(2), nil = {.bytes = {0}};
	const struct ledger_vm *vm;
	int slot;

	assert_int_equal(ledger_find(fixture->ledger, &first), -ENOENT);
	assert_int_equal(ledger_find(fixture->ledger, &nil), -ENOENT);
	assert_int_equal(ledger_slot_count(fixture->ledger), 0);
	assert_null(ledger_vm(fixture->ledger, 0));
	slot = ledger_admit(fixture->ledger, &first);
	assert_true(slot >= 0);
	assert_int_equal(ledger_admit(fixture->ledger, &first), slot);
	assert_int_equal(ledger_find(fixture->ledger, &first), slot);
	assert_int_equal(ledger_slot_count(fixture->ledger), slot + 1);
	vm = ledger_vm_const(fixture->ledger, (size_t)slot);
	CHECK_POINTER(vm);
	assert_true(uuid_equal(&vm->uuid, &first));
	assert_int_equal(vm->state, LEDGER_VM_OFF);
	assert_int_equal(vm->socket_count, 1);
	assert_int_equal(vm->vcpu_ns, 0);
	assert_int_not_equal(ledger_admit(fixture->ledger, &second), slot);
	assert_int_equal(ledger_find(fixture->ledger, &first), slot);
	assert_null(ledger_vm(fixture->ledger, LEDGER_VM_MAX));
}

/* Departures empty slots in the middle of probing chains: all others must still be found. */
static void test_thousands_come_and_go_and_none_is_lost(void **state)
{
	const struct fixture *fixture = *state;
	uint64_t random = 1;
	bool here[512] = {false};

	for (size_t round = 0; round < 4000; round++) {
		uint32_t number = (uint32_t)check_random_below(&random, CHECK_COUNT(here));
		const struct uuid uuid = uuid_of(number);
		int slot = ledger_find(fixture->ledger, &uuid);

		assert_int_equal(slot >= 0, here[number]);
		if (here[number])
			assert_int_equal(ledger_depart(fixture->ledger, (size_t)slot), 0);
		else
			assert_true(ledger_admit(fixture->ledger, &uuid) > 0);
		here[number] = !here[number];
	}
	for (uint32_t number = 0; number < CHECK_COUNT(here); number++) {
		const struct uuid uuid = uuid_of(number);

		assert_int_equal(ledger_find(fixture->ledger, &uuid) >= 0, here[number]);
	}
}

static void test_the_departed_account_keeps_the_sums(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid first = uuid_of(1), second = uuid_of(2), nil = {.bytes = {0}};
	struct ledger_host *host = ledger_host(fixture->ledger);
	const struct ledger_vm *departed;
	struct ledger_vm *vm;
	size_t slot;

	add_two_zones(fixture->ledger);
	for (uint64_t number = 1; number <= 2; number++) {
		const struct uuid uuid = uuid_of((uint32_t)number);

		slot = (size_t)ledger_admit(fixture->ledger, &uuid);
		vm = ledger_vm(fixture->ledger, slot);
		CHECK_POINTER(vm);
		ledger_book(fixture->ledger, slot, 0, LEDGER_ACTIVE, 100 * number);
		ledger_book(fixture->ledger, slot, 0, LEDGER_IDLE, 10 * number);
		ledger_book(fixture->ledger, slot, 1, LEDGER_OVERHEAD, number);
		vm->vcpu_ns = 1000 * number;
		vm->overhead_ns = 7 * number;
		/* Of an absurd trace: nothing ends for it. */
		vm->halt_poll_ns = UINT64_MAX / 2 * number;
		vm->shares[0].halt_poll_uj = 20 * number;
		vm->shares[1].guest_view_uj = 3 * number;
		vm->seen_wall_ns = 50 * number;
	}
	host->zones[0].energy_uj = 330 + 4;
	host->zones[0].other_uj = 4;
	host->zones[1].energy_uj = 3 + 6;
	host->zones[1].idle_uj = 6;
	for (uint32_t number = 1; number <= 2; number++) {
		const struct uuid uuid = uuid_of(number);

		slot = (size_t)ledger_find(fixture->ledger, &uuid);
		assert_int_equal(ledger_depart(fixture->ledger, slot), 0);
		assert_null(ledger_vm(fixture->ledger, slot));
		assert_int_equal(ledger_conservation_error_uj(fixture->ledger, 0), 0);
		assert_int_equal(ledger_conservation_error_uj(fixture->ledger, 1), 0);
	}
	assert_int_equal(ledger_find(fixture->ledger, &first), -ENOENT);
	assert_int_equal(ledger_find(fixture->ledger, &second), -ENOENT);
	departed = ledger_vm_const(fixture->ledger, (size_t)ledger_find(fixture->ledger, &nil));
	CHECK_POINTER(departed);
	assert_string_equal(departed->name, LEDGER_DEPARTED_NAME);
	assert_int_equal(departed->shares[0].part_uj[LEDGER_ACTIVE], 300);
	assert_int_equal(departed->shares[0].part_uj[LEDGER_IDLE], 30);
	assert_int_equal(departed->shares[1].part_uj[LEDGER_OVERHEAD], 3);
	assert_int_equal(departed->shares[1].guest_view_uj, 9);
	assert_int_equal(departed->vcpu_ns, 3000);
	assert_int_equal(departed->overhead_ns, 21);
	assert_int_equal(departed->halt_poll_ns, UINT64_MAX);
	assert_int_equal(departed->shares[0].halt_poll_uj, 60);
	assert_int_equal(departed->seen_wall_ns, 100);
	/* One that returns starts anew. */
	slot = (size_t)ledger_admit(fixture->ledger, &first);
	assert_int_equal(ledger_vm(fixture->ledger, slot)->shares[0].part_uj[LEDGER_ACTIVE], 0);
}

/* Every slot but that of the departed. */
static void fill(struct ledger *ledger)
{
	for (uint32_t number = 1; number < LEDGER_VM_MAX; number++) {
		const struct uuid uuid = uuid_of(number);

		assert_int_equal(ledger_admit(ledger, &uuid), number);
	}
	assert_int_equal(ledger_slot_count(ledger), LEDGER_VM_MAX);
}

static void test_a_full_table_refuses_when_none_is_gone(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid one_more = uuid_of(LEDGER_VM_MAX), known = uuid_of(7);

	fill(fixture->ledger);
	assert_int_equal(ledger_admit(fixture->ledger, &one_more), -ENOSPC);
	assert_int_equal(ledger_find(fixture->ledger, &one_more), -ENOENT);
	assert_int_equal(ledger_admit(fixture->ledger, &known), 7);
}

static void test_in_a_full_table_the_longest_gone_departs(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid one_more = uuid_of(LEDGER_VM_MAX), longest = uuid_of(900);
	const struct uuid gone = uuid_of(5), nil = {.bytes = {0}};

	add_two_zones(fixture->ledger);
	fill(fixture->ledger);
	ledger_vm(fixture->ledger, 5)->state = LEDGER_VM_GONE;
	ledger_vm(fixture->ledger, 5)->seen_wall_ns = 2000;
	ledger_vm(fixture->ledger, 900)->state = LEDGER_VM_GONE;
	ledger_vm(fixture->ledger, 900)->seen_wall_ns = 1000;
	ledger_vm(fixture->ledger, 901)->state = LEDGER_VM_GONE;
	ledger_vm(fixture->ledger, 901)->seen_wall_ns = 3000;
	ledger_vm(fixture->ledger, 4)->seen_wall_ns = 10; /* not gone */
	ledger_book(fixture->ledger, 900, 1, LEDGER_ACTIVE, 11);
	assert_int_equal(ledger_admit(fixture->ledger, &one_more), 900);
	assert_int_equal(ledger_find(fixture->ledger, &longest), -ENOENT);
	assert_int_equal(ledger_find(fixture->ledger, &one_more), 900);
	assert_int_equal(ledger_find(fixture->ledger, &gone), 5);
	assert_int_equal(ledger_find(fixture->ledger, &nil), 0);
	assert_int_equal(ledger_vm(fixture->ledger, 0)->shares[1].part_uj[LEDGER_ACTIVE], 11);
	assert_int_equal(ledger_vm(fixture->ledger, 900)->shares[1].part_uj[LEDGER_ACTIVE], 0);
}

static void test_conservation_tells_how_much_is_missing(void **state)
{
	const struct fixture *fixture = *state;
	const struct uuid uuid = uuid_of(1);
	struct ledger_host *host = ledger_host(fixture->ledger);
	size_t slot = (size_t)ledger_admit(fixture->ledger, &uuid);

	add_two_zones(fixture->ledger);
	host->zones[1].energy_uj = 100;
	host->zones[1].other_uj = 20;
	host->zones[1].idle_uj = 30;
	ledger_book(fixture->ledger, slot, 1, LEDGER_ACTIVE, 5);
	ledger_book(fixture->ledger, slot, 1, LEDGER_IDLE, 6);
	ledger_book(fixture->ledger, slot, 1, LEDGER_OVERHEAD, 7);
	assert_int_equal(ledger_share_total_uj(&ledger_vm(fixture->ledger, slot)->shares[1]), 18);
	assert_int_equal(ledger_conservation_error_uj(fixture->ledger, 0), 0);
	assert_int_equal(ledger_conservation_error_uj(fixture->ledger, 1), 32);
	assert_int_equal(
	    ledger_copy_conservation_error_uj(host, ledger_vm(fixture->ledger, slot), 1, 1), 32);
	ledger_book(fixture->ledger, slot, 1, LEDGER_ACTIVE, 33);
	assert_int_equal(ledger_conservation_error_uj(fixture->ledger, 1), -1);
}

static void test_the_fixture_of_the_views_adds_up(void **state)
{
	struct ledger *ledger = ledger_fixture_create();

	(void)state;
	for (uint32_t zone = 0; zone < ledger_host(ledger)->zone_count; zone++)
		assert_int_equal(ledger_conservation_error_uj(ledger, zone), 0);
	ledger_destroy(ledger);
}

int main(void)
{
#define LEDGER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    LEDGER_TEST(test_zones_are_found_again_by_their_id),
	    LEDGER_TEST(test_zones_end_at_their_maximum),
	    LEDGER_TEST(test_an_account_is_opened_empty_and_found_again),
	    LEDGER_TEST(test_thousands_come_and_go_and_none_is_lost),
	    LEDGER_TEST(test_the_departed_account_keeps_the_sums),
	    LEDGER_TEST(test_a_full_table_refuses_when_none_is_gone),
	    LEDGER_TEST(test_in_a_full_table_the_longest_gone_departs),
	    LEDGER_TEST(test_conservation_tells_how_much_is_missing),
	    cmocka_unit_test(test_the_fixture_of_the_views_adds_up),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
