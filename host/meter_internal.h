/*
 * meter_internal.h: what meter.c (the flow itself), meter_open.c (its parts, opened and closed) and
 * meter_report.c (what is told of it) share.
 */
#ifndef WATTPORT_HOST_METER_INTERNAL_H
#define WATTPORT_HOST_METER_INTERNAL_H

#include "common/energy_source.h"
#include "common/engine.h"
#include "common/ledger_life.h"
#include "common/sample.h"
#include "common/topology.h"
#include "host/meter.h"
#include "host/moves.h"
#include "host/sampler_host.h"
#include "host/vm_provider.h"

#include <stdbool.h>
#include <stdint.h>

/* A condition is told when it begins and when it ends, not at every sample. */
struct condition {
	const char *name;
	int error;
};

struct meter {
	struct meter_context context;
	struct settings settings;
	struct topology *topology;
	struct energy_source *source;
	struct mono_time looked; /* whether there is more to measure than there was at the start */
	struct diag late;	 /* what was told of that */
	struct ledger_life *life;
	struct ledger *ledger; /* its */
	struct engine *engine;
	struct access_users users; /* whose QEMU is believed */
	struct vm_provider *provider;
	struct sampler_host *sampler;
	struct moves *moves;
	struct sample sample;
	struct mono_time opened;
	bool returning; /* what came since the run before is still to be booked */
	struct mono_time sampled;
	uint64_t duration_ns; /* of the last sample */
	struct condition sampling;
	struct condition zones;
	struct condition booking;
	struct condition shortage;
	struct condition publishing;
	struct condition naming;
	struct condition saving;
	struct condition moving;
	int uncounted; /* why vCPUs' events are not counted, as of the last sample */
	enum vm_provider_state provider_state;
};

/* Whether these settings want core and uncore to be measured, too. */
bool meter_wants_parts(const struct settings *settings);

/* Says once what has come since the start and is measured only from the next one on. */
void meter_tell_late(struct meter *meter);

/* Says what was booked for the time in which no wattportd ran. */
void meter_tell_return(const struct meter *meter);

/* The accounts are saved for the last time. */
void meter_end_accounts(struct meter *meter);

#endif
