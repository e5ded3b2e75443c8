#include "common/sample.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"

static void test_a_vm_starts_empty_and_memory_is_kept(void **state)
{
	struct sample sample;
	struct sample_vm *vm;
	struct sample_vcpu *vcpus;

	(void)state;
	assert_int_equal(sample_init(&sample, 3), 0);
	assert_int_equal(sample.cpu_count, 3);
	assert_int_equal(sample.cpu_busy_ns[2], 0);
	assert_int_equal(sample_add_vm(&sample, 4, &vm), 0);
	assert_true(vm->running);
	assert_int_equal(vm->socket_count, 1);
	assert_int_equal(vm->vcpu_count, 4);
	sample_set_name(vm, "first");
	vm->vcpus[1].time_ns = 9;
	vcpus = vm->vcpus;
	sample.time.ns = 5;

	sample_clear(&sample);
	assert_int_equal(sample.vm_count, 0);
	assert_int_equal(sample.time.ns, 0);
	assert_int_equal(sample_add_vm(&sample, 2, &vm), 0);
	assert_ptr_equal(vm->vcpus, vcpus);
	assert_int_equal(vm->vcpus[1].time_ns, 0);
	assert_string_equal(vm->name, "");
	assert_int_equal(vm->vcpu_count, 2);
	assert_int_equal(vm->vcpu_capacity, 4);
	sample_finish(&sample);
	sample_finish(&sample);
}

static void test_limits(void **state)
{
	struct sample sample;
	struct sample_vm *vm;

	(void)state;
	assert_int_equal(sample_init(&sample, 0), 0);
	assert_int_equal(sample_add_vm(&sample, SAMPLE_VCPU_MAX + 1, &vm), -ENOSPC);
	assert_int_equal(sample_add_vm(&sample, SAMPLE_VCPU_MAX, &vm), 0);
	while (sample.vm_count < SAMPLE_VM_MAX)
		assert_int_equal(sample_add_vm(&sample, 1, &vm), 0);
	assert_int_equal(sample_add_vm(&sample, 1, &vm), -ENOSPC);
	assert_int_equal(sample.vm_count, SAMPLE_VM_MAX);
	sample_finish(&sample);
}

static void test_names_are_whole_utf8(void **state)
{
	static const struct {
		const char *name, *kept;
	} rows[] = {
	    {"", ""},
	    {"web 1/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	     "web 1/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
	    {"a\xff\x62", "a?b"},
	    {"\xc3", "?"},
	    {"\xe2\x82", "??"},
	    {"\xc0\xaf", "??"},		  /* overlong */
	    {"\xed\xa0\x80", "???"},	  /* surrogate */
	    {"\xf4\x90\x80\x80", "????"}, /* past U+10FFFF */
	};
	char longest[SAMPLE_NAME_SIZE + 8];
	struct sample_vm vm;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		sample_set_name(&vm, rows[i].name);
		assert_string_equal(vm.name, rows[i].kept);
	}
	memset(longest, 'x', sizeof(longest));
	longest[SAMPLE_NAME_SIZE - 1] = '\0';
	sample_set_name(&vm, longest);
	assert_string_equal(vm.name, longest);
	/* The two bytes of the last character do not both fit: neither is kept. */
	memcpy(&longest[SAMPLE_NAME_SIZE - 2], "\xc3\xa4", 3);
	sample_set_name(&vm, longest);
	assert_int_equal(strlen(vm.name), SAMPLE_NAME_SIZE - 2);
	assert_int_equal(vm.name[SAMPLE_NAME_SIZE - 3], 'x');
}

static void test_vcpus_are_dealt_in_order(void **state)
{
	static const struct {
		size_t vcpu_count;
		uint32_t socket_count;
		const char *sockets;
	} rows[] = {{4, 2, "0011"}, {4, 1, "0000"}, {5, 2, "00011"}, {1, 2, "0"}, {4, 4, "0123"}};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++)
		for (size_t k = 0; k < rows[i].vcpu_count; k++)
			assert_int_equal(
			    sample_socket_of(k, rows[i].vcpu_count, rows[i].socket_count),
			    rows[i].sockets[k] - '0');
}

static int fill(struct sample *sample)
{
	struct sample_vm *vm;
	int status = sample_init(sample, 2);

	for (size_t i = 0; status == 0 && i < 20; i++)
		status = sample_add_vm(sample, 2, &vm);
	return status;
}

static void test_every_allocation_may_fail(void **state)
{
	struct sample sample;
	unsigned nth = 1;
	int status;

	(void)state;
	do {
		fault_arm(FAULT_MEMORY, nth++, ENOMEM);
		status = fill(&sample);
		assert_int_equal(status, fault_disarm() ? -ENOMEM : 0);
		sample_finish(&sample);
	} while (status < 0);
	assert_true(nth > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_vm_starts_empty_and_memory_is_kept),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_names_are_whole_utf8),
	    cmocka_unit_test(test_vcpus_are_dealt_in_order),
	    cmocka_unit_test(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
