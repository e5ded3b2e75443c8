/* page_guest.h, as page_json.h writes it: accounts made by hand, against golden files. */
#include "common/page_json.h"
#include "guest/accounts_view_internal.h"
#include "guest/page_guest.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"

#include <stdio.h>

static void put_account(struct account *account, const char *name, const char *detail,
			uint64_t energy_uj)
{
	(void)snprintf(account->name, sizeof(account->name), "%s", name);
	(void)snprintf(account->detail, sizeof(account->detail), "%s", detail);
	account->members = 3;
	account->cpu_ns = energy_uj * 10;
	account->total = (struct account_use){energy_uj, energy_uj / 10};
}

static void put_zone(struct accounts_view *view, size_t index, const char *id, uint64_t energy_uj)
{
	struct accounts_zone *zone = &view->zones[index];
	struct meter_zone *read = &view->reading.zones[index];

	*zone = (struct accounts_zone){.energy_uj = energy_uj,
				       .idle_uj = energy_uj / 4,
				       .other_uj = energy_uj / 8,
				       .power_uw = energy_uj / 10};
	(void)snprintf(zone->id, sizeof(zone->id), "%s", id);
	*read = (struct meter_zone){.available = true,
				    .energy_uj = energy_uj + 77,
				    .has_power = true,
				    .power_uw = energy_uj / 11};
	(void)snprintf(read->id, sizeof(read->id), "%s", id);
	view->total.energy_uj += energy_uj;
	view->total.idle_uj += zone->idle_uj;
	view->total.other_uj += zone->other_uj;
	view->total.power_uw += zone->power_uw;
}

/* A package and DRAM, divided; psys, which overlaps both; units with names that hurt. */
static struct accounts_view *make_view(void)
{
	struct accounts_view_shape shape = {.zone_count = 2};
	struct accounts_view *view;
	struct account *units;

	shape.counts[ACCOUNT_UNIT] = 2;
	shape.counts[ACCOUNT_PROCESS] = 1;
	assert_int_equal(accounts_view_create(&shape, &view), 0);
	view->reading.up = true;
	view->reading.opened = true;
	view->reading.time.ns = 5 * CLOCK_NS_PER_SECOND;
	view->age_ns = 60 * CLOCK_NS_PER_SECOND;
	view->interval_ns = CLOCK_NS_PER_SECOND;
	view->calibration_error_ppm = 41000;
	put_zone(view, 0, "package-0", 8000000);
	put_zone(view, 1, "dram-0", 800000);
	view->reading.zone_count = 3;
	view->reading.zones[2] = (struct meter_zone){.id = "psys", .available = true};
	units = view->groups[ACCOUNT_UNIT].accounts;
	put_account(&units[0], "nginx.service", "system.slice", 3000000);
	put_account(&units[1], "<script>\"\xc3\xa9\xff.service", "", 1000000);
	put_account(&view->groups[ACCOUNT_UNIT].rest, "(rest)", "", 1500000);
	put_account(&view->groups[ACCOUNT_PROCESS].accounts[0], "nginx", "nginx.service", 2000000);
	view->groups[ACCOUNT_PROCESS].accounts[0].pid = 4711;
	return view;
}

static void check_view(const struct accounts_view *accounts, const char *golden)
{
	struct manual_clock clock;
	struct page_view view;
	char *text;

	/* Half a second after the reading. */
	manual_clock_init(&clock,
			  (struct mono_time){accounts->reading.time.ns + 500 * CLOCK_NS_PER_MS},
			  (struct wall_time){UINT64_C(1767225600) * CLOCK_NS_PER_SECOND});
	assert_int_equal(page_guest_view(&accounts->reading, accounts, &view), 0);
	text = page_json(&view, &clock.clock, NULL);
	page_guest_release(&view);
	assert_non_null(text);
	golden_check(golden, text, strlen(text));
	free(text);
}

static void test_accounts(void **state)
{
	struct accounts_view *view = make_view();

	(void)state;
	check_view(view, "page_guest.json");
	accounts_view_release(view);
}

/* Energy stands, power is not known. */
static void test_host_gone(void **state)
{
	struct accounts_view *view = make_view();

	(void)state;
	view->reading.up = false;
	view->calibration_error_ppm = 0;
	(void)diag_error(&view->reading.reason, -ESTALE, "the host measures no more");
	check_view(view, "page_guest_gone.json");
	accounts_view_release(view);
}

/* One of two zones cannot be read for a moment: its power is not 0. */
static void test_a_zone_is_away(void **state)
{
	struct accounts_view *view = make_view();

	(void)state;
	view->reading.zones[1].available = false;
	view->reading.zones[1].has_power = false;
	view->zones[1].power_uw = 0;
	check_view(view, "page_guest_no_dram.json");
	accounts_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accounts),
	    cmocka_unit_test(test_host_gone),
	    cmocka_unit_test(test_a_zone_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
