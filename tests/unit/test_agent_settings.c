/* agent_settings.h: the agent's configuration. */
#include "guest/agent_settings.h"
#include "guest/meter.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>

static int load(const char *text, const struct agent_settings_entries *entries,
		struct agent_settings *ret_settings, struct diag *diag)
{
	struct tree tree;
	char path[512];
	int status;

	tree_create(&tree);
	tree_write(&tree, "agent.conf", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/agent.conf", tree.path);
	status = agent_settings_load(path, entries, ret_settings, diag);
	tree_remove(&tree);
	return status;
}

static void refused(const char *text, const char *message)
{
	static struct agent_settings settings;
	struct diag diag = DIAG_INIT;

	assert_true(load(text, NULL, &settings, &diag) < 0);
	check_contains(diag.text, message);
}

static void test_defaults(void **state)
{
	static struct agent_settings settings;
	struct diag diag = DIAG_INIT;
	struct outputs_options options;

	(void)state;
	assert_int_equal(agent_settings_load(AGENT_SETTINGS_NO_FILE, NULL, &settings, &diag), 0);
	options = agent_settings_outputs(&settings);
	assert_int_equal(options.count, 0);
	assert_int_equal(options.period_ns, UINT64_C(10000000000));
	assert_int_equal(options.buffer_size, 4096 * 1024);
	assert_int_equal(options.timeout_ms, 10000);
	assert_null(options.host);
	assert_null(options.credentials_file);
	assert_string_equal(settings.http_listen, ":9772");
	assert_int_equal(settings.agent_source, METER_AUTO);
	assert_int_equal(settings.http_compat, 0);
}

static void test_file_and_entries(void **state)
{
	static const struct config_entry list[] = {{"output", "period", "2s"},
						   {"agent", "source", "powercap"}};
	const struct agent_settings_entries entries = {list, CHECK_COUNT(list)};
	static struct agent_settings settings;
	struct diag diag = DIAG_INIT;
	struct outputs_options options;

	(void)state;
	assert_int_equal(load("[agent]\nsource = tree\n[output]\n1 = none\n3 = json:-\n"
			      "period = 1min\nhost = web-1\ncredentials = /etc/x\n"
			      "[http]\ncompat = node kepler\n",
			      &entries, &settings, &diag),
			 0);
	assert_int_equal(agent_settings_add_output(&settings, "csv@5s:/x", &diag), 0);
	options = agent_settings_outputs(&settings);
	assert_int_equal(options.count, 2);
	assert_string_equal(options.specs[0], "csv@5s:/x");
	assert_string_equal(options.specs[1], "json:-");
	assert_int_equal(options.period_ns, UINT64_C(2000000000));
	assert_string_equal(options.host, "web-1");
	assert_string_equal(options.credentials_file, "/etc/x");
	assert_int_equal(settings.agent_source, METER_POWERCAP);
	assert_int_equal(settings.http_compat, 6);
	for (size_t i = 2; i < OUTPUTS_MAX; i++)
		assert_int_equal(agent_settings_add_output(&settings, "csv:/y", &diag), 0);
	assert_int_equal(agent_settings_add_output(&settings, "csv:/y", &diag), -E2BIG);
	check_contains(diag.text, "8 outputs at most");
}

static void test_what_is_refused(void **state)
{
	(void)state;
	refused("[output]\n9 = json:-\n", "agent.conf:2: unknown key output.9; there are: 1, 2");
	refused("[outputs]\n1 = json:-\n",
		"unknown key outputs.1; there are: agent, accounts, output");
	refused("[output]\n1 = xml:-\n", "output.1: xml:-: the format is csv, json or influx");
	refused("[output]\nperiod = 5\n", "output.period = 5 is not allowed");
	refused("[output]\nbuffer = 3\n", "it takes KiB from 4 to 1048576");
	refused("[http]\ncompat = ceems\n", "http.compat: there are the names of scaphandre");
	refused("[agent]\nsource = perf\n", "it takes auto, tree or powercap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_file_and_entries),
	    cmocka_unit_test(test_what_is_refused),
	};

	return cmocka_run_group_tests_name("agent_settings", tests, NULL, NULL);
}
