#include "tests/soak/year_calls.h"
#include "tests/soak/year.h"
#include "tests/soak/year_host.h"

#include "common/ledger_life.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX      200
#define NAME_MAX_USED 64

struct content {
	ino_t inode;
	char *bytes;
	size_t size;
};

struct name {
	char name[NAME_MAX_USED];
	ino_t inode;
};

/* What is on the disk for good. */
static struct {
	int fd;
	struct stat directory;
	size_t content_count, name_count;
	struct content contents[FILE_MAX];
	struct name names[FILE_MAX];
	unsigned saved;
	bool failed;
	bool full;
	bool frozen;
	unsigned freeze_after; /* calls; 0: no */
	size_t frozen_count;
	struct name frozen_names[FILE_MAX];
} disk;

static bool killed;

void year_calls_set_killed(bool is_killed)
{
	killed = is_killed;
}

static struct content *content_of(ino_t inode)
{
	for (size_t i = 0; i < disk.content_count; i++)
		if (disk.contents[i].inode == inode)
			return &disk.contents[i];
	return NULL;
}

static void keep_content(int fd, const struct stat *stat)
{
	struct content *content = content_of(stat->st_ino);
	char path[64];
	int reading;

	if (content == NULL) {
		if (disk.content_count == FILE_MAX)
			year_give_up("too many files in the state directory");
		content = &disk.contents[disk.content_count++];
		*content = (struct content){.inode = stat->st_ino};
	}
	free(content->bytes);
	content->size = (size_t)stat->st_size;
	content->bytes = malloc(content->size + 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	if (content->bytes == NULL || reading < 0 ||
	    read(reading, content->bytes, content->size) != (ssize_t)content->size)
		year_give_up("a file of the state directory");
	(void)close(reading);
}

/* Forgets the contents that no name leads to any more. */
static void sweep(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < disk.content_count; i++) {
		bool named = false;

		for (size_t k = 0; k < disk.name_count; k++)
			named = named || disk.names[k].inode == disk.contents[i].inode;
		if (named)
			disk.contents[kept++] = disk.contents[i];
		else
			free(disk.contents[i].bytes);
	}
	disk.content_count = kept;
}

static size_t list_names(struct name names[FILE_MAX])
{
	int fd = openat(disk.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	size_t count = 0;

	if (directory == NULL)
		year_give_up("the state directory");
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_type != DT_REG)
			continue;
		if (count == FILE_MAX)
			year_give_up("too many files in the state directory");
		(void)snprintf(names[count].name, sizeof(names[count].name), "%.63s",
			       entry->d_name);
		names[count++].inode = entry->d_ino;
	}
	(void)closedir(directory);
	return count;
}

void year_disk_begin(int state_fd)
{
	disk.fd = state_fd;
	if (fstat(state_fd, &disk.directory) < 0)
		year_give_up("the state directory");
}

void year_disk_end(void)
{
	disk.name_count = 0;
	sweep();
}

void year_disk_set_full(bool full)
{
	disk.full = full;
}

unsigned year_disk_saved(void)
{
	return disk.saved;
}

bool year_disk_failed(void)
{
	return disk.failed;
}

size_t year_disk_bytes(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < disk.content_count; i++)
		bytes += malloc_usable_size(disk.contents[i].bytes) + sizeof(size_t);
	return bytes;
}

void year_disk_freeze(unsigned calls)
{
	disk.freeze_after = calls + 1;
}

void year_disk_cut(bool names_reached)
{
	static struct name present[FILE_MAX];
	size_t count = list_names(present);

	disk.full = false;
	for (size_t i = 0; i < count; i++)
		(void)unlinkat(disk.fd, present[i].name, 0);
	/* What was renamed after the freeze has no say. */
	if (names_reached) {
		memcpy(disk.names, disk.frozen ? disk.frozen_names : present, sizeof(present));
		disk.name_count = disk.frozen ? disk.frozen_count : count;
	}
	for (size_t i = 0; i < disk.name_count; i++) {
		const struct content *content = content_of(disk.names[i].inode);
		int fd = openat(disk.fd, disk.names[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0 || (content != NULL &&
			       write(fd, content->bytes, content->size) != (ssize_t)content->size))
			year_give_up("a file of the state directory");
		(void)close(fd);
	}
	disk.frozen = false;
	disk.freeze_after = 0;
	disk.failed = false;
	/* From here on these are the files, by other numbers. */
	count = list_names(present);
	for (size_t i = 0; i < count; i++) {
		int fd = openat(disk.fd, present[i].name, O_RDONLY | O_CLOEXEC);
		struct stat stat;

		if (fd < 0 || fstat(fd, &stat) < 0)
			year_give_up("a file of the state directory");
		keep_content(fd, &stat);
		(void)close(fd);
	}
	memcpy(disk.names, present, sizeof(present));
	disk.name_count = count;
	sweep();
}

/* --- in the place of the product's calls ------------------------------------------------------ */

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || stat.st_dev != disk.directory.st_dev)
		return 0;
	if (disk.freeze_after > 0 && --disk.freeze_after == 0) {
		disk.frozen = true;
		disk.frozen_count = list_names(disk.frozen_names);
	}
	if (disk.frozen)
		return 0;
	if (S_ISREG(stat.st_mode)) {
		keep_content(fd, &stat);
	} else if (stat.st_ino == disk.directory.st_ino) {
		disk.name_count = list_names(disk.names);
		sweep();
		disk.saved++;
		disk.failed = false;
	}
	return 0;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	struct stat stat;

	if (disk.full && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
		/* Half of it had room. */
		if (size > 1)
			(void)!__real_write(fd, data, size / 2);
		disk.failed = true;
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, size);
}

/* A file of the kernel's that has gone answers so for ever; and a zone's reading may fail. */
ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
	struct stat stat, zone;

	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
		if (stat.st_nlink == 0) {
			errno = ESRCH;
			return -1;
		}
		for (size_t i = 0; i < YEAR_ZONE_COUNT; i++)
			if (year_host.zones[i].error != 0 && year_host.zones[i].present &&
			    fstat(year_host.zones[i].fd, &zone) == 0 &&
			    zone.st_ino == stat.st_ino && zone.st_dev == stat.st_dev) {
				errno = year_host.zones[i].error;
				return -1;
			}
	}
	return __real_pread64(fd, buffer, size, offset);
}

int __real_ledger_life_end(struct ledger_life *life);
int __wrap_ledger_life_end(struct ledger_life *life);
int __wrap_ledger_life_end(struct ledger_life *life)
{
	return killed ? 0 : __real_ledger_life_end(life);
}
