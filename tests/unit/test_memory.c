#include "common/cleanup.h"
#include "common/memory.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"

static void test_reads_a_machine(void **state)
{
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_fd int fd = -1;
	struct memory memory;

	(void)state;
	assert_int_equal(sysroot_open(TEST_FIXTURES "/laptop", &root, NULL), 0);
	assert_int_equal(memory_open(root, &fd, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(memory_read(fd, &memory), 0);
		assert_int_equal(memory.total_bytes, UINT64_C(16283952) * 1024);
		assert_int_equal(memory.used_bytes, (UINT64_C(16283952) - 9133951) * 1024);
	}
	fault_arm(FAULT_PREAD, 1, EIO);
	assert_int_equal(memory_read(fd, &memory), -EIO);
	assert_true(fault_disarm());
}

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		int status;
		struct memory memory;
	} rows[] = {
	    {"MemTotal: 10 kB\nMemAvailable: 4 kB\n", 0, {10240, 6144}},
	    {"MemTotal: 10 kB\nMemFree: 1 kB\nBuffers: 2 kB\nCached: 3 kB\n", 0, {10240, 4096}},
	    {"\n\nMemAvailable: 10 kB\nMemTotal: 10 kB", 0, {10240, 0}},
	    {"MemTotal: 10 kB\nMemAvailable: 11 kB\n", -EBADMSG, {0, 0}},
	    {"MemTotal: 10\nMemAvailable: 4 kB\n", -EBADMSG, {0, 0}},
	    {"MemTotal: 0 kB\n", -EBADMSG, {0, 0}},
	    {"MemTotal: 18446744073709551615 kB\n", -EBADMSG, {0, 0}},
	    {"MemAvailable: 4 kB\n", -EBADMSG, {0, 0}},
	    {"", -EBADMSG, {0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct memory memory = {.total_bytes = 0};

		assert_int_equal(memory_parse(rows[i].text, &memory), rows[i].status);
		assert_int_equal(memory.total_bytes, rows[i].memory.total_bytes);
		assert_int_equal(memory.used_bytes, rows[i].memory.used_bytes);
	}
}

static void test_without_the_file(void **state)
{
	cleanup_sysroot struct sysroot *root = NULL;
	struct diag diag = DIAG_INIT;
	int fd = -1;

	(void)state;
	assert_int_equal(sysroot_open(TEST_FIXTURES "/laptop", &root, NULL), 0);
	fault_arm(FAULT_OPENAT, 1, ENOENT);
	assert_int_equal(memory_open(root, &fd, &diag), -ENOENT);
	assert_true(fault_disarm());
	check_contains(diag.text, "proc/meminfo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_a_machine),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_without_the_file),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
