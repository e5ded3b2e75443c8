/* process_text.h: what the kernel says of processes, some of which chose their own names. */
#include "tests/unit/check.h"

#include "fusefs/process_text.h"

static void test_status(void **state)
{
	static const struct {
		const char *text;
		int32_t process; /* 0: refused */
		uid_t user;
	} cases[] = {
	    {"Name:\tqemu\nUmask:\t0002\nState:\tS (sleeping)\nTgid:\t4711\nNgid:\t0\nPid:\t4712\n"
	     "PPid:\t1\nTracerPid:\t0\nUid:\t64055\t64055\t64055\t64055\nGid:"
	     "\t108\t108\t108\t108\n",
	     4711, 64055},
	    /* virtiofsd while it serves a process of user 998: only the first counts. */
	    {"Name:\tvirtiofsd\nTgid:\t7\nUid:\t0\t998\t0\t998\n", 7, 0},
	    {"Name:\tsu\nTgid:\t7\nUid:\t1000\t0\t0\t0\n", 7, 1000},
	    /* The kernel writes a newline in a name as \n, so a line begins only where one does. */
	    {"Name:\tTgid:\t1 Uid:\t0\\nUid:\t0\nTgid:\t4711\nUid:\t5\t5\t5\t5\n", 4711, 5},
	    {"Tgid:\t4711\nUid:\t0\t0\t0\t0\n", 0, 0}, /* Name comes first, always */
	    {"Name:\tx\nPid:\t4712\nUid:\t0\t0\t0\t0\n", 0, 0},
	    {"Name:\tx\nTgid:\t4712\n", 0, 0},
	    {"Name:\tx\nTgid:\t\nUid:\t0\t0\t0\t0\n", 0, 0},
	    {"Name:\tx\nTgid:\t0\nUid:\t0\t0\t0\t0\n", 0, 0},
	    {"Name:\tx\nTgid:\t-1\nUid:\t0\t0\t0\t0\n", 0, 0},
	    {"Name:\tx\nTgid:\t99999999999\nUid:\t0\t0\t0\t0\n", 0, 0},
	    {"Name:\tx\nTgid:\t1\nUid:\t-1\n", 0, 0},
	    {"Name:\tx\nTgid:\t1\nUid:\t4294967295\n", 0, 0},
	    {"", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		struct process_status status = {.process = 0};
		int result = process_status_parse(cases[i].text, &status);

		assert_int_equal(result, cases[i].process == 0 ? -EINVAL : 0);
		assert_int_equal(status.process, cases[i].process);
		assert_int_equal(status.user, cases[i].user);
	}
}

static void test_cgroups(void **state)
{
	static const struct {
		const char *text;
		const char *machine; /* NULL: none */
	} cases[] = {
	    {"0::/machine.slice/machine-qemu\\x2d7\\x2dplain.scope/libvirt/emulator\n",
	     "machine-qemu\\x2d7\\x2dplain.scope"},
	    {"0::/machine.slice/machine-qemu\\x2d7\\x2dplain.scope\n",
	     "machine-qemu\\x2d7\\x2dplain.scope"},
	    {"12:freezer:/machine/qemu-7-plain.libvirt-qemu/emulator\n1:name=systemd:/\n0::/\n",
	     "qemu-7-plain.libvirt-qemu"},
	    {"2:cpu:/\n1:freezer:/machine/qemu-7-plain.libvirt-qemu\n",
	     "qemu-7-plain.libvirt-qemu"},
	    {"0::/system.slice/libvirtd.service\n", NULL},
	    {"0::/qemu.slice/104.scope\n", NULL},
	    {"0::/machine.slice/machine-qemu.service\n", NULL},
	    {"0::/.libvirt-qemu\n", NULL},
	    {"0::/\n", NULL},
	    {"", NULL},
	};
	char machine[PROCESS_MACHINE_SIZE], text[2 * PROCESS_MACHINE_SIZE];

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		assert_int_equal(process_machine_parse(cases[i].text, machine),
				 cases[i].machine != NULL);
		if (cases[i].machine != NULL)
			assert_string_equal(machine, cases[i].machine);
	}
	/* As long as a name may be, and one more, which no name is. */
	memset(text, 'x', sizeof(text));
	memcpy(text + PROCESS_MACHINE_SIZE - 1 - strlen(".libvirt-qemu"), ".libvirt-qemu", 14);
	assert_true(process_machine_parse(text, machine));
	assert_int_equal(strlen(machine), PROCESS_MACHINE_SIZE - 1);
	memset(text, 'x', sizeof(text));
	memcpy(text + PROCESS_MACHINE_SIZE - strlen(".libvirt-qemu"), ".libvirt-qemu", 14);
	assert_false(process_machine_parse(text, machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_cgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
