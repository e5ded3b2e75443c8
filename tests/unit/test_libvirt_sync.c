#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/sysroot.h"
#include "host/libvirt_sync.h"
#include "tests/unit/fault.h"

#include <libvirt/virterror.h>

/* libvirt's test driver: one machine that runs, without any process; and a /proc of our own. */
struct fixture {
	struct tree tree;
	struct sysroot *root;
	struct libvirt_sync sync;
	virConnectPtr connection;
	struct uuid uuid;
};

static void open_fixture(struct fixture *fixture, bool told_times)
{
	tree_create(&fixture->tree);
	assert_int_equal(sysroot_open(fixture->tree.path, &fixture->root, NULL), 0);
	assert_int_equal(
	    libvirt_sync_init(&fixture->sync, sysroot_proc_fd(fixture->root), told_times), 0);
	assert_int_equal(virInitialize(), 0);
	fixture->connection = virConnectOpen("test:///default");
	assert_non_null(fixture->connection);
	assert_int_equal(uuid_parse("6695eb01-f6a4-8304-79aa-97f2502e193f", &fixture->uuid), 0);
}

static void close_fixture(struct fixture *fixture)
{
	(void)virConnectClose(fixture->connection);
	libvirt_sync_finish(&fixture->sync);
	sysroot_close(fixture->root);
	tree_remove(&fixture->tree);
}

static const struct vm_roster_vm *look(struct fixture *fixture)
{
	const struct vm_roster_vm *vm;

	assert_int_equal(libvirt_sync_all(&fixture->sync, fixture->connection, NULL), 0);
	vm = vm_roster_find(fixture->sync.roster, &fixture->uuid);
	assert_non_null(vm);
	return vm;
}

static void start_process(struct fixture *fixture)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(&fixture->uuid, uuid);
	tree_write(&fixture->tree, "proc/10/comm", "qemu-system-x86\n");
	tree_write(
	    &fixture->tree, "proc/10/stat",
	    "10 (qemu) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
	    "17 0 0 0\n");
	tree_write(&fixture->tree, "proc/10/cmdline", "qemu-system-x86_64%c-uuid%c%s%c", 0, 0, uuid,
		   0);
}

/* libvirt says that it runs a moment before QEMU is there: it is found, and read by its threads. */
static void test_a_process_that_comes_late(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	vm = look(&fixture);
	assert_false(vm->running);
	assert_false(vm->has_times);
	assert_true(fixture.sync.unsettled);
	vm = look(&fixture);
	assert_false(vm->running);
	start_process(&fixture);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_false(vm->has_times);
	assert_int_equal(vm->process.pid, 10);
	assert_false(fixture.sync.unsettled);
	close_fixture(&fixture);
}

/* The list of processes is older than the machine. */
static void test_a_list_that_is_too_old(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	assert_int_equal(libvirt_sync_processes(&fixture.sync), 0);
	start_process(&fixture);
	assert_int_equal(libvirt_sync_one(&fixture.sync, fixture.connection, &fixture.uuid, NULL),
			 1);
	assert_int_equal(vm_roster_find(fixture.sync.roster, &fixture.uuid)->process.pid, 10);
	close_fixture(&fixture);
}

/* Whom nobody can see is told by libvirt, for as long as it runs. */
static void test_a_process_out_of_sight(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	for (int i = 0; i < 3; i++)
		assert_false(look(&fixture)->running);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_true(vm->has_times);
	assert_false(fixture.sync.unsettled);
	start_process(&fixture);
	vm = look(&fixture);
	assert_true(vm->has_times);
	assert_int_equal(vm->process.pid, 0);
	close_fixture(&fixture);
}

static void test_told_times_are_told_at_once(void **state)
{
	const struct vm_roster_vm *vm;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, true);
	vm = look(&fixture);
	assert_true(vm->running);
	assert_true(vm->has_times);
	assert_false(fixture.sync.unsettled);
	close_fixture(&fixture);
}

/* Which call of libvirt fails next, and how; cmocka gives wrappers no argument to keep it in. */
static struct {
	unsigned left;
	int code;
	bool happened;
	bool last; /* it was the last call */
	bool dead; /* the connection */
} refusal;

static bool libvirt_refuses(void)
{
	refusal.last = refusal.left > 0 && --refusal.left == 0;
	refusal.happened = refusal.happened || refusal.last;
	return refusal.last;
}

/* The linker makes these names; no header can have them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
int __real_virConnectListAllDomains(virConnectPtr connection, virDomainPtr **domains,
				    unsigned int flags);
int __wrap_virConnectListAllDomains(virConnectPtr connection, virDomainPtr **domains,
				    unsigned int flags)
{
	return libvirt_refuses() ? -1 : __real_virConnectListAllDomains(connection, domains, flags);
}

char *__real_virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	return libvirt_refuses() ? NULL : __real_virDomainGetXMLDesc(domain, flags);
}

virDomainPtr __real_virDomainLookupByUUID(virConnectPtr connection, const unsigned char *uuid);
virDomainPtr __wrap_virDomainLookupByUUID(virConnectPtr connection, const unsigned char *uuid)
{
	return libvirt_refuses() ? NULL : __real_virDomainLookupByUUID(connection, uuid);
}

int __real_virConnectGetAllDomainStats(virConnectPtr connection, unsigned int stats,
				       virDomainStatsRecordPtr **records, unsigned int flags);
int __wrap_virConnectGetAllDomainStats(virConnectPtr connection, unsigned int stats,
				       virDomainStatsRecordPtr **records, unsigned int flags)
{
	return libvirt_refuses()
		   ? -1
		   : __real_virConnectGetAllDomainStats(connection, stats, records, flags);
}

int __real_virGetLastErrorCode(void);
int __wrap_virGetLastErrorCode(void)
{
	return refusal.last ? refusal.code : __real_virGetLastErrorCode();
}

int __real_virConnectIsAlive(virConnectPtr connection);
int __wrap_virConnectIsAlive(virConnectPtr connection)
{
	return refusal.dead ? 0 : __real_virConnectIsAlive(connection);
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

/* The machine as it was: found, and running. */
static void check_kept(const struct fixture *fixture)
{
	const struct vm_roster_vm *vm = vm_roster_find(fixture->sync.roster, &fixture->uuid);

	CHECK_POINTER(vm);
	assert_true(vm->running);
	assert_int_equal(vm->process.pid, 10);
	assert_string_equal(vm->name, "test");
}

/* Everything that reads domains, with one refusal of libvirt's in it; whether it came to that. */
static bool sync_refused(struct fixture *fixture, unsigned nth, int code, int *ret_status,
			 struct diag *diag)
{
	refusal.left = nth;
	refusal.code = code;
	refusal.happened = false;
	*ret_status = libvirt_sync_all(&fixture->sync, fixture->connection, diag);
	if (*ret_status >= 0)
		*ret_status =
		    libvirt_sync_one(&fixture->sync, fixture->connection, &fixture->uuid, diag);
	refusal.left = 0;
	return refusal.happened;
}

/* A libvirtd that answers with an error, at any call, has not lost its machines. */
static void test_refused_by_libvirt(void **state)
{
	static const int codes[] = {VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_RPC, VIR_ERR_NO_MEMORY,
				    VIR_ERR_ACCESS_DENIED};
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	start_process(&fixture);
	(void)look(&fixture);
	check_kept(&fixture);
	for (size_t i = 0; i < CHECK_COUNT(codes); i++) {
		for (unsigned nth = 1;; nth++) {
			struct diag diag = DIAG_INIT;
			int status;
			bool happened = sync_refused(&fixture, nth, codes[i], &status, &diag);

			check_kept(&fixture);
			assert_int_equal(happened, diag.text[0] != '\0');
			if (!happened)
				break;
			check_contains(diag.text, "libvirt: ");
		}
	}
	/* A connection that is dead is given up at the first refusal. */
	refusal.dead = true;
	{
		struct diag diag = DIAG_INIT;
		int status;

		assert_true(sync_refused(&fixture, 2, VIR_ERR_RPC, &status, &diag));
		assert_int_equal(status, -EIO);
	}
	refusal.dead = false;
	check_kept(&fixture);
	close_fixture(&fixture);
}

/* That a domain is gone is no failure, whenever it goes. */
static void test_a_domain_that_goes_meanwhile(void **state)
{
	struct fixture fixture;
	int status;

	(void)state;
	for (unsigned nth = 2; nth <= 4; nth++) {
		struct diag diag = DIAG_INIT;

		open_fixture(&fixture, false);
		start_process(&fixture);
		(void)look(&fixture);
		assert_true(sync_refused(&fixture, nth, VIR_ERR_NO_DOMAIN, &status, &diag));
		assert_string_equal(diag.text, "");
		if (nth == 2)
			check_kept(
			    &fixture); /* gone from the list, and there again when asked for */
		else
			assert_null(vm_roster_find(fixture.sync.roster, &fixture.uuid));
		close_fixture(&fixture);
	}
}

static void test_times_that_are_refused(void **state)
{
	struct diag diag = DIAG_INIT;
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, true);
	(void)look(&fixture);
	refusal.left = 1;
	refusal.code = VIR_ERR_RPC;
	assert_int_equal(libvirt_sync_times(&fixture.sync, fixture.connection, &diag), -EIO);
	check_contains(diag.text, "cannot read CPU times");
	refusal.left = 1;
	refusal.code = VIR_ERR_NO_SUPPORT;
	assert_int_equal(libvirt_sync_times(&fixture.sync, fixture.connection, &diag), -EOPNOTSUPP);
	check_contains(diag.text, "tells no CPU times");
	assert_true(vm_roster_find(fixture.sync.roster, &fixture.uuid)->running);
	close_fixture(&fixture);
}

/* What fails on this side: memory, descriptors, /proc. */
static void test_a_roster_may_fail_at_any_call(void **state)
{
	static const int errors[] = {EIO, EMFILE, EACCES, ENOSPC};
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, false);
	start_process(&fixture);
	(void)look(&fixture);
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		unsigned nth = 0;
		bool struck;

		do {
			struct diag diag = DIAG_INIT;
			int status;

			fault_arm(FAULT_ANY, ++nth, errors[i]);
			status = libvirt_sync_all(&fixture.sync, fixture.connection, &diag);
			if (status >= 0)
				status = libvirt_sync_one(&fixture.sync, fixture.connection,
							  &fixture.uuid, &diag);
			struck = fault_disarm();
			if (status < 0 && diag.text[0] == '\0')
				fail_msg("call %u, error %d: %d untold", nth, errors[i], status);
			check_kept(&fixture);
		} while (struck && nth < 1000);
		assert_in_range(nth, 10, 999);
	}
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_process_that_comes_late),
	    cmocka_unit_test(test_a_list_that_is_too_old),
	    cmocka_unit_test(test_a_process_out_of_sight),
	    cmocka_unit_test(test_told_times_are_told_at_once),
	    cmocka_unit_test(test_refused_by_libvirt),
	    cmocka_unit_test(test_a_domain_that_goes_meanwhile),
	    cmocka_unit_test(test_times_that_are_refused),
	    cmocka_unit_test(test_a_roster_may_fail_at_any_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
