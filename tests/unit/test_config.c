#include "common/config.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>

struct target {
	uint32_t color;
	bool loud;
	uint32_t legs;
	uint64_t nap_ns;
	struct config_power power;
	char name[CONFIG_TEXT_SIZE];
};

static const char *const colors[] = {"red", "green", NULL};

static const struct config_key keys[] = {
    {"pet", "color", CONFIG_CHOICE, offsetof(struct target, color), "green", .choices = colors,
     .allowed = "red or green"},
    {"pet", "loud", CONFIG_BOOL, offsetof(struct target, loud), "no", .allowed = "yes or no"},
    {"pet", "legs", CONFIG_COUNT, offsetof(struct target, legs), "4", .minimum = 2, .maximum = 8,
     .allowed = "2 to 8 legs"},
    {"rest", "nap", CONFIG_DURATION, offsetof(struct target, nap_ns), "20ms", .minimum = 1000000,
     .maximum = 1000000000, .allowed = "a duration from 1ms to 1s"},
    {"rest", "power", CONFIG_POWER, offsetof(struct target, power), "auto", .minimum = 1000,
     .maximum = 2000000, .allowed = "auto, or a power from 1mW to 2W"},
    {"rest", "name", CONFIG_TEXT, offsetof(struct target, name), "Rex", .allowed = "a name"},
};
#define KEY_COUNT CHECK_COUNT(keys)

static struct target defaults(void)
{
	struct target target;

	memset(&target, 0xaa, sizeof(target));
	config_defaults(keys, KEY_COUNT, &target);
	return target;
}

static int set(struct target *target, const char *section, const char *name, const char *value)
{
	return config_set(keys, KEY_COUNT, &(struct config_entry){section, name, value}, target,
			  NULL);
}

static void test_every_default_is_put(void **state)
{
	const struct target target = defaults();

	(void)state;
	assert_int_equal(target.color, 1);
	assert_false(target.loud);
	assert_int_equal(target.legs, 4);
	assert_int_equal(target.nap_ns, 20000000);
	assert_false(target.power.given);
	assert_string_equal(target.name, "Rex");
}

static void test_every_type_takes_its_values(void **state)
{
	struct target target = defaults();

	(void)state;
	assert_int_equal(set(&target, "pet", "color", "red"), 0);
	assert_int_equal(target.color, 0);
	assert_int_equal(set(&target, "pet", "loud", "yes"), 0);
	assert_true(target.loud);
	assert_int_equal(set(&target, "pet", "legs", "2"), 0);
	assert_int_equal(target.legs, 2);
	assert_int_equal(set(&target, "pet", "legs", "8"), 0);
	assert_int_equal(target.legs, 8);
	assert_int_equal(set(&target, "rest", "nap", "1ms"), 0);
	assert_int_equal(target.nap_ns, 1000000);
	assert_int_equal(set(&target, "rest", "nap", "1s"), 0);
	assert_int_equal(target.nap_ns, 1000000000);
	assert_int_equal(set(&target, "rest", "power", "1.5W"), 0);
	assert_true(target.power.given);
	assert_int_equal(target.power.power_uw, 1500000);
	assert_int_equal(set(&target, "rest", "power", "auto"), 0);
	assert_false(target.power.given);
	assert_int_equal(set(&target, "rest", "name", ""), 0);
	assert_string_equal(target.name, "");
}

static void test_what_is_not_allowed_changes_nothing(void **state)
{
	static const struct {
		const char *section, *name, *value;
		int error;
		const char *allowed;
	} cases[] = {
	    {"pet", "color", "blue", -EINVAL, "red or green"},
	    {"pet", "color", "", -EINVAL, "red or green"},
	    {"pet", "color", "Red", -EINVAL, "red or green"},
	    {"pet", "loud", "1", -EINVAL, "yes or no"},
	    {"pet", "legs", "1", -ERANGE, "2 to 8 legs"},
	    {"pet", "legs", "9", -ERANGE, "2 to 8 legs"},
	    {"pet", "legs", "-4", -EINVAL, "2 to 8 legs"},
	    {"pet", "legs", "4 ", -EINVAL, "2 to 8 legs"},
	    {"pet", "legs", "4294967300", -ERANGE, "2 to 8 legs"},
	    {"rest", "nap", "20", -EINVAL, "1ms to 1s"},
	    {"rest", "nap", "20W", -EINVAL, "1ms to 1s"},
	    {"rest", "nap", "999us", -ERANGE, "1ms to 1s"},
	    {"rest", "nap", "1001ms", -ERANGE, "1ms to 1s"},
	    {"rest", "power", "1", -EINVAL, "auto, or a power"},
	    {"rest", "power", "1s", -EINVAL, "auto, or a power"},
	    {"rest", "power", "3W", -ERANGE, "auto, or a power"},
	    {"rest", "power", "0W", -ERANGE, "auto, or a power"},
	};
	const struct target before = defaults();

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct target target;
		struct diag diag = DIAG_INIT;
		char named[64];

		memcpy(&target, &before, sizeof(target));
		assert_int_equal(config_set(keys, KEY_COUNT,
					    &(struct config_entry){cases[i].section, cases[i].name,
								   cases[i].value},
					    &target, &diag),
				 cases[i].error);
		check_contains(diag.text, cases[i].allowed);
		(void)snprintf(named, sizeof(named), "%s.%s = %s", cases[i].section, cases[i].name,
			       cases[i].value);
		check_contains(diag.text, named);
		assert_memory_equal(&target, &before, sizeof(target));
	}
}

static void test_text_ends_at_its_size(void **state)
{
	struct target target = defaults();
	char text[CONFIG_TEXT_SIZE + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[CONFIG_TEXT_SIZE] = '\0';
	assert_int_equal(set(&target, "rest", "name", text), -ERANGE);
	assert_string_equal(target.name, "Rex");
	text[CONFIG_TEXT_SIZE - 1] = '\0';
	assert_int_equal(set(&target, "rest", "name", text), 0);
	assert_string_equal(target.name, text);
}

static void test_unknown_words_list_what_there_is(void **state)
{
	struct target target = defaults();
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(config_set(keys, KEY_COUNT, &(struct config_entry){"pet", "colour", "red"},
				    &target, &diag),
			 -ENOENT);
	assert_string_equal(diag.text, "unknown key pet.colour; there are: color, loud, legs");
	/* A key of another section is none of this one. */
	assert_int_equal(config_set(keys, KEY_COUNT, &(struct config_entry){"rest", "color", "red"},
				    &target, &diag),
			 -ENOENT);
	assert_string_equal(diag.text, "unknown key rest.color; there are: nap, power, name");
	assert_int_equal(config_set(keys, KEY_COUNT, &(struct config_entry){"cat", "color", "red"},
				    &target, &diag),
			 -ENOENT);
	assert_string_equal(diag.text, "unknown key cat.color; there are: pet, rest");
}

/* --- files --- */

static int read_text(const struct tree *tree, const char *text, struct target *target,
		     struct diag *diag)
{
	char path[128];

	tree_write(tree, "pet.conf", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/pet.conf", tree->path);
	return config_read_file(keys, KEY_COUNT, path, true, target, diag);
}

static void test_a_file_overrides_only_what_it_names(void **state)
{
	struct target target = defaults();
	struct diag diag = DIAG_INIT;

	assert_int_equal(read_text(*state,
				   "# a note\n\n[pet]\ncolor = red ; why not\n  \n[rest]\n"
				   "nap=2ms\nname = two words\n[pet]\nlegs = 6\n",
				   &target, &diag),
			 0);
	assert_string_equal(diag.text, "");
	assert_int_equal(target.color, 0);
	assert_int_equal(target.legs, 6);
	assert_int_equal(target.nap_ns, 2000000);
	assert_string_equal(target.name, "two words");
	assert_false(target.loud);
	assert_false(target.power.given);
}

static void test_a_bad_file_is_told_by_file_and_line(void **state)
{
	static const struct {
		const char *text, *place;
		int error;
	} cases[] = {
	    {"[pet]\nlegs = 4\nlegs = 9\n", "pet.conf:3: pet.legs = 9 is not allowed", -ERANGE},
	    {"[pet]\n\n\nwings = 2\n", "pet.conf:4: unknown key pet.wings", -ENOENT},
	    {"[pets]\nlegs = 4\n", "pet.conf:2: unknown key pets.legs", -ENOENT},
	    {"legs = 4\n", "pet.conf:1: unknown key .legs", -ENOENT},
	    {"[pet]\nwhat is this\n", "pet.conf:2: neither [section] nor key = value", -EINVAL},
	    {"[pet\nlegs = 4\n", "pet.conf:1: neither [section] nor key = value", -EINVAL},
	    /* The first fault is told, whatever comes after. */
	    {"[pet]\nlegs = x\nwhat\nlegs = y\n", "pet.conf:2: pet.legs = x", -EINVAL},
	    {"[pet]\nwhat\nlegs = y\n", "pet.conf:2: neither", -EINVAL},
	    /* A line that goes on is no second value. */
	    {"[pet]\nlegs = 4\n  5\n", "pet.conf:3", -EINVAL},
	};

	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct target target = defaults();
		struct diag diag = DIAG_INIT;

		assert_int_equal(read_text(*state, cases[i].text, &target, &diag), cases[i].error);
		check_contains(diag.text, cases[i].place);
	}
}

static void test_a_line_that_is_too_long_is_refused(void **state)
{
	struct target target = defaults();
	struct diag diag = DIAG_INIT;
	char text[1024] = "[rest]\nname = ";

	memset(text + strlen(text), 'x', 600);
	assert_true(read_text(*state, text, &target, &diag) < 0);
	check_contains(diag.text, "pet.conf:2: a line has at most");
	/* A remark may be as long as it likes, and the lines behind it keep their numbers. */
	text[0] = '#';
	(void)snprintf(text + 600, sizeof(text) - 600, "wings = 1\n[pet]\nwings = 2\n");
	memset(text + 1, 'x', 599);
	assert_int_equal(read_text(*state, text, &target, &diag), -ENOENT);
	check_contains(diag.text, "pet.conf:3: unknown key pet.wings");
}

static void test_indented_lines_are_lines(void **state)
{
	struct target target = defaults();

	assert_int_equal(
	    read_text(*state, "[rest]\nname = Tom\n  nap = 5ms\n\t; name = Max\n", &target, NULL),
	    0);
	assert_string_equal(target.name, "Tom");
	assert_int_equal(target.nap_ns, 5000000);
}

static void test_a_missing_file_is_an_error_only_if_it_must_be_there(void **state)
{
	const struct tree *tree = *state;
	struct target target = defaults();
	struct diag diag = DIAG_INIT;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/none.conf", tree->path);
	assert_int_equal(config_read_file(keys, KEY_COUNT, path, false, &target, &diag), 0);
	assert_string_equal(diag.text, "");
	assert_int_equal(config_read_file(keys, KEY_COUNT, path, true, &target, &diag), -ENOENT);
	check_contains(diag.text, path);
	/* One that is there but cannot be read is an error all the same. */
	(void)snprintf(path, sizeof(path), "%s/sys", tree->path);
	assert_true(config_read_file(keys, KEY_COUNT, path, false, &target, &diag) < 0);
	check_contains(diag.text, path);
}

/* --- arguments --- */

static void test_overrides_are_taken_out_of_the_arguments(void **state)
{
	char words[][32] = {"wattportd", "--pet.legs=6",      "--verbose",	  "file.conf=x",
			    "--x=1.5",	 "--rest.name=a.b=c", "--state-dir=/a.b", "--pet.loud",
			    "--",	 "--pet.color=red"};
	char *argv[CHECK_COUNT(words) + 1] = {NULL};
	int argc = (int)CHECK_COUNT(words);
	struct config_overrides overrides;
	struct target target = defaults();

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(words); i++)
		argv[i] = words[i];
	assert_int_equal(config_extract(&argc, argv, &overrides, NULL), 0);
	assert_int_equal(overrides.count, 2);
	assert_string_equal(overrides.arguments[0], "--pet.legs=6");
	assert_string_equal(overrides.arguments[1], "--rest.name=a.b=c");
	assert_int_equal(argc, 8);
	assert_null(argv[8]);
	assert_string_equal(argv[1], "--verbose");
	assert_string_equal(argv[2], "file.conf=x");
	assert_string_equal(argv[3], "--x=1.5");
	assert_string_equal(argv[4], "--state-dir=/a.b");
	assert_string_equal(argv[5], "--pet.loud");
	assert_string_equal(argv[6], "--");
	assert_string_equal(argv[7], "--pet.color=red");
	assert_int_equal(config_apply(keys, KEY_COUNT, &overrides, &target, NULL), 0);
	assert_int_equal(target.legs, 6);
	assert_int_equal(target.color, 1);
	assert_string_equal(target.name, "a.b=c");
}

static void test_a_bad_override_is_told_by_its_argument(void **state)
{
	struct config_overrides overrides = {.count = 1, .arguments = {"--pet.legs=many"}};
	struct target target = defaults();
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(config_apply(keys, KEY_COUNT, &overrides, &target, &diag), -EINVAL);
	check_contains(diag.text, "--pet.legs=many: pet.legs = many is not allowed");
	overrides.arguments[0] = "--pet.wings=2";
	assert_int_equal(config_apply(keys, KEY_COUNT, &overrides, &target, &diag), -ENOENT);
	check_contains(diag.text, "color, loud, legs");
}

static void test_overrides_have_a_maximum(void **state)
{
	static char word[] = "--pet.legs=6";
	char *argv[CONFIG_OVERRIDE_MAX + 3] = {word};
	struct config_overrides overrides;
	struct diag diag = DIAG_INIT;
	int argc = CONFIG_OVERRIDE_MAX + 1;

	(void)state;
	for (int i = 1; i <= CONFIG_OVERRIDE_MAX + 1; i++)
		argv[i] = word;
	argv[argc] = NULL;
	assert_int_equal(config_extract(&argc, argv, &overrides, &diag), 0);
	assert_int_equal(overrides.count, CONFIG_OVERRIDE_MAX);
	assert_int_equal(argc, 1);
	argc = CONFIG_OVERRIDE_MAX + 2;
	for (int i = 1; i < argc; i++)
		argv[i] = word;
	argv[argc] = NULL;
	assert_int_equal(config_extract(&argc, argv, &overrides, &diag), -E2BIG);
	check_contains(diag.text, "64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_default_is_put),
	    cmocka_unit_test(test_every_type_takes_its_values),
	    cmocka_unit_test(test_what_is_not_allowed_changes_nothing),
	    cmocka_unit_test(test_text_ends_at_its_size),
	    cmocka_unit_test(test_unknown_words_list_what_there_is),
	    TREE_TEST(test_a_file_overrides_only_what_it_names),
	    TREE_TEST(test_a_bad_file_is_told_by_file_and_line),
	    TREE_TEST(test_a_line_that_is_too_long_is_refused),
	    TREE_TEST(test_indented_lines_are_lines),
	    TREE_TEST(test_a_missing_file_is_an_error_only_if_it_must_be_there),
	    cmocka_unit_test(test_overrides_are_taken_out_of_the_arguments),
	    cmocka_unit_test(test_a_bad_override_is_told_by_its_argument),
	    cmocka_unit_test(test_overrides_have_a_maximum),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
