/* trace_file.h and trace_mask.h: what gets to disk, and what of it somebody else may know. */
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include "common/cleanup.h"
#include "common/trace.h"
#include "host/trace_file.h"
#include "host/trace_mask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#define SECOND CLOCK_NS_PER_SECOND

struct fixture {
	struct tree tree;
	char path[128];
	struct trace_file *file;
	char text[65536];
};

static void fixture_open(struct fixture *fixture, const char *name)
{
	tree_create(&fixture->tree);
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->tree.path, name);
	assert_int_equal(trace_file_create(fixture->path, &fixture->file, NULL), 0);
}

static void fixture_close(struct fixture *fixture)
{
	trace_file_close(fixture->file);
	tree_remove(&fixture->tree);
}

static int fixture_add(struct fixture *fixture, const char *line, uint64_t now_s, struct diag *diag)
{
	return trace_file_add(fixture->file, line, strlen(line), (struct mono_time){now_s * SECOND},
			      diag);
}

/* What a reader gets, which must find the file whole. */
static const char *fixture_read(struct fixture *fixture)
{
	gzFile file = gzopen(fixture->path, "r");
	int length, error;

	CHECK_POINTER(file);
	length = gzread(file, fixture->text, sizeof(fixture->text) - 1);
	(void)gzerror(file, &error);
	assert_true(length >= 0);
	assert_int_equal(error, Z_OK);
	fixture->text[length] = '\0';
	assert_int_equal(gzclose_r(file), Z_OK);
	return fixture->text;
}

static void test_lines_as_they_come(void **state)
{
	struct fixture fixture;
	struct stat status;

	(void)state;
	fixture_open(&fixture, "trace");
	assert_int_equal(fixture_add(&fixture, "one\n", 1, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "one\n");
	assert_int_equal(fixture_add(&fixture, "two\n", 1, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "one\ntwo\n");
	assert_int_equal(trace_file_flush(fixture.file, NULL), 0);
	assert_int_equal(stat(fixture.path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	fixture_close(&fixture);
}

/* Members behind one another are one file; between them it is whole, too. */
static void test_gzip_gathers(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture, "trace.gz");
	assert_int_equal(fixture_add(&fixture, "one\n", 100, NULL), 0);
	assert_int_equal(fixture_add(&fixture, "two\n", 129, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "");
	assert_int_equal(fixture_add(&fixture, "three\n", 130, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "one\ntwo\nthree\n");
	assert_int_equal(fixture_add(&fixture, "four\n", 131, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "one\ntwo\nthree\n");
	assert_int_equal(trace_file_flush(fixture.file, NULL), 0);
	assert_int_equal(trace_file_flush(fixture.file, NULL), 0);
	assert_string_equal(fixture_read(&fixture), "one\ntwo\nthree\nfour\n");
	fixture_close(&fixture);
}

/* A disk that is full in the middle of a line, or of a member: what is there stays whole. */
static void test_a_full_disk(void **state)
{
	static const char *const names[] = {"trace", "trace.gz"};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(names); i++) {
		struct diag diag = DIAG_INIT;
		struct fixture fixture;
		int status;

		fixture_open(&fixture, names[i]);
		assert_int_equal(fixture_add(&fixture, "one\n", 100, NULL), 0);
		assert_int_equal(trace_file_flush(fixture.file, NULL), 0);
		fault_limit_writes(3);
		fault_arm(FAULT_WRITE, 2, ENOSPC);
		status = fixture_add(&fixture, "two, which is longer\n", 200, &diag);
		if (status == 0)
			status = trace_file_flush(fixture.file, &diag);
		assert_true(fault_disarm());
		assert_int_equal(status, -ENOSPC);
		check_contains(diag.text, "No space left");
		check_contains(diag.text, fixture.path);
		assert_string_equal(fixture_read(&fixture), "one\n");
		/* Room again: it goes on behind what is whole. */
		assert_int_equal(fixture_add(&fixture, "three\n", 300, NULL), 0);
		assert_int_equal(trace_file_flush(fixture.file, NULL), 0);
		check_contains(fixture_read(&fixture), "one\n");
		check_contains(fixture_read(&fixture), "three\n");
		fixture_close(&fixture);
	}
}

static void test_every_failure_is_survived(void **state)
{
	static const char *const names[] = {"trace", "trace.gz"};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(names); i++) {
		bool happened = true;

		for (unsigned nth = 1; happened; nth++) {
			struct fixture fixture;
			int status;

			fixture_open(&fixture, names[i]);
			fault_arm(FAULT_WRITE | FAULT_MEMORY, nth, ENOSPC);
			status = fixture_add(&fixture, "one\n", 100, NULL);
			if (status == 0)
				status = trace_file_flush(fixture.file, NULL);
			happened = fault_disarm();
			assert_int_equal(status < 0, happened);
			assert_string_equal(fixture_read(&fixture), happened ? "" : "one\n");
			fixture_close(&fixture);
		}
	}
}

static void test_no_place_for_it(void **state)
{
	struct trace_file *file = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(trace_file_create("/nowhere/trace", &file, &diag), -ENOENT);
	check_contains(diag.text, "/nowhere/trace");
}

#define HEAD                                                                                       \
	"{\"wattport_trace\":1,\"cpus\":[{\"cpu\":0,\"package\":0}],\"zones\":[{\"id\":"           \
	"\"package-0\",\"package\":0,\"kind\":\"package\",\"range_uj\":1000}]}\n"
#define LINE(time, vms) "{\"t_ns\":" time ",\"raw_uj\":{\"package-0\":5},\"vms\":[" vms "]}\n"
#define VM(uuid, name)                                                                             \
	"{\"uuid\":\"" uuid "\",\"name\":\"" name "\",\"vcpus\":[{\"time_ns\":7,\"cpu\":0}]}"
#define A "aaaaaaaa-0000-4000-8000-000000000000"
#define B "bbbbbbbb-0000-4000-8000-000000000000"

static char *mask_line(struct trace_mask *mask, const char *line)
{
	struct diag diag = DIAG_INIT;
	char *masked = NULL;

	if (trace_mask_line(mask, line, strlen(line), &masked, &diag) < 0)
		fail_msg("%s", diag.text);
	CHECK_POINTER(masked);
	return masked;
}

static void test_nobody_is_known_again(void **state)
{
	cleanup_trace_mask struct trace_mask *mask = NULL;
	cleanup_free char *first = NULL, *second = NULL;

	(void)state;
	assert_int_equal(trace_mask_create(HEAD, strlen(HEAD), &mask, NULL), 0);
	first = mask_line(mask, LINE("1", VM(B, "secret")));
	assert_null(strstr(first, "bbbb"));
	assert_null(strstr(first, "secret"));
	check_contains(first, "00000000-0000-8000-8000-000000000001");
	check_contains(first, "vm-1");
	check_contains(first, "\"time_ns\":7");
	check_contains(first, "\n");
	/* The same machine by the same number, whatever it is called now. */
	second = mask_line(mask, LINE("2", VM(A, "other") "," VM(B, "renamed")));
	assert_null(strstr(second, "renamed"));
	assert_null(strstr(second, "aaaa"));
	check_contains(strstr(second, "8000-8000-000000000002"), "8000-8000-000000000001");
	check_contains(second, "vm-2");
}

static void test_what_is_no_trace_cannot_be_masked(void **state)
{
	cleanup_trace_mask struct trace_mask *mask = NULL;
	struct diag diag = DIAG_INIT;
	char *masked = NULL;

	(void)state;
	assert_int_equal(trace_mask_create("{}", 2, &mask, &diag), -EINVAL);
	assert_null(mask);
	assert_int_equal(trace_mask_create(HEAD, strlen(HEAD), &mask, NULL), 0);
	assert_int_equal(trace_mask_line(mask, "{", 1, &masked, &diag), -EINVAL);
	assert_null(masked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines_as_they_come),
	    cmocka_unit_test(test_gzip_gathers),
	    cmocka_unit_test(test_a_full_disk),
	    cmocka_unit_test(test_every_failure_is_survived),
	    cmocka_unit_test(test_no_place_for_it),
	    cmocka_unit_test(test_nobody_is_known_again),
	    cmocka_unit_test(test_what_is_no_trace_cannot_be_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
