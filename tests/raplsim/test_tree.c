#include <errno.h>
#include <string.h>

#include "tests/raplsim/test.h"
#include "tests/raplsim/tree.h"

struct fixture {
	struct host host;
	struct tree *tree;
	struct model *model;
};

static int setup(void **state)
{
	static const unsigned int cpus[] = {0, 1, 2, 5};
	static const struct host_config config = {.packages = 2,
						  .dies = 1,
						  .dram = true,
						  .mmio = true,
						  .psys = true,
						  .unit_pj = 61035000,
						  .dram_unit_pj = 15300000,
						  .psys_unit_pj = 61035000,
						  .start_uj = 1000000};
	static struct fixture fixture;
	struct model_zone zones[8];
	struct model_config model = {.update_ns = 1, .cpu_count = 4, .zones = zones};

	assert_int_equal(host_init(&fixture.host, &config, cpus, 4), 0);
	assert_int_equal(tree_create(&fixture.host, "0-7\n", NULL, &fixture.tree), 0);
	model.zone_count = fixture.host.zone_count;
	for (size_t i = 0; i < model.zone_count; i++)
		zones[i] = fixture.host.zones[i].model;
	assert_int_equal(model_create(&model, &fixture.model), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	model_destroy(fixture->model);
	tree_destroy(fixture->tree);
	host_finish(&fixture->host);
	return 0;
}

/* Follows a path as the kernel would, links included: as deep as these lead. */
// NOLINTNEXTLINE(misc-no-recursion)
static size_t walk(const struct tree *tree, size_t from, const char *path)
{
	char rest[512];
	char *save = NULL;

	assert_true(strlen(path) < sizeof(rest));
	memcpy(rest, path, strlen(path) + 1);
	for (char *name = strtok_r(rest, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		size_t dir = from;

		if (strcmp(name, "..") == 0) {
			from = tree_node(tree, from)->parent;
			continue;
		}
		from = tree_lookup(tree, from, name);
		if (from == TREE_NONE)
			return TREE_NONE;
		if (tree_node(tree, from)->kind == TREE_LINK)
			from = walk(tree, dir, tree_node(tree, from)->text);
		if (from == TREE_NONE)
			return TREE_NONE;
	}
	return from;
}

static void assert_content(const struct fixture *fixture, const char *path, const char *content)
{
	size_t node = walk(fixture->tree, TREE_ROOT, path);
	char text[TREE_TEXT_SIZE];

	if (node == TREE_NONE)
		fail_msg("no %s", path);
	assert_int_equal(tree_format(fixture->tree, node, fixture->model, text), strlen(content));
	assert_string_equal(text, content);
}

static void test_files_say_what_the_kernels_do(void **state)
{
	const struct fixture *fixture = *state;

	assert_content(fixture, "class/powercap/intel-rapl/enabled", "1\n");
	assert_content(fixture, "class/powercap/intel-rapl:0/name", "package-0\n");
	assert_content(fixture, "class/powercap/intel-rapl:0/energy_uj", "1000058\n");
	assert_content(fixture, "class/powercap/intel-rapl:0/max_energy_range_uj",
		       "262143328850\n");
	assert_content(fixture, "class/powercap/intel-rapl:0/enabled", "1\n");
	assert_content(fixture, "class/powercap/intel-rapl:0/uevent", "");
	assert_content(fixture, "class/powercap/intel-rapl:0/constraint_0_name", "long_term\n");
	assert_content(fixture, "class/powercap/intel-rapl:0:0/name", "dram\n");
	assert_content(fixture, "class/powercap/intel-rapl:0:0/max_energy_range_uj",
		       "65712999613\n");
	assert_content(fixture, "class/powercap/intel-rapl:1/name", "psys\n");
	assert_content(fixture, "class/powercap/intel-rapl:2/name", "package-1\n");
	assert_content(fixture, "class/powercap/intel-rapl-mmio:1/name", "package-1\n");
	assert_content(fixture, "class/powercap/intel-rapl-mmio:1:0/energy_uj", "1000008\n");
	assert_content(fixture,
		       "devices/virtual/powercap/intel-rapl/intel-rapl:2/intel-rapl:2:0/name",
		       "dram\n");
}

static void test_cpus_say_where_they_are(void **state)
{
	const struct fixture *fixture = *state;

	assert_content(fixture, "devices/system/cpu/online", "0-2,5\n");
	assert_content(fixture, "devices/system/cpu/possible", "0-7\n");
	assert_content(fixture, "devices/system/cpu/present", "0-2,5\n");
	assert_content(fixture, "devices/system/cpu/cpu5/topology/physical_package_id", "1\n");
	assert_content(fixture, "devices/system/cpu/cpu5/topology/core_id", "1\n");
	assert_content(fixture, "devices/system/cpu/cpu5/topology/die_id", "0\n");
	assert_content(fixture, "devices/system/cpu/cpu5/topology/thread_siblings_list", "5\n");
	assert_content(fixture, "devices/system/cpu/cpu5/topology/package_cpus_list", "2,5\n");
	assert_content(fixture, "devices/system/cpu/cpu0/topology/package_cpus_list", "0-1\n");
	assert_int_equal(walk(fixture->tree, TREE_ROOT, "devices/system/cpu/cpu3"), TREE_NONE);
}

static void test_links_lead_where_they_should(void **state)
{
	const struct fixture *fixture = *state;
	const struct tree *tree = fixture->tree;
	size_t class_dir = walk(tree, TREE_ROOT, "class/powercap");
	size_t package = walk(tree, class_dir, "intel-rapl:0");
	size_t dram = walk(tree, class_dir, "intel-rapl:0:0");

	assert_int_equal(walk(tree, class_dir, "intel-rapl/subsystem"), class_dir);
	assert_int_equal(walk(tree, package, "subsystem"), class_dir);
	assert_int_equal(walk(tree, dram, "subsystem"), class_dir);
	assert_int_equal(walk(tree, dram, "device"), package);
	assert_int_equal(walk(tree, package, "device"), walk(tree, class_dir, "intel-rapl"));
	assert_int_equal(tree_node(tree, dram)->parent, package);
	for (size_t i = 0; i < tree_node_count(tree); i++) {
		const struct tree_node *node = tree_node(tree, i);

		if (node->kind == TREE_LINK)
			assert_int_not_equal(walk(tree, node->parent, node->text), TREE_NONE);
	}
}

static void test_only_root_reads_energy(void **state)
{
	const struct fixture *fixture = *state;
	const struct tree *tree = fixture->tree;
	size_t zone = walk(tree, TREE_ROOT, "class/powercap/intel-rapl:0");

	assert_int_equal(tree_node(tree, tree_lookup(tree, zone, "energy_uj"))->mode, 0400);
	assert_int_equal(tree_node(tree, tree_lookup(tree, zone, "name"))->mode, 0444);
	assert_int_equal(tree_node(tree, tree_lookup(tree, zone, "enabled"))->mode, 0644);
}

static void test_zone_goes_and_returns_as_another(void **state)
{
	const struct fixture *fixture = *state;
	struct tree *tree = fixture->tree;
	size_t package = tree_find_dir(tree, "package-0");
	size_t dram = tree_find_dir(tree, "package-0/dram");
	size_t energy = tree_find_file(tree, dram, "energy_uj");

	assert_int_equal(package, walk(tree, TREE_ROOT, "class/powercap/intel-rapl:0"));
	assert_int_equal(tree_zone_set(tree, package, false), 0);
	assert_int_equal(tree_zone_set(tree, package, false), -EALREADY);
	assert_int_equal(walk(tree, TREE_ROOT, "class/powercap/intel-rapl:0"), TREE_NONE);
	assert_int_equal(walk(tree, TREE_ROOT, "class/powercap/intel-rapl:0:0"), TREE_NONE);
	assert_int_not_equal(walk(tree, TREE_ROOT, "class/powercap/intel-rapl:2:0"), TREE_NONE);
	assert_false(tree_visible(tree, energy));
	assert_int_equal(tree_incarnation(tree, energy), 1);
	assert_int_equal(tree_zone_set(tree, package, true), 0);
	assert_int_equal(walk(tree, TREE_ROOT, "class/powercap/intel-rapl:0:0"), dram);
	assert_int_equal(tree_incarnation(tree, energy), 1);
	assert_int_equal(tree_zone_set(tree, dram, false), 0);
	assert_true(tree_visible(tree, package));
	assert_int_equal(tree_incarnation(tree, energy), 2);
	assert_int_equal(tree_zone_set(tree, TREE_ROOT, false), -EINVAL);
	assert_int_equal(tree_zone_set(tree, tree_find_dir(tree, "devices/system/cpu"), false),
			 -EINVAL);
}

static void test_zones_are_found_by_any_name(void **state)
{
	const struct fixture *fixture = *state;
	const struct tree *tree = fixture->tree;
	size_t dram = walk(tree, TREE_ROOT, "class/powercap/intel-rapl:2:0");

	assert_int_equal(tree_find_dir(tree, "intel-rapl:2:0"), dram);
	assert_int_equal(tree_find_dir(tree, "package-1/dram"), dram);
	assert_int_equal(
	    tree_find_dir(tree, "devices/virtual/powercap/intel-rapl/intel-rapl:2/intel-rapl:2:0"),
	    dram);
	assert_int_not_equal(tree_find_dir(tree, "intel-rapl-mmio:1:0"), dram);
	assert_int_equal(tree_find_dir(tree, "package-2"), TREE_NONE);
	assert_int_equal(tree_find_dir(tree, "devices/system/cpu/online"), TREE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_files_say_what_the_kernels_do, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cpus_say_where_they_are, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links_lead_where_they_should, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_only_root_reads_energy, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_zone_goes_and_returns_as_another, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_zones_are_found_by_any_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
