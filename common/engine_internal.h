/*
 * engine_internal.h: what engine.c (the sample's round), engine_weigh.c (what each machine's work
 * weighs in a zone) and engine_zone.c (the zone's division) share.
 */
#ifndef WATTPORT_COMMON_ENGINE_INTERNAL_H
#define WATTPORT_COMMON_ENGINE_INTERNAL_H

#include "common/activity.h"
#include "common/calibration.h"
#include "common/counter.h"
#include "common/engine.h"
#include "common/guest_view.h"

/* What divisions of one zone owe one account: a carry for each of its claims. */
struct engine_share {
	int64_t carry[LEDGER_PART_COUNT];
	uint64_t active_weight; /* faded */
	uint64_t overhead_weight;
	struct guest_view_account guest_view;
	uint64_t window_uj; /* the share's total when the power window began */
	uint64_t window_active_uj;
};

/* What the engine keeps of an account beside the ledger. */
struct engine_vm {
	struct uuid uuid;
	int32_t pid;
	bool listed; /* in the sample that is being booked */
	struct engine_share shares[ZONE_MAX];
	/* Active part, and idle with overhead, of each kind of zone. */
	int64_t socket_carry[ZONE_SOCKET_KIND_COUNT][2][LEDGER_SOCKET_MAX];
	uint64_t window_guest_uj; /* what its guest was told in the power window */
	uint64_t window_vcpu_ns;
	bool has_halt_poll; /* the next is of an earlier sample */
	uint64_t halt_poll_ns;
	uint64_t halt_poll_left_ns; /* of what was booked: without its energy yet */
};

struct engine_zone {
	struct zone zone;
	uint32_t index; /* in the ledger */
	struct counter counter;
	uint64_t time_ns;      /* of the last accepted reading */
	uint64_t suspended_ns; /* of it since boot */
	uint64_t asleep_ns;    /* of this interval: the host was suspended */
	struct calibration *calibration;
	/* By whose coefficients it is divided: its own, or its package's. */
	const struct calibration *costs;
	bool by_memory;	       /* this interval */
	bool told;	       /* its energy is part of the power that a guest is told */
	uint64_t other_weight; /* faded */
	uint64_t static_debt;
	struct guest_view_rates rates; /* for guests that are new */
	int64_t other_carry;
	int64_t unrented_carry;
	uint64_t window_uj;
	bool units[ACTIVITY_UNIT_MAX]; /* whose energy it counts */
};

/* What a machine that was there for all of the interval counts for, where others were not. */
#define ENGINE_THERE_ONE (UINT64_C(1) << 24)

/* The interval over a time without wattportd: engine_return.c. */
struct engine_away {
	bool returning; /* that is the interval which is being booked */
	uint64_t elapsed_ns;
	size_t missing;		 /* machines that had ended meanwhile, or were started anew */
	uint64_t missing_vcpus;	 /* of these, each for as long as it may have run: of
				    ENGINE_THERE_ONE */
	uint64_t missing_memory; /* likewise, in mebibytes */
};

struct engine {
	struct engine_config config;
	const struct topology *topology;
	struct ledger *ledger;
	struct activity *activity;
	size_t zone_count;
	struct engine_zone zones[ZONE_MAX];
	struct engine_vm *vms[LEDGER_VM_MAX]; /* by the ledger's slot */
	uint64_t window_ns;		      /* age of the power window */
	bool stepped;			      /* it has taken a sample */
	struct engine_away away;
	/* The round's VMs: those of the activity that have an interval and a slot. */
	size_t present_count;
	struct engine_present {
		const struct activity_vm *activity;
		size_t slot;
	} present[SAMPLE_VM_MAX];
	struct attribution_claim claims[ATTRIBUTION_CLAIM_MAX];
	struct attribution_scratch scratch;
};

/* The round's VM of that index: its share of the zone. */
struct engine_share *engine_share(struct engine *engine, const struct engine_zone *zone, size_t i);

/* How many CPUs the zone has. */
size_t engine_zone_cpus(const struct engine *engine, const struct engine_zone *zone);

/*
 * engine_return.c. Before the first sample is booked: what came since the last of the run before,
 * where the ledger has its readings, becomes one interval. 0 or -ENOMEM: then machines without
 * memory have none.
 */
int engine_return(struct engine *engine, const struct sample *sample);

/* Of an interval, the part for which the VM of the round was there, of ENGINE_THERE_ONE. */
uint64_t engine_there(const struct engine *engine, const struct sample *sample, size_t i);

/* What the next run will need of that sample, into the ledger. */
void engine_leave_word(struct engine *engine, const struct sample *sample);

/* Mebibytes that a VM of the round holds; that all of them do. */
uint64_t engine_memory(const struct engine *engine, size_t i);
uint64_t engine_vm_memory(const struct engine *engine);

/* How the operator wants that kind's static power, or NULL where it is always found. */
const struct engine_idle_power *engine_idle_power(const struct engine *engine, enum zone_kind kind);

/*
 * Weighs the interval's work and lets the zone's calibration learn from it. Afterwards every share
 * and the zone have their weights, and the host's record the static power.
 */
void engine_zone_weigh(struct engine *engine, struct engine_zone *zone, const struct sample *sample,
		       uint64_t energy_uj, uint64_t elapsed_ns);

/* Divides `energy_uj`, measured over `elapsed_ns`, and books all of it. */
void engine_zone_book(struct engine *engine, struct engine_zone *zone, const struct sample *sample,
		      uint64_t energy_uj, uint64_t elapsed_ns);

#endif
