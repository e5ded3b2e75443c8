/*
 * engine.h: samples in, accounts out.
 *
 * Where the stages of the flow meet: counters are unwrapped, activity is taken from the sample,
 * each zone's energy is divided and booked. The same engine runs in wattportd (live), in `wattport
 * replay` (from a trace) and in the tests. Deterministic: the same samples give the same ledger to
 * the microjoule. No I/O, no clock; one thread.
 *
 * A zone that cannot be read, whose counter went back, or that is seen for the first time books
 * nothing, is counted in the ledger's faults, and harms no other zone.
 */
#ifndef WATTPORT_COMMON_ENGINE_H
#define WATTPORT_COMMON_ENGINE_H

#include "common/attribution.h"
#include "common/ledger.h"
#include "common/sample.h"
#include "common/topology.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `attribution.idle-power*`: found by calibration.h, or given by the operator. */
struct engine_idle_power {
	bool given;
	uint64_t power_uw; /* of each zone of the kind */
};

struct engine_config {
	enum attribution_policy idle;
	bool dram_by_work; /* also where no cache misses are counted */
	bool guest_view_exact;
	struct engine_idle_power package;
	struct engine_idle_power dram;
	struct engine_idle_power psys;
};

struct engine;

/*
 * An engine for the zones of a source, in its order, booking into `ledger`, which must outlive it,
 * as must `topology`. Makes the zones known to the ledger. -ENOSPC when the ledger has no room for
 * them.
 */
int engine_create(const struct engine_config *config, const struct topology *topology,
		  const struct zone zones[], size_t zone_count, struct ledger *ledger,
		  struct engine **ret_engine);
void engine_destroy(struct engine *engine);

/* From the next sample on. */
void engine_configure(struct engine *engine, const struct engine_config *config);

/*
 * Books one sample. 0, or -ENOMEM / -ENOSPC when some VMs could not be taken in (the ledger counts
 * them in vm_missed): the energy is divided among the others then, and conservation holds.
 */
int engine_step(struct engine *engine, const struct sample *sample);

static inline void cleanup_engine_value(struct engine *const *engine)
{
	engine_destroy(*engine);
}
#define cleanup_engine __attribute__((cleanup(cleanup_engine_value)))

#endif
