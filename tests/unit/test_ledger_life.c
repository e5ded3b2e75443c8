/* ledger_life.h: where a ledger comes from, and when it is saved. */
#include "common/cleanup.h"
#include "common/ledger_floors.h"
#include "common/ledger_life.h"
#include "common/ledger_map.h"
#include "common/ledger_store.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS	      CLOCK_NS_PER_MS
#define CHECKPOINT_MS UINT64_C(5000)

struct fixture {
	struct tree tree;
	struct manual_clock clock;
	struct ledger_life_context context;
	struct ledger_life *life;
	struct ledger_vm *vm;
};

static const struct uuid machine = {.bytes = {1}};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.life = NULL};
	tree_create(&fixture.tree);
	manual_clock_init(&fixture.clock, (struct mono_time){1000 * MS},
			  (struct wall_time){UINT64_C(1700000000000000000)});
	fixture.context = (struct ledger_life_context){
	    .clock = &fixture.clock.clock,
	    .boot = {.bytes = {7}},
	    .runtime_fd = openat(fixture.tree.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    .state_fd = openat(fixture.tree.fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    .checkpoint_ns = CHECKPOINT_MS * MS,
	};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	ledger_life_close(fixture->life);
	(void)close(fixture->context.runtime_fd);
	(void)close(fixture->context.state_fd);
	tree_remove(&fixture->tree);
	return 0;
}

/* Opens it as the next wattportd would. */
static const struct ledger_life_start *begin(struct fixture *fixture)
{
	struct diag diag = DIAG_INIT;

	ledger_life_close(fixture->life);
	if (ledger_life_open(&fixture->context, &fixture->life, &diag) < 0)
		fail_msg("%s", diag.text);
	return ledger_life_start(fixture->life);
}

/* A sample in which the machine used that much. */
static void publish(struct fixture *fixture, uint64_t used_uj)
{
	struct ledger *ledger = ledger_life_ledger(fixture->life);
	int slot = ledger_admit(ledger, &machine);

	assert_true(slot > 0);
	fixture->vm = ledger_vm(ledger, (size_t)slot);
	fixture->vm->guest_psys_uj += used_uj;
	ledger_host(ledger)->sample_count++;
	assert_int_equal(ledger_life_publish(fixture->life), 0);
}

/* The account and the floor on disk; 0 and 0 while nothing is there. */
static struct ledger_vm on_disk(const struct fixture *fixture)
{
	cleanup_ledger struct ledger *ledger = NULL;
	struct diag diag = DIAG_INIT;
	int count;

	assert_int_equal(ledger_create(&ledger), 0);
	count = ledger_store_load(fixture->context.state_fd, ledger, &diag);
	assert_string_equal(diag.text, "");
	assert_in_range(count, 0, 1);
	return count > 0 ? *ledger_vm(ledger, (size_t)ledger_find(ledger, &machine))
			 : (struct ledger_vm){.state = 0};
}

static void lose_map(const struct fixture *fixture)
{
	assert_int_equal(unlinkat(fixture->context.runtime_fd, LEDGER_MAP_NAME, 0), 0);
}

static void test_where_it_comes_from(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_NEW);
	publish(fixture, 5000);
	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_MEMORY);
	assert_int_equal(ledger_life_start(fixture->life)->account_count, 1);
	publish(fixture, 5000);
	lose_map(fixture);
	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_CUT);
	assert_int_equal(ledger_life_start(fixture->life)->account_count, 1);
	publish(fixture, 5000);
	assert_int_equal(ledger_life_end(fixture->life), 0);
	lose_map(fixture);
	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_ORDERLY);
	publish(fixture, 0);
	/* That end is over: the run after it has not ended yet. */
	lose_map(fixture);
	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_CUT);
}

static void test_damage_is_told(void **state)
{
	struct fixture *fixture = *state;

	tree_write(&fixture->tree, "proc/" LEDGER_STORE_NAME, "damage");
	assert_int_equal(begin(fixture)->origin, LEDGER_LIFE_NEW);
	check_contains(ledger_life_start(fixture->life)->damage.text, "set aside");
}

static void test_one_writer_at_a_time(void **state)
{
	struct fixture *fixture = *state;
	cleanup_ledger_life struct ledger_life *other = NULL;
	struct diag diag = DIAG_INIT;

	(void)begin(fixture);
	assert_int_equal(ledger_life_open(&fixture->context, &other, &diag), -EBUSY);
	check_contains(diag.text, "another wattportd");
}

/* What is published never passes what is on disk. */
static void test_saves_before_a_floor_passes_its_ceiling(void **state)
{
	struct fixture *fixture = *state;
	uint64_t used_uj = 0;

	(void)begin(fixture);
	for (uint64_t i = 0; i < 40; i++) {
		struct ledger_vm disk;

		publish(fixture, i * 100000);
		used_uj += i * 100000;
		disk = on_disk(fixture);
		assert_int_equal(fixture->vm->guest_psys_uj, used_uj);
		assert_true(disk.guest_psys_floor_uj >= fixture->vm->guest_psys_floor_uj);
		/* Not at each of them, and not what is not yet used. */
		assert_true(disk.guest_psys_uj <= used_uj);
		if (i == 2)
			assert_int_equal(disk.guest_psys_uj, 0);
		manual_clock_advance(&fixture->clock, 100 * MS);
	}
}

static void test_when_it_is_due(void **state)
{
	struct fixture *fixture = *state;

	(void)begin(fixture);
	publish(fixture, 0);
	assert_false(ledger_life_is_due(fixture->life));
	manual_clock_advance(&fixture->clock, CHECKPOINT_MS * MS - 1);
	assert_false(ledger_life_is_due(fixture->life));
	manual_clock_advance(&fixture->clock, 1);
	assert_true(ledger_life_is_due(fixture->life));
	assert_int_equal(ledger_life_save(fixture->life), 0);
	assert_false(ledger_life_is_due(fixture->life));
	/* A machine that begins to use more than its room was made for. */
	publish(fixture, LEDGER_FLOORS_ROOM_UJ / 2);
	assert_false(ledger_life_is_due(fixture->life));
	publish(fixture, LEDGER_FLOORS_ROOM_UJ / 3);
	assert_true(ledger_life_is_due(fixture->life));
	assert_int_equal(ledger_life_save(fixture->life), 0);
	assert_false(ledger_life_is_due(fixture->life));
	ledger_life_set_checkpoint(fixture->life, 100 * MS);
	manual_clock_advance(&fixture->clock, 100 * MS);
	assert_true(ledger_life_is_due(fixture->life));
}

/* Readers come before the promise: a disk that is full stops no counter, and is not tried again for
 * each of them. */
static void test_a_saving_that_fails_is_told_and_harms_no_reader(void **state)
{
	struct fixture *fixture = *state;
	const char *text = NULL;

	(void)begin(fixture);
	publish(fixture, 0);
	assert_int_equal(ledger_life_saving(fixture->life, &text), 0);
	assert_string_equal(text, "");
	manual_clock_advance(&fixture->clock, 1000 * MS);
	fault_arm(FAULT_FSYNC, 1, ENOSPC);
	publish(fixture, 50000000);
	assert_true(fault_disarm());
	assert_int_equal(fixture->vm->guest_psys_floor_uj, 50000001);
	assert_int_equal(on_disk(fixture).guest_psys_uj, 0);
	assert_int_equal(ledger_life_saving(fixture->life, &text), -ENOSPC);
	check_contains(text, "--state-dir");
	assert_false(ledger_life_is_due(fixture->life));
	manual_clock_advance(&fixture->clock, 1000 * MS - 1);
	publish(fixture, 50000000);
	assert_int_equal(on_disk(fixture).guest_psys_uj, 0);
	assert_false(ledger_life_is_due(fixture->life));
	manual_clock_advance(&fixture->clock, 1);
	assert_true(ledger_life_is_due(fixture->life));
	assert_int_equal(ledger_life_save(fixture->life), 0);
	assert_int_equal(ledger_life_saving(fixture->life, &text), 0);
	assert_int_equal(on_disk(fixture).guest_psys_uj, 100000000);
}

/* Its limit is what it has open: the accounts are saved all the same, again and again. */
static void test_saves_when_nothing_more_may_be_opened(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit former, limit;
	int lowest;

	(void)begin(fixture);
	publish(fixture, 5000);
	lowest = dup(fixture->context.state_fd);
	assert_true(lowest >= 0);
	(void)close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
	limit = former;
	limit.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dup(fixture->context.state_fd), -1);
		assert_int_equal(ledger_life_save(fixture->life), 0);
		publish(fixture, 5000);
	}
	assert_int_equal(ledger_life_end(fixture->life), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
	assert_int_equal(on_disk(fixture).guest_psys_uj, 20000);
}

/* RAPL's counters, process ids and clocks are those of one boot. */
static void test_readings_are_good_for_their_boot_alone(void **state)
{
	struct fixture *fixture = *state;

	for (int away = 0; away < 4; away++) {
		struct ledger *ledger;

		(void)begin(fixture);
		ledger = ledger_life_ledger(fixture->life);
		publish(fixture, 1);
		ledger_host(ledger)->zone_count = 1;
		ledger_host(ledger)->zones[0].reading =
		    (struct ledger_reading){.raw_uj = 5, .range_uj = 100};
		fixture->vm->process.run = 9;
		publish(fixture, 1);
		assert_int_equal(ledger_life_save(fixture->life), 0);
		if (away > 0)
			lose_map(fixture);
		if (away == 2)
			fixture->context.boot.bytes[0]++;
		if (away == 3)
			fixture->clock.mono.ns = 1;
		(void)begin(fixture);
		assert_int_equal(ledger_has_readings(ledger_life_ledger(fixture->life)), away < 2);
		assert_int_equal(ledger_vm(ledger_life_ledger(fixture->life), 1)->process.run,
				 away < 2 ? 9 : 0);
	}
}

/* How long a machine has been gone is what went by, not what somebody made of the clock. */
static void test_a_wall_clock_that_is_set_moves_what_it_told(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seen_ns = fixture->clock.wall.ns;

	(void)begin(fixture);
	publish(fixture, 1);
	fixture->vm->seen_wall_ns = seen_ns;
	manual_clock_advance(&fixture->clock, 7000 * MS);
	publish(fixture, 1);
	assert_int_equal(fixture->vm->seen_wall_ns, seen_ns);
	/* Forward by a year, also over a restart; and back by two. */
	fixture->clock.wall.ns += 31536000000 * MS;
	(void)begin(fixture);
	publish(fixture, 1);
	assert_int_equal(fixture->clock.wall.ns - fixture->vm->seen_wall_ns, 7000 * MS);
	fixture->clock.wall.ns -= 2 * 31536000000 * MS;
	publish(fixture, 1);
	assert_int_equal(fixture->clock.wall.ns - fixture->vm->seen_wall_ns, 7000 * MS);
	/* A night of sleep is time that went by. */
	manual_clock_suspend(&fixture->clock, 3600000 * MS);
	publish(fixture, 1);
	assert_int_equal(fixture->clock.wall.ns - fixture->vm->seen_wall_ns, 3607000 * MS);
}

static void test_opening_may_fail_at_any_call(void **state)
{
	struct fixture *fixture = *state;
	unsigned nth = 0;
	int status;

	(void)begin(fixture);
	publish(fixture, 5000);
	assert_int_equal(ledger_life_end(fixture->life), 0);
	ledger_life_close(fixture->life);
	fixture->life = NULL;
	do {
		struct diag diag = DIAG_INIT;

		lose_map(fixture);
		fault_arm(FAULT_ANY, ++nth, EIO);
		status = ledger_life_open(&fixture->context, &fixture->life, &diag);
		if (!fault_disarm())
			break;
		/* What was left behind need not go, and room is asked for in two ways. */
		if (status == 0) {
			ledger_life_close(fixture->life);
			fixture->life = NULL;
			continue;
		}
		assert_true(diag.text[0] != '\0');
		assert_null(fixture->life);
		/* It may have been made before the failure; and must be there to be lost. */
		tree_write(&fixture->tree, "sys/" LEDGER_MAP_NAME, "%s", "");
	} while (nth < 100);
	assert_int_equal(status, 0);
	assert_in_range(nth, 5, 50);
}

int main(void)
{
#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    LIFE_TEST(test_where_it_comes_from),
	    LIFE_TEST(test_damage_is_told),
	    LIFE_TEST(test_one_writer_at_a_time),
	    LIFE_TEST(test_saves_before_a_floor_passes_its_ceiling),
	    LIFE_TEST(test_when_it_is_due),
	    LIFE_TEST(test_a_saving_that_fails_is_told_and_harms_no_reader),
	    LIFE_TEST(test_saves_when_nothing_more_may_be_opened),
	    LIFE_TEST(test_readings_are_good_for_their_boot_alone),
	    LIFE_TEST(test_a_wall_clock_that_is_set_moves_what_it_told),
	    LIFE_TEST(test_opening_may_fail_at_any_call),
	};

	return cmocka_run_group_tests_name("ledger_life", tests, NULL, NULL);
}
