/* virtiofsd_cmdline.h: command lines as libvirt, Proxmox and people write them. */
#include "tests/unit/check.h"

#include "fusefs/virtiofsd_cmdline.h"

#define VM "11111111-2222-3333-4444-555555555555"
#define XM "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static int identify(const char *words, struct uuid *ret_uuid)
{
	char text[1024];
	size_t length = strlen(words);

	assert_true(length < sizeof(text));
	memcpy(text, words, length + 1);
	for (char *space = strchr(text, ' '); space != NULL; space = strchr(space, ' '))
		*space++ = '\0';
	return virtiofsd_cmdline_identify(text, length + 1, ret_uuid);
}

static void test_which_machine(void **state)
{
	static const struct {
		const char *words;
		const char *uuid; /* NULL: that of no machine */
	} cases[] = {
	    /* The C version, by libvirt 9.0 and by hand. */
	    {"/usr/lib/qemu/virtiofsd --fd=31 -o source=/run/wattport/vm/" VM ",cache=none", VM},
	    {"/usr/lib/qemu/virtiofsd --fd=31 -o cache=none,source=/run/wattport/vm/" VM "/,xattr",
	     VM},
	    {"virtiofsd --socket-path=/tmp/s -o cache=none -o source=/x/vm/" VM, VM},
	    {"virtiofsd -osource=/run/wattport/vm/" VM, VM},
	    {"virtiofsd -o source=/run/wattport/vm/" VM " -o source=/", NULL},
	    {"virtiofsd -o source=/,source=/run/wattport/vm/" VM, VM},
	    /* The Rust version, by libvirt, Proxmox and by hand. */
	    {"/usr/libexec/virtiofsd --fd=3 --shared-dir=/run/wattport/vm/" VM " --cache=never",
	     VM},
	    {"/usr/libexec/virtiofsd --fd=3 --cache never --shared-dir /run/wattport/vm/" VM, VM},
	    {"virtiofsd --shared-dir /run/wattport/vm/" VM "///", VM},
	    {"virtiofsd --shared-dir / -o source=/run/wattport/vm/" VM, VM},
	    {"virtiofsd --shared-dir /run/wattport/vm/" VM " -o source=/", NULL},
	    {"virtiofsd -o=source=/run/wattport/vm/" VM, VM},
	    /* Another program with the same purpose. */
	    {"virtfs-proxy-helper --path /run/wattport/vm/" VM " --fd 5", VM},
	    {"virtfs-proxy-helper -p /run/wattport/vm/" VM " -f 5", VM},
	    {"virtfs-proxy-helper -p / -f 5", NULL},
	    /* What is nobody's tree. */
	    {"virtiofsd --shared-dir /", NULL},
	    {"virtiofsd --shared-dir /run/wattport/vm", NULL},
	    {"virtiofsd --shared-dir /run/wattport/vm/", NULL},
	    {"virtiofsd --shared-dir /run/wattport", NULL},
	    {"virtiofsd --shared-dir /run/wattport/vm/" VM "/class", NULL},
	    {"virtiofsd --shared-dir /run/wattport/vm/" VM "/..", NULL},
	    {"virtiofsd --shared-dir /run/wattport/by-name/plain", NULL},
	    {"virtiofsd --shared-dir /srv/" VM, NULL},
	    {"virtiofsd --shared-dir /run/wattport/xvm/" VM, NULL},
	    {"virtiofsd --shared-dir vm/" VM, NULL},
	    {"virtiofsd --shared-dir /vm/" VM "0", NULL},
	    {"virtiofsd --shared-dir /vm/AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee", NULL},
	    {"virtiofsd --shared-dir /vm/" XM, XM},
	    {"virtiofsd --shared-dir", NULL},
	    {"virtiofsd --shared-dirt=/vm/" VM, NULL},
	    {"virtiofsd -o", NULL},
	    {"virtiofsd -o source=/vm/" VM "\\,x", NULL},
	    {"virtiofsd -o resource=/vm/" VM, NULL},
	    {"virtiofsd -o source,x=/vm/" VM, NULL},
	    {"virtiofsd -o source=", NULL},
	    {"virtiofsd", NULL},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		char text[UUID_TEXT_SIZE];
		struct uuid uuid;
		int status = identify(cases[i].words, &uuid);

		if (status != (cases[i].uuid != NULL ? 0 : -ENODATA))
			fail_msg("%s: %d", cases[i].words, status);
		if (status < 0)
			continue;
		uuid_format(&uuid, text);
		assert_string_equal(text, cases[i].uuid);
	}
}

static void test_no_command_line(void **state)
{
	struct uuid uuid;

	(void)state;
	assert_int_equal(virtiofsd_cmdline_identify("", 0, &uuid), -EINVAL);
	assert_int_equal(virtiofsd_cmdline_identify("virtiofsd", 9, &uuid), -EINVAL);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(virtiofsd_cmdline_is_virtiofsd("virtiofsd"));
	assert_true(virtiofsd_cmdline_is_virtiofsd("virtfs-proxy-he"));
	assert_true(virtiofsd_cmdline_is_virtiofsd("virtfs-proxy-helper"));
	assert_false(virtiofsd_cmdline_is_virtiofsd("virtiofsd-wrapper"));
	assert_false(virtiofsd_cmdline_is_virtiofsd(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_which_machine),
	    cmocka_unit_test(test_no_command_line),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
