#include "common/utf8.h"

#include <assert.h>
#include <string.h>

struct utf8_form {
	unsigned char first_min, first_max, second_min, second_max;
	size_t length;
};

static const struct utf8_form utf8_forms[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* A NUL is no continuation byte, so the first missing byte ends the look. */
size_t utf8_length(const char *text)
{
	unsigned char first = (unsigned char)text[0];

	if (first < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
		const struct utf8_form *form = &utf8_forms[i];

		if (first < form->first_min || first > form->first_max)
			continue;
		if ((unsigned char)text[1] < form->second_min ||
		    (unsigned char)text[1] > form->second_max)
			return 0;
		for (size_t k = 2; k < form->length; k++)
			if (((unsigned char)text[k] & 0xc0) != 0x80)
				return 0;
		return form->length;
	}
	return 0;
}

void utf8_copy(char *ret_text, size_t size, const char *text)
{
	size_t used = 0;

	assert(size > 0);
	while (*text != '\0') {
		size_t length = utf8_length(text);
		size_t taken = length > 0 ? length : 1;

		if (used + taken >= size)
			break;
		if (length > 0)
			memcpy(ret_text + used, text, length);
		else
			ret_text[used] = '?';
		used += taken;
		text += taken;
	}
	ret_text[used] = '\0';
}

size_t utf8_decode(const char *text, unsigned int *ret_character)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const size_t length = utf8_length(text);
	unsigned int character = (unsigned char)text[0] & first_bits[length];

	if (*text == '\0' || length == 0) {
		*ret_character = *text == '\0' ? 0 : 0xfffd;
		return *text == '\0' ? 0 : 1;
	}
	for (size_t i = 1; i < length; i++)
		character = character << 6 | ((unsigned char)text[i] & 0x3f);
	*ret_character = character;
	return length;
}

void utf8_encode(unsigned int character, char ret_text[static UTF8_CHARACTER_SIZE])
{
	static const struct {
		unsigned int limit, mark;
	} forms[] = {{0x80, 0}, {0x800, 0xc0}, {0x10000, 0xe0}, {0x110000, 0xf0}};
	char text[UTF8_CHARACTER_SIZE] = "?";
	size_t length = 1;

	if (character < 0x110000 && (character < 0xd800 || character > 0xdfff)) {
		while (character >= forms[length - 1].limit)
			length++;
		for (size_t i = length - 1; i > 0; i--, character >>= 6)
			text[i] = (char)(0x80 | (character & 0x3f));
		text[0] = (char)(forms[length - 1].mark | character);
	}
	memcpy(ret_text, text, sizeof(text));
}
