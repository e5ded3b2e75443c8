#include "tests/unit/check.h"

#include "host/attach_check.h"

#define MACHINE(type, machine)                                                                     \
	"<domain type='" type "'><name>a</name><os><type machine='" machine                        \
	"'>hvm</type></os></domain>"

static void test_machines(void **state)
{
	static const struct {
		const char *xml;
		const char *reason; /* NULL: it can be done */
	} cases[] = {
	    {MACHINE("kvm", "pc-q35-7.2"), NULL},
	    {MACHINE("qemu", "s390-ccw-virtio-7.2"), NULL},
	    {MACHINE("kvm", "microvm"), "microvm has no bus"},
	    {MACHINE("qemu", "isapc"), "isapc has no bus"},
	    {MACHINE("lxc", "x"), "of type lxc"},
	    {MACHINE("vz", "x"), "of type vz"},
	    {MACHINE("test", "x"), "of type test"},
	    {"<domain><name>a</name></domain>", "of type unknown"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct diag diag = DIAG_INIT;

		assert_int_equal(attach_check_machine(cases[i].xml, &diag),
				 cases[i].reason == NULL ? 0 : -ENOTSUP);
		if (cases[i].reason != NULL)
			check_contains(diag.text, cases[i].reason);
	}
}

#define CAPABILITIES(devices)                                                                      \
	"<domainCapabilities><path>/q</path><devices>" devices "</devices></domainCapabilities>"
#define FILESYSTEM(values)                                                                         \
	CAPABILITIES("<tpm supported='yes'/><filesystem supported='yes'><enum name='x'>"           \
		     "<value>path</value></enum><enum name='driverType'>" values                   \
		     "</enum></filesystem>")

static void test_capabilities(void **state)
{
	static const struct {
		const char *xml;
		int for_9p, for_virtiofs;
	} cases[] = {
	    {CAPABILITIES(""), 0, 0},
	    {CAPABILITIES("<filesystem supported='no'/>"), -ENOTSUP, -ENOTSUP},
	    {FILESYSTEM("<value>path</value><value>handle</value><value>virtiofs</value>"), 0, 0},
	    {FILESYSTEM("<value>virtiofs</value>"), -ENOTSUP, 0},
	    {FILESYSTEM("<value>path</value>"), 0, -ENOTSUP},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct attach_capabilities capabilities;

		assert_int_equal(attach_check_capabilities(cases[i].xml, &capabilities, NULL), 0);
		assert_int_equal(attach_check_transport(&capabilities, ATTACH_9P, NULL),
				 cases[i].for_9p);
		assert_int_equal(attach_check_transport(&capabilities, ATTACH_VIRTIOFS, NULL),
				 cases[i].for_virtiofs);
	}
}

#define SHARED "<memoryBacking><access mode='shared'/></memoryBacking>"
#define ROOT   "<controller type='pci' index='0' model='pcie-root'/>"
#define PORT(index, inside)                                                                        \
	"<controller type='pci' index='" index "' model='pcie-root-port'>" inside "</controller>"
#define ON(bus) "<rng><address type='pci' bus='" bus "'/></rng>"
#define RUNNING(before, devices)                                                                   \
	"<domain>" before "<devices>" devices "<rng><address type='ccw' bus='0x02'/></rng>"        \
	"</devices></domain>"

static void test_plugging_in(void **state)
{
	static const struct {
		const char *xml;
		int status;
	} cases[] = {
	    {RUNNING(SHARED, ""), 0}, /* PCI without Express: libvirt finds a slot, or says so */
	    {RUNNING("", ROOT PORT("1", "")), -ENOTSUP},
	    {RUNNING(SHARED, ROOT), -ENOSPC},
	    {RUNNING(SHARED, ROOT PORT("1", "")), 0},
	    {RUNNING(SHARED, ROOT PORT("1", "") ON("0x01")), -ENOSPC},
	    {RUNNING(SHARED, ROOT PORT("1", "") PORT("2", "") ON("0x01")), 0},
	    {RUNNING(SHARED, ROOT PORT("1", "<target hotplug='off'/>")), -ENOSPC},
	    {RUNNING(SHARED, ROOT PORT("26", "") ON("0x1a")), -ENOSPC},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		assert_int_equal(attach_check_plug(cases[i].xml, ATTACH_VIRTIOFS, NULL),
				 cases[i].status);
		assert_int_equal(attach_check_plug(cases[i].xml, ATTACH_9P, NULL), -ENOTSUP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machines),
	    cmocka_unit_test(test_capabilities),
	    cmocka_unit_test(test_plugging_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
