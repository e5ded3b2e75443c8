#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "host/attach_xml.h"

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
	    cmocka_unit_test(test_device_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
