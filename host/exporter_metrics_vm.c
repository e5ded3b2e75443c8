#include "common/uuid.h"
#include "host/exporter_brought.h"
#include "host/exporter_metrics_internal.h"

#include <stdio.h>

#define LABEL_MAX 4

/*
 * Labels that start with the machine's. The account of the departed counts like a machine's where
 * energy and time are summed, under the nil uuid.
 */
struct exporter_labels {
	char uuid[UUID_TEXT_SIZE];
	struct metrics_label labels[LABEL_MAX];
};

static void exporter_labels_set(struct exporter_labels *labels, const struct ledger_vm *vm)
{
	uuid_format(&vm->uuid, labels->uuid);
	labels->labels[0] = (struct metrics_label){"uuid", labels->uuid};
	labels->labels[1] = (struct metrics_label){"name", vm->name};
}

static void exporter_write_vm_energy(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->copy->vm_count; i++) {
		const struct ledger_vm *vm = &scene->copy->vms[i];
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		for (uint32_t zone = 0; zone < scene->copy->host.zone_count; zone++) {
			labels.labels[2] =
			    (struct metrics_label){"zone", exporter_zone_id(scene, zone)};
			for (int part = 0; part < LEDGER_PART_COUNT; part++) {
				labels.labels[3] = (struct metrics_label){
				    "part", summary_part_name((enum ledger_part)part)};
				metrics_add(scene->metrics, labels.labels, 4,
					    metrics_micro(vm->shares[zone].part_uj[part]));
			}
		}
	}
}

static void exporter_write_vm_guest_view(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->copy->vm_count; i++) {
		const struct ledger_vm *vm = &scene->copy->vms[i];
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		for (uint32_t zone = 0; zone < scene->copy->host.zone_count; zone++) {
			labels.labels[2] =
			    (struct metrics_label){"zone", exporter_zone_id(scene, zone)};
			metrics_add(scene->metrics, labels.labels, 3,
				    metrics_micro(vm->shares[zone].guest_view_uj));
		}
	}
}

static void exporter_write_vm_brought(const struct exporter_scene *scene)
{
	exporter_brought_write(scene->metrics, scene->copy);
}

static void exporter_write_vm_power(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->summary->vm_count; i++) {
		const struct ledger_vm *vm = scene->summary->vms[i].vm;
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		for (uint32_t zone = 0; zone < scene->copy->host.zone_count; zone++) {
			if (!exporter_knows_power(scene, zone))
				continue;
			labels.labels[2] =
			    (struct metrics_label){"zone", exporter_zone_id(scene, zone)};
			metrics_add(scene->metrics, labels.labels, 3,
				    metrics_micro(vm->shares[zone].power_uw));
		}
	}
}

static void exporter_write_vm_cpu(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->copy->vm_count; i++) {
		const struct ledger_vm *vm = &scene->copy->vms[i];
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		labels.labels[2] = (struct metrics_label){"part", "vcpu"};
		metrics_add(scene->metrics, labels.labels, 3, metrics_nano(vm->vcpu_ns));
		labels.labels[2] = (struct metrics_label){"part", "overhead"};
		metrics_add(scene->metrics, labels.labels, 3, metrics_nano(vm->overhead_ns));
	}
}

static void exporter_write_vm_halt_poll(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->copy->vm_count; i++) {
		const struct ledger_vm *vm = &scene->copy->vms[i];
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		if (vm->has_halt_poll)
			metrics_add(scene->metrics, labels.labels, 2,
				    metrics_nano(vm->halt_poll_ns));
	}
}

static void exporter_write_vm_halt_poll_energy(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->copy->vm_count; i++) {
		const struct ledger_vm *vm = &scene->copy->vms[i];
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		for (uint32_t zone = 0; vm->has_halt_poll && zone < scene->copy->host.zone_count;
		     zone++) {
			labels.labels[2] =
			    (struct metrics_label){"zone", exporter_zone_id(scene, zone)};
			metrics_add(scene->metrics, labels.labels, 3,
				    metrics_micro(vm->shares[zone].halt_poll_uj));
		}
	}
}

static void exporter_write_vm_memory(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->summary->vm_count; i++) {
		const struct ledger_vm *vm = scene->summary->vms[i].vm;
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		if (vm->state == LEDGER_VM_RUNNING)
			metrics_add(scene->metrics, labels.labels, 2,
				    metrics_integer(vm->memory_bytes));
	}
}

static void exporter_write_vm_short(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->summary->vm_count; i++) {
		const struct ledger_vm *vm = scene->summary->vms[i].vm;
		struct exporter_labels labels;

		exporter_labels_set(&labels, vm);
		if (vm->state == LEDGER_VM_RUNNING)
			metrics_add(scene->metrics, labels.labels, 2,
				    metrics_integer(vm->short_threads));
	}
}

static void exporter_write_vm_info(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < scene->summary->vm_count; i++) {
		const struct ledger_vm *vm = scene->summary->vms[i].vm;
		struct exporter_labels machine;
		char sockets[16];
		char vcpus[16];

		exporter_labels_set(&machine, vm);
		(void)snprintf(sockets, sizeof(sockets), "%u", (unsigned int)vm->socket_count);
		(void)snprintf(vcpus, sizeof(vcpus), "%u", (unsigned int)vm->vcpu_count);
		const struct metrics_label labels[] = {
		    machine.labels[0],
		    machine.labels[1],
		    {"sockets", sockets},
		    {"vcpus", vcpus},
		    {"state", summary_state_name(vm->state)},
		    {"precision", summary_precision_name(vm->precision)},
		};
		metrics_add(scene->metrics, labels, sizeof(labels) / sizeof(labels[0]),
			    metrics_integer(1));
	}
}

const struct exporter_family exporter_vm_families[] = {
    {{"wattport_vm", METRICS_INFO, NULL, "A virtual machine and its shape."},
     exporter_write_vm_info},
    {{"wattport_vm_energy_joules", METRICS_COUNTER, "joules",
      "Energy of the virtual machine, by host zone and part."},
     exporter_write_vm_energy},
    {{"wattport_vm_guest_view_joules", METRICS_COUNTER, "joules",
      "Energy that the virtual machine was told it used."},
     exporter_write_vm_guest_view},
    {{"wattport_vm_brought_joules", METRICS_COUNTER, "joules",
      "What the virtual machine was told on other hosts, from which its counters went on here."},
     exporter_write_vm_brought},
    {{"wattport_vm_power_watts", METRICS_GAUGE, "watts",
      "Power of the virtual machine over about the last second."},
     exporter_write_vm_power},
    {{"wattport_vm_cpu_seconds", METRICS_COUNTER, "seconds",
      "CPU time of the virtual machine: of its vCPUs, and of the threads that serve it."},
     exporter_write_vm_cpu},
    {{"wattport_vm_halt_poll_seconds", METRICS_COUNTER, "seconds",
      "Of the vCPUs' CPU time: KVM's polling for work before a vCPU sleeps."},
     exporter_write_vm_halt_poll},
    {{"wattport_vm_halt_poll_joules", METRICS_COUNTER, "joules",
      "Of the active energy: what that polling cost, by its part of the vCPUs' time."},
     exporter_write_vm_halt_poll_energy},
    {{"wattport_vm_memory_bytes", METRICS_GAUGE, "bytes",
      "Memory of the host that the virtual machine holds."},
     exporter_write_vm_memory},
    {{"wattport_vm_short_threads", METRICS_GAUGE, NULL,
      "Threads of the virtual machine that wattportd has too few descriptors for."},
     exporter_write_vm_short},
};

const size_t exporter_vm_family_count =
    sizeof(exporter_vm_families) / sizeof(exporter_vm_families[0]);
