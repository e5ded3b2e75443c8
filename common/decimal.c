#include "common/decimal.h"

#include <assert.h>
#include <string.h>

size_t decimal_format(uint64_t magnitude, unsigned int places, char ret_text[static DECIMAL_SIZE])
{
	char digits[DECIMAL_SIZE];
	size_t start = sizeof(digits), written = 0, length;

	assert(places <= DECIMAL_PLACES_MAX);
	/* From the last digit on: at least one in front of the point. */
	do {
		if (written == places && written > 0)
			digits[--start] = '.';
		digits[--start] = (char)('0' + magnitude % 10);
		magnitude /= 10;
		written++;
	} while (magnitude > 0 || written <= places);
	length = sizeof(digits) - start;
	memcpy(ret_text, digits + start, length);
	ret_text[length] = '\0';
	return length;
}
