/*
 * moves.h: lets the accounts of machines that move to another host go on there.
 *
 * Beside the flow in meter.c. What machines bring is taken from the roster into the ledger, before
 * the ledger is published; what they would take along is written into their domains' metadata, by
 * a thread that nobody waits for (move_writer.h). docs/moves.md tells what becomes of which move.
 *
 * A record is written for a machine
 *     - as soon as it has an account, for it may move at once;
 *     - once a period, at a time of its own within it, if it has used anything;
 *     - before, at most every MOVE_RECORD_INTERVAL_MS, when a counter outgrows its slope;
 *     - once it is off, into what libvirt keeps of it: the last word, if that moves to elsewhere.
 * One thread.
 */
#ifndef WATTPORT_HOST_MOVES_H
#define WATTPORT_HOST_MOVES_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/ledger_life.h"
#include "host/vm_roster.h"

#include <stdint.h>

/* All of it belongs to the caller and outlives the moves. */
struct moves_context {
	const struct clock *clock;
	struct ledger_life *life;
	const char *uri; /* libvirt: whom to write to; NULL: nothing is ever written */
};

struct moves;

int moves_create(const struct moves_context *context, struct moves **ret_moves);
void moves_destroy(struct moves *moves);

/* Takes what machines bring. After each sample, before it is published; the roster may be NULL. */
void moves_take(struct moves *moves, const struct vm_roster *roster);

/* Has written what is due; after each publication. `period_ns` 0: nothing is. */
void moves_write(struct moves *moves, const struct vm_roster *roster, uint64_t period_ns);

/* How the last writing went: 0, or its error with a sentence. */
int moves_writing(struct moves *moves, struct diag *diag);

static inline void cleanup_moves_value(struct moves *const *moves)
{
	moves_destroy(*moves);
}
#define cleanup_moves __attribute__((cleanup(cleanup_moves_value)))

#endif
