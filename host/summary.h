/*
 * summary.h: what the views of the host say about one copy of the ledger beyond its records.
 *
 * Sums over zones, the age, whether the figures are fresh, and the machines in the order in which a
 * person wants to see them: so that table, JSON and metrics agree. Pure: safe in any thread.
 */
#ifndef WATTPORT_HOST_SUMMARY_H
#define WATTPORT_HOST_SUMMARY_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/ledger_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUMMARY_AGE_NS_MAX (10 * CLOCK_NS_PER_SECOND) /* older figures are not fresh */

struct summary_vm {
	const struct ledger_vm *vm; /* in the copy */
	uint64_t energy_uj;	    /* of the counted zones */
	uint64_t power_uw;
};

struct summary {
	bool sampled; /* at least one sample was taken; else the age says nothing */
	bool fresh;   /* the last sample is at most SUMMARY_AGE_NS_MAX old */
	uint64_t age_ns;
	uint64_t energy_uj; /* of the host: sums over the counted zones */
	uint64_t idle_uj;
	uint64_t other_uj;
	uint64_t away_uj;
	uint64_t power_uw;
	const struct ledger_vm *departed; /* the account of those gone for good, or NULL */
	size_t vm_count;		  /* without the departed */
	struct summary_vm *vms;		  /* by power, then name, then uuid */
};

/*
 * The copy must outlive the summary, which is released with summary_finish(). 0 or -ENOMEM.
 */
int summary_init(struct summary *ret_summary, const struct ledger_copy *copy, struct mono_time now);
void summary_finish(struct summary *summary);

/* 0, or -EAGAIN with the reason why the figures are not fresh. */
int summary_check_fresh(const struct summary *summary, struct diag *diag);

/*
 * Whether the zone is part of the sums: packages and DRAM, which do not overlap; on a host that has
 * no package zone, psys.
 */
bool summary_counts_zone(const struct ledger_host *host, uint32_t zone);

/* Words for the records' enums, also for values of a newer writer: literals. */
const char *summary_state_name(uint32_t state);
const char *summary_precision_name(uint32_t precision);
const char *summary_fault_name(enum ledger_zone_fault fault);
const char *summary_part_name(enum ledger_part part);
const char *summary_guest_view_name(const struct ledger_host *host);

/*
 * The machine of that name or uuid. One that runs goes before others of the same name. -ENOENT:
 * none; -ENOTUNIQ: several are meant.
 */
int summary_find(const struct summary *summary, const char *text, const struct summary_vm **ret_vm,
		 struct diag *diag);

#define cleanup_summary __attribute__((cleanup(summary_finish)))

#endif
