#include "host/kernel_release.h"
#include "common/file.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>

#define KERNEL_RELEASE_SIZE 128 /* utsname has 65 */

/* The number at *cursor, which moves behind it. */
static int kernel_release_number(const char **cursor, uint32_t *ret_value)
{
	char digits[12];
	size_t length = strspn(*cursor, "0123456789");

	if (length == 0 || length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, *cursor, length);
	digits[length] = '\0';
	*cursor += length;
	return parse_u32(digits, ret_value);
}

int kernel_release_parse(const char *text, struct kernel_release *ret_release)
{
	struct kernel_release release;

	if (kernel_release_number(&text, &release.major) < 0 || *text++ != '.' ||
	    kernel_release_number(&text, &release.minor) < 0)
		return -EINVAL;
	*ret_release = release;
	return 0;
}

int kernel_release_read(int proc_fd, struct kernel_release *ret_release)
{
	char text[KERNEL_RELEASE_SIZE];
	int status = file_read_line_at(proc_fd, "sys/kernel/osrelease", text, sizeof(text));

	return status < 0 ? status : kernel_release_parse(text, ret_release);
}

bool kernel_release_before(const struct kernel_release *release, uint32_t major, uint32_t minor)
{
	return release->major < major || (release->major == major && release->minor < minor);
}
