/* wattportd's sampling and persisting as a whole: each call of it fails once, with each error. */
#include "common/cleanup.h"
#include "common/ledger_life.h"
#include "common/log.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/made_up_host.h"

#include "host/vm_provider.h"
#include "host/vm_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NTH_MAX 1000

static const int errors[] = {EIO, ENOENT, EACCES, EMFILE, ENOMEM, ENOSPC};

/* Where each round begins a thread: those that are told from others; memory fails in any case. */
static const int slow_errors[] = {EIO, EMFILE};

static int setup(void **state)
{
	static struct made_up_host host;

	made_up_host_create(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	made_up_host_destroy(*state);
	return 0;
}

/* Whatever happened, what readers see adds up. */
static void check_sums(const struct made_up_host *host)
{
	struct ledger_copy copy;

	made_up_host_copy(host, &copy);
	for (uint32_t zone = 0; zone < copy.host.zone_count; zone++)
		assert_int_equal(
		    ledger_copy_conservation_error_uj(&copy.host, copy.vms, copy.vm_count, zone),
		    0);
	ledger_copy_free(&copy);
}

/* After a good sample nothing is missing: neither energy nor CPU time since `begun`. */
static void check_complete(const struct made_up_host *host, uint64_t begun)
{
	uint64_t seconds = host->seconds - begun;
	const struct ledger_vm *machine;
	struct ledger_copy copy;

	check_sums(host);
	made_up_host_copy(host, &copy);
	assert_int_equal(copy.host.zone_count, MADE_UP_ZONES);
	for (size_t zone = 0; zone < MADE_UP_ZONES; zone++) {
		assert_int_equal(copy.host.zones[zone].energy_uj,
				 made_up_host_energy_uj(zone, seconds));
		assert_int_equal(copy.host.zones[zone].error, 0);
	}
	machine = made_up_host_machine(&copy);
	CHECK_POINTER(machine);
	assert_int_equal(machine->state, LEDGER_VM_RUNNING);
	assert_int_equal(machine->vcpu_ns, seconds * MADE_UP_VCPU_NS);
	ledger_copy_free(&copy);
}

static void sample(struct made_up_host *host)
{
	made_up_host_pass(host, 2);
	meter_sample(host->meter);
	meter_checkpoint(host->meter);
}

/* A sample with a fault in it; whether it struck. */
static bool sample_with(struct made_up_host *host, unsigned calls, unsigned nth, int error)
{
	made_up_host_pass(host, 2);
	fault_arm(calls, nth, error);
	meter_sample(host->meter);
	meter_checkpoint(host->meter);
	return fault_disarm();
}

static void test_a_sample_may_fail_at_any_call(void **state)
{
	struct made_up_host *host = *state;

	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	check_complete(host, 0);
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		unsigned nth = 0;
		bool struck;

		/* That a process is not there is believed: see below. */
		if (errors[i] == ENOENT)
			continue;
		do {
			struck = sample_with(host, FAULT_ANY, ++nth, errors[i]);
			check_sums(host);
			sample(host);
			check_complete(host, 0);
		} while (struck && nth < NTH_MAX);
		assert_in_range(nth, 20, NTH_MAX - 1);
	}
}

static void test_a_sample_may_find_anything_missing(void **state)
{
	struct made_up_host *host = *state;
	unsigned nth = 0;
	bool struck;

	do {
		uint64_t begun = host->seconds;
		struct ledger_copy copy;

		assert_int_equal(unlinkat(host->runtime_fd, "ledger", 0), nth == 0 ? -1 : 0);
		(void)unlinkat(host->state_fd, "ledger.state", 0);
		(void)unlinkat(host->state_fd, "ledger.state.old", 0);
		made_up_host_open(host);
		meter_sample(host->meter);
		struck = sample_with(host, FAULT_ANY, ++nth, ENOENT);
		check_sums(host);
		sample(host);
		check_sums(host);
		made_up_host_copy(host, &copy);
		for (size_t zone = 0; zone < MADE_UP_ZONES; zone++)
			assert_int_equal(copy.host.zones[zone].energy_uj,
					 made_up_host_energy_uj(zone, host->seconds - begun));
		ledger_copy_free(&copy);
		made_up_host_close(host);
	} while (struck && nth < NTH_MAX);
	assert_in_range(nth, 20, NTH_MAX - 1);
}

/* A signal, or a read that gives one byte at a time, is nobody's failure. */
static void test_interruptions_and_short_reads_are_not_seen(void **state)
{
	struct made_up_host *host = *state;
	unsigned nth = 0;
	bool struck;

	made_up_host_open(host);
	meter_sample(host->meter);
	do {
		struck = sample_with(host, FAULT_INTERRUPTIBLE, ++nth, EINTR);
		check_complete(host, 0);
	} while (struck && nth < NTH_MAX);
	assert_in_range(nth, 10, NTH_MAX - 1);
	for (unsigned size = 1; size < 40; size++) {
		fault_limit_reads(size);
		fault_limit_writes(1000 * size);
		assert_false(sample_with(host, FAULT_ANY, 0, 0));
		check_complete(host, 0);
	}
}

/* Has the provider look around once more, and waits until it has. */
static void look_around(const struct made_up_host *host)
{
	static const struct uuid nobody = {.bytes = {9}};

	/* True as long as there is no answer. */
	while (meter_refresh(host->meter, &nobody))
		;
}

/* A machine that could not be looked at is not gone: its account and its CPU time go on. */
static void test_the_provider_may_fail_at_any_call(void **state)
{
	struct made_up_host *host = *state;

	made_up_host_open(host);
	meter_sample(host->meter);
	for (size_t i = 0; i < CHECK_COUNT(slow_errors); i++) {
		unsigned nth = 0;
		bool struck;

		do {
			made_up_host_pass(host, 2);
			fault_arm_elsewhere(FAULT_ANY, ++nth, slow_errors[i]);
			look_around(host);
			struck = fault_disarm();
			meter_sample(host->meter);
			check_complete(host, 0);
			made_up_host_pass(host, 2);
			look_around(host);
			meter_sample(host->meter);
			check_complete(host, 0);
		} while (struck && nth < NTH_MAX);
		assert_in_range(nth, 10, NTH_MAX - 1);
	}
}

/* The links are made when the list of machines changes, or as soon after that as they can be. */
static void test_a_link_that_failed_is_made_later(void **state)
{
	struct made_up_host *host = *state;
	struct stat status;

	made_up_host_open(host);
	assert_true(sample_with(host, FAULT_MAKE, 1, ENOSPC));
	assert_int_equal(fstatat(host->runtime_fd, "by-name/one", &status, AT_SYMLINK_NOFOLLOW),
			 -1);
	sample(host);
	assert_int_equal(fstatat(host->runtime_fd, "by-name/one", &status, AT_SYMLINK_NOFOLLOW), 0);
}

/* What the status says of the daemon's parts, and what a machine's shortage is. */
static void test_status_tells_what_is_short(void **state)
{
	struct made_up_host *host = *state;
	struct ledger_copy copy;
	char *text;

	/* A descriptor for one of its threads' two files alone. */
	host->fd_budget = 2;
	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	text = meter_status(host->meter);
	CHECK_POINTER(text);
	check_contains(text, "\"short\":1");
	check_contains(text, "\"state\":\"ok\"");
	free(text);
	made_up_host_copy(host, &copy);
	assert_true(made_up_host_machine(&copy)->short_threads > 0);
	ledger_copy_free(&copy);
	check_complete(host, 0);
	assert_string_equal(vm_provider_state_name(VM_PROVIDER_STARTING), "starting");
	assert_string_equal(vm_provider_state_name(VM_PROVIDER_AWAY), "away");
}

/* What needs a restart is refused as a whole; the rest holds at once. */
static void test_new_settings(void **state)
{
	struct made_up_host *host = *state;
	struct settings settings = host->settings;
	struct diag diag = DIAG_INIT;

	made_up_host_open(host);
	settings.vms_provider = SETTINGS_PROVIDER_LIBVIRT;
	settings.guest_view_mode = SETTINGS_VIEW_EXACT;
	assert_int_equal(meter_configure(host->meter, &settings, &diag), -EINVAL);
	check_contains(diag.text, "nothing was changed");
	settings.vms_provider = SETTINGS_PROVIDER_PROCFS;
	assert_int_equal(meter_configure(host->meter, &settings, &diag), 0);
	meter_sample(host->meter);
	sample(host);
	check_complete(host, 0);
}

/* A machine that has left is forgotten after its time, and what it used is kept. */
static void test_a_machine_that_has_left_departs(void **state)
{
	struct made_up_host *host = *state;
	struct ledger_copy copy;

	host->settings.vms_retention_ns = 10 * CLOCK_NS_PER_SECOND;
	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	tree_delete(&host->tree, "proc/10");
	look_around(host);
	sample(host);
	made_up_host_copy(host, &copy);
	assert_int_equal(made_up_host_machine(&copy)->state, LEDGER_VM_GONE);
	ledger_copy_free(&copy);
	made_up_host_pass(host, 20);
	tree_delete(&host->tree, "proc/10");
	sample(host);
	sample(host);
	check_sums(host);
	made_up_host_copy(host, &copy);
	assert_null(made_up_host_machine(&copy));
	assert_true(uuid_is_nil(&copy.vms[0].uuid));
	assert_int_equal(copy.vms[0].vcpu_ns, 2 * MADE_UP_VCPU_NS);
	ledger_copy_free(&copy);
}

/* Between two wattportd a machine goes on, and then one ends that nobody sees again. */
static void test_what_came_between_two_runs_is_booked(void **state)
{
	struct made_up_host *host = *state;
	struct ledger_copy copy;
	char *trace;

	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	made_up_host_close(host);
	made_up_host_pass(host, 30);
	made_up_host_open(host);
	trace = meter_trace_begin(host->meter);
	check_contains(trace, "wattport_trace");
	free(trace);
	meter_sample(host->meter);
	check_complete(host, 0);
	made_up_host_close(host);
	made_up_host_pass(host, 30);
	/* The same ids, another process. */
	tree_write(
	    &host->tree, "proc/10/stat",
	    "10 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 9999 0 0 0 0 0 0 0 0 0 0 0 0 0 "
	    "0 0 17 0 0 0\n");
	made_up_host_open(host);
	meter_sample(host->meter);
	trace = meter_trace_begin(host->meter);
	check_contains(trace, "\"t_ns\"");
	free(trace);
	check_sums(host);
	made_up_host_copy(host, &copy);
	assert_int_equal(copy.host.zones[0].energy_uj, made_up_host_energy_uj(0, 62));
	ledger_copy_free(&copy);
}

/* As wattportd begins: with all the descriptors that it may have. */
static void test_the_limit_of_descriptors_is_raised(void **state)
{
	struct rlimit before, limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(vm_threads_raise_fd_limit(), before.rlim_max - VM_THREADS_FD_RESERVE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* What the next wattportd will begin with is what the last one ended with. */
static void check_inheritance(const struct made_up_host *host, uint64_t seconds)
{
	const struct ledger_life_context context = {
	    .clock = &host->clock.clock,
	    .runtime_fd = host->runtime_fd,
	    .state_fd = host->state_fd,
	    .checkpoint_ns = CLOCK_NS_PER_SECOND,
	};
	cleanup_ledger_life struct ledger_life *life = NULL;
	struct diag diag = DIAG_INIT;
	struct ledger_copy copy;

	if (ledger_life_open(&context, &life, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(ledger_copy_of(ledger_life_ledger(life), &copy), 0);
	assert_int_equal(copy.host.zones[0].energy_uj, made_up_host_energy_uj(0, seconds));
	CHECK_POINTER(made_up_host_machine(&copy));
	assert_int_equal(made_up_host_machine(&copy)->vcpu_ns, seconds * MADE_UP_VCPU_NS);
	ledger_copy_free(&copy);
}

/* What failed in opening is told, and the next try finds the accounts as they were. */
static void test_opening_may_fail_at_any_call(void **state)
{
	struct made_up_host *host = *state;

	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	made_up_host_close(host);
	check_inheritance(host, 2);
	for (size_t i = 0; i < CHECK_COUNT(slow_errors); i++) {
		unsigned nth = 0;
		bool struck;

		do {
			struct diag diag = DIAG_INIT;
			int status;

			fault_arm(FAULT_ANY, ++nth, slow_errors[i]);
			status = made_up_host_try(host, &diag);
			struck = fault_disarm();
			if (status < 0 && diag.text[0] == '\0')
				fail_msg("call %u, error %d: %d untold", nth, slow_errors[i],
					 status);
			assert_int_equal(status < 0, host->meter == NULL);
			made_up_host_close(host);
			check_inheritance(host, 2);
		} while (struck && nth < NTH_MAX);
		assert_in_range(nth, 20, NTH_MAX - 1);
	}
	made_up_host_open(host);
	meter_sample(host->meter);
	sample(host);
	check_sums(host);
}

int main(void)
{
#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    FAULT_TEST(test_a_sample_may_fail_at_any_call),
	    FAULT_TEST(test_a_sample_may_find_anything_missing),
	    FAULT_TEST(test_interruptions_and_short_reads_are_not_seen),
	    FAULT_TEST(test_the_provider_may_fail_at_any_call),
	    FAULT_TEST(test_a_link_that_failed_is_made_later),
	    FAULT_TEST(test_status_tells_what_is_short),
	    FAULT_TEST(test_new_settings),
	    FAULT_TEST(test_a_machine_that_has_left_departs),
	    FAULT_TEST(test_what_came_between_two_runs_is_booked),
	    FAULT_TEST(test_the_limit_of_descriptors_is_raised),
	    FAULT_TEST(test_opening_may_fail_at_any_call),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("meter_faults", tests, NULL, NULL);
}
