/* status_json.h: documents against golden files, and what happens without figures. */
#include "common/cleanup.h"
#include "host/ledger_view.h"
#include "host/status_json.h"
#include "tests/unit/golden.h"
#include "tests/unit/ledger_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

static void check(const char *text, const char *golden)
{
	json_t *document;

	assert_non_null(text);
	document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(document);
	json_decref(document);
	golden_check(golden, text, strlen(text));
}

struct fixture {
	struct ledger *ledger;
	struct ledger_copy copy;
	struct summary summary;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.ledger = ledger_fixture_create();
	*state = &fixture;
	if (ledger_copy_of(fixture.ledger, &fixture.copy) < 0)
		return -1;
	return summary_init(&fixture.summary, &fixture.copy,
			    (struct mono_time){.ns = LEDGER_FIXTURE_TIME_NS + 250000000});
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	summary_finish(&fixture->summary);
	ledger_copy_free(&fixture->copy);
	ledger_destroy(fixture->ledger);
	return 0;
}

static void test_status(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_free char *text = status_json(&fixture->copy, &fixture->summary);

	check(text, "status.json");
}

static void test_vms(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_free char *text = status_json_vms(&fixture->copy, &fixture->summary);

	check(text, "status_vms.json");
}

static void test_vm(void **state)
{
	const struct fixture *fixture = *state;
	const struct summary_vm *vm = NULL;
	cleanup_free char *text = NULL;

	assert_int_equal(summary_find(&fixture->summary, "web", &vm, NULL), 0);
	text = status_json_vm(&fixture->copy, vm);
	check(text, "status_vm.json");
}

static void test_failure(void **state)
{
	cleanup_free char *text = status_json_failure("there is \"no\" ledger");

	(void)state;
	check(text, "status_failure.json");
}

static void test_no_sample(void **state)
{
	struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_free char *text = NULL;

	(void)state;
	assert_int_equal(summary_init(&summary, &copy, (struct mono_time){.ns = 1}), 0);
	text = status_json(&copy, &summary);
	check(text, "status_no_sample.json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),    cmocka_unit_test(test_vms),
	    cmocka_unit_test(test_vm),	      cmocka_unit_test(test_failure),
	    cmocka_unit_test(test_no_sample),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
