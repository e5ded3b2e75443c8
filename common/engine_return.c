/*
 * Energy that was measured while wattportd was away: read from the counters at its return, and
 * booked as one long interval from the last sample of the run before to the first of this one.
 *
 * The rule. Of each zone whose counter is the same (its id, its range, this boot of the host) what
 * it has counted meanwhile is measured, one wrap included; where it may have wrapped more often the
 * least is booked, and said. It is divided as ever:
 *     - what work cost, by the CPU time that each machine spent meanwhile: by what its process had
 *       used at the last sample and has used now; or, of a process that was started meanwhile, by
 *       all that it has used;
 *     - static energy by policy; a machine that was started meanwhile pays from then on.
 * What cannot be known is what a machine used that has ended meanwhile, or was started anew. Where
 * there is one, nobody can tell its work from that of host processes: the energy of all work that
 * no machine which is there has done goes to no account but to the zone's away_uj. So does the
 * static energy for the vCPUs that it had, and for the memory, for as long as it may have run.
 * Where every machine is still there, nothing does.
 *
 * What we do: activity.c compares samples, so it is given one of that last moment, made of what the
 * ledger knows of it. Time of a machine that is known in sum alone is spread over its vCPUs as all
 * the time that they have used since their start, and over the host's CPUs likewise.
 *
 * Counters, CPU times and idle times stand in the record in which what they led to is booked, or
 * are read with it. So a wattportd that dies at any moment, also in this interval, leaves energy
 * that is booked once, and none that is not.
 */
#include "common/engine_internal.h"

#include <string.h>

#define MEBIBYTE (UINT64_C(1) << 20)

/* The counters go on from what was booked last. */
static void engine_return_counters(struct engine *engine)
{
	for (size_t i = 0; i < engine->zone_count; i++) {
		struct engine_zone *zone = &engine->zones[i];
		const struct ledger_reading *reading =
		    &ledger_host(engine->ledger)->zones[zone->index].reading;

		if (reading->range_uj == 0 || reading->range_uj != zone->zone.range_uj)
			continue;
		zone->counter.primed = true;
		zone->counter.raw_uj = reading->raw_uj;
		zone->counter.time_ns = reading->time_ns - reading->suspended_ns;
		zone->time_ns = reading->time_ns;
		zone->suspended_ns = reading->suspended_ns;
	}
}

static bool engine_zone_has(const struct engine *engine, const struct engine_zone *zone, size_t cpu)
{
	return topology_cpu_in_zone(&engine->topology->cpus[cpu], &zone->zone);
}

/* Idle time of the zone's CPUs that are online, and how many these are. */
static uint64_t engine_rest(const struct engine *engine, const struct engine_zone *zone,
			    const struct sample *sample, uint64_t *ret_cpus)
{
	uint64_t rest_ns = 0;

	*ret_cpus = 0;
	for (size_t cpu = 0; cpu < sample->cpu_count && cpu < engine->topology->cpu_count; cpu++) {
		if (sample->cpu_rest_ns[cpu] == SAMPLE_NO_TIME ||
		    !engine_zone_has(engine, zone, cpu))
			continue;
		rest_ns = features_sum(rest_ns, sample->cpu_rest_ns[cpu]);
		(*ret_cpus)++;
	}
	return rest_ns;
}

/* Busy time of the zone's CPUs while wattportd was away; 0 where CPUs came or went meanwhile. */
static uint64_t engine_away_busy_ns(const struct engine *engine, const struct engine_zone *zone,
				    const struct sample *sample)
{
	const struct ledger_zone *row = &ledger_host(engine->ledger)->zones[zone->index];
	uint64_t asleep_ns = features_delta(row->reading.suspended_ns, sample->suspended_ns);
	uint64_t cpus;
	uint64_t rest_ns = engine_rest(engine, zone, sample, &cpus);

	if (cpus == 0 || cpus != row->rest_cpus)
		return 0;
	return features_delta(
	    features_delta(row->rest_ns, rest_ns),
	    features_scale(features_delta(asleep_ns, engine->away.elapsed_ns), cpus, 1));
}

/* What each CPU was busy for meanwhile, by the first zone that has it. */
static void engine_return_cpus(struct engine *engine, const struct sample *sample)
{
	bool known[TOPOLOGY_CPU_MAX] = {false};

	for (size_t i = 0; i < engine->zone_count; i++) {
		const struct engine_zone *zone = &engine->zones[i];
		uint64_t busy_ns, cpus;

		if (!zone->counter.primed)
			continue;
		busy_ns = engine_away_busy_ns(engine, zone, sample);
		(void)engine_rest(engine, zone, sample, &cpus);
		for (size_t cpu = 0; cpu < engine->topology->cpu_count; cpu++) {
			if (known[cpu] || cpus == 0 || !engine_zone_has(engine, zone, cpu))
				continue;
			known[cpu] = true;
			activity_add_busy(engine->activity, cpu, busy_ns / cpus);
		}
	}
}

/* What the process of a machine has used since the run before knew it last. */
struct engine_spent {
	uint64_t vcpu_ns;
	uint64_t overhead_ns;
};

/* Whether the account's machine has the process that it had at the last sample. */
static bool engine_same_process(const struct ledger_vm *account, const struct sample_vm *sampled)
{
	return sampled->running && sampled->process.run != 0 && account->pid == sampled->pid &&
	       account->process.run == sampled->process.run;
}

static struct engine_spent engine_spent(const struct engine *engine, const struct sample *sample,
					const struct sample_vm *sampled)
{
	int slot = ledger_find(engine->ledger, &sampled->uuid);
	const struct sample_process *process = &sampled->process;
	uint64_t age_ns = features_delta(process->started_ns, sample->time.ns);

	if (slot >= 0) {
		const struct ledger_vm *account = ledger_vm_const(engine->ledger, (size_t)slot);

		if (engine_same_process(account, sampled))
			return (struct engine_spent){
			    .vcpu_ns = features_delta(account->process.vcpu_ns, process->vcpu_ns),
			    .overhead_ns =
				features_delta(account->process.overhead_ns, process->overhead_ns)};
	}
	/* Older than that, and unknown then: its time in proportion. */
	if (process->started_ns > 0 && age_ns > engine->away.elapsed_ns)
		return (struct engine_spent){
		    .vcpu_ns = features_scale(process->vcpu_ns, engine->away.elapsed_ns, age_ns),
		    .overhead_ns =
			features_scale(process->overhead_ns, engine->away.elapsed_ns, age_ns)};
	return (struct engine_spent){.vcpu_ns = process->vcpu_ns,
				     .overhead_ns = process->overhead_ns};
}

/* The machine as it stood then: what it shows now without what it has spent. */
static int engine_return_vm(const struct engine *engine, const struct sample *sample,
			    const struct sample_vm *now, struct sample *then)
{
	struct engine_spent spent = engine_spent(engine, sample, now);
	uint64_t total_ns = 0;
	struct sample_vm *vm;
	int status = sample_add_vm(then, now->vcpu_count, &vm);

	if (status < 0)
		return status;
	vm->uuid = now->uuid;
	vm->pid = now->pid;
	vm->socket_count = now->socket_count;
	vm->overhead_ns = features_delta(spent.overhead_ns, now->overhead_ns);
	for (size_t i = 0; i < now->vcpu_count; i++)
		total_ns = features_sum(total_ns, now->vcpus[i].time_ns);
	for (size_t i = 0; i < now->vcpu_count; i++) {
		uint64_t time_ns = now->vcpus[i].time_ns;
		uint64_t here_ns = spent.vcpu_ns < total_ns
				       ? features_scale(time_ns, spent.vcpu_ns, total_ns)
				       : time_ns;

		vm->vcpus[i] = (struct sample_vcpu){.time_ns = time_ns - here_ns,
						    .cpu = now->vcpus[i].cpu,
						    .socket = now->vcpus[i].socket};
	}
	return 0;
}

/* How long of the interval nobody knows whether the machine's old process was there. */
static uint64_t engine_missing_there(const struct engine *engine, const struct sample *sample,
				     const struct sample_vm *now)
{
	uint64_t age_ns;

	if (now == NULL || !now->running || now->process.started_ns == 0)
		return ENGINE_THERE_ONE;
	age_ns = features_delta(now->process.started_ns, sample->time.ns);
	return age_ns < engine->away.elapsed_ns
		   ? features_scale(engine->away.elapsed_ns - age_ns, ENGINE_THERE_ONE,
				    engine->away.elapsed_ns)
		   : 0;
}

static const struct sample_vm *engine_sampled(const struct sample *sample, const struct uuid *uuid)
{
	for (size_t i = 0; i < sample->vm_count; i++)
		if (uuid_equal(&sample->vms[i].uuid, uuid))
			return &sample->vms[i];
	return NULL;
}

/* The machines that ran at the last sample, and do not run as the same process now. */
static void engine_find_missing(struct engine *engine, const struct sample *sample)
{
	struct engine_away *away = &engine->away;

	for (size_t slot = 0; slot < ledger_slot_count(engine->ledger); slot++) {
		const struct ledger_vm *account = ledger_vm_const(engine->ledger, slot);
		const struct sample_vm *now;
		uint64_t there;

		if (account == NULL || account->state != LEDGER_VM_RUNNING)
			continue;
		now = engine_sampled(sample, &account->uuid);
		/* A process that nobody can see has no times; its machine is there all the same. */
		if (now != NULL && now->running && now->pid == account->pid &&
		    now->process.run == account->process.run)
			continue;
		there = engine_missing_there(engine, sample, now);
		away->missing++;
		away->missing_vcpus = features_sum(away->missing_vcpus,
						   features_scale(account->vcpu_count, there, 1));
		away->missing_memory =
		    features_sum(away->missing_memory,
				 features_scale(account->memory_bytes / MEBIBYTE, there, 1));
	}
}

int engine_return(struct engine *engine, const struct sample *sample)
{
	struct ledger_host *host = ledger_host(engine->ledger);
	struct sample then = {.cpu_count = 0};
	int status;

	for (uint32_t i = 0; i < host->zone_count; i++) {
		host->zones[i].returned_uj = 0;
		host->zones[i].returned_unsure = 0;
	}
	if (!ledger_has_readings(engine->ledger) || host->updated_ns == 0 ||
	    host->updated_ns >= sample->time.ns)
		return 0;
	status = sample_init(&then, engine->topology->cpu_count);
	if (status < 0)
		return status;
	engine->away = (struct engine_away){.returning = true,
					    .elapsed_ns = sample->time.ns - host->updated_ns};
	then.time.ns = host->updated_ns;
	engine_return_counters(engine);
	memcpy(then.cpu_busy_ns, sample->cpu_busy_ns,
	       (sample->cpu_count < then.cpu_count ? sample->cpu_count : then.cpu_count) *
		   sizeof(then.cpu_busy_ns[0]));
	for (size_t i = 0; status == 0 && i < sample->vm_count; i++)
		if (sample->vms[i].running)
			status = engine_return_vm(engine, sample, &sample->vms[i], &then);
	engine_find_missing(engine, sample);
	if (status == 0)
		status = activity_step(engine->activity, &then);
	sample_finish(&then);
	engine_return_cpus(engine, sample);
	host->returned = (struct ledger_return){
	    .count = host->returned.count + 1,
	    .time_ns = sample->time.ns,
	    .away_ns = engine->away.elapsed_ns,
	    .missing = engine->away.missing,
	};
	return status;
}

uint64_t engine_there(const struct engine *engine, const struct sample *sample, size_t i)
{
	const struct sample_process *process =
	    &sample->vms[engine->present[i].activity->sample].process;
	uint64_t age_ns = features_delta(process->started_ns, sample->time.ns);

	if (!engine->away.returning || process->started_ns == 0 ||
	    age_ns >= engine->away.elapsed_ns)
		return ENGINE_THERE_ONE;
	return features_scale(age_ns, ENGINE_THERE_ONE, engine->away.elapsed_ns);
}

void engine_leave_word(struct engine *engine, const struct sample *sample)
{
	struct ledger_host *host = ledger_host(engine->ledger);

	engine->away.returning = false;
	for (size_t i = 0; i < engine->zone_count; i++) {
		struct ledger_zone *row = &host->zones[engine->zones[i].index];

		row->rest_ns = engine_rest(engine, &engine->zones[i], sample, &row->rest_cpus);
		if (!engine->zones[i].counter.primed)
			continue;
		row->reading = (struct ledger_reading){
		    .raw_uj = engine->zones[i].counter.raw_uj,
		    .range_uj = engine->zones[i].zone.range_uj,
		    .time_ns = engine->zones[i].time_ns,
		    .suspended_ns = engine->zones[i].suspended_ns,
		};
	}
	for (size_t i = 0; i < sample->vm_count; i++) {
		int slot = ledger_find(engine->ledger, &sample->vms[i].uuid);

		if (slot >= 0)
			ledger_vm(engine->ledger, (size_t)slot)->process =
			    (struct ledger_process_time){
				.run = sample->vms[i].process.run,
				.vcpu_ns = sample->vms[i].process.vcpu_ns,
				.overhead_ns = sample->vms[i].process.overhead_ns,
			    };
	}
}
