/* served.h: the promises to readers, over random floors, pauses, lost memory and kills. */
#include "common/served.h"
#include "tests/unit/check.h"

#define MS CLOCK_NS_PER_MS

static struct mono_time at(uint64_t ns)
{
	return (struct mono_time){.ns = ns};
}

static struct served point(uint64_t value_uj, uint64_t time_ms)
{
	return (struct served){.value_uj = value_uj, .time_ms = time_ms};
}

static void test_points_go_on(void **state)
{
	(void)state;
	assert_int_equal(served_ms(at(7 * MS - 1)), 6);
	assert_int_equal(served_at(point(0, 5), 1000), 0);
	assert_int_equal(served_at(point(100, 5), 5), 100);
	assert_int_equal(served_at(point(100, 5), 6), 101);
	assert_int_equal(served_at(point(100, 5), 1005), 1100);
	/* Whoever took the time before the point was published follows its line back. */
	assert_int_equal(served_at(point(100, 5), 3), 98);
	assert_int_equal(served_at(point(100, 500), 1), 1);
	assert_int_equal(served_at(point(UINT64_MAX - 1, 0), 9), UINT64_MAX);
}

static void test_starts_above_zero_without_a_ledger(void **state)
{
	struct served told = {0};

	(void)state;
	assert_int_equal(served_advance(&told, point(0, 0), at(10 * MS)), 1);
	assert_int_equal(served_advance(&told, point(0, 0), at(10 * MS)), 1);
	assert_int_equal(served_advance(&told, point(0, 0), at(11 * MS - 1)), 1);
	assert_int_equal(served_advance(&told, point(0, 0), at(11 * MS)), 2);
	assert_int_equal(served_advance(&told, point(0, 0), at(1011 * MS)), 1002);
	assert_int_equal(served_advance(&told, point(41, 1012), at(1012 * MS)), 1003);
	assert_int_equal(served_advance(&told, point(5000, 1012), at(1013 * MS)), 5001);
}

/* Reads that come faster than the step must not reset the clock of the step. */
static void test_fast_reader_sees_steps(void **state)
{
	struct served told = {0};
	uint64_t first = served_advance(&told, point(7, 1), at(MS));
	uint64_t last = first;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		last = served_advance(&told, point(i % 2 == 0 ? 7 : 0, 1), at(MS + i * 100000));
	assert_int_equal(last - first, 100);
}

/* A ledger that knows less than what was told: nothing goes back, and it falls in by itself. */
static void test_guards_what_was_told(void **state)
{
	struct served told = {0};

	(void)state;
	assert_int_equal(served_advance(&told, point(1000, 0), at(0)), 1000);
	assert_int_equal(served_advance(&told, point(500, 1), at(1 * MS)), 1001);
	assert_int_equal(served_advance(&told, point(900, 100), at(100 * MS)), 1100);
	assert_int_equal(served_advance(&told, point(2000, 101), at(101 * MS)), 2000);
	/* A clock that is behind what another process stored: no step, and none back. */
	assert_int_equal(served_advance(&told, point(0, 0), at(7 * MS)), 2000);
	told = point(UINT64_MAX, 0);
	assert_int_equal(served_advance(&told, point(1, 0), at(UINT64_MAX)), UINT64_MAX);
}

/* What reads of one counter have told, by the time at which each had ended. */
struct told {
	size_t count;
	uint64_t end_ns[2000];
	uint64_t most_uj[2000]; /* of it and all before */
};

/* Less than no read that had ended before it began; more than those that had a millisecond ago. */
static void told_check(struct told *told, uint64_t begin_ns, uint64_t end_ns, uint64_t value_uj)
{
	uint64_t most_uj = told->count > 0 ? told->most_uj[told->count - 1] : 0;
	size_t i = told->count;

	while (i > 0 && told->end_ns[i - 1] > begin_ns)
		i--;
	if (i > 0)
		assert_true(value_uj >= told->most_uj[i - 1]);
	while (i > 0 && told->end_ns[i - 1] + MS > begin_ns)
		i--;
	if (i > 0)
		assert_true(value_uj > told->most_uj[i - 1]);
	told->end_ns[told->count] = end_ns;
	told->most_uj[told->count++] = value_uj > most_uj ? value_uj : most_uj;
}

/*
 * Random floors, each on or above the line of the one before, and two servers that may lose their
 * memory, be killed between their stores, or have taken the time a moment before the floor was
 * published: together they tell one sequence.
 */
static void test_servers_tell_one_sequence(void **state)
{
	static struct told told;

	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t random = seed, now = MS * 10 + check_random_below(&random, UINT64_MAX / 4);
		struct served floor =
		    point(1 + check_random_below(&random, 1000), served_ms(at(now)));
		struct served servers[2] = {{0}, {0}};

		told.count = 0;
		while (told.count < CHECK_COUNT(told.end_ns)) {
			struct served *server = &servers[check_random_below(&random, 2)];
			uint64_t begin = now, late = check_random_below(&random, 5 * MS);

			now += check_random_below(&random, seed % 7 == 0 ? 40 * MS : 2 * MS);
			if (check_random_below(&random, 3) == 0)
				floor = point(served_at(floor, served_ms(at(now))) +
						  check_random_below(&random, 50000),
					      served_ms(at(now)));
			if (check_random_below(&random, 20) == 0)
				*server = (struct served){0};
			if (check_random_below(&random, 20) == 0)
				server->time_ms = served_ms(at(now));
			if (check_random_below(&random, 4) == 0)
				begin = now > begin + late ? now - late : begin;
			else
				begin = now;
			told_check(&told, begin, now, served_advance(server, floor, at(begin)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_points_go_on),
	    cmocka_unit_test(test_starts_above_zero_without_a_ledger),
	    cmocka_unit_test(test_fast_reader_sees_steps),
	    cmocka_unit_test(test_guards_what_was_told),
	    cmocka_unit_test(test_servers_tell_one_sequence),
	};

	return cmocka_run_group_tests_name("served", tests, NULL, NULL);
}
