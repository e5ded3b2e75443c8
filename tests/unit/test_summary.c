/* summary.h: sums, freshness, order, and which machine a name means. */
#include "common/cleanup.h"
#include "common/uuid.h"
#include "host/ledger_view.h"
#include "host/summary.h"
#include "tests/unit/ledger_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

struct fixture {
	struct ledger *ledger;
	struct ledger_copy copy;
	struct summary summary;
};

static struct fixture make(uint64_t age_ns)
{
	struct fixture fixture = {.ledger = ledger_fixture_create()};

	assert_int_equal(ledger_copy_of(fixture.ledger, &fixture.copy), 0);
	assert_int_equal(summary_init(&fixture.summary, &fixture.copy,
				      (struct mono_time){.ns = LEDGER_FIXTURE_TIME_NS + age_ns}),
			 0);
	return fixture;
}

static void release(struct fixture *fixture)
{
	summary_finish(&fixture->summary);
	ledger_copy_free(&fixture->copy);
	ledger_destroy(fixture->ledger);
}

static void test_sums_leave_nothing_out(void **state)
{
	struct fixture fixture = make(0);
	uint64_t booked =
	    fixture.summary.idle_uj + fixture.summary.other_uj + fixture.summary.away_uj;

	(void)state;
	for (size_t i = 0; i < fixture.summary.vm_count; i++)
		booked += fixture.summary.vms[i].energy_uj;
	assert_non_null(fixture.summary.departed);
	for (uint32_t zone = 0; zone < 3; zone++)
		booked += ledger_share_total_uj(&fixture.summary.departed->shares[zone]);
	/* Packages and DRAM; psys is not counted on top. */
	assert_int_equal(fixture.summary.energy_uj, booked);
	assert_false(summary_counts_zone(&fixture.copy.host, 3));
	/* The package that cannot be read has no known power. */
	assert_int_equal(fixture.summary.power_uw, 45678901 + 45678902);
	release(&fixture);
}

static void test_psys_counts_alone(void **state)
{
	struct ledger_host host = {.zone_count = 2};

	(void)state;
	host.zones[0].zone.kind = ZONE_PSYS;
	host.zones[1].zone.kind = ZONE_DRAM;
	assert_true(summary_counts_zone(&host, 0));
	assert_false(summary_counts_zone(&host, 1));
}

static void test_order(void **state)
{
	struct fixture fixture = make(0);

	(void)state;
	assert_int_equal(fixture.summary.vm_count, 4);
	assert_int_equal(fixture.summary.vms[0].vm->uuid.bytes[15], 2);
	assert_int_equal(fixture.summary.vms[1].vm->uuid.bytes[15], 1);
	/* Both without power: by name. */
	assert_int_equal(fixture.summary.vms[2].vm->uuid.bytes[15], 3);
	assert_int_equal(fixture.summary.vms[3].vm->uuid.bytes[15], 4);
	release(&fixture);
}

static void test_fresh_up_to_the_bound(void **state)
{
	struct fixture fixture = make(SUMMARY_AGE_NS_MAX);

	(void)state;
	assert_int_equal(summary_check_fresh(&fixture.summary, NULL), 0);
	release(&fixture);
}

static void test_stale_past_the_bound(void **state)
{
	struct fixture fixture = make(SUMMARY_AGE_NS_MAX + 1);
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(summary_check_fresh(&fixture.summary, &diag), -EAGAIN);
	assert_non_null(strstr(diag.text, "10 s old"));
	release(&fixture);
}

static void test_never_sampled(void **state)
{
	const struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(summary_init(&summary, &copy, (struct mono_time){.ns = 0}), 0);
	assert_int_equal(summary_check_fresh(&summary, &diag), -EAGAIN);
	assert_non_null(strstr(diag.text, "sample"));
}

static void test_find(void **state)
{
	struct fixture fixture = make(0);
	const struct summary_vm *vm = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(summary_find(&fixture.summary, "web", &vm, NULL), 0);
	assert_int_equal(vm->vm->uuid.bytes[15], 1);
	assert_int_equal(
	    summary_find(&fixture.summary, "A0B1C2D3-E4F5-4607-9829-3A4B5C6D7E04", &vm, NULL), 0);
	assert_string_equal(vm->vm->name, "old");
	assert_int_equal(summary_find(&fixture.summary, "WEB", &vm, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "WEB"));
	/* The account of the departed is no machine. */
	assert_int_equal(summary_find(&fixture.summary, LEDGER_DEPARTED_NAME, &vm, NULL), -ENOENT);
	release(&fixture);
}

/* A uuid may be a name; the running one of two of the same name is meant; else neither is. */
static void test_find_among_namesakes(void **state)
{
	struct fixture fixture = make(0);
	const struct summary_vm *vm = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	for (size_t i = 0; i < fixture.copy.vm_count; i++)
		if (fixture.copy.vms[i].state != LEDGER_VM_RUNNING ||
		    fixture.copy.vms[i].uuid.bytes[15] == 2)
			(void)snprintf(fixture.copy.vms[i].name, SAMPLE_NAME_SIZE, "twin");
	assert_int_equal(summary_find(&fixture.summary, "twin", &vm, NULL), 0);
	assert_int_equal(vm->vm->uuid.bytes[15], 2);
	for (size_t i = 0; i < fixture.copy.vm_count; i++)
		fixture.copy.vms[i].state = LEDGER_VM_OFF;
	assert_int_equal(summary_find(&fixture.summary, "twin", &vm, &diag), -ENOTUNIQ);
	assert_non_null(strstr(diag.text, "3 virtual machines"));
	release(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums_leave_nothing_out),
	    cmocka_unit_test(test_psys_counts_alone),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_fresh_up_to_the_bound),
	    cmocka_unit_test(test_stale_past_the_bound),
	    cmocka_unit_test(test_never_sampled),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_find_among_namesakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
