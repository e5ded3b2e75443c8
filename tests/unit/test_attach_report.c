#include "tests/unit/check.h"
#include "tests/unit/golden.h"

#include "common/cleanup.h"
#include "host/attach_report.h"

/* Each with something that the others have not. */
static const struct attach_report added[] = {
    {.name = "off",
     .persistent = true,
     .transport = ATTACH_VIRTIOFS,
     .choice = ATTACH_CHOICE_FIRST,
     .changes = {.device = true, .memory_shared = true}},
    {.name = "running",
     .persistent = true,
     .transport = ATTACH_VIRTIOFS,
     .changes = {.device = true},
     .live = ATTACH_LIVE_CHANGED},
    {.name = "waits",
     .persistent = true,
     .transport = ATTACH_9P,
     .choice = ATTACH_CHOICE_LEFT,
     .hindrance = {"the reason against virtiofs"},
     .changes = {.device = true},
     .live = ATTACH_LIVE_LATER,
     .reason = {"the reason to wait"},
     .saved = true},
    {.name = "switched",
     .persistent = true,
     .transport = ATTACH_9P,
     .changes = {.device = true, .replaced = true, .memory_unshared = true},
     .unserved = true},
    {.name = "kept",
     .persistent = true,
     .transport = ATTACH_9P,
     .choice = ATTACH_CHOICE_KEPT,
     .changes = {.memory_stays = "somebody changed it since"},
     .live = ATTACH_LIVE_HAS},
    {.name = "transient", .transport = ATTACH_VIRTIOFS, .live = ATTACH_LIVE_CHANGED},
};

static const struct attach_report removed[] = {
    {.name = "off", .persistent = true, .changes = {.device = true, .memory_unshared = true}},
    {.name = "running",
     .persistent = true,
     .changes = {.device = true},
     .live = ATTACH_LIVE_CHANGED},
    {.name = "waits",
     .persistent = true,
     .changes = {.device = true, .memory_stays = "another virtiofs share needs it"},
     .live = ATTACH_LIVE_LATER,
     .reason = {"the reason to wait"},
     .saved = true},
    {.name = "had-none", .persistent = true, .live = ATTACH_LIVE_HAS},
    {.name = "transient", .live = ATTACH_LIVE_CHANGED},
};

/* In print_all(), and not freed. */
static char difference[] = "(the difference)\n";

static void print_all(FILE *stream, bool dry_run, enum attach_report_form form)
{
	for (size_t i = 0; i < CHECK_COUNT(added); i++) {
		struct attach_report report = added[i];

		report.dry_run = dry_run;
		report.difference = dry_run ? difference : NULL;
		attach_report_added(stream, &report, form);
	}
	for (size_t i = 0; i < CHECK_COUNT(removed); i++) {
		struct attach_report report = removed[i];

		report.dry_run = dry_run;
		attach_report_removed(stream, &report, form);
	}
}

static void test_sentences(void **state)
{
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size;

	(void)state;
	stream = open_memstream(&text, &size);
	CHECK_POINTER(stream);
	print_all(stream, false, ATTACH_REPORT_LINES);
	(void)fputs("\nWith --all:\n", stream);
	print_all(stream, false, ATTACH_REPORT_LINE);
	(void)fputs("\nWith --dry-run:\n", stream);
	print_all(stream, true, ATTACH_REPORT_LINES);
	(void)fputs("\nFor the operator:\n", stream);
	attach_report_remarks(stream, ATTACH_9P);
	attach_report_remarks(stream, ATTACH_VIRTIOFS);
	assert_int_equal(fflush(stream), 0);
	golden_check("attach_report.text", text, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
