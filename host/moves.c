#include "host/moves.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/move_record.h"
#include "host/move_writer.h"
#include "host/move_xml.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of one account. */
struct moves_vm {
	struct uuid uuid;
	uint64_t written_ms; /* struct ledger_instant's; with has_record */
	uint64_t due_ms;     /* likewise: the next one */
	bool has_record;
	uint32_t state;	       /* enum ledger_vm_state, when it was looked at last */
	uint32_t generation;   /* likewise: a machine that starts anew begins with an old record */
	int told_error;	       /* of a record that is not taken: told once */
	uint64_t coming_since; /* struct mono_time of the last look while it was coming, or 0 */
	struct move_record record;
};

struct moves {
	struct moves_context context;
	struct ledger *ledger;
	struct move_writer *writer; /* NULL: nothing is written */
	struct moves_vm *vms[LEDGER_VM_MAX];
};

int moves_create(const struct moves_context *context, struct moves **ret_moves)
{
	cleanup_moves struct moves *moves = calloc(1, sizeof(*moves));
	int status;

	if (moves == NULL)
		return -ENOMEM;
	moves->context = *context;
	moves->ledger = ledger_life_ledger(context->life);
	if (context->uri != NULL) {
		status = move_writer_create(context->uri, &moves->writer);
		if (status < 0)
			return status;
	}
	*ret_moves = TAKE_PTR(moves);
	return 0;
}

void moves_destroy(struct moves *moves)
{
	if (moves == NULL)
		return;
	move_writer_destroy(moves->writer);
	for (size_t slot = 0; slot < LEDGER_VM_MAX; slot++)
		free(moves->vms[slot]);
	free(moves);
}

/* What is kept of the account in that slot, which may be another one than before. NULL: no memory.
 */
static struct moves_vm *moves_vm(struct moves *moves, size_t slot, const struct uuid *uuid)
{
	struct moves_vm *vm = moves->vms[slot];

	if (vm == NULL) {
		vm = calloc(1, sizeof(*vm));
		moves->vms[slot] = vm;
	}
	if (vm != NULL && !uuid_equal(&vm->uuid, uuid))
		*vm = (struct moves_vm){.uuid = *uuid};
	return vm;
}

static void moves_refuse(struct moves_vm *vm, const struct vm_roster_vm *listed)
{
	if (listed->record_error == vm->told_error)
		return;
	vm->told_error = listed->record_error;
	if (vm->told_error == -EXDEV)
		log_info("%s is a copy of another machine: its counters begin at its own account",
			 listed->name);
	else if (vm->told_error < 0)
		log_warning("%s brings a record in its <metadata> that cannot be believed: its "
			    "counters begin at its own account",
			    listed->name);
}

static void moves_take_one(struct moves *moves, size_t slot, const struct vm_roster_vm *listed)
{
	const struct ledger_host *host = ledger_host(moves->ledger);
	const struct ledger_vm *account = ledger_vm_const(moves->ledger, slot);
	uint64_t now_ns = clock_now_mono(moves->context.clock).ns;
	struct moves_vm *vm = moves_vm(moves, slot, &listed->uuid);
	struct ledger_brought brought;

	if (vm == NULL)
		return;
	moves_refuse(vm, listed);
	if (listed->record == NULL) {
		vm->coming_since = 0;
		return;
	}
	if (move_record_is_news(listed->record, host, account)) {
		move_record_arrive(listed->record, clock_now_wall(moves->context.clock).ns,
				   &brought);
		ledger_life_bring(moves->context.life, slot, &brought);
		log_info("%s goes on from the energy that it brought", listed->name);
		vm->coming_since = now_ns;
	} else if (vm->coming_since != 0) {
		/* Once more after it has come: its guest may have read until a moment ago. */
		move_record_wait(listed->record, host, account,
				 (now_ns - vm->coming_since) / CLOCK_NS_PER_MS + 1, &brought);
		ledger_life_bring(moves->context.life, slot, &brought);
		vm->coming_since = now_ns;
	}
	if (!listed->coming)
		vm->coming_since = 0;
}

void moves_take(struct moves *moves, const struct vm_roster *roster)
{
	for (size_t i = 0; roster != NULL && i < roster->count; i++) {
		const struct vm_roster_vm *listed = roster->vms[i];
		int slot;

		if (listed->record == NULL && listed->record_error == 0)
			continue;
		slot = ledger_find(moves->ledger, &listed->uuid);
		if (slot >= 0)
			moves_take_one(moves, (size_t)slot, listed);
	}
}

/* Not all machines of a host in the same second. */
static uint64_t moves_spread_ms(const struct uuid *uuid, uint64_t period_ms)
{
	uint64_t spread = 0;

	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		spread = spread * 31 + uuid->bytes[i];
	return spread % period_ms;
}

static bool moves_is_due(const struct moves *moves, const struct moves_vm *vm,
			 const struct ledger_vm *account)
{
	const struct ledger_host *host = ledger_host(moves->ledger);
	uint64_t age_ms = host->told.time_ms - vm->written_ms;

	if (account->state != vm->state || account->generation != vm->generation)
		return true;
	if (account->state != LEDGER_VM_RUNNING)
		return false;
	if (!vm->has_record)
		return true;
	if (age_ms < MOVE_RECORD_INTERVAL_MS)
		return false;
	switch (move_record_state(&vm->record, host, account, age_ms)) {
	case MOVE_RECORD_IDLE:
		break;
	case MOVE_RECORD_HOLDS:
		return host->told.time_ms >= vm->due_ms;
	case MOVE_RECORD_OUTGROWN:
		return true;
	}
	return false;
}

static void moves_write_one(struct moves *moves, struct moves_vm *vm, struct ledger_vm *account,
			    uint64_t period_ms)
{
	const struct ledger_host *host = ledger_host(moves->ledger);
	uint64_t age_ms = host->told.time_ms - vm->written_ms;
	struct move_record record;
	char *text;

	move_record_take(host, account, vm->has_record ? &vm->record : NULL, age_ms, &record);
	if (account->state == LEDGER_VM_OFF)
		move_record_rest(&record);
	record.serial = account->move_serial + 1;
	record.written_ns = host->told.wall_ns;
	record.period_ms = period_ms;
	/* An account that another one's absurd record would outgrow stays here. */
	if (!move_record_is_sane(&record) || move_xml_format(&record, &text) < 0)
		return;
	if (move_writer_put(moves->writer, &account->uuid, account->state == LEDGER_VM_OFF, text) <
	    0)
		return;
	account->move_serial = record.serial;
	vm->written_ms = host->told.time_ms;
	vm->due_ms = vm->written_ms +
		     (vm->has_record ? period_ms : moves_spread_ms(&account->uuid, period_ms));
	vm->record = record;
	vm->has_record = true;
}

void moves_write(struct moves *moves, const struct vm_roster *roster, uint64_t period_ns)
{
	uint64_t period_ms = period_ns / CLOCK_NS_PER_MS;

	if (moves->writer == NULL || period_ms == 0 || roster == NULL)
		return;
	for (size_t slot = 0; slot < ledger_slot_count(moves->ledger); slot++) {
		struct ledger_vm *account = ledger_vm(moves->ledger, slot);
		const struct vm_roster_vm *listed;
		struct moves_vm *vm;

		if (account == NULL || uuid_is_nil(&account->uuid))
			continue;
		vm = moves_vm(moves, slot, &account->uuid);
		if (vm == NULL || !moves_is_due(moves, vm, account))
			continue;
		listed = vm_roster_find(roster, &account->uuid);
		/* One that is on its way is written by the host that it comes from. */
		if (listed != NULL && listed->coming)
			continue;
		if (account->state == LEDGER_VM_RUNNING ||
		    (vm->state == LEDGER_VM_RUNNING && listed != NULL && listed->persistent))
			moves_write_one(moves, vm, account, period_ms);
		vm->state = account->state;
		vm->generation = account->generation;
	}
}

int moves_writing(struct moves *moves, struct diag *diag)
{
	return moves->writer != NULL ? move_writer_status(moves->writer, diag) : 0;
}
