#include "host/top_ledger.h"
#include "common/quantity.h"
#include "common/utf8.h"
#include "common/uuid.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void top_ledger_add_energy(struct top_row *row, const char *name, uint64_t energy_uj)
{
	char text[QUANTITY_SIZE];

	quantity_energy(energy_uj, text);
	top_row_add_fact(row, name, text);
}

/* What the parts of its energy are, over the zones that are summed. */
static void top_ledger_add_parts(const struct ledger_host *host, const struct ledger_vm *vm,
				 struct top_row *row)
{
	static const char *const names[LEDGER_PART_COUNT] = {
	    [LEDGER_ACTIVE] = "active, by its vCPUs",
	    [LEDGER_IDLE] = "its share of idle",
	    [LEDGER_OVERHEAD] = "overhead, to serve it",
	};

	for (int part = 0; part < LEDGER_PART_COUNT; part++) {
		uint64_t sum_uj = 0;

		for (uint32_t i = 0; i < host->zone_count; i++)
			if (summary_counts_zone(host, i))
				sum_uj += vm->shares[i].part_uj[part];
		top_ledger_add_energy(row, names[part], sum_uj);
	}
}

static void top_ledger_add_facts(const struct ledger_host *host, const struct ledger_vm *vm,
				 struct top_row *row)
{
	char text[UUID_TEXT_SIZE + QUANTITY_SIZE], memory[QUANTITY_SIZE];

	uuid_format(&vm->uuid, text);
	top_row_add_fact(row, "uuid", text);
	quantity_bytes(vm->memory_bytes, memory);
	(void)snprintf(text, sizeof(text), "%" PRIu32 " vCPUs, %s held", vm->vcpu_count, memory);
	top_row_add_fact(row, "shape", text);
	top_ledger_add_parts(host, vm, row);
}

static int top_ledger_add_vm(const struct ledger_host *host, const struct summary *summary,
			     const struct summary_vm *sum, struct top_page *page)
{
	const struct ledger_vm *vm = sum->vm;
	struct top_row *row = top_page_add_row(page);

	if (row == NULL)
		return -ENOMEM;
	row->identity = top_identity(&vm->uuid, sizeof(vm->uuid));
	utf8_copy(row->name, sizeof(row->name), vm->name);
	utf8_copy(row->detail, sizeof(row->detail), summary_state_name(vm->state));
	row->amount = (struct top_amount){sum->energy_uj, sum->power_uw, summary->fresh};
	row->cpu_ns = vm->vcpu_ns + vm->overhead_ns;
	row->faint = vm->state != LEDGER_VM_RUNNING;
	top_ledger_add_facts(host, vm, row);
	return 0;
}

/* Machines that are gone for good, and those that ended unseen while wattportd was away. */
static struct top_amount top_ledger_rest(const struct ledger_host *host,
					 const struct summary *summary)
{
	struct top_amount rest = {.energy_uj = summary->away_uj, .has_power = summary->fresh};

	for (uint32_t i = 0; summary->departed != NULL && i < host->zone_count; i++)
		if (summary_counts_zone(host, i))
			rest.energy_uj += ledger_share_total_uj(&summary->departed->shares[i]);
	return rest;
}

static void top_ledger_set_notice(const struct ledger_host *host, const struct summary *summary,
				  struct diag *notice)
{
	if (summary_check_fresh(summary, notice) < 0)
		return;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];

		if (!zone->available && summary_counts_zone(host, i))
			diag_append(notice, "zone %s cannot be read (%s): it is in no power",
				    zone->zone.id,
				    zone->error < 0 ? strerror(-zone->error) : "not listed");
	}
	if (host->vm_missed > 0)
		diag_append(notice, "the ledger had no room for some machines: they are in other");
}

int top_ledger_fill(const struct ledger_copy *copy, const struct summary *summary,
		    struct top_frame *frame)
{
	static const struct top_page machines = {.title = "machines",
						 .column = "VIRTUAL MACHINE",
						 .detail = "STATE",
						 .rest_name = "gone for good",
						 .kind = TOP_WHOLE};
	const struct ledger_host *host = &copy->host;
	struct top_page *page;

	frame->sampled = summary->sampled;
	frame->fresh = summary->fresh;
	frame->age_ns = summary->age_ns;
	top_ledger_set_notice(host, summary, &frame->notice);
	if (!summary->sampled)
		return 0;
	frame->time = (struct mono_time){.ns = host->updated_ns};
	frame->estimate = host->estimate != 0;
	(void)snprintf(frame->source, sizeof(frame->source), "%s, %s view", host->source,
		       summary_guest_view_name(host));
	for (uint32_t i = 0; i < host->zone_count; i++)
		frame->learning = frame->learning || (summary_counts_zone(host, i) &&
						      host->zones[i].calibration_learning);
	frame->measured =
	    (struct top_amount){summary->energy_uj, summary->power_uw, summary->fresh};
	frame->other_uj = summary->other_uj;
	frame->idle_uj = summary->idle_uj;
	page = top_frame_add_page(frame, &machines);
	for (size_t i = 0; i < summary->vm_count; i++)
		if (top_ledger_add_vm(host, summary, &summary->vms[i], page) < 0)
			return -ENOMEM;
	page->rest = top_ledger_rest(host, summary);
	return 0;
}
