#include "common/power_table.h"
#include "tests/unit/check.h"

static void test_cpuinfo(void **state)
{
	static const struct {
		const char *text, *vendor, *name;
	} rows[] = {
	    {"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) X\n\nmodel name\t: "
	     "Y\n",
	     "GenuineIntel", "Intel(R) X"},
	    {"vendor_id : AuthenticAMD", "AuthenticAMD", ""},
	    {"model name_not: x\nmodel name\n", "", ""},
	    {"CPU implementer\t: 0x41\n", "", ""},
	    {"", "", ""},
	};
	char longest[2 * CPU_MODEL_SIZE] = "model name\t: ";
	struct cpu_model model;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		cpu_model_parse(rows[i].text, &model);
		assert_string_equal(model.vendor, rows[i].vendor);
		assert_string_equal(model.name, rows[i].name);
	}
	memset(longest + strlen(longest), 'x', sizeof(longest) - 1 - strlen(longest));
	longest[sizeof(longest) - 1] = '\0';
	cpu_model_parse(longest, &model);
	assert_int_equal(strlen(model.name), CPU_MODEL_SIZE - 1);
}

static void test_reads_a_machine(void **state)
{
	cleanup_sysroot struct sysroot *root = NULL;
	struct cpu_model model;

	(void)state;
	assert_int_equal(sysroot_open(TEST_FIXTURES "/epyc", &root, NULL), 0);
	assert_int_equal(cpu_model_read(root, &model), 0);
	assert_true(cpu_model_is_amd(&model));
	assert_string_equal(model.name, "AMD EPYC 8024P 8-Core Processor");
	assert_true(cpu_model_is_amd(&(struct cpu_model){.vendor = "HygonGenuine"}));
	assert_false(cpu_model_is_amd(&(struct cpu_model){.vendor = "GenuineIntel"}));
}

static void test_figures(void **state)
{
	static const struct {
		struct cpu_model model;
		size_t core_count;
		uint32_t asked_tdp_w, tdp_w;
		bool known;
	} rows[] = {
	    {{"GenuineIntel", "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz"}, 6, 0, 85, true},
	    {{"AuthenticAMD", "AMD EPYC 8024P 8-Core Processor"}, 8, 0, 90, true},
	    {{"GenuineIntel", "Intel(R) Xeon(R) Gold 6248 CPU"}, 20, 0, 150, true},
	    {{"GenuineIntel", "Intel(R) Xeon(R) Gold 6248R CPU"}, 24, 0, 192, false},
	    {{"AuthenticAMD", "AMD EPYC"}, 1, 0, 15, false},
	    {{"", ""}, 10, 0, 60, false},
	    {{"", ""}, 10, 33, 33, true},
	    {{"", ""}, 1, UINT32_MAX, POWER_TABLE_TDP_W_MAX, true},
	    {{"", ""}, SIZE_MAX, 0, POWER_TABLE_TDP_W_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct power_figures figures =
		    power_table_lookup(&rows[i].model, rows[i].core_count, rows[i].asked_tdp_w);

		assert_int_equal(figures.tdp_w, rows[i].tdp_w);
		assert_int_equal(figures.tdp_known, rows[i].known);
		assert_true(figures.idle_uw > 0);
		assert_true(figures.idle_uw < figures.busy_uw);
		assert_true(figures.busy_uw < (uint64_t)figures.tdp_w * 1000000);
	}
}

/* What the table says of the two machines that were measured is what was measured, to 1 %. */
static void test_the_measured_machines(void **state)
{
	static const struct cpu_model xeon = {"GenuineIntel", "Intel(R) Xeon(R) CPU E5-2620 v3"};
	static const struct cpu_model epyc = {"AuthenticAMD", "AMD EPYC 8024P 8-Core Processor"};
	struct power_figures figures = power_table_lookup(&xeon, 6, 0);

	(void)state;
	assert_in_range(2 * figures.idle_uw, 15543000, 15857000);
	assert_in_range(2 * figures.busy_uw, 95040000, 96960000);
	figures = power_table_lookup(&epyc, 8, 0);
	assert_in_range(figures.idle_uw, 17523000, 17877000);
	assert_in_range(figures.busy_uw, 46233000, 47167000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cpuinfo),
	    cmocka_unit_test(test_reads_a_machine),
	    cmocka_unit_test(test_figures),
	    cmocka_unit_test(test_the_measured_machines),
	};

	return cmocka_run_group_tests_name("power_table", tests, NULL, NULL);
}
