/* meter.h: totals, power and what the figures are worth, by a clock that moves when told to. */
#include "common/cleanup.h"
#include "guest/meter.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_NS (UINT64_C(1000) * CLOCK_NS_PER_SECOND)

struct fixture {
	struct guest_tree guest;
	struct manual_clock clock;
	struct meter *meter;
	struct meter_reading reading;
};

static int fixture_create(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	guest_tree_create(&fixture->guest);
	manual_clock_init(&fixture->clock, (struct mono_time){START_NS}, (struct wall_time){0});
	*state = fixture;
	return 0;
}

static int fixture_remove(void **state)
{
	struct fixture *fixture = *state;

	meter_destroy(fixture->meter);
	guest_tree_remove(&fixture->guest);
	free(fixture);
	return 0;
}

static void open_meter(struct fixture *fixture, enum meter_source source)
{
	const struct meter_options options = {.source = source, .at = fixture->guest.at};

	assert_int_equal(
	    meter_create(fixture->guest.root, &fixture->clock.clock, &options, &fixture->meter), 0);
}

static const struct meter_reading *read_meter(struct fixture *fixture)
{
	meter_read(fixture->meter, &fixture->reading);
	return &fixture->reading;
}

static const struct meter_reading *read_after(struct fixture *fixture, uint64_t elapsed_ms)
{
	manual_clock_advance(&fixture->clock, elapsed_ms * CLOCK_NS_PER_MS);
	return read_meter(fixture);
}

static void add_tree(struct fixture *fixture, uint64_t energy_uj)
{
	guest_tree_add_zone(&fixture->guest, "tree", 0, energy_uj, GUEST_TREE_RANGE);
	guest_tree_set_info(&fixture->guest, "powercap", 3);
}

static void set_tree(struct fixture *fixture, uint64_t energy_uj)
{
	guest_tree_set_energy(&fixture->guest, "tree", 0, energy_uj);
}

/* The total is the counter's own number: what other readers of the tree show. */
static void test_reads_the_tree_where_it_is_mounted(void **state)
{
	struct fixture *fixture = *state;
	const struct meter_reading *reading;

	add_tree(fixture, 123456789);
	open_meter(fixture, METER_AUTO);
	reading = read_meter(fixture);
	assert_true(reading->up);
	assert_true(reading->from_tree);
	assert_true(reading->has_info);
	assert_int_equal(reading->info.age_ms, 3);
	assert_false(reading->info.exact);
	assert_false(reading->info.estimate);
	assert_string_equal(reading->info.source, "powercap");
	assert_string_equal(reading->info.uuid, GUEST_TREE_UUID);
	assert_int_equal(reading->zone_count, 1);
	assert_string_equal(reading->zones[0].id, "package-0");
	assert_true(reading->zones[0].available);
	assert_int_equal(reading->zones[0].energy_uj, 123456789);
	assert_false(reading->zones[0].has_power);
	set_tree(fixture, 123456999);
	assert_int_equal(read_after(fixture, 10)->zones[0].energy_uj, 123456999);
}

static void test_power_is_a_mean_over_at_least_a_second(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	assert_false(read_meter(fixture)->zones[0].has_power);
	set_tree(fixture, 2000000);
	assert_false(read_after(fixture, 999)->zones[0].has_power);
	set_tree(fixture, 3000000);
	assert_true(read_after(fixture, 1)->zones[0].has_power);
	assert_int_equal(fixture->reading.zones[0].power_uw, 2000000);
	/* Half a second later the mean is over 1.5 s, from the first reading still. */
	set_tree(fixture, 4000000);
	assert_int_equal(read_after(fixture, 500)->zones[0].power_uw, 2000000);
	/* A scrape every 15 s sees the mean of these. */
	set_tree(fixture, 34000000);
	(void)read_after(fixture, 15000);
	set_tree(fixture, 64000000);
	assert_int_equal(read_after(fixture, 15000)->zones[0].power_uw, 2000000);
	set_tree(fixture, 64000000 + 150000000);
	assert_int_equal(read_after(fixture, 15000)->zones[0].power_uw, 10000000);
}

static void test_unwraps_bare_metal(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t range_uj = 262143328850;

	guest_tree_add_zone(&fixture->guest, "sys", 0, range_uj - 1000000, "262143328850");
	open_meter(fixture, METER_AUTO);
	assert_true(read_meter(fixture)->up);
	assert_false(fixture->reading.from_tree);
	assert_false(fixture->reading.has_info);
	guest_tree_set_energy(&fixture->guest, "sys", 0, 1000000);
	(void)read_after(fixture, 1000);
	/* The range, and one hardware unit of 61 uJ (counter.h). */
	assert_in_range(fixture->reading.zones[0].energy_uj, range_uj + 1000000,
			range_uj + 1000100);
	assert_in_range(fixture->reading.zones[0].power_uw, 2000000, 2000100);
}

/* A tree on a machine with RAPL: the tree is what was asked for first. */
static void test_prefers_the_tree(void **state)
{
	struct fixture *fixture = *state;

	guest_tree_add_zone(&fixture->guest, "sys", 0, 1, "262143328850");
	add_tree(fixture, 2);
	open_meter(fixture, METER_AUTO);
	assert_int_equal(read_meter(fixture)->zones[0].energy_uj, 2);
	meter_destroy(fixture->meter);
	fixture->meter = NULL;
	open_meter(fixture, METER_POWERCAP);
	assert_int_equal(read_meter(fixture)->zones[0].energy_uj, 1);
}

static void test_is_not_up_when_the_data_is_old(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	(void)read_meter(fixture);
	guest_tree_set_info(&fixture->guest, "powercap", METER_AGE_MS_MAX);
	set_tree(fixture, 1002000);
	assert_true(read_after(fixture, 2000)->up);
	assert_true(fixture->reading.zones[0].has_power);
	guest_tree_set_info(&fixture->guest, "powercap", METER_AGE_MS_MAX + 1);
	assert_false(read_after(fixture, 2000)->up);
	assert_int_equal(fixture->reading.info.age_ms, METER_AGE_MS_MAX + 1);
	assert_false(fixture->reading.zones[0].has_power);
	check_contains(fixture->reading.reason.text, "10 s old");
	/* It is back: what was used meanwhile is in the total, and power goes on. */
	guest_tree_set_info(&fixture->guest, "powercap", 1);
	set_tree(fixture, 9000000);
	assert_true(read_after(fixture, 2000)->up);
	assert_int_equal(fixture->reading.zones[0].energy_uj, 9000000);
	assert_true(fixture->reading.zones[0].has_power);
}

/* Plain files whose writer has gone: their age is small, and stays so. */
static void test_is_not_up_when_the_counters_stand_still(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	assert_true(read_meter(fixture)->up);
	assert_true(read_after(fixture, METER_AGE_MS_MAX)->up);
	assert_false(read_after(fixture, 1)->up);
	assert_false(fixture->reading.zones[0].has_power);
	check_contains(fixture->reading.reason.text, "wattport-fs");
	set_tree(fixture, 1000001);
	assert_true(read_after(fixture, 60000)->up);
	assert_true(read_after(fixture, 1000)->up);
	assert_false(read_after(fixture, 60000)->up);
}

/* Plain files do not become shorter. */
static void test_takes_texts_that_are_filled_up(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	tree_write(&fixture->guest.tree, "tree/wattport/age_ms", "12   \n");
	tree_write(&fixture->guest.tree, "tree/wattport/mode", "exact   \n");
	tree_write(&fixture->guest.tree, "tree/wattport/source", "model   \n");
	open_meter(fixture, METER_TREE);
	assert_true(read_meter(fixture)->up);
	assert_int_equal(fixture->reading.info.age_ms, 12);
	assert_true(fixture->reading.info.exact);
	assert_true(fixture->reading.info.estimate);
	assert_string_equal(fixture->reading.info.source, "model");
}

static void test_does_not_believe_a_tree_that_tells_no_age(void **state)
{
	static const char *const ages[] = {"", "young\n", "-1\n", "99999999999999999999\n"};
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	for (size_t i = 0; i < CHECK_COUNT(ages); i++) {
		tree_write(&fixture->guest.tree, "tree/wattport/age_ms", "%s", ages[i]);
		assert_false(read_after(fixture, 1000)->up);
		assert_false(fixture->reading.has_info);
		check_contains(fixture->reading.reason.text, "how old");
	}
	tree_write(&fixture->guest.tree, "tree/wattport/age_ms", "5\n");
	assert_true(read_after(fixture, 1000)->up);
	tree_write(&fixture->guest.tree, "tree/wattport/mode", "generous\n");
	assert_false(read_after(fixture, 1000)->up);
}

/* What is kept open of it would still be read, and its device could not be mounted anew. */
static void test_lets_go_of_a_tree_that_was_taken_away(void **state)
{
	struct fixture *fixture = *state;
	int fd = fixture->guest.tree.fd;

	add_tree(fixture, 1000);
	open_meter(fixture, METER_TREE);
	assert_true(read_meter(fixture)->up);
	assert_int_equal(renameat(fd, "tree", fd, "taken"), 0);
	assert_false(read_after(fixture, 10)->up);
	add_tree(fixture, 5000);
	assert_true(read_after(fixture, 10)->up);
	assert_int_equal(fixture->reading.zones[0].energy_uj, 5000);
}

static void test_calls_an_estimate_an_estimate(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	guest_tree_set_info(&fixture->guest, "model", 1);
	open_meter(fixture, METER_TREE);
	assert_true(read_meter(fixture)->info.estimate);
	guest_tree_set_info(&fixture->guest, "ipmi (estimate)", 1);
	assert_true(read_meter(fixture)->info.estimate);
	guest_tree_set_info(&fixture->guest, "replay", 1);
	assert_false(read_meter(fixture)->info.estimate);
}

static void test_says_what_is_missing_and_waits_for_it(void **state)
{
	struct fixture *fixture = *state;

	open_meter(fixture, METER_AUTO);
	assert_false(read_meter(fixture)->up);
	assert_int_equal(fixture->reading.zone_count, 0);
	check_contains(fixture->reading.reason.text, "wattport-agent mount");
	add_tree(fixture, 5);
	assert_true(read_after(fixture, 1000)->up);
	assert_int_equal(fixture->reading.zones[0].energy_uj, 5);
}

/* Unreadable, then back: the total neither starts anew nor loses what came meanwhile. */
static void test_survives_a_zone_that_fails(void **state)
{
	static const char energy[] =
	    "tree/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj";
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	guest_tree_add_zone(&fixture->guest, "tree", 1, 7000000, GUEST_TREE_RANGE);
	open_meter(fixture, METER_TREE);
	assert_int_equal(read_meter(fixture)->zone_count, 2);
	tree_write(&fixture->guest.tree, energy, "%s", "garbage\n");
	guest_tree_set_energy(&fixture->guest, "tree", 1, 8000000);
	assert_true(read_after(fixture, 1000)->up);
	assert_null(meter_reading_find(&fixture->reading, "package-0"));
	assert_false(fixture->reading.zones[0].has_power);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-1")->power_uw, 1000000);
	set_tree(fixture, 3000000);
	(void)read_after(fixture, 1000);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-0")->energy_uj, 3000000);
	assert_false(meter_reading_find(&fixture->reading, "package-0")->has_power);
	/* All fail: the tree is looked for again. The kept descriptors see what is written here. */
	tree_write(&fixture->guest.tree, energy, "%s", "");
	tree_write(&fixture->guest.tree,
		   "tree/devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj", "%s", "");
	tree_delete(&fixture->guest.tree, "tree/devices");
	tree_delete(&fixture->guest.tree, "tree/class");
	assert_false(read_after(fixture, 1000)->up);
	check_contains(fixture->reading.reason.text, "no zone can be read");
	add_tree(fixture, 4000000);
	assert_true(read_after(fixture, 1000)->up);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-0")->energy_uj, 4000000);
}

static void set_mode(const struct fixture *fixture, unsigned int zone, mode_t mode)
{
	char path[128];

	(void)snprintf(path, sizeof(path),
		       "tree/devices/virtual/powercap/intel-rapl/intel-rapl:%u/energy_uj", zone);
	assert_int_equal(fchmodat(fixture->guest.tree.fd, path, mode, 0), 0);
}

static void lose_zone(const struct fixture *fixture, unsigned int zone)
{
	char path[128];

	/* The kept descriptor sees this, and nothing of what comes in the file's place. */
	(void)snprintf(path, sizeof(path),
		       "tree/devices/virtual/powercap/intel-rapl/intel-rapl:%u/energy_uj", zone);
	tree_write(&fixture->guest.tree, path, "%s", "");
	tree_delete(&fixture->guest.tree, path);
}

/* An exact view's energy_uj is root's: what was opened as root goes, returns, and may not be. */
static void test_tells_what_is_there_and_denied(void **state)
{
	static const enum meter_source sources[] = {METER_TREE, METER_AUTO};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		meter_destroy(TAKE_PTR(fixture->meter));
		add_tree(fixture, 1000000);
		open_meter(fixture, sources[i]);
		assert_true(read_meter(fixture)->up);
		assert_false(fixture->reading.denied);
		lose_zone(fixture, 0);
		tree_delete(&fixture->guest.tree, "tree/devices");
		assert_false(read_after(fixture, 1000)->up);
		assert_false(fixture->reading.denied);
		/* Not there is not denied. */
		assert_false(read_after(fixture, 1000)->up);
		assert_false(fixture->reading.denied);
		add_tree(fixture, 2000000);
		set_mode(fixture, 0, 0);
		assert_false(read_after(fixture, 1000)->up);
		assert_true(fixture->reading.denied);
		check_contains(fixture->reading.reason.text, "none may be read");
		check_contains(fixture->reading.reason.text, "the tree at");
		set_mode(fixture, 0, 0600);
		assert_true(read_after(fixture, 1000)->up);
		assert_false(fixture->reading.denied);
	}
}

/* The others are read all the same. */
static void test_tells_of_one_zone_that_is_denied(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	guest_tree_add_zone(&fixture->guest, "tree", 1, 7000000, GUEST_TREE_RANGE);
	set_mode(fixture, 1, 0);
	open_meter(fixture, METER_AUTO);
	assert_true(read_meter(fixture)->up);
	assert_true(fixture->reading.denied);
	assert_non_null(meter_reading_find(&fixture->reading, "package-0"));
	assert_null(meter_reading_find(&fixture->reading, "package-1"));
}

/* Sums over zones know by it which of them they began with. */
static void test_tells_which_zones_joined_later(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	guest_tree_add_zone(&fixture->guest, "tree", 1, 7000000, GUEST_TREE_RANGE);
	tree_write(&fixture->guest.tree,
		   "tree/devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj", "%s", "bad");
	open_meter(fixture, METER_TREE);
	assert_int_equal(read_meter(fixture)->zone_count, 2);
	lose_zone(fixture, 0);
	assert_false(read_after(fixture, 1000)->up);
	add_tree(fixture, 1000000);
	guest_tree_add_zone(&fixture->guest, "tree", 1, 7000000, GUEST_TREE_RANGE);
	guest_tree_add_zone(&fixture->guest, "tree", 2, 7000000, GUEST_TREE_RANGE);
	assert_true(read_after(fixture, 1000)->up);
	assert_int_equal(fixture->reading.zone_count, 3);
	assert_false(meter_reading_find(&fixture->reading, "package-0")->joined);
	assert_false(meter_reading_find(&fixture->reading, "package-1")->joined);
	assert_true(meter_reading_find(&fixture->reading, "package-2")->joined);
	guest_tree_set_energy(&fixture->guest, "tree", 2, 7500000);
	(void)read_after(fixture, 1000);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-2")->energy_uj, 7500000);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-2")->joined_uj, 7000000);
	assert_int_equal(meter_reading_find(&fixture->reading, "package-1")->joined_uj, 0);
}

/* On a machine without a tree its own RAPL is not called missing. */
static void test_tells_that_its_own_powercap_is_denied(void **state)
{
	struct fixture *fixture = *state;

	guest_tree_add_zone(&fixture->guest, "sys", 0, 5, GUEST_TREE_RANGE);
	assert_int_equal(fchmodat(fixture->guest.tree.fd,
				  "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj",
				  0, 0),
			 0);
	open_meter(fixture, METER_AUTO);
	assert_false(read_meter(fixture)->up);
	assert_true(fixture->reading.denied);
	check_contains(fixture->reading.reason.text, "energy_uj is for root alone");
}

/* Another host's tree, whose counter is lower: no total ever decreases. */
static void test_never_decreases(void **state)
{
	struct fixture *fixture = *state;

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	(void)read_meter(fixture);
	set_tree(fixture, 400000);
	assert_int_equal(read_after(fixture, 1000)->zones[0].energy_uj, 1000000);
	set_tree(fixture, 600000);
	assert_int_equal(read_after(fixture, 1000)->zones[0].energy_uj, 1200000);
}

static void test_use_between_readings(void **state)
{
	struct fixture *fixture = *state;
	static struct meter_reading earlier;
	struct meter_use use = {.energy_uj = 77};

	add_tree(fixture, 1000000);
	open_meter(fixture, METER_TREE);
	earlier = *read_meter(fixture);
	assert_false(meter_reading_use(&earlier, read_meter(fixture), "package-0", &use));
	set_tree(fixture, 1500000);
	(void)read_after(fixture, 250);
	assert_false(meter_reading_use(&earlier, &fixture->reading, "package-1", &use));
	assert_int_equal(use.energy_uj, 77);
	assert_true(meter_reading_use(&earlier, &fixture->reading, "package-0", &use));
	assert_int_equal(use.energy_uj, 500000);
	assert_int_equal(use.power_uw, 2000000);
}

static void test_names_of_sources(void **state)
{
	enum meter_source source = METER_AUTO;

	(void)state;
	assert_int_equal(meter_source_parse("powercap", &source), 0);
	assert_int_equal(source, METER_POWERCAP);
	assert_int_equal(meter_source_parse("rapl", &source), -EINVAL);
}

/* As the service is: root's owner of the files, and without the rights that go past their modes. */
static int give_up_capabilities(void **state)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {{.effective = 0}};

	(void)state;
	return (int)syscall(SYS_capset, &header, none);
}

int main(void)
{
#define METER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_create, fixture_remove)
	const struct CMUnitTest tests[] = {
	    METER_TEST(test_reads_the_tree_where_it_is_mounted),
	    METER_TEST(test_power_is_a_mean_over_at_least_a_second),
	    METER_TEST(test_unwraps_bare_metal),
	    METER_TEST(test_prefers_the_tree),
	    METER_TEST(test_is_not_up_when_the_data_is_old),
	    METER_TEST(test_is_not_up_when_the_counters_stand_still),
	    METER_TEST(test_takes_texts_that_are_filled_up),
	    METER_TEST(test_does_not_believe_a_tree_that_tells_no_age),
	    METER_TEST(test_lets_go_of_a_tree_that_was_taken_away),
	    METER_TEST(test_calls_an_estimate_an_estimate),
	    METER_TEST(test_says_what_is_missing_and_waits_for_it),
	    METER_TEST(test_survives_a_zone_that_fails),
	    METER_TEST(test_tells_what_is_there_and_denied),
	    METER_TEST(test_tells_of_one_zone_that_is_denied),
	    METER_TEST(test_tells_which_zones_joined_later),
	    METER_TEST(test_tells_that_its_own_powercap_is_denied),
	    METER_TEST(test_never_decreases),
	    METER_TEST(test_use_between_readings),
	    cmocka_unit_test(test_names_of_sources),
	};

	return cmocka_run_group_tests_name("meter", tests, give_up_capabilities, NULL);
}
