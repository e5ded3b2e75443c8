/*
 * served.h: a counter as a reader may see it: it never goes back and never stands still.
 *
 * Between the ledger and the tree. An account may be read twice between two samples, may fall
 * behind what was already told (a power cut took it back to its last checkpoint) or rest for hours;
 * the readers' software takes an unchanged counter or one that goes back for a wrap and shows
 * hundreds of kilowatts. So what is told goes on by itself, one microjoule a millisecond. Pure: the
 * caller brings the memory and the time; one thread at a time.
 *
 * The milliseconds are those of the host's boot time, the same in every process: whoever follows
 * the same point tells the same number at the same moment, and two moments a millisecond apart
 * never have the same one.
 */
#ifndef WATTPORT_COMMON_SERVED_H
#define WATTPORT_COMMON_SERVED_H

#include "common/clock.h"

#include <stdint.h>

/* A point from which a counter goes on by itself. All zero: nothing was told yet. */
struct served {
	uint64_t value_uj;
	uint64_t time_ms; /* whole milliseconds of struct mono_time */
};

/* The time in whole milliseconds. */
uint64_t served_ms(struct mono_time now);

/*
 * What the point has become by then; 0 where nothing was told yet. A point may lie a moment ahead,
 * for whoever took the time before it was published: then its line is followed back.
 */
uint64_t served_at(struct served point, uint64_t now_ms);

/*
 * What a server tells of a counter: the floor that the ledger has of it (ledger_floors.h), but
 * never less than it told before, which it keeps in *told, where that outlives it. Where the ledger
 * has none, what was told goes on by itself, from 1 uJ.
 *
 * That memory is a guard and no more: as long as there is a ledger the floor alone decides, since
 * what was told was the line of that floor or of one before it, and no floor lies below the line of
 * the one before.
 */
uint64_t served_advance(struct served *told, struct served floor, struct mono_time now);

#endif
