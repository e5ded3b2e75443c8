/* accept.h: negotiation as RFC 9110, section 12.5 has it. */
#include "common/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct accept_media plain = {"text", "plain", "0.0.4"};

static void test_media(void **state)
{
	static const struct {
		const char *header;
		unsigned int quality;
	} cases[] = {
	    {NULL, 1000},
	    {"", 0},
	    {"*/*", 1000},
	    {"text/*;q=0.5", 500},
	    {"text/plain", 1000},
	    {"TEXT/Plain;Q=0.25", 250},
	    {"text/plain;version=0.0.4;q=0.7", 700},
	    {"text/plain; version=\"0.0.4\" ; q=0.7", 700},
	    {"text/plain;version=1.0.0", 0},
	    {"text/html", 0},
	    {"*/plain", 0},
	    /* The more specific element wins, in whatever order. */
	    {"text/plain;q=0.1, */*", 100},
	    {"*/*, text/*;q=0.4, text/plain;q=0", 0},
	    {"text/plain;q=0.2,text/plain;version=0.0.4;q=0.9", 900},
	    {"text/plain;q=0.2,text/plain;q=0.3", 300},
	    /* Elements that are not well-formed do not spoil the others. */
	    {"text/plain;q=2, text/*;q=0.3", 300},
	    {"text/plain;q=0.1234, text/*;q=0.3", 300},
	    {"text/plain;q=1.001, text/*;q=0.3", 300},
	    {"text/plain;q=, text/*;q=0.3", 300},
	    {"text/plain;q, text/*;q=0.3", 300},
	    {"text/, text/*;q=0.3", 300},
	    {"text plain, text/*;q=0.3", 300},
	    {"a/b;c=\"x,y\", text/*;q=0.3", 300},
	    {"a/b;c=\"x\\\"\" d, text/*;q=0.3", 300},
	    {",, ,text/*;q=0.3 ,", 300},
	    {"text/plain;;q=0.3", 300},
	    {"text/plain;x=\"unterminated, text/*", 0},
	    {"text/plain;x=\"unterminated\\", 0},
	    {"\xff\xfe", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int quality = accept_media_quality(cases[i].header, &plain);

		if (quality != cases[i].quality)
			fail_msg("\"%s\": %u instead of %u", cases[i].header, quality,
				 cases[i].quality);
	}
}

static void test_coding(void **state)
{
	(void)state;
	assert_int_equal(accept_coding_quality(NULL, "gzip"), 0);
	assert_int_equal(accept_coding_quality("", "gzip"), 0);
	assert_int_equal(accept_coding_quality("gzip", "gzip"), 1000);
	assert_int_equal(accept_coding_quality("deflate, gzip;q=0.5, br", "gzip"), 500);
	assert_int_equal(accept_coding_quality("*;q=0.2", "gzip"), 200);
	assert_int_equal(accept_coding_quality("*, gzip;q=0", "gzip"), 0);
	assert_int_equal(accept_coding_quality("gzip;q=0, *", "gzip"), 0);
	assert_int_equal(accept_coding_quality("gzipped", "gzip"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_media),
	    cmocka_unit_test(test_coding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
