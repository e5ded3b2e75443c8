#include "guest/exec_share.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/ledger.h"
#include "guest/exec_times.h"
#include "guest/sampler_guest.h"
#include "guest/unit_roster.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The meter's totals never wrap. */
#define SHARE_RANGE_UJ (UINT64_MAX / 2)

/* So long the engine looks before it says what a machine draws at rest: calibration.h. */
#define SHARE_FIRST_NS UINT64_C(1000000000)

/* A reading that waits for the first division. */
struct share_kept {
	struct sample sample;
	size_t phase; /* what came up to it is this phase's */
};

struct exec_share {
	struct exec_share_options options;
	struct exec_times *times;
	struct unit_roster *roster; /* of which the command is the root unit */
	struct sampler_guest *sampler;
	struct ledger *ledger;
	struct engine *engine; /* NULL: nothing is divided yet */
	size_t zone_count;
	struct zone zones[ZONE_MAX];
	size_t indexes[ZONE_MAX]; /* where they are in the readings */
	uint64_t booked_uj[ZONE_MAX];
	uint64_t command_ns;
	struct mono_time first;
	struct mono_time last;
	size_t kept_count;
	struct share_kept kept[EXEC_SHARE_KEPT_MAX];
};

int exec_share_create(const struct exec_share_options *options, struct exec_share **ret_share,
		      struct diag *diag)
{
	struct exec_share *share = calloc(1, sizeof(*share));
	const struct topology *topology;
	int status;

	if (share == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	share->options = *options;
	status = sampler_guest_create(options->root, options->clock, &share->sampler, diag);
	if (status < 0)
		goto fail;
	topology = sampler_guest_topology(share->sampler);
	status = exec_times_create(options->root, topology, &share->times);
	if (status == -EOPNOTSUPP) {
		(void)diag_error(diag, status,
				 "this kernel does not list the children of a process "
				 "(CONFIG_PROC_CHILDREN)");
		goto fail;
	}
	if (status == 0)
		status = unit_roster_create(topology->cpu_count, &share->roster);
	if (status == 0)
		status = ledger_create(&share->ledger);
	if (status < 0) {
		(void)diag_error(diag, status, "out of memory");
		goto fail;
	}
	unit_roster_unit(share->roster, UNIT_ROOT)->born = false;
	*ret_share = share;
	return 0;
fail:
	exec_share_destroy(share);
	return status;
}

void exec_share_destroy(struct exec_share *share)
{
	if (share == NULL)
		return;
	for (size_t i = 0; i < EXEC_SHARE_KEPT_MAX; i++)
		sample_finish(&share->kept[i].sample);
	engine_destroy(share->engine);
	ledger_destroy(share->ledger);
	sampler_guest_destroy(share->sampler);
	unit_roster_destroy(share->roster);
	exec_times_destroy(share->times);
	free(share);
}

static const struct engine_idle_power *share_idle(const struct exec_share *share,
						  enum zone_kind kind)
{
	return kind == ZONE_DRAM ? &share->options.dram : &share->options.package;
}

static int share_open_engine(const struct exec_share *share, struct ledger *ledger,
			     struct engine **ret_engine)
{
	const struct engine_config config = {
	    .idle = ATTRIBUTION_IDLE_NONE,
	    .guest_view_exact = true,
	    .package = share->options.package,
	    .dram = share->options.dram,
	};

	return engine_create(&config, sampler_guest_topology(share->sampler), share->zones,
			     share->zone_count, ledger, ret_engine);
}

/* What the engine has booked to the command since it was last asked, to that phase. */
static void share_give(struct exec_share *share, size_t phase, struct phases *phases)
{
	const struct unit *command = unit_roster_unit(share->roster, UNIT_ROOT);
	int slot = ledger_find(share->ledger, &command->uuid);
	uint64_t zones_uj[ZONE_MAX] = {0};

	for (size_t i = 0; slot >= 0 && i < share->zone_count; i++) {
		const struct ledger_vm *account = ledger_vm_const(share->ledger, (size_t)slot);
		uint64_t total_uj = ledger_share_total_uj(&account->shares[i]);

		zones_uj[share->indexes[i]] = total_uj - share->booked_uj[i];
		share->booked_uj[i] = total_uj;
	}
	phases_give(phases, phase, zones_uj);
}

static void share_stretch_one(uint64_t *value, uint64_t first, uint64_t times)
{
	*value = first + features_delta(first, *value) * times;
}

/* All counters of `sample` as if they had gone on from `first` for that many times as long. */
static void share_stretch(struct sample *sample, const struct sample *first, uint64_t times)
{
	share_stretch_one(&sample->time.ns, first->time.ns, times);
	for (size_t i = 0; i < sample->zone_count; i++)
		share_stretch_one(&sample->zones[i].raw_uj, first->zones[i].raw_uj, times);
	for (size_t i = 0; i < sample->cpu_count; i++)
		share_stretch_one(&sample->cpu_busy_ns[i], first->cpu_busy_ns[i], times);
	for (size_t i = 0; i < sample->vm_count; i++)
		for (size_t k = 0; k < sample->vms[i].vcpu_count; k++)
			share_stretch_one(&sample->vms[i].vcpus[k].time_ns,
					  first->vms[i].vcpus[k].time_ns, times);
}

/* What an engine makes of all that was kept, in one interval, is what the dividing one begins with.
 */
static int share_look_ahead(struct exec_share *share, struct ledger *ledger)
{
	const struct sample *first = &share->kept[0].sample;
	const struct sample *last = &share->kept[share->kept_count - 1].sample;
	uint64_t elapsed_ns = clock_elapsed_ns(first->time, last->time);
	cleanup_engine struct engine *engine = NULL;
	struct sample stretched;
	int status;

	if (elapsed_ns == 0)
		return 0;
	status = share_open_engine(share, ledger, &engine);
	if (status < 0)
		return status;
	status = sample_init(&stretched, first->cpu_count);
	if (status == 0)
		status = sample_copy(&stretched, last);
	if (status == 0) {
		share_stretch(&stretched, first, (SHARE_FIRST_NS + elapsed_ns - 1) / elapsed_ns);
		(void)engine_step(engine, first);
		(void)engine_step(engine, &stretched);
	}
	sample_finish(&stretched);
	return status;
}

static int share_divide_kept(struct exec_share *share, struct phases *phases)
{
	cleanup_ledger struct ledger *ahead = NULL;
	uint32_t indexes[ZONE_MAX] = {0};
	int status = ledger_create(&ahead);

	if (status == 0)
		status = share_look_ahead(share, ahead);
	if (status == 0)
		status = ledger_set_zones(share->ledger, share->zones, share->zone_count, indexes);
	if (status < 0)
		return status;
	for (size_t i = 0; i < share->zone_count; i++) {
		struct ledger_zone *zone = &ledger_host(share->ledger)->zones[indexes[i]];
		const struct ledger_zone *found = &ledger_host_const(ahead)->zones[i];

		assert(indexes[i] == i);
		zone->idle_power_uw = found->idle_power_uw;
		zone->thread_power_uw = found->thread_power_uw;
		zone->calibration_known = 1;
	}
	status = share_open_engine(share, share->ledger, &share->engine);
	for (size_t i = 0; status == 0 && i < share->kept_count; i++) {
		status = engine_step(share->engine, &share->kept[i].sample);
		share_give(share, share->kept[i].phase, phases);
	}
	share->kept_count = 0;
	return status;
}

/* A sample of now: what the tree has used up to it never goes back. */
static int share_sample(struct exec_share *share, const struct meter_reading *reading,
			uint64_t ended_ns, const struct sample **ret_sample)
{
	struct unit *command = unit_roster_unit(share->roster, UNIT_ROOT);
	struct exec_times_look look;
	uint64_t time_ns;

	exec_times_look(share->times, command->place_ns, &look);
	time_ns = features_sum(ended_ns, look.time_ns);
	command->growth_ns = features_delta(share->command_ns, time_ns);
	command->memory_bytes = look.memory_bytes;
	share->command_ns += command->growth_ns;
	(void)sampler_guest_read(share->sampler, reading->time);
	return sampler_guest_fill(share->sampler, share->roster, reading, share->indexes,
				  share->zone_count, ret_sample);
}

static int share_keep(struct exec_share *share, const struct sample *sample, size_t phase)
{
	struct share_kept *kept = &share->kept[share->kept_count];
	int status = 0;

	if (kept->sample.cpu_busy_ns == NULL)
		status = sample_init(&kept->sample, sample->cpu_count);
	if (status == 0)
		status = sample_copy(&kept->sample, sample);
	if (status < 0)
		return status;
	kept->phase = phase;
	share->kept_count++;
	return 0;
}

int exec_share_begin(struct exec_share *share, const struct meter_reading *first, struct diag *diag)
{
	const struct sample *sample;
	int status;

	for (size_t i = 0; i < first->zone_count; i++) {
		const struct meter_zone *zone = &first->zones[i];
		struct zone *added = &share->zones[share->zone_count];

		if (!zone->available || !meter_zone_adds_up(zone->id))
			continue;
		*added = (struct zone){.kind = zone->kind,
				       .package = zone->package,
				       .die = zone->die,
				       .range_uj = SHARE_RANGE_UJ};
		memcpy(added->id, zone->id, sizeof(added->id));
		share->indexes[share->zone_count++] = i;
	}
	if (share->zone_count == 0)
		return diag_error(diag, -ENODATA, "there is no zone that could be divided");
	share->first = share->last = first->time;
	status = share_sample(share, first, 0, &sample);
	if (status == 0)
		status = share_keep(share, sample, 0);
	return status < 0 ? diag_error(diag, status, "out of memory") : 0;
}

bool exec_share_is_due(const struct exec_share *share, const struct meter_reading *reading)
{
	return clock_elapsed_ns(share->last, reading->time) >= EXEC_SHARE_PERIOD_NS;
}

int exec_share_take(struct exec_share *share, const struct meter_reading *reading,
		    uint64_t ended_ns, struct phases *phases)
{
	const struct sample *sample;
	int status;

	/* Two readings of one instant have nothing between them. */
	if (clock_elapsed_ns(share->last, reading->time) == 0)
		return 0;
	status = share_sample(share, reading, ended_ns, &sample);
	if (status < 0)
		return status;
	share->last = reading->time;
	if (share->engine != NULL) {
		status = engine_step(share->engine, sample);
		share_give(share, phases_number(phases), phases);
		return status;
	}
	status = share_keep(share, sample, phases_number(phases));
	/* A phase that ends beyond the list takes nothing afterwards. */
	if (status == 0 &&
	    (share->kept_count == EXEC_SHARE_KEPT_MAX || phases_number(phases) >= PHASES_MAX ||
	     clock_elapsed_ns(share->first, reading->time) >= SHARE_FIRST_NS))
		status = share_divide_kept(share, phases);
	return status;
}

int exec_share_conclude(struct exec_share *share, struct phases *phases)
{
	return share->engine == NULL ? share_divide_kept(share, phases) : 0;
}

struct exec_share_zone exec_share_of(const struct exec_share *share, size_t index)
{
	const struct ledger_host *host = ledger_host_const(share->ledger);

	for (size_t i = 0; i < share->zone_count; i++) {
		if (share->indexes[i] != index)
			continue;
		return (struct exec_share_zone){
		    .divided = share->engine != NULL,
		    .idle_given = share_idle(share, share->zones[i].kind)->given,
		    .command_uj = share->booked_uj[i],
		    .other_uj = host->zones[i].other_uj,
		    .idle_uj = host->zones[i].idle_uj,
		};
	}
	return (struct exec_share_zone){.divided = false};
}
