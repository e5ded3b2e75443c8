#include "common/attribution.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/settings.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>

#define CONF_SIZE_MAX 65536

static void load(const char *path, const struct config_overrides *overrides,
		 struct settings *ret_settings)
{
	struct diag diag = DIAG_INIT;

	if (settings_load(path, overrides, ret_settings, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void test_the_defaults_are_those_of_the_contract(void **state)
{
	struct settings settings;

	(void)state;
	load(SETTINGS_NO_FILE, NULL, &settings);
	assert_string_equal(settings.meter_source, "auto");
	assert_int_equal(settings.meter_period_ns, 1000000000);
	assert_int_equal(settings.vms_provider, SETTINGS_PROVIDER_LIBVIRT);
	assert_string_equal(settings.vms_uri, "qemu:///system");
	assert_int_equal(settings.vms_time, SETTINGS_TIME_SCHEDSTAT);
	assert_int_equal(settings.vms_retention_ns, UINT64_C(7) * 86400 * 1000000000);
	assert_int_equal(settings.attribution_idle, ATTRIBUTION_IDLE_VCPU);
	assert_false(settings.attribution_idle_power.given);
	assert_int_equal(settings.guest_view_mode, SETTINGS_VIEW_ISOLATED);
	assert_int_equal(settings.tree_mode, SETTINGS_TREE_FUSE);
	assert_false(settings.tree_psys);
	assert_string_equal(settings.http_listen, ":9771");
}

/* Each key is whole, stands once, and its own check takes its default. */
static void test_every_key_is_described_and_takes_its_default(void **state)
{
	struct settings settings;
	size_t count;
	const struct config_key *keys = settings_keys(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_non_null(keys[i].allowed);
		assert_non_null(keys[i].summary);
		assert_int_equal(keys[i].type == CONFIG_CHOICE, keys[i].choices != NULL);
		assert_true(keys[i].offset < sizeof(settings));
		assert_int_equal(config_set(keys, count,
					    &(struct config_entry){keys[i].section, keys[i].name,
								   keys[i].fallback},
					    &settings, NULL),
				 0);
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(keys[i].offset, keys[k].offset);
			assert_true(strcmp(keys[i].section, keys[k].section) != 0 ||
				    strcmp(keys[i].name, keys[k].name) != 0);
		}
	}
}

static void test_arguments_go_before_the_file_and_it_before_the_defaults(void **state)
{
	const struct tree *tree = *state;
	const struct config_overrides overrides = {
	    .count = 2, .arguments = {"--meter.period=3s", "--attribution.idle=none"}};
	struct settings settings;
	char path[128];

	tree_write(tree, "wattport.conf",
		   "[meter]\nperiod = 2s\ncheckpoint = 9s\n[guest-view]\nmode = exact\n");
	(void)snprintf(path, sizeof(path), "%s/wattport.conf", tree->path);
	load(path, &overrides, &settings);
	assert_int_equal(settings.meter_period_ns, 3000000000);
	assert_int_equal(settings.attribution_idle, ATTRIBUTION_IDLE_NONE);
	assert_int_equal(settings.meter_checkpoint_ns, 9000000000);
	assert_int_equal(settings.guest_view_mode, SETTINGS_VIEW_EXACT);
	assert_string_equal(settings.http_listen, ":9771");
}

static void test_what_is_refused_leaves_the_settings_as_they_were(void **state)
{
	const struct tree *tree = *state;
	const struct config_overrides overrides = {.count = 1, .arguments = {"--meter.period=5ms"}};
	struct settings settings = {.meter_period_ns = 77};
	struct diag diag = DIAG_INIT;
	char path[128];

	assert_int_equal(settings_load(SETTINGS_NO_FILE, &overrides, &settings, &diag), -ERANGE);
	check_contains(diag.text, "10ms to 60s");
	assert_int_equal(settings.meter_period_ns, 77);
	tree_write(tree, "wattport.conf", "[meter]\nperiod = 2s\nsauce = model\n");
	(void)snprintf(path, sizeof(path), "%s/wattport.conf", tree->path);
	assert_int_equal(settings_load(path, NULL, &settings, &diag), -ENOENT);
	check_contains(diag.text, "wattport.conf:3: unknown key meter.sauce");
	check_contains(diag.text, "source");
	assert_int_equal(settings.meter_period_ns, 77);
	(void)snprintf(path, sizeof(path), "%s/none.conf", tree->path);
	assert_int_equal(settings_load(path, NULL, &settings, &diag), -ENOENT);
	check_contains(diag.text, "none.conf");
}

static void test_ranges_of_the_times(void **state)
{
	static const struct {
		const char *argument;
		int error;
	} cases[] = {
	    {"--meter.period=10ms", 0},
	    {"--meter.period=9.999ms", -ERANGE},
	    {"--meter.period=60s", 0},
	    {"--meter.period=61s", -ERANGE},
	    {"--meter.checkpoint=100ms", 0},
	    {"--meter.checkpoint=99ms", -ERANGE},
	    {"--meter.checkpoint=1h", 0},
	    {"--meter.checkpoint=3601s", -ERANGE},
	    {"--vms.retention=1s", 0},
	    {"--vms.retention=0s", -ERANGE},
	    {"--vms.retention=3650d", 0},
	    {"--vms.retention=3651d", -ERANGE},
	    {"--attribution.idle-power=100kW", 0},
	    {"--attribution.idle-power=100001W", -ERANGE},
	    {"--attribution.idle-power=20", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		const struct config_overrides overrides = {.count = 1,
							   .arguments = {cases[i].argument}};
		struct settings settings;

		if (settings_load(SETTINGS_NO_FILE, &overrides, &settings, NULL) != cases[i].error)
			fail_msg("%s", cases[i].argument);
	}
}

static void test_attribution_gets_its_part(void **state)
{
	const struct config_overrides overrides = {
	    .count = 4,
	    .arguments = {"--attribution.idle=busy", "--attribution.idle-power-dram=3W",
			  "--attribution.idle-power-psys=0W", "--guest-view.mode=exact"}};
	struct settings settings;
	struct engine_config engine;

	(void)state;
	load(SETTINGS_NO_FILE, &overrides, &settings);
	engine = settings_engine(&settings);
	assert_int_equal(engine.idle, ATTRIBUTION_IDLE_BUSY);
	assert_true(engine.guest_view_exact);
	assert_false(engine.package.given);
	assert_true(engine.dram.given);
	assert_int_equal(engine.dram.power_uw, 3000000);
	assert_true(engine.psys.given);
	assert_int_equal(engine.psys.power_uw, 0);
}

/* The shipped file changes nothing, and shows every key with its default below its section. */
static void test_the_shipped_file_shows_every_default(void **state)
{
	static char text[CONF_SIZE_MAX];
	struct settings shipped, none;
	size_t count, length;
	const struct config_key *keys = settings_keys(&count);

	(void)state;
	assert_int_equal(file_read_at(AT_FDCWD, TEST_SHIPPED_CONF, text, sizeof(text), &length), 0);
	load(SETTINGS_NO_FILE, NULL, &none);
	load(TEST_SHIPPED_CONF, NULL, &shipped);
	assert_string_equal(shipped.meter_source, none.meter_source);
	assert_int_equal(shipped.meter_period_ns, none.meter_period_ns);
	for (size_t i = 0; i < count; i++) {
		char section[64], line[CONFIG_TEXT_SIZE];
		const char *from, *to, *found;

		(void)snprintf(section, sizeof(section), "\n[%s]\n", keys[i].section);
		(void)snprintf(line, sizeof(line), "\n#%s = %s\n", keys[i].name, keys[i].fallback);
		from = strstr(text, section);
		CHECK_POINTER(from);
		to = strstr(from + 1, "\n[");
		found = strstr(from, line);
		if (found == NULL || (to != NULL && found > to))
			fail_msg("%s.%s = %s is not shown", keys[i].section, keys[i].name,
				 keys[i].fallback);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_defaults_are_those_of_the_contract),
	    cmocka_unit_test(test_every_key_is_described_and_takes_its_default),
	    TREE_TEST(test_arguments_go_before_the_file_and_it_before_the_defaults),
	    TREE_TEST(test_what_is_refused_leaves_the_settings_as_they_were),
	    cmocka_unit_test(test_ranges_of_the_times),
	    cmocka_unit_test(test_attribution_gets_its_part),
	    cmocka_unit_test(test_the_shipped_file_shows_every_default),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
