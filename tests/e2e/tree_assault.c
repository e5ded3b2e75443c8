/* Tries everything that changes a file on every entry of a tree, as whoever runs it: nothing may
 * succeed, and every refusal must be an errno that says so. Linked statically, for it runs in
 * guests, too. One thread.
 *
 *     tree_assault DIRECTORY   one line at the end: "ENTRIES ATTEMPTS"; status 1 at the first that
 * succeeds, or that is refused with an error that stands for a fault of the file system */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DESCRIPTORS 16
#define NAME	    "user.assault"

static unsigned attempts;

/* What "no" may sound like. EIO, ESTALE, ENOTCONN, a hang or a lost mount are none. */
static bool is_refusal(int error)
{
	static const int refusals[] = {EACCES,	EROFS,	EPERM,	   EXDEV,      EEXIST,
				       ENOTDIR, EISDIR, EINVAL,	   EOPNOTSUPP, ENOSYS,
				       ENODEV,	EBADF,	ENOTEMPTY, EBUSY};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i] == error)
			return true;
	return false;
}

static void expect_refusal(const char *what, const char *path, int result)
{
	const int error = errno;

	attempts++;
	if (result < 0 && is_refusal(error))
		return;
	(void)fprintf(stderr, "tree_assault: %s of %s: %s\n", what, path,
		      result < 0 ? strerror(error) : "it succeeded");
	exit(1);
}

/* To open for writing may be refused at once or be as good as refused: nothing can be written then.
 */
static void assault_open(const char *path)
{
	static const struct {
		const char *name;
		int flags;
	} ways[] = {
	    {"O_WRONLY", O_WRONLY},
	    {"O_RDWR", O_RDWR},
	    {"O_RDWR|O_APPEND", O_RDWR | O_APPEND},
	    {"O_WRONLY|O_TRUNC", O_WRONLY | O_TRUNC},
	    {"O_RDONLY|O_TRUNC", O_RDONLY | O_TRUNC},
	    {"O_CREAT|O_EXCL", O_RDONLY | O_CREAT | O_EXCL},
	    {"O_WRONLY|O_DIRECT|O_SYNC", O_WRONLY | O_DIRECT | O_SYNC},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		expect_refusal(ways[i].name, path,
			       open(path, ways[i].flags | O_CLOEXEC | O_NONBLOCK, 0666));
}

/* A descriptor that was opened for reading changes nothing either. */
static void assault_descriptor(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	if (fd < 0) {
		(void)fprintf(stderr, "tree_assault: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	expect_refusal("write", path, (int)write(fd, "0\n", 2));
	expect_refusal("pwrite", path, (int)pwrite(fd, "0\n", 2, 1 << 20));
	expect_refusal("ftruncate", path, ftruncate(fd, 0));
	expect_refusal("fallocate", path, fallocate(fd, 0, 0, 4096));
	expect_refusal("fchmod", path, fchmod(fd, 0777));
	expect_refusal("futimens", path, futimens(fd, now));
	expect_refusal("fsetxattr", path, fsetxattr(fd, NAME, "1", 1, 0));
	expect_refusal(
	    "mmap for writing", path,
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	(void)close(fd);
}

/* What goes by name alone; `other` would be a new entry beside the tree's own. */
static void assault_name(const char *path, const char *other)
{
	struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	expect_refusal("unlink", path, unlink(path));
	expect_refusal("rmdir", path, rmdir(path));
	expect_refusal("rename", path, rename(path, other));
	expect_refusal("link", path, link(path, other));
	expect_refusal("symlink", other, symlink(path, other));
	expect_refusal("mkdir", other, mkdir(other, 0777));
	expect_refusal("mknod", other, mknod(other, S_IFREG | 0666, 0));
	expect_refusal("a pipe", other, mknod(other, S_IFIFO | 0666, 0));
	expect_refusal("a new file", other, open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
	expect_refusal("lchown", path, lchown(path, 1, 1));
	expect_refusal("utimensat", path, utimensat(AT_FDCWD, path, now, AT_SYMLINK_NOFOLLOW));
	expect_refusal("lsetxattr", path, lsetxattr(path, NAME, "1", 1, 0));
	expect_refusal("lremovexattr", path, lremovexattr(path, "security.assault"));
}

static int assault(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	char other[PATH_MAX + sizeof("/assault")];

	/* Beside the entry; the top's neighbours are not the tree's. */
	(void)snprintf(other, sizeof(other), "%s%cassault", path, place->level == 0 ? '/' : '-');
	if (kind != FTW_D && kind != FTW_F && kind != FTW_SL) {
		(void)fprintf(stderr, "tree_assault: %s cannot be looked at\n", path);
		exit(1);
	}
	assault_name(path, other);
	if (S_ISLNK(status->st_mode))
		return 0;
	expect_refusal("chmod", path, chmod(path, 0777));
	expect_refusal("truncate", path, truncate(path, 0));
	if (S_ISDIR(status->st_mode)) {
		expect_refusal("O_TMPFILE", path, open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
		return 0;
	}
	assault_open(path);
	assault_descriptor(path);
	return 0;
}

static unsigned entries;

static int count(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	entries++;
	return assault(path, status, kind, place);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: tree_assault DIRECTORY\n");
		return 2;
	}
	if (nftw(argv[1], count, DESCRIPTORS, FTW_PHYS) != 0) {
		(void)fprintf(stderr, "tree_assault: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	(void)printf("%u %u\n", entries, attempts);
	return 0;
}
