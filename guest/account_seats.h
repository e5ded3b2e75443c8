/*
 * account_seats.h: which accounts of a kind are shown by name, and what all of them have used.
 *
 * There are as many seats as accounts are to be shown; what is booked to an account that has no
 * seat is the rest's. So the number of names is bounded, and at any moment
 *
 *     all that was booked = sum over the seats + rest
 *
 * Neither a seat's sum nor the rest's ever decreases:
 *     - Whoever uses energy takes a free seat, or that of one that has ended, or that of the
 *       smallest, where it has used a quarter more in all its life.
 *     - What it used before it had a seat stays in the rest; its seat's sum begins at 0. Seats are
 *       scarce only where more accounts use energy than are shown.
 *     - Who has to go leaves what it has to the rest. It may return, and begins at 0 then, which
 *       Prometheus takes for a counter that was restarted: increase() counts nothing twice.
 *     - A process that becomes another program keeps its seat, and has the new name from then on.
 *     - Whoever ends keeps its seat until another wants it, for as long as it is given: then its
 *       name goes on where it was if it is there again: a service that is restarted.
 *
 * Pure; one thread.
 */
#ifndef WATTPORT_GUEST_ACCOUNT_SEATS_H
#define WATTPORT_GUEST_ACCOUNT_SEATS_H

#include "common/zone.h"
#include "guest/accounts_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a seat is taken for: part of whatever has an account; all zero at first. */
struct account_rank {
	uint64_t energy_uj; /* in all its life */
	uint32_t seat;
	uint32_t serial; /* of who has that seat */
};

struct account_label {
	const char *name;
	const char *detail;
	int32_t pid;
	bool fleeting; /* it has ended already: takes no seat */
};

struct account_amount {
	const uint64_t *zones_uj; /* [zone_count] */
	uint64_t cpu_ns;
};

struct account_seats_options {
	size_t seats;
	bool by_name;	   /* whoever has the name of one that has ended goes on with its seat */
	uint64_t ended_ns; /* one that has ended keeps it for so long at most; 0: for ever */
};

struct account_seats;

int account_seats_create(const struct account_seats_options *options,
			 struct account_seats **ret_seats);
void account_seats_destroy(struct account_seats *seats);

/* Before a round: power is of what is booked from here on. */
void account_seats_begin(struct account_seats *seats, size_t zone_count, uint64_t now_ns);

/* Books to an account; `rank` NULL: to the rest. */
void account_seats_book(struct account_seats *seats, struct account_rank *rank,
			const struct account_label *label, const struct account_amount *amount);

/* Before a count of who lives: nobody is counted yet. */
void account_seats_begin_count(struct account_seats *seats);

/* The account has `members` processes now; once a count for each that lives. */
void account_seats_count(struct account_seats *seats, const struct account_rank *rank,
			 uint32_t members);

/* The account has ended; `rank` is as at first. */
void account_seats_end(struct account_seats *seats, struct account_rank *rank);

/* How many are shown, and they themselves: the group has room for as many. */
size_t account_seats_shown(const struct account_seats *seats);
void account_seats_show(const struct account_seats *seats, uint64_t interval_ns,
			struct accounts_group *group);

static inline void cleanup_account_seats_value(struct account_seats *const *seats)
{
	account_seats_destroy(*seats);
}
#define cleanup_account_seats __attribute__((cleanup(cleanup_account_seats_value)))

#endif
