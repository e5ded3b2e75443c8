#include "tests/raplsim/cpu_list.h"

#include <errno.h>
#include <stdio.h>

/* Reads digits at *text; the caller's numbers are CPU numbers, so anything past the maximum is
 * refused before it can overflow. */
static int take_number(const char **text, unsigned int *ret_number)
{
	unsigned int number = 0;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		number = number * 10 + (unsigned int)(**text - '0');
		if (number >= CPU_LIST_CPUS_MAX)
			return -E2BIG;
	}
	*ret_number = number;
	return 0;
}

int cpu_list_parse(const char *text, unsigned int cpus[CPU_LIST_CPUS_MAX])
{
	int count = 0;

	while (*text != '\0' && *text != '\n') {
		unsigned int first;
		unsigned int last;
		int r;

		r = take_number(&text, &first);
		if (r < 0)
			return r;
		last = first;
		if (*text == '-') {
			text++;
			r = take_number(&text, &last);
			if (r < 0)
				return r;
		}
		if (last < first || (count > 0 && first <= cpus[count - 1]))
			return -EINVAL;
		for (unsigned int cpu = first; cpu <= last; cpu++)
			cpus[count++] = cpu;
		if (*text == ',')
			text++;
		else if (*text != '\0' && *text != '\n')
			return -EINVAL;
	}
	if (*text == '\n' && text[1] != '\0')
		return -EINVAL;
	return count;
}

int cpu_list_format(const unsigned int *cpus, size_t count, char *text, size_t size)
{
	size_t length = 0;

	if (size == 0)
		return -ENOBUFS;
	text[0] = '\0';
	for (size_t i = 0; i < count;) {
		size_t end = i + 1;
		int n;

		while (end < count && cpus[end] == cpus[end - 1] + 1)
			end++;
		if (end - i > 1)
			n = snprintf(text + length, size - length, "%s%u-%u", i ? "," : "", cpus[i],
				     cpus[end - 1]);
		else
			n = snprintf(text + length, size - length, "%s%u", i ? "," : "", cpus[i]);
		if (n < 0 || (size_t)n >= size - length)
			return -ENOBUFS;
		length += (size_t)n;
		i = end;
	}
	return (int)length;
}
