#include "tests/soak/year_readers.h"
#include "tests/soak/year.h"
#include "tests/soak/year_host.h"

#include "common/cleanup.h"
#include "fusefs/reading.h"

#include <inttypes.h>
#include <string.h>

#define SOCKET_MAX    2
#define COUNTER_COUNT (1 + 2 * SOCKET_MAX)

struct server {
	struct fs_memory *memory;
	struct reading *reading;
};

/* The last two times that a counter was read. */
struct memory {
	uint64_t told_uj, told_ns;
	uint64_t before_uj, before_ns;
};

static struct {
	int runtime_fd;
	struct server servers[YEAR_SERVER_COUNT];
	struct memory memories[YEAR_VM_MAX][COUNTER_COUNT];
} readers;

static void end(struct server *server, bool with_memory)
{
	reading_destroy(server->reading);
	server->reading = NULL;
	if (with_memory)
		return;
	fs_memory_destroy(server->memory);
	server->memory = NULL;
}

void year_readers_restart(size_t index, bool with_memory)
{
	static const struct vtree_request zones = {.psys = true};
	struct server *server = &readers.servers[index];
	struct diag diag = DIAG_INIT;

	end(server, with_memory);
	if (!with_memory) {
		cleanup_fd int fd = -1;

		if (fs_memory_create(&server->memory, &fd, &diag) < 0)
			year_give_up(diag.text);
	}
	if (reading_create(readers.runtime_fd, server->memory, &zones, YEAR_SECOND,
			   &year_host.clock.clock, &server->reading) < 0)
		year_give_up("no memory for a reading");
}

void year_readers_begin(int runtime_fd)
{
	readers.runtime_fd = runtime_fd;
	year_readers_forget_all();
	for (size_t i = 0; i < YEAR_SERVER_COUNT; i++)
		year_readers_restart(i, false);
}

void year_readers_end(void)
{
	for (size_t i = 0; i < YEAR_SERVER_COUNT; i++)
		end(&readers.servers[i], false);
}

void year_readers_forget(size_t vm)
{
	memset(readers.memories[vm], 0, sizeof(readers.memories[vm]));
}

void year_readers_forget_all(void)
{
	memset(readers.memories, 0, sizeof(readers.memories));
}

/* What the ledger has of it, for who looks for the reason. */
static void tell_account(const struct year_vm *vm)
{
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	struct ledger_vm account;
	size_t slot = 0;

	if (ledger_reader_open(readers.runtime_fd, &reader, NULL) < 0 ||
	    ledger_reader_vm(reader, &vm->uuid, &slot, &account) < 0) {
		year_event("%s has no account", vm->name);
		return;
	}
	year_event("%s: account %" PRIu64 " uJ, floor %" PRIu64 " uJ at %" PRIu64
		   " ms, state %" PRIu32 ", generation %" PRIu32,
		   vm->name, account.guest_psys_uj, account.guest_psys_floor_uj, account.floor_ms,
		   account.state, account.generation);
}

static void check(struct memory *memory, const struct year_vm *vm, size_t counter, uint64_t told_uj)
{
	bool still = (memory->before_uj != 0 && told_uj <= memory->before_uj &&
		      year_host.true_ns - memory->before_ns >= YEAR_MS) ||
		     (told_uj == memory->told_uj && year_host.true_ns - memory->told_ns >= YEAR_MS);

	if (told_uj == 0)
		year_violation("readers: counter %zu of %s is 0", counter, vm->name);
	if (still || told_uj < memory->told_uj)
		tell_account(vm);
	if (told_uj < memory->told_uj)
		year_violation("monotony: counter %zu of %s went back from %" PRIu64 " to %" PRIu64,
			       counter, vm->name, memory->told_uj, told_uj);
	if (still)
		year_violation("monotony: counter %zu of %s stands at %" PRIu64, counter, vm->name,
			       told_uj);
	*memory = (struct memory){.told_uj = told_uj,
				  .told_ns = year_host.true_ns,
				  .before_uj = memory->told_uj,
				  .before_ns = memory->told_ns};
}

static void read_vm(const struct year_vm *vm, struct memory memories[static COUNTER_COUNT])
{
	struct server *server = &readers.servers[year_below(YEAR_SERVER_COUNT)];
	struct mono_time now = year_host.clock.mono;
	int slot = tree_table_admit(&server->memory->trees, &vm->uuid, now);
	struct vtree_values values;

	if (slot < 0)
		year_violation("readers: no tree for %s: error %d", vm->name, slot);
	reading_values(server->reading, (uint32_t)slot, now, true, &values);
	check(&memories[0], vm, 0, values.psys_uj);
	for (size_t i = 0; i < values.shape.socket_count && i < SOCKET_MAX; i++) {
		check(&memories[1 + 2 * i], vm, 1 + 2 * i, values.socket_uj[i][ZONE_PACKAGE]);
		check(&memories[2 + 2 * i], vm, 2 + 2 * i, values.socket_uj[i][ZONE_DRAM]);
	}
}

void year_readers_read(void)
{
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		if (year_host.vms[i].known && year_host.vms[i].seen)
			read_vm(&year_host.vms[i], readers.memories[i]);
}
