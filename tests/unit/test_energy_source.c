/* The table, auto, and the two sources that measure nothing: model and replay. */
#include "common/cleanup.h"
#include "common/energy_source.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <stdio.h>

#define SEC CLOCK_NS_PER_SECOND

struct machine {
	struct tree tree;
	struct sysroot *root;
	struct topology *topology;
	struct manual_clock clock;
	struct energy_source_context context;
	struct energy_source *source;
};

/* Two packages: CPU 0 and 1 on the first, CPU 2 on the second. */
static int setup(void **state)
{
	static const uint32_t packages[] = {0, 0, 3};
	static const struct mono_time start = {.ns = SEC};
	static const struct wall_time midnight = {.ns = 0};
	static struct machine machine;

	machine = (struct machine){.source = NULL};
	tree_create(&machine.tree);
	tree_write(&machine.tree, "proc/cpuinfo",
		   "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 8024P 8-Core Processor\n");
	assert_int_equal(sysroot_open(machine.tree.path, &machine.root, NULL), 0);
	assert_int_equal(topology_create(&machine.topology), 0);
	for (uint32_t i = 0; i < CHECK_COUNT(packages); i++)
		assert_int_equal(topology_add(machine.topology,
					      &(struct topology_cpu){
						  .cpu = i, .core = i, .package = packages[i]}),
				 0);
	manual_clock_init(&machine.clock, start, midnight);
	machine.context = (struct energy_source_context){
	    .root = machine.root, .clock = &machine.clock.clock, .topology = machine.topology};
	*state = &machine;
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	energy_source_close(machine->source);
	topology_destroy(machine->topology);
	sysroot_close(machine->root);
	tree_remove(&machine->tree);
	return 0;
}

/* Idle ticks of the three CPUs; their other ticks fill up to `total`. */
static void write_stat(const struct machine *machine, unsigned total, unsigned idle0,
		       unsigned idle1, unsigned idle2)
{
	tree_write(&machine->tree, "proc/stat",
		   "cpu 0 0 0 0\ncpu0 %u 0 0 %u\ncpu1 %u 0 0 %u\ncpu2 %u 0 0 %u\n", total - idle0,
		   idle0, total - idle1, idle1, total - idle2, idle2);
}

static void test_the_table(void **state)
{
	struct machine *machine = *state;
	struct diag diag = DIAG_INIT;

	assert_string_equal(energy_source_list(0)->name, "powercap");
	assert_false(energy_source_list(0)->estimate);
	assert_string_equal(energy_source_list(1)->name, "model");
	assert_true(energy_source_list(1)->estimate);
	assert_string_equal(energy_source_list(2)->name, "replay");
	assert_false(energy_source_list(2)->automatic);
	assert_null(energy_source_list(3));
	assert_int_equal(energy_source_open("ipmi", &machine->context, &machine->source, &diag),
			 -EINVAL);
	check_contains(diag.text, "\"ipmi\"");
	check_contains(diag.text, "auto, powercap, model, replay");
	energy_source_close(NULL);
}

static void test_auto_takes_what_measures(void **state)
{
	struct machine *machine = *state;
	struct diag diag = DIAG_INIT;

	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:0/energy_uj", "1\n");
	write_stat(machine, 0, 0, 0, 0);
	(void)diag_error(&diag, -EINVAL, "old");
	assert_int_equal(energy_source_open("auto", &machine->context, &machine->source, &diag), 0);
	assert_string_equal(machine->source->ops->name, "powercap");
	assert_string_equal(diag.text, "");
}

static void test_auto_says_why_not_the_others(void **state)
{
	struct machine *machine = *state;
	struct diag diag = DIAG_INIT;

	assert_int_equal(energy_source_open("auto", &machine->context, &machine->source, &diag),
			 -ENOENT);
	check_contains(diag.text, "powercap: no powercap class");
	check_contains(diag.text, "; model: cannot open proc/stat");
	write_stat(machine, 0, 0, 0, 0);
	assert_int_equal(energy_source_open("auto", &machine->context, &machine->source, &diag), 0);
	assert_string_equal(machine->source->ops->name, "model");
	check_contains(diag.text, "powercap: no powercap class");
	assert_null(strstr(diag.text, "model:"));
	check_contains(machine->source->notes.text, "an estimate: \"AMD EPYC 8024P");
}

static void check_zones(struct machine *machine, uint64_t first_uj, uint64_t second_uj)
{
	struct sample sample;

	assert_int_equal(sample_init(&sample, 3), 0);
	assert_int_equal(energy_source_read(machine->source, &sample), 0);
	assert_int_equal(sample.zone_count, 2);
	assert_int_equal(sample.zones[0].error, 0);
	assert_int_equal(sample.zones[0].raw_uj, first_uj);
	assert_int_equal(sample.zones[1].raw_uj, second_uj);
	sample_finish(&sample);
}

/* 100 W TDP, an AMD: 19.7 W idle and 51.9 W busy a package. */
static void test_the_model_integrates_busy_time(void **state)
{
	struct machine *machine = *state;

	machine->context.model_tdp_w = 100;
	write_stat(machine, 1000, 700, 700, 700);
	assert_int_equal(energy_source_open("model", &machine->context, &machine->source, NULL), 0);
	assert_string_equal(machine->source->zones[0].id, "package-0");
	assert_string_equal(machine->source->zones[1].id, "package-3");
	check_zones(machine, 0, 0);
	/* One second: CPU 0 busy, CPU 1 idle, CPU 2 busy for a quarter. */
	manual_clock_advance(&machine->clock, SEC);
	write_stat(machine, 1100, 700, 800, 775);
	check_zones(machine, 19700000 + 32200000 / 2, 19700000 + 32200000 / 4);
	/* Ten hours idle. */
	manual_clock_advance(&machine->clock, 36000 * SEC);
	write_stat(machine, 3601100, 3600700, 3600800, 3600775);
	check_zones(machine, UINT64_C(36001) * 19700000 + 32200000 / 2,
		    UINT64_C(36001) * 19700000 + 32200000 / 4);
}

static void test_the_model_without_proc_stat(void **state)
{
	struct machine *machine = *state;
	struct sample sample;

	write_stat(machine, 0, 0, 0, 0);
	assert_int_equal(energy_source_open("model", &machine->context, &machine->source, NULL), 0);
	assert_int_equal(sample_init(&sample, 3), 0);
	fault_arm(FAULT_PREAD, 1, EIO);
	assert_int_equal(energy_source_read(machine->source, &sample), 0);
	assert_true(fault_disarm());
	assert_int_equal(sample.zones[0].error, -EIO);
	assert_int_equal(sample.zones[1].error, -EIO);
	sample_finish(&sample);
}

static const char replay_head[] =
    "{\"wattport_trace\":1,\"cpus\":[{\"cpu\":0,\"core\":0,\"package\":0}],"
    "\"zones\":[{\"id\":\"package-0\",\"package\":0,\"kind\":\"package\",\"range_uj\":1000}]}";

/* Writes a trace and opens it. */
static int open_trace(struct machine *machine, const char *text, struct diag *diag)
{
	static char path[128];

	tree_write(&machine->tree, "trace", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/trace", machine->tree.path);
	machine->context.replay_path = path;
	energy_source_close(machine->source);
	machine->source = NULL;
	return energy_source_open("replay", &machine->context, &machine->source, diag);
}

static void test_replay_reads_line_by_line(void **state)
{
	struct machine *machine = *state;
	char text[1024];
	struct sample sample;

	(void)snprintf(text, sizeof(text),
		       "%s\n\n{\"t_ns\":5,\"raw_uj\":{\"package-0\":7}}\n"
		       "{\"t_ns\":6,\"raw_uj\":{\"package-0\":null}}\n{\"t_ns\":7,\"raw",
		       replay_head);
	assert_int_equal(open_trace(machine, text, NULL), 0);
	CHECK_POINTER(machine->source);
	assert_int_equal(machine->source->topology->cpu_count, 1);
	assert_int_equal(machine->source->zones[0].range_uj, 1000);
	assert_int_equal(sample_init(&sample, 1), 0);
	assert_int_equal(energy_source_read(machine->source, &sample), 0);
	assert_int_equal(sample.time.ns, 5);
	assert_int_equal(sample.zones[0].raw_uj, 7);
	assert_int_equal(energy_source_read(machine->source, &sample), 0);
	assert_int_equal(sample.time.ns, 6);
	assert_int_equal(sample.zones[0].error, -ENODATA);
	/* The recording was cut off here. */
	assert_int_equal(energy_source_read(machine->source, &sample), -ENODATA);
	check_contains(machine->source->notes.text, "line 5:");
	assert_int_equal(energy_source_read(machine->source, &sample), -ENODATA);
	sample_finish(&sample);
}

static void test_replay_names_the_line_at_fault(void **state)
{
	struct machine *machine = *state;
	char text[1024];
	struct sample sample;
	struct diag diag = DIAG_INIT;

	assert_int_equal(open_trace(machine, "", &diag), -EINVAL);
	check_contains(diag.text, "is empty");
	assert_int_equal(open_trace(machine, "\n{}\n", &diag), -EINVAL);
	check_contains(diag.text, "line 2: \"wattport_trace\" is missing");
	(void)snprintf(text, sizeof(text), "%s\n{\"t_ns\":5}\n{\"t_ns\":6,\"raw_uj\":{}}",
		       replay_head);
	assert_int_equal(open_trace(machine, text, NULL), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	assert_int_equal(energy_source_read(machine->source, &sample), -EINVAL);
	check_contains(machine->source->notes.text, "line 2: \"raw_uj\" must be an object");
	/* A last line without a newline is a sample if it is whole. */
	assert_int_equal(energy_source_read(machine->source, &sample), 0);
	assert_int_equal(sample.time.ns, 6);
	sample_finish(&sample);
	machine->context.replay_path = "/nonexistent/trace";
	energy_source_close(machine->source);
	machine->source = NULL;
	assert_int_equal(energy_source_open("replay", &machine->context, &machine->source, &diag),
			 -ENOENT);
	check_contains(diag.text, "cannot open /nonexistent/trace");
	machine->context.replay_path = NULL;
	assert_int_equal(energy_source_open("replay", &machine->context, &machine->source, &diag),
			 -EINVAL);
}

/* Whatever call fails: told, nothing leaked, nothing half open. */
static void test_every_call_of_opening_may_fail(void **state)
{
	static const char *const names[] = {"model", "replay", "powercap"};
	struct machine *machine = *state;
	char text[1024];

	(void)snprintf(text, sizeof(text), "%s\n", replay_head);
	assert_int_equal(open_trace(machine, text, NULL), 0);
	write_stat(machine, 0, 0, 0, 0);
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
	tree_write(&machine->tree, "sys/class/powercap/intel-rapl:0/energy_uj", "1\n");
	for (size_t i = 0; i < CHECK_COUNT(names); i++) {
		unsigned nth = 1, failures = 0;
		bool happened;

		do {
			struct diag diag = DIAG_INIT;
			int status;

			energy_source_close(machine->source);
			machine->source = NULL;
			fault_arm(FAULT_MEMORY, nth++, ENOMEM);
			status = energy_source_open(names[i], &machine->context, &machine->source,
						    &diag);
			happened = fault_disarm();
			assert_true((status < 0) == (diag.text[0] != '\0'));
			assert_true((status < 0) == (machine->source == NULL));
			failures += status < 0;
		} while (happened);
		assert_true(failures > 1);
		assert_non_null(machine->source);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_the_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_auto_takes_what_measures, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_auto_says_why_not_the_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_model_integrates_busy_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_model_without_proc_stat, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_replay_reads_line_by_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_replay_names_the_line_at_fault, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_every_call_of_opening_may_fail, setup, teardown),
	};

	return cmocka_run_group_tests_name("energy_source", tests, NULL, NULL);
}
