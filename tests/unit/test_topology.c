#include "common/topology.h"
#include "common/topology_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"

static int read_machine(const char *path, struct topology **ret_topology, struct diag *diag)
{
	cleanup_sysroot struct sysroot *root = NULL;
	int status = sysroot_open(path, &root, diag);

	return status < 0 ? status : topology_read(root, ret_topology, diag);
}

static void test_dies_and_an_offline_cpu(void **state)
{
	cleanup_topology struct topology *topology = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(read_machine(TEST_FIXTURES "/xeon-two-dies", &topology, &diag), 0);
	CHECK_POINTER(topology);
	assert_int_equal(topology->cpu_count, 7);
	assert_int_equal(topology_index(topology, 4), 4);
	assert_int_equal(topology_index(topology, 5), -ENOENT);
	assert_int_equal(topology_index(topology, 6), 5);
	assert_int_equal(topology_index(topology, 8), -ENOENT);
	assert_int_equal(topology->cpus[5].package, 1);
	assert_int_equal(topology->cpus[5].die, 1);
	assert_int_equal(topology->cpus[5].core, 0);
}

static void test_without_die_ids(void **state)
{
	cleanup_topology struct topology *topology = NULL;

	(void)state;
	assert_int_equal(read_machine(TEST_FIXTURES "/eleven-packages", &topology, NULL), 0);
	CHECK_POINTER(topology);
	assert_int_equal(topology->cpu_count, 11);
	assert_int_equal(topology->cpus[10].package, 15);
	assert_int_equal(topology->cpus[10].die, 0);
}

static void test_unknown_ids_are_one_package(void **state)
{
	cleanup_topology struct topology *topology = NULL;

	(void)state;
	assert_int_equal(read_machine(TEST_FIXTURES "/no-rapl", &topology, NULL), 0);
	CHECK_POINTER(topology);
	assert_int_equal(topology->cpu_count, 2);
	assert_int_equal(topology->cpus[1].package, 0);
	assert_int_equal(topology->cpus[1].core, 1);
}

static void test_lists(void **state)
{
	static const struct {
		const char *text;
		int status; /* of the first that is no range */
		uint32_t count;
		uint32_t last;
	} rows[] = {
	    {"0-3,8,10-11\n", -ENODATA, 3, 11},
	    {"0", -ENODATA, 1, 0},
	    {"\n", -ENODATA, 0, 0},
	    {"", -ENODATA, 0, 0},
	    {"8191", -ENODATA, 1, 8191},
	    {"8192", -ERANGE, 0, 0},
	    {"0-8192", -ERANGE, 0, 0},
	    {"99999999999999999999", -ERANGE, 0, 0},
	    {"3-1", -EINVAL, 0, 0},
	    {"1,", -EINVAL, 0, 0},
	    {"1,,2", -EINVAL, 0, 0},
	    {"1-", -EINVAL, 0, 0},
	    {"-1", -EINVAL, 0, 0},
	    {"1 2", -EINVAL, 0, 0},
	    {"1\n2", -EINVAL, 0, 0},
	    {"0,x", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		const char *cursor = rows[i].text;
		struct topology_range range = {0, 0};
		size_t count = 0;
		int status;

		while ((status = topology_list_next(&cursor, &range)) == 0)
			count++;
		assert_int_equal(status, rows[i].status);
		assert_int_equal(count, rows[i].count);
		assert_int_equal(range.last, rows[i].last);
	}
}

static void test_ids(void **state)
{
	uint32_t id = 5;

	(void)state;
	assert_int_equal(topology_parse_id("-1", 7, &id), 0);
	assert_int_equal(id, 7);
	assert_int_equal(topology_parse_id("12", 7, &id), 0);
	assert_int_equal(id, 12);
	assert_int_equal(topology_parse_id("-2", 7, &id), -EINVAL);
	assert_int_equal(topology_parse_id("", 7, &id), -EINVAL);
	assert_int_equal(id, 12);
}

static void test_adding_by_hand(void **state)
{
	cleanup_topology struct topology *topology = NULL;
	struct topology_cpu cpu = {.cpu = 0};

	(void)state;
	assert_int_equal(topology_create(&topology), 0);
	assert_int_equal(topology_index(topology, 0), -ENOENT);
	for (uint32_t i = 0; i < TOPOLOGY_CPU_MAX; i++) {
		cpu.cpu = i * 3;
		assert_int_equal(topology_add(topology, &cpu), 0);
	}
	assert_int_equal(topology_add(topology, &cpu), -EINVAL);
	cpu.cpu++;
	assert_int_equal(topology_add(topology, &cpu), -ENOSPC);
	for (uint32_t i = 0; i < TOPOLOGY_CPU_MAX; i += 7)
		assert_int_equal(topology_index(topology, i * 3), i);
	assert_int_equal(topology_index(topology, 4), -ENOENT);
	assert_int_equal(topology_index(topology, UINT32_MAX), -ENOENT);
}

static void test_zones(void **state)
{
	const struct topology_cpu cpu = {.cpu = 9, .core = 1, .die = 1, .package = 2};
	struct zone zone = {.kind = ZONE_PACKAGE, .package = 2, .die = ZONE_ANY_DIE};

	(void)state;
	assert_true(topology_cpu_in_zone(&cpu, &zone));
	zone.die = 1;
	assert_true(topology_cpu_in_zone(&cpu, &zone));
	zone.die = 0;
	assert_false(topology_cpu_in_zone(&cpu, &zone));
	zone = (struct zone){.kind = ZONE_DRAM, .package = 1, .die = ZONE_ANY_DIE};
	assert_false(topology_cpu_in_zone(&cpu, &zone));
	zone = (struct zone){.kind = ZONE_PSYS, .package = 0, .die = ZONE_ANY_DIE};
	assert_true(topology_cpu_in_zone(&cpu, &zone));
}

/* Whatever call fails, the failure is told, and nothing leaks (the asan preset watches). */
static void test_every_call_may_fail(void **state)
{
	static const struct {
		unsigned calls;
		int error;
	} rows[] = {{FAULT_MEMORY, ENOMEM}, {FAULT_OPENAT, EACCES}, {FAULT_PREAD, EIO}};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		unsigned nth = 1;
		int status;

		do {
			cleanup_topology struct topology *topology = NULL;
			struct diag diag = DIAG_INIT;

			fault_arm(rows[i].calls, nth++, rows[i].error);
			status = read_machine(TEST_FIXTURES "/epyc", &topology, &diag);
			assert_int_equal(status, fault_disarm() ? -rows[i].error : 0);
			assert_true((diag.text[0] == '\0') == (status == 0));
		} while (status < 0);
		assert_true(nth > 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dies_and_an_offline_cpu),
	    cmocka_unit_test(test_without_die_ids),
	    cmocka_unit_test(test_unknown_ids_are_one_package),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_adding_by_hand),
	    cmocka_unit_test(test_zones),
	    cmocka_unit_test(test_every_call_may_fail),
	};

	return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
