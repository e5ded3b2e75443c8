/*
 * ledger_life.h: one ledger over the lives of those that write it, one after the other.
 *
 * What wattportd does with a ledger between its samples: it takes over what the one before left in
 * the map in /run, or on disk where the map is gone; advances the floors, publishes and saves, in
 * the order that ledger_floors.h needs; and says its last word in order, or is killed. One thread.
 */
#ifndef WATTPORT_COMMON_LEDGER_LIFE_H
#define WATTPORT_COMMON_LEDGER_LIFE_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/ledger.h"
#include "common/ledger_floors.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stdint.h>

/* All of it belongs to the caller and outlives the ledger's life. */
struct ledger_life_context {
	const struct clock *clock;
	struct uuid boot; /* as the kernel names it; nil: it cannot be read */
	int runtime_fd;
	int state_fd;
	uint64_t checkpoint_ns; /* time between two savings */
};

enum ledger_life_origin {
	LEDGER_LIFE_NEW,
	LEDGER_LIFE_MEMORY,  /* from the map: newest */
	LEDGER_LIFE_ORDERLY, /* from disk, where the run before had ended in order */
	LEDGER_LIFE_CUT, /* from disk, where it had not: what came after its checkpoint is lost */
};

struct ledger_life_start {
	enum ledger_life_origin origin;
	int account_count;
	struct diag damage; /* what was set aside; "" */
};

struct ledger_life;

/* -EBUSY: another process writes this ledger. On failure *diag says what to do. */
int ledger_life_open(const struct ledger_life_context *context, struct ledger_life **ret_life,
		     struct diag *diag);

/* Frees it as if it were killed: what is to be saved must be by now. */
void ledger_life_close(struct ledger_life *life);

/* Both belong to it. */
struct ledger *ledger_life_ledger(struct ledger_life *life);
const struct ledger_life_start *ledger_life_start(const struct ledger_life *life);

/*
 * Shows the ledger's present state to all others, after it has followed a wall clock that was set
 * meanwhile; saves it before, where a floor would pass what
 * the last checkpoint promises. 0 or the errors of ledger_map_publish().
 */
int ledger_life_publish(struct ledger_life *life);

/* Lets an account go on from what its machine brings; shown with the next publication. */
void ledger_life_bring(struct ledger_life *life, size_t slot, const struct ledger_brought *brought);

/* Whether it is time to save: by the clock, or because a floor is near its ceiling. */
bool ledger_life_is_due(const struct ledger_life *life);

/*
 * Writes a checkpoint, also where this process may open nothing any more: it keeps descriptors for
 * that. Errors of ledger_store_save(); then it is due again after a second.
 */
int ledger_life_save(struct ledger_life *life);

/* Writes the last word of this run: nothing may be published after it. Errors as above. */
int ledger_life_end(struct ledger_life *life);

/* How the last saving went, whoever it was for: its error, and the sentence for a person. */
int ledger_life_saving(const struct ledger_life *life, const char **ret_text);

/* From the next saving on. */
void ledger_life_set_checkpoint(struct ledger_life *life, uint64_t checkpoint_ns);

static inline void cleanup_ledger_life_value(struct ledger_life *const *life)
{
	ledger_life_close(*life);
}
#define cleanup_ledger_life __attribute__((cleanup(cleanup_ledger_life_value)))

#endif
