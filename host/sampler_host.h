/*
 * sampler_host.h: everything that is measured on a hypervisor, in one sample.
 *
 * Second stage of the host's flow: joins the energy source, the CPUs' busy time, the memory and the
 * CPU time of every machine of the roster. What it adds up there is engine_step()'s work. One
 * thread; a sample makes no allocation and no blocking call once the machines have been seen.
 *
 * All parts are read one after the other, always in the same order: energy first, right behind the
 * clock, then the CPUs, then the threads. So an interval's length and energy belong together to the
 * microsecond, and every other counter covers an interval of the same length that lies later by
 * what it takes to get there: 0.4 us a thread, less than 1 ms for 200 machines of 8 vCPUs, which is
 * RAPL's own update period. That shift is the same in every sample, so nothing adds up.
 */
#ifndef WATTPORT_HOST_SAMPLER_HOST_H
#define WATTPORT_HOST_SAMPLER_HOST_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/energy_source.h"
#include "common/sample.h"
#include "common/sysroot.h"
#include "common/topology.h"
#include "host/vm_provider.h"
#include "host/vm_threads.h"

/* All of it belongs to the caller and outlives the sampler. */
struct sampler_host_context {
	const struct sysroot *root;
	const struct clock *clock;
	const struct topology *topology;
	struct energy_source *source;
	struct vm_provider *provider;
	size_t fd_budget;			   /* see vm_threads_raise_fd_limit() */
	const struct thread_events_source *events; /* of vCPU threads; NULL: not counted */
};

struct sampler_host;

int sampler_host_create(const struct sampler_host_context *context,
			struct sampler_host **ret_sampler, struct diag *diag);
void sampler_host_destroy(struct sampler_host *sampler);

/*
 * Takes the newest roster over and fills the sample, which was made for the topology's CPUs. A part
 * that cannot be read stays as it was (CPUs, memory, a machine's times) or carries its error
 * (zones). Returns 0, or the first negative errno of the source, the CPUs or the memory: the sample
 * is to be used all the same.
 */
int sampler_host_take(struct sampler_host *sampler, struct sample *sample);

/* How reading the machines went in the last sample. */
const struct vm_threads_report *sampler_host_report(const struct sampler_host *sampler);

static inline void cleanup_sampler_host_value(struct sampler_host *const *sampler)
{
	sampler_host_destroy(*sampler);
}
#define cleanup_sampler_host __attribute__((cleanup(cleanup_sampler_host_value)))

#endif
