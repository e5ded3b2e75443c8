#include "tests/unit/output_fixture.h"

#include <stdio.h>

#define FIXTURE_ZONES 2

static struct accounts_zone fixture_zones[FIXTURE_ZONES];
static struct account_use fixture_uses[16][FIXTURE_ZONES];
static struct account fixture_units[2], fixture_processes[2], fixture_containers[1];
static size_t fixture_use_count;
static uint64_t fixture_pending[FIXTURE_ZONES] = {300, 100};

static struct meter_zone fixture_zone(const char *id, const char *place, uint64_t energy_uj,
				      uint64_t power_uw)
{
	struct meter_zone zone = {.available = true,
				  .energy_uj = energy_uj,
				  .has_power = power_uw > 0,
				  .power_uw = power_uw};

	(void)snprintf(zone.id, sizeof(zone.id), "%s", id);
	(void)snprintf(zone.place, sizeof(zone.place), "%s", place);
	return zone;
}

static struct meter_reading fixture_reading(void)
{
	return (struct meter_reading){
	    .time = {UINT64_C(5000000000)},
	    .up = true,
	    .opened = true,
	    .from_tree = true,
	    .has_info = true,
	    .info = {.age_ms = 3, .source = "powercap"},
	    .zone_count = 3,
	    .zones = {fixture_zone("package-0", "intel-rapl:0", 125000001, 12500000),
		      fixture_zone("dram-0", "intel-rapl:0:2", 9500000, 1250000),
		      fixture_zone("psys", "intel-rapl:1", 200000000, 0)},
	};
}

/* Three quarters of it in the package, one in the memory. */
static struct account fixture_account(const char *name, const char *detail, uint64_t energy_uj,
				      uint64_t power_uw)
{
	struct account account = {
	    .members = 3,
	    .cpu_ns = energy_uj * 100,
	    .total = {energy_uj, power_uw},
	    .zones = fixture_uses[fixture_use_count++],
	};

	account.zones[0] = (struct account_use){energy_uj / 4 * 3, power_uw / 4 * 3};
	account.zones[1] = (struct account_use){energy_uj / 4, power_uw / 4};
	(void)snprintf(account.name, sizeof(account.name), "%s", name);
	(void)snprintf(account.detail, sizeof(account.detail), "%s", detail);
	return account;
}

static void fixture_fill_groups(struct accounts_view *view)
{
	fixture_units[0] = fixture_account("nginx.service", "system.slice", 40000000, 4000000);
	/* A spreadsheet's formula, a comma, a quote, an equals sign, a space, and not UTF-8. */
	fixture_units[1] =
	    fixture_account("=cmd|' /C calc',\"x\" y\xff.service", "user.slice", 8000000, 800000);
	fixture_processes[0] = fixture_account("nginx\nup=t", "nginx.service", 20000000, 2000000);
	fixture_processes[0].pid = 4711;
	fixture_processes[1] = fixture_account("back\\slash\\", "", 1000000, 0);
	fixture_processes[1].pid = 4712;
	fixture_containers[0] = fixture_account("4a5b6c7d8e9f", "docker", 4000000, 400000);
	view->groups[ACCOUNT_UNIT] = (struct accounts_group){
	    .count = 2,
	    .accounts = fixture_units,
	    .rest_count = 1,
	    .rest = fixture_account("(rest)", "", 2000000, 200000),
	};
	view->groups[ACCOUNT_PROCESS] =
	    (struct accounts_group){.count = 2,
				    .accounts = fixture_processes,
				    .pending_uj = 400,
				    .pending_zones_uj = fixture_pending};
	view->groups[ACCOUNT_CONTAINER] =
	    (struct accounts_group){.count = 1, .accounts = fixture_containers};
}

static void fixture_fill(struct accounts_view *view)
{
	*view = (struct accounts_view){
	    .reading = fixture_reading(),
	    .wall_ns = OUTPUT_FIXTURE_WALL_NS,
	    .interval_ns = UINT64_C(1000000000),
	    .age_ns = UINT64_C(60000000000),
	    .zone_count = FIXTURE_ZONES,
	    .zones = fixture_zones,
	    .total = {.id = "total",
		      .energy_uj = 80000000,
		      .idle_uj = 20000000,
		      .other_uj = 10000000,
		      .power_uw = 13750000,
		      .idle_power_uw = 5000000},
	};
	fixture_zones[0] = (struct accounts_zone){.id = "package-0",
						  .energy_uj = 60000000,
						  .idle_uj = 15000000,
						  .other_uj = 7500000,
						  .power_uw = 12500000,
						  .idle_power_uw = 4000000};
	fixture_zones[1] = (struct accounts_zone){.id = "dram-0",
						  .energy_uj = 20000000,
						  .idle_uj = 5000000,
						  .other_uj = 2500000,
						  .power_uw = 1250000,
						  .idle_power_uw = 1000000};
	fixture_use_count = 0;
	fixture_fill_groups(view);
}

const struct accounts_view *output_fixture_view(void)
{
	static struct accounts_view view;

	fixture_fill(&view);
	return &view;
}

const struct accounts_view *output_fixture_bare(void)
{
	static struct accounts_view view;

	view =
	    (struct accounts_view){.reading = fixture_reading(), .wall_ns = OUTPUT_FIXTURE_WALL_NS};
	view.reading.from_tree = false;
	view.reading.has_info = false;
	return &view;
}

const struct accounts_view *output_fixture_stale(void)
{
	static struct accounts_view view;

	fixture_fill(&view);
	view.reading.up = false;
	view.reading.info.age_ms = 83000;
	view.reading.info.estimate = true;
	view.reading.zones[1].available = false;
	return &view;
}

const struct accounts_view *output_fixture_away(void)
{
	static struct accounts_view view;

	fixture_fill(&view);
	view.reading.zones[1].available = false;
	view.reading.zones[1].has_power = false;
	view.zones[1].power_uw = 0;
	return &view;
}

const struct accounts_view *output_fixture_silent(void)
{
	static struct accounts_view view;

	fixture_fill(&view);
	view.reading.up = false;
	view.reading.has_info = false;
	view.reading.info = (struct tree_info){.age_ms = 0};
	return &view;
}

const struct accounts_view *output_fixture_nothing(void)
{
	static struct accounts_view view;

	view = (struct accounts_view){.wall_ns = OUTPUT_FIXTURE_WALL_NS};
	return &view;
}
