#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "host/text_diff.h"

static char *difference(const char *before, const char *after)
{
	cleanup_file FILE *stream = NULL;
	char *text = NULL;
	size_t size;

	stream = open_memstream(&text, &size);
	CHECK_POINTER(stream);
	assert_int_equal(text_diff_print(stream, "old", before, "new", after), 0);
	(void)fclose(TAKE_PTR(stream));
	return text;
}

static void test_equal_texts(void **state)
{
	cleanup_free char *none = difference("a\nb\n", "a\nb\n");
	cleanup_free char *empty = difference("", "");

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(empty, "");
}

static void test_a_line_put_in(void **state)
{
	cleanup_free char *text =
	    difference("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nx\n5\n6\n7\n8\n");

	(void)state;
	assert_string_equal(text, "--- old\n+++ new\n@@ -2,6 +2,7 @@\n"
				  " 2\n 3\n 4\n+x\n 5\n 6\n 7\n");
}

/* Six equal lines between two changes are context of both, seven part them. */
static void test_hunks(void **state)
{
	cleanup_free char *joined =
	    difference("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n");
	cleanup_free char *parted =
	    difference("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n");

	(void)state;
	assert_string_equal(joined, "--- old\n+++ new\n@@ -1,8 +1,8 @@\n"
				    "-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
	assert_string_equal(parted, "--- old\n+++ new\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
				    "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

static void test_ends(void **state)
{
	cleanup_free char *made = difference("", "a\n");
	cleanup_free char *gone = difference("a\nb\n", "");
	cleanup_free char *unended = difference("a", "b");

	(void)state;
	assert_string_equal(made, "--- old\n+++ new\n@@ -0,0 +1,1 @@\n+a\n");
	assert_string_equal(gone, "--- old\n+++ new\n@@ -1,2 +0,0 @@\n-a\n-b\n");
	assert_string_equal(unended, "--- old\n+++ new\n@@ -1,1 +1,1 @@\n"
				     "-a\n\\ No newline at end of file\n"
				     "+b\n\\ No newline at end of file\n");
}

/* The new text again, of the signs of a difference that shows every line. */
static void check_applies(const char *text, const char *before, const char *after)
{
	cleanup_free char *taken = calloc(1, strlen(text) + 1), *put = calloc(1, strlen(text) + 1);
	const char *line = strstr(text, "@@\n");

	CHECK_POINTER(taken);
	CHECK_POINTER(put);
	CHECK_POINTER(line);
	for (line += 3; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t size = strcspn(line + 1, "\n") + 1;

		if (*line != '+')
			(void)strncat(taken, line + 1, size);
		if (*line != '-')
			(void)strncat(put, line + 1, size);
	}
	assert_string_equal(taken, before);
	assert_string_equal(put, after);
}

/* Lines of few letters, most equal to some other, and so few that the context shows them all. */
static void test_random_texts(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char before[32] = "", after[32] = "";
		cleanup_free char *text = NULL;

		for (int i = 0; i < 4; i++) {
			static const char *const lines[] = {"a\n", "b\n", "c\n", ""};

			(void)strcat(before, lines[check_random_below(&seed, 4)]);
			(void)strcat(after, lines[check_random_below(&seed, 4)]);
		}
		text = difference(before, after);
		if (strcmp(before, after) == 0)
			assert_string_equal(text, "");
		else
			check_applies(text, before, after);
	}
}

/* More changes than are looked into: all lines are shown, none is lost. */
static void test_texts_of_nothing_in_common(void **state)
{
	cleanup_free char *before = calloc(1, 20000), *after = calloc(1, 20000), *text = NULL;

	(void)state;
	CHECK_POINTER(before);
	CHECK_POINTER(after);
	for (int i = 0; i < TEXT_DIFF_CHANGES_MAX; i++) {
		(void)snprintf(before + strlen(before), 16, "a%d\n", i);
		(void)snprintf(after + strlen(after), 16, "b%d\n", i);
	}
	text = difference(before, after);
	check_applies(text, before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal_texts),	 cmocka_unit_test(test_a_line_put_in),
	    cmocka_unit_test(test_hunks),	 cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_random_texts), cmocka_unit_test(test_texts_of_nothing_in_common),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
