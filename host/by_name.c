#include "host/by_name.h"
#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define TARGET_SIZE  (sizeof("../vm/") + UUID_TEXT_SIZE)
#define TAIL_SIZE    9 /* '~' and eight digits */
#define BY_NAME_MODE 0700

static bool by_name_is_plain(const char *name, size_t i)
{
	unsigned char c = (unsigned char)name[i];

	return c >= 0x20 && c != 0x7f && c != '/' && c != '%' && !(i == 0 && c == '.');
}

/* The bytes of the UTF-8 character that starts here, so that none is cut in two. */
static size_t by_name_width(const char *name)
{
	size_t width = 1;

	if (((unsigned char)name[0] & 0xc0) != 0xc0)
		return 1;
	while (((unsigned char)name[width] & 0xc0) == 0x80)
		width++;
	return width;
}

void by_name_encode(const char *name, const struct uuid *uuid, char ret_name[static NAME_MAX + 1])
{
	char text[UUID_TEXT_SIZE];
	size_t used = 0, cut = 0;

	uuid_format(uuid, text);
	for (size_t i = 0; name[i] != '\0';) {
		size_t width = by_name_is_plain(name, i) ? by_name_width(&name[i]) : 1;
		size_t needed = by_name_is_plain(name, i) ? width : 3;

		/* Where the tail would go if a later character did not fit. */
		if (used + TAIL_SIZE <= NAME_MAX)
			cut = used;
		if (used + needed > NAME_MAX) {
			(void)snprintf(ret_name + cut, TAIL_SIZE + 1, "~%.8s", text);
			return;
		}
		if (needed == width)
			memcpy(ret_name + used, &name[i], width);
		else
			(void)snprintf(ret_name + used, 4, "%%%02X", (unsigned char)name[i]);
		used += needed;
		i += width;
	}
	ret_name[used] = '\0';
	if (used == 0)
		(void)snprintf(ret_name, NAME_MAX + 1, "%s", text);
}

static void by_name_target(const struct uuid *uuid, char ret_target[static TARGET_SIZE])
{
	char text[UUID_TEXT_SIZE];

	uuid_format(uuid, text);
	(void)snprintf(ret_target, TARGET_SIZE, "../vm/%s", text);
}

/* Whether the link belongs to a machine that is still there, under its present name. */
static bool by_name_is_current(const struct ledger *ledger, const char *link, const char *target)
{
	char name[NAME_MAX + 1];
	struct uuid uuid;
	int slot;
	const struct ledger_vm *vm;

	if (strncmp(target, "../vm/", 6) != 0 || uuid_parse(target + 6, &uuid) < 0)
		return false;
	slot = ledger_find(ledger, &uuid);
	vm = slot < 0 ? NULL : ledger_vm_const(ledger, (size_t)slot);
	if (vm == NULL || vm->state == LEDGER_VM_GONE)
		return false;
	by_name_encode(vm->name, &vm->uuid, name);
	return strcmp(name, link) == 0;
}

static int by_name_sweep(int directory_fd, const struct ledger *ledger)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int result = 0;

	if (directory == NULL) {
		result = -errno;
		if (fd >= 0)
			(void)close(fd);
		return result;
	}
	/* Only links are ours: "." and ".." are none. */
	while ((entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		char target[TARGET_SIZE + 1];
		ssize_t length = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		if (!by_name_is_current(ledger, entry->d_name, target) &&
		    unlinkat(fd, entry->d_name, 0) < 0)
			result = -errno;
	}
	(void)closedir(directory);
	return result;
}

int by_name_update(int runtime_fd, const struct ledger *ledger)
{
	cleanup_fd int fd = -1;
	int result;

	if (mkdirat(runtime_fd, BY_NAME_DIRECTORY, BY_NAME_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(runtime_fd, BY_NAME_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	/* Also where somebody has opened it to all, or an older version has. */
	if (fchmod(fd, BY_NAME_MODE) < 0)
		return -errno;
	result = by_name_sweep(fd, ledger);
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);
		char name[NAME_MAX + 1], target[TARGET_SIZE];
		int status;

		if (vm == NULL || vm->state == LEDGER_VM_GONE)
			continue;
		by_name_encode(vm->name, &vm->uuid, name);
		by_name_target(&vm->uuid, target);
		/* What the sweep left is right: this machine's own, or another's of the same name.
		 */
		status = symlinkat(target, fd, name) < 0 ? -errno : 0;
		if (status < 0 && status != -EEXIST && result == 0)
			result = status;
	}
	return result;
}
