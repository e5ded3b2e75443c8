#include "common/landlock.h"
#include "common/cleanup.h"

#include <errno.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANDLOCK_TRUNCATE     (1ULL << 14) /* LANDLOCK_ACCESS_FS_TRUNCATE, of Linux 6.2 */
#define LANDLOCK_TRUNCATE_ABI 3		   /* since which it is known */

/* What may be done below the directories; running a program may not be done anywhere. */
#define LANDLOCK_CHANGE                                                                            \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                           \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                               \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                             \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* The C library of Debian 12 has no functions for these. */
static int landlock_restrict(int ruleset_fd, const int directory_fds[], size_t count, __u64 allowed)
{
	for (size_t i = 0; i < count; i++) {
		struct landlock_path_beneath_attr below = {.allowed_access = allowed,
							   .parent_fd = directory_fds[i]};

		if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &below,
			    0) < 0)
			return -errno;
	}
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? -errno : 0;
}

int landlock_confine(const int directory_fds[], size_t count, struct diag *diag)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	__u64 allowed = LANDLOCK_CHANGE | (abi >= LANDLOCK_TRUNCATE_ABI ? LANDLOCK_TRUNCATE : 0);
	struct landlock_ruleset_attr attribute = {.handled_access_fs =
						      allowed | LANDLOCK_ACCESS_FS_EXECUTE};
	cleanup_fd int ruleset_fd = -1;
	int status;

	/* ENOSYS, EOPNOTSUPP where it is not among the active modules, EPERM in some containers. */
	if (abi <= 0)
		return 0;
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &attribute, sizeof(attribute), 0);
	status =
	    ruleset_fd < 0 ? -errno : landlock_restrict(ruleset_fd, directory_fds, count, allowed);
	if (status < 0)
		return diag_error(diag, status, "cannot confine writing to own directories: %s",
				  strerror(-status));
	return 1;
}
