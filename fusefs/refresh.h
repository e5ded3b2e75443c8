/*
 * refresh.h: asking wattportd for a sample of one machine, and never waiting for it too long.
 *
 * Between the files and wattportd's socket. Who wants a fresh sample either may wait, with others
 * that want the same, until refresh_process() says that the wait is over, or is told to do with
 * what the ledger holds. Nobody waits longer than METER_REFRESH_WAIT_NS. One thread; all times are
 * handed in.
 *
 * The circuit breaker: once a wait ended without an answer, nobody waits again until wattportd
 * answers anything or REFRESH_BREAK_NS have passed. While wattportd is away nobody waits, and it is
 * looked for every REFRESH_CONNECT_NS at most. A machine that wattportd does not know is not asked
 * for again for REFRESH_UNKNOWN_NS.
 */
#ifndef WATTPORT_FUSEFS_REFRESH_H
#define WATTPORT_FUSEFS_REFRESH_H

#include "common/clock.h"
#include "common/uuid.h"
#include "fusefs/tree_table.h"

#include <stdbool.h>
#include <stdint.h>

#define REFRESH_BREAK_NS    CLOCK_NS_PER_SECOND
#define REFRESH_CONNECT_NS  (100 * CLOCK_NS_PER_MS)
#define REFRESH_UNKNOWN_NS  (100 * CLOCK_NS_PER_MS)
#define REFRESH_FLIGHT_MAX  TREE_MAX /* requests without an answer, late ones included */
#define REFRESH_TAG_MAX	    (2 * TREE_MAX)
#define REFRESH_NO_DEADLINE UINT64_MAX /* nobody waits */

struct refresh;

/* How a wait ended. */
enum refresh_end {
	REFRESH_KNOWN,	 /* a sample was taken */
	REFRESH_UNKNOWN, /* nobody knows that machine */
	REFRESH_SILENT,	 /* no answer in time, or wattportd has gone */
};

/* Called once a wait is over, with what was given to refresh_ask(). */
typedef void refresh_done(void *context, uint32_t tag, enum refresh_end end);

/*
 * The descriptor of the runtime directory stays the caller's and outlives this. So does *told_away:
 * whether it was logged that wattportd is away, which a worker takes over from its predecessor.
 */
int refresh_create(int runtime_fd, refresh_done *done, void *context, bool *told_away,
		   struct refresh **ret_refresh);
void refresh_destroy(struct refresh *refresh);

/*
 * Asks for a sample of the machine unless that is under way for the same tag: the slot of its tree,
 * or, for who only wants to know whether there is such a machine, any number from TREE_MAX to
 * REFRESH_TAG_MAX - 1. True: wait, `done` will come for this tag. False: do with what there is.
 */
bool refresh_ask(struct refresh *refresh, uint32_t tag, const struct uuid *uuid,
		 struct mono_time now);

/* The socket to poll for input, or -1. */
int refresh_fd(const struct refresh *refresh);

/* When refresh_process() has to be called at the latest (struct mono_time), or no deadline. */
uint64_t refresh_deadline_ns(const struct refresh *refresh);

/* Takes what answers there are and ends the waits that are over. */
void refresh_process(struct refresh *refresh, struct mono_time now);

static inline void cleanup_refresh_value(struct refresh *const *refresh)
{
	refresh_destroy(*refresh);
}
#define cleanup_refresh __attribute__((cleanup(cleanup_refresh_value)))

#endif
