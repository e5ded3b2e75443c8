#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "host/attach_xml.h"
#include "host/xml_edit.h"

#include <stdio.h>

#define SOURCE "/run/wattport/vm/6695eb01-f6a4-8304-79aa-97f2502e193f"

/* Of somebody who has metadata, a foreign namespace and comments in it. */
#define DOMAIN(more, devices)                                                                      \
	"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"            \
	"  <name>a &amp; b</name>\n"                                                               \
	"  <metadata><nova:instance xmlns:nova='urn:nova'>x<nova:y/></nova:instance></metadata>\n" \
	"  <!-- mind the gap -->\n" more "  <devices>\n" devices "    <emulator>/q</emulator>\n"   \
	"  </devices>\n"                                                                           \
	"  <qemu:commandline><qemu:arg value='-s'/></qemu:commandline>\n"                          \
	"</domain>\n"

static struct attach_state inspect(const char *xml)
{
	struct diag diag = DIAG_INIT;
	struct attach_state state;

	if (attach_xml_inspect(xml, SOURCE, &state, &diag) < 0)
		fail_msg("%s", diag.text);
	return state;
}

static char *add(const char *xml, enum attach_transport transport, struct attach_changes *changes)
{
	struct diag diag = DIAG_INIT;
	char *result = NULL;

	if (attach_xml_add(xml, transport, SOURCE, &result, changes, &diag) < 0)
		fail_msg("%s", diag.text);
	return result;
}

static void check_untouched(const char *xml)
{
	check_contains(xml, "<name>a &amp; b</name>");
	check_contains(xml, "<nova:instance xmlns:nova='urn:nova'>x<nova:y/></nova:instance>");
	check_contains(xml, "<!-- mind the gap -->");
	check_contains(xml, "<qemu:commandline><qemu:arg value='-s'/></qemu:commandline>");
	check_contains(xml, "<emulator>/q</emulator>");
}

static void test_9p(void **state)
{
	struct attach_changes changes;
	cleanup_free char *xml = add(DOMAIN("", ""), ATTACH_9P, &changes);
	cleanup_free char *again = NULL;

	(void)state;
	assert_true(changes.device);
	assert_false(changes.replaced);
	assert_false(changes.memory_shared);
	check_contains(xml, "    <emulator>/q</emulator>\n"
			    "    <filesystem type='mount' accessmode='passthrough'>\n"
			    "      <driver type='path'/>\n"
			    "      <source dir='" SOURCE "'/>\n"
			    "      <target dir='wattport'/>\n"
			    "      <readonly/>\n"
			    "    </filesystem>\n"
			    "  </devices>\n");
	check_untouched(xml);
	assert_true(inspect(xml).attached);
	assert_true(inspect(xml).ours);
	assert_int_equal(inspect(xml).transport, ATTACH_9P);
	again = add(xml, ATTACH_9P, &changes);
	assert_false(changes.device);
	assert_string_equal(again, xml);
}

static void test_virtiofs_shares_memory(void **state)
{
	struct attach_changes changes;
	cleanup_free char *xml = add(DOMAIN("", ""), ATTACH_VIRTIOFS, &changes);
	cleanup_free char *again = NULL;

	(void)state;
	assert_true(changes.device);
	assert_true(changes.memory_shared);
	check_contains(xml, "      <driver type='virtiofs'/>\n"
			    "      <binary>\n"
			    "        <cache mode='none'/>\n"
			    "      </binary>\n");
	check_contains(xml, "  <memoryBacking>\n"
			    "    <source type='memfd'/>\n"
			    "    <access mode='shared'/>\n"
			    "  </memoryBacking>\n");
	assert_null(strstr(xml, "readonly"));
	check_untouched(xml);
	assert_true(inspect(xml).memory_shared);
	again = add(xml, ATTACH_VIRTIOFS, &changes);
	assert_false(changes.device);
	assert_false(changes.memory_shared);
	assert_string_equal(again, xml);
}

static void test_transport_is_changed(void **state)
{
	struct attach_changes changes;
	cleanup_free char *first = add(DOMAIN("", ""), ATTACH_9P, &changes);
	cleanup_free char *second = add(first, ATTACH_VIRTIOFS, &changes);

	(void)state;
	assert_true(changes.replaced);
	assert_int_equal(inspect(second).transport, ATTACH_VIRTIOFS);
	assert_null(strstr(second, "<driver type=\"path\"/>"));
}

/* What somebody wrote by hand works after the right cache mode was put in. */
static void test_a_stale_cache_is_mended(void **state)
{
	struct attach_changes changes;
	cleanup_free char *xml = add(
	    DOMAIN("<memoryBacking><access mode='shared'/></memoryBacking>",
		   "<filesystem type='mount'><driver type='virtiofs'/><source dir='" SOURCE "'/>"
		   "<target dir='wattport'/></filesystem>"),
	    ATTACH_VIRTIOFS, &changes);

	(void)state;
	assert_true(changes.device);
	assert_false(changes.replaced);
	assert_false(changes.memory_shared);
	check_contains(xml, "<cache mode='none'/>");
}

static void test_memory_that_is_there(void **state)
{
	static const struct {
		const char *xml;
		bool shared;
		int may_share;
	} cases[] = {
	    {DOMAIN("", ""), false, 0},
	    {DOMAIN("<memoryBacking><hugepages/></memoryBacking>", ""), false, 0},
	    {DOMAIN("<memoryBacking><access mode='shared'/></memoryBacking>", ""), true, 0},
	    {DOMAIN("<memoryBacking><access mode='private'/></memoryBacking>", ""), false,
	     -ENOTSUP},
	    {DOMAIN("<memoryBacking><source type='anonymous'/></memoryBacking>", ""), false,
	     -ENOTSUP},
	    {DOMAIN("<cpu><numa><cell id='0' memAccess='shared'/></numa></cpu>", ""), true, 0},
	    {DOMAIN("<cpu><numa><cell id='0' memAccess='shared'/><cell id='1'/></numa></cpu>", ""),
	     false, 0},
	    {DOMAIN("<memoryBacking><access mode='shared'/></memoryBacking>"
		    "<cpu><numa><cell id='0' memAccess='private'/></numa></cpu>",
		    ""),
	     false, -ENOTSUP},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct diag diag = DIAG_INIT;
		struct attach_changes changes;
		char *xml = NULL;

		assert_int_equal(inspect(cases[i].xml).memory_shared, cases[i].shared);
		assert_int_equal(attach_xml_may_share(cases[i].xml, &diag), cases[i].may_share);
		assert_int_equal(
		    attach_xml_add(cases[i].xml, ATTACH_VIRTIOFS, SOURCE, &xml, &changes, &diag),
		    cases[i].may_share);
		if (cases[i].may_share < 0)
			check_contains(diag.text, "--transport 9p");
		else
			assert_int_equal(changes.memory_shared, !cases[i].shared);
		free(xml);
	}
}

static void test_hugepages_stay(void **state)
{
	struct attach_changes changes;
	cleanup_free char *xml = add(DOMAIN("<memoryBacking><hugepages/></memoryBacking>", ""),
				     ATTACH_VIRTIOFS, &changes);

	(void)state;
	check_contains(xml, "<memoryBacking><hugepages/><access mode='shared'/></memoryBacking>");
}

static void test_another_share_is_left_alone(void **state)
{
	static const char other[] =
	    DOMAIN("", "<filesystem><source dir='/srv'/><target dir='wattport'/></filesystem>");
	static const char beside[] =
	    DOMAIN("", "<filesystem><source dir='/srv'/><target dir='data'/></filesystem>");
	cleanup_free char *xml = NULL, *removed = NULL;
	struct diag diag = DIAG_INIT;
	struct attach_changes changes;

	(void)state;
	assert_int_equal(attach_xml_add(other, ATTACH_9P, SOURCE, &xml, &changes, &diag), -EEXIST);
	check_contains(diag.text, "/srv");
	assert_int_equal(attach_xml_remove(other, SOURCE, &xml, &changes, &diag), -EEXIST);
	assert_false(inspect(other).ours);
	xml = add(beside, ATTACH_9P, &changes);
	check_contains(xml, "<target dir='data'/>");
	assert_int_equal(attach_xml_remove(xml, SOURCE, &removed, &changes, &diag), 0);
	assert_true(changes.device);
	check_contains(removed, "<target dir='data'/>");
	assert_null(strstr(removed, SOURCE));
	check_untouched(removed);
}

static void test_removing_nothing(void **state)
{
	cleanup_free char *xml = NULL;
	struct attach_changes changes;

	(void)state;
	assert_int_equal(attach_xml_remove(DOMAIN("", ""), SOURCE, &xml, &changes, NULL), 0);
	assert_false(changes.device);
}

static char *detach(const char *xml, struct attach_changes *changes)
{
	struct diag diag = DIAG_INIT;
	char *result = NULL;

	if (attach_xml_remove(xml, SOURCE, &result, changes, &diag) < 0)
		fail_msg("%s", diag.text);
	return result;
}

/* `xml` with the first `part` replaced, as an operator or libvirt would have. */
static char *edited(const char *xml, const char *part, const char *with)
{
	const char *found = strstr(xml, part);
	char *result = NULL;

	if (found == NULL)
		fail_msg("%s is not in %s", part, xml);
	assert_true(
	    asprintf(&result, "%.*s%s%s", (int)(found - xml), xml, with, found + strlen(part)) > 0);
	return result;
}

/* Shared memory goes with the device if attach had made it so. */
static void test_memory_goes_where_it_was_ours(void **state)
{
	static const char shared[] =
	    DOMAIN("<memoryBacking><access mode='shared'/></memoryBacking>", "");
	struct attach_changes changes;
	cleanup_free char *ours = add(DOMAIN("", ""), ATTACH_VIRTIOFS, &changes);
	cleanup_free char *theirs = add(shared, ATTACH_VIRTIOFS, &changes);
	cleanup_free char *without_ours = detach(ours, &changes), *without_theirs = NULL;

	(void)state;
	assert_true(changes.memory_unshared);
	assert_string_equal(without_ours, DOMAIN("", ""));
	without_theirs = detach(theirs, &changes);
	assert_false(changes.memory_unshared);
	assert_string_equal(without_theirs, shared);
}

static void test_memory_stays_where_it_is_needed(void **state)
{
	static const struct {
		const char *part, *with, *why;
	} cases[] = {
	    {"<source type='memfd'/>", "<source type='file'/>", "changed it"},
	    {"    <source type='memfd'/>\n", "", "changed it"},
	    {"<access mode='shared'/>", "<access mode='private'/>", "changed it"},
	    {"<emulator>/q</emulator>",
	     "<filesystem><driver type='virtiofs'/><target dir='data'/></filesystem>",
	     "another virtiofs share"},
	    {"<emulator>/q</emulator>", "<interface type='vhostuser'/>", "vhost-user"},
	    {"<emulator>/q</emulator>", "<video><driver name='vhostuser'/></video>", "vhost-user"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct attach_changes changes;
		cleanup_free char *added = add(DOMAIN("", ""), ATTACH_VIRTIOFS, &changes);
		cleanup_free char *changed = edited(added, cases[i].part, cases[i].with);
		cleanup_free char *xml = detach(changed, &changes);

		assert_true(changes.device);
		assert_false(changes.memory_unshared);
		check_contains(changes.memory_stays, cases[i].why);
		check_contains(xml, "<memoryBacking>");
		check_contains(xml, cases[i].with);
		assert_null(strstr(xml, "wattport"));
	}
}

/* It needed shared memory before attach came, and lacked it: attach is undone all the same. */
static void test_a_device_that_lacked_shared_memory(void **state)
{
	static const char lacking[] = DOMAIN("", "<interface type='vhostuser'/>\n");
	struct attach_changes changes;
	cleanup_free char *added = add(lacking, ATTACH_VIRTIOFS, &changes);
	cleanup_free char *xml = detach(added, &changes);

	(void)state;
	assert_true(changes.memory_unshared);
	assert_string_equal(xml, lacking);
}

static void test_switching_takes_the_memory_along(void **state)
{
	struct attach_changes changes;
	cleanup_free char *first = add(DOMAIN("", ""), ATTACH_VIRTIOFS, &changes);
	cleanup_free char *second = add(first, ATTACH_9P, &changes), *third = NULL;

	(void)state;
	assert_true(changes.replaced);
	assert_true(changes.memory_unshared);
	assert_null(strstr(second, "memfd"));
	third = add(second, ATTACH_VIRTIOFS, &changes);
	assert_true(changes.memory_shared);
	assert_string_equal(third, first);
}

/* Somebody took the device out by hand: the rest of what attach put in still goes. */
static void test_what_is_left_of_an_attach(void **state)
{
	struct attach_changes changes;
	cleanup_free char *added = add(DOMAIN("", ""), ATTACH_VIRTIOFS, &changes);
	cleanup_free char *left = edited(added, "<target dir='wattport'/>", "<target dir='x'/>");
	cleanup_free char *xml = detach(left, &changes);

	(void)state;
	assert_false(changes.device);
	check_contains(changes.memory_stays, "another virtiofs share");
	assert_null(strstr(xml, "wattport:attach"));
}

#define ROOT "<controller type='pci' index='0' model='pcie-root'/>"
#define PORT(index)                                                                                \
	"<controller type='pci' index='" index "' model='pcie-root-port'><model/></controller>"
#define AT(bus) "<address type='pci' bus='" bus "' slot='0x00'/>"

/* What libvirt adds to the definition for the device goes with it, what was there or is used stays.
 */
static void test_ports_that_libvirt_added(void **state)
{
	static const struct {
		const char *before, *added, *bus, *left;
	} cases[] = {
	    {ROOT, PORT("1") PORT("2"), "0x01", ""},
	    {ROOT PORT("1") PORT("2"), "", "0x02", ""},
	    {ROOT PORT("1"), PORT("2"), "0x02", ""},
	    {ROOT PORT("1"), PORT("2") PORT("3"), "0x02", PORT("3")},
	    {ROOT, PORT("1") PORT("2") "<rng>" AT("0x02") "</rng>", "0x01",
	     PORT("2") "<rng>" AT("0x02") "</rng>"},
	    {ROOT, PORT("1") PORT("2") "<rng>" AT("0x01") "</rng>", "0x01",
	     PORT("1") "<rng>" AT("0x01") "</rng>"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct attach_changes changes;
		cleanup_free char *before = edited(DOMAIN("", "@"), "@", cases[i].before);
		cleanup_free char *added = add(before, ATTACH_9P, &changes);
		cleanup_free char *ports = NULL, *addressed = NULL, *address = NULL, *xml = NULL;
		cleanup_free char *expected = NULL, *devices = NULL;

		assert_true(asprintf(&devices, "%s%s", cases[i].before, cases[i].added) > 0);
		ports = edited(added, cases[i].before, devices);
		assert_true(asprintf(&address, "<readonly/><address type='pci' bus='%s'/>",
				     cases[i].bus) > 0);
		addressed = edited(ports, "<readonly/>", address);
		free(TAKE_PTR(devices));
		assert_true(asprintf(&devices, "%s%s", cases[i].before, cases[i].left) > 0);
		expected = edited(DOMAIN("", "@"), "@", devices);
		xml = detach(addressed, &changes);
		assert_string_equal(xml, expected);
	}
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *xml, *reason;
	} cases[] = {
	    {"", "not well-formed"},
	    {"<domain><name>a</domain>", "not well-formed"},
	    {"<network><name>a</name></network>", "not a <domain>"},
	    {"<domain xmlns='urn:x'><name>a</name></domain>", "not a <domain>"},
	    {"<domain/>", "no <name>"},
	    {"<domain><name>a</name><devices/><devices/></domain>", "<devices> twice"},
	    {"<?xml version='1.0' encoding='ISO-8859-1'?><domain><name>a</name></domain>",
	     "not in UTF-8"},
	    {"<!DOCTYPE domain [<!ENTITY a '<devices/>'>]><domain><name>a</name>&a;</domain>",
	     "document type"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct diag diag = DIAG_INIT;
		struct attach_changes changes;
		char *xml = NULL;

		assert_int_equal(
		    attach_xml_add(cases[i].xml, ATTACH_9P, SOURCE, &xml, &changes, &diag),
		    -EINVAL);
		check_contains(diag.text, cases[i].reason);
		assert_null(xml);
	}
}

/* The directory's name is an operator's: it may hold anything that a path may. */
static void test_sources(void **state)
{
	static const char source[] = "/srv/it's <\"odd\"> & more\t\n/\xc3\xa9";
	struct attach_changes changes;
	struct attach_state found;
	char *xml = NULL;

	(void)state;
	assert_int_equal(attach_xml_add(DOMAIN("", ""), ATTACH_9P, source, &xml, &changes, NULL),
			 0);
	assert_int_equal(attach_xml_inspect(xml, source, &found, NULL), 0);
	assert_true(found.ours);
	free(TAKE_PTR(xml));
	assert_int_equal(
	    attach_xml_add(DOMAIN("", ""), ATTACH_9P, "/srv/\xff", &xml, &changes, NULL), -EINVAL);
	assert_int_equal(
	    attach_xml_add(DOMAIN("", ""), ATTACH_9P, "/srv/\x01", &xml, &changes, NULL), -EINVAL);
}

/* As many changes as an edit holds can be made, and not one more. */
static void test_many_devices(void **state)
{
	static const char device[] =
	    "<filesystem><source dir='" SOURCE "'/><target dir='wattport'/></filesystem>";
	cleanup_free char *devices = calloc(XML_EDIT_MAX + 1, sizeof(device));
	cleanup_free char *most = NULL, *more = NULL, *xml = NULL;
	struct attach_changes changes;
	char *none = NULL;

	(void)state;
	CHECK_POINTER(devices);
	for (int i = 0; i < XML_EDIT_MAX; i++)
		(void)strcat(devices, device);
	most = edited(DOMAIN("", "@"), "@", devices);
	more = edited(DOMAIN("", "@"), "@", strcat(devices, device));
	xml = detach(most, &changes);
	assert_null(strstr(xml, "filesystem"));
	assert_int_equal(attach_xml_remove(more, SOURCE, &none, &changes, NULL), -E2BIG);
	assert_null(none);
}

static void test_device_alone(void **state)
{
	cleanup_free char *made = NULL, *found = NULL, *xml = NULL;
	struct attach_changes changes;

	(void)state;
	assert_int_equal(attach_xml_device(NULL, ATTACH_VIRTIOFS, SOURCE, &made, NULL), 0);
	check_contains(made, "<filesystem type='mount'");
	xml = add(DOMAIN("", ""), ATTACH_9P, &changes);
	assert_int_equal(attach_xml_device(xml, ATTACH_9P, SOURCE, &found, NULL), 0);
	check_contains(found, "<readonly/>");
	assert_null(strstr(found, "emulator"));
	free(TAKE_PTR(found));
	assert_int_equal(attach_xml_device(DOMAIN("", ""), ATTACH_9P, SOURCE, &found, NULL),
			 -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_9p),
	    cmocka_unit_test(test_virtiofs_shares_memory),
	    cmocka_unit_test(test_transport_is_changed),
	    cmocka_unit_test(test_a_stale_cache_is_mended),
	    cmocka_unit_test(test_memory_that_is_there),
	    cmocka_unit_test(test_hugepages_stay),
	    cmocka_unit_test(test_another_share_is_left_alone),
	    cmocka_unit_test(test_removing_nothing),
	    cmocka_unit_test(test_memory_goes_where_it_was_ours),
	    cmocka_unit_test(test_memory_stays_where_it_is_needed),
	    cmocka_unit_test(test_a_device_that_lacked_shared_memory),
	    cmocka_unit_test(test_switching_takes_the_memory_along),
	    cmocka_unit_test(test_what_is_left_of_an_attach),
	    cmocka_unit_test(test_ports_that_libvirt_added),
	    cmocka_unit_test(test_bad_input),
	    cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_many_devices),
	    cmocka_unit_test(test_device_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
