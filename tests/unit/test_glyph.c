/* glyph.h: what a terminal may be shown of a name that somebody else chose. */
#include "common/glyph.h"
#include "tests/unit/check.h"

#include <locale.h>
#include <stdio.h>

/* The text as it is shown. */
static const char *shown(const char *text, char ret_text[static 128])
{
	struct glyph glyph;

	ret_text[0] = '\0';
	while (glyph_next(&text, &glyph))
		(void)snprintf(ret_text + strlen(ret_text), 128 - strlen(ret_text), "%s",
			       glyph.text);
	return ret_text;
}

static void test_what_obeys_is_defused(void **state)
{
	char text[128];

	(void)state;
	assert_string_equal(shown("a\x1b[2J\r\n\t\x7f", text), "a?[2J????");
	assert_string_equal(shown("\xc2\x9b"
				  "31m",
				  text),
			    "?31m");
	assert_string_equal(shown("\xff\xc3", text), "??");
	/* An override and an isolate, each with its end. */
	assert_string_equal(shown("a\xe2\x80\xae"
				  "b\xe2\x80\xac",
				  text),
			    "a?b?");
	assert_string_equal(shown("a\xe2\x81\xa6"
				  "b\xe2\x81\xa9",
				  text),
			    "a?b?");
	assert_string_equal(shown("web\xe2\x80\x8b", text), "web?");
	assert_string_equal(shown("\xe2\x9d\xa4\xef\xb8\x8f!", text), "\xe2\x9d\xa4!");
}

/* No character below a space, no DEL and no C1 passes, whatever it is written as. */
static void test_no_control_character_passes(void **state)
{
	(void)state;
	for (unsigned int first = 1; first < 256; first++) {
		for (unsigned int second = 0; second < 256; second++) {
			const char pair[] = {(char)first, (char)second, '\0'};
			char text[128];

			(void)shown(pair, text);
			for (const char *at = text; *at != '\0'; at++) {
				const unsigned char byte = (unsigned char)*at;

				assert_true(byte >= 0x20 && byte != 0x7f);
				assert_false(byte == 0xc2 && (unsigned char)at[1] < 0xa0);
			}
		}
	}
}

static void test_widths_and_directions(void **state)
{
	const char *hebrew = "\xd7\xa9", *latin = "a", *unassigned = "\xf0\xaf\xbf\xbf";
	struct glyph glyph;

	(void)state;
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		skip();
	assert_int_equal(glyph_text_width("J\xc3\xbcrgen"), 6);
	assert_int_equal(glyph_text_width("e\xcc\x81"), 1);
	assert_int_equal(glyph_text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
	assert_int_equal(glyph_text_width("\x1b\xe2\x80\xae\xe2\x80\xac"), 3);
	assert_true(glyph_next(&hebrew, &glyph) && glyph.right_to_left && glyph.known);
	assert_true(glyph_next(&latin, &glyph) && !glyph.right_to_left);
	assert_false(glyph_next(&latin, &glyph));
	assert_true(glyph_next(&unassigned, &glyph));
	assert_false(glyph.known);
	assert_int_equal(glyph.width, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_obeys_is_defused),
	    cmocka_unit_test(test_no_control_character_passes),
	    cmocka_unit_test(test_widths_and_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
