#include "host/exporter_brought.h"

static void brought_write_vm(struct metrics *metrics, const struct ledger_vm *vm)
{
	char uuid[UUID_TEXT_SIZE], zone[ZONE_ID_SIZE];
	struct metrics_label labels[] = {{"uuid", uuid}, {"name", vm->name}, {"zone", zone}};

	uuid_format(&vm->uuid, uuid);
	for (size_t i = 0; i < LEDGER_COUNTER_COUNT(vm->socket_count); i++) {
		uint64_t brought_uj = ledger_counter_brought_uj(vm, i);

		if (brought_uj == 0)
			continue;
		ledger_counter_name(i, zone);
		metrics_add(metrics, labels, sizeof(labels) / sizeof(labels[0]),
			    metrics_micro(brought_uj));
	}
}

void exporter_brought_write(struct metrics *metrics, const struct ledger_copy *copy)
{
	for (size_t i = 0; i < copy->vm_count; i++)
		brought_write_vm(metrics, &copy->vms[i]);
}
