/* The view of a tick: what is in the accounts' parts, copied for whoever shows it. */
#include "guest/accounts_internal.h"
#include "guest/accounts_view_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static uint64_t accounts_sum(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t accounts_power_uw(const struct accounts *accounts, uint64_t energy_uj)
{
	if (accounts->interval_ns == 0)
		return 0;
	return (uint64_t)((wide)energy_uj * CLOCK_NS_PER_SECOND / accounts->interval_ns);
}

static void accounts_add_zone(struct accounts_zone *total, const struct accounts_zone *zone)
{
	total->energy_uj = accounts_sum(total->energy_uj, zone->energy_uj);
	total->idle_uj = accounts_sum(total->idle_uj, zone->idle_uj);
	total->other_uj = accounts_sum(total->other_uj, zone->other_uj);
	total->power_uw = accounts_sum(total->power_uw, zone->power_uw);
	total->idle_power_uw = accounts_sum(total->idle_power_uw, zone->idle_power_uw);
}

static void accounts_show_zones(struct accounts *accounts, struct accounts_view *view)
{
	(void)snprintf(view->total.id, sizeof(view->total.id), "total");
	for (size_t i = 0; i < accounts->zone_count; i++) {
		const struct ledger_zone *booked = &ledger_host_const(accounts->ledger)->zones[i];
		struct accounts_zone *zone = &view->zones[i];

		memcpy(zone->id, accounts->zones[i].id, sizeof(zone->id));
		zone->energy_uj = booked->energy_uj;
		zone->idle_uj = booked->idle_uj;
		zone->other_uj = accounts_sum(booked->other_uj, booked->away_uj);
		zone->power_uw =
		    accounts_power_uw(accounts, booked->energy_uj - accounts->told_uj[i]);
		zone->idle_power_uw = booked->idle_power_uw;
		accounts->told_uj[i] = booked->energy_uj;
		if (booked->calibration_error_ppm > view->calibration_error_ppm &&
		    !booked->calibration_learning)
			view->calibration_error_ppm = booked->calibration_error_ppm;
		accounts_add_zone(&view->total, zone);
	}
}

static void accounts_count_groups(struct accounts *accounts)
{
	for (int kind = ACCOUNT_SLICE; kind < ACCOUNT_KIND_COUNT; kind++) {
		struct unit_group *groups =
		    unit_roster_groups(accounts->roster, (enum account_kind)kind);

		for (size_t i = 0; i < UNIT_GROUP_MAX; i++)
			groups[i].members = 0;
	}
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = unit_roster_unit(accounts->roster, i);

		for (size_t k = 0; unit != NULL && k < unit->parent_count; k++)
			if (unit->parents[k] != NULL)
				unit->parents[k]->members += unit->members;
	}
}

static void accounts_count_processes(struct accounts *accounts)
{
	for (size_t i = 0; i < process_times_count(accounts->processes); i++) {
		const struct process *process = process_times_get(accounts->processes, i);

		if (process->pid != 0 && !process->ended)
			account_seats_count(accounts->seats[ACCOUNT_PROCESS], &process->rank, 1);
	}
	for (size_t i = 0; i < ACCOUNTS_USER_MAX; i++)
		if (accounts->users[i].used && accounts->users[i].members > 0)
			account_seats_count(accounts->seats[ACCOUNT_USER], &accounts->users[i].rank,
					    accounts->users[i].members);
	accounts_count_groups(accounts);
}

/* How many processes live in each, and in all that have no seat. */
static void accounts_count_members(struct accounts *accounts)
{
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		account_seats_begin_count(accounts->seats[kind]);
	accounts_count_processes(accounts);
	for (size_t i = 0; i < UNIT_MAX; i++) {
		const struct unit *unit = unit_roster_unit(accounts->roster, i);

		if (unit != NULL && (unit->cgroups > 0 || unit->members > 0))
			account_seats_count(accounts->seats[ACCOUNT_UNIT],
					    i == UNIT_MORE ? NULL : &unit->rank, unit->members);
	}
	for (int kind = ACCOUNT_SLICE; kind < ACCOUNT_KIND_COUNT; kind++) {
		const struct unit_group *groups =
		    unit_roster_groups(accounts->roster, (enum account_kind)kind);

		for (size_t i = 0; i < UNIT_GROUP_MAX; i++)
			if (groups[i].units > 0)
				account_seats_count(accounts->seats[kind], &groups[i].rank,
						    groups[i].members);
	}
}

/* What waits in the units is in no process' and no user's account yet. */
static void accounts_show_pending(const struct accounts *accounts, struct accounts_view *view)
{
	static const enum account_kind kinds[] = {ACCOUNT_PROCESS, ACCOUNT_USER};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct accounts_group *group = &view->groups[kinds[k]];

		for (size_t i = 0; i < UNIT_MAX; i++) {
			const struct unit *unit = unit_roster_unit(accounts->roster, i);

			for (size_t zone = 0; unit != NULL && zone < view->zone_count; zone++) {
				group->pending_zones_uj[zone] += unit->pending_uj[zone];
				group->pending_uj += unit->pending_uj[zone];
			}
		}
	}
	for (size_t zone = 0; zone < view->zone_count; zone++)
		view->groups[ACCOUNT_PROCESS].lost_uj += accounts->lost_uj[zone];
}

static void accounts_show_exits(const struct accounts *accounts, struct accounts_view *view)
{
	struct accounts_exits *exits = &view->exits;

	exits->counted = accounts->exits != NULL;
	if (accounts->exits == NULL) {
		(void)snprintf(exits->reason, sizeof(exits->reason), "%s",
			       accounts->exits_reason.text);
		return;
	}
	exits->ended = process_exits_ended(accounts->exits);
	exits->lost = process_exits_lost(accounts->exits);
}

/* Each kind that has everything in it, against the zones: the promise of accounts_view.h. */
static void accounts_check(const struct accounts_view *view)
{
	static const enum account_kind whole[] = {ACCOUNT_UNIT, ACCOUNT_USER, ACCOUNT_PROCESS};

	for (size_t k = 0; k < sizeof(whole) / sizeof(whole[0]); k++) {
		const struct accounts_group *group = &view->groups[whole[k]];

		for (size_t i = 0; i < view->zone_count; i++) {
			const struct accounts_zone *zone = &view->zones[i];
			uint64_t sum_uj = group->rest.zones[i].energy_uj + zone->idle_uj +
					  zone->other_uj + group->pending_zones_uj[i];

			for (size_t account = 0; account < group->count; account++)
				sum_uj += group->accounts[account].zones[i].energy_uj;
			assert(sum_uj == zone->energy_uj);
			(void)sum_uj;
		}
	}
}

int accounts_show(struct accounts *accounts)
{
	struct accounts_view_shape shape = {.zone_count = accounts->zone_count};
	struct accounts_view *view;
	int status;

	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		shape.counts[kind] = account_seats_shown(accounts->seats[kind]);
	status = accounts_view_create(&shape, &view);
	if (status < 0)
		return status;
	view->reading = accounts->reading;
	view->wall_ns = clock_now_wall(accounts->clock).ns;
	view->interval_ns = accounts->interval_ns;
	view->age_ns = clock_elapsed_ns(accounts->begin, accounts->last);
	view->steal_ns = sampler_guest_steal_ns(accounts->sampler);
	accounts_show_zones(accounts, view);
	accounts_count_members(accounts);
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		account_seats_show(accounts->seats[kind],
				   kind == ACCOUNT_PROCESS || kind == ACCOUNT_USER
				       ? accounts->looks.interval_ns
				       : accounts->interval_ns,
				   &view->groups[kind]);
	view->process_period_ns = accounts->looks.interval_ns;
	accounts_show_pending(accounts, view);
	accounts_show_exits(accounts, view);
	accounts_check(view);
	accounts_view_release(accounts->view);
	accounts->view = view;
	return 0;
}
