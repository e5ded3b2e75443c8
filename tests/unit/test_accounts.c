/* accounts.h: a machine whose work is known is divided as it worked, exactly, whatever comes and
 * goes. */
#include "guest/accounts_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_guest.h"

#include <inttypes.h>
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

/* Where processes are looked at seldom, they are at once when a gap ends: no power that is not
 * known is shown as none. */
static void test_processes_are_looked_at_after_a_gap(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t one = made_up_guest_start(guest, 100, a, 4000000001);

	(void)state;
	begin(guest);
	for (int i = 0; i < 3; i++) {
		made_up_guest_work(guest, one, 400 * MS);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		if (i == 1)
			tree_write(&guest->guest.tree,
				   "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj",
				   "?\n");
		made_up_guest_tick(guest);
		/* As if that had cost much. */
		if (i == 0) {
			guest->accounts->looks.every = 8;
			guest->accounts->looks.left = 7;
		}
	}
	assert_int_equal(guest->view->interval_ns, 2 * SECOND);
	assert_int_equal(guest->view->process_period_ns, 2 * SECOND);
	assert_int_equal(guest->view->groups[ACCOUNT_PROCESS].pending_uj, 0);
	check_near(made_up_guest_account(guest, ACCOUNT_PROCESS, "work 100")->total.power_uw,
		   10 * WATT);
	stop(guest);
}

/* Of one unit 3 : 1 to two processes of two users; what neither has used is the rest's. */
static void test_processes(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t one = made_up_guest_start(guest, 100, a, 4000000001);
	size_t two = made_up_guest_start(guest, 200, a, 4000000002);
	const struct account *account;

	(void)state;
	begin(guest);
	for (int i = 0; i < 4; i++) {
		made_up_guest_work(guest, one, 600 * MS);
		made_up_guest_work(guest, two, 200 * MS);
		made_up_guest_run(guest, a, 200 * MS);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		made_up_guest_tick(guest);
	}
	check_near(energy_of(guest, ACCOUNT_PROCESS, "work 100"), 24 * WATT);
	check_near(energy_of(guest, ACCOUNT_PROCESS, "work 200"), 8 * WATT);
	check_near(energy_of(guest, ACCOUNT_USER, "4000000001"), 24 * WATT);
	check_near(energy_of(guest, ACCOUNT_USER, "4000000002"), 8 * WATT);
	check_near(guest->view->groups[ACCOUNT_PROCESS].rest.total.energy_uj, 8 * WATT);
	check_near(guest->view->groups[ACCOUNT_PROCESS].lost_uj, 8 * WATT);
	account = made_up_guest_account(guest, ACCOUNT_PROCESS, "work 100");
	assert_int_equal(account->pid, 100);
	assert_int_equal(account->members, 1);
	assert_string_equal(account->detail, "a.service");
	assert_int_equal(made_up_guest_account(guest, ACCOUNT_UNIT, "a.service")->members, 2);
	stop(guest);
}

/* Looked at between fork and exec, a service is not yet what it will be for the rest of its life.
 */
static void test_a_process_becomes_a_program(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t process = made_up_guest_start(guest, 100, a, 4000000001);

	(void)state;
	begin(guest);
	for (int i = 0; i < 20; i++) {
		made_up_guest_work(guest, process, 400 * MS);
		if (i > 0)
			tree_write(&guest->guest.tree, "proc/100/stat",
				   "100 (daemon) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %" PRIu64
				   " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0\n",
				   guest->processes[process].start_ticks);
		made_up_guest_pass(guest, SECOND, 20 * WATT);
		made_up_guest_tick(guest);
	}
	assert_int_equal(guest->view->groups[ACCOUNT_PROCESS].count, 1);
	check_near(energy_of(guest, ACCOUNT_PROCESS, "daemon"), 200 * WATT);
	stop(guest);
}

/* One that comes by the number of another is not taken for it, however much time it shows. */
static void test_a_number_is_given_again(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t b = made_up_guest_add(guest, "/system.slice/b.service");
	size_t process = made_up_guest_start(guest, 100, a, 4000000001);

	(void)state;
	begin(guest);
	made_up_guest_work(guest, process, 400 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_USER, "4000000001"), 10 * WATT);
	made_up_guest_end(guest, process);
	process = made_up_guest_start(guest, 100, b, 4000000002);
	made_up_guest_work(guest, process, 800 * MS);
	made_up_guest_run(guest, a, 800 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	/* What its unit used after it was seen last is no process', but still the user's. */
	check_near(energy_of(guest, ACCOUNT_USER, "4000000001"), 15 * WATT);
	check_near(energy_of(guest, ACCOUNT_USER, "4000000002"), 5 * WATT);
	/* It has left its seat to the other: these have the same number and name. */
	check_near(guest->view->groups[ACCOUNT_PROCESS].rest.total.energy_uj, 15 * WATT);
	stop(guest);
}

/* What a process has used that began after a look is of that time, on a machine that was suspended
 * before, too. */
static void test_after_suspension(void **state)
{
	struct made_up_guest *guest = start(2);
	size_t a = made_up_guest_add(guest, "/system.slice/a.service");
	size_t process;

	(void)state;
	manual_clock_suspend(&guest->clock, 3600 * SECOND);
	begin(guest);
	made_up_guest_pass(guest, SECOND, 10 * WATT);
	made_up_guest_tick(guest);
	process = made_up_guest_start(guest, 100, a, 4000000001);
	made_up_guest_work(guest, process, 400 * MS);
	made_up_guest_pass(guest, SECOND, 20 * WATT);
	made_up_guest_tick(guest);
	check_near(energy_of(guest, ACCOUNT_PROCESS, "work 100"), 10 * WATT);
	stop(guest);
}

/* Random trees, births, deaths, restarts and numbers that are given again: every total only grows
 * while it is shown, the rest always; that sums are exact is asserted at every view itself. */
static void check_no_decrease(const struct accounts_view *before, const struct accounts_view *after)
{
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++) {
		const struct accounts_group *old = &before->groups[kind],
					    *new = &after->groups[kind];

		assert_true(new->rest.total.energy_uj >= old->rest.total.energy_uj);
		assert_true(new->count <= options.top);
		for (size_t i = 0; i < new->count; i++)
			for (size_t k = 0; k < old->count; k++)
				if (strcmp(new->accounts[i].name, old->accounts[k].name) == 0 &&
				    strcmp(new->accounts[i].detail, old->accounts[k].detail) == 0 &&
				    new->accounts[i].pid ==
					old->accounts[k].pid &&new->accounts[i].total.energy_uj <
					    old->accounts[k].total.energy_uj)
					/* Whoever had to go and came again in one round begins at
					 * 0. */
					assert_true(new->rest.total.energy_uj >=
						    old->rest.total.energy_uj +
							old->accounts[k].total.energy_uj);
	}
	assert_true(after->total.energy_uj >= before->total.energy_uj);
	assert_true(after->total.idle_uj >= before->total.idle_uj);
	assert_true(after->total.other_uj >= before->total.other_uj);
}

static void start_process(struct made_up_guest *guest, int32_t pid, size_t cgroup)
{
	for (size_t i = 0; i < MADE_UP_PROCESS_MAX; i++)
		if (guest->processes[i].pid == pid)
			return;
	(void)made_up_guest_start(guest, pid, cgroup, (uint32_t)cgroup % 5);
}

static void random_event(struct made_up_guest *guest, uint64_t *random)
{
	static const char *const parents[] = {"/system.slice", "/user.slice/user-1.slice", "",
					      "/kubepods.slice/kubepods-podx.slice"};
	size_t process = check_random_below(random, 64);
	size_t cgroup = check_random_below(random, guest->count);
	char path[MADE_UP_CGROUP_PATH];

	switch (check_random_below(random, 8)) {
	case 0:
		(void)snprintf(path, sizeof(path), "%s/%d.service",
			       parents[check_random_below(random, CHECK_COUNT(parents))],
			       (int)check_random_below(random, 30));
		(void)made_up_guest_add(guest, path);
		break;
	case 1:
		for (size_t i = 0; cgroup > 0 && i < MADE_UP_PROCESS_MAX; i++)
			if (guest->processes[i].pid != 0 && guest->processes[i].cgroup == cgroup)
				made_up_guest_end(guest, i);
		if (cgroup > 0 && guest->cgroups[cgroup].there &&
		    check_random_below(random, 3) == 0)
			made_up_guest_rmdir(guest, cgroup);
		break;
	case 2:
		if (guest->processes[process].pid != 0)
			made_up_guest_end(guest, process);
		break;
	case 3:
		/* Of several processes each has a number of its own; it is given again. */
		if (guest->cgroups[cgroup].there && guest->processes[process].pid == 0)
			start_process(guest, 2 + (int32_t)check_random_below(random, 100), cgroup);
		break;
	default:
		if (guest->processes[process].pid != 0)
			made_up_guest_work(guest, process, check_random_below(random, 50 * MS));
		else if (guest->cgroups[cgroup].there)
			made_up_guest_run(guest, cgroup, check_random_below(random, 50 * MS));
	}
}

static void test_random_machines(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct made_up_guest *guest = start(1 + (int)(seed % 2));
		const struct accounts_view *before;
		uint64_t random = seed, elapsed_ns;

		begin(guest);
		for (int tick = 0; tick < 40; tick++) {
			for (uint64_t i = check_random_below(&random, 40); i > 0; i--)
				random_event(guest, &random);
			/* In this order, whatever the compiler likes. */
			elapsed_ns = SECOND / 10 + check_random_below(&random, SECOND);
			made_up_guest_pass(guest, elapsed_ns,
					   check_random_below(&random, 40 * WATT));
			before = accounts_view_acquire(guest->view);
			made_up_guest_tick(guest);
			check_no_decrease(before, guest->view);
			accounts_view_release(before);
		}
		stop(guest);
	}
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
	    cmocka_unit_test(test_processes_are_looked_at_after_a_gap),
	    cmocka_unit_test(test_processes),
	    cmocka_unit_test(test_a_process_becomes_a_program),
	    cmocka_unit_test(test_a_number_is_given_again),
	    cmocka_unit_test(test_after_suspension),
	    cmocka_unit_test(test_random_machines),
	    cmocka_unit_test(test_no_cgroups),
	    cmocka_unit_test(test_many_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
