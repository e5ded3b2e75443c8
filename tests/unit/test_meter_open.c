/* host/meter.h: what is to be seen of the accounts before anybody says which machines there are. */
#include "common/cleanup.h"
#include "common/ledger_life.h"
#include "common/ledger_map.h"
#include "host/meter.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <unistd.h>

#define BOOT "0b6d4f3e-0f3b-4a54-8e86-0ff2bd8a1a02"

static const struct uuid machine = {.bytes = {0x77}};

static void make_host(const struct tree *tree)
{
	tree_write(tree, "proc/sys/kernel/random/boot_id", BOOT "\n");
	tree_write(tree, "proc/stat", "cpu 1 0 0 1 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n");
	tree_write(tree, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
	tree_write(tree, "sys/devices/system/cpu/present", "0\n");
	tree_write(tree, "sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n");
	tree_write(tree, "sys/devices/system/cpu/cpu0/topology/core_id", "0\n");
	tree_write(tree, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
	tree_write(tree, "sys/class/powercap/intel-rapl:0/energy_uj", "5000\n");
	tree_write(tree, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
}

/* What a wattportd of this boot has left on disk, and its map is gone. */
static void leave_checkpoint(const struct tree *tree, const struct clock *clock)
{
	const struct zone zone = {.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = 262143328850};
	struct ledger_life_context context = {
	    .clock = clock, .runtime_fd = tree->fd, .state_fd = tree->fd, .checkpoint_ns = 1};
	cleanup_ledger_life struct ledger_life *life = NULL;
	struct diag diag = DIAG_INIT;
	struct ledger *ledger;
	uint32_t index;
	int slot;

	assert_int_equal(uuid_parse(BOOT, &context.boot), 0);
	if (ledger_life_open(&context, &life, &diag) < 0)
		fail_msg("%s", diag.text);
	ledger = ledger_life_ledger(life);
	assert_int_equal(ledger_set_zones(ledger, &zone, 1, &index), 0);
	(void)snprintf(ledger_host(ledger)->source, LEDGER_SOURCE_SIZE, "powercap");
	ledger_host(ledger)->sample_count = 1;
	ledger_host(ledger)->updated_ns = clock_now_mono(clock).ns;
	ledger_host(ledger)->zones[index].reading =
	    (struct ledger_reading){.raw_uj = 4000, .range_uj = zone.range_uj, .time_ns = 1};
	slot = ledger_admit(ledger, &machine);
	assert_true(slot > 0);
	ledger_vm(ledger, (size_t)slot)->guest[0].zone_uj[ZONE_PACKAGE] = 123456;
	ledger_vm(ledger, (size_t)slot)->state = LEDGER_VM_RUNNING;
	assert_int_equal(ledger_life_publish(life), 0);
	assert_int_equal(ledger_life_save(life), 0);
	assert_int_equal(unlinkat(tree->fd, LEDGER_MAP_NAME, 0), 0);
}

/* A meter of that host; nobody is there whom it could ask for machines. */
static struct meter *start_meter(const struct tree *tree, const struct clock *clock,
				 struct sysroot **ret_root)
{
	static const struct config_overrides none;
	struct diag diag = DIAG_INIT;
	struct settings settings;
	struct meter *meter = NULL;

	assert_int_equal(sysroot_open(tree->path, ret_root, NULL), 0);
	assert_int_equal(settings_load(SETTINGS_NO_FILE, &none, &settings, &diag), 0);
	(void)snprintf(settings.vms_uri, sizeof(settings.vms_uri),
		       "qemu+unix:///system?socket=%s/nobody", tree->path);
	if (meter_create(&(const struct meter_context){.settings = &settings,
						       .root = *ret_root,
						       .clock = clock,
						       .runtime_fd = tree->fd,
						       .state_fd = tree->fd,
						       .fd_budget = 10},
			 &meter, &diag) < 0)
		fail_msg("%s", diag.text);
	return meter;
}

static void test_shows_accounts_from_disk_while_it_waits(void **state)
{
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	struct manual_clock clock;
	struct ledger_host host;
	struct ledger_vm vm;
	struct tree tree;
	size_t slot = 0;

	(void)state;
	tree_create(&tree);
	make_host(&tree);
	manual_clock_init(&clock, (struct mono_time){.ns = CLOCK_NS_PER_SECOND},
			  (struct wall_time){.ns = 1});
	leave_checkpoint(&tree, &clock.clock);
	manual_clock_advance(&clock, CLOCK_NS_PER_SECOND);
	meter = start_meter(&tree, &clock.clock, &root);
	meter_sample(meter);
	assert_int_equal(meter_sample_count(meter), 1);
	assert_int_equal(ledger_reader_open(tree.fd, &reader, NULL), 0);
	assert_int_equal(ledger_reader_vm(reader, &machine, &slot, &vm), 0);
	assert_int_equal(vm.guest[0].zone_uj[ZONE_PACKAGE], 123456);
	assert_true(vm.guest[0].floor_uj[ZONE_PACKAGE] > 123456);
	assert_int_equal(ledger_reader_host(reader, &host), 0);
	assert_string_equal(host.zones[0].zone.id, "package-0");
	meter_destroy(TAKE_PTR(meter));
	tree_remove(&tree);
}

/* A host on which energy is measured, or not, and another zone comes a minute later. */
static void check_tells_late(bool measured, const char *expected)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_meter struct meter *meter = NULL;
	cleanup_free char *before = NULL;
	cleanup_free char *after = NULL;
	struct manual_clock clock;
	struct tree tree;

	tree_create(&tree);
	make_host(&tree);
	if (!measured)
		tree_delete(&tree, "sys/class/powercap/intel-rapl:0");
	manual_clock_init(&clock, (struct mono_time){.ns = CLOCK_NS_PER_SECOND},
			  (struct wall_time){.ns = 1});
	meter = start_meter(&tree, &clock.clock, &root);
	tree_write(&tree, "sys/class/powercap/intel-rapl:1/name", "package-1\n");
	tree_write(&tree, "sys/class/powercap/intel-rapl:1/energy_uj", "7\n");
	meter_sample(meter);
	before = meter_status(meter);
	CHECK_POINTER(before);
	assert_null(strstr(before, "not there"));
	manual_clock_advance(&clock, METER_LOOK_NS);
	meter_sample(meter);
	after = meter_status(meter);
	CHECK_POINTER(after);
	check_contains(after, expected);
	meter_destroy(TAKE_PTR(meter));
	tree_remove(&tree);
}

static void test_tells_what_came_after_the_start(void **state)
{
	(void)state;
	check_tells_late(true, "\"package-1: not there when wattportd started, so not measured\"");
	/* An estimate, until somebody starts it anew. */
	check_tells_late(false, "powercap: not there when wattportd started, so not measured\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shows_accounts_from_disk_while_it_waits),
	    cmocka_unit_test(test_tells_what_came_after_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
