/* vtree.h: the whole tree against golden listings, and what must hold for any shape and any node.
 */
#include "common/vtree.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LISTING_SIZE_MAX (1 << 20)
#define PATH_SIZE	 256

static const struct vtree_shape shapes[] = {
    {.socket_count = 1},
    {.socket_count = 2, .dram = true},
    {.socket_count = 12, .psys = true},
    {.socket_count = 2, .dram = true, .exact = true},
    {.socket_count = 1, .dram = true, .psys = true},
    {.socket_count = VTREE_SOCKET_MAX,
     .core = true,
     .uncore = true,
     .dram = true,
     .psys = true,
     .exact = true},
    {.socket_count = 11, .core = true, .uncore = true, .dram = true, .psys = true},
    {.socket_count = 2, .uncore = true},
};
#define SHAPE_COUNT (sizeof(shapes) / sizeof(shapes[0]))

static struct vtree_values values_of(struct vtree_shape shape)
{
	struct vtree_values values = {.shape = shape,
				      .generation = 3,
				      .age_ms = 42,
				      .time_ns = 123456789,
				      .source = "replay"};

	for (size_t i = 0; i < sizeof(values.uuid.bytes); i++)
		values.uuid.bytes[i] = (uint8_t)i;
	for (uint32_t i = 0; i < VTREE_SOCKET_MAX; i++) {
		values.socket_uj[i][ZONE_PACKAGE] = 1000 + i;
		values.socket_uj[i][ZONE_CORE] = 4000 + i;
		values.socket_uj[i][ZONE_UNCORE] = 5000 + i;
		values.socket_uj[i][ZONE_DRAM] = 2000 + i;
	}
	values.psys_uj = 3000;
	values.wall_s = 1700000000;
	values.power_uw = 12345678;
	values.load_ppm = 987654;
	return values;
}

/* What a walk carries along. */
struct listing {
	const struct vtree_values *values;
	size_t used;
	char text[LISTING_SIZE_MAX];
	size_t node_count;
	bool nodes[1 << VTREE_NODE_BITS]; /* those that the walk came across */
};

__attribute__((format(printf, 2, 3))) static void listing_add(struct listing *listing,
							      const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(listing->text + listing->used, LISTING_SIZE_MAX - listing->used, format,
			   arguments);
	va_end(arguments);
	assert_true(length >= 0 && (size_t)length < LISTING_SIZE_MAX - listing->used);
	listing->used += (size_t)length;
}

/* The content on one line: newlines inside as a bar, the last one as it must be. */
static void listing_add_content(struct listing *listing, struct vtree_node node)
{
	char text[VTREE_CONTENT_SIZE];
	int length = vtree_content(listing->values, node, text);

	assert_true(length > 0 && length < VTREE_CONTENT_SIZE);
	assert_int_equal(text[length - 1], '\n');
	for (int i = 0; i < length - 1; i++)
		if (text[i] == '\n')
			text[i] = '|';
	/* The version is the build's, not the tree's. */
	if (strncmp(text, WATTPORT_VERSION "\n", strlen(WATTPORT_VERSION) + 1) == 0)
		listing_add(listing, " VERSION\n");
	else
		listing_add(listing, " %.*s", length, text);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tree is */
static void walk(struct listing *listing, const char *path, struct vtree_node node)
{
	const struct vtree_shape *shape = &listing->values->shape;
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	char child[PATH_SIZE];

	assert_int_equal(vtree_attributes(shape, node, &attributes), 0);
	assert_true(node.id != 0 && node.id >> VTREE_NODE_BITS == 0);
	/* Only a file may have a second name. */
	assert_true(!listing->nodes[node.id] || S_ISREG(attributes.mode));
	assert_int_equal(listing->nodes[node.id] + 1U <= attributes.link_count, true);
	listing->node_count += !listing->nodes[node.id];
	listing->nodes[node.id] = true;
	listing_add(listing, "%s %o %u %" PRIu64, path, (unsigned)attributes.mode,
		    attributes.link_count, attributes.size);
	if (S_ISREG(attributes.mode)) {
		listing_add_content(listing, node);
		return;
	}
	if (S_ISLNK(attributes.mode)) {
		char target[VTREE_LINK_SIZE];
		int length = vtree_link(shape, node, target);

		assert_int_equal(length, strlen(target));
		listing_add(listing, " -> %s\n", target);
		return;
	}
	listing_add(listing, "\n");
	for (size_t i = 0; vtree_list(shape, node, i, &entry) == 0; i++) {
		(void)snprintf(child, sizeof(child), "%s/%s", path, entry.name);
		walk(listing, child, entry.node);
	}
}

static struct listing *listing_of(const struct vtree_values *values)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	assert_non_null(listing);
	listing->values = values;
	walk(listing, ".", vtree_root());
	return listing;
}

static void check_golden(const char *suffix, struct vtree_shape shape)
{
	struct vtree_values values = values_of(shape);
	struct listing *listing = listing_of(&values);
	char name[PATH_SIZE];

	(void)snprintf(name, sizeof(name), "vtree-%s.ok", suffix);
	golden_check(name, listing->text, listing->used);
	free(listing);
}

static void test_golden(void **state)
{
	(void)state;
	check_golden("1", shapes[0]);
	check_golden("2-dram", shapes[1]);
	check_golden("12-psys", shapes[2]);
	check_golden("2-dram-exact", shapes[3]);
	check_golden("11-all", shapes[6]);
	check_golden("2-uncore", shapes[7]);
}

/* From the directory that a path names, follows a relative link and finds a directory there. */
static struct vtree_node follow(const struct vtree_shape *shape, const char *directory,
				const char *target)
{
	struct vtree_node nodes[16] = {vtree_root()};
	size_t depth = 0;
	char path[2 * PATH_SIZE];
	char *part, *rest = path;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, target);
	while ((part = strtok_r(rest, "/", &rest)) != NULL) {
		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			assert_true(depth > 0);
			depth--;
			continue;
		}
		assert_true(depth < 15);
		if (vtree_lookup(shape, nodes[depth], part, &nodes[depth + 1]) != 0)
			fail_msg("%s leads nowhere from %s", target, directory);
		depth++;
	}
	return nodes[depth];
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tree is */
static size_t check_links(const struct vtree_shape *shape, const char *path,
			  struct vtree_node directory)
{
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	char target[VTREE_LINK_SIZE];
	char child[PATH_SIZE];
	size_t count = 0;

	for (size_t i = 0; vtree_list(shape, directory, i, &entry) == 0; i++) {
		assert_int_equal(vtree_attributes(shape, entry.node, &attributes), 0);
		(void)snprintf(child, sizeof(child), "%s/%s", path, entry.name);
		if (S_ISDIR(attributes.mode))
			count += check_links(shape, child, entry.node);
		if (!S_ISLNK(attributes.mode))
			continue;
		assert_true(vtree_link(shape, entry.node, target) > 0);
		assert_int_equal(vtree_attributes(shape, follow(shape, path, target), &attributes),
				 0);
		assert_true(S_ISDIR(attributes.mode));
		count++;
	}
	return count;
}

static void test_links_lead_to_directories(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHAPE_COUNT; i++) {
		const struct vtree_shape *shape = &shapes[i];
		size_t zones =
		    shape->socket_count * (1U + shape->core + shape->uncore + shape->dram) +
		    shape->psys;

		/* A class link and a subsystem link for each zone and the control type. */
		assert_int_equal(check_links(shape, ".", vtree_root()), 2 * (zones + 1));
	}
}

/* Every number that could be a node is either one that is listed, or refused by all functions. */
static void test_any_node(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHAPE_COUNT; i++) {
		struct vtree_values values = values_of(shapes[i]);
		struct listing *listing = listing_of(&values);
		size_t nodes = 0;

		for (uint64_t id = 0; id >> VTREE_NODE_BITS == 0; id++) {
			struct vtree_node node = {.id = id};
			struct vtree_attributes attributes;
			struct vtree_entry entry;
			char target[VTREE_LINK_SIZE];
			char text[VTREE_CONTENT_SIZE];

			if (vtree_attributes(&shapes[i], node, &attributes) == 0) {
				assert_true(listing->nodes[id]);
				nodes++;
				continue;
			}
			assert_int_equal(vtree_attributes(&shapes[i], node, &attributes), -ESTALE);
			assert_int_equal(vtree_list(&shapes[i], node, 0, &entry), -ESTALE);
			assert_int_equal(vtree_link(&shapes[i], node, target), -ESTALE);
			assert_int_equal(vtree_content(&values, node, text), -ESTALE);
		}
		assert_int_equal(nodes, listing->node_count);
		free(listing);
	}
}

static void test_beyond_the_bits(void **state)
{
	struct vtree_node node = {.id = vtree_root().id | UINT64_C(1) << VTREE_NODE_BITS};
	struct vtree_attributes attributes;

	(void)state;
	assert_int_equal(vtree_attributes(&shapes[0], node, &attributes), -ESTALE);
}

static struct vtree_node find(const struct vtree_shape *shape, const char *path)
{
	return follow(shape, ".", path);
}

static void test_wrong_kind(void **state)
{
	struct vtree_values values = values_of(shapes[0]);
	struct vtree_node file = find(&shapes[0], "wattport/uuid");
	struct vtree_node link = find(&shapes[0], "class/powercap/intel-rapl");
	char target[VTREE_LINK_SIZE];
	char text[VTREE_CONTENT_SIZE];
	struct vtree_entry entry;
	struct vtree_node node;

	(void)state;
	assert_int_equal(vtree_content(&values, vtree_root(), text), -EISDIR);
	assert_int_equal(vtree_content(&values, link, text), -EINVAL);
	assert_int_equal(vtree_link(&shapes[0], file, target), -EINVAL);
	assert_int_equal(vtree_list(&shapes[0], file, 0, &entry), -ENOTDIR);
	assert_int_equal(vtree_lookup(&shapes[0], link, "name", &node), -ENOTDIR);
	assert_int_equal(vtree_lookup(&shapes[0], vtree_root(), "class/powercap", &node), -ENOENT);
	assert_int_equal(vtree_lookup(&shapes[0], vtree_root(), "", &node), -ENOENT);
}

/* A larger shape keeps the meaning of the nodes of a smaller one: a package never becomes psys. */
static void test_nodes_survive_growth(void **state)
{
	static const struct vtree_shape grown = {.socket_count = 3, .dram = true, .psys = true};
	struct vtree_values values = values_of(grown);
	struct vtree_node psys =
	    find(&shapes[4], "devices/virtual/powercap/intel-rapl/intel-rapl:1/name");
	char text[VTREE_CONTENT_SIZE];

	(void)state;
	assert_int_equal(vtree_content(&values, psys, text), strlen("psys\n"));
	assert_memory_equal(text, "psys\n", strlen("psys\n"));
	assert_int_equal(find(&grown, "devices/virtual/powercap/intel-rapl/intel-rapl:3/name").id,
			 psys.id);
}

/* The largest tree with the largest numbers still fits in one page. */
static void test_largest_snapshot(void **state)
{
	struct vtree_values values = values_of(shapes[5]);
	struct vtree_node snapshot = find(&shapes[5], "wattport/snapshot");
	struct vtree_attributes attributes;
	char text[VTREE_CONTENT_SIZE];
	int length;

	(void)state;
	values.time_ns = UINT64_MAX;
	values.psys_uj = UINT64_MAX;
	for (uint32_t i = 0; i < VTREE_SOCKET_MAX; i++) {
		for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
			values.socket_uj[i][kind] = UINT64_MAX;
	}
	length = vtree_content(&values, snapshot, text);
	assert_true(length > 0 && length < VTREE_CONTENT_SIZE);
	assert_non_null(
	    strstr(text, "\ndram-63 18446744073709551615\npsys 18446744073709551615\n"));
	assert_int_equal(vtree_counter(snapshot), VTREE_COUNTER_ALL);
	assert_int_equal(vtree_attributes(&shapes[5], snapshot, &attributes), 0);
	assert_true(attributes.size >= (uint64_t)length);
}

/* The kernel numbers a package's children in the order core, uncore, dram, those it has. */
static void test_children_are_numbered_like_the_kernels(void **state)
{
	for (unsigned int shown = 0; shown < 8; shown++) {
		struct vtree_shape shape = {.socket_count = 11,
					    .core = (shown & 1) != 0,
					    .uncore = (shown & 2) != 0,
					    .dram = (shown & 4) != 0};
		struct vtree_values values = values_of(shape);
		const char *names[3], *expected[] = {"core\n", "uncore\n", "dram\n"};
		size_t count = 0;

		(void)state;
		for (size_t i = 0; i < 3; i++)
			if ((shown & 1U << i) != 0)
				names[count++] = expected[i];
		for (size_t i = 0; i < 3; i++) {
			char path[PATH_SIZE], text[VTREE_CONTENT_SIZE];
			struct vtree_node zone, name;
			int length;

			(void)snprintf(path, sizeof(path), "intel-rapl:a:%zu", i);
			zone = find(&shape, "devices/virtual/powercap/intel-rapl/intel-rapl:a");
			if (i >= count) {
				assert_int_equal(vtree_lookup(&shape, zone, path, &zone), -ENOENT);
				continue;
			}
			assert_int_equal(vtree_lookup(&shape, zone, path, &zone), 0);
			assert_int_equal(vtree_lookup(&shape, zone, "name", &name), 0);
			length = vtree_content(&values, name, text);
			assert_int_equal(length, strlen(names[i]));
			assert_memory_equal(text, names[i], strlen(names[i]));
		}
	}
}

/* Each value as a reader that takes nothing but digits and points would read it. */
static void test_power_is_a_plain_number(void **state)
{
	static const struct {
		uint64_t power_uw;
		const char *watts;
	} rows[] = {
	    {0, "0.000000\n"},
	    {1, "0.000001\n"},
	    {999999, "0.999999\n"},
	    {1000000, "1.000000\n"},
	    {UINT64_MAX, "18446744073709.551615\n"},
	};
	struct vtree_values values = values_of(shapes[0]);
	struct vtree_node watts = find(&shapes[0], "wattport/compat/watts");
	char text[VTREE_CONTENT_SIZE];

	(void)state;
	assert_int_equal(vtree_counter(watts), VTREE_COUNTER_RATE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		values.power_uw = rows[i].power_uw;
		assert_int_equal(vtree_content(&values, watts, text), strlen(rows[i].watts));
		assert_memory_equal(text, rows[i].watts, strlen(rows[i].watts));
	}
}

/* Scaphandre finds intel-rapl:N and intel-rapl:N:M with decimal numbers only, in one directory. */
static void test_scaphandre_finds_all_sockets(void **state)
{
	const struct vtree_shape *shape = &shapes[6];
	struct vtree_node directory = find(shape, "wattport/compat/scaphandre");
	struct vtree_entry entry;
	size_t sockets = 0, domains = 0;

	(void)state;
	for (size_t i = 0; vtree_list(shape, directory, i, &entry) == 0; i++) {
		const char *number = entry.name + strlen("intel-rapl:");
		const char *child = strchr(number, ':');

		assert_int_equal(strspn(number, "0123456789:"), strlen(number));
		if (child == NULL)
			sockets++;
		else
			domains++;
	}
	assert_int_equal(sockets, 11);
	assert_int_equal(domains, 3 * 11);
	assert_int_equal(find(shape, "wattport/compat/scaphandre/intel-rapl:10:2/energy_uj").id,
			 find(shape, "devices/virtual/powercap/intel-rapl/intel-rapl:a/"
				     "intel-rapl:a:2/energy_uj")
			     .id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_links_lead_to_directories),
	    cmocka_unit_test(test_any_node),
	    cmocka_unit_test(test_beyond_the_bits),
	    cmocka_unit_test(test_wrong_kind),
	    cmocka_unit_test(test_nodes_survive_growth),
	    cmocka_unit_test(test_largest_snapshot),
	    cmocka_unit_test(test_children_are_numbered_like_the_kernels),
	    cmocka_unit_test(test_power_is_a_plain_number),
	    cmocka_unit_test(test_scaphandre_finds_all_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
