/*
 * meter.h: the whole flow of the hypervisor in one object: source -> sampler -> attribution ->
 * ledger.
 *
 * wattportd's core, without its loop and sockets. It takes samples when told to, at most as often
 * as their own cost allows, publishes the ledger after each, and keeps it on disk. One thread.
 */
#ifndef WATTPORT_HOST_METER_H
#define WATTPORT_HOST_METER_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/settings.h"
#include "common/sysroot.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>

/* A sample is never taken within this time of the last, nor in less than METER_DUTY times its cost.
 */
#define METER_INTERVAL_NS_MIN CLOCK_NS_PER_MS
#define METER_DUTY	      5

/* So long the first sample after a restart waits for the list of machines. */
#define METER_RETURN_WAIT_NS (10 * CLOCK_NS_PER_SECOND)

/* How often it is looked whether there is more to measure than there was at the start. */
#define METER_LOOK_NS (60 * CLOCK_NS_PER_SECOND)

/* So long the provider may look for a machine that nobody knows: half of what readers wait. */
#define METER_LOOKUP_WAIT_NS (10 * CLOCK_NS_PER_MS)

/* All of it belongs to the caller and outlives the meter. */
struct meter_context {
	const struct settings *settings;
	const struct sysroot *root;
	const struct clock *clock;
	int runtime_fd;
	int state_fd;
	size_t fd_budget; /* see vm_threads_raise_fd_limit() */
};

struct meter;

/*
 * Opens the source, the accounts (what a former run left in the map, else on disk) and the
 * provider. Logs what a person should know of it; on failure *diag says what to do.
 */
int meter_create(const struct meter_context *context, struct meter **ret_meter, struct diag *diag);

/* Saves the accounts and closes everything. */
void meter_destroy(struct meter *meter);

/*
 * Takes a sample, books and publishes it; or, after a restart, waits for the list of machines.
 * Whether there is one, meter_sample_count() tells.
 */
void meter_sample(struct meter *meter);

/*
 * For a reader that wants fresh figures of that machine: a sample, unless the last is too young.
 * Returns whether the machine is known or just starting.
 */
bool meter_refresh(struct meter *meter, const struct uuid *uuid);

/* How many samples were booked since the accounts were opened first: it tells whether one was. */
uint64_t meter_sample_count(const struct meter *meter);

/* Readable when the roster changed; then meter_sample() takes it over. */
int meter_roster_fd(const struct meter *meter);

/* Saves the accounts if that is due. */
void meter_checkpoint(struct meter *meter);

/* New settings: attribution and times at once; source and provider only at a start, which is said.
 */
int meter_configure(struct meter *meter, const struct settings *settings, struct diag *diag);

/* The status as JSON; to be freed by the caller. NULL: out of memory. */
char *meter_status(struct meter *meter);

/* The last sample as a line of a trace; NULL: out of memory. To be freed by the caller. */
char *meter_trace_line(struct meter *meter);

/* A trace's head and the last sample, from which on it is recorded: what the next is compared with.
 */
char *meter_trace_begin(struct meter *meter);

static inline void cleanup_meter_value(struct meter *const *meter)
{
	meter_destroy(*meter);
}
#define cleanup_meter __attribute__((cleanup(cleanup_meter_value)))

#endif
