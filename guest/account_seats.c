#include "guest/account_seats.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ACCOUNT_REST_NAME "(rest)"

__extension__ typedef unsigned __int128 wide;

/* What was booked in all, and in this round. */
struct account_sum {
	uint64_t zones_uj[ZONE_MAX];
	uint64_t round_uj[ZONE_MAX];
	uint64_t cpu_ns;
};

struct account_seat {
	uint32_t serial; /* 0: free */
	bool ended;
	uint64_t ended_ns; /* when */
	uint64_t life_uj;  /* struct account_rank */
	uint32_t members;
	int32_t pid;
	char name[ACCOUNT_NAME_SIZE];
	char detail[ACCOUNT_DETAIL_SIZE];
	struct account_sum sum;
};

struct account_seats {
	struct account_seats_options options;
	size_t zone_count;
	uint64_t now_ns;
	uint32_t serial;   /* the last that was given */
	uint64_t least_uj; /* no seat is taken from others for less; 0: not known */
	size_t rest_count;
	uint32_t rest_members;
	struct account_sum rest;
	struct account_seat seats[];
};

int account_seats_create(const struct account_seats_options *options,
			 struct account_seats **ret_seats)
{
	struct account_seats *seats =
	    calloc(1, sizeof(*seats) + options->seats * sizeof(seats->seats[0]));

	if (seats == NULL)
		return -ENOMEM;
	seats->options = *options;
	*ret_seats = seats;
	return 0;
}

void account_seats_destroy(struct account_seats *seats)
{
	free(seats);
}

/* 2^64 uJ are 584,000 years at 1 W. */
static void account_sum_add(uint64_t *sum, uint64_t added)
{
	if (__builtin_add_overflow(*sum, added, sum))
		*sum = UINT64_MAX;
}

static void account_seats_free(struct account_seats *seats, struct account_seat *seat)
{
	for (size_t i = 0; i < ZONE_MAX; i++) {
		account_sum_add(&seats->rest.zones_uj[i], seat->sum.zones_uj[i]);
		account_sum_add(&seats->rest.round_uj[i], seat->sum.round_uj[i]);
	}
	account_sum_add(&seats->rest.cpu_ns, seat->sum.cpu_ns);
	*seat = (struct account_seat){.serial = 0};
}

void account_seats_begin(struct account_seats *seats, size_t zone_count, uint64_t now_ns)
{
	assert(zone_count <= ZONE_MAX);
	seats->zone_count = zone_count;
	seats->now_ns = now_ns;
	seats->least_uj = 0;
	for (size_t i = 0; i < seats->options.seats; i++) {
		struct account_seat *seat = &seats->seats[i];

		memset(seat->sum.round_uj, 0, sizeof(seat->sum.round_uj));
		if (seat->serial != 0 && seat->ended && seats->options.ended_ns > 0 &&
		    now_ns - seat->ended_ns > seats->options.ended_ns)
			account_seats_free(seats, seat);
	}
	memset(seats->rest.round_uj, 0, sizeof(seats->rest.round_uj));
}

void account_seats_begin_count(struct account_seats *seats)
{
	for (size_t i = 0; i < seats->options.seats; i++)
		seats->seats[i].members = 0;
	seats->rest_count = 0;
	seats->rest_members = 0;
}

static struct account_seat *account_seats_of(struct account_seats *seats,
					     const struct account_rank *rank)
{
	struct account_seat *seat;

	if (rank == NULL || rank->serial == 0)
		return NULL;
	seat = &seats->seats[rank->seat];
	return seat->serial == rank->serial ? seat : NULL;
}

static bool account_seat_has_name(const struct account_seat *seat,
				  const struct account_label *label)
{
	char name[ACCOUNT_NAME_SIZE];

	utf8_copy(name, sizeof(name), label->name);
	return strcmp(seat->name, name) == 0;
}

/* The one that would have to go first: free, of the ended the smallest, of the living likewise. */
static struct account_seat *account_seats_cheapest(struct account_seats *seats)
{
	struct account_seat *best = NULL;

	for (size_t i = 0; i < seats->options.seats; i++) {
		struct account_seat *seat = &seats->seats[i];

		if (seat->serial == 0)
			return seat;
		if (best == NULL || (seat->ended && !best->ended) ||
		    (seat->ended == best->ended && seat->life_uj < best->life_uj))
			best = seat;
	}
	return best;
}

static struct account_seat *account_seats_find_ended(struct account_seats *seats,
						     const struct account_label *label)
{
	for (size_t i = 0; i < seats->options.seats; i++)
		if (seats->seats[i].serial != 0 && seats->seats[i].ended &&
		    seats->seats[i].pid == label->pid &&
		    account_seat_has_name(&seats->seats[i], label))
			return &seats->seats[i];
	return NULL;
}

/* NULL where there is none for it. */
static struct account_seat *account_seats_take(struct account_seats *seats,
					       struct account_rank *rank,
					       const struct account_label *label)
{
	struct account_seat *seat = account_seats_find_ended(seats, label);

	if (label->fleeting)
		return NULL;
	/* Another process of that number and name: two cannot be told apart by these. */
	if (seat != NULL && !seats->options.by_name) {
		account_seats_free(seats, seat);
		seat = NULL;
	}
	if (seat != NULL) {
		account_sum_add(&rank->energy_uj, seat->life_uj);
	} else {
		if (seats->least_uj > 0 && rank->energy_uj <= seats->least_uj)
			return NULL;
		seat = account_seats_cheapest(seats);
		if (seat == NULL)
			return NULL;
		if (seat->serial != 0 && !seat->ended && rank->energy_uj / 5 * 4 <= seat->life_uj) {
			seats->least_uj = seat->life_uj;
			return NULL;
		}
		if (seat->serial != 0)
			account_seats_free(seats, seat);
	}
	seats->serial = seats->serial == UINT32_MAX ? 1 : seats->serial + 1;
	seat->serial = seats->serial;
	seat->ended = false;
	seat->pid = label->pid;
	utf8_copy(seat->name, sizeof(seat->name), label->name);
	utf8_copy(seat->detail, sizeof(seat->detail), label->detail);
	rank->seat = (uint32_t)(seat - seats->seats);
	rank->serial = seat->serial;
	return seat;
}

/* A process that was seen before it became the program that it is now: systemd's "(attportd)". */
static void account_seats_rename(struct account_seats *seats, struct account_seat *seat,
				 const struct account_label *label)
{
	struct account_seat *ended;

	if (seats->options.by_name || account_seat_has_name(seat, label))
		return;
	ended = account_seats_find_ended(seats, label);
	/* Of that number and name there has been one: two cannot be told apart by these. */
	if (ended != NULL)
		account_seats_free(seats, ended);
	utf8_copy(seat->name, sizeof(seat->name), label->name);
}

void account_seats_book(struct account_seats *seats, struct account_rank *rank,
			const struct account_label *label, const struct account_amount *amount)
{
	struct account_seat *seat = account_seats_of(seats, rank);
	struct account_sum *sum = &seats->rest;
	uint64_t total_uj = 0;

	for (size_t i = 0; i < seats->zone_count; i++)
		account_sum_add(&total_uj, amount->zones_uj[i]);
	if (total_uj == 0 && amount->cpu_ns == 0)
		return;
	if (rank != NULL) {
		account_sum_add(&rank->energy_uj, total_uj);
		if (seat == NULL && total_uj > 0)
			seat = account_seats_take(seats, rank, label);
	}
	if (seat != NULL) {
		account_seats_rename(seats, seat, label);
		seat->life_uj = rank->energy_uj;
		sum = &seat->sum;
	}
	for (size_t i = 0; i < seats->zone_count; i++) {
		account_sum_add(&sum->zones_uj[i], amount->zones_uj[i]);
		account_sum_add(&sum->round_uj[i], amount->zones_uj[i]);
	}
	account_sum_add(&sum->cpu_ns, amount->cpu_ns);
}

void account_seats_count(struct account_seats *seats, const struct account_rank *rank,
			 uint32_t members)
{
	struct account_seat *seat = account_seats_of(seats, rank);

	if (seat != NULL) {
		seat->members = members;
		return;
	}
	seats->rest_count++;
	seats->rest_members += members;
}

/* Whether one that lives has that seat's number and name: two cannot be told apart by these. */
static bool account_seats_have_again(const struct account_seats *seats,
				     const struct account_seat *seat)
{
	for (size_t i = 0; i < seats->options.seats; i++) {
		const struct account_seat *other = &seats->seats[i];

		if (other != seat && other->serial != 0 && !other->ended &&
		    other->pid == seat->pid && strcmp(other->name, seat->name) == 0)
			return true;
	}
	return false;
}

void account_seats_end(struct account_seats *seats, struct account_rank *rank)
{
	struct account_seat *seat;

	assert(rank != NULL);
	seat = account_seats_of(seats, rank);
	if (seat != NULL) {
		seat->ended = true;
		seat->ended_ns = seats->now_ns;
		if (!seats->options.by_name && account_seats_have_again(seats, seat))
			account_seats_free(seats, seat);
	}
	*rank = (struct account_rank){.energy_uj = 0};
}

size_t account_seats_shown(const struct account_seats *seats)
{
	size_t shown = 0;

	for (size_t i = 0; i < seats->options.seats; i++)
		shown += seats->seats[i].serial != 0 ? 1 : 0;
	return shown;
}

static uint64_t account_power_uw(uint64_t energy_uj, uint64_t interval_ns)
{
	return interval_ns > 0 ? (uint64_t)((wide)energy_uj * CLOCK_NS_PER_SECOND / interval_ns)
			       : 0;
}

static void account_sum_show(const struct account_seats *seats, const struct account_sum *sum,
			     uint64_t interval_ns, struct account *account)
{
	uint64_t round_uj = 0;

	account->cpu_ns = sum->cpu_ns;
	for (size_t i = 0; i < seats->zone_count; i++) {
		account->zones[i] = (struct account_use){
		    .energy_uj = sum->zones_uj[i],
		    .power_uw = account_power_uw(sum->round_uj[i], interval_ns)};
		account_sum_add(&account->total.energy_uj, sum->zones_uj[i]);
		account_sum_add(&round_uj, sum->round_uj[i]);
	}
	account->total.power_uw = account_power_uw(round_uj, interval_ns);
}

/* The largest first; of equal ones the order is that of their names, so that it does not flicker.
 */
static int account_compare(const void *a, const void *b)
{
	const struct account *first = a, *second = b;

	if (first->total.energy_uj != second->total.energy_uj)
		return first->total.energy_uj > second->total.energy_uj ? -1 : 1;
	if (strcmp(first->name, second->name) != 0)
		return strcmp(first->name, second->name);
	return first->pid < second->pid ? -1 : first->pid > second->pid;
}

void account_seats_show(const struct account_seats *seats, uint64_t interval_ns,
			struct accounts_group *group)
{
	size_t shown = 0;

	for (size_t i = 0; i < seats->options.seats; i++) {
		const struct account_seat *seat = &seats->seats[i];
		struct account *account;

		if (seat->serial == 0)
			continue;
		assert(shown < group->count);
		account = &group->accounts[shown++];
		memcpy(account->name, seat->name, sizeof(account->name));
		memcpy(account->detail, seat->detail, sizeof(account->detail));
		account->pid = seat->pid;
		account->members = seat->members;
		account_sum_show(seats, &seat->sum, interval_ns, account);
	}
	assert(shown == group->count);
	qsort(group->accounts, group->count, sizeof(group->accounts[0]), account_compare);
	group->rest_count = seats->rest_count;
	group->rest.members = seats->rest_members;
	memcpy(group->rest.name, ACCOUNT_REST_NAME, sizeof(ACCOUNT_REST_NAME));
	account_sum_show(seats, &seats->rest, interval_ns, &group->rest);
}
