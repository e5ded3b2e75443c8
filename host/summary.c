#include "host/summary.h"
#include "common/cleanup.h"
#include "common/sample.h"
#include "common/uuid.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

bool summary_counts_zone(const struct ledger_host *host, uint32_t zone)
{
	bool packages = false;

	for (uint32_t i = 0; i < host->zone_count; i++)
		packages = packages || host->zones[i].zone.kind == ZONE_PACKAGE;
	switch (host->zones[zone].zone.kind) {
	case ZONE_PACKAGE:
	case ZONE_DRAM:
		return packages;
	case ZONE_PSYS:
		return !packages;
	case ZONE_CORE:
	case ZONE_UNCORE:
		break;
	}
	return false;
}

static void summary_add_host(struct summary *summary, const struct ledger_host *host)
{
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];

		if (!summary_counts_zone(host, i))
			continue;
		summary->energy_uj += zone->energy_uj;
		summary->idle_uj += zone->idle_uj;
		summary->other_uj += zone->other_uj;
		summary->away_uj += zone->away_uj;
		if (zone->available)
			summary->power_uw += zone->power_uw;
	}
}

static struct summary_vm summary_vm_make(const struct ledger_host *host, const struct ledger_vm *vm)
{
	struct summary_vm sum = {.vm = vm};

	for (uint32_t i = 0; i < host->zone_count; i++) {
		if (!summary_counts_zone(host, i))
			continue;
		sum.energy_uj += ledger_share_total_uj(&vm->shares[i]);
		sum.power_uw += vm->shares[i].power_uw;
	}
	return sum;
}

static int summary_order(const void *left, const void *right)
{
	const struct summary_vm *a = left;
	const struct summary_vm *b = right;
	int by_name;

	if (a->power_uw != b->power_uw)
		return a->power_uw > b->power_uw ? -1 : 1;
	by_name = strcmp(a->vm->name, b->vm->name);
	return by_name != 0 ? by_name : uuid_compare(&a->vm->uuid, &b->vm->uuid);
}

int summary_init(struct summary *ret_summary, const struct ledger_copy *copy, struct mono_time now)
{
	const struct mono_time updated = {.ns = copy->host.updated_ns};
	struct summary summary = {.sampled = copy->host.sample_count > 0};

	summary.age_ns = clock_elapsed_ns(updated, now);
	summary.fresh = summary.sampled && summary.age_ns <= SUMMARY_AGE_NS_MAX;
	summary_add_host(&summary, &copy->host);
	/* One more: calloc() of nothing may return NULL. */
	summary.vms = calloc(copy->vm_count + 1, sizeof(*summary.vms));
	if (summary.vms == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < copy->vm_count; i++) {
		if (uuid_is_nil(&copy->vms[i].uuid))
			summary.departed = &copy->vms[i];
		else
			summary.vms[summary.vm_count++] =
			    summary_vm_make(&copy->host, &copy->vms[i]);
	}
	qsort(summary.vms, summary.vm_count, sizeof(*summary.vms), summary_order);
	*ret_summary = summary;
	return 0;
}

void summary_finish(struct summary *summary)
{
	free(summary->vms);
	*summary = (struct summary){.vms = NULL};
}

int summary_check_fresh(const struct summary *summary, struct diag *diag)
{
	if (!summary->sampled)
		return diag_error(diag, -EAGAIN, "wattportd has not taken a sample yet");
	if (!summary->fresh)
		return diag_error(diag, -EAGAIN,
				  "the last sample is %" PRIu64 " s old: is wattportd running?",
				  summary->age_ns / CLOCK_NS_PER_SECOND);
	return 0;
}

const char *summary_state_name(uint32_t state)
{
	switch (state) {
	case LEDGER_VM_RUNNING:
		return "running";
	case LEDGER_VM_OFF:
		return "off";
	case LEDGER_VM_GONE:
		return "gone";
	default:
		return "unknown";
	}
}

const char *summary_precision_name(uint32_t precision)
{
	switch (precision) {
	case SAMPLE_NANOSECONDS:
		return "nanoseconds";
	case SAMPLE_JIFFIES:
		return "jiffies";
	default:
		return "unknown";
	}
}

const char *summary_fault_name(enum ledger_zone_fault fault)
{
	static const char *const names[] = {
	    [LEDGER_FAULT_UNREADABLE] = "unreadable",
	    [LEDGER_FAULT_BACKWARD] = "backward",
	    [LEDGER_FAULT_INVALID] = "invalid",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == LEDGER_FAULT_COUNT, "each has a name");
	return names[fault];
}

const char *summary_part_name(enum ledger_part part)
{
	static const char *const names[] = {
	    [LEDGER_ACTIVE] = "active",
	    [LEDGER_IDLE] = "idle",
	    [LEDGER_OVERHEAD] = "overhead",
	};

	static_assert(sizeof(names) / sizeof(names[0]) == LEDGER_PART_COUNT, "each has a name");
	return names[part];
}

const char *summary_guest_view_name(const struct ledger_host *host)
{
	return host->guest_view_exact ? "exact" : "isolated";
}

static int summary_find_uuid(const struct summary *summary, const struct uuid *uuid,
			     const struct summary_vm **ret_vm)
{
	for (size_t i = 0; i < summary->vm_count; i++) {
		if (uuid_equal(&summary->vms[i].vm->uuid, uuid)) {
			*ret_vm = &summary->vms[i];
			return 0;
		}
	}
	return -ENOENT;
}

int summary_find(const struct summary *summary, const char *text, const struct summary_vm **ret_vm,
		 struct diag *diag)
{
	const struct summary_vm *found = NULL;
	size_t count = 0;
	struct uuid uuid;

	if (uuid_parse(text, &uuid) == 0 && summary_find_uuid(summary, &uuid, ret_vm) == 0)
		return 0;
	for (size_t i = 0; i < summary->vm_count; i++) {
		const struct summary_vm *candidate = &summary->vms[i];
		bool running = candidate->vm->state == LEDGER_VM_RUNNING;

		if (strcmp(candidate->vm->name, text) != 0)
			continue;
		if (found != NULL && running && found->vm->state != LEDGER_VM_RUNNING)
			count = 0;
		else if (found != NULL && !running && found->vm->state == LEDGER_VM_RUNNING)
			continue;
		found = candidate;
		count++;
	}
	if (count == 0)
		return diag_error(diag, -ENOENT,
				  "no virtual machine is called \"%s\"; `wattport vm` lists them",
				  text);
	if (count > 1)
		return diag_error(diag, -ENOTUNIQ,
				  "%zu virtual machines are called \"%s\"; name one by its uuid, "
				  "which `wattport vm` shows",
				  count, text);
	*ret_vm = found;
	return 0;
}
