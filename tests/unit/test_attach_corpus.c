/*
 * Every domain of tests/fixtures/domains is attached over both transports, and detached.
 */
#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "host/attach_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <stdio.h>

#define DOMAINS	    TEST_FIXTURES "/domains"
#define SCHEMA	    "/usr/share/libvirt/schemas/domain.rng"
#define SOURCE	    "/run/wattport/vm/5f0c2c5e-0d4e-4a54-8e86-0ff2bd8a1001"
#define DOMAINS_MIN 30
#define XML_SIZE    65536

/* What must be refused; all others can be done. */
static const struct {
	const char *name;
	int machine, for_9p, for_virtiofs;
} refusals[] = {
    {"anonymous-memory.xml", 0, 0, -ENOTSUP},
    {"hugepages-private.xml", 0, 0, -ENOTSUP},
    {"isapc.xml", -ENOTSUP, 0, 0},
    {"lxc-container.xml", -ENOTSUP, 0, 0},
    {"memory-module.xml", 0, 0, -ENOTSUP},
    {"microvm.xml", -ENOTSUP, 0, 0},
    {"numa-cells-private.xml", 0, 0, -ENOTSUP},
    {"tag-taken.xml", 0, -EEXIST, -EEXIST},
};

static int expected(const char *name, enum attach_transport transport)
{
	for (size_t i = 0; i < CHECK_COUNT(refusals); i++)
		if (strcmp(refusals[i].name, name) == 0)
			return transport == ATTACH_9P ? refusals[i].for_9p
						      : refusals[i].for_virtiofs;
	return 0;
}

static int expected_machine(const char *name)
{
	for (size_t i = 0; i < CHECK_COUNT(refusals); i++)
		if (strcmp(refusals[i].name, name) == 0)
			return refusals[i].machine;
	return 0;
}

/* The schema that libvirt itself checks with, or NULL where it is not installed. */
static xmlRelaxNG *load_schema(void)
{
	xmlRelaxNGParserCtxt *context;
	xmlRelaxNG *schema;

	if (access(SCHEMA, R_OK) != 0) {
		(void)fprintf(stderr, "%s is not there: nothing is checked against it\n", SCHEMA);
		assert_null(getenv("CI"));
		return NULL;
	}
	context = xmlRelaxNGNewParserCtxt(SCHEMA);
	CHECK_POINTER(context);
	schema = xmlRelaxNGParse(context);
	xmlRelaxNGFreeParserCtxt(context);
	CHECK_POINTER(schema);
	return schema;
}

static void check_valid(xmlRelaxNG *schema, const char *name, const char *xml)
{
	xmlRelaxNGValidCtxt *context;
	xmlDoc *document;

	if (schema == NULL)
		return;
	document = xmlReadMemory(xml, (int)strlen(xml), name, NULL, XML_PARSE_NONET);
	context = xmlRelaxNGNewValidCtxt(schema);
	CHECK_POINTER(document);
	CHECK_POINTER(context);
	if (xmlRelaxNGValidateDoc(context, document) != 0)
		fail_msg("%s is not valid: %s", name, xml);
	xmlRelaxNGFreeValidCtxt(context);
	xmlFreeDoc(document);
}

static char *attach(const char *xml, enum attach_transport transport,
		    struct attach_changes *changes)
{
	struct diag diag = DIAG_INIT;
	char *added = NULL;

	if (attach_xml_add(xml, transport, SOURCE, &added, changes, &diag) < 0)
		fail_msg("%s", diag.text);
	return added;
}

/* Detached, it must be the text that it was. */
static void check_detach(const char *name, const char *added, const char *original)
{
	cleanup_free char *removed = NULL;
	struct diag diag = DIAG_INIT;
	struct attach_changes changes;

	if (attach_xml_remove(added, SOURCE, &removed, &changes, &diag) < 0)
		fail_msg("%s: %s", name, diag.text);
	assert_true(changes.device);
	assert_null(changes.memory_stays);
	if (strcmp(removed, original) != 0)
		fail_msg("%s: detach left this: %s", name, removed);
}

static void check_attach(xmlRelaxNG *schema, const char *name, const char *original,
			 enum attach_transport transport)
{
	cleanup_free char *added = NULL, *again = NULL, *switched = NULL;
	enum attach_transport other = transport == ATTACH_9P ? ATTACH_VIRTIOFS : ATTACH_9P;
	struct attach_changes changes;
	struct attach_state found;
	struct diag diag = DIAG_INIT;

	if (expected(name, transport) < 0) {
		assert_int_equal(
		    attach_xml_add(original, transport, SOURCE, &added, &changes, &diag),
		    expected(name, transport));
		assert_true(diag.text[0] != '\0');
		assert_null(added);
		return;
	}
	added = attach(original, transport, &changes);
	check_valid(schema, name, added);
	assert_true(changes.device);
	assert_int_equal(attach_xml_inspect(added, SOURCE, &found, &diag), 0);
	assert_true(found.attached);
	assert_true(found.ours);
	assert_int_equal(found.transport, transport);
	assert_true(found.memory_shared || transport == ATTACH_9P);
	again = attach(added, transport, &changes);
	assert_false(changes.device);
	assert_string_equal(again, added);
	check_detach(name, added, original);
	if (expected(name, other) < 0)
		return;
	switched = attach(added, other, &changes);
	assert_true(changes.replaced);
	check_valid(schema, name, switched);
	check_detach(name, switched, original);
}

static void test_all(void **state)
{
	cleanup_free char *text = malloc(XML_SIZE);
	xmlRelaxNG *schema = load_schema();
	struct dirent **files = NULL;
	int count = scandir(DOMAINS, &files, NULL, alphasort), domains = 0;

	(void)state;
	CHECK_POINTER(text);
	for (int i = 0; i < count; i++) {
		const char *name = files[i]->d_name;
		char path[512];
		size_t size;

		if (name[0] != '.') {
			(void)snprintf(path, sizeof(path), "%s/%s", DOMAINS, name);
			assert_int_equal(file_read_at(AT_FDCWD, path, text, XML_SIZE, &size), 0);
			check_valid(schema, name, text);
			assert_int_equal(attach_check_machine(text, NULL), expected_machine(name));
			check_attach(schema, name, text, ATTACH_9P);
			check_attach(schema, name, text, ATTACH_VIRTIOFS);
			domains++;
		}
		free(files[i]);
	}
	free(files);
	xmlRelaxNGFree(schema);
	if (domains < DOMAINS_MIN)
		fail_msg("%d domains in %s", domains, DOMAINS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
