#include "tests/unit/golden.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#define GOLDEN_SIZE_MAX ((size_t)4 << 20)

static size_t golden_line_length(const char *text)
{
	return strcspn(text, "\n");
}

/* Walks both line by line up to where they part. */
static void golden_fail(const char *name, const char *expected, const char *actual)
{
	size_t line = 1;

	while (*expected != '\0' && *actual != '\0') {
		size_t length = golden_line_length(expected);

		if (length != golden_line_length(actual) || strncmp(expected, actual, length) != 0)
			break;
		expected += length + (expected[length] == '\n');
		actual += length + (actual[length] == '\n');
		line++;
	}
	print_error("%s:%zu: expected: %.*s\n%s:%zu:   actual: %.*s\n", name, line,
		    (int)golden_line_length(expected), expected, name, line,
		    (int)golden_line_length(actual), actual);
	fail();
}

void golden_check(const char *name, const char *text, size_t size)
{
	cleanup_fd int directory =
	    open(WATTPORT_GOLDEN_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *expected = NULL;
	size_t length;

	assert_true(directory >= 0);
	if (getenv("WATTPORT_GOLDEN_UPDATE") != NULL) {
		assert_int_equal(file_replace_at(directory, name, text, size, 0644), 0);
		return;
	}
	expected = malloc(GOLDEN_SIZE_MAX);
	assert_non_null(expected);
	assert_int_equal(file_read_at(directory, name, expected, GOLDEN_SIZE_MAX, &length), 0);
	if (length != size || memcmp(expected, text, size) != 0)
		golden_fail(name, expected, text);
}
