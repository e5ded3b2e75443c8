#include "guest/user_names.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

void user_name(const char *passwd_path, uint32_t uid, char *ret_name, size_t size)
{
	cleanup_file FILE *file = fopen(passwd_path, "re");
	struct passwd entry, *found;
	char buffer[4096];

	(void)snprintf(ret_name, size, "%" PRIu32, uid);
	if (file == NULL)
		return;
	while (fgetpwent_r(file, &entry, buffer, sizeof(buffer), &found) == 0) {
		if (found->pw_uid != uid)
			continue;
		if (found->pw_name[0] != '\0')
			utf8_copy(ret_name, size, found->pw_name);
		return;
	}
}
