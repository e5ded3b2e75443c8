/*
 * attach and detach on domains of a libvirtd of the test's own: of its test driver, and of QEMU.
 */
#include "tests/integration/private_libvirt.h"
#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "host/attach.h"
#include "host/attach_domain.h"

#include <libvirt/virterror.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_NS (UINT64_C(60) * CLOCK_NS_PER_SECOND)
#define UUID	    "8e3f7f1e-0f3b-4a54-8e86-0ff2bd8a1a03"

static const char domain_xml[] =
    "<domain type='qemu'><name>own</name><uuid>" UUID "</uuid><memory unit='MiB'>64</memory>"
    "<metadata><a:b xmlns:a='urn:a'>kept</a:b></metadata>"
    "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
    "<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>";

static virConnectPtr connect_patiently(const struct private_libvirt *libvirt)
{
	struct mono_time begun = clock_now_mono(clock_real());
	char uri[256];

	private_libvirt_uri(libvirt, "qemu", "/session", uri, sizeof(uri));
	for (;;) {
		virConnectPtr connection = virConnectOpen(uri);

		if (connection != NULL)
			return connection;
		if (clock_elapsed_ns(begun, clock_now_mono(clock_real())) > PATIENCE_NS)
			fail_msg("%s: %s", uri, virGetLastErrorMessage());
		(void)poll(NULL, 0, 50);
	}
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
	connection = connect_patiently(&libvirt);
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
	connection = connect_patiently(&libvirt);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_definition),
	    cmocka_unit_test(test_running),
	};

	if (!private_libvirt_installed() || access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
		(void)fprintf(stderr, "skipped: libvirtd or QEMU is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
