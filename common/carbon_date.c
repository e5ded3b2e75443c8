#include "common/carbon_date.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Exactly `count` digits at *cursor. */
static int carbon_date_digits(const char **cursor, int count, unsigned int *ret_value)
{
	unsigned int value = 0;

	for (int i = 0; i < count; i++) {
		char c = (*cursor)[i];

		if (c < '0' || c > '9')
			return -EINVAL;
		value = value * 10 + (unsigned int)(c - '0');
	}
	*cursor += count;
	*ret_value = value;
	return 0;
}

static int carbon_date_expect(const char **cursor, char expected)
{
	if (**cursor != expected)
		return -EINVAL;
	(*cursor)++;
	return 0;
}

struct carbon_date {
	unsigned int year, month, day, hour, minute, second;
};

/* Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that leap days end
 * them. */
static int64_t carbon_date_days(unsigned int year, unsigned int month, unsigned int day)
{
	int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
	int64_t in_year = (153 * ((int64_t)(month + 9) % 12) + 2) / 5 + (int64_t)day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + in_year - 719468;
}

static bool carbon_date_exists(const struct carbon_date *date)
{
	return date->year >= 1970 && date->year <= 2500 && date->month >= 1 && date->month <= 12 &&
	       date->day >= 1 && date->day <= 31 && date->hour <= 23 && date->minute <= 59 &&
	       date->second <= 60;
}

static int carbon_date_to_wall(const struct carbon_date *date, int64_t offset_seconds,
			       struct wall_time *ret_time)
{
	int64_t seconds;

	if (!carbon_date_exists(date))
		return -EINVAL;
	seconds = carbon_date_days(date->year, date->month, date->day) * 86400 +
		  (int64_t)date->hour * 3600 + (int64_t)date->minute * 60 + (int64_t)date->second -
		  offset_seconds;
	if (seconds < 0)
		return -ERANGE;
	ret_time->ns = (uint64_t)seconds * CLOCK_NS_PER_SECOND;
	return 0;
}

/* "Z", "+02:00", "+0200"; nothing is no time that means something outside of its country. */
static int carbon_date_parse_offset(const char *c, int64_t *ret_seconds)
{
	unsigned int hours, minutes;
	int64_t sign = *c == '-' ? -1 : 1;

	if (strcmp(c, "Z") == 0) {
		*ret_seconds = 0;
		return 0;
	}
	if (*c != '+' && *c != '-')
		return -EINVAL;
	c++;
	if (carbon_date_digits(&c, 2, &hours) < 0)
		return -EINVAL;
	if (*c == ':')
		c++;
	if (carbon_date_digits(&c, 2, &minutes) < 0 || *c != '\0' || hours > 14 || minutes > 59)
		return -EINVAL;
	*ret_seconds = sign * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
	return 0;
}

int carbon_date_parse(const char *text, struct wall_time *ret_time)
{
	struct carbon_date date = {.second = 0};
	const char *c = text;
	int64_t offset;

	if (carbon_date_digits(&c, 4, &date.year) < 0 || carbon_date_expect(&c, '-') < 0 ||
	    carbon_date_digits(&c, 2, &date.month) < 0 || carbon_date_expect(&c, '-') < 0 ||
	    carbon_date_digits(&c, 2, &date.day) < 0 || carbon_date_expect(&c, 'T') < 0 ||
	    carbon_date_digits(&c, 2, &date.hour) < 0 || carbon_date_expect(&c, ':') < 0 ||
	    carbon_date_digits(&c, 2, &date.minute) < 0)
		return -EINVAL;
	if (*c == ':') {
		c++;
		if (carbon_date_digits(&c, 2, &date.second) < 0)
			return -EINVAL;
		if (*c == '.')
			c += 1 + strspn(c + 1, "0123456789");
	}
	if (carbon_date_parse_offset(c, &offset) < 0)
		return -EINVAL;
	return carbon_date_to_wall(&date, offset, ret_time);
}

/* The day of the month of its last Sunday. 1970-01-01 was a Thursday. */
static unsigned int carbon_date_last_sunday(unsigned int year, unsigned int month)
{
	return 31 - (unsigned int)((carbon_date_days(year, month, 31) + 4) % 7);
}

/*
 * French time: one hour ahead of UTC, two from the last Sunday in March at 02:00 to the last one in
 * October at 03:00 (directive 2000/84/EC). The hour that is there twice is taken for the later
 * one: then it may seem to be in the future, and an older record is taken.
 */
static int64_t carbon_date_french_offset(const struct carbon_date *date)
{
	unsigned int start = carbon_date_last_sunday(date->year, 3);
	unsigned int end = carbon_date_last_sunday(date->year, 10);
	bool summer = date->month > 3 && date->month < 10;

	if (date->month == 3)
		summer = date->day > start || (date->day == start && date->hour >= 2);
	else if (date->month == 10)
		summer = date->day < end || (date->day == end && date->hour < 2);
	return summer ? 7200 : 3600;
}

/* "2024-05-31" or "31/05/2024". */
static int carbon_date_parse_day(const char *c, struct carbon_date *date)
{
	const char *other = c;

	if (carbon_date_digits(&c, 4, &date->year) == 0)
		return carbon_date_expect(&c, '-') < 0 ||
			       carbon_date_digits(&c, 2, &date->month) < 0 ||
			       carbon_date_expect(&c, '-') < 0 ||
			       carbon_date_digits(&c, 2, &date->day) < 0
			   ? -EINVAL
			   : 0;
	return carbon_date_digits(&other, 2, &date->day) < 0 ||
		       carbon_date_expect(&other, '/') < 0 ||
		       carbon_date_digits(&other, 2, &date->month) < 0 ||
		       carbon_date_expect(&other, '/') < 0 ||
		       carbon_date_digits(&other, 4, &date->year) < 0
		   ? -EINVAL
		   : 0;
}

int carbon_date_parse_french(const char *day, const char *hour, struct wall_time *ret_time)
{
	struct carbon_date date = {.second = 0};

	if (carbon_date_parse_day(day, &date) < 0 || carbon_date_digits(&hour, 2, &date.hour) < 0 ||
	    carbon_date_expect(&hour, ':') < 0 || carbon_date_digits(&hour, 2, &date.minute) < 0 ||
	    !carbon_date_exists(&date))
		return -EINVAL;
	return carbon_date_to_wall(&date, carbon_date_french_offset(&date), ret_time);
}
