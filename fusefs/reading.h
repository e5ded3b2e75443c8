/*
 * reading.h: a machine's account as its tree shows it.
 *
 * Between the ledger and the files: finds the ledger, follows it when it is replaced, and goes on
 * with what was told last while there is none, so that no reader ever gets an error. One thread.
 */
#ifndef WATTPORT_FUSEFS_READING_H
#define WATTPORT_FUSEFS_READING_H

#include "common/clock.h"
#include "common/ledger_map.h"
#include "common/vtree.h"
#include "fusefs/fs_memory.h"

#include <stdbool.h>
#include <stdint.h>

#define READING_FRESH_NS CLOCK_NS_PER_MS /* younger than this, a sample is as good as a new one */

struct reading;

/*
 * The descriptor of the runtime directory, the memory and the clock stay the caller's and outlive
 * this. `period_ns`: how often wattportd takes a sample that nobody asked for.
 */
int reading_create(int runtime_fd, struct fs_memory *memory, const struct vtree_request *zones,
		   uint64_t period_ns, const struct clock *clock, struct reading **ret_reading);
void reading_destroy(struct reading *reading);

/* Brings the tree's shape up to date and returns it; it lives as long as the slot. */
const struct vtree_shape *reading_shape(struct reading *reading, uint32_t slot,
					struct mono_time now);

/*
 * Whether asking wattportd could bring anything: its account is older than READING_FRESH_NS, or
 * not there yet. A machine that is off is as fresh as it will get.
 */
bool reading_is_stale(struct reading *reading, uint32_t slot, struct mono_time now);

/*
 * What the files say now. `counters`: they are going to be told, so they take a step if one is due.
 * Never fails: what the ledger does not hold is what was told last.
 */
void reading_values(struct reading *reading, uint32_t slot, struct mono_time now, bool counters,
		    struct vtree_values *ret_values);

/* Whether the machine has an account, be it off or gone for a while. */
bool reading_has_account(struct reading *reading, const struct uuid *uuid, struct mono_time now);

/* The running machines' processes (access_each); `context` is a struct reading. */
bool reading_next_process(void *context, struct mono_time now, size_t *cursor,
			  struct ledger_process *ret_process);

/* Gives every account of the ledger a slot and marks those that have one (tree_key.listed). */
void reading_list(struct reading *reading, struct mono_time now);

static inline void cleanup_reading_value(struct reading *const *reading)
{
	reading_destroy(*reading);
}
#define cleanup_reading __attribute__((cleanup(cleanup_reading_value)))

#endif
