/* status_text.h: the tables against golden files. */
#include "common/cleanup.h"
#include "host/ledger_view.h"
#include "host/status_text.h"
#include "tests/unit/golden.h"
#include "tests/unit/ledger_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>

struct scene {
	struct ledger *ledger;
	struct ledger_copy copy;
	struct summary summary;
	FILE *stream;
	char *text;
	size_t size;
};

static struct scene begin(uint64_t age_ns)
{
	struct scene scene = {.ledger = ledger_fixture_create(), .text = NULL};

	assert_int_equal(ledger_copy_of(scene.ledger, &scene.copy), 0);
	assert_int_equal(summary_init(&scene.summary, &scene.copy,
				      (struct mono_time){.ns = LEDGER_FIXTURE_TIME_NS + age_ns}),
			 0);
	return scene;
}

static void open_stream(struct scene *scene)
{
	scene->stream = open_memstream(&scene->text, &scene->size);
	assert_non_null(scene->stream);
}

static void end(struct scene *scene, const char *golden)
{
	assert_int_equal(fclose(scene->stream), 0);
	golden_check(golden, scene->text, scene->size);
	free(scene->text);
	summary_finish(&scene->summary);
	ledger_copy_free(&scene->copy);
	ledger_destroy(scene->ledger);
}

static void test_status(void **state)
{
	struct scene scene = begin(250000000);

	(void)state;
	open_stream(&scene);
	assert_int_equal(status_text_print(&scene.copy, &scene.summary, scene.stream), 0);
	end(&scene, "status.text");
}

/* What is not known now is not 0, and an estimate says so. */
static void test_stale_estimate(void **state)
{
	struct scene scene = begin(UINT64_C(7384000000000));

	(void)state;
	scene.copy.host.estimate = 1;
	scene.copy.host.events = (struct ledger_events){.wanted = 0};
	open_stream(&scene);
	assert_int_equal(status_text_print(&scene.copy, &scene.summary, scene.stream), 0);
	end(&scene, "status_stale.text");
}

static void test_vms(void **state)
{
	struct scene scene = begin(250000000);

	(void)state;
	open_stream(&scene);
	assert_int_equal(status_text_print_vms(&scene.copy, &scene.summary, scene.stream), 0);
	end(&scene, "status_vms.text");
}

static void test_vm(void **state)
{
	struct scene scene = begin(250000000);

	(void)state;
	open_stream(&scene);
	assert_int_equal(
	    status_text_print_vm(&scene.copy, &scene.summary, &scene.summary.vms[0], scene.stream),
	    0);
	end(&scene, "status_vm.text");
}

static void test_no_sample(void **state)
{
	const struct ledger_copy copy = {.vms = NULL};
	cleanup_summary struct summary summary = {.vms = NULL};
	cleanup_free char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	(void)state;
	assert_non_null(stream);
	assert_int_equal(summary_init(&summary, &copy, (struct mono_time){.ns = 1}), 0);
	assert_int_equal(status_text_print(&copy, &summary, stream), 0);
	assert_int_equal(fclose(stream), 0);
	golden_check("status_no_sample.text", text, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),    cmocka_unit_test(test_stale_estimate),
	    cmocka_unit_test(test_vms),	      cmocka_unit_test(test_vm),
	    cmocka_unit_test(test_no_sample),
	};

	/* The widths of characters must not depend on who runs the test. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
