/* equivalents.h: what a file may say, and what comes of it against a golden file. */
#include "common/equivalents.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <stdlib.h>

#define KJ UINT64_C(1000000000)

static void check_text(const struct equivalents *table, size_t index, uint64_t energy_uj,
		       const char *expected)
{
	char text[EQUIVALENT_TEXT_SIZE];

	assert_string_equal(equivalent_text(equivalents_get(table, index), energy_uj, text),
			    expected);
}

static void test_figures(void **state)
{
	cleanup_equivalents struct equivalents *table = NULL;
	const char *text = "bulb = 9 W : lights a 9 W LED bulb for {}\n"
			   "phone = 10Wh : charges a phone {}\n"
			   "bike = 0.72 Wh / km : moves an e-bike by {}\n"
			   "kettle = 335 kJ/l : boils {}\n";

	(void)state;
	assert_int_equal(equivalents_parse("x", text, &table, NULL), 0);
	check_text(table, 0, 108 * KJ, "lights a 9 W LED bulb for 3 h 20 min");
	check_text(table, 0, 9000000, "lights a 9 W LED bulb for 1 s");
	check_text(table, 0, 45000, "lights a 9 W LED bulb for 5 ms");
	check_text(table, 0, 540000000 - 1, "lights a 9 W LED bulb for 1 min");
	check_text(table, 0, UINT64_MAX, "lights a 9 W LED bulb for 64993 y 220 d");
	check_text(table, 0, 0, "lights a 9 W LED bulb for 0 ms");
	check_text(table, 1, 36 * KJ, "charges a phone 1 time");
	check_text(table, 1, 90 * KJ, "charges a phone 2.5 times");
	check_text(table, 1, 1, "charges a phone less than 0.000001 times");
	check_text(table, 2, 2592000000, "moves an e-bike by 1 km");
	check_text(table, 2, 259200000, "moves an e-bike by 100 m");
	check_text(table, 3, 670 * KJ, "boils 2 l");
	check_text(table, 3, 33500000000, "boils 100 ml");
}

/* What is there when the file is not, is what is shipped: the comments apart. */
static void test_the_built_in_table_is_the_shipped_one(void **state)
{
	cleanup_equivalents struct equivalents *built_in = NULL, *shipped = NULL;

	(void)state;
	assert_int_equal(equivalents_load("/nonexistent/file", &built_in, NULL), 0);
	assert_int_equal(equivalents_load(TEST_SHIPPED, &shipped, NULL), 0);
	assert_int_equal(equivalents_count(built_in), equivalents_count(shipped));
	for (size_t i = 0; i < equivalents_count(shipped); i++)
		assert_memory_equal(equivalents_get(built_in, i), equivalents_get(shipped, i),
				    sizeof(struct equivalent));
}

/* From a millijoule to a terawatt hour: what every entry says, and which one is shown. */
static void test_all_sizes(void **state)
{
	cleanup_equivalents struct equivalents *table = NULL;
	char line[EQUIVALENT_TEXT_SIZE], *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	(void)state;
	assert_non_null(stream);
	assert_int_equal(equivalents_load(TEST_SHIPPED, &table, NULL), 0);
	for (uint64_t energy_uj = 3600; energy_uj < UINT64_C(5000000000000000000);
	     energy_uj *= 10) {
		const struct equivalent *chosen = equivalents_choose(table, energy_uj);

		(void)fprintf(stream, "%.10g J\n", (double)energy_uj / 1e6);
		for (size_t i = 0; i < equivalents_count(table); i++) {
			const struct equivalent *entry = equivalents_get(table, i);

			(void)fprintf(stream, "%c %s\n", entry == chosen ? '*' : ' ',
				      equivalent_text(entry, energy_uj, line));
		}
	}
	assert_int_equal(fclose(stream), 0);
	golden_check("equivalents.text", text, size);
	free(text);
}

static void check_refused(const char *text, int status, const char *where, const char *said)
{
	cleanup_equivalents struct equivalents *table = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(equivalents_parse("my.conf", text, &table, &diag), status);
	assert_null(table);
	check_contains(diag.text, where);
	check_contains(diag.text, said);
}

static void test_refuses_what_is_malformed(void **state)
{
	(void)state;
	check_refused("", -ENODATA, "my.conf:1: ", "there is no entry");
	check_refused("# only\n\n", -ENODATA, "my.conf:1: ", "NAME = AMOUNT : SENTENCE");
	check_refused("\nled 9 W\n", -EINVAL, "my.conf:2: ", "NAME = AMOUNT : SENTENCE");
	check_refused("a = 9 W\n", -EINVAL, "my.conf:1: ", "NAME = AMOUNT : SENTENCE");
	check_refused(" = 9 W : {}\n", -EINVAL, "my.conf:1: ", "a-z, 0-9 and -");
	check_refused("LED = 9 W : {}\n", -EINVAL, "my.conf:1: ", "a-z, 0-9 and -");
	check_refused("a = 0 W : {}\n", -EINVAL, "my.conf:1: ", "above 0");
	check_refused("a = 9 : {}\n", -EINVAL, "my.conf:1: ", "MJ, Wh, kWh");
	check_refused("a = 9 W/km : {}\n", -EINVAL, "my.conf:1: ", "per km or l");
	check_refused("a = 9 Wh/mile : {}\n", -EINVAL, "my.conf:1: ", "per km or l");
	check_refused("a = 9 W : lights\n", -EINVAL, "my.conf:1: ", "{} once");
	check_refused("a = 9 W : {} and {}\n", -EINVAL, "my.conf:1: ", "{} once");
	check_refused("a = 9 W : \033[2J{}\n", -EINVAL, "my.conf:1: ", "control characters");
	check_refused("a = 9 W : \377{}\n", -EINVAL, "my.conf:1: ", "UTF-8");
	check_refused("a = 9 W : {}\na = 8 W : {}\n", -EEXIST, "my.conf:2: ", "a already");
}

/* Each limit at its maximum and one above. */
static void test_limits(void **state)
{
	cleanup_equivalents struct equivalents *table = NULL;
	char name[EQUIVALENT_NAME_SIZE + 1] = "", sentence[EQUIVALENT_SENTENCE_SIZE + 1] = "";
	char text[8192] = "";
	size_t used = 0;

	(void)state;
	memset(name, 'n', EQUIVALENT_NAME_SIZE - 1);
	memset(sentence, 's', EQUIVALENT_SENTENCE_SIZE - 1);
	sentence[0] = '{';
	sentence[1] = '}';
	(void)snprintf(text, sizeof(text), "%s = 1 W : %s", name, sentence);
	assert_int_equal(equivalents_parse("x", text, &table, NULL), 0);
	(void)snprintf(text, sizeof(text), "%sn = 1 W : %s", name, sentence);
	check_refused(text, -EINVAL, "my.conf:1: ", "1 to 31");
	(void)snprintf(text, sizeof(text), "%s = 1 W : %ss", name, sentence);
	check_refused(text, -EINVAL, "my.conf:1: ", "127 bytes");
	for (int i = 0; i < EQUIVALENTS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "n%d = 1 W : {}\n", i);
	equivalents_destroy(table);
	table = NULL;
	assert_int_equal(equivalents_parse("x", text, &table, NULL), 0);
	assert_int_equal(equivalents_count(table), EQUIVALENTS_MAX);
	(void)snprintf(text + used, sizeof(text) - used, "more = 1 W : {}\n");
	check_refused(text, -E2BIG, "my.conf:65: ", "more than 64");
}

static void test_a_file_that_cannot_be_read(void **state)
{
	const struct tree *tree = *state;
	cleanup_equivalents struct equivalents *table = NULL;
	struct diag diag = DIAG_INIT;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s", tree->path);
	assert_int_equal(equivalents_load(path, &table, &diag), -EISDIR);
	check_contains(diag.text, tree->path);
	tree_write(tree, "file", "a = 1 W : {}\nb = x\n");
	(void)snprintf(path, sizeof(path), "%s/file", tree->path);
	assert_int_equal(equivalents_load(path, &table, &diag), -EINVAL);
	check_contains(diag.text, "/file:2: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_figures),
	    cmocka_unit_test(test_the_built_in_table_is_the_shipped_one),
	    cmocka_unit_test(test_all_sizes),
	    cmocka_unit_test(test_refuses_what_is_malformed),
	    cmocka_unit_test(test_limits),
	    TREE_TEST(test_a_file_that_cannot_be_read),
	};

	return cmocka_run_group_tests_name("equivalents", tests, NULL, NULL);
}
