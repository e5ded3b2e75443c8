#include "tests/unit/ledger_foreign.h"
#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#define STRANGE	   0xee
#define STORE_HEAD 16 /* magic, version, crc */
#define SLOTS	   8

struct ledger_layout ledger_foreign_next(size_t socket_count)
{
	struct ledger_layout layout = ledger_layout_own(socket_count);

	layout.host_size += 8;
	layout.zone_size += 8;
	layout.vm_size += 8;
	layout.share_size += 8;
	layout.tail_size += 8;
	layout.socket_size += 8;
	return layout;
}

static char *put(char *to, size_t to_size, const void *from, size_t from_size)
{
	memset(to, STRANGE, to_size);
	memcpy(to, from, from_size < to_size ? from_size : to_size);
	return to + to_size;
}

void ledger_foreign_host(const struct ledger_layout *layout, const struct ledger_host *host,
			 char *ret_record)
{
	char *to = put(ret_record, layout->host_size, host, offsetof(struct ledger_host, zones));

	for (size_t i = 0; i < layout->zone_count; i++)
		to = put(to, layout->zone_size, &host->zones[i], sizeof(host->zones[i]));
}

void ledger_foreign_vm(const struct ledger_layout *layout, const struct ledger_vm *vm,
		       char *ret_record)
{
	const struct ledger_layout own = ledger_layout_own(1);
	char *to = put(ret_record, layout->vm_size, vm, own.vm_size);

	for (size_t i = 0; i < layout->zone_count; i++)
		to = put(to, layout->share_size, &vm->shares[i], sizeof(vm->shares[i]));
	to = put(to, layout->tail_size,
		 (const char *)vm + offsetof(struct ledger_vm, guest_psys_uj), own.tail_size);
	for (size_t i = 0; i < layout->socket_count; i++)
		to = put(to, layout->socket_size, &vm->guest[i], sizeof(vm->guest[i]));
}

char *ledger_foreign_store(uint32_t version, const struct ledger_layout *layout,
			   const struct ledger *ledger, size_t *ret_size)
{
	static const char magic[8] = {'W', 'W', 'P', 'S', 'T', 'O', 'R', 'E'};
	bool five = version < LEDGER_LAYOUT_VERSION_MIN;
	uint64_t vm_size = ledger_layout_vm_size(layout), count = 0;
	uint64_t host_size = ledger_layout_host_size(layout);
	size_t head_size = STORE_HEAD + (five ? 3 : 9) * sizeof(uint64_t);
	size_t capacity = head_size + host_size + ledger_slot_count(ledger) * vm_size;
	char *data = calloc(1, capacity), *cursor = data + head_size;
	uLong crc;

	CHECK_POINTER(data);
	ledger_foreign_host(layout, ledger_host_const(ledger), cursor);
	cursor += host_size;
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		if (vm == NULL)
			continue;
		ledger_foreign_vm(layout, vm, cursor);
		cursor += vm_size;
		count++;
	}
	*ret_size = (size_t)(cursor - data);
	memcpy(data, magic, sizeof(magic));
	memcpy(data + 8, &version, sizeof(version));
	if (five) {
		memcpy(data + 16, &host_size, 8);
		memcpy(data + 24, &vm_size, 8);
		memcpy(data + 32, &count, 8);
		crc = crc32_z(0, (Bytef *)data + head_size, *ret_size - head_size);
	} else {
		memcpy(data + 16, &count, 8);
		memcpy(data + 24, layout, sizeof(*layout));
		crc = crc32_z(0, (Bytef *)data + 8, 4);
		crc = crc32_z(crc, (Bytef *)data + 16, *ret_size - 16);
	}
	memcpy(data + 12, &(uint32_t){(uint32_t)crc}, 4);
	return data;
}

/* Sequence 0 and its copy, then the other copy, which nobody reads. */
static void put_record(int fd, off_t *at, const char *record, size_t size)
{
	*at += (off_t)sizeof(uint64_t);
	assert_int_equal(pwrite(fd, record, size, *at), size);
	*at += 2 * (off_t)size;
}

void ledger_foreign_map(int runtime_fd, uint64_t version, const struct ledger_layout *layout,
			const struct ledger *ledger)
{
	size_t host_size = ledger_layout_host_size(layout), vm_size = ledger_layout_vm_size(layout);
	uint64_t head[6] = {0, version, host_size, vm_size, 0, ledger_slot_count(ledger)};
	cleanup_fd int fd =
	    openat(runtime_fd, LEDGER_MAP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	cleanup_free char *record = calloc(1, host_size > vm_size ? host_size : vm_size);
	off_t at = sizeof(head);

	CHECK_POINTER(record);
	assert_true(ledger_slot_count(ledger) <= SLOTS);
	memcpy(head, "WPLEDGER", 8);
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	if (version >= LEDGER_LAYOUT_VERSION_MIN) {
		assert_int_equal(pwrite(fd, layout, sizeof(*layout), at), sizeof(*layout));
		at += (off_t)sizeof(*layout);
	}
	ledger_foreign_host(layout, ledger_host_const(ledger), record);
	put_record(fd, &at, record, host_size);
	for (size_t slot = 0; slot < SLOTS; slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		memset(record, 0, vm_size);
		if (vm != NULL)
			ledger_foreign_vm(layout, vm, record);
		put_record(fd, &at, record, vm_size);
	}
	assert_int_equal(ftruncate(fd, at), 0);
}

void ledger_foreign_expect(const struct ledger_layout *layout, const struct ledger_vm *vm,
			   struct ledger_vm *ret_vm)
{
	*ret_vm = *vm;
	if (layout->vm_size < offsetof(struct ledger_vm, shares))
		ret_vm->process = (struct ledger_process_time){.run = 0};
	if (layout->socket_size < sizeof(struct ledger_guest_socket))
		for (size_t i = 0; i < LEDGER_SOCKET_MAX; i++)
			memset(ret_vm->guest[i].brought_uj, 0, sizeof(ret_vm->guest[i].brought_uj));
}
