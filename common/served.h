/*
 * served.h: a counter as a reader may see it: it never goes back and never stands still.
 *
 * Between the ledger and the tree. An account may be read twice between two samples, may fall
 * behind what was already told (wattportd died and took up an older state) or rest for hours; the
 * readers' software takes an unchanged counter or one that goes back for a wrap and shows hundreds
 * of kilowatts. So what was told last is kept for each counter, where it outlives the process that
 * serves. Pure: the caller brings the memory and the time; one thread at a time.
 */
#ifndef WATTPORT_COMMON_SERVED_H
#define WATTPORT_COMMON_SERVED_H

#include "common/clock.h"

#include <stdint.h>

/* All zero: nothing was told yet. */
struct served {
	uint64_t value_uj;
	uint64_t time_ns; /* from when on the next step of a resting counter is reckoned */
};

/*
 * Rule: the account and one microjoule, or what was told last and one microjoule for each whole
 * millisecond since, whichever is more. So a counter starts above zero, two reads a millisecond
 * apart differ, it runs ahead of a resting account by no more than 1 mW, and falls in with the
 * account again by itself as soon as that has caught up.
 */
uint64_t served_advance(struct served *served, uint64_t account_uj, struct mono_time now);

#endif
