#include "tests/unit/check.h"

#include "host/vm_roster.h"

#include <stdio.h>

static struct vm_roster_vm roster_vm(uint8_t number, struct vm_roster_vcpu *vcpus, size_t count)
{
	struct vm_roster_vm vm = {
	    .uuid = {.bytes = {number}},
	    .running = true,
	    .socket_count = 1,
	    .vcpus_per_socket = 1,
	    .vcpu_count = count,
	    .vcpus = vcpus,
	};

	(void)snprintf(vm.name, sizeof(vm.name), "vm%u", number);
	return vm;
}

static void test_machines_are_sorted_and_found(void **state)
{
	static const uint8_t numbers[] = {7, 1, 200, 3, 90, 2};
	cleanup_vm_roster struct vm_roster *roster = NULL;

	(void)state;
	assert_int_equal(vm_roster_create(&roster), 0);
	for (size_t i = 0; i < sizeof(numbers); i++) {
		struct vm_roster_vm vm = roster_vm(numbers[i], NULL, 0);

		assert_int_equal(vm_roster_put(roster, &vm), 0);
	}
	assert_int_equal(roster->count, sizeof(numbers));
	for (size_t i = 1; i < roster->count; i++)
		assert_true(uuid_compare(&roster->vms[i - 1]->uuid, &roster->vms[i]->uuid) < 0);
	for (size_t i = 0; i < sizeof(numbers); i++) {
		struct uuid uuid = {.bytes = {numbers[i]}};

		assert_non_null(vm_roster_find(roster, &uuid));
		assert_int_equal(vm_roster_remove(roster, &uuid), 0);
		assert_null(vm_roster_find(roster, &uuid));
		assert_int_equal(vm_roster_remove(roster, &uuid), -ENOENT);
	}
	assert_int_equal(roster->count, 0);
}

static void test_put_again_replaces(void **state)
{
	cleanup_vm_roster struct vm_roster *roster = NULL;
	struct vm_roster_vcpu vcpus[2] = {{.id = 0}, {.id = 5, .socket = 1}};
	struct vm_roster_vm vm = roster_vm(4, vcpus, 2);
	const struct vm_roster_vm *found;

	(void)state;
	assert_int_equal(vm_roster_create(&roster), 0);
	assert_int_equal(vm_roster_put(roster, &vm), 0);
	vcpus[1].id = 6;
	found = vm_roster_find(roster, &vm.uuid);
	assert_non_null(found);
	assert_int_equal(found->vcpus[1].id, 5);
	assert_int_equal(vm_roster_put(roster, &vm), 0);
	assert_int_equal(roster->count, 1);
	assert_int_equal(vm_roster_find(roster, &vm.uuid)->vcpus[1].id, 6);
}

static void test_copies_share_nothing(void **state)
{
	cleanup_vm_roster struct vm_roster *roster = NULL, *copy = NULL;
	struct vm_roster_vcpu vcpu = {.id = 0};
	struct vm_roster_vm vm = roster_vm(1, &vcpu, 1);

	(void)state;
	assert_int_equal(vm_roster_create(&roster), 0);
	assert_int_equal(vm_roster_copy(roster, &copy), 0);
	assert_int_equal(copy->count, 0);
	vm_roster_destroy(copy);
	copy = NULL;
	assert_int_equal(vm_roster_put(roster, &vm), 0);
	assert_int_equal(vm_roster_copy(roster, &copy), 0);
	roster->vms[0]->vcpus[0].time_ns = 7;
	assert_int_equal(copy->vms[0]->vcpus[0].time_ns, 0);
	assert_string_equal(copy->vms[0]->name, "vm1");
}

static void test_limits(void **state)
{
	cleanup_vm_roster struct vm_roster *roster = NULL;
	struct vm_roster_vm vm = roster_vm(0, NULL, 0);
	char name[SAMPLE_NAME_SIZE + 10];

	(void)state;
	assert_int_equal(vm_roster_create(&roster), 0);
	for (uint32_t i = 0; i < VM_ROSTER_VM_MAX; i++) {
		memcpy(vm.uuid.bytes, &i, sizeof(i));
		assert_int_equal(vm_roster_put(roster, &vm), 0);
	}
	assert_int_equal(vm_roster_put(roster, &vm), 0); /* the same once more is no more */
	vm.uuid.bytes[15] = 1;
	assert_int_equal(vm_roster_put(roster, &vm), -ENOSPC);
	vm.uuid.bytes[15] = 0;
	vm.vcpu_count = VM_ROSTER_VCPU_MAX + 1;
	assert_int_equal(vm_roster_put(roster, &vm), -ENOSPC);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	vm_roster_set_name(&vm, name);
	assert_int_equal(strlen(vm.name), SAMPLE_NAME_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machines_are_sorted_and_found),
	    cmocka_unit_test(test_put_again_replaces),
	    cmocka_unit_test(test_copies_share_nothing),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
