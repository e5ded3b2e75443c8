#include "tests/bench/trial.h"
#include "common/cleanup.h"
#include "common/engine.h"
#include "tests/sim/observer.h"

#include <assert.h>
#include <errno.h>

#define MICRO	 1e-6
#define LIVED_S	 60.0
#define PERIOD_S 1.0
#define JITTER_S 0.002

struct ours {
	struct ledger *ledger;
	struct engine *engine;
};

struct trial {
	struct world *world;
	struct observer *observer;
	struct topology *blind;
	struct sample sample;
	struct peers *peers;
	struct ours ours[TRIAL_OURS_COUNT];
	struct dice dice;
	struct trial_vm before[WORLD_VM_MAX]; /* when judging began */
	double lived_before_s[WORLD_VM_MAX];
};

const char *trial_model_name(size_t model)
{
	static const char *const names[TRIAL_OURS_COUNT] = {
	    [TRIAL_TIME] = "ours, time",
	    [TRIAL_SIBLINGS] = "ours, time and siblings",
	    [TRIAL_IDLE_GIVEN] = "ours, siblings, idle power given",
	    [TRIAL_EVENTS] = "ours, events",
	};

	return model < TRIAL_OURS_COUNT ? names[model] : peer_names[model - TRIAL_PEERS];
}

static void trial_destroy(struct trial *trial)
{
	if (trial == NULL)
		return;
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++) {
		engine_destroy(trial->ours[i].engine);
		ledger_destroy(trial->ours[i].ledger);
	}
	peers_destroy(trial->peers);
	sample_finish(&trial->sample);
	topology_destroy(trial->blind);
	observer_destroy(trial->observer);
	world_destroy(trial->world);
	free(trial);
}

static void cleanup_trial_value(struct trial *const *trial)
{
	trial_destroy(*trial);
}
#define cleanup_trial __attribute__((cleanup(cleanup_trial_value)))

/* The same CPUs, none of which shares a core. */
static int trial_blind(struct trial *trial)
{
	const struct topology *true_one = observer_head(trial->observer)->topology;
	int status = topology_create(&trial->blind);

	for (size_t i = 0; status == 0 && i < true_one->cpu_count; i++) {
		struct topology_cpu cpu = true_one->cpus[i];

		cpu.core = cpu.cpu;
		status = topology_add(trial->blind, &cpu);
	}
	return status;
}

/* What the host draws from the wall with nothing running. */
static double trial_psys_idle_w(const struct hardware *hardware)
{
	double sockets_w = (hardware->idle_w + hardware->dram_idle_w) * (double)hardware->sockets;

	return sockets_w / hardware->supply_yield + hardware->platform_w;
}

static struct engine_config trial_config(const struct trial *trial, size_t model)
{
	const struct hardware *hardware = &trial->world->hardware;
	struct engine_config config = {.idle = ATTRIBUTION_IDLE_VCPU, .guest_view_exact = true};

	if (model != TRIAL_IDLE_GIVEN)
		return config;
	config.package = (struct engine_idle_power){
	    .given = true, .power_uw = (uint64_t)(hardware->idle_w / MICRO)};
	config.dram = (struct engine_idle_power){
	    .given = true, .power_uw = (uint64_t)(hardware->dram_idle_w / MICRO)};
	config.psys = (struct engine_idle_power){
	    .given = true, .power_uw = (uint64_t)(trial_psys_idle_w(hardware) / MICRO)};
	return config;
}

static int trial_create(const struct trial_plan *plan, struct trial **ret_trial)
{
	cleanup_trial struct trial *trial = calloc(1, sizeof(*trial));
	const struct trace_head *head;
	int status;

	if (trial == NULL)
		return -ENOMEM;
	dice_init(&trial->dice, plan->seed, 9);
	status = world_create(plan->host_class, plan->seed, &trial->world);
	if (status == 0)
		status = observer_create(trial->world, plan->seed, &trial->observer);
	if (status == 0)
		status = trial_blind(trial);
	if (status < 0)
		return status;
	head = observer_head(trial->observer);
	status = sample_init(&trial->sample, head->topology->cpu_count);
	if (status == 0)
		status = peers_create(head, &trial->peers);
	for (size_t i = 0; status == 0 && i < TRIAL_OURS_COUNT; i++) {
		struct engine_config config = trial_config(trial, i);

		status = ledger_create(&trial->ours[i].ledger);
		if (status == 0)
			status = engine_create(
			    &config, i == TRIAL_TIME ? trial->blind : head->topology, head->zones,
			    head->zone_count, trial->ours[i].ledger, &trial->ours[i].engine);
	}
	if (status < 0)
		return status;
	*ret_trial = TAKE_PTR(trial);
	return 0;
}

/* One sample, seen by everybody; events by one alone. */
static int trial_sample(struct trial *trial)
{
	int status = observer_sample(trial->observer, &trial->sample);

	if (status == 0)
		status = engine_step(trial->ours[TRIAL_EVENTS].engine, &trial->sample);
	observer_strip_events(&trial->sample);
	for (size_t i = 0; status == 0 && i < TRIAL_EVENTS; i++)
		status = engine_step(trial->ours[i].engine, &trial->sample);
	peers_step(trial->peers, &trial->sample);
	return status;
}

static int trial_watch(struct trial *trial, unsigned int seconds)
{
	int status = 0;

	for (unsigned int i = 0; status == 0 && i < seconds; i++) {
		world_advance(trial->world,
			      PERIOD_S + dice_range(&trial->dice, -JITTER_S, JITTER_S));
		status = trial_sample(trial);
	}
	return status;
}

/* Packages and DRAM together, or psys alone. */
static bool trial_counts(enum zone_kind kind, bool psys)
{
	return psys ? kind == ZONE_PSYS : kind == ZONE_PACKAGE || kind == ZONE_DRAM;
}

static struct trial_energy trial_account(const struct ledger *ledger, const struct uuid *uuid,
					 bool psys)
{
	const struct ledger_host *host = ledger_host_const(ledger);
	struct trial_energy energy = {.total_j = 0};
	int slot = ledger_find(ledger, uuid);
	const struct ledger_vm *account;

	if (slot < 0)
		return energy;
	account = ledger_vm_const(ledger, (size_t)slot);
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_share *share = &account->shares[i];

		if (!trial_counts(host->zones[i].zone.kind, psys))
			continue;
		energy.total_j += MICRO * (double)ledger_share_total_uj(share);
		energy.dynamic_j += MICRO * (double)(share->part_uj[LEDGER_ACTIVE] +
						     share->part_uj[LEDGER_OVERHEAD]);
	}
	return energy;
}

static void trial_look_psys(const struct trial *trial, const struct truth *truth,
			    const struct uuid *uuid, struct trial_vm *now)
{
	const struct hardware *hardware = &trial->world->hardware;
	/* The machine's part of all vCPUs over its time, in seconds of the whole host. */
	double rented_s = truth->package_idle_j / (hardware->idle_w * (double)hardware->sockets);

	now->has_psys = hardware->psys;
	if (!hardware->psys)
		return;
	now->psys_truth.dynamic_j = (truth->package_j + truth->dram_j) / hardware->supply_yield;
	now->psys_truth.total_j =
	    now->psys_truth.dynamic_j + rented_s * trial_psys_idle_w(hardware);
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++)
		now->psys_found[i] = trial_account(trial->ours[i].ledger, uuid, true);
}

/* What everybody says of a machine by now. */
static struct trial_vm trial_look(const struct trial *trial, size_t vm)
{
	const struct truth *truth = &trial->world->vms[vm].truth;
	struct uuid uuid = observer_uuid(&trial->world->vms[vm]);
	struct peer_share peers = peers_share(trial->peers, &uuid);
	struct trial_vm now = {.truth.dynamic_j = truth->package_j};

	now.truth.total_j = truth->package_j + truth->package_idle_j;
	if (trial->world->hardware.dram_counted) {
		now.truth.dynamic_j += truth->dram_j;
		now.truth.total_j += truth->dram_j + truth->dram_idle_j;
	}
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++)
		now.found[i] = trial_account(trial->ours[i].ledger, &uuid, false);
	for (size_t i = 0; i < PEER_COUNT; i++)
		now.found[TRIAL_PEERS + i] = (struct trial_energy){.total_j = peers.total_j[i],
								   .dynamic_j = peers.dynamic_j[i]};
	trial_look_psys(trial, truth, &uuid, &now);
	return now;
}

static struct trial_energy trial_less(struct trial_energy now, struct trial_energy before)
{
	return (struct trial_energy){.total_j = now.total_j - before.total_j,
				     .dynamic_j = now.dynamic_j - before.dynamic_j};
}

static void trial_judge_vm(const struct trial_vm *now, const struct trial_vm *before,
			   struct trial_vm *judged)
{
	judged->truth = trial_less(now->truth, before->truth);
	for (size_t i = 0; i < TRIAL_MODEL_COUNT; i++)
		judged->found[i] = trial_less(now->found[i], before->found[i]);
	judged->has_psys = now->has_psys;
	judged->psys_truth = trial_less(now->psys_truth, before->psys_truth);
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++)
		judged->psys_found[i] = trial_less(now->psys_found[i], before->psys_found[i]);
}

static void trial_judge(const struct trial *trial, struct trial_result *result)
{
	const struct hardware *hardware = &trial->world->hardware;

	result->idle_w = hardware->idle_w * (double)hardware->sockets;
	result->psys_idle_w = hardware->psys ? trial_psys_idle_w(hardware) : 0;
	result->conserved = true;
	for (size_t vm = 0; vm < trial->world->vm_count; vm++) {
		struct trial_vm now = trial_look(trial, vm);

		if (trial->world->vms[vm].lived_s - trial->lived_before_s[vm] < LIVED_S)
			continue;
		trial_judge_vm(&now, &trial->before[vm], &result->vms[result->vm_count++]);
	}
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++) {
		const struct ledger_host *host = ledger_host_const(trial->ours[i].ledger);

		for (uint32_t zone = 0; zone < host->zone_count; zone++) {
			double idle_w = MICRO * (double)host->zones[zone].idle_power_uw;

			if (host->zones[zone].zone.kind == ZONE_PACKAGE)
				result->idle_found_w[i] += idle_w;
			if (host->zones[zone].zone.kind == ZONE_PSYS)
				result->psys_idle_found_w[i] = idle_w;
			if (ledger_conservation_error_uj(trial->ours[i].ledger, zone) != 0)
				result->conserved = false;
		}
	}
}

int trial_run(const struct trial_plan *plan, struct trial_result *ret_result)
{
	cleanup_trial struct trial *trial = NULL;
	int status = trial_create(plan, &trial);

	if (status < 0)
		return status;
	status = trial_sample(trial);
	if (status == 0)
		status = trial_watch(trial, plan->learn_s);
	if (status < 0)
		return status;
	for (size_t vm = 0; vm < trial->world->vm_count; vm++) {
		trial->before[vm] = trial_look(trial, vm);
		trial->lived_before_s[vm] = trial->world->vms[vm].lived_s;
	}
	world_remix(trial->world);
	status = trial_watch(trial, plan->judge_s);
	if (status < 0)
		return status;
	memset(ret_result, 0, sizeof(*ret_result));
	trial_judge(trial, ret_result);
	return 0;
}
