#include "fusefs/access.h"
#include "common/file.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ACCESS_STATUS_SIZE 8192

int32_t access_parse_process(const char *status)
{
	static const char label[] = "\nTgid:";
	const char *cursor = strstr(status, label);
	uint64_t process;

	if (cursor == NULL)
		return 0;
	cursor += sizeof(label) - 1;
	if (parse_next_u64(&cursor, &process) < 0 || process > INT32_MAX)
		return 0;
	return (int32_t)process;
}

bool access_allows(int proc_fd, struct access_caller caller, int32_t owner)
{
	char path[32];
	char status[ACCESS_STATUS_SIZE];
	size_t length;

	if (caller.user == 0)
		return true;
	if (caller.thread <= 0 || owner <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "%" PRIdMAX "/status", (intmax_t)caller.thread);
	if (file_read_at(proc_fd, path, status, sizeof(status), &length) < 0)
		return false;
	return access_parse_process(status) == owner;
}
