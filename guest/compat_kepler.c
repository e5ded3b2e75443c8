/*
 * Kepler v0.10 (the rewrite, and later), docs/user/metrics.md and
 * internal/exporter/prometheus/collector/power_collector.go. Its zones are RAPL's kinds, of all
 * packages together in what it tells of processes, containers and pods; `path` tells a node's
 * zones apart. What it calls idle is what our division calls so.
 */
#include "guest/compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEPLER_LABELS_MAX 10

enum {
	KEPLER_NODE_ENERGY,
	KEPLER_NODE_POWER,
	KEPLER_NODE_ACTIVE,
	KEPLER_NODE_IDLE,
	KEPLER_PROCESS_ENERGY,
	KEPLER_PROCESS_POWER,
	KEPLER_PROCESS_TIME,
	KEPLER_CONTAINER_ENERGY,
	KEPLER_CONTAINER_POWER,
	KEPLER_POD_ENERGY,
	KEPLER_POD_POWER,
};

#define KEPLER_PROCESS_LABELS "pid, comm, exe, type, state, container_id, vm_id, zone, node_name"
#define KEPLER_CONTAINER_LABELS                                                                    \
	"container_id, container_name, runtime, state, zone, pod_id, node_name"
#define KEPLER_POD_LABELS "pod_id, pod_name, pod_namespace, state, zone, node_name"

static const struct compat_metric compat_kepler_list[] = {
    [KEPLER_NODE_ENERGY] = {{"kepler_node_cpu_joules", METRICS_COUNTER, "joules",
			     "Energy consumption of cpu at node level in joules"},
			    "zone, path, node_name",
			    "wattport_guest_energy_joules_total"},
    [KEPLER_NODE_POWER] = {{"kepler_node_cpu_watts", METRICS_GAUGE, "watts",
			    "Power consumption of cpu at node level in watts"},
			   "zone, path, node_name",
			   "wattport_guest_power_watts"},
    [KEPLER_NODE_ACTIVE] = {{"kepler_node_cpu_active_joules", METRICS_COUNTER, "joules",
			     "Energy consumption of cpu in active state at node level in joules"},
			    "zone, path, node_name",
			    "what is divided among accounts, and other"},
    [KEPLER_NODE_IDLE] = {{"kepler_node_cpu_idle_joules", METRICS_COUNTER, "joules",
			   "Energy consumption of cpu in idle state at node level in joules"},
			  "zone, path, node_name",
			  "idle"},
    [KEPLER_PROCESS_ENERGY] = {{"kepler_process_cpu_joules", METRICS_COUNTER, "joules",
				"Energy consumption of cpu at process level in joules"},
			       KEPLER_PROCESS_LABELS,
			       "wattport_process_energy_joules_total"},
    [KEPLER_PROCESS_POWER] = {{"kepler_process_cpu_watts", METRICS_GAUGE, "watts",
			       "Power consumption of cpu at process level in watts"},
			      KEPLER_PROCESS_LABELS,
			      "the power of the same"},
    [KEPLER_PROCESS_TIME] = {{"kepler_process_cpu_seconds", METRICS_COUNTER, "seconds",
			      "Total user and system time of cpu at process level in seconds"},
			     "pid, comm, exe, type, container_id, vm_id, node_name",
			     "the CPU time of the same, since the agent began"},
    [KEPLER_CONTAINER_ENERGY] = {{"kepler_container_cpu_joules", METRICS_COUNTER, "joules",
				  "Energy consumption of cpu at container level in joules"},
				 KEPLER_CONTAINER_LABELS,
				 "wattport_container_energy_joules_total"},
    [KEPLER_CONTAINER_POWER] = {{"kepler_container_cpu_watts", METRICS_GAUGE, "watts",
				 "Power consumption of cpu at container level in watts"},
				KEPLER_CONTAINER_LABELS,
				"the power of the same"},
    [KEPLER_POD_ENERGY] = {{"kepler_pod_cpu_joules", METRICS_COUNTER, "joules",
			    "Energy consumption of cpu at pod level in joules"},
			   KEPLER_POD_LABELS,
			   "the same of pods"},
    [KEPLER_POD_POWER] = {{"kepler_pod_cpu_watts", METRICS_GAUGE, "watts",
			   "Power consumption of cpu at pod level in watts"},
			  KEPLER_POD_LABELS,
			  "the power of the same"},
};

static void kepler_begin(struct metrics *metrics, size_t index)
{
	metrics_begin_family(metrics, &compat_kepler_list[index].family);
}

static const struct meter_zone *kepler_find(const struct accounts_view *view, const char *id)
{
	return meter_reading_find(&view->reading, id);
}

static void kepler_add_node(struct metrics *metrics, const struct compat_machine *machine,
			    const struct meter_zone *zone, struct metrics_value value)
{
	char path[COMPAT_PATH_SIZE];
	const struct metrics_label labels[] = {
	    {"node_name", machine->host},
	    {"path", path},
	    {"zone", zone_kind_name(compat_zone_kind(zone->id))},
	};

	compat_zone_path(machine, zone, path);
	metrics_add(metrics, labels, 3, value);
}

static void kepler_write_node(struct metrics *metrics, const struct compat_machine *machine)
{
	const struct accounts_view *view = machine->view;
	const struct meter_reading *reading = &view->reading;

	kepler_begin(metrics, KEPLER_NODE_ENERGY);
	for (size_t i = 0; i < reading->zone_count; i++)
		if (reading->zones[i].available)
			kepler_add_node(metrics, machine, &reading->zones[i],
					metrics_micro(reading->zones[i].energy_uj));
	kepler_begin(metrics, KEPLER_NODE_POWER);
	for (size_t i = 0; i < reading->zone_count; i++)
		if (reading->zones[i].has_power)
			kepler_add_node(metrics, machine, &reading->zones[i],
					metrics_micro(reading->zones[i].power_uw));
	for (size_t family = KEPLER_NODE_ACTIVE; family <= KEPLER_NODE_IDLE; family++) {
		kepler_begin(metrics, family);
		for (size_t i = 0; i < view->zone_count; i++) {
			const struct accounts_zone *zone = &view->zones[i];
			const struct meter_zone *read = kepler_find(view, zone->id);

			if (read != NULL)
				kepler_add_node(
				    metrics, machine, read,
				    metrics_micro(family == KEPLER_NODE_IDLE
						      ? zone->idle_uj
						      : zone->energy_uj - zone->idle_uj));
		}
	}
}

/* The labels of one account, without its zone. */
struct kepler_labels {
	struct metrics_label list[KEPLER_LABELS_MAX];
	size_t count;
	char pid[16];
};

static void kepler_label_account(struct kepler_labels *labels, enum account_kind kind,
				 const struct account *account, bool state)
{
	const struct metrics_label process[] = {
	    {"comm", account->name}, {"container_id", ""}, {"exe", ""},
	    {"pid", labels->pid},    {"type", "regular"},  {"vm_id", ""}};
	const struct metrics_label container[] = {{"container_id", account->name},
						  {"container_name", account->name},
						  {"pod_id", ""},
						  {"runtime", account->detail}};
	const struct metrics_label pod[] = {
	    {"pod_id", account->name}, {"pod_name", account->name}, {"pod_namespace", ""}};
	const struct metrics_label *from = pod;

	labels->count = sizeof(pod) / sizeof(pod[0]);
	if (kind == ACCOUNT_PROCESS) {
		from = process;
		labels->count = sizeof(process) / sizeof(process[0]);
		(void)snprintf(labels->pid, sizeof(labels->pid), "%" PRId32, account->pid);
	} else if (kind == ACCOUNT_CONTAINER) {
		from = container;
		labels->count = sizeof(container) / sizeof(container[0]);
	}
	memcpy(labels->list, from, labels->count * sizeof(*from));
	if (state)
		labels->list[labels->count++] = (struct metrics_label){"state", "running"};
}

/* One sample for each kind of zone: of all packages together. */
static void kepler_add_account(struct metrics *metrics, const struct accounts_view *view,
			       const struct account *account, const struct kepler_labels *labels,
			       bool power)
{
	static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_DRAM};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct kepler_labels all = *labels;
		uint64_t sum = 0;
		bool known = false, away = false;

		for (size_t j = 0; j < view->zone_count; j++) {
			if (compat_zone_kind(view->zones[j].id) != kinds[i])
				continue;
			known = true;
			away = away || (power && !accounts_view_has_power(view, &view->zones[j]));
			sum += power ? account->zones[j].power_uw : account->zones[j].energy_uj;
		}
		all.list[all.count++] = (struct metrics_label){"zone", zone_kind_name(kinds[i])};
		if (known && !away)
			metrics_add(metrics, all.list, all.count, metrics_micro(sum));
	}
}

static void kepler_write_accounts(struct metrics *metrics, const struct compat_machine *machine,
				  enum account_kind kind, size_t energy)
{
	const struct accounts_view *view = machine->view;
	const struct accounts_group *group = &view->groups[kind];

	for (size_t family = energy; family <= energy + 1; family++) {
		bool power = family > energy;

		kepler_begin(metrics, family);
		for (size_t i = 0; i < group->count && (!power || view->interval_ns > 0); i++) {
			struct kepler_labels labels;

			kepler_label_account(&labels, kind, &group->accounts[i], true);
			labels.list[labels.count++] =
			    (struct metrics_label){"node_name", machine->host};
			kepler_add_account(metrics, view, &group->accounts[i], &labels, power);
		}
	}
}

static void kepler_write_time(struct metrics *metrics, const struct compat_machine *machine)
{
	const struct accounts_group *group = &machine->view->groups[ACCOUNT_PROCESS];

	kepler_begin(metrics, KEPLER_PROCESS_TIME);
	for (size_t i = 0; i < group->count; i++) {
		struct kepler_labels labels;

		kepler_label_account(&labels, ACCOUNT_PROCESS, &group->accounts[i], false);
		labels.list[labels.count++] = (struct metrics_label){"node_name", machine->host};
		metrics_add(metrics, labels.list, labels.count,
			    metrics_nano(group->accounts[i].cpu_ns));
	}
}

static void compat_kepler_write(struct metrics *metrics, const struct compat_machine *machine)
{
	kepler_write_node(metrics, machine);
	kepler_write_accounts(metrics, machine, ACCOUNT_PROCESS, KEPLER_PROCESS_ENERGY);
	kepler_write_time(metrics, machine);
	kepler_write_accounts(metrics, machine, ACCOUNT_CONTAINER, KEPLER_CONTAINER_ENERGY);
	kepler_write_accounts(metrics, machine, ACCOUNT_POD, KEPLER_POD_ENERGY);
}

const struct compat_tool compat_kepler = {
    .name = "kepler",
    .version = "Kepler 0.10",
    .origin = "sustainable-computing-io/kepler docs/user/metrics.md",
    .list = compat_kepler_list,
    .count = sizeof(compat_kepler_list) / sizeof(compat_kepler_list[0]),
    .write = compat_kepler_write,
};
