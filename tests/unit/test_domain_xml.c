#include "tests/unit/check.h"

#include "host/domain_xml.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                                       \
	"<domain type='kvm' id='3'><name>web &amp; b\xc3\xa4r/1</name>"                            \
	"<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>"

static int parse(const char *text, struct vm_roster_vm *vm, struct diag *diag)
{
	return domain_xml_parse(text, strlen(text), vm, diag);
}

/* Parses what must be valid; the caller frees vm.vcpus. */
static struct vm_roster_vm parsed(const char *text)
{
	struct diag diag = DIAG_INIT;
	struct vm_roster_vm vm;
	int status = parse(text, &vm, &diag);

	if (status < 0)
		fail_msg("%s: %s", text, diag.text);
	return vm;
}

static void test_identity_and_memory(void **state)
{
	struct vm_roster_vm vm =
	    parsed(HEAD "<memory unit='KiB'>4194304</memory>"
			"<currentMemory unit='MiB'>2048</currentMemory><vcpu>2</vcpu></domain>");
	char text[UUID_TEXT_SIZE];

	(void)state;
	uuid_format(&vm.uuid, text);
	assert_string_equal(text, "6695eb01-f6a4-8304-79aa-97f2502e193f");
	assert_string_equal(vm.name, "web & b\xc3\xa4r/1");
	assert_int_equal(vm.memory_bytes, UINT64_C(2048) << 20);
	free(vm.vcpus);
}

/* libvirt gives each vCPU a socket of its own where nothing is said. */
static void test_without_topology_every_vcpu_is_a_socket(void **state)
{
	struct vm_roster_vm vm = parsed(HEAD "<vcpu placement='static'>4</vcpu></domain>");

	(void)state;
	assert_int_equal(vm.vcpu_count, 4);
	assert_int_equal(vm.socket_count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(vm.vcpus[i].id, i);
		assert_int_equal(vm.vcpus[i].socket, i);
	}
	free(vm.vcpus);
}

static void test_topology_deals_vcpus_over_sockets(void **state)
{
	struct vm_roster_vm vm =
	    parsed(HEAD "<vcpu>12</vcpu><cpu mode='host-passthrough'>"
			"<topology sockets='2' dies='1' cores='3' threads='2'/></cpu></domain>");

	(void)state;
	assert_int_equal(vm.socket_count, 2);
	assert_int_equal(vm.vcpus[5].socket, 0);
	assert_int_equal(vm.vcpus[6].socket, 1);
	assert_int_equal(vm.vcpus[11].socket, 1);
	assert_int_equal(vm.vcpus_per_socket, 6);
	free(vm.vcpus);
}

/* All levels below the socket count, and none is taken for it. */
static void test_every_level_of_the_topology(void **state)
{
	struct vm_roster_vm vm = parsed(
	    HEAD "<vcpu current='20'>64</vcpu><cpu><topology sockets='4' dies='2' clusters='2' "
		 "cores='2' threads='2'/></cpu></domain>");

	(void)state;
	assert_int_equal(vm.vcpus_per_socket, 16);
	assert_int_equal(vm.vcpu_count, 20);
	assert_int_equal(vm.socket_count, 2);
	assert_int_equal(vm.vcpus[15].socket, 0);
	assert_int_equal(vm.vcpus[16].socket, 1);
	free(vm.vcpus);
}

static void test_unplugged_vcpus_and_their_sockets_are_not_there(void **state)
{
	struct vm_roster_vm current = parsed(HEAD "<vcpu current='2'>8</vcpu></domain>");
	struct vm_roster_vm listed =
	    parsed(HEAD "<vcpu current='2'>4</vcpu><vcpus>"
			"<vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='1' enabled='no'/>"
			"<vcpu id='2' enabled='yes'/><vcpu id='3' enabled='no'/></vcpus>"
			"<cpu><topology sockets='2' cores='2' threads='1'/></cpu></domain>");

	(void)state;
	assert_int_equal(current.vcpu_count, 2);
	assert_int_equal(current.socket_count, 2);
	assert_int_equal(listed.vcpu_count, 2);
	assert_int_equal(listed.vcpus[1].id, 2);
	assert_int_equal(listed.vcpus[1].socket, 1);
	assert_int_equal(listed.socket_count, 2);
	free(current.vcpus);
	free(listed.vcpus);
}

/* What else is in there may be named alike, in a namespace or deeper down. */
static void test_metadata_does_not_mislead(void **state)
{
	struct vm_roster_vm vm =
	    parsed("<domain xmlns:x='urn:x'><metadata><name>other</name>"
		   "<uuid>00000000-0000-0000-0000-000000000001</uuid><vcpu>9</vcpu></metadata>"
		   "<x:name>third</x:name><x:vcpu>7</x:vcpu><name>true</name>"
		   "<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid><vcpu>1</vcpu></domain>");

	(void)state;
	assert_string_equal(vm.name, "true");
	assert_int_equal(vm.vcpu_count, 1);
	free(vm.vcpus);
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "<domain",
	    "<network/>",
	    "<domain/>",
	    HEAD "<vcpu>0</vcpu></domain>",
	    HEAD "<vcpu>many</vcpu></domain>",
	    HEAD "<vcpu>-1</vcpu></domain>",
	    HEAD "<vcpu current='0'>4</vcpu></domain>",
	    HEAD "<vcpu>99999999999999999999</vcpu></domain>",
	    HEAD "<vcpu>2</vcpu><vcpus><vcpu id='2' enabled='yes'/></vcpus></domain>",
	    HEAD "<vcpu>2</vcpu><cpu><topology sockets='1' cores='0' threads='1'/></cpu></domain>",
	    HEAD "<vcpu>2</vcpu><cpu><topology cores='70000' threads='70000'/></cpu></domain>",
	    HEAD "<memory unit='TiB'>99999999999</memory></domain>",
	    "<domain><name>a</name><uuid>6695eb01</uuid></domain>",
	    "<domain><name></name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid></domain>",
	    "<domain><name>a</name><uuid>00000000-0000-0000-0000-000000000000</uuid></domain>",
	    "<!DOCTYPE domain [<!ENTITY a 'b'>]>" HEAD "</domain>",
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(texts); i++) {
		struct diag diag = DIAG_INIT;
		struct vm_roster_vm vm;

		if (parse(texts[i], &vm, &diag) >= 0)
			fail_msg("taken: %s", texts[i]);
		assert_true(diag.text[0] != '\0');
	}
}

static void test_vcpu_limit(void **state)
{
	char text[512];
	struct vm_roster_vm vm;

	(void)state;
	(void)snprintf(text, sizeof(text), HEAD "<vcpu>%d</vcpu></domain>", VM_ROSTER_VCPU_MAX);
	vm = parsed(text);
	assert_int_equal(vm.vcpu_count, VM_ROSTER_VCPU_MAX);
	free(vm.vcpus);
	(void)snprintf(text, sizeof(text), HEAD "<vcpu>%d</vcpu></domain>", VM_ROSTER_VCPU_MAX + 1);
	assert_int_equal(parse(text, &vm, NULL), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identity_and_memory),
	    cmocka_unit_test(test_without_topology_every_vcpu_is_a_socket),
	    cmocka_unit_test(test_topology_deals_vcpus_over_sockets),
	    cmocka_unit_test(test_every_level_of_the_topology),
	    cmocka_unit_test(test_unplugged_vcpus_and_their_sockets_are_not_there),
	    cmocka_unit_test(test_metadata_does_not_mislead),
	    cmocka_unit_test(test_nonsense_is_refused),
	    cmocka_unit_test(test_vcpu_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
