/* accounts.h: a machine whose work is known is divided as it worked, exactly, whatever comes and
 * goes. */
#include "guest/accounts.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_guest.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND CLOCK_NS_PER_SECOND
#define MS     CLOCK_NS_PER_MS
#define WATT   UINT64_C(1000000) /* uJ a second */

/* Static power as given, so that what work draws is known: 10 W of it. */
static const struct accounts_options options = {.top = 20,
						.package = {.given = true, .power_uw = 10 * WATT}};

static struct made_up_guest *start(int version)
{
	struct made_up_guest *guest = malloc(sizeof(*guest));

	CHECK_POINTER(guest);
	made_up_guest_create(guest, version);
	return guest;
}

static void stop(struct made_up_guest *guest)
{
	made_up_guest_remove(guest);
	free(guest);
}

static void begin(struct made_up_guest *guest)
{
	made_up_guest_pass(guest, 0, 0);
	made_up_guest_open(guest, &options);
	made_up_guest_tick(guest);
	assert_int_equal(guest->view->total.energy_uj, 0);
}

static uint64_t energy_of(const struct made_up_guest *guest, enum account_kind kind,
			  const char *name)
{
	const struct account *account = made_up_guest_account(guest, kind, name);

	if (account == NULL)
		fail_msg("no %s %s", account_kind_name(kind), name);
	CHECK_POINTER(account);
	return account->total.energy_uj;
}

static void check_near(uint64_t got, uint64_t wanted)
{
	uint64_t off = got > wanted ? got - wanted : wanted - got;

	if (off > wanted / 200 + 2)
		fail_msg("%lu instead of %lu", got, wanted);
}

/* Two services and a container, 1 : 2 : 3, in 20 W of which 10 are idle. */
static void check_shares(int version)
{
	static const char container[] =
	    "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct made_up_guest *guest = start(version);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t b = made_up_guest_add(guest, "/system.slice/b.service");
	size_t c = made_up_guest_add(guest, container);

	made_up_guest_run(guest, a, 77 * SECOND); /* before anybody looked */
	begin(guest);
	for (int i = 0; i < 10; i++) {
		made_up_guest_run(guest, a, 100 * MS);
		made_up_guest_run(guest, b, 200 * MS);
		made_up_guest_run(guest, c, 300 * MS);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		made_up_guest_tick(guest);
	}
	assert_int_equal(guest->view->total.energy_uj, 200 * WATT);
	check_near(guest->view->total.idle_uj, 100 * WATT);
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), 100 * WATT / 6);
	check_near(energy_of(guest, ACCOUNT_UNIT, "b.service"), 200 * WATT / 6);
	check_near(energy_of(guest, ACCOUNT_UNIT, container + 1), 300 * WATT / 6);
	check_near(energy_of(guest, ACCOUNT_SLICE, "system.slice"), 300 * WATT / 6);
	check_near(energy_of(guest, ACCOUNT_CONTAINER, container + sizeof("/docker/") - 1),
		   300 * WATT / 6);
	assert_int_equal(made_up_guest_account(guest, ACCOUNT_UNIT, "a.service")->cpu_ns, SECOND);
	stop(guest);
}

static void test_shares_v2(void **state)
{
	(void)state;
	check_shares(2);
}

static void test_shares_v1(void **state)
{
	(void)state;
	check_shares(1);
}

/* A unit that came, worked and went between two ticks is in its slice; one that was seen, too, gets
 * what it used after it was seen last. Nothing is lost to other. */
static void test_short_lives(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t short_one, unseen;

	(void)state;
	begin(guest);
	made_up_guest_run(guest, a, 100 * MS);
	short_one = made_up_guest_add(guest, "/system.slice/short.service");
	made_up_guest_run(guest, short_one, 100 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	/* All of its first interval is its own. */
	check_near(energy_of(guest, ACCOUNT_UNIT, "short.service"), 5 * WATT);
	made_up_guest_run(guest, a, 100 * MS);
	made_up_guest_run(guest, short_one, 100 * MS);
	made_up_guest_rmdir(guest, short_one);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_UNIT, "short.service"), 10 * WATT);
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), 10 * WATT);
	unseen = made_up_guest_add(guest, "/system.slice/unseen.service");
	made_up_guest_run(guest, unseen, 100 * MS);
	made_up_guest_rmdir(guest, unseen);
	made_up_guest_run(guest, a, 100 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_UNIT, "system.slice"), 5 * WATT);
	check_near(energy_of(guest, ACCOUNT_SLICE, "system.slice"), 30 * WATT);
	assert_int_equal(guest->view->total.other_uj, 0);
	stop(guest);
}

/* A service that is started again goes on where it was: it is another control group of the same
 * name, and its counter begins at 0. */
static void test_a_restart_goes_on(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	uint64_t before_uj;

	(void)state;
	begin(guest);
	made_up_guest_run(guest, a, 900 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	before_uj = energy_of(guest, ACCOUNT_UNIT, "a.service");
	made_up_guest_rmdir(guest, a);
	a = made_up_guest_add(guest, "/system.slice/a.service");
	made_up_guest_run(guest, a, 100 * MS);
	made_up_guest_pass(guest, SECOND, 11 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), before_uj + 1 * WATT);
	made_up_guest_rmdir(guest, a);
	for (int i = 0; i < 3; i++) {
		made_up_guest_pass(guest, SECOND, 10 * WATT);
		made_up_guest_tick(guest);
	}
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), before_uj + 1 * WATT);
	a = made_up_guest_add(guest, "/system.slice/a.service");
	made_up_guest_run(guest, a, 100 * MS);
	made_up_guest_pass(guest, SECOND, 11 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), before_uj + 2 * WATT);
	stop(guest);
}

/* While the zones cannot be read nothing is divided; then all of it is, by the work of all of the
 * time. */
static void test_a_gap_is_divided_afterwards(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t b = made_up_guest_add(guest, "/system.slice/b.service");

	(void)state;
	begin(guest);
	made_up_guest_run(guest, a, 400 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	for (int i = 0; i < 3; i++) {
		made_up_guest_run(guest, i < 2 ? a : b, 400 * MS);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		tree_write(&guest->guest.tree,
			   "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj", "?\n");
		made_up_guest_tick(guest);
		assert_false(guest->view->reading.up);
		assert_int_equal(guest->view->total.energy_uj, 20 * WATT);
		assert_int_equal(guest->view->total.power_uw, 0);
	}
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	assert_true(guest->view->reading.up);
	assert_int_equal(guest->view->interval_ns, 4 * SECOND);
	assert_int_equal(guest->view->total.energy_uj, 100 * WATT);
	check_near(energy_of(guest, ACCOUNT_UNIT, "a.service"), 10 * WATT + 80 * WATT / 3);
	check_near(energy_of(guest, ACCOUNT_UNIT, "b.service"), 40 * WATT / 3);
	stop(guest);
}

/* A machine without control groups divides nothing among units, and says so by having none. */
static void test_no_cgroups(void **state)
{
	struct made_up_guest *guest = start(0);

	(void)state;
	begin(guest);
	made_up_guest_be_busy(guest, SECOND);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	assert_int_equal(guest->view->groups[ACCOUNT_UNIT].count, 0);
	assert_int_equal(guest->view->total.other_uj, 10 * WATT);
	stop(guest);
}

/* More units than there is room for: those beyond are in the rest, and the sum stays whole. */
static void test_many_units(void **state)
{
	struct made_up_guest *guest = start(2);
	char path[64];
	uint64_t sum_uj;

	(void)state;
	begin(guest);
	for (int i = 0; i < 700; i++) {
		(void)snprintf(path, sizeof(path), "/system.slice/%d.service", i);
		(void)made_up_guest_add(guest, path);
	}
	for (int i = 0; i < 3; i++) {
		for (size_t k = 2; k < guest->count; k++)
			made_up_guest_run(guest, k, 4 * MS);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		made_up_guest_tick(guest);
	}
	assert_int_equal(guest->view->groups[ACCOUNT_UNIT].count, options.top);
	sum_uj = guest->view->groups[ACCOUNT_UNIT].rest.total.energy_uj;
	for (size_t i = 0; i < options.top; i++)
		sum_uj += guest->view->groups[ACCOUNT_UNIT].accounts[i].total.energy_uj;
	check_near(sum_uj, 30 * WATT);
	check_near(energy_of(guest, ACCOUNT_SLICE, "system.slice"), 30 * WATT * 510 / 700);
	stop(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares_v2),
	    cmocka_unit_test(test_shares_v1),
	    cmocka_unit_test(test_short_lives),
	    cmocka_unit_test(test_a_restart_goes_on),
	    cmocka_unit_test(test_a_gap_is_divided_afterwards),
	    cmocka_unit_test(test_no_cgroups),
	    cmocka_unit_test(test_many_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
