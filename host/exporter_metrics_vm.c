#include "common/uuid.h"
#include "host/exporter_metrics_internal.h"

#include <stdio.h>

#define LABEL_MAX 6

/* What the writer of a family has of one machine; its samples' labels start with the machine's. */
struct exporter_row {
	const struct exporter_scene *scene;
	const struct ledger_vm *vm;
	uint32_t zone_count;
	char uuid[UUID_TEXT_SIZE];
	struct metrics_label labels[LABEL_MAX];
};

/* A sample with the machine's labels and `count` behind them, which the caller has put there. */
static void exporter_row_add(const struct exporter_row *row, size_t count,
			     struct metrics_value value)
{
	metrics_add(row->scene->metrics, row->labels, 2 + count, value);
}

/* A sample with one label more. */
static void exporter_row_add_of(struct exporter_row *row, const char *name, const char *of,
				struct metrics_value value)
{
	row->labels[2] = (struct metrics_label){name, of};
	exporter_row_add(row, 1, value);
}

static void exporter_row_add_zone(struct exporter_row *row, uint32_t zone, uint64_t micro)
{
	exporter_row_add_of(row, "zone", exporter_zone_id(row->scene, zone), metrics_micro(micro));
}

static void exporter_write_vm_info(struct exporter_row *row)
{
	const struct ledger_vm *vm = row->vm;
	char sockets[16], vcpus[16];

	(void)snprintf(sockets, sizeof(sockets), "%u", (unsigned int)vm->socket_count);
	(void)snprintf(vcpus, sizeof(vcpus), "%u", (unsigned int)vm->vcpu_count);
	row->labels[2] = (struct metrics_label){"sockets", sockets};
	row->labels[3] = (struct metrics_label){"vcpus", vcpus};
	row->labels[4] = (struct metrics_label){"state", summary_state_name(vm->state)};
	row->labels[5] = (struct metrics_label){"precision", summary_precision_name(vm->precision)};
	exporter_row_add(row, 4, metrics_integer(1));
}

static void exporter_write_vm_energy(struct exporter_row *row)
{
	for (uint32_t zone = 0; zone < row->zone_count; zone++) {
		row->labels[2] = (struct metrics_label){"zone", exporter_zone_id(row->scene, zone)};
		for (int part = 0; part < LEDGER_PART_COUNT; part++) {
			row->labels[3] = (struct metrics_label){
			    "part", summary_part_name((enum ledger_part)part)};
			exporter_row_add(row, 2,
					 metrics_micro(row->vm->shares[zone].part_uj[part]));
		}
	}
}

static void exporter_write_vm_guest_view(struct exporter_row *row)
{
	for (uint32_t zone = 0; zone < row->zone_count; zone++)
		exporter_row_add_zone(row, zone, row->vm->shares[zone].guest_view_uj);
}

/* By the guest's own zones, where all others go by the host's. */
static void exporter_write_vm_brought(struct exporter_row *row)
{
	for (size_t i = 0; i < LEDGER_COUNTER_COUNT(row->vm->socket_count); i++) {
		uint64_t brought_uj = ledger_counter_brought_uj(row->vm, i);
		char zone[ZONE_ID_SIZE];

		if (brought_uj == 0)
			continue;
		ledger_counter_name(i, zone);
		exporter_row_add_of(row, "zone", zone, metrics_micro(brought_uj));
	}
}

static void exporter_write_vm_power(struct exporter_row *row)
{
	for (uint32_t zone = 0; zone < row->zone_count; zone++)
		if (exporter_knows_power(row->scene, zone))
			exporter_row_add_zone(row, zone, row->vm->shares[zone].power_uw);
}

static void exporter_write_vm_cpu(struct exporter_row *row)
{
	exporter_row_add_of(row, "part", "vcpu", metrics_nano(row->vm->vcpu_ns));
	exporter_row_add_of(row, "part", "overhead", metrics_nano(row->vm->overhead_ns));
}

static void exporter_write_vm_halt_poll(struct exporter_row *row)
{
	if (row->vm->has_halt_poll)
		exporter_row_add(row, 0, metrics_nano(row->vm->halt_poll_ns));
}

static void exporter_write_vm_halt_poll_energy(struct exporter_row *row)
{
	for (uint32_t zone = 0; row->vm->has_halt_poll && zone < row->zone_count; zone++)
		exporter_row_add_zone(row, zone, row->vm->shares[zone].halt_poll_uj);
}

static void exporter_write_vm_memory(struct exporter_row *row)
{
	if (row->vm->state == LEDGER_VM_RUNNING)
		exporter_row_add(row, 0, metrics_integer(row->vm->memory_bytes));
}

static void exporter_write_vm_short(struct exporter_row *row)
{
	if (row->vm->state == LEDGER_VM_RUNNING)
		exporter_row_add(row, 0, metrics_integer(row->vm->short_threads));
}

struct exporter_vm_family {
	struct metrics_family family;
	/*
	 * Whether the account of the departed counts like a machine's, under the nil uuid: where
	 * energy and time are summed.
	 */
	bool departed;
	void (*write)(struct exporter_row *row);
};

static const struct exporter_vm_family exporter_vm_families[] = {
    {{"wattport_vm", METRICS_INFO, NULL, "A virtual machine and its shape."},
     false,
     exporter_write_vm_info},
    {{"wattport_vm_energy_joules", METRICS_COUNTER, "joules",
      "Energy of the virtual machine, by host zone and part."},
     true,
     exporter_write_vm_energy},
    {{"wattport_vm_guest_view_joules", METRICS_COUNTER, "joules",
      "Energy that the virtual machine was told it used."},
     true,
     exporter_write_vm_guest_view},
    {{"wattport_vm_brought_joules", METRICS_COUNTER, "joules",
      "What the virtual machine was told on other hosts, from which its counters went on here."},
     true,
     exporter_write_vm_brought},
    {{"wattport_vm_power_watts", METRICS_GAUGE, "watts",
      "Power of the virtual machine over about the last second."},
     false,
     exporter_write_vm_power},
    {{"wattport_vm_cpu_seconds", METRICS_COUNTER, "seconds",
      "CPU time of the virtual machine: of its vCPUs, and of the threads that serve it."},
     true,
     exporter_write_vm_cpu},
    {{"wattport_vm_halt_poll_seconds", METRICS_COUNTER, "seconds",
      "Of the vCPUs' CPU time: KVM's polling for work before a vCPU sleeps."},
     true,
     exporter_write_vm_halt_poll},
    {{"wattport_vm_halt_poll_joules", METRICS_COUNTER, "joules",
      "Of the active energy: what that polling cost, by its part of the vCPUs' time."},
     true,
     exporter_write_vm_halt_poll_energy},
    {{"wattport_vm_memory_bytes", METRICS_GAUGE, "bytes",
      "Memory of the host that the virtual machine holds."},
     false,
     exporter_write_vm_memory},
    {{"wattport_vm_short_threads", METRICS_GAUGE, NULL,
      "Threads of the virtual machine that wattportd has too few descriptors for."},
     false,
     exporter_write_vm_short},
};

static void exporter_write_vm(const struct exporter_scene *scene, const struct ledger_vm *vm,
			      const struct exporter_vm_family *family)
{
	struct exporter_row row = {
	    .scene = scene, .vm = vm, .zone_count = scene->copy->host.zone_count};

	uuid_format(&vm->uuid, row.uuid);
	row.labels[0] = (struct metrics_label){"uuid", row.uuid};
	row.labels[1] = (struct metrics_label){"name", vm->name};
	family->write(&row);
}

void exporter_metrics_write_vms(const struct exporter_scene *scene)
{
	for (size_t i = 0; i < sizeof(exporter_vm_families) / sizeof(exporter_vm_families[0]);
	     i++) {
		const struct exporter_vm_family *family = &exporter_vm_families[i];

		metrics_begin_family(scene->metrics, &family->family);
		for (size_t vm = 0; family->departed && vm < scene->copy->vm_count; vm++)
			exporter_write_vm(scene, &scene->copy->vms[vm], family);
		for (size_t vm = 0; !family->departed && vm < scene->summary->vm_count; vm++)
			exporter_write_vm(scene, scene->summary->vms[vm].vm, family);
	}
}
