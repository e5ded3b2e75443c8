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
