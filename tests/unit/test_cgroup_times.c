/* cgroup_times.h: each control group's own time, exactly, and a place for whoever has a right to
 * one, however many others make. */
#include "common/cleanup.h"
#include "guest/cgroup_times.h"
#include "guest/cgroup_times_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define US    UINT64_C(1000)
#define NONE  SIZE_MAX
#define LIMIT 8192

/* What there really is. */
struct real {
	char path[128];
	size_t parent;
	bool there;
	uint64_t usage_ns; /* with all below it, and with what was below it */
	uint64_t own_ns;   /* since the last step, of itself alone */
};

struct fixture {
	struct tree tree;
	struct cgroup_mounts mounts;
	struct cgroup_times *times;
	size_t count;
	struct real reals[LIMIT];
};

static void write_usage(const struct fixture *fixture, const struct real *real)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "cgroup%s/cpuacct.usage", real->path);
	tree_write(&fixture->tree, path, "%lu\n", real->usage_ns);
}

static struct fixture *start(size_t places)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CHECK_POINTER(fixture);
	tree_create(&fixture->tree);
	fixture->mounts = (struct cgroup_mounts){.version = CGROUP_V1, .memory_fd = -1};
	fixture->reals[fixture->count++] = (struct real){.there = true, .parent = NONE};
	write_usage(fixture, &fixture->reals[0]);
	fixture->mounts.time_fd =
	    openat(fixture->tree.fd, "cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->mounts.time_fd >= 0);
	assert_int_equal(cgroup_times_create(&fixture->mounts, &fixture->times), 0);
	fixture->times->places_max = places;
	return fixture;
}

static void stop(struct fixture *fixture)
{
	cgroup_times_destroy(fixture->times);
	cgroup_mounts_close(&fixture->mounts);
	tree_remove(&fixture->tree);
	free(fixture);
}

static size_t add(struct fixture *fixture, size_t parent, const char *name)
{
	struct real real = {.there = true, .parent = parent};

	assert_true(fixture->count < LIMIT);
	(void)snprintf(real.path, sizeof(real.path), "%.100s/%.20s", fixture->reals[parent].path,
		       name);
	write_usage(fixture, &real);
	fixture->reals[fixture->count] = real;
	return fixture->count++;
}

static size_t add_numbered(struct fixture *fixture, size_t parent, const char *name, int number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%s%d", name, number);
	return add(fixture, parent, text);
}

static void run(struct fixture *fixture, size_t cgroup, uint64_t time_ns)
{
	fixture->reals[cgroup].own_ns += time_ns;
	for (; cgroup != NONE; cgroup = fixture->reals[cgroup].parent) {
		fixture->reals[cgroup].usage_ns += time_ns;
		write_usage(fixture, &fixture->reals[cgroup]);
	}
}

static void take_away(struct fixture *fixture, size_t cgroup)
{
	char path[160];

	for (size_t i = 0; i < fixture->count; i++)
		if (fixture->reals[i].there && fixture->reals[i].parent == cgroup)
			return;
	(void)snprintf(path, sizeof(path), "cgroup%s", fixture->reals[cgroup].path);
	tree_delete(&fixture->tree, path);
	fixture->reals[cgroup].there = false;
}

static bool has_place(const struct fixture *fixture, size_t cgroup)
{
	return cgroup == 0 || cgroup_times_find(fixture->times, fixture->reals[cgroup].path) >= 0;
}

static size_t places_below(const struct fixture *fixture, size_t cgroup)
{
	size_t count = 0;

	for (size_t i = cgroup + 1; i < fixture->count; i++) {
		size_t above = i;

		while (above != NONE && above != cgroup)
			above = fixture->reals[above].parent;
		count +=
		    above == cgroup && fixture->reals[i].there && has_place(fixture, i) ? 1 : 0;
	}
	return count;
}

/* All that was used is told in this step, whoever lost or got a place. */
static uint64_t step(struct fixture *fixture)
{
	uint64_t told_ns = 0, used_ns = 0;
	size_t places = 0;

	assert_int_equal(cgroup_times_step(fixture->times), 0);
	for (size_t i = 0; i < cgroup_times_count(fixture->times); i++) {
		struct cgroup_time cgroup = cgroup_times_get(fixture->times, i);

		told_ns += cgroup.growth_ns;
		places += cgroup.gone ? 0 : 1;
	}
	assert_true(places <= fixture->times->places_max);
	for (size_t i = 0; i < fixture->count; i++) {
		used_ns += fixture->reals[i].own_ns;
		fixture->reals[i].own_ns = 0;
	}
	assert_int_equal(told_ns, used_ns);
	return told_ns;
}

/* Places go round, and each has what it and those below it without a place have used. */
static void check_nearest(struct fixture *fixture)
{
	uint64_t wanted_ns[64] = {0};

	assert_true(fixture->count <= CHECK_COUNT(wanted_ns));
	for (size_t i = 1; i < fixture->count; i++) {
		size_t at = i;

		if (!fixture->reals[i].there)
			continue;
		run(fixture, i, i * 10 * US);
		while (!has_place(fixture, at))
			at = fixture->reals[at].parent;
		wanted_ns[at] += i * 10 * US;
	}
	(void)step(fixture);
	for (size_t i = 0; i < cgroup_times_count(fixture->times); i++) {
		struct cgroup_time cgroup = cgroup_times_get(fixture->times, i);

		for (size_t k = 1; k < fixture->count; k++)
			if (fixture->reals[k].there &&
			    strcmp(fixture->reals[k].path, cgroup.path) == 0)
				assert_int_equal(cgroup.growth_ns, wanted_ns[k]);
	}
}

static void test_what_has_no_place_is_what_is_above(void **state)
{
	struct fixture *fixture = start(8);
	size_t user = add(fixture, 0, "user");

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)add_numbered(fixture, user, "g", i);
	(void)step(fixture);
	(void)step(fixture);
	assert_int_equal(places_below(fixture, 0), 7);
	check_nearest(fixture);
	stop(fixture);
}

/* One user makes thousands before anybody else comes, and goes on making more; all are busy. */
static void test_one_who_makes_thousands(void **state)
{
	struct fixture *fixture = start(CGROUP_TIMES_MAX);
	size_t system = add(fixture, 0, "system.slice");
	size_t users = add(fixture, 0, "user.slice");
	size_t bad = add(fixture, users, "user-1000.slice");
	size_t good, deep, services[100], groups[20];

	(void)state;
	for (int i = 0; i < 50; i++)
		services[i] = add_numbered(fixture, system, "s", i);
	for (int i = 0; i < 4500; i++)
		(void)add_numbered(fixture, bad, "g", i);
	deep = bad;
	for (int i = 0; i < 20; i++)
		deep = add(fixture, deep, "d");
	(void)step(fixture);
	assert_int_equal(places_below(fixture, 0), CGROUP_TIMES_MAX - 1);
	for (int i = 50; i < 100; i++)
		services[i] = add_numbered(fixture, system, "s", i);
	good = add(fixture, users, "user-1001.slice");
	for (int i = 0; i < 20; i++)
		groups[i] = add_numbered(fixture, good, "g", i);
	/* There are not more changes in a step than are cheap. */
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 20; k++)
			(void)add_numbered(fixture, bad, "more", i * 20 + k);
		run(fixture, bad + 1 + (size_t)i, 7 * US);
		run(fixture, services[i], 5 * US);
		(void)step(fixture);
	}
	for (size_t i = 0; i < CHECK_COUNT(services); i++)
		assert_true(has_place(fixture, services[i]));
	for (size_t i = 0; i < CHECK_COUNT(groups); i++)
		assert_true(has_place(fixture, groups[i]));
	assert_int_equal(fixture->times->places, CGROUP_TIMES_MAX);
	stop(fixture);
}

/* Two who both want more than there is get half each, and then nothing changes any more. */
static void test_two_who_make_many(void **state)
{
	struct fixture *fixture = start(103);
	size_t first = add(fixture, 0, "first");
	size_t second = add(fixture, 0, "second");
	uint64_t serial = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		(void)add_numbered(fixture, first, "g", i);
	(void)step(fixture);
	assert_true(places_below(fixture, first) >= 99);
	for (int i = 0; i < 200; i++)
		(void)add_numbered(fixture, second, "g", i);
	(void)step(fixture);
	(void)step(fixture);
	assert_int_equal(places_below(fixture, first), 50);
	assert_int_equal(places_below(fixture, second), 50);
	for (int i = 0; i < 40; i++) {
		(void)step(fixture);
		assert_true(i == 0 || serial == fixture->times->serial);
		serial = fixture->times->serial;
	}
	stop(fixture);
}

/* Of one's own the empty ones go first, for those that work. */
static void test_empty_ones_go_first(void **state)
{
	struct fixture *fixture = start(64);
	size_t user = add(fixture, 0, "user");
	size_t busy[10];

	(void)state;
	for (int i = 0; i < 300; i++)
		(void)add_numbered(fixture, user, "empty", i);
	(void)step(fixture);
	for (int i = 0; i < 10; i++) {
		busy[i] = add_numbered(fixture, user, "busy", i);
		run(fixture, busy[i], 10 * US);
	}
	/* Some names are asked now and then, and each once in a while. */
	for (int i = 0; i < 16 * 6; i++)
		(void)step(fixture);
	for (size_t i = 0; i < CHECK_COUNT(busy); i++)
		assert_true(has_place(fixture, busy[i]));
	stop(fixture);
}

/* Random trees with few places: nothing is lost, and nothing told twice. */
static void test_random_trees(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct fixture *fixture = start(2 + seed % 14);
		uint64_t random = seed;

		(void)step(fixture);
		for (int i = 0; i < 60; i++) {
			for (uint64_t k = check_random_below(&random, 12); k > 0; k--) {
				size_t cgroup = check_random_below(&random, fixture->count);

				if (!fixture->reals[cgroup].there)
					continue;
				if (check_random_below(&random, 3) == 0 && fixture->count < 600 &&
				    strlen(fixture->reals[cgroup].path) < 80)
					(void)add_numbered(fixture, cgroup, "n",
							   (int)fixture->count);
				else if (cgroup != 0 && check_random_below(&random, 4) == 0)
					take_away(fixture, cgroup);
				else
					run(fixture, cgroup,
					    check_random_below(&random, 1000) * US);
			}
			(void)step(fixture);
		}
		stop(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_has_no_place_is_what_is_above),
	    cmocka_unit_test(test_one_who_makes_thousands),
	    cmocka_unit_test(test_two_who_make_many),
	    cmocka_unit_test(test_empty_ones_go_first),
	    cmocka_unit_test(test_random_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
