#include <errno.h>
#include <string.h>

#include "tests/raplsim/host.h"
#include "tests/raplsim/test.h"

static const struct host_config plain = {.packages = 1,
					 .dies = 1,
					 .idle_uw = 20000000,
					 .busy_uw = 15000000,
					 .dram_uw = 3000000,
					 .psys_extra_uw = 10000000,
					 .unit_pj = 61035000,
					 .dram_unit_pj = 15300000,
					 .psys_unit_pj = 1000000000000,
					 .start_uj = 1000000};

static const unsigned int eight_cpus[] = {0, 1, 2, 3, 4, 5, 6, 7};

static const struct host_zone *find(const struct host *host, const char *key)
{
	for (size_t i = 0; i < host->zone_count; i++) {
		if (strcmp(host->zones[i].key, key) == 0)
			return &host->zones[i];
	}
	fail_msg("no zone %s", key);
	return NULL;
}

static void test_cpus_are_dealt_in_blocks(void **state)
{
	struct host_config config = plain;
	struct host host;

	(void)state;
	config.packages = 2;
	config.dies = 2;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(host.cpus[i].package, i / 4);
		assert_int_equal(host.cpus[i].die, i / 2 % 2);
		assert_int_equal(host.cpus[i].core, i % 4);
	}
	assert_int_equal(find(&host, "package-1-die-0")->model.cpu_first, 4);
	assert_int_equal(find(&host, "package-1-die-0")->model.cpu_count, 2);
	host_finish(&host);

	config.packages = 3;
	config.dies = 1;
	assert_int_equal(host_init(&host, &config, eight_cpus + 3, 5), 0);
	assert_int_equal(host.cpus[0].id, 3);
	assert_int_equal(find(&host, "package-0")->model.cpu_count, 2);
	assert_int_equal(find(&host, "package-1")->model.cpu_count, 2);
	assert_int_equal(find(&host, "package-2")->model.cpu_count, 1);
	host_finish(&host);
}

static void test_packages_past_the_cpus_have_none(void **state)
{
	struct host_config config = plain;
	struct host host;

	(void)state;
	config.packages = 4;
	assert_int_equal(host_init(&host, &config, eight_cpus, 2), 0);
	assert_int_equal(host.cpus[0].package, 0);
	assert_int_equal(host.cpus[1].package, 1);
	assert_int_equal(find(&host, "package-1")->model.cpu_count, 1);
	assert_int_equal(find(&host, "package-2")->model.cpu_count, 0);
	assert_int_equal(find(&host, "package-3")->model.cpu_count, 0);
	host_finish(&host);
}

static void test_zones_are_named_as_the_kernel_does(void **state)
{
	struct host_config config = plain;
	struct host host;

	(void)state;
	config.packages = 12;
	config.psys = true;
	config.core = true;
	config.uncore = true;
	config.dram = true;
	config.mmio = true;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	assert_int_equal(host.zone_count, 12 * 4 + 1);
	assert_string_equal(find(&host, "package-0")->id, "intel-rapl:0");
	assert_string_equal(find(&host, "package-0/core")->id, "intel-rapl:0:0");
	assert_string_equal(find(&host, "package-0/uncore")->id, "intel-rapl:0:1");
	assert_string_equal(find(&host, "package-0/dram")->id, "intel-rapl:0:2");
	assert_string_equal(find(&host, "package-0/dram")->name, "dram");
	assert_string_equal(find(&host, "psys")->id, "intel-rapl:1");
	assert_string_equal(find(&host, "package-1")->id, "intel-rapl:2");
	assert_string_equal(find(&host, "package-9")->id, "intel-rapl:a");
	assert_string_equal(find(&host, "package-11/dram")->id, "intel-rapl:c:2");
	assert_string_equal(find(&host, "package-10")->mmio_id, "intel-rapl-mmio:a");
	assert_string_equal(find(&host, "package-10/dram")->mmio_id, "intel-rapl-mmio:a:0");
	assert_string_equal(find(&host, "package-10/core")->mmio_id, "");
	assert_string_equal(find(&host, "psys")->mmio_id, "");
	host_finish(&host);

	config = plain;
	config.dies = 2;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	assert_string_equal(host.zones[1].name, "package-0-die-1");
	assert_string_equal(host.zones[1].id, "intel-rapl:1");
	host_finish(&host);
}

static void test_zone_powers_add_up(void **state)
{
	struct host_config config = plain;
	struct model_power package;
	struct model_power dram;
	struct model_power psys;

	(void)state;
	config.packages = 2;
	config.dies = 2;
	config.dram = true;
	package = host_zone_power(&config, HOST_ZONE_PACKAGE);
	dram = host_zone_power(&config, HOST_ZONE_DRAM);
	psys = host_zone_power(&config, HOST_ZONE_PSYS);
	assert_int_equal(package.idle_uw, 10000000);
	assert_int_equal(package.busy_uw, 15000000);
	assert_int_equal(dram.idle_uw, 1500000);
	assert_int_equal(dram.busy_uw, 0);
	assert_int_equal(psys.idle_uw, 4 * 10000000 + 4 * 1500000 + 10000000);
	assert_int_equal(psys.busy_uw, 15000000);
	assert_true(host_zone_power(&config, HOST_ZONE_CORE).idle_uw +
			host_zone_power(&config, HOST_ZONE_UNCORE).idle_uw <=
		    package.idle_uw);
	config.dram = false;
	assert_int_equal(host_zone_power(&config, HOST_ZONE_PSYS).idle_uw, 50000000);
}

static void test_start_is_where_it_was_asked(void **state)
{
	struct host_config config = plain;
	struct host host;

	(void)state;
	config.dram = true;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	/* A joule is 16384.04 units of 61.035 uJ and 65359.5 of 15.3 uJ, rounded up. */
	assert_int_equal(find(&host, "package-0")->model.start_units, 16385);
	assert_int_equal(find(&host, "package-0/dram")->model.start_units, 65360);
	host_finish(&host);

	config.near_wrap = true;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	assert_int_equal(find(&host, "package-0")->model.start_units, UINT32_MAX - 16384);
	host_finish(&host);

	config.start_uj = 1;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	assert_int_equal(find(&host, "package-0")->model.start_units, UINT32_MAX);
	host_finish(&host);
}

static void test_maxima(void **state)
{
	struct host_config config = plain;
	struct host host;

	(void)state;
	config.packages = HOST_PACKAGES_MAX;
	config.dies = HOST_DIES_MAX;
	config.core = true;
	config.uncore = true;
	config.dram = true;
	config.mmio = true;
	config.psys = true;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	assert_int_equal(host.zone_count, HOST_PACKAGES_MAX * HOST_DIES_MAX * 4 + 1);
	assert_string_equal(host.zones[host.zone_count - 1].key, "package-63-die-7/dram");
	host_finish(&host);

	config.packages = HOST_PACKAGES_MAX + 1;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), -EINVAL);
	config.packages = 1;
	config.dies = HOST_DIES_MAX + 1;
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), -EINVAL);
	config = plain;
	config.start_uj = UINT64_C(262143328850);
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), 0);
	host_finish(&host);
	config.start_uj = UINT64_C(262143328851);
	assert_int_equal(host_init(&host, &config, eight_cpus, 8), -EINVAL);
	config = plain;
	assert_int_equal(host_init(&host, &config, eight_cpus, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cpus_are_dealt_in_blocks),
	    cmocka_unit_test(test_packages_past_the_cpus_have_none),
	    cmocka_unit_test(test_zones_are_named_as_the_kernel_does),
	    cmocka_unit_test(test_zone_powers_add_up),
	    cmocka_unit_test(test_start_is_where_it_was_asked),
	    cmocka_unit_test(test_maxima),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
