/*
 * leak: what a guest's own counter tells it about a neighbour.
 *
 *     leak [--seconds N] [--learn N] [--seed N] [--turbo]
 *
 * A simulated host of 16 cores. The neighbour drives 8 of them, and switches 32 W on and off every
 * 20 s; the guest runs a constant load on 4 others and reads its own counter at a steady rate; a
 * third machine and the host's own threads do what they like on the rest. After a quarter of an
 * hour of learning, an hour of readings is divided by whether the neighbour was on:
 *
 *   d'           |mean on - mean off| / pooled standard deviation, of the power in a reading
 *   correlation  of that power with the neighbour's state
 *   steady d'    median over the neighbour's cycles of |mean on - mean off|, by the deviation
 * within a cycle's halves: steps of the guest's own coefficients widen the deviation of all
 *                readings, and could hide a leak that each cycle shows
 *
 * With n readings a counter that tells nothing still shows a d' of about 1.6 / sqrt(n).
 */
#include "common/cleanup.h"
#include "common/engine.h"
#include "common/parse.h"
#include "tests/bench/leak_score.h"
#include "tests/sim/observer.h"
#include "tests/sim/peers.h"
#include "tests/sim/power.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>

#define CORES	       16
#define NEIGHBOUR_CPUS 8
#define NEIGHBOUR_W    32.0
#define GUEST_CPUS     4
#define GUEST_LEVEL    0.6
#define THIRD_CPUS     2
#define HALF_CYCLE_S   20
#define MICRO	       1e-6
#define FLOOR_FACTOR   1.6

enum leak_view {
	LEAK_ISOLATED,
	LEAK_ISOLATED_EVENTS,
	LEAK_EXACT,
	LEAK_PEERS,
	LEAK_VIEW_COUNT = LEAK_PEERS + PEER_COUNT,
};

struct leak_options {
	uint64_t seconds;
	uint64_t learn_s;
	uint64_t seed;
	bool turbo;
};

struct leak {
	struct world *world;
	struct observer *observer;
	struct sample sample;
	struct peers *peers;
	struct ledger *ledgers[LEAK_PEERS];
	struct engine *engines[LEAK_PEERS];
	int neighbour, guest;
};

static void leak_finish(struct leak *leak)
{
	for (size_t i = 0; i < LEAK_PEERS; i++) {
		engine_destroy(leak->engines[i]);
		ledger_destroy(leak->ledgers[i]);
	}
	peers_destroy(leak->peers);
	sample_finish(&leak->sample);
	observer_destroy(leak->observer);
	world_destroy(leak->world);
}
#define cleanup_leak __attribute__((cleanup(leak_finish)))

static const char *leak_view_name(size_t view)
{
	static const char *const names[LEAK_PEERS] = {
	    [LEAK_ISOLATED] = "isolated, time",
	    [LEAK_ISOLATED_EVENTS] = "isolated, events",
	    [LEAK_EXACT] = "exact",
	};

	return view < LEAK_PEERS ? names[view] : peer_names[view - LEAK_PEERS];
}

/* One core at full load costs the eighth part of what the neighbour switches. */
static void leak_set_cost(const struct hardware *hardware, struct profile *profile)
{
	double ghz = hardware->governor == GOVERNOR_FIXED ? hardware->ghz_base
							  : power_turbo_ghz(hardware, 0.75);
	double volts = power_volts(hardware, ghz);
	double scale = volts * volts * ghz;
	double fixed_w = scale * (hardware->core_base_w + hardware->core_clock_w) +
			 volts * hardware->core_leak_w;

	profile->clock_scale = 1;
	profile->instruction_w =
	    (NEIGHBOUR_W / NEIGHBOUR_CPUS - fixed_w) / (scale * power_ipc(hardware, profile, ghz));
}

static int leak_add(struct world *world, size_t first_cpu, size_t cpus, const struct load *load)
{
	int vm = world_add_vm(world, cpus, 2.0 * (double)cpus, load);

	for (size_t i = 0; vm >= 0 && i < cpus; i++)
		world_pin(world, world->vms[vm].vcpus[i], first_cpu + i);
	return vm;
}

static int leak_populate(struct leak *leak, const struct hardware *hardware, struct dice *dice)
{
	struct load given = {.pattern = LOAD_GIVEN, .profile_count = 1, .switch_at_s = 1e18};
	struct load third;

	profile_draw(&given.profiles[0], PROFILE_INTEGER, dice);
	load_draw(&third, HOST_MIXED, &given.profiles[0], 0, dice);
	given.level = GUEST_LEVEL;
	leak->guest = leak_add(leak->world, NEIGHBOUR_CPUS, GUEST_CPUS, &given);
	if (leak->guest < 0 ||
	    leak_add(leak->world, NEIGHBOUR_CPUS + GUEST_CPUS, THIRD_CPUS, &third) < 0)
		return -ENOSPC;
	leak_set_cost(hardware, &given.profiles[0]);
	given.level = 0;
	leak->neighbour = leak_add(leak->world, 0, NEIGHBOUR_CPUS, &given);
	return leak->neighbour < 0 ? leak->neighbour : 0;
}

static int leak_init(struct leak *leak, const struct leak_options *options)
{
	const struct trace_head *head;
	struct hardware hardware;
	struct dice dice;
	int status;

	dice_init(&dice, options->seed, 11);
	hardware_draw(&hardware, HOST_SMT, &dice);
	hardware.sockets = 1;
	hardware.cores = CORES;
	hardware.threads = 1;
	hardware.core_base_w = 0.3;
	hardware.core_clock_w = 0.2;
	hardware.core_leak_w = 0.2;
	hardware.instruction_scale = 1;
	hardware.governor = options->turbo ? GOVERNOR_TURBO : GOVERNOR_FIXED;
	status = world_create_empty(&hardware, options->seed, &leak->world);
	if (status == 0)
		status = leak_populate(leak, &hardware, &dice);
	if (status == 0)
		status = observer_create(leak->world, options->seed, &leak->observer);
	if (status < 0)
		return status;
	head = observer_head(leak->observer);
	status = sample_init(&leak->sample, head->topology->cpu_count);
	if (status == 0)
		status = peers_create(head, &leak->peers);
	for (size_t i = 0; status == 0 && i < LEAK_PEERS; i++) {
		struct engine_config config = {.idle = ATTRIBUTION_IDLE_VCPU,
					       .guest_view_exact = i == LEAK_EXACT};

		status = ledger_create(&leak->ledgers[i]);
		if (status == 0)
			status =
			    engine_create(&config, head->topology, head->zones, head->zone_count,
					  leak->ledgers[i], &leak->engines[i]);
	}
	return status;
}

static int leak_step(struct leak *leak, double seconds)
{
	int status;

	world_advance(leak->world, seconds);
	status = observer_sample(leak->observer, &leak->sample);
	if (status == 0)
		status = engine_step(leak->engines[LEAK_ISOLATED_EVENTS], &leak->sample);
	observer_strip_events(&leak->sample);
	if (status == 0)
		status = engine_step(leak->engines[LEAK_ISOLATED], &leak->sample);
	if (status == 0)
		status = engine_step(leak->engines[LEAK_EXACT], &leak->sample);
	peers_step(leak->peers, &leak->sample);
	return status;
}

/* What the guest reads by now, in joules. */
static double leak_read(const struct leak *leak, size_t view)
{
	struct uuid uuid = observer_uuid(&leak->world->vms[leak->guest]);
	const struct ledger_vm *account;
	int slot;

	if (view >= LEAK_PEERS)
		return peers_share(leak->peers, &uuid).total_j[view - LEAK_PEERS];
	slot = ledger_find(leak->ledgers[view], &uuid);
	if (slot < 0)
		return 0;
	account = ledger_vm_const(leak->ledgers[view], (size_t)slot);
	return MICRO * (double)(account->guest[0].zone_uj[ZONE_PACKAGE] +
				account->guest[0].zone_uj[ZONE_DRAM]);
}

static int leak_watch(struct leak *leak, uint64_t seconds, unsigned int per_s,
		      struct leak_score *scores[])
{
	double period_s = 1.0 / per_s;
	double before_j[LEAK_VIEW_COUNT];
	int status = 0;

	for (size_t view = 0; view < LEAK_VIEW_COUNT; view++)
		before_j[view] = leak_read(leak, view);
	for (uint64_t i = 0; status == 0 && i < seconds * per_s; i++) {
		bool on = i / per_s / HALF_CYCLE_S % 2 == 1;

		if (i % (2 * (uint64_t)HALF_CYCLE_S * per_s) == 0 && scores != NULL)
			for (size_t view = 0; view < LEAK_VIEW_COUNT; view++)
				leak_score_cycle(scores[view]);
		leak->world->vms[leak->neighbour].load.level = on ? 1 : 0;
		status = leak_step(leak, period_s);
		for (size_t view = 0; view < LEAK_VIEW_COUNT && scores != NULL; view++) {
			double now_j = leak_read(leak, view);

			leak_score_add(scores[view], on, (now_j - before_j[view]) / period_s);
			before_j[view] = now_j;
		}
	}
	return status;
}

/* The scores of all views with readings at that rate. */
static int leak_measure(const struct leak_options *options, unsigned int per_s,
			struct leak_score *scores[])
{
	cleanup_leak struct leak leak = {.world = NULL};
	int status = leak_init(&leak, options);

	if (status == 0)
		status = leak_watch(&leak, options->learn_s, 1, NULL);
	if (status == 0)
		status = leak_watch(&leak, options->seconds, per_s, scores);
	return status;
}

static int leak_report(const struct leak_options *options, unsigned int per_s)
{
	struct leak_score *scores[LEAK_VIEW_COUNT] = {NULL};
	int status = 0;

	for (size_t view = 0; status == 0 && view < LEAK_VIEW_COUNT; view++)
		status = leak_score_create(&scores[view]);
	if (status == 0)
		status = leak_measure(options, per_s, scores);
	if (status == 0) {
		double n = (double)(options->seconds * per_s);

		(void)printf("\n### %u Hz for %" PRIu64 " s%s: nothing told is a d' of %.3f\n\n"
			     "| view | mean W | d' | correlation | steady d' |\n"
			     "|---|---|---|---|---|\n",
			     per_s, options->seconds, options->turbo ? ", turbo" : "",
			     FLOOR_FACTOR / sqrt(n));
	}
	for (size_t view = 0; view < LEAK_VIEW_COUNT; view++) {
		if (status == 0) {
			struct leak_result result = leak_score_result(scores[view]);

			(void)printf("| %s | %.2f | %.3f | %+.3f | %.3f |\n", leak_view_name(view),
				     result.mean_w, result.distance, result.correlation,
				     result.steady_distance);
		}
		leak_score_destroy(scores[view]);
	}
	(void)fflush(stdout);
	return status;
}

static bool leak_parse(int argc, char *argv[], struct leak_options *options)
{
	static const struct option longs[] = {
	    {"seconds", required_argument, NULL, 'n'},
	    {"learn", required_argument, NULL, 'l'},
	    {"seed", required_argument, NULL, 's'},
	    {"turbo", no_argument, NULL, 't'},
	    {NULL, 0, NULL, 0},
	};
	bool good = true;
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t *value = letter == 'n'	  ? &options->seconds
				  : letter == 'l' ? &options->learn_s
						  : &options->seed;

		if (letter == 't')
			options->turbo = true;
		else if (letter == '?')
			return false;
		else
			good = parse_u64(optarg, value) == 0 && *value <= UINT32_MAX && good;
	}
	return good && optind == argc && options->seconds > 0;
}

int main(int argc, char *argv[])
{
	struct leak_options options = {.seconds = 3600, .learn_s = 900, .seed = 1};
	int status;

	if (!leak_parse(argc, argv, &options)) {
		(void)fputs("usage: leak [--seconds N] [--learn N] [--seed N] [--turbo]\n", stderr);
		return 2;
	}
	status = leak_report(&options, 1);
	if (status == 0)
		status = leak_report(&options, 100);
	if (status < 0) {
		(void)fprintf(stderr, "leak: %s\n", strerror(-status));
		return 1;
	}
	return 0;
}
