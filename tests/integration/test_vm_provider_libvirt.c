/*
 * The libvirt provider against libvirt's own test driver, in this process and behind a libvirtd
 * that is killed, stopped and started; and against real QEMUs of that libvirtd, under emulation.
 */
#include "tests/integration/private_libvirt.h"
#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "host/vm_provider.h"
#include "host/vm_threads.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define PATIENCE_NS (UINT64_C(60) * CLOCK_NS_PER_SECOND)

static const char test_uuid[] = "6695eb01-f6a4-8304-79aa-97f2502e193f";

/* Of the test's own machines: another one in every process, as several may run at a time. */
static char own_uuid[UUID_TEXT_SIZE];

struct setup {
	struct sysroot *root;
	struct vm_provider *provider;
	const struct vm_roster *roster;
};

static void setup_open(struct setup *setup, const char *uri, bool told_times)
{
	struct vm_provider_context context = {
	    .clock = clock_real(), .uri = uri, .told_times = told_times};
	struct diag diag = DIAG_INIT;

	setup->roster = NULL;
	assert_int_equal(sysroot_open("/", &setup->root, NULL), 0);
	context.root = setup->root;
	if (vm_provider_open("libvirt", &context, &setup->provider, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void setup_close(struct setup *setup)
{
	vm_provider_close(setup->provider);
	sysroot_close(setup->root);
}

/* Takes rosters until one satisfies, or patience is at its end. */
static void await_roster(struct setup *setup, bool (*satisfies)(const struct vm_roster *roster))
{
	struct mono_time begun = clock_now_mono(clock_real());

	for (;;) {
		struct pollfd fd = {.fd = vm_provider_fd(setup->provider), .events = POLLIN};

		if (vm_provider_take(setup->provider, &setup->roster) == 1 &&
		    satisfies(setup->roster))
			return;
		if (clock_elapsed_ns(begun, clock_now_mono(clock_real())) > PATIENCE_NS)
			fail_msg("the roster that was waited for did not come");
		(void)poll(&fd, 1, 1000);
	}
}

static void await_state(struct setup *setup, enum vm_provider_state state)
{
	struct mono_time begun = clock_now_mono(clock_real());
	struct vm_provider_status status;

	for (;;) {
		vm_provider_status(setup->provider, &status);
		if (status.state == state)
			return;
		if (clock_elapsed_ns(begun, clock_now_mono(clock_real())) > PATIENCE_NS)
			fail_msg("is %s: %s", vm_provider_state_name(status.state),
				 status.diag.text);
		(void)poll(NULL, 0, 10);
	}
}

static const struct vm_roster_vm *find(const struct vm_roster *roster, const char *text)
{
	struct uuid uuid;

	assert_int_equal(uuid_parse(text, &uuid), 0);
	return vm_roster_find(roster, &uuid);
}

/* libvirt's own machine. It has no process, so its times are taken as told from the start. */
static bool test_runs(const struct vm_roster *roster)
{
	return find(roster, test_uuid) != NULL && find(roster, test_uuid)->running;
}

static bool own_runs(const struct vm_roster *roster)
{
	return find(roster, own_uuid) != NULL && find(roster, own_uuid)->running;
}

static bool own_is_off(const struct vm_roster *roster)
{
	return find(roster, own_uuid) != NULL && !find(roster, own_uuid)->running;
}

static bool own_is_gone(const struct vm_roster *roster)
{
	return find(roster, own_uuid) == NULL;
}

static void test_roster_and_events(void **state)
{
	static const char format[] =
	    "<domain type='test'><name>own &amp; \xc3\xbc</name>"
	    "<uuid>%s</uuid><memory unit='MiB'>64</memory>"
	    "<vcpu>4</vcpu><cpu><topology sockets='2' cores='2' threads='1'/></cpu>"
	    "<os><type>hvm</type></os></domain>";
	virConnectPtr connection = virConnectOpen("test:///default");
	const struct vm_roster_vm *vm;
	struct setup setup;
	virDomainPtr domain;
	struct uuid uuid;
	char xml[1024];

	(void)state;
	(void)snprintf(xml, sizeof(xml), format, own_uuid);
	assert_non_null(connection);
	setup_open(&setup, "test:///default", true);
	await_roster(&setup, test_runs);
	vm = find(setup.roster, test_uuid);
	assert_true(vm->persistent);
	assert_string_equal(vm->name, "test");
	assert_int_equal(vm->vcpu_count, 2);
	assert_int_equal(vm->memory_bytes, UINT64_C(2) << 30);
	assert_int_equal(vm->process.pid, 0);

	domain = virDomainCreateXML(connection, xml, 0);
	if (domain == NULL)
		fail_msg("%s", virGetLastErrorMessage());
	await_roster(&setup, own_runs);
	vm = find(setup.roster, own_uuid);
	assert_false(vm->persistent);
	assert_string_equal(vm->name, "own & \xc3\xbc");
	assert_int_equal(vm->socket_count, 2);
	assert_int_equal(virDomainDestroy(domain), 0);
	(void)virDomainFree(domain);
	await_roster(&setup, own_is_gone);

	domain = virDomainDefineXML(connection, xml);
	assert_non_null(domain);
	await_roster(&setup, own_is_off);
	assert_true(find(setup.roster, own_uuid)->persistent);
	assert_int_equal(uuid_parse(own_uuid, &uuid), 0);
	assert_int_equal(vm_provider_lookup(setup.provider, &uuid, 0), 1);
	assert_int_equal(virDomainCreate(domain), 0);
	await_roster(&setup, own_runs);
	assert_int_equal(virDomainDestroy(domain), 0);
	await_roster(&setup, own_is_off);
	assert_int_equal(virDomainUndefine(domain), 0);
	(void)virDomainFree(domain);
	await_roster(&setup, own_is_gone);
	assert_int_equal(vm_provider_lookup(setup.provider, &uuid, PATIENCE_NS), 0);
	setup_close(&setup);
	(void)virConnectClose(connection);
}

/* Nobody there at first; then it comes, is killed and comes again. */
static void test_libvirtd_comes_and_goes(void **state)
{
	struct private_libvirt libvirt;
	struct vm_provider_status status;
	struct setup setup;
	char uri[256];

	(void)state;
	private_libvirt_create(&libvirt);
	private_libvirt_uri(&libvirt, "test", "/default", uri, sizeof(uri));
	setup_open(&setup, uri, true);
	await_state(&setup, VM_PROVIDER_AWAY);
	vm_provider_status(setup.provider, &status);
	check_contains(status.diag.text, "start libvirtd");
	assert_int_equal(vm_provider_take(setup.provider, &setup.roster), 0);
	assert_null(setup.roster);
	private_libvirt_start(&libvirt);
	await_roster(&setup, test_runs);
	await_state(&setup, VM_PROVIDER_OK);
	for (uint64_t round = 0; round < 3; round++) {
		const struct vm_roster *before = setup.roster;

		private_libvirt_kill(&libvirt);
		await_state(&setup, VM_PROVIDER_AWAY);
		/* What was known stays known. */
		assert_int_equal(vm_provider_take(setup.provider, &setup.roster), 0);
		assert_ptr_equal(setup.roster, before);
		private_libvirt_start(&libvirt);
		await_roster(&setup, test_runs);
		await_state(&setup, VM_PROVIDER_OK);
		vm_provider_status(setup.provider, &status);
		assert_int_equal(status.connect_count, round + 2);
	}
	setup_close(&setup);
	private_libvirt_remove(&libvirt);
}

/* A libvirtd that hangs holds up neither questions nor the end. */
static void test_libvirtd_hangs(void **state)
{
	struct uuid uuid = {.bytes = {9}};
	struct private_libvirt libvirt;
	struct setup setup;
	char uri[256];

	(void)state;
	private_libvirt_create(&libvirt);
	private_libvirt_uri(&libvirt, "test", "/default", uri, sizeof(uri));
	private_libvirt_start(&libvirt);
	setup_open(&setup, uri, true);
	await_roster(&setup, test_runs);
	private_libvirt_signal(&libvirt, SIGSTOP);
	assert_int_equal(vm_provider_lookup(setup.provider, &uuid, 0), -EINPROGRESS);
	await_state(&setup, VM_PROVIDER_AWAY);
	assert_non_null(find(setup.roster, test_uuid));
	private_libvirt_signal(&libvirt, SIGCONT);
	await_state(&setup, VM_PROVIDER_OK);
	setup_close(&setup);
	private_libvirt_remove(&libvirt);
}

/* A real QEMU under emulation, which only waits in its firmware. */
static virDomainPtr start_qemu(virConnectPtr connection)
{
	static const char format[] =
	    "<domain type='qemu'><name>own</name>"
	    "<uuid>%s</uuid><memory unit='MiB'>64</memory>"
	    "<vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>"
	    "<devices><controller type='usb' model='none'/><memballoon model='none'/></devices>"
	    "</domain>";
	char xml[1024];

	(void)snprintf(xml, sizeof(xml), format, own_uuid);
	return virDomainCreateXML(connection, xml, 0);
}

static void check_times(struct setup *setup, bool told)
{
	struct vm_threads_context context = {
	    .root = setup->root, .package_count = 2, .fd_budget = 100};
	cleanup_vm_threads struct vm_threads *threads = NULL;
	struct mono_time now = {.ns = 1};
	struct sample sample;

	assert_int_equal(vm_threads_create(&context, &threads), 0);
	assert_int_equal(vm_threads_follow(threads, setup->roster, now), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	assert_int_equal(vm_threads_read(threads, now, &sample), 0);
	assert_int_equal(sample.vm_count, 1);
	assert_true(sample.vms[0].running);
	assert_int_equal(sample.vms[0].vcpu_count, 2);
	assert_true(sample.vms[0].overhead_ns > 0 || told);
	assert_true(sample.vms[0].vcpus[0].time_ns > 0);
	assert_int_equal(sample.vms[0].precision, told ? SAMPLE_JIFFIES : SAMPLE_NANOSECONDS);
	if (!told)
		assert_true(sample.vms[0].vcpus[0].cpu != SAMPLE_NO_CPU);
	sample_finish(&sample);
}

static bool own_is_told(const struct vm_roster *roster)
{
	const struct vm_roster_vm *vm = find(roster, own_uuid);

	return vm != NULL && vm->has_times && vm->vcpus[0].time_ns > 0;
}

static void test_real_machine(void **state)
{
	struct private_libvirt libvirt;
	struct setup setup;
	virConnectPtr connection;
	virDomainPtr domain;
	char uri[256];

	(void)state;
	if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
		skip();
	private_libvirt_create(&libvirt);
	private_libvirt_uri(&libvirt, "qemu", "/session", uri, sizeof(uri));
	private_libvirt_start(&libvirt);
	setup_open(&setup, uri, false);
	await_state(&setup, VM_PROVIDER_OK);
	connection = private_libvirt_connect(&libvirt);
	domain = start_qemu(connection);
	if (domain == NULL)
		fail_msg("%s", virGetLastErrorMessage());
	await_roster(&setup, own_runs);
	assert_true(find(setup.roster, own_uuid)->process.pid > 0);
	assert_false(find(setup.roster, own_uuid)->has_times);
	assert_int_equal(find(setup.roster, own_uuid)->socket_count, 2);
	check_times(&setup, false);
	setup_close(&setup);

	/* The same machine by libvirt's times. */
	setup_open(&setup, uri, true);
	await_roster(&setup, own_is_told);
	check_times(&setup, true);
	assert_int_equal(virDomainDestroy(domain), 0);
	await_roster(&setup, own_is_gone);
	(void)virDomainFree(domain);
	(void)virConnectClose(connection);
	setup_close(&setup);
	private_libvirt_remove(&libvirt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roster_and_events),
	    cmocka_unit_test(test_libvirtd_comes_and_goes),
	    cmocka_unit_test(test_libvirtd_hangs),
	    cmocka_unit_test(test_real_machine),
	};

	(void)snprintf(own_uuid, sizeof(own_uuid), "8e3f7f1e-0f3b-4a54-8e86-%012d", (int)getpid());
	if (!private_libvirt_installed()) {
		(void)fprintf(stderr, "skipped: libvirtd is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
