/*
 * ledger_floors.h: what guests are told, kept in the ledger: never back, never still, whoever ends.
 *
 * Between the accounts and their readers. An account rests while its machine is off or its zone
 * cannot be read, and falls behind what was told of it when a power cut takes it back to the last
 * checkpoint. So beside each counter of a guest stands a floor: a point (floor_uj at floor_ms) that
 * goes on by 1 uJ a millisecond (served.h). All that serve the counter tell that line. wattportd
 * advances the floors after each sample, before it is published; accounts, and the sums over them,
 * are not touched. One thread.
 *
 * The rule of one advance is the largest of
 *     1. account + 1                                     (a counter starts above zero)
 *     2. what the floor has become, 1 uJ a ms            (the smallest step)
 *     3. what the floor was at the last advance, and 63/64 of what its account grew since
 * What was told ahead of an account is never taken back and never lost: it is owed, and 1/64 of
 * what the machine uses pays it off. Who reads meanwhile sees 1.6 % less than was used, where
 * waiting for the account would show him 0 W.
 *
 * Why every reader sees numbers that strictly increase, whatever server, worker or wattportd ends
 * or starts between two reads:
 *     a. By 2. a floor's line never lies below that of the floor before, at no time: both rise
 * alike, and it is not below where it begins. So it does not matter which of the two a server had.
 *     b. All lines rise by 1 uJ with each millisecond of one clock that is the same in all
 * processes. c. A server needs no memory for it: one that starts anew tells the line that the last
 * one told. d. A wattportd that starts again finds the floors in the map in /run, where they went
 * on. How far ahead: of an account that rests, 1 uJ a ms = 1 mW, so 3.6 J after an hour and 31.5 kJ
 * after a year; of one that grows by more than 64 mW, less with every sample.
 *
 * After a reboot /run is empty, and what is on disk may be as old as the last checkpoint. So a
 * checkpoint holds no floors but ceilings, which the floors are not to pass before the next one is
 * on disk: a floor and its room, which is 1 J and twice what the counter will take until the next
 * checkpoint is due if it goes on as since the last (at 20 W and 5 s: 201 J). When a floor is near
 * its ceiling a checkpoint is due early; when it would pass, one is written first and then
 * published. The last checkpoint of an orderly end holds the floors themselves. The next boot
 * starts from what it finds, and from the time in between: 1 uJ for each millisecond by the wall
 * clock, because servers may have gone on without wattportd,
 *     - at least LEDGER_FLOORS_AWAY_MS_MIN, 0.6 J, also where the clock was set back;
 *     - at most LEDGER_FLOORS_AWAY_MS_MAX, 2.6 kJ, also where it is far ahead: without a limit a
 *       clock that is a century ahead would put 3 MJ between a counter and its account.
 * So a power cut costs the account what came after its checkpoint (nobody knows it any more), and
 * no counter goes back. The leap to the ceiling is no watt in any guest: they were cut off, too.
 * While a guest runs there is no leap: wattportd finds the map. Only who deletes it from /run under
 * running guests, and kills wattportd besides, makes them see one, of no more than the room.
 */
#ifndef WATTPORT_COMMON_LEDGER_FLOORS_H
#define WATTPORT_COMMON_LEDGER_FLOORS_H

#include "common/ledger.h"

#include <stddef.h>
#include <stdint.h>

#define LEDGER_FLOORS_CATCH_UP	  64 /* one part in so many goes to what is owed */
#define LEDGER_FLOORS_ROOM_UJ	  UINT64_C(1000000)
#define LEDGER_FLOORS_AWAY_MS_MIN UINT64_C(600000)     /* ten minutes */
#define LEDGER_FLOORS_AWAY_MS_MAX UINT64_C(2592000000) /* thirty days */

/* How far the floors are from their ceilings. */
enum ledger_floors_room {
	LEDGER_FLOORS_AMPLE,
	LEDGER_FLOORS_SHORT, /* less than a quarter is left of one: a checkpoint is due */
	LEDGER_FLOORS_NONE,  /* one is passed: a checkpoint must come before the publication */
};

struct ledger_floors;

/*
 * Takes a ledger that was taken over into the boot of `now`: what was written in another one has an
 * unknown time behind it. Does nothing to floors of this boot: their lines went on.
 */
void ledger_floors_resume(struct ledger *ledger, const struct ledger_instant *now);

/* For a ledger as it is after that; it must outlive the floors. No checkpoint is known yet. */
int ledger_floors_create(struct ledger *ledger, struct ledger_floors **ret_floors);
void ledger_floors_destroy(struct ledger_floors *floors);

/* Advances all floors by the rule, and notes the instant in the ledger. */
enum ledger_floors_room ledger_floors_advance(struct ledger_floors *floors,
					      const struct ledger_instant *now);

/*
 * Sets new ceilings, from the instant of the last advance on, for a checkpoint that is written
 * next; `interval_ns` is the time until another one is due. Where the writing fails they hold all
 * the same, because counters that stand still would harm more than the promise that is broken.
 */
void ledger_floors_promise(struct ledger_floors *floors, uint64_t interval_ns);

/* What a machine brings from another host, for each of its counters: move_record.h. */
struct ledger_brought {
	uint64_t serial;     /* the least that the account's has to be */
	uint32_t generation; /* likewise */
	struct ledger_brought_counter {
		uint64_t told_uj;  /* to go on from; 0: nothing */
		uint64_t floor_uj; /* what its guest cannot have passed */
	} counters[LEDGER_COUNTER_MAX];
};

/*
 * Lets the account in that slot go on from there, if it is not beyond it by itself. What it brings
 * is no growth, of which a part would pay off what is owed.
 */
void ledger_floors_bring(struct ledger_floors *floors, size_t slot,
			 const struct ledger_brought *brought, const struct ledger_instant *now);

/* Puts the ceilings of the account in that slot in the place of the floors of a copy of it. */
void ledger_floors_put(const struct ledger_floors *floors, size_t slot, struct ledger_vm *copy);

static inline void cleanup_ledger_floors_value(struct ledger_floors *const *floors)
{
	ledger_floors_destroy(*floors);
}
#define cleanup_ledger_floors __attribute__((cleanup(cleanup_ledger_floors_value)))

#endif
