/*
 * replay.h: a recorded trace through the engine, and its accounts as JSON.
 *
 * What wattportd would have booked with these settings: the same source interface, engine and
 * ledger. A ledger of its own: the totals are those since the first sample. One thread.
 */
#ifndef WATTPORT_HOST_REPLAY_H
#define WATTPORT_HOST_REPLAY_H

#include "common/diag.h"
#include "common/engine.h"
#include "common/ledger.h"

#include <stdint.h>

struct replay;

/* Opens the trace; errors are energy_source_open()'s. */
int replay_open(const char *path, const struct engine_config *config, struct replay **ret_replay,
		struct diag *diag);
void replay_close(struct replay *replay);

/* Books the next sample. 0; -ENODATA behind the last; for a bad line its error, with *diag. */
int replay_step(struct replay *replay, struct diag *diag);

/* The accounts so far; the ledger belongs to the replay. */
const struct ledger *replay_ledger(const struct replay *replay);

/*
 * The accounts as one line of JSON with its newline (zones, vms, host_other_uj, idle_uj,
 * conservation_error_uj: the sum over zones of what does not add up, 0). The caller frees it; NULL:
 * out of memory.
 */
char *replay_json(const struct replay *replay);

static inline void cleanup_replay_value(struct replay *const *replay)
{
	replay_close(*replay);
}
#define cleanup_replay __attribute__((cleanup(cleanup_replay_value)))

#endif
