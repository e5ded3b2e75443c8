#include "common/ledger_store.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/ledger_layout.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#define STORE_MAGIC	UINT64_C(0x45524f5453505757) /* "WWPSTORE" */
#define STORE_OLD_NAME	LEDGER_STORE_NAME ".old"
#define STORE_LINK_NAME "." LEDGER_STORE_NAME ".old.new"

/* Twice what this version can write: another one may have more to say. */
#define STORE_SIZE_MAX                                                                             \
	(2 * (sizeof(struct store_head) + sizeof(struct ledger_host) +                             \
	      LEDGER_VM_MAX * sizeof(struct ledger_vm)))
#define STORE_BAD_MAX 100
#define STORE_MODE    0600

/*
 * Little-endian and laid out as this machine has it: the file never leaves the host. Behind it the
 * host and the accounts, each of these cut behind the last socket that any of them has something
 * in.
 */
struct store_head {
	uint64_t magic;
	uint32_t version;
	uint32_t crc; /* CRC-32 (ISO 3309, as zlib) of the version and all that is behind the crc */
	uint64_t vm_count;
	struct ledger_layout layout;
};

/* The same in version 5, whose layout is known; the crc is of what is behind this head. */
struct store_head_five {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;
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

/* How many sockets of the account have something to keep: those behind them are all zero. */
static size_t store_sockets(const struct ledger_vm *vm)
{
	static const struct ledger_guest_socket nothing = {.zone_uj = {0}};
	size_t count = LEDGER_SOCKET_MAX;

	while (count > 1 && memcmp(&vm->guest[count - 1], &nothing, sizeof(nothing)) == 0)
		count--;
	return count;
}

static size_t store_sockets_max(const struct ledger *ledger)
{
	size_t count = 1;

	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		if (vm != NULL && store_sockets(vm) > count)
			count = store_sockets(vm);
	}
	return count;
}

static uint32_t store_crc(const char *data, size_t size)
{
	const size_t behind = offsetof(struct store_head, crc) + sizeof(uint32_t);
	uLong crc = crc32_z(0, (const Bytef *)data + offsetof(struct store_head, version),
			    sizeof(uint32_t));

	return (uint32_t)crc32_z(crc, (const Bytef *)data + behind, size - behind);
}

static uint32_t store_crc_five(const char *data, size_t size)
{
	return (uint32_t)crc32_z(0, (const Bytef *)data + sizeof(struct store_head_five),
				 size - sizeof(struct store_head_five));
}

static int store_encode(const struct ledger *ledger, const struct ledger_floors *floors,
			char **ret_data, size_t *ret_size)
{
	struct ledger_host host = *ledger_host_const(ledger);
	struct store_head head = {
	    .magic = STORE_MAGIC,
	    .version = LEDGER_VERSION,
	    .vm_count = store_count(ledger),
	    .layout = ledger_layout_own(store_sockets_max(ledger)),
	};
	size_t vm_size = ledger_layout_vm_size(&head.layout);
	size_t size = sizeof(head) + sizeof(host) + (size_t)head.vm_count * vm_size;
	char *data = malloc(size);
	char *cursor = data;

	if (data == NULL)
		return -ENOMEM;
	host.orderly = floors == NULL ? 1 : 0;
	cursor += sizeof(head);
	memcpy(cursor, &host, sizeof(host));
	cursor += sizeof(host);
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);
		struct ledger_vm kept;

		if (vm == NULL)
			continue;
		kept = *vm;
		if (floors != NULL)
			ledger_floors_put(floors, slot, &kept);
		memcpy(cursor, &kept, vm_size);
		cursor += vm_size;
	}
	assert(cursor == data + size);
	memcpy(data, &head, sizeof(head));
	head.crc = store_crc(data, size);
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
	/* Of two names of the same file rename(2) keeps both: the last completion failed. */
	(void)unlinkat(state_fd, STORE_LINK_NAME, 0);
}

int ledger_store_save(int state_fd, const struct ledger *ledger, const struct ledger_floors *floors,
		      struct diag *diag)
{
	cleanup_free char *data = NULL;
	size_t size;
	int status = store_encode(ledger, floors, &data, &size);

	if (status < 0)
		return diag_error(diag, status, "out of memory");
	/* Not before the new one is on disk: until then the former one stays the second. */
	status = file_prepare_at(state_fd, LEDGER_STORE_NAME, data, size, STORE_MODE);
	if (status == 0) {
		store_keep_old(state_fd);
		status = file_complete_at(state_fd, LEDGER_STORE_NAME);
	}
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
	if (host->orderly > 1 || host->zone_count > ZONE_MAX ||
	    memchr(host->source, '\0', sizeof(host->source)) == NULL)
		return false;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct zone *zone = &host->zones[i].zone;

		if (memchr(zone->id, '\0', sizeof(zone->id)) == NULL || zone->kind > ZONE_PSYS)
			return false;
	}
	return true;
}

/* The head of a file of version 5, as one of ours. */
static bool store_head_from_five(const void *data, size_t size, struct store_head *head)
{
	struct store_head_five five;
	size_t least = ledger_layout_five(0).socket_size;
	struct ledger_layout none = ledger_layout_five(0);

	if (size < sizeof(five))
		return false;
	memcpy(&five, data, sizeof(five));
	if (five.vm_size <= ledger_layout_vm_size(&none))
		return false;
	head->vm_count = five.vm_count;
	head->layout =
	    ledger_layout_five((size_t)((five.vm_size - ledger_layout_vm_size(&none)) / least));
	return five.host_size == ledger_layout_host_size(&head->layout) &&
	       five.vm_size == ledger_layout_vm_size(&head->layout);
}

/* The head, and how long it is in the file; 0: it is none, or promises what the file has not. */
static size_t store_take_head(const void *data, size_t size, struct store_head *ret_head)
{
	size_t head_size = sizeof(*ret_head), expected;

	*ret_head = (struct store_head){.magic = 0};
	memcpy(ret_head, data, size < sizeof(*ret_head) ? size : sizeof(*ret_head));
	if (size < sizeof(struct store_head_five) || ret_head->magic != STORE_MAGIC)
		return 0;
	if (ret_head->version < LEDGER_LAYOUT_VERSION_MIN) {
		if (ret_head->version != LEDGER_LAYOUT_VERSION_MIN - 1 ||
		    !store_head_from_five(data, size, ret_head))
			return 0;
		head_size = sizeof(struct store_head_five);
	}
	if (size < head_size || !ledger_layout_is_sane(&ret_head->layout) ||
	    ret_head->vm_count > LEDGER_VM_MAX)
		return 0;
	expected = head_size + ledger_layout_host_size(&ret_head->layout) +
		   (size_t)ret_head->vm_count * ledger_layout_vm_size(&ret_head->layout);
	return expected == size ? head_size : 0;
}

int ledger_store_decode(const void *data, size_t size, struct ledger *ledger)
{
	const char *cursor = data;
	struct store_head head;
	size_t head_size = store_take_head(data, size, &head);

	if (head_size == 0 ||
	    head.crc != (head.version < LEDGER_LAYOUT_VERSION_MIN ? store_crc_five(data, size)
								  : store_crc(data, size)))
		return -EBADMSG;
	cursor += head_size;
	ledger_layout_take_host(&head.layout, cursor, ledger_host(ledger));
	cursor += ledger_layout_host_size(&head.layout);
	if (!store_host_is_sane(ledger_host(ledger)))
		return -EBADMSG;
	for (uint64_t i = 0; i < head.vm_count;
	     i++, cursor += ledger_layout_vm_size(&head.layout)) {
		struct ledger_vm vm;
		int slot;

		ledger_layout_take_vm(&head.layout, cursor, &vm);
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
