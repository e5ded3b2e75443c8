#include "common/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* One digit more; -ERANGE where the value would not fit. */
static int parse_append(uint64_t base, uint64_t digit, uint64_t *value)
{
	if (__builtin_mul_overflow(*value, base, value) ||
	    __builtin_add_overflow(*value, digit, value))
		return -ERANGE;
	return 0;
}

static bool parse_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *cursor; moves behind them. */
static int parse_digits(const char **cursor, uint64_t *ret_value)
{
	const char *c = *cursor;
	uint64_t value = 0;

	if (!parse_is_digit(*c))
		return -EINVAL;
	for (; parse_is_digit(*c); c++)
		if (parse_append(10, (uint64_t)(*c - '0'), &value) < 0)
			return -ERANGE;
	*cursor = c;
	*ret_value = value;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret_value)
{
	uint64_t value;
	int status = parse_digits(&text, &value);

	if (status < 0)
		return status;
	if (*text != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int parse_u32(const char *text, uint32_t *ret_value)
{
	uint64_t value;
	int status = parse_u64(text, &value);

	if (status < 0)
		return status;
	if (value > UINT32_MAX)
		return -ERANGE;
	*ret_value = (uint32_t)value;
	return 0;
}

int parse_u64_line(const char *text, uint64_t *ret_value)
{
	uint64_t value;
	int status = parse_digits(&text, &value);

	if (status < 0)
		return status;
	if (*text == '\n')
		text++;
	if (*text != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int parse_hex_u32(const char *text, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		uint64_t digit;

		if (parse_is_digit(*text))
			digit = (uint64_t)(*text - '0');
		else if (*text >= 'a' && *text <= 'f')
			digit = (uint64_t)(*text - 'a') + 10;
		else
			return -EINVAL;
		if (parse_append(16, digit, &value) < 0 || value > UINT32_MAX)
			return -ERANGE;
	}
	*ret_value = (uint32_t)value;
	return 0;
}

int parse_next_u64(const char **cursor, uint64_t *ret_value)
{
	const char *c = *cursor;
	uint64_t value;
	int status;

	while (*c == ' ' || *c == '\t')
		c++;
	if (*c == '\0' || *c == '\n')
		return -ENODATA;
	status = parse_digits(&c, &value);
	if (status < 0)
		return status;
	if (*c != ' ' && *c != '\t' && *c != '\n' && *c != '\0')
		return -EINVAL;
	*cursor = c;
	*ret_value = value;
	return 0;
}

int parse_bool(const char *text, bool *ret_value)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {{"yes", true}, {"true", true},   {"on", true},
		     {"no", false}, {"false", false}, {"off", false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].text) == 0) {
			*ret_value = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

struct parse_unit {
	const char *name;
	uint64_t scale;
};

/* "DIGITS[.DIGITS]UNIT" -> value in the smallest unit; digits finer than that are refused. */
static int parse_scaled(const char *text, const struct parse_unit *units, size_t unit_count,
			uint64_t *ret_value)
{
	const struct parse_unit *unit = NULL;
	const char *fraction = NULL;
	uint64_t value, scale;
	int status = parse_digits(&text, &value);

	if (status < 0)
		return status;
	if (*text == '.') {
		fraction = ++text;
		while (parse_is_digit(*text))
			text++;
		if (text == fraction)
			return -EINVAL;
	}
	for (size_t i = 0; i < unit_count; i++)
		if (strcmp(text, units[i].name) == 0)
			unit = &units[i];
	if (unit == NULL)
		return -EINVAL;
	if (__builtin_mul_overflow(value, unit->scale, &value))
		return -ERANGE;
	scale = unit->scale;
	for (; fraction != NULL && parse_is_digit(*fraction); fraction++) {
		if (scale % 10 != 0 && *fraction != '0')
			return -EINVAL;
		scale /= 10;
		if (__builtin_add_overflow(value, scale * (uint64_t)(*fraction - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

int parse_duration_ns(const char *text, uint64_t *ret_duration_ns)
{
	static const struct parse_unit units[] = {
	    {"ns", 1},
	    {"us", 1000},
	    {"ms", 1000000},
	    {"s", 1000000000},
	    {"min", UINT64_C(60) * 1000000000},
	    {"h", UINT64_C(3600) * 1000000000},
	    {"d", UINT64_C(86400) * 1000000000},
	};

	return parse_scaled(text, units, sizeof(units) / sizeof(units[0]), ret_duration_ns);
}

int parse_power_uw(const char *text, uint64_t *ret_power_uw)
{
	static const struct parse_unit units[] = {
	    {"uW", 1}, {"mW", 1000}, {"W", 1000000}, {"kW", 1000000000}};

	return parse_scaled(text, units, sizeof(units) / sizeof(units[0]), ret_power_uw);
}

int parse_energy_uj(const char *text, uint64_t *ret_energy_uj)
{
	static const struct parse_unit units[] = {
	    {"uJ", 1},
	    {"mJ", 1000},
	    {"J", 1000000},
	    {"kJ", 1000000000},
	    {"MJ", UINT64_C(1000000000000)},
	    {"Wh", UINT64_C(3600) * 1000000},
	    {"kWh", UINT64_C(3600) * 1000000000},
	};

	return parse_scaled(text, units, sizeof(units) / sizeof(units[0]), ret_energy_uj);
}
