#include "common/cleanup.h"
#include "common/energy_source.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <stdio.h>

#define ZONE_0 "sys/class/powercap/intel-rapl:0"
#define ZONE_1 "sys/class/powercap/intel-rapl:1"

/* A machine of two packages whose files the tests write. */
struct machine {
	struct tree tree;
	struct sysroot *root;
	struct manual_clock clock;
	struct energy_source_context context;
	struct energy_source *source;
	struct sample sample;
};

static void open_machine(struct machine *machine, const char *path)
{
	static const struct mono_time start = {.ns = CLOCK_NS_PER_SECOND};
	static const struct wall_time midnight = {.ns = 0};

	assert_int_equal(sysroot_open(path, &machine->root, NULL), 0);
	manual_clock_init(&machine->clock, start, midnight);
	machine->context =
	    (struct energy_source_context){.root = machine->root, .clock = &machine->clock.clock};
	assert_int_equal(sample_init(&machine->sample, 0), 0);
}

static void close_machine(struct machine *machine)
{
	energy_source_close(machine->source);
	sample_finish(&machine->sample);
	sysroot_close(machine->root);
}

static int setup(void **state)
{
	static struct machine machine;

	machine = (struct machine){.source = NULL};
	tree_create(&machine.tree);
	tree_write(&machine.tree, ZONE_0 "/name", "package-0\n");
	tree_write(&machine.tree, ZONE_0 "/energy_uj", "100\n");
	tree_write(&machine.tree, ZONE_0 "/max_energy_range_uj", "262143328850\n");
	tree_write(&machine.tree, ZONE_1 "/name", "package-1\n");
	tree_write(&machine.tree, ZONE_1 "/energy_uj", "200\n");
	tree_write(&machine.tree, ZONE_1 "/max_energy_range_uj", "262143328850\n");
	open_machine(&machine, machine.tree.path);
	assert_int_equal(energy_source_open("powercap", &machine.context, &machine.source, NULL),
			 0);
	*state = &machine;
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	close_machine(machine);
	tree_remove(&machine->tree);
	return 0;
}

/* Reads both zones: an error as it is, else the value. */
static void check_read(struct machine *machine, int64_t first, int64_t second)
{
	const int64_t expected[] = {first, second};

	assert_int_equal(energy_source_read(machine->source, &machine->sample), 0);
	assert_int_equal(machine->sample.zone_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct sample_zone *zone = &machine->sample.zones[i];

		assert_int_equal(zone->error < 0 ? zone->error : (int64_t)zone->raw_uj,
				 expected[i]);
	}
}

static void test_kept_descriptors_read_fresh_values(void **state)
{
	struct machine *machine = *state;

	assert_string_equal(machine->source->zones[1].id, "package-1");
	assert_string_equal(machine->source->notes.text, "");
	check_read(machine, 100, 200);
	tree_write(&machine->tree, ZONE_1 "/energy_uj", "262143328850\n");
	check_read(machine, 100, 262143328850);
}

static void test_a_bad_value_is_that_zones_error_alone(void **state)
{
	struct machine *machine = *state;

	tree_write(&machine->tree, ZONE_0 "/energy_uj", "%s", "");
	check_read(machine, -ENODATA, 200);
	tree_write(&machine->tree, ZONE_0 "/energy_uj", "12x4\n");
	check_read(machine, -EINVAL, 200);
	tree_write(&machine->tree, ZONE_0 "/energy_uj", "12%c4\n", '\0');
	check_read(machine, -EINVAL, 200);
	tree_write(&machine->tree, ZONE_0 "/energy_uj", "%070d\n", 1);
	check_read(machine, -ERANGE, 200);
	tree_write(&machine->tree, ZONE_0 "/energy_uj", "101\n");
	check_read(machine, 101, 200);
}

static void test_read_errors(void **state)
{
	static const int errors[] = {EIO, ENODATA, ENODEV};
	struct machine *machine = *state;

	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		fault_arm(FAULT_PREAD, 1, errors[i]);
		check_read(machine, -errors[i], 200);
		assert_true(fault_disarm());
		manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND);
		check_read(machine, 100, 200);
	}
	/* A signal is no error. */
	fault_arm(FAULT_PREAD, 2, EINTR);
	check_read(machine, 100, 200);
	assert_true(fault_disarm());
}

static void test_a_zone_that_went_is_looked_for_once_a_second(void **state)
{
	struct machine *machine = *state;

	/* The kernel's answer when a package has gone offline. */
	fault_arm(FAULT_PREAD, 2, ENODEV);
	check_read(machine, 100, -ENODEV);
	assert_true(fault_disarm());
	tree_delete(&machine->tree, ZONE_1);
	check_read(machine, 100, -ENODEV);
	manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND);
	check_read(machine, 100, -ENOENT);

	/* Its repetition is another counter and no replacement. */
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl-mmio:0/name", "package-1\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl-mmio:0/energy_uj", "999\n");
	manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND);
	check_read(machine, 100, -ENOENT);

	/* It returns under another index, which only the next look may see. */
	tree_write(&machine->tree, ZONE_1 "/name", "package-7\n");
	tree_write(&machine->tree, ZONE_1 "/energy_uj", "777\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2/name", "package-1\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2/energy_uj", "5\n");
	manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND - 1);
	check_read(machine, 100, -ENOENT);
	manual_clock_advance(&machine->clock, 1);
	check_read(machine, 100, 5);
}

static void test_zones_that_come_later_are_told(void **state)
{
	static const char package[] = "sys/class/powercap/intel-rapl:2";
	struct machine *machine = *state;

	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2/name", "package-2\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2/energy_uj", "7\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2:0/name", "dram\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:2:1/name", "core\n");
	/* Not new: one that is listed twice. */
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl-mmio:0/name", "package-0\n");
	check_read(machine, 100, 200);
	assert_string_equal(machine->source->late.text, "");
	manual_clock_advance(&machine->clock, 60 * CLOCK_NS_PER_SECOND);
	check_read(machine, 100, 200);
	assert_string_equal(machine->source->late.text, "package-2; dram-2");

	/* One that went and came again is no new one. */
	fault_arm(FAULT_PREAD, 2, ENODEV);
	check_read(machine, 100, -ENODEV);
	assert_true(fault_disarm());
	tree_delete(&machine->tree, "sys/class/powercap/intel-rapl:2:0");
	tree_delete(&machine->tree, package);
	manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND);
	check_read(machine, 100, 200);
	assert_string_equal(machine->source->late.text, "");
}

static void test_zones_that_cannot_be_opened(void **state)
{
	struct machine *machine = *state;
	struct diag diag = DIAG_INIT;

	energy_source_close(machine->source);
	machine->source = NULL;
	tree_delete(&machine->tree, ZONE_0 "/energy_uj");
	assert_int_equal(energy_source_open("powercap", &machine->context, &machine->source, &diag),
			 0);
	check_read(machine, -ENOENT, 200);
	tree_write(&machine->tree, ZONE_0 "/energy_uj", "9\n");
	check_read(machine, -ENOENT, 200);
	manual_clock_advance(&machine->clock, CLOCK_NS_PER_SECOND);
	check_read(machine, 9, 200);

	energy_source_close(machine->source);
	machine->source = NULL;
	tree_delete(&machine->tree, ZONE_0 "/energy_uj");
	tree_delete(&machine->tree, ZONE_1 "/energy_uj");
	assert_int_equal(energy_source_open("powercap", &machine->context, &machine->source, &diag),
			 -ENOENT);
	check_contains(diag.text, "powercap: 2 zones, but none can be opened");
}

/* The first openat of opening is that of cpuinfo, the second that of the class. */
static void test_without_privilege(void **state)
{
	struct machine *machine = *state;
	struct diag diag = DIAG_INIT;

	energy_source_close(machine->source);
	machine->source = NULL;
	tree_delete(&machine->tree, ZONE_1);
	for (unsigned nth = 1;; nth++) {
		int status;

		fault_arm(FAULT_OPENAT, nth, EACCES);
		status = energy_source_open("powercap", &machine->context, &machine->source, &diag);
		assert_true(fault_disarm());
		if (status == -EACCES && strstr(diag.text, "CAP_DAC_READ_SEARCH") != NULL)
			break;
		energy_source_close(machine->source);
		machine->source = NULL;
		assert_true(nth < 10);
	}
	assert_null(machine->source);
}

static void open_fixture(const char *name, bool parts, struct machine *machine)
{
	char path[512];

	*machine = (struct machine){.source = NULL};
	(void)snprintf(path, sizeof(path), "%s/%s", TEST_FIXTURES, name);
	open_machine(machine, path);
	machine->context.parts = parts;
}

static void test_an_amd_has_packages_only(void **state)
{
	struct machine machine;

	(void)state;
	open_fixture("epyc", true, &machine);
	assert_int_equal(energy_source_open("powercap", &machine.context, &machine.source, NULL),
			 0);
	assert_int_equal(machine.source->zone_count, 1);
	close_machine(&machine);
}

static void test_faults_of_a_real_tree(void **state)
{
	static const int errors[] = {-ENODATA, -EINVAL, -EISDIR, 0};
	struct machine machine;

	(void)state;
	open_fixture("broken", false, &machine);
	assert_int_equal(energy_source_open("powercap", &machine.context, &machine.source, NULL),
			 0);
	assert_int_equal(energy_source_read(machine.source, &machine.sample), 0);
	assert_int_equal(machine.sample.zone_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(machine.sample.zones[i].error, errors[i]);
	assert_int_equal(machine.sample.zones[3].raw_uj, 333);
	close_machine(&machine);
}

static void test_disabled_zones_are_noted(void **state)
{
	struct machine machine;

	(void)state;
	open_fixture("xeon-swapped", false, &machine);
	assert_int_equal(energy_source_open("powercap", &machine.context, &machine.source, NULL),
			 0);
	check_contains(machine.source->notes.text, "psys has enabled = 0");
	assert_int_equal(energy_source_read(machine.source, &machine.sample), 0);
	assert_int_equal(machine.sample.zones[0].raw_uj, 222000000);
	assert_int_equal(machine.sample.zones[4].raw_uj, UINT64_C(60293987000000));
	close_machine(&machine);
}

static void test_a_machine_without_powercap(void **state)
{
	struct diag diag = DIAG_INIT;
	struct machine machine;

	(void)state;
	open_fixture("no-rapl", false, &machine);
	assert_int_equal(energy_source_open("powercap", &machine.context, &machine.source, &diag),
			 -ENODEV);
	check_contains(diag.text, "intel_rapl_msr");
	close_machine(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_kept_descriptors_read_fresh_values, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_a_bad_value_is_that_zones_error_alone, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_read_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_zone_that_went_is_looked_for_once_a_second,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(test_zones_that_come_later_are_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_zones_that_cannot_be_opened, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_without_privilege, setup, teardown),
	    cmocka_unit_test(test_an_amd_has_packages_only),
	    cmocka_unit_test(test_faults_of_a_real_tree),
	    cmocka_unit_test(test_disabled_zones_are_noted),
	    cmocka_unit_test(test_a_machine_without_powercap),
	};

	return cmocka_run_group_tests_name("energy_source_powercap", tests, NULL, NULL);
}
