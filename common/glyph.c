#include "common/glyph.h"
#include "common/utf8.h"

#include <string.h>
#include <wchar.h>

struct glyph_range {
	unsigned int first, last;
};

static bool glyph_is_within(unsigned int character, const struct glyph_range ranges[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	return false;
}

/* What a terminal obeys, what turns directions, and what is there without being seen. */
static bool glyph_is_harmful(unsigned int character)
{
	static const struct glyph_range ranges[] = {
	    {0x0000, 0x001f},	{0x007f, 0x009f}, /* C0, DEL, C1 */
	    {0x00ad, 0x00ad},			  /* soft hyphen */
	    {0x034f, 0x034f},			  /* grapheme joiner */
	    {0x061c, 0x061c},	{0x200e, 0x200f}, /* marks of direction */
	    {0x200b, 0x200d},	{0x2060, 0x2065}, /* of no width */
	    {0x2028, 0x202e},	{0x2066, 0x206f}, /* separators of lines; embeddings, isolates */
	    {0xfeff, 0xfeff},	{0xfff9, 0xfffb}, /* byte order; annotations */
	    {0xe0000, 0xe0fff},			  /* tags */
	};

	return glyph_is_within(character, ranges, sizeof(ranges) / sizeof(ranges[0]));
}

/* Blocks of Hebrew, Arabic and the other scripts with bidi classes R and AL (DerivedBidiClass). */
static bool glyph_is_right_to_left(unsigned int character)
{
	static const struct glyph_range ranges[] = {
	    {0x0590, 0x08ff},	{0xfb1d, 0xfdff},   {0xfe70, 0xfefe},
	    {0x10800, 0x10fff}, {0x1e800, 0x1efff},
	};

	return glyph_is_within(character, ranges, sizeof(ranges) / sizeof(ranges[0]));
}

/* Which picture the character before is drawn as: terminals differ in how wide that makes it. */
static bool glyph_is_selector(unsigned int character)
{
	return character >= 0xfe00 && character <= 0xfe0f;
}

bool glyph_next(const char **text, struct glyph *ret_glyph)
{
	struct glyph glyph = {.text = "?", .width = 1, .known = true};
	const size_t length = utf8_length(*text);
	const char *start = *text;
	unsigned int character;
	int width;

	if (*start == '\0')
		return false;
	*text += utf8_decode(start, &character);
	*ret_glyph = glyph;
	if (length == 0 || glyph_is_harmful(character))
		return true;
	memset(glyph.text, 0, sizeof(glyph.text));
	if (glyph_is_selector(character)) {
		glyph.width = 0;
	} else {
		memcpy(glyph.text, start, length);
		width = wcwidth((wchar_t)character);
		glyph.known = width >= 0;
		glyph.width = width < 0 ? 1 : (size_t)width;
		glyph.right_to_left = glyph_is_right_to_left(character);
	}
	*ret_glyph = glyph;
	return true;
}

size_t glyph_text_width(const char *text)
{
	struct glyph glyph;
	size_t width = 0;

	while (glyph_next(&text, &glyph))
		width += glyph.width;
	return width;
}
