#include "tests/unit/check.h"

#include "host/vm_cpu_time.h"
#include "host/vm_query.h"
#include "host/vm_time_libvirt.h"

#include <stdio.h>

static void test_dealing_out_is_exact(void **state)
{
	struct vm_cpu_time time;
	uint64_t spent_ns = 0, seed = 1;

	(void)state;
	vm_cpu_time_init(&time);
	assert_int_equal(vm_cpu_time_reserve(&time, 3), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t more_ns = check_random_below(&seed, 1000);

		spent_ns += more_ns;
		vm_cpu_time_add_all(&time, 3, more_ns);
		assert_int_equal(time.vcpus[0].time_ns + time.vcpus[1].time_ns +
				     time.vcpus[2].time_ns,
				 spent_ns);
	}
	vm_cpu_time_add_all(&time, 0, 5);
	assert_int_equal(time.overhead_ns, 5);
	vm_cpu_time_finish(&time);
}

static void test_vcpu_limit(void **state)
{
	struct vm_cpu_time time;

	(void)state;
	vm_cpu_time_init(&time);
	assert_int_equal(vm_cpu_time_add(&time, SAMPLE_VCPU_MAX - 1, 7), 0);
	assert_int_equal(time.vcpus[SAMPLE_VCPU_MAX - 1].time_ns, 7);
	assert_int_equal(time.vcpus[0].cpu, SAMPLE_NO_CPU);
	/* What has no vCPU to go to is not lost. */
	assert_int_equal(vm_cpu_time_add(&time, SAMPLE_VCPU_MAX, 8), -ENOSPC);
	assert_int_equal(time.overhead_ns, 8);
	vm_cpu_time_finish(&time);
}

static int tell(struct vm_cpu_time *time, const struct vm_roster_vm *vm, bool same_run,
		uint64_t at_ns)
{
	return vm_cpu_time_told(time, vm, same_run, (struct mono_time){.ns = at_ns});
}

/* A machine whose times libvirt tells: they go on over a restart, and jitter adds nothing. */
static void test_told_times(void **state)
{
	struct vm_roster_vcpu vcpus[2] = {{.id = 0, .time_ns = 100}, {.id = 1, .time_ns = 50}};
	struct vm_roster_vm vm = {
	    .has_times = true, .cpu_time_ns = 180, .vcpu_count = 2, .vcpus = vcpus};
	struct vm_cpu_time time;

	(void)state;
	vm_cpu_time_init(&time);
	assert_int_equal(tell(&time, &vm, false, 0), 0);
	assert_int_equal(time.vcpus[0].time_ns, 100);
	assert_int_equal(time.vcpus[1].time_ns, 50);
	assert_int_equal(time.overhead_ns, 30);
	vcpus[0].time_ns = 130; /* and the total is late */
	assert_int_equal(tell(&time, &vm, true, 0), 0);
	vm_cpu_time_settle(&time);
	assert_int_equal(time.vcpus[0].time_ns, 130);
	assert_int_equal(time.overhead_ns, 30);
	vm.cpu_time_ns = 215;
	vcpus[1].time_ns = 40; /* goes back */
	assert_int_equal(tell(&time, &vm, true, 0), 0);
	vm_cpu_time_settle(&time);
	assert_int_equal(time.vcpus[1].time_ns, 50);
	assert_int_equal(time.overhead_ns, 35);
	vcpus[0].time_ns = 5; /* another run */
	vcpus[1].time_ns = 6;
	vm.cpu_time_ns = 12;
	assert_int_equal(tell(&time, &vm, false, 0), 0);
	assert_int_equal(time.vcpus[0].time_ns, 135);
	assert_int_equal(time.vcpus[1].time_ns, 56);
	assert_int_equal(time.overhead_ns, 36);
	vm_cpu_time_finish(&time);
}

/* Told once a second, looked at in between: what it did is drawn out over the next second. */
static void test_told_times_are_booked_little_by_little(void **state)
{
	struct vm_roster_vcpu vcpu = {.id = 0, .time_ns = 5 * CLOCK_NS_PER_SECOND};
	struct vm_roster_vm vm = {
	    .has_times = true, .cpu_time_ns = vcpu.time_ns, .vcpu_count = 1, .vcpus = &vcpu};
	struct vm_cpu_time time;

	(void)state;
	vm_cpu_time_init(&time);
	assert_int_equal(tell(&time, &vm, false, CLOCK_NS_PER_SECOND), 0);
	assert_int_equal(time.vcpus[0].time_ns, 5 * CLOCK_NS_PER_SECOND);
	vcpu.time_ns += 800;
	vm.cpu_time_ns += 1000;
	assert_int_equal(tell(&time, &vm, true, 2 * CLOCK_NS_PER_SECOND), 0);
	assert_int_equal(time.vcpus[0].time_ns, 5 * CLOCK_NS_PER_SECOND);
	for (uint64_t tenth = 1; tenth <= 10; tenth++) {
		struct mono_time now = {.ns = (20 + tenth) * CLOCK_NS_PER_SECOND / 10};

		vm_cpu_time_release(&time, now);
		assert_int_equal(time.vcpus[0].time_ns - 5 * CLOCK_NS_PER_SECOND, 80 * tenth);
		assert_int_equal(time.overhead_ns, 20 * tenth);
		/* The same once more, because of another machine. */
		assert_int_equal(tell(&time, &vm, true, now.ns), 0);
	}
	vm_cpu_time_release(&time, (struct mono_time){.ns = 100 * CLOCK_NS_PER_SECOND});
	assert_int_equal(time.vcpus[0].time_ns, 5 * CLOCK_NS_PER_SECOND + 800);
	/* After a long silence it is not drawn out for as long, and the end settles what is left.
	 */
	vcpu.time_ns += 3000;
	assert_int_equal(tell(&time, &vm, true, 100 * CLOCK_NS_PER_SECOND), 0);
	vm_cpu_time_release(&time, (struct mono_time){.ns = 101 * CLOCK_NS_PER_SECOND});
	assert_int_equal(time.vcpus[0].time_ns, 5 * CLOCK_NS_PER_SECOND + 1800);
	vm_cpu_time_settle(&time);
	assert_int_equal(time.vcpus[0].time_ns, 5 * CLOCK_NS_PER_SECOND + 3800);
	vm_cpu_time_finish(&time);
}

static virTypedParameter parameter(const char *field, unsigned long long value)
{
	virTypedParameter made = {.type = VIR_TYPED_PARAM_ULLONG};

	(void)snprintf(made.field, sizeof(made.field), "%s", field);
	made.value.ul = value;
	return made;
}

static void test_libvirt_record(void **state)
{
	struct vm_roster_vcpu vcpus[2] = {{.id = 0, .time_ns = 1}, {.id = 3, .time_ns = 2}};
	struct vm_roster_vm vm = {.vcpu_count = 2, .vcpus = vcpus};
	virTypedParameter params[] = {
	    parameter("cpu.time", 900),
	    parameter("cpu.user", 1),
	    parameter("vcpu.3.time", 70),
	    parameter("vcpu.2.time", 8),
	    parameter("vcpu.0.wait", 9),
	    parameter("vcpu..time", 9),
	    parameter("balloon.current", 4096),
	    parameter("vcpu.99999999999999.time", 9),
	    {.field = "vcpu.0.time", .type = VIR_TYPED_PARAM_INT, .value.i = -1},
	};

	(void)state;
	vm_time_libvirt_fill(params, (int)CHECK_COUNT(params), &vm);
	assert_int_equal(vm.cpu_time_ns, 900);
	assert_int_equal(vcpus[0].time_ns, 1); /* not told this time: as it was */
	assert_int_equal(vcpus[1].time_ns, 70);
	assert_int_equal(vm.memory_bytes, 4096 * 1024);
}

static void test_questions(void **state)
{
	static struct vm_query_table table;
	struct mono_time now = {.ns = 1};
	struct uuid uuid = {.bytes = {1}}, taken;
	bool asked;

	(void)state;
	assert_false(vm_query_take(&table, &taken));
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EINPROGRESS);
	assert_true(asked);
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EINPROGRESS);
	assert_false(asked);
	assert_true(vm_query_take(&table, &taken));
	assert_true(uuid_equal(&taken, &uuid));
	assert_false(vm_query_take(&table, &taken));
	vm_query_answer(&table, &uuid, false, now);
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), 0);
	now.ns += VM_QUERY_VALID_NS;
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EINPROGRESS);
	assert_true(asked);
	assert_true(vm_query_take(&table, &taken));
	vm_query_answer(&table, &uuid, true, now);
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), 1);
	for (uint8_t i = 2; i < VM_QUERY_MAX + 1; i++) {
		uuid.bytes[0] = i;
		assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EINPROGRESS);
	}
	uuid.bytes[0] = 200;
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EBUSY);
	/* An answer that has grown old makes room. */
	now.ns += VM_QUERY_VALID_NS;
	assert_int_equal(vm_query_ask(&table, &uuid, now, &asked), -EINPROGRESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dealing_out_is_exact),
	    cmocka_unit_test(test_vcpu_limit),
	    cmocka_unit_test(test_told_times),
	    cmocka_unit_test(test_told_times_are_booked_little_by_little),
	    cmocka_unit_test(test_libvirt_record),
	    cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
