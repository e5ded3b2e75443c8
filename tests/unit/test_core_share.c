#include "common/core_share.h"
#include "tests/unit/check.h"

#define MS UINT64_C(1000000)

/* Cores of so many CPUs; all others of the second core. */
static struct core_share *make(struct topology **ret_topology, uint32_t threads, uint32_t cpus)
{
	struct core_share *share = NULL;

	assert_int_equal(topology_create(ret_topology), 0);
	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		struct topology_cpu row = {.cpu = cpu, .core = cpu < threads ? 0 : 1};

		assert_int_equal(topology_add(*ret_topology, &row), 0);
	}
	assert_int_equal(core_share_create(*ret_topology, &share), 0);
	return share;
}

/* Both threads' shares add up to the time in which the core was not idle: a + b - ab. */
static void test_two_threads_share_what_they_overlap(void **state)
{
	struct topology *topology;
	struct core_share *share = make(&topology, 2, 3);
	uint64_t busy_ns[3] = {500 * MS, 250 * MS, 900 * MS};

	(void)state;
	core_share_step(share, busy_ns, 1000 * MS);
	assert_int_equal(core_share_of(share, 0), CORE_SHARE_ONE * 7 / 8);
	assert_int_equal(core_share_of(share, 1), CORE_SHARE_ONE * 3 / 4);
	assert_int_equal(core_share_of(share, 2), CORE_SHARE_ONE);
	assert_int_equal(core_share_busy(share, 1), CORE_SHARE_ONE / 4);
	core_share_destroy(share);
	topology_destroy(topology);
}

/* Four busy threads have a quarter each. */
static void test_four_threads(void **state)
{
	struct topology *topology;
	struct core_share *share = make(&topology, 4, 4);
	uint64_t busy_ns[4] = {1000 * MS, 1000 * MS, 1000 * MS, 2000 * MS};

	(void)state;
	core_share_step(share, busy_ns, 1000 * MS);
	for (size_t cpu = 0; cpu < 4; cpu++)
		assert_int_equal(core_share_of(share, cpu), CORE_SHARE_ONE / 4);
	core_share_destroy(share);
	topology_destroy(topology);
}

/* Short intervals: the tick of one CPU in one of them does not make it busy. */
static void test_busy_parts_are_remembered(void **state)
{
	struct topology *topology;
	struct core_share *share = make(&topology, 2, 2);

	(void)state;
	for (int step = 0; step < 100; step++) {
		uint64_t busy_ns[2] = {0, step % 10 == 0 ? 10 * MS : 0};

		core_share_step(share, busy_ns, 10 * MS);
		if (step > 20)
			assert_in_range(core_share_busy(share, 1), CORE_SHARE_ONE / 20,
					CORE_SHARE_ONE / 5);
	}
	core_share_destroy(share);
	topology_destroy(topology);
}

/* As the kernel most often numbers them: second threads behind all first ones, over all packages.
 */
static void test_siblings_are_found_by_core(void **state)
{
	struct topology *topology;
	struct core_share *share = NULL;
	uint64_t busy_ns[16] = {0};

	(void)state;
	assert_int_equal(topology_create(&topology), 0);
	for (uint32_t cpu = 0; cpu < 16; cpu++) {
		struct topology_cpu row = {
		    .cpu = cpu, .core = cpu / 4 % 2, .die = cpu / 2 % 2, .package = cpu % 2};

		assert_int_equal(topology_add(topology, &row), 0);
	}
	assert_int_equal(core_share_create(topology, &share), 0);
	for (size_t cpu = 8; cpu < 16; cpu++)
		busy_ns[cpu] = (cpu - 8) * 100 * MS;
	core_share_step(share, busy_ns, 1000 * MS);
	for (size_t cpu = 0; cpu < 8; cpu++) {
		uint32_t expected = CORE_SHARE_ONE - core_share_busy(share, cpu + 8) / 2;

		assert_in_range(core_share_of(share, cpu), expected - 1, expected);
		assert_int_equal(core_share_of(share, cpu + 8), CORE_SHARE_ONE);
	}
	core_share_destroy(share);
	topology_destroy(topology);
}

/* Nine "threads" of one core are a machine that does not tell its cores. */
static void test_unknown_cores_are_not_shared(void **state)
{
	struct topology *topology;
	struct core_share *share = make(&topology, CORE_SHARE_SIBLING_MAX + 1, 9);
	uint64_t busy_ns[9];

	(void)state;
	for (size_t cpu = 0; cpu < 9; cpu++)
		busy_ns[cpu] = 1000 * MS;
	core_share_step(share, busy_ns, 1000 * MS);
	for (size_t cpu = 0; cpu < 9; cpu++)
		assert_int_equal(core_share_of(share, cpu), CORE_SHARE_ONE);
	core_share_destroy(share);
	topology_destroy(topology);
}

static void test_extremes(void **state)
{
	struct topology *topology;
	struct core_share *share = make(&topology, 2, 2);
	uint64_t busy_ns[2] = {UINT64_MAX, UINT64_MAX};

	(void)state;
	core_share_step(share, busy_ns, 0);
	assert_int_equal(core_share_of(share, 0), CORE_SHARE_ONE);
	core_share_step(share, busy_ns, UINT64_MAX);
	core_share_step(share, busy_ns, 1);
	core_share_step(share, busy_ns, UINT64_MAX);
	assert_in_range(core_share_of(share, 0), CORE_SHARE_ONE / 2, CORE_SHARE_ONE / 2 + 1);
	core_share_destroy(share);
	topology_destroy(topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_threads_share_what_they_overlap),
	    cmocka_unit_test(test_four_threads),
	    cmocka_unit_test(test_busy_parts_are_remembered),
	    cmocka_unit_test(test_siblings_are_found_by_core),
	    cmocka_unit_test(test_unknown_cores_are_not_shared),
	    cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
