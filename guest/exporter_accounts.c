/* The metrics of a view of the accounts: docs/metrics.md tells what they mean. */
#include "common/metrics.h"
#include "guest/accounts_view.h"
#include "guest/exporter.h"

#include <stdio.h>
#include <string.h>

#define EXPORTER_ACCOUNT_ENERGY(kind, text)                                                        \
	{                                                                                          \
		"wattport_" kind "_energy_joules", METRICS_COUNTER, "joules", text                 \
	}

static const struct metrics_family exporter_families[ACCOUNT_KIND_COUNT] = {
    [ACCOUNT_UNIT] = EXPORTER_ACCOUNT_ENERGY(
	"unit", "Energy of a service, scope or container; (rest) is of all others."),
    [ACCOUNT_USER] = EXPORTER_ACCOUNT_ENERGY(
	"user", "Energy of a user's processes; the same energy as the units'."),
    [ACCOUNT_PROCESS] = EXPORTER_ACCOUNT_ENERGY(
	"process", "Energy of a process; (rest) is of all others, ended ones too."),
    [ACCOUNT_SLICE] =
	EXPORTER_ACCOUNT_ENERGY("slice", "Energy of a slice: of all units that lie in it."),
    [ACCOUNT_CONTAINER] = EXPORTER_ACCOUNT_ENERGY("container", "Energy of a container."),
    [ACCOUNT_POD] = EXPORTER_ACCOUNT_ENERGY("pod", "Energy of a pod: of all its containers."),
    [ACCOUNT_JOB] = EXPORTER_ACCOUNT_ENERGY("job", "Energy of a batch job on this machine."),
};

/*
 * The labels: the account's name, and where it needs another, that. Not "job": that is Prometheus'
 * own, who would call ours exported_job.
 */
static const struct exporter_label_names {
	const char *name;
	const char *detail; /* NULL: none */
} exporter_labels[ACCOUNT_KIND_COUNT] = {
    [ACCOUNT_UNIT] = {"unit", NULL},
    [ACCOUNT_USER] = {"user", NULL},
    [ACCOUNT_PROCESS] = {"comm", NULL},
    [ACCOUNT_SLICE] = {"slice", NULL},
    [ACCOUNT_CONTAINER] = {"container", "engine"},
    [ACCOUNT_POD] = {"pod", NULL},
    [ACCOUNT_JOB] = {"job_id", "scheduler"},
};

/* A member of every zone, in microjoules or microwatts. */
static const struct exporter_zone_family {
	struct metrics_family family;
	size_t member;
} exporter_zones[] = {
    {{"wattport_guest_divided_joules", METRICS_COUNTER, "joules",
      "Energy that was divided since the agent began to, by zone."},
     offsetof(struct accounts_zone, energy_uj)},
    {{"wattport_guest_idle_joules", METRICS_COUNTER, "joules",
      "Of it: what the machine draws at rest, by zone."},
     offsetof(struct accounts_zone, idle_uj)},
    {{"wattport_guest_other_joules", METRICS_COUNTER, "joules",
      "Of it: work that belongs to no unit, by zone."},
     offsetof(struct accounts_zone, other_uj)},
    {{"wattport_guest_static_power_watts", METRICS_GAUGE, "watts",
      "What the machine is taken to draw at rest, by zone."},
     offsetof(struct accounts_zone, idle_power_uw)},
};

static const struct metrics_family exporter_pending = {
    "wattport_guest_pending_joules", METRICS_GAUGE, "joules",
    "The units' energy that waits to be divided among processes and users."};
static const struct metrics_family exporter_unseen = {
    "wattport_guest_unseen_joules", METRICS_COUNTER, "joules",
    "Of the processes' rest: work of processes that nobody saw."};
static const struct metrics_family exporter_unit_cpu = {
    "wattport_unit_cpu_seconds", METRICS_COUNTER, "seconds",
    "CPU time of a unit since the agent began to divide."};
static const struct metrics_family exporter_calibration = {
    "wattport_guest_calibration_error_ratio", METRICS_GAUGE, NULL,
    "How far off the found static power and costs are, of the power; absent while learning."};
static const struct metrics_family exporter_steal = {
    "wattport_guest_steal_seconds", METRICS_COUNTER, "seconds",
    "CPU time that the hypervisor gave to others while this machine wanted it."};
static const struct metrics_family exporter_exits = {
    "wattport_guest_exits", METRICS_COUNTER, NULL,
    "Processes and threads of whose end the kernel told."};
static const struct metrics_family exporter_exits_lost = {
    "wattport_guest_exits_lost", METRICS_COUNTER, NULL,
    "Times that the kernel had more to tell of them than there was room for."};

static void exporter_add_account(struct metrics *metrics, enum account_kind kind,
				 const struct account *account, struct metrics_value value)
{
	struct metrics_label labels[3];
	char pid[16];
	size_t count = 0;

	if (kind == ACCOUNT_PROCESS) {
		(void)snprintf(pid, sizeof(pid), "%d", account->pid);
		labels[count++] = (struct metrics_label){"pid", pid};
	}
	labels[count++] = (struct metrics_label){exporter_labels[kind].name, account->name};
	if (exporter_labels[kind].detail != NULL)
		labels[count++] =
		    (struct metrics_label){exporter_labels[kind].detail, account->detail};
	metrics_add(metrics, labels, count, value);
}

static void exporter_add_kind(struct metrics *metrics, enum account_kind kind,
			      const struct accounts_group *group)
{
	metrics_begin_family(metrics, &exporter_families[kind]);
	for (size_t i = 0; i < group->count; i++)
		exporter_add_account(metrics, kind, &group->accounts[i],
				     metrics_micro(group->accounts[i].total.energy_uj));
	exporter_add_account(metrics, kind, &group->rest,
			     metrics_micro(group->rest.total.energy_uj));
}

static void exporter_add_cpu(struct metrics *metrics, const struct accounts_group *units)
{
	metrics_begin_family(metrics, &exporter_unit_cpu);
	for (size_t i = 0; i < units->count; i++)
		exporter_add_account(metrics, ACCOUNT_UNIT, &units->accounts[i],
				     metrics_nano(units->accounts[i].cpu_ns));
	exporter_add_account(metrics, ACCOUNT_UNIT, &units->rest, metrics_nano(units->rest.cpu_ns));
}

static void exporter_add_zones(struct metrics *metrics, const struct accounts_view *view,
			       const struct exporter_zone_family *of)
{
	metrics_begin_family(metrics, &of->family);
	for (size_t i = 0; i < view->zone_count; i++) {
		const struct metrics_label label = {"zone", view->zones[i].id};
		uint64_t value;

		memcpy(&value, (const char *)&view->zones[i] + of->member, sizeof(value));
		metrics_add(metrics, &label, 1, metrics_micro(value));
	}
}

void exporter_write_accounts(struct metrics *metrics, const struct accounts_view *view)
{
	const struct accounts_group *processes = &view->groups[ACCOUNT_PROCESS];

	if (!view->reading.up)
		return;
	for (size_t i = 0; i < sizeof(exporter_zones) / sizeof(exporter_zones[0]); i++)
		exporter_add_zones(metrics, view, &exporter_zones[i]);
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		exporter_add_kind(metrics, (enum account_kind)kind, &view->groups[kind]);
	exporter_add_cpu(metrics, &view->groups[ACCOUNT_UNIT]);
	metrics_add_single(metrics, &exporter_pending, metrics_micro(processes->pending_uj));
	metrics_add_single(metrics, &exporter_unseen, metrics_micro(processes->lost_uj));
	metrics_add_single(metrics, &exporter_steal, metrics_nano(view->steal_ns));
	if (view->exits.counted) {
		metrics_add_single(metrics, &exporter_exits, metrics_integer(view->exits.ended));
		metrics_add_single(metrics, &exporter_exits_lost,
				   metrics_integer(view->exits.lost));
	}
	if (view->calibration_error_ppm > 0)
		metrics_add_single(metrics, &exporter_calibration,
				   metrics_micro(view->calibration_error_ppm));
}
