/*
 * A unit's energy among its processes and their users.
 *
 * The rule: by the CPU time that each has used since the look before. What of the unit's time no
 * process accounts for is the rest's: processes that came and went in between, of which the kernel
 * told nothing. What we do beyond it:
 *   - Processes that ended are among them, by what the kernel tells of their end.
 *   - Of one that was never seen only its end is known, and not its control group. It was its
 *     parent's, where that is known; else that of the unit which has the most time that nobody
 *     accounts for.
 *   - When the kernel tells of an end it has not looked at the clock since the task was scheduled,
 * or since its last tick (kernel/delayacct.c reads se.sum_exec_runtime as it is): it tells up to a
 *     tick too little of each, and of the shortest nothing. So what is left of the unit's time is
 *     theirs alike, up to a tick each.
 *   - The unit's clock is finer than some of its processes', so that these may account for more or
 *     less than there was for a while: the difference is kept, and only what is left of it is taken
 *     for time of nobody.
 *   - Energy without any work (memory that is held) goes by what each has used in all its life.
 */
#include "common/features.h"
#include "guest/accounts_internal.h"
#include "guest/user_names.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The last claim is the rest's. */
#define DIVIDE_PROCESS_MAX (ATTRIBUTION_CLAIM_MAX - 1)

/* Processes may be ahead of their unit's clock by so much: further it is no rounding. */
#define DIVIDE_AHEAD_NS_MAX INT64_C(10000000000)

/* Kernels tick a hundred to a thousand times a second. */
#define DIVIDE_TICK_NS_MAX UINT64_C(10000000)

/* What is known of a unit beside the roster. */
struct accounts_division_unit {
	size_t first; /* of its processes in order[] */
	size_t count;
	uint64_t claimed_ns;
	bool one_user; /* all its processes are that user's */
	uint32_t uid;
};

struct accounts_division {
	struct accounts_division_unit units[UNIT_MAX];
	struct process *order[PROCESS_MAX]; /* by unit */
	size_t order_count;
	uint64_t weights[ATTRIBUTION_CLAIM_MAX];
	struct process *claimants[DIVIDE_PROCESS_MAX];
	struct attribution_claim claims[ATTRIBUTION_CLAIM_MAX];
	struct attribution_scratch scratch;
};

int accounts_division_create(struct accounts_division **ret_division)
{
	*ret_division = calloc(1, sizeof(**ret_division));
	return *ret_division != NULL ? 0 : -ENOMEM;
}

void accounts_division_destroy(struct accounts_division *division)
{
	free(division);
}

/* The user's account; where there is no room for it, that of nobody who lives makes some. */
static struct accounts_user *accounts_user(struct accounts *accounts, uint32_t uid)
{
	struct accounts_user *place = NULL;

	for (size_t i = 0; i < ACCOUNTS_USER_MAX; i++) {
		struct accounts_user *user = &accounts->users[i];

		if (user->used && user->uid == uid)
			return user;
		if ((!user->used && (place == NULL || place->used)) ||
		    (place == NULL && user->members == 0 && user->counted == 0))
			place = user;
	}
	if (place == NULL)
		return NULL;
	if (place->used)
		account_seats_end(accounts->seats[ACCOUNT_USER], &place->rank);
	*place = (struct accounts_user){.used = true, .uid = uid};
	user_name(USER_NAMES_PATH, uid, place->name, sizeof(place->name));
	return place;
}

/* Who counts in a unit: whoever used something, and all for the case that nobody has. */
static void accounts_gather(struct accounts *accounts)
{
	struct accounts_division *division = accounts->division;
	size_t count = process_times_count(accounts->processes);
	size_t first = 0;

	memset(division->units, 0, sizeof(division->units));
	for (size_t i = 0; i < count; i++) {
		const struct process *process = process_times_get(accounts->processes, i);

		if (process->pid != 0 && process->unit < UNIT_MAX)
			division->units[process->unit].count++;
	}
	for (size_t i = 0; i < UNIT_MAX; i++) {
		division->units[i].first = first;
		first += division->units[i].count;
		division->units[i].count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct process *process = process_times_get(accounts->processes, i);
		struct accounts_division_unit *unit;

		if (process->pid == 0 || process->unit >= UNIT_MAX)
			continue;
		unit = &division->units[process->unit];
		unit->one_user = unit->count == 0 || (unit->one_user && unit->uid == process->uid);
		unit->uid = process->uid;
		unit->claimed_ns = features_sum(unit->claimed_ns, process->growth_ns);
		division->order[unit->first + unit->count++] = process;
	}
	division->order_count = first;
}

/* Far beyond every real time, and far from an overflow of sums. */
static int64_t accounts_signed(uint64_t time_ns)
{
	return time_ns < INT64_MAX / 8 ? (int64_t)time_ns : INT64_MAX / 8;
}

/* The unit's time that no process accounts for. */
static int64_t accounts_unclaimed_ns(const struct accounts *accounts, size_t index)
{
	const struct unit *unit = unit_roster_unit(accounts->roster, index);

	if (unit == NULL)
		return INT64_MIN;
	return unit->unseen_ns + accounts_signed(unit->pending_ns) -
	       accounts_signed(accounts->division->units[index].claimed_ns);
}

/* Those whose parents nobody knows were where the most time is left. */
static void accounts_place_orphans(struct accounts *accounts)
{
	bool placed = false;

	for (size_t i = 0; i < process_times_count(accounts->processes); i++) {
		struct process *process = process_times_get(accounts->processes, i);
		size_t best = UNIT_MORE;

		if (process->pid == 0 || process->unit != ACCOUNTS_NO_UNIT)
			continue;
		for (size_t unit = 0; unit < UNIT_MAX; unit++)
			if (accounts_unclaimed_ns(accounts, unit) >
			    accounts_unclaimed_ns(accounts, best))
				best = unit;
		process->unit = (uint32_t)best;
		accounts->division->units[best].claimed_ns =
		    features_sum(accounts->division->units[best].claimed_ns, process->growth_ns);
		placed = true;
	}
	if (placed)
		accounts_gather(accounts);
}

/* What the kernel has left out of those that ended: takes it from what is left over. */
static void accounts_complete_ended(struct accounts_division *division, size_t index,
				    int64_t *unclaimed_ns)
{
	const struct accounts_division_unit *known = &division->units[index];
	uint64_t count = 0, each_ns;

	for (size_t i = 0; i < known->count; i++)
		count += division->order[known->first + i]->told ? 1 : 0;
	if (count == 0 || *unclaimed_ns <= 0)
		return;
	/* Rounded up: the last of them may have less. */
	each_ns = ((uint64_t)*unclaimed_ns + count - 1) / count;
	if (each_ns > DIVIDE_TICK_NS_MAX)
		each_ns = DIVIDE_TICK_NS_MAX;
	for (size_t i = 0; i<known->count && * unclaimed_ns> 0; i++) {
		struct process *process = division->order[known->first + i];
		uint64_t part_ns = each_ns;

		if (!process->told)
			continue;
		if (part_ns > (uint64_t)*unclaimed_ns)
			part_ns = (uint64_t)*unclaimed_ns;
		process->growth_ns = features_sum(process->growth_ns, part_ns);
		*unclaimed_ns -= (int64_t)part_ns;
	}
}

/* The claims' weights; returns how many processes have one, behind which the rest's stands. */
static size_t accounts_weigh(struct accounts *accounts, size_t index, struct unit *unit)
{
	struct accounts_division *division = accounts->division;
	const struct accounts_division_unit *known = &division->units[index];
	int64_t unclaimed_ns = accounts_unclaimed_ns(accounts, index);
	uint64_t beyond_ns = 0;
	size_t count = 0;
	bool used = false;

	accounts_complete_ended(division, index, &unclaimed_ns);
	unit->unseen_ns = unclaimed_ns > 0 ? 0 : unclaimed_ns;
	if (unit->unseen_ns < -DIVIDE_AHEAD_NS_MAX)
		unit->unseen_ns = -DIVIDE_AHEAD_NS_MAX;
	for (size_t i = 0; i < known->count; i++)
		used = used || division->order[known->first + i]->growth_ns > 0;
	for (size_t i = 0; i < known->count; i++) {
		struct process *process = division->order[known->first + i];
		uint64_t weight = process->growth_ns;

		if (!used && unclaimed_ns <= 0 && !process->ended)
			weight = process->time_ns + 1;
		if (weight == 0)
			continue;
		/* For whom there is no room: the rest's, not the others'. */
		if (count == DIVIDE_PROCESS_MAX) {
			beyond_ns = features_sum(beyond_ns, process->growth_ns);
			continue;
		}
		division->claimants[count] = process;
		division->weights[count++] = weight;
	}
	division->weights[count] =
	    features_sum(beyond_ns, unclaimed_ns > 0 ? (uint64_t)unclaimed_ns : 0);
	return count;
}

static void accounts_book_process(struct accounts *accounts, const struct unit *unit,
				  struct process *process, const struct account_amount *amount)
{
	struct accounts_user *user = accounts_user(accounts, process->uid);
	const struct account_label label = {.name = process->comm,
					    .detail = unit->name,
					    .pid = process->pid,
					    .fleeting = process->fleeting};
	const struct account_label owner = {.name = user != NULL ? user->name : "", .detail = ""};

	account_seats_book(accounts->seats[ACCOUNT_PROCESS], &process->rank, &label, amount);
	account_seats_book(accounts->seats[ACCOUNT_USER], user != NULL ? &user->rank : NULL, &owner,
			   amount);
}

/* What no process accounts for: still its users', where they are one. */
static void accounts_book_rest(struct accounts *accounts, size_t index,
			       const struct account_amount *amount)
{
	const struct accounts_division_unit *known = &accounts->division->units[index];
	struct accounts_user *user =
	    known->count > 0 && known->one_user ? accounts_user(accounts, known->uid) : NULL;
	const struct account_label label = {.name = user != NULL ? user->name : "", .detail = ""};

	account_seats_book(accounts->seats[ACCOUNT_PROCESS], NULL, &label, amount);
	account_seats_book(accounts->seats[ACCOUNT_USER], user != NULL ? &user->rank : NULL, &label,
			   amount);
}

/* One unit's energy of one zone; CPU time is told with the first. */
static void accounts_divide_zone(struct accounts *accounts, size_t index, struct unit *unit,
				 size_t zone, size_t count)
{
	struct accounts_division *division = accounts->division;
	uint64_t zones_uj[ZONE_MAX] = {0};
	struct account_amount amount = {.zones_uj = zones_uj};

	for (size_t i = 0; i <= count; i++)
		division->claims[i] =
		    (struct attribution_claim){.weight = division->weights[i], .carry = 0};
	zones_uj[zone] = attribution_divide(unit->pending_uj[zone], division->claims, count + 1,
					    &division->scratch);
	zones_uj[zone] += division->claims[count].share_uj;
	accounts->lost_uj[zone] =
	    features_sum(accounts->lost_uj[zone], division->claims[count].share_uj);
	amount.cpu_ns = zone == 0 ? division->weights[count] : 0;
	accounts_book_rest(accounts, index, &amount);
	for (size_t i = 0; i < count; i++) {
		zones_uj[zone] = division->claims[i].share_uj;
		amount.cpu_ns = zone == 0 ? division->claimants[i]->growth_ns : 0;
		accounts_book_process(accounts, unit, division->claimants[i], &amount);
	}
	unit->pending_uj[zone] = 0;
}

static void accounts_count_users(struct accounts *accounts)
{
	for (size_t i = 0; i < process_times_count(accounts->processes); i++) {
		const struct process *process = process_times_get(accounts->processes, i);
		struct accounts_user *user = process->pid != 0 && !process->ended
						 ? accounts_user(accounts, process->uid)
						 : NULL;

		if (user != NULL)
			user->counted++;
	}
	for (size_t i = 0; i < ACCOUNTS_USER_MAX; i++) {
		accounts->users[i].members = accounts->users[i].counted;
		accounts->users[i].counted = 0;
	}
}

void accounts_divide_processes(struct accounts *accounts)
{
	accounts_take_exits(accounts);
	accounts_count_users(accounts);
	accounts_gather(accounts);
	accounts_place_orphans(accounts);
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = unit_roster_unit(accounts->roster, i);
		size_t count;

		if (unit == NULL)
			continue;
		count = accounts_weigh(accounts, i, unit);
		for (size_t zone = 0; zone < accounts->zone_count; zone++)
			if (unit->pending_uj[zone] > 0 || zone == 0)
				accounts_divide_zone(accounts, i, unit, zone, count);
		unit->pending_ns = 0;
	}
	for (size_t i = 0; i < process_times_count(accounts->processes); i++) {
		struct process *process = process_times_get(accounts->processes, i);

		if (process->pid != 0 && process->ended)
			account_seats_end(accounts->seats[ACCOUNT_PROCESS], &process->rank);
	}
	process_times_forget(accounts->processes);
}
