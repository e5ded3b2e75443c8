#include "tests/unit/tree.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* In memory where there is such a file system: a thousand files are made in no time there. */
void tree_create(struct tree *tree)
{
	(void)snprintf(tree->path, sizeof(tree->path), "%s/wattport-test-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
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

int tree_setup(void **state)
{
	static struct tree tree;

	tree_create(&tree);
	*state = &tree;
	return 0;
}

int tree_teardown(void **state)
{
	tree_remove(*state);
	return 0;
}

void tree_delete(const struct tree *tree, const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s/%s", tree->path, path);
	(void)nftw(full, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The directories that lead to it. */
static void tree_make_parents(const struct tree *tree, const char *path)
{
	char directory[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		(void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
		if (mkdirat(tree->fd, directory, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
}

void tree_write(const struct tree *tree, const char *path, const char *format, ...)
{
	va_list arguments;
	int fd;

	tree_make_parents(tree, path);
	fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	va_start(arguments, format);
	assert_true(vdprintf(fd, format, arguments) >= 0);
	va_end(arguments);
	assert_int_equal(close(fd), 0);
}

void tree_write_list(const struct tree *tree, const char *list)
{
	FILE *file = fopen(list, "re");
	char line[PATH_MAX];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		char path[PATH_MAX], *rest = line;
		const char *kind, *name, *value;

		line[strcspn(line, "\n")] = '\0';
		kind = strtok_r(rest, " ", &rest);
		if (kind[0] == 'f')
			(void)strtok_r(rest, " ", &rest); /* its mode: root reads all */
		name = strtok_r(rest, " ", &rest);
		value = strtok_r(rest, " ", &rest);
		(void)snprintf(path, sizeof(path), "sys/%s", name);
		if (kind[0] == 'l') {
			tree_make_parents(tree, path);
			assert_int_equal(symlinkat(value, tree->fd, path), 0);
		} else if (kind[0] == 'f' && (value == NULL || value[0] != '!')) {
			tree_write(tree, path, value != NULL ? "%s\n" : "%s",
				   value != NULL ? value : "");
		}
	}
	assert_int_equal(fclose(file), 0);
}
