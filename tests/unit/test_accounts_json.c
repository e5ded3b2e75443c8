/* accounts_json.h: the format that the page and other programs rely on, against a golden file. */
#include "guest/accounts_json.h"
#include "guest/accounts_view_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"

#include <stdio.h>
#include <stdlib.h>

static struct accounts_view *make_view(void)
{
	struct accounts_view_shape shape = {.zone_count = 2};
	struct accounts_view *view;

	shape.counts[ACCOUNT_UNIT] = 1;
	shape.counts[ACCOUNT_PROCESS] = 1;
	assert_int_equal(accounts_view_create(&shape, &view), 0);
	return view;
}

static void put_account(struct account *account, const char *name, uint64_t energy_uj)
{
	(void)snprintf(account->name, sizeof(account->name), "%s", name);
	account->members = 3;
	account->cpu_ns = 7000000;
	account->total = (struct account_use){energy_uj, 500};
	account->zones[0] = (struct account_use){energy_uj - 1, 499};
	account->zones[1] = (struct account_use){1, 1};
}

static void fill_view(struct accounts_view *view)
{
	struct account *process = view->groups[ACCOUNT_PROCESS].accounts;

	view->reading.up = true;
	view->reading.opened = true;
	view->wall_ns = UINT64_C(1700000000000000000);
	view->interval_ns = CLOCK_NS_PER_SECOND;
	view->age_ns = 60 * CLOCK_NS_PER_SECOND;
	(void)snprintf(view->zones[0].id, ZONE_ID_SIZE, "package-0");
	(void)snprintf(view->zones[1].id, ZONE_ID_SIZE, "dram-0");
	(void)snprintf(view->total.id, ZONE_ID_SIZE, "total");
	view->reading.zone_count = 2;
	for (size_t i = 0; i < 2; i++) {
		memcpy(view->reading.zones[i].id, view->zones[i].id, ZONE_ID_SIZE);
		view->reading.zones[i].available = true;
	}
	view->total.energy_uj = 5000000;
	put_account(view->groups[ACCOUNT_UNIT].accounts, "nginx.service", 3000000);
	put_account(process, "\"quoted\" \xff", 2000000);
	(void)snprintf(process->detail, sizeof(process->detail), "nginx.service");
	process->pid = 4711;
	view->exits = (struct accounts_exits){.counted = true, .ended = 12, .lost = 1};
}

static void test_json(void **state)
{
	struct accounts_view *view = make_view();
	char *text;
	size_t size;

	(void)state;
	fill_view(view);
	assert_int_equal(accounts_json(view, &text, &size), 0);
	golden_check("accounts.json", text, size);
	free(text);
	accounts_view_release(view);
}

/* Power that is not known: of a zone that cannot be read now; and of all in a first tick. */
static void test_no_power(void **state)
{
	struct accounts_view *view = make_view();
	char *text;
	size_t size;

	(void)state;
	fill_view(view);
	view->reading.zones[1].available = false;
	assert_int_equal(accounts_json(view, &text, &size), 0);
	golden_check("accounts_no_dram.json", text, size);
	free(text);
	view->interval_ns = 0;
	assert_int_equal(accounts_json(view, &text, &size), 0);
	golden_check("accounts_no_power.json", text, size);
	free(text);
	accounts_view_release(view);
}

/* Whoever holds a view keeps it, whatever others do with theirs. */
static void test_references(void **state)
{
	struct accounts_view *view = make_view();

	(void)state;
	assert_true(accounts_view_acquire(view) == view);
	accounts_view_release(view);
	fill_view(view);
	assert_true(accounts_view_acquire(NULL) == NULL);
	accounts_view_release(NULL);
	accounts_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_no_power),
	    cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
