/*
 * The procfs provider and the counting of threads on a real QEMU without libvirt.
 */
#include "tests/unit/check.h"

#include "common/cleanup.h"
#include "host/vm_provider.h"
#include "host/vm_threads.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define PATIENCE_NS (UINT64_C(60) * CLOCK_NS_PER_SECOND)
#define QEMU	    "/usr/bin/qemu-system-x86_64"

/* Another one in every process, as several tests may run at a time. */
static char own_text[UUID_TEXT_SIZE];
static struct uuid own;

static pid_t start_qemu(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)execl(QEMU, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-display", "none",
		    "-nodefaults", "-name", "own machine,debug-threads=on", "-uuid", own_text, "-m",
		    "64", "-smp", "2,sockets=2", (char *)NULL);
	_exit(127);
}

static const struct vm_roster_vm *await_presence(struct vm_provider *provider, bool present)
{
	struct mono_time begun = clock_now_mono(clock_real());

	for (;;) {
		struct pollfd fd = {.fd = vm_provider_fd(provider), .events = POLLIN};
		const struct vm_roster *roster;

		if (vm_provider_take(provider, &roster) == 1 &&
		    (vm_roster_find(roster, &own) != NULL) == present)
			return vm_roster_find(roster, &own);
		if (clock_elapsed_ns(begun, clock_now_mono(clock_real())) > PATIENCE_NS)
			fail_msg("the machine did not %s", present ? "come" : "go");
		(void)poll(&fd, 1, 1000);
	}
}

/* Reads until the vCPU has run: the firmware needs some time. */
static void check_times(const struct sysroot *root, const struct vm_roster_vm *vm, pid_t pid)
{
	struct vm_threads_context context = {.root = root, .package_count = 2, .fd_budget = 100};
	cleanup_vm_threads struct vm_threads *threads = NULL;
	cleanup_vm_roster struct vm_roster *roster = NULL;
	struct mono_time begun = clock_now_mono(clock_real());
	uint64_t before_ns = 0;
	struct sample sample;

	assert_int_equal(vm_roster_create(&roster), 0);
	assert_int_equal(vm_roster_put(roster, vm), 0);
	assert_int_equal(vm_threads_create(&context, &threads), 0);
	assert_int_equal(vm_threads_follow(threads, roster, begun), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	for (int i = 0; i < 200 || before_ns == 0; i++) {
		struct mono_time now = clock_now_mono(clock_real());

		sample_clear(&sample);
		assert_int_equal(vm_threads_read(threads, now, &sample), 0);
		assert_true(sample.vms[0].running);
		assert_int_equal(sample.vms[0].vcpu_count, 2);
		assert_int_equal(sample.vms[0].precision, SAMPLE_NANOSECONDS);
		assert_true(sample.vms[0].vcpus[0].time_ns >= before_ns);
		before_ns = sample.vms[0].vcpus[0].time_ns;
		assert_true(clock_elapsed_ns(begun, now) < PATIENCE_NS);
	}
	assert_true(sample.vms[0].overhead_ns > 0);
	/* Its end is seen by the descriptors, whatever the roster says. */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sample_clear(&sample);
	assert_int_equal(vm_threads_read(threads, clock_now_mono(clock_real()), &sample), 0);
	assert_false(sample.vms[0].running);
	assert_true(sample.vms[0].vcpus[0].time_ns >= before_ns);
	sample_finish(&sample);
}

static void test_machine_comes_and_goes(void **state)
{
	struct vm_provider_context context = {.clock = clock_real()};
	cleanup_vm_provider struct vm_provider *provider = NULL;
	cleanup_sysroot struct sysroot *root = NULL;
	const struct vm_roster_vm *vm;
	pid_t pid;

	(void)state;
	assert_int_equal(sysroot_open("/", &root, NULL), 0);
	context.root = root;
	assert_int_equal(vm_provider_open("procfs", &context, &provider, NULL), 0);
	assert_int_equal(vm_provider_lookup(provider, &own, PATIENCE_NS), 0);
	pid = start_qemu();
	vm = await_presence(provider, true);
	assert_string_equal(vm->name, "own machine");
	assert_int_equal(vm->process.pid, pid);
	assert_int_equal(vm->socket_count, 2);
	assert_int_equal(vm->memory_bytes, UINT64_C(64) << 20);
	assert_int_equal(vm_provider_lookup(provider, &own, 0), 1);
	check_times(root, vm, pid);
	(void)await_presence(provider, false);
	vm_provider_close(TAKE_PTR(provider));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_machine_comes_and_goes)};

	(void)snprintf(own_text, sizeof(own_text), "8e3f7f1e-0f3b-4a54-8e86-%012d", (int)getpid());
	if (uuid_parse(own_text, &own) < 0)
		return EXIT_FAILURE;
	if (access(QEMU, X_OK) != 0) {
		(void)fprintf(stderr, "skipped: %s is not installed\n", QEMU);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
