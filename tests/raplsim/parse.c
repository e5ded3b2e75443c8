#include "tests/raplsim/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int append_digit(uint64_t *value, unsigned int digit)
{
	if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
	    __builtin_add_overflow(*value, (uint64_t)digit, value))
		return -ERANGE;
	return 0;
}

int parse_fixed(const char *text, unsigned int decimals, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t i = 0;

	if (!is_digit(text[0]))
		return -EINVAL;
	for (; is_digit(text[i]); i++) {
		int r = append_digit(&value, (unsigned int)(text[i] - '0'));
		if (r < 0)
			return r;
	}
	if (decimals > 0 && text[i] == '.' && is_digit(text[i + 1]))
		i++;
	else if (text[i] != '\0')
		return -EINVAL;
	for (; decimals > 0; decimals--) {
		unsigned int digit = text[i] == '\0' ? 0U : (unsigned int)(text[i] - '0');

		if (digit > 9)
			return -EINVAL;
		int r = append_digit(&value, digit);
		if (r < 0)
			return r;
		if (text[i] != '\0')
			i++;
	}
	if (text[i] != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret_value)
{
	return parse_fixed(text, 0, ret_value);
}
