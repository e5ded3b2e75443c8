#include "common/cleanup.h"
#include "common/powercap_tree.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>

/* Scans DIR/sys of a fixture. */
static int scan(const char *machine, bool parts, struct powercap_tree *ret_tree, struct diag *notes)
{
	char path[512];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s/sys", TEST_FIXTURES, machine);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return powercap_tree_scan(fd, parts, ret_tree, notes);
}

/* The ids in order, as one text. */
static const char *list_ids(const struct powercap_tree *tree)
{
	static char text[ZONE_MAX * (ZONE_ID_SIZE + 1)];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < tree->zone_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
					 tree->zones[i].id);
	return text;
}

static void test_machines(void **state)
{
	static const struct {
		const char *machine;
		bool parts;
		const char *ids, *notes;
	} rows[] = {
	    {"xeon-two-dies", false,
	     "package-0-die-0 dram-0-die-0 package-0-die-1 dram-0-die-1 "
	     "package-1-die-0 dram-1-die-0 package-1-die-1 dram-1-die-1",
	     ""},
	    {"xeon-swapped", true, "package-0 dram-0 package-1 dram-1 psys", ""},
	    {"epyc", false, "package-0", ""},
	    {"laptop", false, "package-0 dram-0 psys", ""},
	    {"laptop", true, "package-0 core-0 uncore-0 dram-0 psys", ""},
	    {"mmio-only", false, "package-0", ""},
	    {"eleven-packages", false,
	     "package-0 package-1 package-2 package-3 package-4 package-5 package-6 package-7 "
	     "package-8 package-9 package-15",
	     ""},
	    {"no-range", true, "package-0 dram-0", "names an unknown zone"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct powercap_tree tree;
		struct diag notes = DIAG_INIT;

		assert_int_equal(scan(rows[i].machine, rows[i].parts, &tree, &notes), 0);
		assert_string_equal(list_ids(&tree), rows[i].ids);
		check_contains(notes.text, rows[i].notes);
		assert_true((notes.text[0] == '\0') == (rows[i].notes[0] == '\0'));
	}
}

/* What real machines list, in whatever order their zones stand. */
static void test_recorded_machines(void **state)
{
	static const struct {
		const char *machine, *ids, *first;
	} rows[] = {
	    {"xeon-psys", "package-0 dram-0 package-1 dram-1 psys", "class/powercap/intel-rapl:0"},
	    {"haswell", "package-0 core-0 uncore-0 dram-0", "class/powercap/intel-rapl:0"},
	    {"four-sockets", "package-0 dram-0 package-1 dram-1 package-2 dram-2 package-3 dram-3",
	     "class/powercap/intel-rapl:0"},
	    {"three-constraints", "package-0 core-0 uncore-0 psys", "class/powercap/intel-rapl:0"},
	    {"swapped-packages", "package-0 core-0 package-1 core-1",
	     "class/powercap/intel-rapl:1"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		cleanup_fd int fd = -1;
		struct tree files = {.fd = -1};
		struct powercap_tree tree;
		struct diag notes = DIAG_INIT;
		char list[512];

		(void)snprintf(list, sizeof(list), "%s/%s/powercap.list", TEST_FIXTURES,
			       rows[i].machine);
		tree_create(&files);
		tree_write_list(&files, list);
		fd = openat(files.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(powercap_tree_scan(fd, true, &tree, &notes), 0);
		assert_string_equal(list_ids(&tree), rows[i].ids);
		assert_string_equal(tree.paths[0], rows[i].first);
		assert_string_equal(notes.text, "");
		tree_remove(&files);
	}
}

static void test_what_a_zone_is(void **state)
{
	struct powercap_tree tree;

	(void)state;
	assert_int_equal(scan("xeon-two-dies", false, &tree, NULL), 0);
	assert_int_equal(tree.zones[7].kind, ZONE_DRAM);
	assert_int_equal(tree.zones[7].package, 1);
	assert_int_equal(tree.zones[7].die, 1);
	assert_int_equal(tree.zones[7].range_uj, UINT64_C(65712999613));
	assert_string_equal(tree.paths[7], "class/powercap/intel-rapl:3:0");

	assert_int_equal(scan("xeon-swapped", false, &tree, NULL), 0);
	assert_int_equal(tree.zones[0].package, 0);
	assert_int_equal(tree.zones[0].die, ZONE_ANY_DIE);
	assert_string_equal(tree.paths[0], "class/powercap/intel-rapl:1");
	assert_int_equal(tree.zones[4].kind, ZONE_PSYS);
	assert_int_equal(tree.zones[4].range_uj, UINT64_C(4294967295000000));

	assert_int_equal(scan("eleven-packages", false, &tree, NULL), 0);
	assert_string_equal(tree.paths[10], "class/powercap/intel-rapl:a");

	/* The package is taken from the MSR, not from its repetition. */
	assert_int_equal(scan("laptop", false, &tree, NULL), 0);
	assert_string_equal(tree.paths[0], "class/powercap/intel-rapl:0");
	assert_false(tree.mmio[0]);
	assert_int_equal(scan("mmio-only", false, &tree, NULL), 0);
	assert_true(tree.mmio[0]);

	assert_int_equal(scan("no-range", false, &tree, NULL), 0);
	assert_int_equal(tree.zones[0].range_uj, POWERCAP_RAW_UJ_MAX);
}

static void test_places(void **state)
{
	static const struct {
		const char *name;
		int status;
		struct powercap_place place;
	} rows[] = {
	    {"intel-rapl:0", 0, {false, 1, {0, 0}}},
	    {"intel-rapl:a", 0, {false, 1, {10, 0}}},
	    {"intel-rapl:1f:3", 0, {false, 2, {31, 3}}},
	    {"intel-rapl-mmio:0:1", 0, {true, 2, {0, 1}}},
	    {"intel-rapl", -EINVAL, {0}},
	    {"intel-rapl:", -EINVAL, {0}},
	    {"intel-rapl:0:", -EINVAL, {0}},
	    {"intel-rapl:0:0:0", -EINVAL, {0}},
	    {"intel-rapl:G", -EINVAL, {0}},
	    {"intel-rapl:A", -EINVAL, {0}},
	    {"intel-rapl:123456789", -ERANGE, {0}},
	    {"intel-rapl:00000000000000000000", -ERANGE, {0}},
	    {"dtpm:0", -EINVAL, {0}},
	    {"", -EINVAL, {0}},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct powercap_place place = {.depth = 0};

		assert_int_equal(powercap_parse_place(rows[i].name, &place), rows[i].status);
		assert_int_equal(place.mmio, rows[i].place.mmio);
		assert_int_equal(place.depth, rows[i].place.depth);
		assert_int_equal(place.index[0], rows[i].place.index[0]);
		assert_int_equal(place.index[1], rows[i].place.index[1]);
	}
}

static void test_labels(void **state)
{
	static const struct {
		const char *name;
		int status;
		struct powercap_label label;
	} rows[] = {
	    {"package-0", 0, {ZONE_PACKAGE, true, 0, ZONE_ANY_DIE}},
	    {"package-15", 0, {ZONE_PACKAGE, true, 15, ZONE_ANY_DIE}},
	    {"package-1-die-2", 0, {ZONE_PACKAGE, true, 1, 2}},
	    {"package-999999-die-999999", 0, {ZONE_PACKAGE, true, 999999, 999999}},
	    {"dram", 0, {ZONE_DRAM, false, 0, ZONE_ANY_DIE}},
	    {"core", 0, {ZONE_CORE, false, 0, ZONE_ANY_DIE}},
	    {"uncore", 0, {ZONE_UNCORE, false, 0, ZONE_ANY_DIE}},
	    {"psys", 0, {ZONE_PSYS, false, 0, ZONE_ANY_DIE}},
	    {"psys-1", 0, {ZONE_PSYS, false, 0, ZONE_ANY_DIE}},
	    {"package", -EINVAL, {0}},
	    {"package-", -EINVAL, {0}},
	    {"package-x", -EINVAL, {0}},
	    {"package-1-die", -EINVAL, {0}},
	    {"package-1-die-", -EINVAL, {0}},
	    {"package-1-core-2", -EINVAL, {0}},
	    {"package-1000000", -ERANGE, {0}},
	    {"package-1-die-1000000", -ERANGE, {0}},
	    {"package-99999999999999999", -ERANGE, {0}},
	    {"psys-", -EINVAL, {0}},
	    {"DRAM", -EINVAL, {0}},
	    {"", -EINVAL, {0}},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct powercap_label label = {.package = 0};

		assert_int_equal(powercap_parse_label(rows[i].name, &label), rows[i].status);
		assert_int_equal(label.kind, rows[i].label.kind);
		assert_int_equal(label.has_package, rows[i].label.has_package);
		assert_int_equal(label.package, rows[i].label.package);
		assert_int_equal(label.die, rows[i].label.die);
	}
}

static void test_energies(void **state)
{
	static const struct {
		const char *text;
		int status;
		uint64_t raw_uj;
	} rows[] = {
	    {"0\n", 0, 0},
	    {"262143328850\n", 0, UINT64_C(262143328850)},
	    {"7", 0, 7},
	    {"9223372036854775807\n", 0, POWERCAP_RAW_UJ_MAX},
	    {"9223372036854775808\n", -ERANGE, 0},
	    {"99999999999999999999\n", -ERANGE, 0},
	    {"", -ENODATA, 0},
	    {"\n", -EINVAL, 0},
	    {"-1\n", -EINVAL, 0},
	    {"12x4\n", -EINVAL, 0},
	    {"1\n2\n", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		uint64_t raw_uj = 0;

		assert_int_equal(powercap_parse_energy(rows[i].text, &raw_uj), rows[i].status);
		assert_int_equal(raw_uj, rows[i].raw_uj);
	}
}

static void test_nested_directories_alone(void **state)
{
	static const char at[] = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1";
	cleanup_fd int fd = -1;
	struct powercap_tree tree;
	struct tree files = {.fd = -1};

	(void)state;
	tree_create(&files);
	fd = openat(files.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(powercap_tree_scan(fd, false, &tree, NULL), -ENOENT);
	for (int i = 0; i < 2; i++) {
		tree_write(&files, "sys/devices/virtual/powercap/intel-rapl/enabled", "1\n");
		assert_int_equal(powercap_tree_scan(fd, false, &tree, NULL), 0);
		assert_int_equal(tree.zone_count, 0);
		/* The second time with a class that is there but empty. */
		tree_write(&files, "sys/class/powercap/README", "\n");
	}
	tree_write(&files, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1/name",
		   "package-3\n");
	tree_write(&files,
		   "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1/intel-rapl:1:0/name",
		   "dram\n");
	assert_int_equal(powercap_tree_scan(fd, false, &tree, NULL), 0);
	assert_string_equal(list_ids(&tree), "package-3 dram-3");
	assert_string_equal(tree.paths[0], at + strlen("sys/"));
	tree_remove(&files);
}

static void test_duplicates_and_orphans(void **state)
{
	cleanup_fd int fd = -1;
	struct powercap_tree tree;
	struct diag notes = DIAG_INIT;
	struct tree files = {.fd = -1};

	(void)state;
	tree_create(&files);
	fd = openat(files.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tree_write(&files, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
	tree_write(&files, "sys/class/powercap/intel-rapl:1/name", "package-0\n");
	tree_write(&files, "sys/class/powercap/intel-rapl:2/name", "psys\n");
	tree_write(&files, "sys/class/powercap/intel-rapl:3/name", "psys-1\n");
	tree_write(&files, "sys/class/powercap/intel-rapl:5:0/name", "dram\n");
	tree_write(&files, "sys/class/powercap/intel-rapl:6/energy_uj", "1\n");
	assert_int_equal(powercap_tree_scan(fd, false, &tree, &notes), 0);
	assert_string_equal(list_ids(&tree), "package-0 psys");
	assert_string_equal(tree.paths[0], "class/powercap/intel-rapl:0");
	check_contains(notes.text, "intel-rapl:1 is package-0 once more");
	check_contains(notes.text, "intel-rapl:3 is psys once more");
	check_contains(notes.text, "intel-rapl:5:0/name is of no known package");
	check_contains(notes.text, "intel-rapl:6/name cannot be read");
	tree_remove(&files);
}

/* Where not all fit, parts go and packages stay, however the kernel lists them. */
static void test_parts_yield_to_packages(void **state)
{
	static const char *const children[] = {"core", "uncore", "dram"};
	static const unsigned int packages = 20;
	cleanup_fd int fd = -1;
	struct powercap_tree tree;
	struct diag notes = DIAG_INIT;
	struct tree files = {.fd = -1};
	size_t counts[ZONE_PSYS + 1] = {0};

	(void)state;
	tree_create(&files);
	fd = openat(files.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned int i = 0; i < packages; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%x/name", i);
		tree_write(&files, path, "package-%u\n", i);
		for (unsigned int child = 0; child < CHECK_COUNT(children); child++) {
			(void)snprintf(path, sizeof(path),
				       "sys/class/powercap/intel-rapl:%x:%u/name", i, child);
			tree_write(&files, path, "%s\n", children[child]);
		}
	}
	assert_int_equal(powercap_tree_scan(fd, true, &tree, &notes), 0);
	assert_int_equal(tree.zone_count, ZONE_MAX);
	for (size_t i = 0; i < tree.zone_count; i++)
		counts[tree.zones[i].kind]++;
	assert_int_equal(counts[ZONE_PACKAGE], packages);
	assert_int_equal(counts[ZONE_DRAM], packages);
	assert_int_equal(counts[ZONE_CORE] + counts[ZONE_UNCORE], ZONE_MAX - 2 * packages);
	check_contains(notes.text, "is one zone too many");
	tree_remove(&files);
}

static void test_more_zones_than_fit(void **state)
{
	cleanup_fd int fd = -1;
	struct powercap_tree tree;
	struct diag notes = DIAG_INIT;
	struct tree files = {.fd = -1};

	(void)state;
	tree_create(&files);
	fd = openat(files.fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i <= ZONE_MAX; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "sys/class/powercap/intel-rapl:%x/name",
			       (unsigned)i);
		assert_int_equal(powercap_tree_scan(fd, false, &tree, &notes),
				 i == 0 ? -ENOENT : 0);
		assert_int_equal(tree.zone_count * (size_t)(i != 0), i);
		assert_string_equal(notes.text, "");
		tree_write(&files, path, "package-%d\n", i);
	}
	assert_int_equal(powercap_tree_scan(fd, false, &tree, &notes), 0);
	assert_int_equal(tree.zone_count, ZONE_MAX);
	check_contains(notes.text, "intel-rapl:40 is one zone too many");
	tree_remove(&files);
}

/* One zone may be lost by a fault, never the scan as a whole or its memory. */
static void test_every_call_may_fail(void **state)
{
	struct powercap_tree tree;
	unsigned nth = 1;
	bool happened;

	(void)state;
	do {
		int status;

		fault_arm(FAULT_MEMORY | FAULT_PREAD, nth++, EIO);
		status = scan("laptop", true, &tree, NULL);
		happened = fault_disarm();
		if (nth == 2)
			assert_int_equal(status, -ENOMEM);
		else
			assert_int_equal(status, 0);
	} while (happened);
	assert_int_equal(tree.zone_count, 5);
	assert_true(nth > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_machines),
	    cmocka_unit_test(test_recorded_machines),
	    cmocka_unit_test(test_what_a_zone_is),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_labels),
	    cmocka_unit_test(test_energies),
	    cmocka_unit_test(test_nested_directories_alone),
	    cmocka_unit_test(test_duplicates_and_orphans),
	    cmocka_unit_test(test_parts_yield_to_packages),
	    cmocka_unit_test(test_more_zones_than_fit),
	    cmocka_unit_test(test_every_call_may_fail),
	};

	return cmocka_run_group_tests_name("powercap_tree", tests, NULL, NULL);
}
