/*
 * guest_view.h: what a guest is told, when its exact share would tell it about its neighbours.
 *
 * Part of attribution. Under `guest-view = isolated` a guest's counter is its own CPU time and its
 * own rent times coefficients that follow the host only slowly:
 *   - A zone's coefficients are the means of the first GUEST_VIEW_SEED_NS: microwatts per busy CPU,
 * and microwatts per unit of rent (vCPUs; for DRAM mebibytes). Then they stay.
 *   - Each account has a gain, first 1, that changes once in GUEST_VIEW_PERIOD_NS by at most 5 %
 * and in steps of 1/128, so that the guest's total follows its exact account in the long run. Until
 * the coefficients are known a guest gets its exact share. Pure integer state machines; one thread.
 */
#ifndef WATTPORT_COMMON_GUEST_VIEW_H
#define WATTPORT_COMMON_GUEST_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_VIEW_SEED_NS	UINT64_C(10000000000)
#define GUEST_VIEW_PERIOD_NS	UINT64_C(300000000000)
#define GUEST_VIEW_GAIN_ONE	UINT64_C(65536)
#define GUEST_VIEW_GAIN_STEP	(GUEST_VIEW_GAIN_ONE / 128)
#define GUEST_VIEW_STEP_PERCENT 5

/* Below it no step of 1/128 is within GUEST_VIEW_STEP_PERCENT: a gain there could never change. */
#define GUEST_VIEW_GAIN_MIN (GUEST_VIEW_GAIN_STEP * 100 / GUEST_VIEW_STEP_PERCENT)

/* No coefficient is that far off: what would need it must not make the gain grow for ever. */
#define GUEST_VIEW_GAIN_MAX (GUEST_VIEW_GAIN_ONE << 8)

/* The host's side of one zone; zeroed: nothing known yet. */
struct guest_view_zone {
	bool seeded;
	uint64_t elapsed_ns;
	uint64_t dynamic_uj;
	uint64_t static_uj;
	uint64_t busy_ns;
	uint64_t dynamic_power_uw; /* per busy CPU */
	uint64_t static_power_nw;  /* per unit of rent: nanowatts, as a mebibyte draws little */
};

/* One account's side of one zone; zeroed: gain 1. */
struct guest_view_account {
	uint64_t gain; /* of GUEST_VIEW_GAIN_ONE; 0 stands for 1 */
	uint64_t remainder_dynamic;
	uint64_t remainder_static;
	uint64_t elapsed_ns;
	uint64_t exact_uj; /* of this period */
	uint64_t shown_uj;
	int64_t owed_uj; /* exact minus shown of all periods before */
};

/* What came in one interval. */
struct guest_view_interval {
	uint64_t elapsed_ns;
	uint64_t dynamic_uj; /* host: the zone's; account: its exact active part */
	uint64_t static_uj;  /* host: the zone's; account: its exact idle and overhead part */
	uint64_t busy_ns;    /* host: of the zone's CPUs; account: its own CPU time on them */
	uint64_t rent;	     /* host: all units there are; account: its own */
};

/* Takes the zone's interval while coefficients are still to be found; does nothing afterwards. */
void guest_view_learn(struct guest_view_zone *zone, const struct guest_view_interval *interval);

/*
 * Turns an account's exact interval into the one that is shown: replaces dynamic_uj and static_uj.
 */
void guest_view_apply(const struct guest_view_zone *zone, struct guest_view_account *account,
		      struct guest_view_interval *interval);

#endif
