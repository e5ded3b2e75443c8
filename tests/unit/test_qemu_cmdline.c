#include "tests/unit/check.h"

#include "common/qemu_cmdline.h"

#include <stdio.h>

/* A command line from words that single spaces separate. */
static int parse(const char *words, struct qemu_cmdline *cmdline)
{
	char text[4096];
	size_t length = strlen(words);

	assert_true(length < sizeof(text));
	memcpy(text, words, length + 1);
	for (char *space = strchr(text, ' '); space != NULL; space = strchr(space, ' '))
		*space++ = '\0';
	return qemu_cmdline_parse(text, length + 1, cmdline);
}

static struct qemu_cmdline parsed(const char *words)
{
	struct qemu_cmdline cmdline;

	if (parse(words, &cmdline) < 0)
		fail_msg("refused: %s", words);
	return cmdline;
}

static void check_uuid(const struct qemu_cmdline *cmdline, const char *expected)
{
	char text[UUID_TEXT_SIZE];

	assert_true(cmdline->has_uuid);
	uuid_format(&cmdline->uuid, text);
	assert_string_equal(text, expected);
}

static void test_libvirt(void **state)
{
	struct qemu_cmdline cmdline = parsed(
	    "/usr/bin/qemu-system-x86_64 -name guest=a,,b=c,debug-threads=on -S -object "
	    "{\"qom-type\":\"secret\",\"file\":\"/var/lib/libvirt/qemu/domain-17-a,b/master.aes\"} "
	    "-machine pc-q35-7.2,usb=off -m size=4194304k -smp 4,maxcpus=8,sockets=2,dies=1,"
	    "cores=2,threads=2 -uuid 6695EB01-f6a4-8304-79aa-97f2502e193f -no-user-config");

	(void)state;
	check_uuid(&cmdline, "6695eb01-f6a4-8304-79aa-97f2502e193f");
	assert_string_equal(cmdline.name, "a,b=c");
	assert_true(cmdline.has_libvirt_id);
	assert_int_equal(cmdline.libvirt_id, 17);
	assert_int_equal(cmdline.memory_bytes, UINT64_C(4) << 30);
	assert_int_equal(cmdline.vcpu_count, 4);
	assert_int_equal(cmdline.vcpus_per_socket, 4);
	assert_false(cmdline.probe);
}

static void test_proxmox(void **state)
{
	struct qemu_cmdline cmdline =
	    parsed("/usr/bin/kvm -id 104 -name mail,debug-threads=on -smbios "
		   "type=1,uuid=6695eb01-f6a4-8304-79aa-97f2502e193f -smp "
		   "4,sockets=2,cores=2,maxcpus=4 -m 2048 -machine type=pc-i440fx-9.0+pve0");

	(void)state;
	check_uuid(&cmdline, "6695eb01-f6a4-8304-79aa-97f2502e193f");
	assert_string_equal(cmdline.name, "mail");
	assert_true(cmdline.has_vmid);
	assert_int_equal(cmdline.vmid, 104);
	assert_int_equal(cmdline.vcpus_per_socket, 2);
	assert_int_equal(cmdline.memory_bytes, UINT64_C(2) << 30);
}

/* -uuid wins over -smbios in either order; a uuid of another table is nobody's. */
static void test_uuid_of_two_sources(void **state)
{
	static const char first[] = "11111111-1111-1111-1111-111111111111";
	struct qemu_cmdline cmdline;

	(void)state;
	cmdline = parsed("q -uuid 11111111-1111-1111-1111-111111111111 -smbios "
			 "type=1,uuid=22222222-2222-2222-2222-222222222222");
	check_uuid(&cmdline, first);
	cmdline = parsed("q -smbios type=1,uuid=22222222-2222-2222-2222-222222222222 -uuid "
			 "11111111-1111-1111-1111-111111111111");
	check_uuid(&cmdline, first);
	cmdline = parsed("q -smbios type=2,uuid=22222222-2222-2222-2222-222222222222");
	assert_false(cmdline.has_uuid);
}

static void test_smp_follows_qemu(void **state)
{
	static const struct {
		const char *words;
		uint32_t vcpu_count, vcpus_per_socket;
	} cases[] = {
	    {"q", 1, 1},
	    {"q -smp 4", 4, 4},
	    {"q -smp 4 -machine q35", 4, 4},
	    {"q -smp 4 -machine pc-q35-6.1", 4, 1},
	    {"q -M pc-i440fx-2.12 -smp 6", 6, 1},
	    {"q -machine pc-q35-6.2 -smp 4", 4, 4},
	    {"q -smp cpus=4,sockets=2", 4, 2},
	    {"q -smp 8,cores=4", 8, 4},
	    {"q -smp 8,sockets=2,cores=2", 8, 4},
	    {"q -smp sockets=2,cores=3,threads=2", 12, 6},
	    {"q -smp 2,maxcpus=8,sockets=4", 2, 2},
	    {"q -smp 16,sockets=2,dies=2,cores=2,threads=2", 16, 8},
	    {"q --smp 3", 3, 3},
	    {"q -smp 2 -smp 5", 5, 5},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct qemu_cmdline cmdline = parsed(cases[i].words);

		if (cmdline.vcpu_count != cases[i].vcpu_count ||
		    cmdline.vcpus_per_socket != cases[i].vcpus_per_socket)
			fail_msg("%s: %u vCPUs, %u a socket", cases[i].words, cmdline.vcpu_count,
				 cmdline.vcpus_per_socket);
	}
}

static void test_memory_units(void **state)
{
	(void)state;
	assert_int_equal(parsed("q").memory_bytes, UINT64_C(128) << 20);
	assert_int_equal(parsed("q -m 512").memory_bytes, UINT64_C(512) << 20);
	assert_int_equal(parsed("q -m 3G,slots=4,maxmem=8G").memory_bytes, UINT64_C(3) << 30);
	assert_int_equal(parsed("q -m size=1t").memory_bytes, UINT64_C(1) << 40);
}

static void test_probes_are_told_apart(void **state)
{
	(void)state;
	assert_true(parsed("q -S -machine none,accel=kvm:tcg -daemonize").probe);
	assert_false(parsed("q -machine q35").probe);
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const words[] = {
	    "q -smp 0x4",
	    "q -smp 4,cores=0x",
	    "q -smp 99999",
	    "q -smp 4,sockets=8",
	    "q -smp 4096,sockets=1,dies=4096,cores=4096,threads=4096",
	    "q -m lots",
	    "q -m 99999999999999999999",
	    "q -uuid 1",
	};
	struct qemu_cmdline cmdline;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(words); i++)
		if (parse(words[i], &cmdline) >= 0)
			fail_msg("taken: %s", words[i]);
	assert_int_equal(qemu_cmdline_parse("", 0, &cmdline), -EINVAL);
	assert_int_equal(qemu_cmdline_parse("kvm", 3, &cmdline), -EINVAL);
}

static void test_derived_identity_is_stable_and_distinct(void **state)
{
	struct qemu_cmdline named = parsed("kvm -name a"), other = parsed("kvm -name b");
	struct qemu_cmdline numbered = parsed("kvm -name a -id 7"), none = parsed("kvm");
	struct uuid first, second, third;
	char text[UUID_TEXT_SIZE];

	(void)state;
	assert_int_equal(qemu_cmdline_derive_uuid(&named, &first), 0);
	uuid_format(&first, text);
	/* Fixed for good: another value would be another account. */
	assert_string_equal(text, "653ed029-927b-802a-8683-f0596a254f0f");
	assert_int_equal(qemu_cmdline_derive_uuid(&other, &second), 0);
	assert_int_equal(qemu_cmdline_derive_uuid(&numbered, &third), 0);
	assert_false(uuid_equal(&first, &second));
	assert_false(uuid_equal(&first, &third));
	assert_int_equal(qemu_cmdline_derive_uuid(&none, &first), -ENODATA);
}

/* Whose QEMU it is must not hang on options that are nobody's business here. */
static void test_identity_alone(void **state)
{
	static const struct {
		const char *words;
		int status;
		const char *uuid;
	} cases[] = {
	    {"q -m lots -smp 99999 -uuid 6695EB01-f6a4-8304-79aa-97f2502e193f", 0,
	     "6695eb01-f6a4-8304-79aa-97f2502e193f"},
	    {"q -smbios type=1,uuid=6695eb01-f6a4-8304-79aa-97f2502e193f -id 7", 0,
	     "6695eb01-f6a4-8304-79aa-97f2502e193f"},
	    {"q -name a", 0, "653ed029-927b-802a-8683-f0596a254f0f"},
	    {"q", -ENODATA, NULL},
	    {"q -machine none -uuid 6695eb01-f6a4-8304-79aa-97f2502e193f", -ENODATA, NULL},
	    {"q -uuid 1", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		char words[256], text[UUID_TEXT_SIZE];
		size_t length = strlen(cases[i].words);
		struct uuid uuid;

		memcpy(words, cases[i].words, length + 1);
		for (char *space = strchr(words, ' '); space != NULL; space = strchr(space, ' '))
			*space++ = '\0';
		assert_int_equal(qemu_cmdline_identify(words, length + 1, &uuid), cases[i].status);
		if (cases[i].status < 0)
			continue;
		uuid_format(&uuid, text);
		assert_string_equal(text, cases[i].uuid);
	}
}

static void test_names_of_qemu(void **state)
{
	(void)state;
	assert_true(qemu_cmdline_is_qemu("qemu-system-x86"));
	assert_true(qemu_cmdline_is_qemu("qemu-kvm"));
	assert_true(qemu_cmdline_is_qemu("kvm"));
	assert_false(qemu_cmdline_is_qemu("kvm-pit/123"));
	assert_false(qemu_cmdline_is_qemu("qemu-img"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_libvirt),
	    cmocka_unit_test(test_proxmox),
	    cmocka_unit_test(test_uuid_of_two_sources),
	    cmocka_unit_test(test_smp_follows_qemu),
	    cmocka_unit_test(test_memory_units),
	    cmocka_unit_test(test_probes_are_told_apart),
	    cmocka_unit_test(test_nonsense_is_refused),
	    cmocka_unit_test(test_derived_identity_is_stable_and_distinct),
	    cmocka_unit_test(test_identity_alone),
	    cmocka_unit_test(test_names_of_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
