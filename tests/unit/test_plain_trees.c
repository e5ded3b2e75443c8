/* plain_trees.h: which trees there are: those of accounts, of machines to come, of none any more.
 */
#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "fusefs/plain.h"
#include "fusefs/plain_trees.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST  "00000000-0000-0000-0000-000000000001"
#define SECOND "00000000-0000-0000-0000-000000000002"
#define ENERGY "/class/powercap/intel-rapl:0/energy_uj"

#define S      CLOCK_NS_PER_SECOND

struct fixture {
	struct tree runtime;
	struct tree root;
	struct ledger *ledger;
	struct ledger_map *map;
	struct plain_activity *activity;
	struct plain_trees *trees;
};

static const struct mono_time start = {1000 * S};

static struct mono_time after_s(uint64_t seconds)
{
	return (struct mono_time){start.ns + seconds * S};
}

static void open_trees(struct fixture *fixture, struct mono_time now)
{
	struct plain_trees_context context = {.runtime_fd = fixture->runtime.fd,
					      .root_fd = fixture->root.fd,
					      .activity = fixture->activity,
					      .clock = clock_real(),
					      .period_ns = S};
	struct diag diag = DIAG_INIT;

	if (plain_trees_create(&context, now, &fixture->trees, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void open_ledger(struct fixture *fixture)
{
	struct zone zone = {
	    .id = "package-0", .kind = ZONE_PACKAGE, .die = ZONE_ANY_DIE, .range_uj = 1000000};
	struct diag diag = DIAG_INIT;
	uint32_t index;

	assert_int_equal(ledger_create(&fixture->ledger), 0);
	assert_int_equal(ledger_set_zones(fixture->ledger, &zone, 1, &index), 0);
	if (ledger_map_open(fixture->runtime.fd, &fixture->map, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void admit(struct fixture *fixture, const char *text, uint64_t energy_uj)
{
	struct uuid uuid;
	int slot;

	assert_int_equal(uuid_parse(text, &uuid), 0);
	slot = ledger_admit(fixture->ledger, &uuid);
	assert_true(slot >= 0);
	ledger_vm(fixture->ledger, (size_t)slot)->guest[0].zone_uj[ZONE_PACKAGE] = energy_uj;
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
}

static void depart(struct fixture *fixture, const char *text)
{
	struct uuid uuid;

	assert_int_equal(uuid_parse(text, &uuid), 0);
	assert_int_equal(
	    ledger_depart(fixture->ledger, (size_t)ledger_find(fixture->ledger, &uuid)), 0);
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
}

static bool is_there(const struct fixture *fixture, const char *path)
{
	return faccessat(fixture->root.fd, path, F_OK, 0) == 0;
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	(void)umask(022);
	fixture = (struct fixture){.trees = NULL};
	tree_create(&fixture.runtime);
	tree_create(&fixture.root);
	tree_delete(&fixture.root, "sys");
	tree_delete(&fixture.root, "proc");
	assert_int_equal(plain_activity_create(&fixture.activity, &diag), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	plain_trees_destroy(fixture->trees);
	plain_activity_destroy(fixture->activity);
	ledger_map_close(fixture->map);
	ledger_destroy(fixture->ledger);
	tree_remove(&fixture->runtime);
	tree_remove(&fixture->root);
	return 0;
}

static void test_every_account_has_a_tree_while_it_lasts(void **state)
{
	struct fixture *fixture = *state;

	open_ledger(fixture);
	admit(fixture, FIRST, 100);
	open_trees(fixture, start);
	plain_trees_refresh(fixture->trees, start);
	assert_true(is_there(fixture, FIRST ENERGY));
	assert_false(is_there(fixture, SECOND));
	admit(fixture, SECOND, 100);
	plain_trees_refresh(fixture->trees, after_s(1));
	assert_true(is_there(fixture, SECOND ENERGY));
	depart(fixture, FIRST);
	plain_trees_refresh(fixture->trees, after_s(2));
	plain_trees_refresh(fixture->trees,
			    (struct mono_time){after_s(2).ns + PLAIN_ORPHAN_NS - 1});
	assert_true(is_there(fixture, FIRST ENERGY));
	plain_trees_refresh(fixture->trees, (struct mono_time){after_s(2).ns + PLAIN_ORPHAN_NS});
	assert_false(is_there(fixture, FIRST));
	assert_true(is_there(fixture, SECOND ENERGY));
	/* It may come back. */
	admit(fixture, FIRST, 100);
	plain_trees_refresh(fixture->trees, after_s(4000));
	assert_true(is_there(fixture, FIRST ENERGY));
}

static void test_announced_tree(void **state)
{
	struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	struct uuid uuid;

	open_ledger(fixture);
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
	open_trees(fixture, start);
	assert_int_equal(uuid_parse(FIRST, &uuid), 0);
	assert_int_equal(plain_trees_make(fixture->trees, &uuid, 2, start, &diag), 0);
	assert_true(is_there(fixture, FIRST "/class/powercap/intel-rapl:1/energy_uj"));
	assert_int_equal(plain_trees_make(fixture->trees, &uuid, 2, start, &diag), 0);
	/* Its account comes, and knows better. */
	admit(fixture, FIRST, 100);
	plain_trees_refresh(fixture->trees, after_s(1));
	assert_true(is_there(fixture, FIRST ENERGY));
	assert_false(is_there(fixture, FIRST "/class/powercap/intel-rapl:1"));
	/* Of another one it never does. */
	assert_int_equal(uuid_parse(SECOND, &uuid), 0);
	assert_int_equal(plain_trees_make(fixture->trees, &uuid, 1, after_s(1), &diag), 0);
	plain_trees_refresh(fixture->trees, after_s(2));
	assert_true(is_there(fixture, SECOND ENERGY));
	plain_trees_refresh(fixture->trees, after_s(4000));
	assert_false(is_there(fixture, SECOND));
	assert_true(is_there(fixture, FIRST ENERGY));
}

/* Without a ledger nothing is known of any machine, so nothing is changed. */
static void test_trees_of_before_wait_for_the_ledger(void **state)
{
	struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	struct uuid uuid;

	open_ledger(fixture);
	assert_int_equal(ledger_map_publish(fixture->map, fixture->ledger), 0);
	open_trees(fixture, start);
	assert_int_equal(uuid_parse(FIRST, &uuid), 0);
	assert_int_equal(plain_trees_make(fixture->trees, &uuid, 2, start, &diag), 0);
	plain_trees_destroy(fixture->trees);
	tree_delete(&fixture->runtime, LEDGER_MAP_NAME);
	tree_write(&fixture->root, ".new/made/half", "x");
	tree_write(&fixture->root, "not-a-tree/file", "x");
	open_trees(fixture, start);
	assert_false(is_there(fixture, ".new"));
	plain_trees_refresh(fixture->trees, after_s(1));
	plain_trees_refresh(fixture->trees, after_s(10000));
	assert_true(is_there(fixture, FIRST "/class/powercap/intel-rapl:1/energy_uj"));
	assert_true(is_there(fixture, "not-a-tree/file"));
	/* It comes back, and does not know it: only from then on does the time run. */
	ledger_map_close(fixture->map);
	ledger_destroy(fixture->ledger);
	open_ledger(fixture);
	admit(fixture, SECOND, 100);
	plain_trees_refresh(fixture->trees, after_s(20000));
	assert_true(is_there(fixture, FIRST ENERGY));
	plain_trees_refresh(fixture->trees, after_s(30000));
	assert_false(is_there(fixture, FIRST));
}

static uint64_t energy_of(const struct fixture *fixture, const char *path)
{
	char text[64];
	int fd = openat(fixture->root.fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	assert_true(length > 1);
	text[length] = '\0';
	(void)close(fd);
	return strtoull(text, NULL, 10); // NOLINT(cert-err34-c)
}

/* What the loop does with the notices that came. */
static void note(struct fixture *fixture, struct mono_time now)
{
	struct plain_activity_key key;

	while (plain_activity_next(fixture->activity, &key) == 0)
		plain_trees_note(fixture->trees, key, now);
}

static void test_what_is_read_is_active(void **state)
{
	struct fixture *fixture = *state;
	uint64_t first;

	open_ledger(fixture);
	admit(fixture, FIRST, 100);
	admit(fixture, SECOND, 100);
	open_trees(fixture, start);
	plain_trees_refresh(fixture->trees, start);
	note(fixture, start);
	assert_false(plain_trees_are_active(fixture->trees));
	first = energy_of(fixture, FIRST ENERGY);
	note(fixture, after_s(1));
	assert_true(plain_trees_are_active(fixture->trees));
	plain_trees_step(fixture->trees, true, after_s(2));
	assert_int_equal(energy_of(fixture, FIRST ENERGY), first + 2000);
	assert_int_equal(energy_of(fixture, SECOND ENERGY), first);
	/* Read again and again: the first alone stays. */
	note(fixture, after_s(2));
	plain_trees_listen(fixture->trees, after_s(20));
	(void)energy_of(fixture, FIRST ENERGY);
	note(fixture, after_s(20));
	plain_trees_listen(fixture->trees, after_s(40));
	plain_trees_step(fixture->trees, true, after_s(40));
	assert_int_equal(energy_of(fixture, FIRST ENERGY), first + 40000);
	assert_int_equal(energy_of(fixture, SECOND ENERGY), first);
	/* What this test has read itself. */
	note(fixture, after_s(40));
	plain_trees_listen(fixture->trees, after_s(70));
	assert_false(plain_trees_are_active(fixture->trees));
	/* And it is noticed again. */
	(void)energy_of(fixture, SECOND ENERGY);
	note(fixture, after_s(71));
	assert_true(plain_trees_are_active(fixture->trees));
}

static void test_what_is_polled_is_hot(void **state)
{
	struct fixture *fixture = *state;
	struct mono_time now = start;
	uint64_t first;

	open_ledger(fixture);
	admit(fixture, FIRST, 100);
	admit(fixture, SECOND, 100);
	open_trees(fixture, start);
	plain_trees_refresh(fixture->trees, start);
	first = energy_of(fixture, FIRST ENERGY);
	(void)energy_of(fixture, SECOND ENERGY);
	note(fixture, start);
	for (size_t i = 0; i < 5; i++) {
		now.ns += PLAIN_HOT_NS - 1;
		assert_true(plain_trees_are_hot(fixture->trees, now));
		plain_trees_listen(fixture->trees, now);
		(void)energy_of(fixture, FIRST ENERGY);
		note(fixture, now);
	}
	/* The second has been active since, but hot no more. */
	plain_trees_step(fixture->trees, false, now);
	assert_true(energy_of(fixture, FIRST ENERGY) > first);
	assert_int_equal(energy_of(fixture, SECOND ENERGY), first);
	plain_trees_step(fixture->trees, true, now);
	assert_true(energy_of(fixture, SECOND ENERGY) > first);
	now.ns += PLAIN_HOT_NS;
	assert_false(plain_trees_are_hot(fixture->trees, now));
	assert_true(plain_trees_are_active(fixture->trees));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_every_account_has_a_tree_while_it_lasts, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_announced_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_trees_of_before_wait_for_the_ledger, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_read_is_active, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_polled_is_hot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
