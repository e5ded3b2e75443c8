/* confine.h: which table holds for which libvirt. */
#include "host/confine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct privilege_table *table_for(const char *uri, struct diag *diag)
{
	struct settings settings = {.vms_provider = SETTINGS_PROVIDER_LIBVIRT};

	(void)snprintf(settings.vms_uri, sizeof(settings.vms_uri), "%s", uri);
	return confine_table(&settings, diag);
}

static void test_local(void **state)
{
	static const char *const uris[] = {"qemu:///system",
					   "qemu+unix:///system?socket=/run/a+ssh://x",
					   "test:///default", "qemu+tls:///system", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_ptr_equal(table_for(uris[i], NULL), &privilege_table_wattportd);
}

static void test_remote(void **state)
{
	static const char *const uris[] = {
	    "qemu+tls://host.example/system", "qemu://10.0.0.1/system",
	    "qemu+tcp://[::1]:16509/system", "qemu+libssh2://root@host/system"};

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_ptr_equal(table_for(uris[i], NULL), &privilege_table_wattportd_remote);
}

static void test_programs(void **state)
{
	static const char *const uris[] = {"qemu+ssh://host/system",
					   "qemu+ext:///system?command=x"};

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct diag diag = DIAG_INIT;

		assert_null(table_for(uris[i], &diag));
		assert_non_null(strstr(diag.text, "runs no programs"));
	}
}

/* Who has no libvirt has no use for its way. */
static void test_without_libvirt(void **state)
{
	struct settings settings = {.vms_provider = SETTINGS_PROVIDER_PROCFS,
				    .vms_uri = "qemu+ssh://host/system"};

	(void)state;
	assert_ptr_equal(confine_table(&settings, NULL), &privilege_table_wattportd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_local),
	    cmocka_unit_test(test_remote),
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_without_libvirt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
