#include "tests/unit/tree.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_create(struct tree *tree)
{
	(void)snprintf(tree->path, sizeof(tree->path), "/tmp/wattport-test-XXXXXX");
	assert_non_null(mkdtemp(tree->path));
	tree->fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree->fd >= 0);
	assert_int_equal(mkdirat(tree->fd, "sys", 0755), 0);
	assert_int_equal(mkdirat(tree->fd, "proc", 0755), 0);
}

static int tree_remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void tree_remove(struct tree *tree)
{
	(void)close(tree->fd);
	(void)nftw(tree->path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_delete(const struct tree *tree, const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s/%s", tree->path, path);
	(void)nftw(full, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_write(const struct tree *tree, const char *path, const char *format, ...)
{
	char directory[PATH_MAX];
	va_list arguments;
	int fd;

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		(void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
		if (mkdirat(tree->fd, directory, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
	fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	va_start(arguments, format);
	assert_true(vdprintf(fd, format, arguments) >= 0);
	va_end(arguments);
	assert_int_equal(close(fd), 0);
}
