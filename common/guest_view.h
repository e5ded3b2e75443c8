/*
 * guest_view.h: what a guest is told, when its exact share would tell it about its neighbours.
 *
 * Part of attribution. Under `guest-view = isolated` a guest's counter is its own CPU time and its
 * own rent (vCPUs; for DRAM mebibytes) times two rates of its own:
 *   - A guest that comes to a host which is known is told by what work and rent cost there in the
 *     mean for GUEST_VIEW_LENT_NS; then by what its own have cost meanwhile. On a host that is yet
 *     to be learned such means are made up, and would be wrong by far: there it is told its exact
 *     share for GUEST_VIEW_SEED_NS, and sees once what others do. A guest that did next to nothing
 *     in that time keeps to the host's mean.
 *   - Once in GUEST_VIEW_PERIOD_NS each changes by at most 5 %, in steps of 1/128, towards what
 *     the exact account says of the period, and what is still owed from those before. So the total
 *     follows the exact one in the long run.
 *
 * Own cycles, instructions and cache misses are no part of it but by way of the exact account:
 * within a period they tell of the neighbours, who change the clock, take half of a core, and push
 * memory out of the cache. CPU time is what the guest has asked for, and can measure itself.
 *
 * Pure integer state machines; one thread.
 */
#ifndef WATTPORT_COMMON_GUEST_VIEW_H
#define WATTPORT_COMMON_GUEST_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_VIEW_SEED_NS	UINT64_C(10000000000)
#define GUEST_VIEW_LENT_NS	UINT64_C(60000000000)
#define GUEST_VIEW_PERIOD_NS	UINT64_C(300000000000)
#define GUEST_VIEW_GAIN_ONE	UINT64_C(65536)
#define GUEST_VIEW_GAIN_STEP	(GUEST_VIEW_GAIN_ONE / 128)
#define GUEST_VIEW_STEP_PERCENT 5

/* Below it no step of 1/128 is within GUEST_VIEW_STEP_PERCENT: a gain there could never change. */
#define GUEST_VIEW_GAIN_MIN (GUEST_VIEW_GAIN_STEP * 100 / GUEST_VIEW_STEP_PERCENT)

/* No rate is that far off: what would need it must not make the gain grow for ever. */
#define GUEST_VIEW_GAIN_MAX (GUEST_VIEW_GAIN_ONE << 8)

/* How much of the period's own energy may be added to pay, or taken off to get, what is owed. */
#define GUEST_VIEW_PAYMENT_PERCENT 50

/* What a guest starts from. */
struct guest_view_rates {
	bool known;
	bool learned;		  /* they are more than a prior */
	uint64_t thread_power_uw; /* per busy CPU */
	uint64_t rent_power_nw;	  /* per unit of rent: nanowatts, as a mebibyte draws little */
};

/* One of a guest's two rates, and what came of it. */
struct guest_view_lane {
	uint64_t rate; /* as it started */
	uint64_t gain; /* what it has become: of GUEST_VIEW_GAIN_ONE */
	uint64_t remainder;
	uint64_t exact_uj; /* of this period */
	uint64_t shown_uj;
	int64_t owed_uj; /* exact minus shown of all periods before */
};

enum guest_view_phase {
	GUEST_VIEW_NEW,
	GUEST_VIEW_EXACT, /* is told its exact share, and observed */
	GUEST_VIEW_LENT,  /* is told by the host's rates, and observed */
	GUEST_VIEW_OWN,
};

/* What a guest's work and rent have cost while it was observed. */
struct guest_view_seed {
	uint64_t elapsed_ns;
	uint64_t dynamic_uj;
	uint64_t static_uj;
	uint64_t busy_ns;
	uint64_t rent_ns; /* units of rent times nanoseconds */
};

/* One account's side of one zone; zeroed: nothing known yet. */
struct guest_view_account {
	enum guest_view_phase phase;
	uint64_t elapsed_ns; /* of the period */
	struct guest_view_seed seed;
	struct guest_view_lane dynamic;
	struct guest_view_lane fixed;
};

/* What came in one interval, of one account. */
struct guest_view_interval {
	uint64_t elapsed_ns;
	uint64_t dynamic_uj; /* its exact active and overhead part */
	uint64_t static_uj;  /* its exact idle part; for DRAM everything */
	uint64_t busy_ns;    /* its own CPU time on the zone's CPUs */
	uint64_t rent;
};

/* Goes on with the rates of an earlier run; does nothing where both are 0. */
void guest_view_resume(struct guest_view_account *account, uint64_t thread_power_uw,
		       uint64_t rent_power_nw);

/* The rates as they are now, for guest_view_resume(); 0 before the start. */
uint64_t guest_view_rate(const struct guest_view_lane *lane);

/*
 * Turns an account's exact interval into the one that is shown: replaces dynamic_uj and static_uj.
 */
void guest_view_apply(const struct guest_view_rates *rates, struct guest_view_account *account,
		      struct guest_view_interval *interval);

#endif
