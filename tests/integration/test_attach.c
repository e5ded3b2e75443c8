/*
 * attach and detach on domains of a libvirtd of the test's own: of its test driver, and of QEMU.
 */
#include "tests/integration/private_libvirt.h"
#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "host/attach.h"
#include "host/attach_domain.h"
#include "host/text_diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>

#define UUID		"8e3f7f1e-0f3b-4a54-8e86-0ff2bd8a1a03"

#define DOMAINS		TEST_FIXTURES "/domains"
#define DOMAIN_SIZE_MAX 65536
#define ACCEPTED_MIN	20 /* of the fixtures: one libvirt or QEMU knows less than another */

static const char domain_xml[] =
    "<domain type='qemu'><name>own</name><uuid>" UUID "</uuid><memory unit='MiB'>64</memory>"
    "<metadata><a:b xmlns:a='urn:a'>kept</a:b></metadata>"
    "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
    "<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>";

/* What it refuses is counted. */
static void ignore_error(void *user, virErrorPtr error)
{
	(void)user;
	(void)error;
}

static void check_definition(virDomainPtr domain, const char *part, bool there)
{
	cleanup_free char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);

	assert_non_null(xml);
	check_contains(xml, "<a:b xmlns:a=\"urn:a\">kept</a:b>");
	if ((strstr(xml, part) != NULL) != there)
		fail_msg("%s is %sthere: %s", part, there ? "not " : "", xml);
}

static struct attach_report add(virDomainPtr domain, const struct attach_request *request)
{
	struct diag diag = DIAG_INIT;
	struct attach_report report;

	if (attach_add(domain, request, &report, &diag) < 0)
		fail_msg("%s", diag.text);
	return report;
}

static void test_definition(void **state)
{
	struct attach_request request = {.runtime_dir = "/run/wattport", .choose = true};
	struct private_libvirt libvirt;
	struct attach_report report;
	virDomainPtr domain, found;
	virConnectPtr connection;

	(void)state;
	private_libvirt_create(&libvirt);
	private_libvirt_start(&libvirt);
	connection = private_libvirt_connect(&libvirt);
	domain = virDomainDefineXML(connection, domain_xml);
	assert_non_null(domain);
	assert_int_equal(attach_domain_find(connection, UUID, &found, NULL), 0);
	(void)virDomainFree(found);
	assert_int_equal(attach_domain_find(connection, "own", &found, NULL), 0);
	(void)virDomainFree(found);
	assert_int_equal(attach_domain_find(connection, "nobody", &found, NULL), -ENOENT);

	/* A session's libvirtd takes no virtiofs: 9p it is, and the reason is told. */
	report = add(domain, &request);
	assert_int_equal(report.transport, ATTACH_9P);
	assert_true(report.changes.device);
	assert_int_equal(report.live, ATTACH_LIVE_OFF);
	assert_int_equal(report.choice, ATTACH_CHOICE_LEFT);
	check_contains(report.hindrance.text, "session");
	check_definition(domain, "<source dir='/run/wattport/vm/" UUID "'/>", true);
	check_definition(domain, "<readonly/>", true);
	check_definition(domain, "<access mode='shared'/>", false);
	report = add(domain, &request);
	assert_false(report.changes.device);
	assert_int_equal(attach_remove(domain, &request, &report, NULL), 0);
	assert_true(report.changes.device);
	check_definition(domain, "<filesystem", false);
	assert_int_equal(attach_remove(domain, &request, &report, NULL), 0);
	assert_false(report.changes.device);

	/* Asked for by name there is no other way out. */
	request.choose = false;
	request.transport = ATTACH_VIRTIOFS;
	assert_int_equal(attach_add(domain, &request, &report, NULL), -ENOTSUP);
	check_definition(domain, "<filesystem", false);
	(void)virDomainFree(domain);
	(void)virConnectClose(connection);
	private_libvirt_remove(&libvirt);
}

static void test_running(void **state)
{
	struct attach_request request = {.runtime_dir = "/run/wattport", .transport = ATTACH_9P};
	struct private_libvirt libvirt;
	struct diag diag = DIAG_INIT;
	struct attach_report report;
	virConnectPtr connection;
	virDomainPtr domain;

	(void)state;
	private_libvirt_create(&libvirt);
	private_libvirt_start(&libvirt);
	connection = private_libvirt_connect(&libvirt);
	domain = virDomainCreateXML(connection, domain_xml, VIR_DOMAIN_START_PAUSED);
	if (domain == NULL)
		fail_msg("%s", virGetLastErrorMessage());
	/* Transient, and 9p cannot be plugged in: nothing can be done. */
	assert_int_equal(attach_add(domain, &request, &report, &diag), -ENOTSUP);
	check_contains(diag.text, "transient");
	(void)virDomainFree(domain);
	domain = virDomainDefineXML(connection, domain_xml);
	assert_non_null(domain);
	report = add(domain, &request);
	assert_true(report.changes.device);
	assert_int_equal(report.live, ATTACH_LIVE_LATER);
	check_contains(report.reason.text, "9p");
	assert_int_equal(attach_remove(domain, &request, &report, NULL), 0);
	assert_int_equal(report.live, ATTACH_LIVE_HAS);
	assert_int_equal(virDomainDestroy(domain), 0);
	(void)virDomainFree(domain);
	(void)virConnectClose(connection);
	private_libvirt_remove(&libvirt);
}

/*
 * libvirt puts controllers that it adds in an order of its own when it reads its own text again: so
 * it gets to do that before anything is compared.
 */
static virDomainPtr define(virConnectPtr connection, const char *xml)
{
	virDomainPtr domain = virDomainDefineXML(connection, xml);
	cleanup_free char *text = NULL;

	if (domain == NULL)
		return NULL;
	text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	CHECK_POINTER(text);
	(void)virDomainFree(domain);
	return virDomainDefineXML(connection, text);
}

/* Defines a domain of the fixtures without KVM, which a test has not; NULL: libvirt refuses it. */
static virDomainPtr define_fixture(virConnectPtr connection, const char *name)
{
	static const char *const kinds[] = {"type='kvm'", "type=\"kvm\""};
	cleanup_free char *text = calloc(1, DOMAIN_SIZE_MAX);
	cleanup_free char *xml = NULL;
	char path[512];
	size_t size;

	CHECK_POINTER(text);
	(void)snprintf(path, sizeof(path), "%s/%s", DOMAINS, name);
	assert_int_equal(file_read_at(AT_FDCWD, path, text, DOMAIN_SIZE_MAX, &size), 0);
	for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
		char *kind = strstr(text, kinds[i]);

		if (kind == NULL)
			continue;
		*kind = '\0';
		assert_true(asprintf(&xml, "%stype='qemu'%s", text, kind + strlen(kinds[i])) > 0);
		return define(connection, xml);
	}
	return define(connection, text);
}

/* A definition is longer than cmocka shows. */
static void check_same(const char *name, const char *before, const char *after)
{
	if (strcmp(before, after) == 0)
		return;
	(void)text_diff_print(stderr, "before", before, "after", after);
	fail_msg("%s is not as it was", name);
}

/* libvirt's own text of the definition before attach is that after detach. */
static void check_round_trip(virDomainPtr domain)
{
	struct attach_request request = {.runtime_dir = "/run/wattport", .transport = ATTACH_9P};
	cleanup_free char *before = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	cleanup_free char *between = NULL, *after = NULL;
	struct attach_report report = add(domain, &request);
	struct diag diag = DIAG_INIT;

	assert_true(report.changes.device);
	attach_report_finish(&report);
	between = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	check_contains(between, "<target dir='wattport'/>");
	report = add(domain, &request);
	assert_false(report.changes.device);
	attach_report_finish(&report);
	if (attach_remove(domain, &request, &report, &diag) < 0)
		fail_msg("%s", diag.text);
	attach_report_finish(&report);
	after = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	CHECK_POINTER(before);
	CHECK_POINTER(after);
	check_same(virDomainGetName(domain), before, after);
}

static void test_round_trips(void **state)
{
	struct private_libvirt libvirt;
	struct dirent **files = NULL;
	int count = scandir(DOMAINS, &files, NULL, alphasort), accepted = 0;
	virConnectPtr connection;

	(void)state;
	private_libvirt_create(&libvirt);
	private_libvirt_start(&libvirt);
	connection = private_libvirt_connect(&libvirt);
	virSetErrorFunc(NULL, ignore_error);
	for (int i = 0; i < count; i++) {
		virDomainPtr domain = files[i]->d_name[0] != '.'
					  ? define_fixture(connection, files[i]->d_name)
					  : NULL;

		/* Its tag is another one's, on purpose. */
		if (domain != NULL && strcmp(files[i]->d_name, "tag-taken.xml") != 0) {
			check_round_trip(domain);
			accepted++;
		}
		if (domain != NULL)
			(void)virDomainFree(domain);
		free(files[i]);
	}
	free(files);
	(void)virConnectClose(connection);
	private_libvirt_remove(&libvirt);
	if (accepted < ACCEPTED_MIN)
		fail_msg("libvirt accepts %d domains", accepted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_definition),
	    cmocka_unit_test(test_running),
	    cmocka_unit_test(test_round_trips),
	};

	if (!private_libvirt_installed() || access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
		(void)fprintf(stderr, "skipped: libvirtd or QEMU is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
