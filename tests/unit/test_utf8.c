/* utf8.h: what is a character and what is not. */
#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_length(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
	    {"", 1},
	    {"a", 1},
	    {"\x7f", 1},
	    {"\x80", 0},
	    {"\xc1\x81", 0}, /* overlong */
	    {"\xc2\x80", 2},
	    {"\xdf\xbf", 2},
	    {"\xc2", 0},
	    {"\xe0\x9f\xbf", 0}, /* overlong */
	    {"\xe0\xa0\x80", 3},
	    {"\xed\xa0\x80", 0}, /* surrogate */
	    {"\xed\x9f\xbf", 3},
	    {"\xef\xbf\xbf", 3},
	    {"\xe2\x82", 0},
	    {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
	    {"\xf0\x90\x80\x80", 4},
	    {"\xf4\x8f\xbf\xbf", 4},
	    {"\xf4\x90\x80\x80", 0}, /* past U+10FFFF */
	    {"\xf0\x9f\x98", 0},
	    {"\xff", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (utf8_length(cases[i].text) != cases[i].length)
			fail_msg("case %zu: %zu", i, utf8_length(cases[i].text));
}

static void test_copy(void **state)
{
	char text[6];

	(void)state;
	utf8_copy(text, sizeof(text), "abcde");
	assert_string_equal(text, "abcde");
	utf8_copy(text, sizeof(text), "abcdef");
	assert_string_equal(text, "abcde");
	utf8_copy(text, sizeof(text), "abcd\xc3\xbc");
	assert_string_equal(text, "abcd");
	utf8_copy(text, sizeof(text), "a\xff\xc3");
	assert_string_equal(text, "a??");
	utf8_copy(text, 1, "a");
	assert_string_equal(text, "");
}

/* Every code point there and back; what is none of them is marked. */
static void test_code_points(void **state)
{
	unsigned int found;
	char text[UTF8_CHARACTER_SIZE];

	(void)state;
	for (unsigned int character = 1; character < 0x110000; character++) {
		utf8_encode(character, text);
		if (character >= 0xd800 && character < 0xe000) {
			assert_string_equal(text, "?");
			continue;
		}
		assert_int_equal(utf8_decode(text, &found), strlen(text));
		assert_int_equal(found, character);
	}
	utf8_encode(0x110000, text);
	assert_string_equal(text, "?");
	assert_int_equal(utf8_decode("\xff", &found), 1);
	assert_int_equal(found, 0xfffd);
	assert_int_equal(utf8_decode("", &found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_code_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
