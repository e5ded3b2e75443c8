/*
 * sampler_guest.h: what every unit did, in one sample for the engine of common/.
 *
 * To the engine a unit is what a virtual machine is on a hypervisor; its time on each CPU of this
 * machine is that of a vCPU there. So packages and hyper-threads are reckoned with as on the host.
 *
 * Where a unit's time was spent is not told by control groups. Its processes say on which CPU they
 * last ran; time that they do not account for is spread as the CPUs were busy. One thread.
 */
#ifndef WATTPORT_GUEST_SAMPLER_GUEST_H
#define WATTPORT_GUEST_SAMPLER_GUEST_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/sample.h"
#include "common/sysroot.h"
#include "common/topology.h"
#include "guest/meter.h"
#include "guest/unit_roster.h"

#include <stdint.h>

struct sampler_guest;

/* 0 or -errno with what is missing. Root and clock outlive it. */
int sampler_guest_create(const struct sysroot *root, const struct clock *clock,
			 struct sampler_guest **ret_sampler, struct diag *diag);
void sampler_guest_destroy(struct sampler_guest *sampler);

/* Belongs to the sampler. */
const struct topology *sampler_guest_topology(const struct sampler_guest *sampler);

/* Reads how busy the CPUs have been up to `now`. 0 or -errno: then they rest. */
int sampler_guest_read(struct sampler_guest *sampler, struct mono_time now);

/* CPU time that the hypervisor gave to others since the first reading. */
uint64_t sampler_guest_steal_ns(const struct sampler_guest *sampler);

/*
 * The sample of the last reading: the units' times, after their steps and places are known, and
 * the zones as the meter has them: totals for counters. Adds the step to the units' times.
 * Zones[i] is the reading's zone of index zones[i]; belongs to the sampler until the next call.
 */
int sampler_guest_fill(struct sampler_guest *sampler, struct unit_roster *roster,
		       const struct meter_reading *reading, const size_t zones[], size_t zone_count,
		       const struct sample **ret_sample);

static inline void cleanup_sampler_guest_value(struct sampler_guest *const *sampler)
{
	sampler_guest_destroy(*sampler);
}
#define cleanup_sampler_guest __attribute__((cleanup(cleanup_sampler_guest_value)))

#endif
