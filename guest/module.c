#include "guest/module.h"
#include "common/file.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODULE_FILESYSTEMS_SIZE_MAX 16384

bool module_lists_filesystem(const char *filesystems, const char *name)
{
	size_t length = strlen(name);

	/* Lines are "nodev\tNAME" or "\tNAME" (fs/filesystems.c). */
	for (const char *tab = strchr(filesystems, '\t'); tab != NULL; tab = strchr(tab + 1, '\t'))
		if (strncmp(tab + 1, name, length) == 0 &&
		    (tab[1 + length] == '\n' || tab[1 + length] == '\0'))
			return true;
	return false;
}

bool module_has_filesystem(const struct sysroot *root, const char *name)
{
	char text[MODULE_FILESYSTEMS_SIZE_MAX];
	size_t length;

	if (file_read_at(sysroot_proc_fd(root), "filesystems", text, sizeof(text), &length) < 0)
		return false;
	return module_lists_filesystem(text, name);
}

static int module_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOPKG;
}

int module_load(const struct sysroot *root, const char *name)
{
	/* posix_spawn() takes them without const and leaves them alone. */
	char program[PATH_MAX], quiet[] = "-q", module[NAME_MAX + 1];
	char *arguments[] = {program, quiet, module, NULL};
	pid_t pid;
	int status;

	if (strlen(name) >= sizeof(module))
		return -ENAMETOOLONG;
	memcpy(module, name, strlen(name) + 1);
	/* A kernel without modules has no such file; an empty one switches modprobe off. */
	status = file_read_line_at(sysroot_proc_fd(root), "sys/kernel/modprobe", program,
				   sizeof(program));
	if (status < 0)
		return -ENOENT;
	status = posix_spawn(&pid, program, NULL, NULL, arguments, environ);
	if (status != 0)
		return -ENOENT;
	return module_wait(pid);
}

bool module_provide(const struct sysroot *root, const char *filesystem, const char *const modules[])
{
	if (module_has_filesystem(root, filesystem))
		return true;
	/* What fails is told by what is missing in the end: without modules all may be built in. */
	for (size_t i = 0; modules[i] != NULL; i++)
		(void)module_load(root, modules[i]);
	return module_has_filesystem(root, filesystem);
}
