#include "common/activity.h"
#include "tests/unit/check.h"

#include <stdbool.h>

#define MS UINT64_C(1000000)

/* Two packages of two CPUs: units 0 and 1. */
struct host {
	struct topology *topology;
	struct activity *activity;
	struct sample sample;
};

static void host_start(struct host *host, uint32_t packages)
{
	assert_int_equal(topology_create(&host->topology), 0);
	for (uint32_t cpu = 0; cpu < 2 * packages; cpu++) {
		struct topology_cpu row = {.cpu = cpu, .core = cpu, .package = cpu / 2};

		assert_int_equal(topology_add(host->topology, &row), 0);
	}
	assert_int_equal(activity_create(host->topology, &host->activity), 0);
	assert_int_equal(sample_init(&host->sample, (size_t)2 * packages), 0);
}

static void host_stop(struct host *host)
{
	sample_finish(&host->sample);
	activity_destroy(host->activity);
	topology_destroy(host->topology);
}

static struct uuid numbered(uint8_t number)
{
	return (struct uuid){.bytes = {number}};
}

/* Adds VM `number` to the sample, with `vcpus` of that time each, on CPU 0. */
static struct sample_vm *add_vm(struct host *host, uint8_t number, size_t vcpus, uint64_t time_ns)
{
	struct sample_vm *vm = NULL;

	assert_int_equal(sample_add_vm(&host->sample, vcpus, &vm), 0);
	CHECK_POINTER(vm);
	vm->uuid = numbered(number);
	for (size_t i = 0; i < vcpus; i++)
		vm->vcpus[i].time_ns = time_ns;
	return vm;
}

/* Takes the sample, `elapsed_ns` after the one before, and empties it. */
static void step(struct host *host, uint64_t elapsed_ns)
{
	uint64_t time_ns = host->sample.time.ns + elapsed_ns;

	host->sample.time.ns = time_ns;
	assert_int_equal(activity_step(host->activity, &host->sample), 0);
	sample_clear(&host->sample);
	host->sample.time.ns = time_ns;
}

static const struct activity_vm *only_vm(const struct host *host)
{
	size_t count = 0;
	const struct activity_vm *vms = activity_vms(host->activity, &count);

	assert_int_equal(count, 1);
	return vms;
}

/* The only VM's overhead, and the host's own time, of the last interval. */
static uint64_t overhead_ns(const struct host *host, size_t unit)
{
	return only_vm(host)->overhead_features[unit].amount[FEATURES_THREAD];
}

static uint64_t other_ns(const struct host *host, size_t unit)
{
	return activity_other_features(host->activity, unit)->amount[FEATURES_THREAD];
}

static void test_time_goes_to_the_unit_of_the_cpu(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 2);
	vm = add_vm(&host, 1, 3, 5);
	vm->vcpus[1].cpu = 2;
	step(&host, MS);
	assert_false(only_vm(&host)->present);
	assert_int_equal(activity_elapsed_ns(host.activity), 0);
	vm = add_vm(&host, 1, 3, 0);
	vm->memory_bytes = 77;
	vm->socket_count = 1;
	vm->vcpus[0] = (struct sample_vcpu){.time_ns = 5 + 30, .cpu = 1};
	vm->vcpus[1] = (struct sample_vcpu){.time_ns = 5 + 70, .cpu = 2};
	/* Where it ran is unknown: evenly, and the odd nanosecond is not lost. */
	vm->vcpus[2] = (struct sample_vcpu){.time_ns = 5 + 11, .cpu = SAMPLE_NO_CPU};
	step(&host, 200 * MS);
	assert_true(only_vm(&host)->present);
	assert_int_equal(activity_elapsed_ns(host.activity), 200 * MS);
	assert_int_equal(activity_unit_count(host.activity), 2);
	assert_int_equal(only_vm(&host)->vcpu_ns, 111);
	assert_int_equal(only_vm(&host)->vcpu_count, 3);
	assert_int_equal(only_vm(&host)->memory_bytes, 77);
	assert_int_equal(only_vm(&host)->active[0], 30 + 6);
	assert_int_equal(only_vm(&host)->active[1], 70 + 5);
	assert_int_equal(only_vm(&host)->unit_ns[0], 36);
	assert_int_equal(only_vm(&host)->unit_ns[1], 75);
	host_stop(&host);
}

/* From unit 0 to unit 1, and from there on it stays. */
static void test_a_vcpu_that_moved_is_split(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 2);
	(void)add_vm(&host, 1, 2, 5);
	step(&host, MS);
	vm = add_vm(&host, 1, 2, 5 + 101);
	vm->vcpus[0].cpu = 3;
	/* Another CPU of the same unit is no move. */
	vm->vcpus[1].cpu = 1;
	step(&host, 200 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 202);
	assert_int_equal(only_vm(&host)->active[0], 50 + 101);
	assert_int_equal(only_vm(&host)->active[1], 51);
	vm = add_vm(&host, 1, 2, 5 + 101 + 30);
	vm->vcpus[0].cpu = 2;
	vm->vcpus[1].cpu = SAMPLE_NO_CPU;
	step(&host, 200 * MS);
	assert_int_equal(only_vm(&host)->active[0], 15);
	assert_int_equal(only_vm(&host)->active[1], 30 + 15);
	host_stop(&host);
}

/* A CPU that the topology does not know is an unknown one. */
static void test_time_on_a_strange_cpu_is_spread(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 2);
	add_vm(&host, 1, 1, 0);
	step(&host, 0);
	add_vm(&host, 1, 1, 10)->vcpus[0].cpu = 99;
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->active[0], 5);
	assert_int_equal(only_vm(&host)->active[1], 5);
	host_stop(&host);
}

static void test_overhead_follows_the_vcpus(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 2);
	vm = add_vm(&host, 1, 2, 0);
	vm->vcpus[1].cpu = 3;
	step(&host, 0);
	vm = add_vm(&host, 1, 2, 0);
	vm->overhead_ns = 1001;
	vm->vcpus[0] = (struct sample_vcpu){.time_ns = 300, .cpu = 0};
	vm->vcpus[1] = (struct sample_vcpu){.time_ns = 700, .cpu = 3};
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->overhead_ns, 1001);
	assert_int_equal(overhead_ns(&host, 0), 300);
	assert_int_equal(overhead_ns(&host, 1), 701);
	assert_int_equal(only_vm(&host)->unit_ns[1], 700 + 701);
	/* No vCPU ran: it goes where they sit, each as much as the other. */
	vm = add_vm(&host, 1, 2, 0);
	vm->overhead_ns = 1001 + 500;
	vm->vcpus[0] = (struct sample_vcpu){.time_ns = 300, .cpu = 2};
	vm->vcpus[1] = (struct sample_vcpu){.time_ns = 700, .cpu = 3};
	step(&host, 100 * MS);
	assert_int_equal(overhead_ns(&host, 0), 0);
	assert_int_equal(overhead_ns(&host, 1), 500);
	/* Nor is a VM without a vCPU without a place. */
	add_vm(&host, 1, 0, 0)->overhead_ns = 1501 + 9;
	step(&host, 100 * MS);
	assert_int_equal(overhead_ns(&host, 0), 9);
	host_stop(&host);
}

static void test_long_intervals_stand_alone(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 1);
	add_vm(&host, 1, 1, 0);
	step(&host, 0);
	add_vm(&host, 1, 1, 50 * MS);
	step(&host, ACTIVITY_MEMORY_NS);
	assert_int_equal(only_vm(&host)->active[0], 50 * MS);
	add_vm(&host, 1, 1, 53 * MS);
	step(&host, ACTIVITY_MEMORY_NS);
	assert_int_equal(only_vm(&host)->active[0], 3 * MS);
	/* A quarter of the memory leaves three quarters. */
	add_vm(&host, 1, 1, 53 * MS);
	step(&host, ACTIVITY_MEMORY_NS / 4);
	assert_int_equal(only_vm(&host)->active[0], 3 * MS * 3 / 4);
	assert_int_equal(only_vm(&host)->vcpu_ns, 0);
	host_stop(&host);
}

/* Two VMs of 100 % and 50 % of a CPU whose times move in steps of 4 ms: seen every ms. */
static void test_short_intervals_do_not_flicker(void **state)
{
	uint64_t other = 0;
	struct host host;

	(void)state;
	host_start(&host, 1);
	for (uint64_t ms = 0; ms < 2000; ms++) {
		size_t count;
		const struct activity_vm *vms;

		add_vm(&host, 1, 1, ms / 4 * 4 * MS);
		add_vm(&host, 2, 1, ms / 8 * 4 * MS);
		host.sample.cpu_busy_ns[0] = ms / 10 * 10 * MS;
		host.sample.cpu_busy_ns[1] = ms / 20 * 10 * MS;
		step(&host, MS);
		other = activity_fade(other, MS) + other_ns(&host, 0);
		if (ms < 300)
			continue;
		vms = activity_vms(host.activity, &count);
		assert_int_equal(count, 2);
		assert_in_range(vms[0].active[0], vms[1].active[0] * 180 / 100,
				vms[1].active[0] * 220 / 100);
		/* Nothing else runs; what the coarser clock makes of that stays small. */
		assert_true(other < vms[0].active[0] / 4);
	}
	host_stop(&host);
}

static void test_other_time_is_what_no_vm_spent(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 2);
	add_vm(&host, 1, 1, 0);
	/* Since boot, which is no interval. */
	host.sample.cpu_busy_ns[0] = 1000 * MS;
	step(&host, 0);
	assert_int_equal(activity_busy_ns(host.activity, 0), 0);
	assert_int_equal(other_ns(&host, 0), 0);
	/* The VM is ahead of the CPUs' clock by 20 ms ... */
	add_vm(&host, 1, 1, 50 * MS);
	host.sample.cpu_busy_ns[0] += 30 * MS;
	host.sample.cpu_busy_ns[3] += 5 * MS;
	step(&host, 100 * MS);
	assert_int_equal(activity_busy_ns(host.activity, 0), 30 * MS);
	assert_int_equal(other_ns(&host, 0), 0);
	assert_int_equal(other_ns(&host, 1), 5 * MS);
	assert_int_equal(activity_unit_cpus(host.activity, 1), 2);
	/* ... which are no other time when it catches up. */
	add_vm(&host, 1, 1, 60 * MS);
	host.sample.cpu_busy_ns[0] += 40 * MS;
	step(&host, 100 * MS);
	assert_int_equal(other_ns(&host, 0), 10 * MS);
	/* A debt beyond 50 ms a CPU is no rounding. */
	add_vm(&host, 1, 1, 960 * MS);
	step(&host, 100 * MS);
	add_vm(&host, 1, 1, 960 * MS);
	host.sample.cpu_busy_ns[1] += 130 * MS;
	step(&host, 100 * MS);
	assert_int_equal(other_ns(&host, 0), 30 * MS);
	host_stop(&host);
}

static void test_counters_that_go_back_make_no_time(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 1);
	add_vm(&host, 1, 2, 100)->overhead_ns = 50;
	host.sample.cpu_busy_ns[0] = 1000;
	step(&host, MS);
	vm = add_vm(&host, 1, 2, 40);
	vm->vcpus[1].time_ns = 103;
	vm->overhead_ns = 10;
	host.sample.cpu_busy_ns[0] = 400;
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 3);
	assert_int_equal(only_vm(&host)->overhead_ns, 0);
	assert_int_equal(activity_busy_ns(host.activity, 0), 0);
	vm = add_vm(&host, 1, 2, 45);
	vm->vcpus[1].time_ns = 103;
	vm->overhead_ns = 12;
	host.sample.cpu_busy_ns[0] = 407;
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 5);
	assert_int_equal(only_vm(&host)->overhead_ns, 2);
	assert_int_equal(activity_busy_ns(host.activity, 0), 7);
	/* Time that goes back is none; what runs in it still counts. */
	host.sample.time.ns -= 50 * MS;
	add_vm(&host, 1, 2, 145);
	step(&host, 0);
	assert_int_equal(activity_elapsed_ns(host.activity), 0);
	assert_int_equal(only_vm(&host)->vcpu_ns, 100 + 42);
	host_stop(&host);
}

static void test_machines_come_and_go(void **state)
{
	struct host host;
	const struct activity_vm *vms;
	size_t count;

	(void)state;
	host_start(&host, 1);
	add_vm(&host, 3, 1, 100);
	step(&host, MS);
	add_vm(&host, 3, 1, 110);
	add_vm(&host, 1, 1, 500);
	step(&host, 100 * MS);
	vms = activity_vms(host.activity, &count);
	assert_int_equal(count, 2);
	/* By uuid, whatever the sample's order; the new one has no interval yet. */
	assert_int_equal(vms[0].uuid.bytes[0], 1);
	assert_false(vms[0].present);
	assert_int_equal(vms[0].vcpu_ns, 0);
	assert_true(vms[1].present);
	assert_int_equal(vms[1].vcpu_ns, 10);
	assert_int_equal(vms[1].sample, 0);
	/* One stops, the other goes on. */
	add_vm(&host, 1, 1, 501);
	add_vm(&host, 3, 1, 110)->running = false;
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->uuid.bytes[0], 1);
	assert_int_equal(only_vm(&host)->vcpu_ns, 1);
	/* Back with a new process, whose counter is larger by chance: no interval. */
	add_vm(&host, 3, 1, 9999);
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->uuid.bytes[0], 3);
	assert_false(only_vm(&host)->present);
	assert_int_equal(only_vm(&host)->vcpu_ns, 0);
	step(&host, 100 * MS);
	(void)activity_vms(host.activity, &count);
	assert_int_equal(count, 0);
	host_stop(&host);
}

/* Whoever began since the sample before has used all that it shows in this interval. */
static void test_the_born_have_an_interval(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 1);
	step(&host, 1);
	vm = add_vm(&host, 1, 2, 30 * MS);
	vm->born = true;
	vm->overhead_ns = 5 * MS;
	step(&host, 1000 * MS);
	assert_true(only_vm(&host)->present);
	assert_int_equal(only_vm(&host)->vcpu_ns, 60 * MS);
	assert_int_equal(only_vm(&host)->overhead_ns, 5 * MS);
	/* Once only. */
	vm = add_vm(&host, 1, 2, 40 * MS);
	vm->born = true;
	step(&host, 1000 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 20 * MS);
	host_stop(&host);
}

static void test_vcpus_are_plugged_and_unplugged(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 1);
	add_vm(&host, 1, 2, 100);
	step(&host, 0);
	/* The new ones start from what they show, the old ones go on. */
	add_vm(&host, 1, 4, 107);
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 2 * 7);
	assert_int_equal(only_vm(&host)->active[0], 2 * 7);
	add_vm(&host, 1, 4, 110);
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 4 * 3);
	add_vm(&host, 1, 1, 115);
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->vcpu_ns, 5);
	assert_int_equal(only_vm(&host)->vcpu_count, 1);
	add_vm(&host, 1, 0, 0);
	step(&host, 100 * MS);
	assert_true(only_vm(&host)->present);
	assert_int_equal(only_vm(&host)->vcpu_ns, 0);
	host_stop(&host);
}

static void test_sockets_change(void **state)
{
	struct host host;
	struct sample_vm *vm;

	(void)state;
	host_start(&host, 2);
	vm = add_vm(&host, 1, 3, 0);
	vm->vcpus[1].cpu = 2;
	vm->vcpus[2].cpu = 2;
	step(&host, 0);
	vm = add_vm(&host, 1, 3, 10);
	vm->socket_count = 2;
	vm->vcpus[1] = (struct sample_vcpu){.time_ns = 20, .cpu = 2, .socket = 1};
	/* Further than the VM has sockets: the last. */
	vm->vcpus[2] = (struct sample_vcpu){.time_ns = 40, .cpu = 2, .socket = 9};
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->socket_count, 2);
	assert_int_equal(only_vm(&host)->active[0 * 2 + 0], 10);
	assert_int_equal(only_vm(&host)->active[0 * 2 + 1], 0);
	assert_int_equal(only_vm(&host)->active[1 * 2 + 0], 0);
	assert_int_equal(only_vm(&host)->active[1 * 2 + 1], 60);
	assert_int_equal(only_vm(&host)->socket_vcpus[0], 1);
	assert_int_equal(only_vm(&host)->socket_vcpus[1], 2);
	/* None is one. Two have moved. */
	add_vm(&host, 1, 3, 50)->socket_count = 0;
	step(&host, 100 * MS);
	assert_int_equal(only_vm(&host)->socket_count, 1);
	assert_int_equal(only_vm(&host)->socket_vcpus[0], 3);
	assert_int_equal(only_vm(&host)->active[0], 40 + (30 + 10) / 2);
	host_stop(&host);
}

static void test_sockets_beyond_the_limit_count_in_the_last(void **state)
{
	enum { VCPUS = LEDGER_SOCKET_MAX + 2 };
	struct host host;

	(void)state;
	host_start(&host, 1);
	for (uint64_t round = 0; round < 2; round++) {
		struct sample_vm *vm = add_vm(&host, 1, VCPUS, 7 * round);

		vm->socket_count = VCPUS;
		for (uint32_t i = 0; i < VCPUS; i++)
			vm->vcpus[i].socket = i;
		step(&host, 100 * MS);
	}
	assert_int_equal(only_vm(&host)->socket_count, LEDGER_SOCKET_MAX);
	assert_int_equal(only_vm(&host)->active[0], 7);
	assert_int_equal(only_vm(&host)->active[LEDGER_SOCKET_MAX - 1], 3 * 7);
	assert_int_equal(only_vm(&host)->socket_vcpus[LEDGER_SOCKET_MAX - 1], 3);
	host_stop(&host);
}

static void test_the_first_of_two_with_one_uuid_counts(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 1);
	add_vm(&host, 1, 1, 100);
	add_vm(&host, 1, 1, 5000);
	step(&host, 0);
	add_vm(&host, 1, 1, 103);
	add_vm(&host, 1, 2, 6000);
	step(&host, 100 * MS);
	assert_true(only_vm(&host)->present);
	assert_int_equal(only_vm(&host)->vcpu_ns, 3);
	assert_int_equal(only_vm(&host)->sample, 0);
	assert_int_equal(only_vm(&host)->vcpu_count, 1);
	host_stop(&host);
}

/* As many as a sample can hold leave, and as many others arrive at once. */
static void test_all_machines_are_replaced_at_once(void **state)
{
	struct host host;
	size_t count;

	(void)state;
	host_start(&host, 1);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SAMPLE_VM_MAX; i++) {
			struct sample_vm *vm = add_vm(&host, round == 0 ? 1 : 2, 1, 0);

			vm->uuid.bytes[8] = (uint8_t)(i >> 8);
			vm->uuid.bytes[9] = (uint8_t)i;
		}
		step(&host, MS);
		(void)activity_vms(host.activity, &count);
		assert_int_equal(count, SAMPLE_VM_MAX);
	}
	assert_true(activity_vms(host.activity, &count)[0].present);
	host_stop(&host);
}

static void test_a_host_without_cpus_has_one_unit(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 0);
	add_vm(&host, 1, 1, 0);
	step(&host, 0);
	add_vm(&host, 1, 1, 9);
	step(&host, 100 * MS);
	assert_int_equal(activity_unit_count(host.activity), 1);
	assert_int_equal(only_vm(&host)->active[0], 9);
	host_stop(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time_goes_to_the_unit_of_the_cpu),
	    cmocka_unit_test(test_a_vcpu_that_moved_is_split),
	    cmocka_unit_test(test_time_on_a_strange_cpu_is_spread),
	    cmocka_unit_test(test_overhead_follows_the_vcpus),
	    cmocka_unit_test(test_long_intervals_stand_alone),
	    cmocka_unit_test(test_short_intervals_do_not_flicker),
	    cmocka_unit_test(test_other_time_is_what_no_vm_spent),
	    cmocka_unit_test(test_counters_that_go_back_make_no_time),
	    cmocka_unit_test(test_machines_come_and_go),
	    cmocka_unit_test(test_the_born_have_an_interval),
	    cmocka_unit_test(test_vcpus_are_plugged_and_unplugged),
	    cmocka_unit_test(test_sockets_change),
	    cmocka_unit_test(test_sockets_beyond_the_limit_count_in_the_last),
	    cmocka_unit_test(test_the_first_of_two_with_one_uuid_counts),
	    cmocka_unit_test(test_all_machines_are_replaced_at_once),
	    cmocka_unit_test(test_a_host_without_cpus_has_one_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
