#include "common/ledger_store.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#define STORE_MAGIC	UINT64_C(0x45524f5453505757) /* "WWPSTORE" */
#define STORE_OLD_NAME	LEDGER_STORE_NAME ".old"
#define STORE_LINK_NAME "." LEDGER_STORE_NAME ".old.new"
#define STORE_SIZE_MAX                                                                             \
	(sizeof(struct store_head) + sizeof(struct ledger_host) +                                  \
	 LEDGER_VM_MAX * sizeof(struct ledger_vm))
#define STORE_BAD_MAX 100
#define STORE_MODE    0600

/* Little-endian and laid out as this machine has it: the file never leaves the host. */
struct store_head {
	uint64_t magic;
	uint32_t version;
	uint32_t crc; /* CRC-32 (ISO 3309, as zlib) of everything behind the head */
	uint64_t host_size;
	uint64_t vm_size;
	uint64_t vm_count;
};

static size_t store_count(const struct ledger *ledger)
{
	size_t count = 0;

	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++)
		if (ledger_vm_const(ledger, slot) != NULL)
			count++;
	return count;
}

static uint32_t store_crc(const void *data, size_t size)
{
	return (uint32_t)crc32_z(crc32_z(0, Z_NULL, 0), data, size);
}

static int store_encode(const struct ledger *ledger, char **ret_data, size_t *ret_size)
{
	struct store_head head = {
	    .magic = STORE_MAGIC,
	    .version = LEDGER_VERSION,
	    .host_size = sizeof(struct ledger_host),
	    .vm_size = sizeof(struct ledger_vm),
	    .vm_count = store_count(ledger),
	};
	size_t size = sizeof(head) + sizeof(struct ledger_host) +
		      (size_t)head.vm_count * sizeof(struct ledger_vm);
	char *data = malloc(size);
	char *cursor = data;

	if (data == NULL)
		return -ENOMEM;
	cursor += sizeof(head);
	memcpy(cursor, ledger_host_const(ledger), sizeof(struct ledger_host));
	cursor += sizeof(struct ledger_host);
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		if (vm == NULL)
			continue;
		memcpy(cursor, vm, sizeof(*vm));
		cursor += sizeof(*vm);
	}
	assert(cursor == data + size);
	head.crc = store_crc(data + sizeof(head), size - sizeof(head));
	memcpy(data, &head, sizeof(head));
	*ret_data = data;
	*ret_size = size;
	return 0;
}

/*
 * The last good file stays at hand under its second name. What has that name now goes only when
 * there is another to take it: after damage it is the only one.
 */
static void store_keep_old(int state_fd)
{
	(void)unlinkat(state_fd, STORE_LINK_NAME, 0);
	if (linkat(state_fd, LEDGER_STORE_NAME, state_fd, STORE_LINK_NAME, 0) < 0)
		return;
	(void)renameat(state_fd, STORE_LINK_NAME, state_fd, STORE_OLD_NAME);
	/* Of two names of the same file rename(2) keeps both: the last saving failed. */
	(void)unlinkat(state_fd, STORE_LINK_NAME, 0);
}

int ledger_store_save(int state_fd, const struct ledger *ledger, struct diag *diag)
{
	cleanup_free char *data = NULL;
	size_t size;
	int status = store_encode(ledger, &data, &size);

	if (status < 0)
		return diag_error(diag, status, "out of memory");
	store_keep_old(state_fd);
	status = file_replace_at(state_fd, LEDGER_STORE_NAME, data, size, STORE_MODE);
	if (status < 0)
		return diag_error(
		    diag, status,
		    "cannot save the accounts in the state directory: %s; make room there "
		    "or name another with --state-dir",
		    strerror(-status));
	return 0;
}

/* What the checksum cannot promise: that the writer made sense. */
static bool store_vm_is_sane(const struct ledger_vm *vm)
{
	return vm->state >= LEDGER_VM_RUNNING && vm->state <= LEDGER_VM_GONE &&
	       vm->precision <= SAMPLE_JIFFIES && vm->socket_count >= 1 &&
	       vm->socket_count <= LEDGER_SOCKET_MAX &&
	       memchr(vm->name, '\0', sizeof(vm->name)) != NULL;
}

static bool store_host_is_sane(const struct ledger_host *host)
{
	if (host->zone_count > ZONE_MAX || memchr(host->source, '\0', sizeof(host->source)) == NULL)
		return false;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct zone *zone = &host->zones[i].zone;

		if (memchr(zone->id, '\0', sizeof(zone->id)) == NULL || zone->kind > ZONE_PSYS)
			return false;
	}
	return true;
}

static bool store_head_is_ours(const struct store_head *head, size_t size)
{
	uint64_t expected;

	return head->magic == STORE_MAGIC && head->version == LEDGER_VERSION &&
	       head->host_size == sizeof(struct ledger_host) &&
	       head->vm_size == sizeof(struct ledger_vm) && head->vm_count <= LEDGER_VM_MAX &&
	       !__builtin_mul_overflow(head->vm_count, head->vm_size, &expected) &&
	       expected + sizeof(*head) + head->host_size == size;
}

int ledger_store_decode(const void *data, size_t size, struct ledger *ledger)
{
	const char *cursor = data;
	struct store_head head;

	if (size < sizeof(head) + sizeof(struct ledger_host))
		return -EBADMSG;
	memcpy(&head, cursor, sizeof(head));
	if (!store_head_is_ours(&head, size) ||
	    head.crc != store_crc(cursor + sizeof(head), size - sizeof(head)))
		return -EBADMSG;
	cursor += sizeof(head);
	memcpy(ledger_host(ledger), cursor, sizeof(struct ledger_host));
	cursor += sizeof(struct ledger_host);
	if (!store_host_is_sane(ledger_host(ledger)))
		return -EBADMSG;
	for (uint64_t i = 0; i < head.vm_count; i++, cursor += sizeof(struct ledger_vm)) {
		struct ledger_vm vm;
		int slot;

		memcpy(&vm, cursor, sizeof(vm));
		if (!store_vm_is_sane(&vm) || ledger_find(ledger, &vm.uuid) >= 0)
			return -EBADMSG;
		slot = ledger_admit(ledger, &vm.uuid);
		/* More accounts than a ledger holds were never saved by one. */
		if (slot == -ENOSPC)
			return -EBADMSG;
		if (slot < 0)
			return slot;
		*ledger_vm(ledger, (size_t)slot) = vm;
	}
	return (int)head.vm_count;
}

/* Reads one file into an empty ledger; a ledger that was only half filled is emptied again. */
static int store_load_one(int state_fd, const char *name, struct ledger **ret_ledger)
{
	cleanup_ledger struct ledger *ledger = NULL;
	cleanup_free char *data = NULL;
	cleanup_fd int fd = openat(state_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat stat;
	size_t size;
	int status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size < 0 || (uint64_t)stat.st_size > STORE_SIZE_MAX)
		return -EBADMSG;
	/* One byte for the NUL, one so that the end is seen. */
	data = malloc((size_t)stat.st_size + 2);
	if (data == NULL)
		return -ENOMEM;
	status = file_pread_all(fd, data, (size_t)stat.st_size + 2, &size);
	if (status < 0)
		return status == -EFBIG ? -EBADMSG : status;
	status = ledger_create(&ledger);
	if (status < 0)
		return status;
	status = ledger_store_decode(data, size, ledger);
	if (status < 0)
		return status;
	*ret_ledger = TAKE_PTR(ledger);
	return status;
}

static int store_set_aside(int state_fd, const char *name, char *ret_name, size_t size)
{
	for (unsigned i = 1; i <= STORE_BAD_MAX; i++) {
		(void)snprintf(ret_name, size, LEDGER_STORE_NAME ".bad-%u", i);
		if (renameat2(state_fd, name, state_fd, ret_name, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -ENOSPC;
}

/* Moves the accounts of `from` into the caller's empty ledger. */
static int store_move(const struct ledger *from, struct ledger *to)
{
	int count = 0;

	*ledger_host(to) = *ledger_host_const(from);
	for (size_t i = 0; i < ledger_slot_count(from); i++) {
		const struct ledger_vm *vm = ledger_vm_const(from, i);
		int slot;

		if (vm == NULL)
			continue;
		slot = ledger_admit(to, &vm->uuid);
		if (slot < 0)
			return slot;
		*ledger_vm(to, (size_t)slot) = *vm;
		count++;
	}
	return count;
}

int ledger_store_load(int state_fd, struct ledger *ledger, struct diag *diag)
{
	static const char *const names[] = {LEDGER_STORE_NAME, STORE_OLD_NAME};
	char aside[sizeof(LEDGER_STORE_NAME) + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cleanup_ledger struct ledger *stored = NULL;
		int status = store_load_one(state_fd, names[i], &stored);

		if (status >= 0)
			status = store_move(stored, ledger);
		if (status >= 0)
			return status;
		if (status == -ENOENT)
			continue;
		if (status != -EBADMSG)
			return diag_error(diag, status, "cannot read the accounts in %s: %s",
					  names[i], strerror(-status));
		status = store_set_aside(state_fd, names[i], aside, sizeof(aside));
		if (status < 0)
			return diag_error(diag, status,
					  "%s is damaged and cannot be set aside: %s; move it away",
					  names[i], strerror(-status));
		(void)diag_error(diag, -EBADMSG,
				 "%s is damaged or of another version: it was set aside as %s",
				 names[i], aside);
	}
	return 0;
}
