#include "fusefs/process_text.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>

/* The first number of a line; `label` begins with the newline before it, for a name may hold
 * "Tgid:", but the kernel writes its newlines as "\n". */
static int process_status_number(const char *text, const char *label, uint64_t max,
				 uint64_t *ret_number)
{
	const char *cursor = strstr(text, label);
	uint64_t number;

	if (cursor == NULL)
		return -EINVAL;
	cursor += strlen(label);
	if (parse_next_u64(&cursor, &number) < 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int process_status_parse(const char *text, struct process_status *ret_status)
{
	uint64_t process, user;

	/* The real user comes first (proc_pid_status(5)). (uid_t)-1 is nobody's. */
	if (process_status_number(text, "\nTgid:", INT32_MAX, &process) < 0 || process == 0 ||
	    process_status_number(text, "\nUid:", UINT32_MAX - 1, &user) < 0)
		return -EINVAL;
	*ret_status = (struct process_status){.process = (int32_t)process, .user = (uid_t)user};
	return 0;
}

static bool process_ends_in(const char *name, size_t length, const char *end)
{
	size_t end_length = strlen(end);

	return length > end_length && memcmp(name + length - end_length, end, end_length) == 0;
}

bool process_machine_parse(const char *text, char ret_machine[static PROCESS_MACHINE_SIZE])
{
	static const char prefix[] = "machine-qemu";

	/* "ID:CONTROLLERS:PATH" a line; no line's beginning can be taken for a name of the path. */
	for (const char *name = text; *name != '\0';) {
		size_t length = strcspn(name, "/\n");

		if (length < PROCESS_MACHINE_SIZE &&
		    ((strncmp(name, prefix, strlen(prefix)) == 0 &&
		      process_ends_in(name, length, ".scope")) ||
		     process_ends_in(name, length, ".libvirt-qemu"))) {
			memcpy(ret_machine, name, length);
			ret_machine[length] = '\0';
			return true;
		}
		name += length;
		name += *name != '\0';
	}
	return false;
}
