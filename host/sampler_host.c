#include "host/sampler_host.h"
#include "common/cleanup.h"
#include "common/cpu_busy.h"
#include "common/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Shorter than a machine takes to go to sleep and wake. */
#define SUSPENSION_NS_MIN (100 * CLOCK_NS_PER_MS)

/* Who was stopped for so long between the clock and the counters says so. */
#define LATE_NS_MIN (20 * CLOCK_NS_PER_MS)

struct sampler_host {
	struct sampler_host_context context;
	struct cpu_busy *cpu_busy;
	int memory_fd;
	uint64_t suspended_ns; /* as of the last sample */
	struct vm_threads *threads;
	bool follow_wanted; /* the newest roster could not be taken over yet */
};

/* The packages of a host: CPUs of one package need not be neighbours. */
static size_t sampler_host_packages(const struct topology *topology)
{
	size_t count = 0;

	for (size_t i = 0; i < topology->cpu_count; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = topology->cpus[k].package == topology->cpus[i].package &&
			       topology->cpus[k].die == topology->cpus[i].die;
		if (!seen)
			count++;
	}
	return count;
}

int sampler_host_create(const struct sampler_host_context *context,
			struct sampler_host **ret_sampler, struct diag *diag)
{
	cleanup_sampler_host struct sampler_host *sampler = calloc(1, sizeof(*sampler));
	struct vm_threads_context threads = {
	    .root = context->root,
	    .package_count = sampler_host_packages(context->topology),
	    .fd_budget = context->fd_budget,
	    .events = context->events,
	};
	int status;

	if (sampler == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	sampler->context = *context;
	sampler->memory_fd = -1;
	status = cpu_busy_open(context->root, context->topology, &sampler->cpu_busy, diag);
	if (status < 0)
		return status;
	status = memory_open(context->root, &sampler->memory_fd, diag);
	if (status < 0)
		return status;
	status = vm_threads_create(&threads, &sampler->threads);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	*ret_sampler = TAKE_PTR(sampler);
	return 0;
}

void sampler_host_destroy(struct sampler_host *sampler)
{
	if (sampler == NULL)
		return;
	cpu_busy_close(sampler->cpu_busy);
	if (sampler->memory_fd >= 0)
		(void)close(sampler->memory_fd);
	vm_threads_destroy(sampler->threads);
	free(sampler);
}

/* Swapping a roster in costs nothing while there is none. */
static void sampler_host_follow(struct sampler_host *sampler, struct mono_time now)
{
	const struct vm_roster *roster;

	if (!sampler->follow_wanted && !vm_provider_waiting(sampler->context.provider))
		return;
	if (vm_provider_take(sampler->context.provider, &roster) == 0 && !sampler->follow_wanted)
		return;
	sampler->follow_wanted = vm_threads_follow(sampler->threads, roster, now) < 0;
}

static int sampler_host_read_energy(struct sampler_host *sampler, struct sample *sample)
{
	struct energy_source *source = sampler->context.source;
	int status = energy_source_read(source, sample);

	if (status < 0) {
		sample->zone_count = source->zone_count;
		for (size_t i = 0; i < sample->zone_count; i++)
			sample->zones[i] = (struct sample_zone){.error = status};
	}
	return status;
}

static int sampler_host_read_memory(struct sampler_host *sampler, struct sample *sample)
{
	struct memory memory;
	int status = memory_read(sampler->memory_fd, &memory);

	if (status < 0)
		return status;
	sample->memory_total_bytes = memory.total_bytes;
	sample->memory_used_bytes = memory.used_bytes;
	return 0;
}

/* Two clocks cannot be read at once: what is less than a suspension ever takes is their jitter. */
static uint64_t sampler_host_suspended(struct sampler_host *sampler)
{
	uint64_t suspended_ns = clock_suspended_ns(sampler->context.clock);

	if (suspended_ns > sampler->suspended_ns + SUSPENSION_NS_MIN)
		sampler->suspended_ns = suspended_ns;
	return sampler->suspended_ns;
}

int sampler_host_take(struct sampler_host *sampler, struct sample *sample)
{
	struct mono_time now = clock_now_mono(sampler->context.clock);
	uint64_t late_ns;
	int result, status;

	assert(sample->cpu_count == sampler->context.topology->cpu_count);
	sample_clear(sample);
	/* Before the clock is read for good: opening a new machine's files takes its time. */
	sampler_host_follow(sampler, now);
	sample->time = clock_now_mono(sampler->context.clock);
	sample->suspended_ns = sampler_host_suspended(sampler);
	result = sampler_host_read_energy(sampler, sample);
	late_ns = clock_elapsed_ns(sample->time, clock_now_mono(sampler->context.clock));
	sample->late_ns = late_ns >= LATE_NS_MIN ? late_ns : 0;
	status = cpu_busy_read(sampler->cpu_busy, sample->time, sample->cpu_busy_ns);
	cpu_busy_rest(sampler->cpu_busy, sample->cpu_rest_ns);
	if (result == 0)
		result = status;
	status = vm_threads_read(sampler->threads, sample->time, sample);
	if (result == 0)
		result = status;
	status = sampler_host_read_memory(sampler, sample);
	return result != 0 ? result : status;
}

const struct vm_threads_report *sampler_host_report(const struct sampler_host *sampler)
{
	return vm_threads_report(sampler->threads);
}
