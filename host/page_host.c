#include "host/page_host.h"
#include "common/cleanup.h"
#include "common/uuid.h"

#include <errno.h>

static void page_host_zone(const struct ledger_host *host, uint32_t index, bool fresh,
			   struct page_zone *ret_zone)
{
	const struct ledger_zone *zone = &host->zones[index];

	*ret_zone = (struct page_zone){
	    .id = zone->zone.id,
	    .counted = summary_counts_zone(host, index),
	    .power_uw = fresh && zone->available ? zone->power_uw : PAGE_UNKNOWN,
	    .energy_uj = zone->energy_uj,
	    .idle_uj = zone->idle_uj,
	    .other_uj = zone->other_uj,
	};
	if (!zone->available)
		ret_zone->error = zone->error < 0 ? strerror(-zone->error) : "not listed";
}

static void page_host_zones(const struct ledger_host *host, struct page_view *view)
{
	view->zone_count = host->zone_count;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];

		page_host_zone(host, i, view->up, &view->zones[i]);
		if (view->zones[i].counted && zone->available && zone->calibration_learning != 0)
			view->learning = true;
	}
}

static const char *page_host_state(const struct ledger_vm *vm)
{
	return vm->state == LEDGER_VM_RUNNING ? NULL : summary_state_name(vm->state);
}

/* The parts of an account's energy in the zones that count. */
static void page_host_parts(const struct ledger_host *host, const struct ledger_vm *vm,
			    struct page_account *account)
{
	for (uint32_t i = 0; i < host->zone_count; i++) {
		if (!summary_counts_zone(host, i))
			continue;
		account->energy_uj += ledger_share_total_uj(&vm->shares[i]);
		account->idle_uj += vm->shares[i].part_uj[LEDGER_IDLE];
		account->overhead_uj += vm->shares[i].part_uj[LEDGER_OVERHEAD];
	}
	account->cpu_ns += vm->vcpu_ns + vm->overhead_ns;
}

static void page_host_account(const struct ledger_host *host, const struct summary_vm *sum,
			      bool fresh, struct page_account *account)
{
	const struct ledger_vm *vm = sum->vm;

	*account = (struct page_account){
	    .name = vm->name,
	    .state = page_host_state(vm),
	    .power_uw = fresh ? sum->power_uw : PAGE_UNKNOWN,
	    .members = vm->vcpu_count,
	};
	uuid_format(&vm->uuid, account->id);
	page_host_parts(host, vm, account);
}

/* Machines past those that have a row, those gone for good, and what of these nobody knew. */
static void page_host_rest(const struct ledger_host *host, const struct summary *summary,
			   size_t first, struct page_view *view)
{
	struct page_group *group = &view->groups[0];
	struct page_account *rest = &group->rest;

	*rest = (struct page_account){.name = "all others, and those gone for good",
				      .energy_uj = summary->away_uj};
	if (summary->departed != NULL)
		page_host_parts(host, summary->departed, rest);
	for (size_t i = first; i < summary->vm_count; i++) {
		page_host_parts(host, summary->vms[i].vm, rest);
		rest->power_uw += summary->vms[i].power_uw;
		rest->members += summary->vms[i].vm->vcpu_count;
	}
	group->has_rest = rest->energy_uj > 0;
	if (!view->up)
		rest->power_uw = PAGE_UNKNOWN;
}

static int page_host_group(const struct ledger_host *host, const struct summary *summary,
			   struct page_view *view)
{
	size_t count = summary->vm_count;
	struct page_group *group = &view->groups[0];

	if (count > PAGE_ACCOUNT_MAX)
		count = PAGE_ACCOUNT_MAX;
	/* One more: calloc() of nothing may return NULL. */
	group->accounts = calloc(count + 1, sizeof(*group->accounts));
	if (group->accounts == NULL)
		return -ENOMEM;
	view->group_count = 1;
	group->kind = "vm";
	group->of_members = "vCPUs";
	group->count = count;
	for (size_t i = 0; i < count; i++)
		page_host_account(host, &summary->vms[i], view->up, &group->accounts[i]);
	page_host_rest(host, summary, count, view);
	return 0;
}

int page_host_view(const struct ledger_copy *copy, const struct summary *summary,
		   const struct diag *reason, struct page_view *ret_view)
{
	const struct page_zone unknown = {.id = "total",
					  .power_uw = PAGE_UNKNOWN,
					  .energy_uj = PAGE_UNKNOWN,
					  .idle_uj = PAGE_UNKNOWN,
					  .other_uj = PAGE_UNKNOWN};

	*ret_view = (struct page_view){.machine = "host",
				       .reason = *reason,
				       .age_ns = PAGE_UNKNOWN,
				       .since_ns = PAGE_UNKNOWN,
				       .total = unknown};
	if (copy == NULL || !summary->sampled)
		return 0;
	ret_view->opened = true;
	ret_view->up = summary->fresh;
	ret_view->time.ns = copy->host.updated_ns;
	ret_view->age_ns = 0;
	ret_view->source = copy->host.source;
	ret_view->sight = summary_guest_view_name(&copy->host);
	ret_view->estimate_known = true;
	ret_view->estimate = copy->host.estimate != 0;
	ret_view->total.counted = true;
	ret_view->total.power_uw = summary->fresh ? summary->power_uw : PAGE_UNKNOWN;
	ret_view->total.energy_uj = summary->energy_uj;
	ret_view->total.idle_uj = summary->idle_uj;
	ret_view->total.other_uj = summary->other_uj;
	page_host_zones(&copy->host, ret_view);
	return page_host_group(&copy->host, summary, ret_view);
}

void page_host_release(struct page_view *view)
{
	for (size_t i = 0; i < view->group_count; i++)
		free(view->groups[i].accounts);
	view->group_count = 0;
}
