/*
 * The round of a tick:
 *
 *   1. a reading of the meter; without one nothing is divided until there is one again
 *   2. CPU times: of the CPUs, the control groups, their processes
 *   3. the engine divides each zone's energy among the units
 *   4. what each unit got goes on to its slices, container, pod and job, and to its processes
 *   5. the view
 *
 * To the engine the meter's totals are counters that never wrap, so what is divided is what the
 * meter shows, to the microjoule.
 */
#include "common/cleanup.h"
#include "common/features.h"
#include "common/ledger.h"
#include "guest/accounts_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define ACCOUNTS_RANGE_UJ (UINT64_MAX / 2)

/* Whoever has ended is shown for so long, where nobody else wants the seat. */
#define ACCOUNTS_PROCESS_ENDED_NS (60 * CLOCK_NS_PER_SECOND)

/* Beside what is kept of control groups and processes: connections, outputs, the source, lists. */
#define ACCOUNTS_DESCRIPTORS (CGROUP_DESCRIPTOR_MAX + PROCESS_DESCRIPTOR_MAX + 1024)

/*
 * The usual limit of 1,024 descriptors is less than what is kept. Where it is reached nothing can
 * be opened any more: neither what the host says of its figures nor a connection.
 */
static void accounts_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= ACCOUNTS_DESCRIPTORS)
		return;
	limit.rlim_cur =
	    limit.rlim_max < ACCOUNTS_DESCRIPTORS ? limit.rlim_max : ACCOUNTS_DESCRIPTORS;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int accounts_create_seats(struct accounts *accounts)
{
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++) {
		const struct account_seats_options options = {
		    .seats = accounts->options.top,
		    .by_name = kind != ACCOUNT_PROCESS,
		    .ended_ns = kind == ACCOUNT_PROCESS ? ACCOUNTS_PROCESS_ENDED_NS : 0,
		};
		int status = account_seats_create(&options, &accounts->seats[kind]);

		if (status < 0)
			return status;
	}
	return 0;
}

static int accounts_create_parts(struct accounts *accounts)
{
	const struct topology *topology = sampler_guest_topology(accounts->sampler);
	int status = cgroup_times_create(&accounts->mounts, &accounts->cgroups);

	if (status == 0)
		status = unit_roster_create(topology->cpu_count, &accounts->roster);
	if (status == 0)
		status =
		    process_times_create(accounts->root, accounts->clock, &accounts->processes);
	if (status == 0)
		status = accounts_division_create(&accounts->division);
	if (status == 0)
		status = ledger_create(&accounts->ledger);
	return status == 0 ? accounts_create_seats(accounts) : status;
}

int accounts_create(const struct sysroot *root, const struct clock *clock, struct meter *meter,
		    const struct accounts_options *options, struct accounts **ret_accounts,
		    struct diag *diag)
{
	cleanup_accounts struct accounts *accounts = calloc(1, sizeof(*accounts));
	int status;

	if (accounts == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	accounts->mounts = (struct cgroup_mounts){.time_fd = -1, .memory_fd = -1};
	accounts->root = root;
	accounts->clock = clock;
	accounts->meter = meter;
	accounts->options = *options;
	if (accounts->options.top == 0)
		accounts->options.top = ACCOUNTS_TOP_DEFAULT;
	assert(accounts->options.top <= ACCOUNTS_TOP_MAX);
	accounts_raise_limit();
	status = sampler_guest_create(root, clock, &accounts->sampler, diag);
	if (status < 0)
		return status;
	/* Without control groups all is one unit. */
	(void)cgroup_mounts_open(root, &accounts->mounts);
	status = accounts_create_parts(accounts);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	accounts->looks.every = 1;
	accounts->exits_since_ns = clock_now_mono(clock).ns;
	if (options->exits)
		(void)process_exits_open(root, &accounts->exits, &accounts->exits_reason);
	*ret_accounts = TAKE_PTR(accounts);
	return 0;
}

void accounts_destroy(struct accounts *accounts)
{
	if (accounts == NULL)
		return;
	accounts_view_release(accounts->view);
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		account_seats_destroy(accounts->seats[kind]);
	engine_destroy(accounts->engine);
	ledger_destroy(accounts->ledger);
	process_exits_close(accounts->exits);
	accounts_division_destroy(accounts->division);
	process_times_destroy(accounts->processes);
	unit_roster_destroy(accounts->roster);
	cgroup_times_destroy(accounts->cgroups);
	cgroup_mounts_close(&accounts->mounts);
	sampler_guest_destroy(accounts->sampler);
	free(accounts);
}

const struct accounts_view *accounts_latest(const struct accounts *accounts)
{
	return accounts_view_acquire(accounts->view);
}

/* Packages or their dies, and DRAM on top of them. */
static bool accounts_adds_up(const struct meter_zone *zone)
{
	return zone->kind == ZONE_PACKAGE || zone->kind == ZONE_DRAM;
}

static int accounts_open_engine(struct accounts *accounts)
{
	const struct engine_config config = {
	    .idle = ATTRIBUTION_IDLE_NONE,
	    .guest_view_exact = true,
	    .package = accounts->options.package,
	    .dram = accounts->options.dram,
	};

	engine_destroy(accounts->engine);
	accounts->engine = NULL;
	/* What an engine before has read is of no use to one that knows other zones. */
	ledger_forget_readings(accounts->ledger);
	return engine_create(&config, sampler_guest_topology(accounts->sampler), accounts->zones,
			     accounts->zone_count, accounts->ledger, &accounts->engine);
}

/* Zones may come while the agent runs: another tree is mounted. They stay, like the meter's. */
static int accounts_take_zones(struct accounts *accounts)
{
	const struct meter_reading *reading = &accounts->reading;
	size_t before = accounts->zone_count;

	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		struct zone *added = &accounts->zones[accounts->zone_count];

		if (!accounts_adds_up(zone) ||
		    zone_find(accounts->zones, accounts->zone_count, zone->id) >= 0)
			continue;
		assert(accounts->zone_count < ZONE_MAX);
		*added = (struct zone){.kind = zone->kind,
				       .package = zone->package,
				       .die = zone->die,
				       .range_uj = ACCOUNTS_RANGE_UJ};
		memcpy(added->id, zone->id, sizeof(added->id));
		accounts->divides_dram = accounts->divides_dram || zone->kind == ZONE_DRAM;
		accounts->zone_count++;
	}
	if (accounts->engine != NULL && accounts->zone_count == before)
		return 0;
	return accounts->zone_count > 0 ? accounts_open_engine(accounts) : 0;
}

/* Every zone has its place in the reading: the meter forgets none. */
static void accounts_find_zones(const struct accounts *accounts, size_t ret_zones[])
{
	for (size_t i = 0; i < accounts->zone_count; i++) {
		ret_zones[i] = 0;
		for (size_t k = 0; k < accounts->reading.zone_count; k++)
			if (strcmp(accounts->reading.zones[k].id, accounts->zones[i].id) == 0)
				ret_zones[i] = k;
	}
}

/* What the engine has booked to the unit since it was last asked. */
static void accounts_take_growth(struct accounts *accounts, struct unit *unit, uint64_t grown_uj[])
{
	int slot = ledger_find(accounts->ledger, &unit->uuid);
	const struct ledger_vm *account;

	memset(grown_uj, 0, accounts->zone_count * sizeof(grown_uj[0]));
	if (slot < 0)
		return;
	account = ledger_vm_const(accounts->ledger, (size_t)slot);
	for (size_t i = 0; i < accounts->zone_count; i++) {
		uint64_t total_uj = ledger_share_total_uj(&account->shares[i]);

		assert(total_uj >= unit->booked_uj[i]);
		grown_uj[i] = total_uj - unit->booked_uj[i];
		unit->booked_uj[i] = total_uj;
	}
}

static void accounts_book_unit(struct accounts *accounts, size_t index, struct unit *unit)
{
	uint64_t grown_uj[ZONE_MAX];
	const struct account_amount amount = {.zones_uj = grown_uj, .cpu_ns = unit->growth_ns};
	const struct account_label label = {.name = unit->name, .detail = unit->detail};

	accounts_take_growth(accounts, unit, grown_uj);
	account_seats_book(accounts->seats[ACCOUNT_UNIT], index == UNIT_MORE ? NULL : &unit->rank,
			   &label, &amount);
	for (size_t i = 0; i < unit->parent_count; i++) {
		struct unit_group *group = unit->parents[i];
		const struct account_label parent = {.name = group != NULL ? group->name : "",
						     .detail = group != NULL ? group->detail : ""};

		account_seats_book(accounts->seats[unit->parent_kinds[i]],
				   group != NULL ? &group->rank : NULL, &parent, &amount);
	}
	for (size_t i = 0; i < accounts->zone_count; i++)
		unit->pending_uj[i] += grown_uj[i];
	unit->pending_ns += unit->growth_ns;
}

static void accounts_leave(void *context, size_t index, struct unit *unit)
{
	struct accounts *accounts = context;
	int slot = ledger_find(accounts->ledger, &unit->uuid);

	account_seats_end(accounts->seats[ACCOUNT_UNIT], &unit->rank);
	process_times_leave(accounts->processes, (uint32_t)index);
	if (slot >= 0)
		(void)ledger_depart(accounts->ledger, (size_t)slot);
}

static void accounts_leave_group(void *context, struct unit_group *group)
{
	struct accounts *accounts = context;

	account_seats_end(accounts->seats[group->kind], &group->rank);
}

static int accounts_divide(struct accounts *accounts)
{
	const struct sample *sample;
	size_t zones[ZONE_MAX];
	int status;

	accounts_find_zones(accounts, zones);
	status = sampler_guest_fill(accounts->sampler, accounts->roster, &accounts->reading, zones,
				    accounts->zone_count, &sample);
	/* Units that found no memory count as other; conservation holds. */
	(void)engine_step(accounts->engine, sample);
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = unit_roster_unit(accounts->roster, i);

		if (unit != NULL)
			accounts_book_unit(accounts, i, unit);
	}
	if (accounts->looks.now) {
		struct mono_time begin = clock_now_mono(accounts->clock);

		accounts_divide_processes(accounts);
		/* With many that ended this takes longer than the look itself. */
		accounts->looks.cost_ns =
		    features_sum(accounts->looks.cost_ns,
				 clock_elapsed_ns(begin, clock_now_mono(accounts->clock)));
		unit_roster_leave(accounts->roster, accounts_leave, accounts_leave_group, accounts);
	}
	return status;
}

/* Power is of the last tick; of processes and users of the last look at them. */
static void accounts_begin_seats(struct accounts *accounts)
{
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		if (accounts->looks.now || !accounts->reading.up ||
		    (kind != ACCOUNT_PROCESS && kind != ACCOUNT_USER))
			account_seats_begin(accounts->seats[kind], accounts->zone_count,
					    accounts->reading.time.ns);
}

/* An agent that starts early, in an initramfs or before systemd is done, comes before they are
 * mounted. What was told of the root unit until then stays there. */
static void accounts_find_cgroups(struct accounts *accounts)
{
	if (accounts->mounts.version != CGROUP_NONE || !accounts->looks.now)
		return;
	cgroup_mounts_close(&accounts->mounts);
	(void)cgroup_mounts_open(accounts->root, &accounts->mounts);
}

static void accounts_take_times(struct accounts *accounts)
{
	struct mono_time begin;

	accounts_find_cgroups(accounts);
	(void)sampler_guest_read(accounts->sampler, accounts->reading.time);
	/* What finds no room counts in what is above it, or in the rest. */
	(void)cgroup_times_step(accounts->cgroups);
	unit_roster_step(accounts->roster, accounts->cgroups, accounts->divides_dram);
	if (!accounts->looks.now)
		return;
	begin = clock_now_mono(accounts->clock);
	(void)process_times_look(accounts->processes, accounts->cgroups, accounts->mounts.version,
				 accounts->roster, sampler_guest_topology(accounts->sampler));
	accounts->looks.cost_ns = clock_elapsed_ns(begin, clock_now_mono(accounts->clock));
	accounts->looks.interval_ns =
	    accounts->begun ? clock_elapsed_ns(accounts->looks.last, accounts->reading.time) : 0;
	accounts->looks.last = accounts->reading.time;
}

/* Where many processes live, looking at all of them is done less often. */
static void accounts_plan_look(struct accounts *accounts)
{
	struct accounts_looks *looks = &accounts->looks;
	uint64_t cost_ns = features_scale(looks->cost_ns, ACCOUNTS_LOOK_COST, 1);

	if (!looks->now) {
		looks->left--;
		return;
	}
	if (looks->interval_ns > 0 && cost_ns > looks->interval_ns &&
	    looks->every < ACCOUNTS_LOOK_TICKS_MAX)
		looks->every *= 2;
	else if (cost_ns < looks->interval_ns / 4 && looks->every > 1)
		looks->every /= 2;
	looks->left = looks->every - 1;
}

int accounts_tick(struct accounts *accounts)
{
	uint64_t before_ns = accounts->last.ns;
	int status;

	accounts->interval_ns = 0;
	accounts->looks.now = accounts->looks.left == 0;
	meter_read(accounts->meter, &accounts->reading);
	if (accounts->reading.up) {
		status = accounts_take_zones(accounts);
		if (status < 0)
			return status;
	}
	accounts_begin_seats(accounts);
	/* Of no process power is known now: the next tick does not wait for it. */
	if (!accounts->reading.up)
		accounts->looks.left = 0;
	if (!accounts->reading.up || accounts->engine == NULL)
		return accounts_show(accounts);
	accounts_take_times(accounts);
	accounts->last = accounts->reading.time;
	if (accounts->begun)
		accounts->interval_ns = accounts->last.ns - before_ns;
	else
		accounts->begin = accounts->last;
	accounts->begun = true;
	status = accounts_divide(accounts);
	accounts_plan_look(accounts);
	return accounts_show(accounts) < 0 ? -ENOMEM : status;
}
