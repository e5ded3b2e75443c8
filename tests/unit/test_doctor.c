#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/cleanup.h"
#include "host/doctor_internal.h"
#include "host/thread_events.h"
#include "host/virtiofsd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* A host under a root of its own, with the default settings. */
struct host {
	struct sysroot *root;
	struct settings settings;
	struct doctor_context context;
	struct doctor doctor;
};

static void host_open(struct host *host, const char *path)
{
	static const struct config_overrides none = {.count = 0};
	struct diag diag = DIAG_INIT;

	*host = (struct host){.root = NULL};
	if (sysroot_open(path, &host->root, &diag) < 0 ||
	    settings_load("/dev/null", &none, &host->settings, &diag) < 0)
		fail_msg("%s", diag.text);
	host->context = (struct doctor_context){
	    .root = host->root,
	    .clock = clock_real(),
	    .settings = &host->settings,
	    .runtime_dir = "/nowhere",
	};
}

static void host_close(struct host *host)
{
	sysroot_close(host->root);
}

/* The finding of that id, which must be there. */
static const struct doctor_check *found(const struct host *host, const char *id)
{
	for (size_t i = 0; i < host->doctor.count; i++)
		if (strcmp(host->doctor.checks[i].id, id) == 0)
			return &host->doctor.checks[i];
	fail_msg("there is no finding %s", id);
	return NULL;
}

static void test_sources(void **state)
{
	struct host host;

	(void)state;
	host_open(&host, TEST_FIXTURES "/laptop");
	doctor_check_sources(&host.context, &host.doctor);
	assert_int_equal(found(&host, "source.powercap")->result, DOCTOR_OK);
	check_contains(found(&host, "source.powercap")->text, "package-0");
	assert_true(doctor_works(&host.doctor));
	host_close(&host);
}

/* Only estimates are left: it works, but is told. */
static void test_no_rapl(void **state)
{
	struct host host;

	(void)state;
	host_open(&host, TEST_FIXTURES "/no-rapl");
	doctor_check_sources(&host.context, &host.doctor);
	assert_int_equal(found(&host, "source.powercap")->result, DOCTOR_WARN);
	check_contains(found(&host, "source.model")->text, "estimate");
	assert_int_equal(found(&host, "source")->result, DOCTOR_WARN);
	check_contains(found(&host, "source")->remedy, "restart wattportd");
	assert_true(doctor_works(&host.doctor));
	/* Who insists on measuring cannot. */
	host.doctor.count = 0;
	(void)snprintf(host.settings.meter_source, sizeof(host.settings.meter_source), "powercap");
	doctor_check_sources(&host.context, &host.doctor);
	assert_int_equal(found(&host, "source.powercap")->result, DOCTOR_FAIL);
	assert_false(doctor_works(&host.doctor));
	host_close(&host);
}

static void check_filter(const char *flags, size_t findings)
{
	struct host host;
	struct tree tree;

	tree_create(&tree);
	tree_write(&tree, "proc/cpuinfo", "processor\t: 0\nflags\t\t: %s\nbugs\t\t: sgx\n", flags);
	host_open(&host, tree.path);
	doctor_check_filtering(&host.context, &host.doctor);
	assert_int_equal(host.doctor.count, findings);
	if (findings > 0)
		assert_int_equal(found(&host, "rapl.filter")->result, DOCTOR_WARN);
	host_close(&host);
	tree_remove(&tree);
}

static void test_filter(void **state)
{
	(void)state;
	check_filter("fpu sgx rdtscp", 1);
	check_filter("fpu rdtscp sgx", 1);
	check_filter("fpu sgx_lc xsgx rdtscp", 0);
	check_filter("fpu", 0);
}

/* Whatever this machine has, there is one line, and every refusal has a remedy. */
static void test_events(void **state)
{
	static const int errors[] = {EACCES, EPERM,  ENOENT, EOPNOTSUPP,
				     EMFILE, ENFILE, ENOSYS, EIO};
	const struct doctor_check *check;
	struct host host;

	(void)state;
	host_open(&host, TEST_FIXTURES "/laptop");
	doctor_check_events(&host.context, &host.doctor);
	assert_int_equal(host.doctor.count, 1);
	check = found(&host, "events");
	assert_int_equal(check->result == DOCTOR_OK, check->remedy[0] == '\0');
	assert_true(doctor_works(&host.doctor));
	host.doctor.count = 0;
	host.settings.attribution_events = SETTINGS_EVENTS_NONE;
	doctor_check_events(&host.context, &host.doctor);
	assert_int_equal(found(&host, "events")->result, DOCTOR_OK);
	check_contains(found(&host, "events")->text, "attribution.events");
	host_close(&host);
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		assert_true(strlen(thread_events_reason(-errors[i])) > 10);
		assert_true(strlen(thread_events_remedy(-errors[i])) > 10);
	}
}

static void test_kernel_and_schedstat(void **state)
{
	const struct tree *tree = *state;
	struct host host;

	host_open(&host, tree->path);
	doctor_check_kernel(&host.context, &host.doctor);
	doctor_check_schedstat(&host.context, &host.doctor);
	assert_int_equal(found(&host, "kernel")->result, DOCTOR_WARN);
	assert_int_equal(found(&host, "schedstat")->result, DOCTOR_WARN);
	host.doctor.count = 0;
	tree_write(tree, "proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
	tree_write(tree, "proc/self/schedstat", "0 0 0\n");
	doctor_check_kernel(&host.context, &host.doctor);
	doctor_check_schedstat(&host.context, &host.doctor);
	check_contains(found(&host, "kernel")->remedy, "6.9");
	assert_int_equal(found(&host, "schedstat")->result, DOCTOR_WARN);
	host.doctor.count = 0;
	tree_write(tree, "proc/sys/kernel/osrelease", "6.12.0\n");
	tree_write(tree, "proc/self/schedstat", "12345 0 1\n");
	doctor_check_kernel(&host.context, &host.doctor);
	doctor_check_schedstat(&host.context, &host.doctor);
	assert_int_equal(found(&host, "kernel")->result, DOCTOR_OK);
	assert_int_equal(found(&host, "schedstat")->result, DOCTOR_OK);
	host.settings.vms_time = SETTINGS_TIME_LIBVIRT;
	host.doctor.count = 0;
	doctor_check_schedstat(&host.context, &host.doctor);
	assert_int_equal(found(&host, "schedstat")->result, DOCTOR_WARN);
	host_close(&host);
}

static void test_services_that_are_not_there(void **state)
{
	const struct tree *tree = *state;
	struct host host;

	host_open(&host, tree->path);
	host.settings.vms_provider = SETTINGS_PROVIDER_PROCFS;
	doctor_check_provider(&host.context, &host.doctor);
	doctor_check_daemon(&host.context, &host.doctor);
	doctor_check_tree(&host.context, &host.doctor);
	assert_int_equal(found(&host, "qemu")->result, DOCTOR_OK);
	assert_int_equal(found(&host, "wattportd")->result, DOCTOR_WARN);
	assert_int_equal(found(&host, "tree")->result, DOCTOR_WARN);
	assert_true(doctor_works(&host.doctor));
	host.settings.vms_provider = SETTINGS_PROVIDER_LIBVIRT;
	(void)snprintf(host.settings.vms_uri, sizeof(host.settings.vms_uri),
		       "qemu+unix:///system?socket=/nowhere");
	doctor_check_provider(&host.context, &host.doctor);
	assert_int_equal(found(&host, "libvirt")->result, DOCTOR_FAIL);
	check_contains(found(&host, "libvirt")->remedy, "libvirtd");
	assert_false(doctor_works(&host.doctor));
	host_close(&host);
}

static void test_plain_files_need_no_fuse(void **state)
{
	const struct tree *tree = *state;
	struct host host;

	host_open(&host, tree->path);
	host.settings.tree_mode = SETTINGS_TREE_TMPFS;
	host.settings.guest_view_mode = SETTINGS_VIEW_EXACT;
	/* A directory of a file system that is not its own is none of ours, tmpfs or not. */
	tree_write(tree, "vm/anything", "x");
	host.context.runtime_dir = tree->path;
	doctor_check_fuse(&host.context, &host.doctor);
	doctor_check_kernel(&host.context, &host.doctor);
	assert_int_equal(host.doctor.count, 0);
	doctor_check_tree(&host.context, &host.doctor);
	assert_int_equal(found(&host, "tree.access")->result, DOCTOR_WARN);
	check_contains(found(&host, "tree.exact")->remedy, "virtiofs");
	assert_int_equal(found(&host, "tree")->result, DOCTOR_WARN);
	check_contains(found(&host, "tree")->text, "is not mounted");
	assert_true(doctor_works(&host.doctor));
	host_close(&host);
}

static void test_output(void **state)
{
	struct doctor doctor = {.count = 0};
	cleanup_free char *json = NULL, *text = NULL;
	FILE *stream;
	size_t size;

	(void)state;
	doctor_add(&doctor, "first", DOCTOR_OK, NULL, "is %d", 1);
	doctor_add(&doctor, "second", DOCTOR_FAIL, "do \"this\"", "not \xff UTF-8");
	json = doctor_json(&doctor);
	assert_non_null(json);
	check_contains(json, "\"works\": false");
	check_contains(json, "\"id\": \"second\"");
	check_contains(json, "do \\\"this\\\"");
	stream = open_memstream(&text, &size);
	assert_non_null(stream);
	doctor_print(stream, &doctor);
	assert_int_equal(fclose(stream), 0);
	check_contains(text, "ok    first              is 1\n");
	check_contains(text, "-> do \"this\"\n");
	for (size_t i = 0; i < DOCTOR_CHECK_MAX + 1; i++)
		doctor_add(&doctor, "more", DOCTOR_OK, NULL, "%zu", i);
	assert_int_equal(doctor.count, DOCTOR_CHECK_MAX);
}

static void test_virtiofsd_descriptions(void **state)
{
	static const struct {
		const char *json;
		int status;
	} cases[] = {
	    {"{\"type\": \"fs\", \"binary\": \"/usr/libexec/virtiofsd\"}", 0},
	    {"{\"type\": \"gpu\", \"binary\": \"/usr/libexec/gpu\"}", -ENOENT},
	    {"{\"binary\": \"/x\"}", -ENOENT},
	    {"{\"type\": \"fs\"}", -EINVAL},
	    {"{\"type\": \"fs\", \"binary\": \"relative\"}", -EINVAL},
	    {"[", -EINVAL},
	    {"", -EINVAL},
	};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++)
		assert_int_equal(virtiofsd_parse(cases[i].json, strlen(cases[i].json), path),
				 cases[i].status);
	assert_string_equal(path, "/usr/libexec/virtiofsd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_no_rapl),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_events),
	    TREE_TEST(test_kernel_and_schedstat),
	    TREE_TEST(test_services_that_are_not_there),
	    TREE_TEST(test_plain_files_need_no_fuse),
	    cmocka_unit_test(test_output),
	    cmocka_unit_test(test_virtiofsd_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
