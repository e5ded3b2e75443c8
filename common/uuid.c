#include "common/uuid.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The places of the dashes in 8-4-4-4-12. */
static bool uuid_is_dash(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

static int uuid_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

int uuid_parse(const char *text, struct uuid *ret_uuid)
{
	struct uuid uuid = {.bytes = {0}};
	size_t nibble = 0;

	for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		int digit;

		if (uuid_is_dash(i)) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		digit = uuid_digit(text[i]);
		if (digit < 0)
			return -EINVAL;
		uuid.bytes[nibble / 2] = (uint8_t)(uuid.bytes[nibble / 2] << 4 | digit);
		nibble++;
	}
	if (text[UUID_TEXT_SIZE - 1] != '\0')
		return -EINVAL;
	*ret_uuid = uuid;
	return 0;
}

void uuid_format(const struct uuid *uuid, char ret_text[static UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t nibble = 0;

	for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		uint8_t byte;

		if (uuid_is_dash(i)) {
			ret_text[i] = '-';
			continue;
		}
		byte = uuid->bytes[nibble / 2];
		ret_text[i] = digits[nibble % 2 == 0 ? byte >> 4 : byte & 0xf];
		nibble++;
	}
	ret_text[UUID_TEXT_SIZE - 1] = '\0';
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return uuid_compare(a, b) == 0;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool uuid_is_nil(const struct uuid *uuid)
{
	static const struct uuid nil = {.bytes = {0}};

	return uuid_equal(uuid, &nil);
}
