/* process_times.h: whoever is in no control group any more has ended, whenever that went. */
#include "guest/process_times.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_guest.h"

#include <stdlib.h>

/* Looks are fewer than steps on a machine of very many processes. */
static void test_a_cgroup_goes_between_two_looks(void **state)
{
	struct made_up_guest *guest = calloc(1, sizeof(*guest));
	cleanup_process_times struct process_times *times = NULL;
	cleanup_cgroup_times struct cgroup_times *cgroups = NULL;
	cleanup_unit_roster struct unit_roster *roster = NULL;
	struct cgroup_mounts mounts;
	struct topology *topology = NULL;
	struct diag diag = DIAG_INIT;
	size_t a, process;

	(void)state;
	CHECK_POINTER(guest);
	made_up_guest_create(guest, 2);
	a = made_up_guest_add(guest, "/system.slice/a.service");
	process = made_up_guest_start(guest, 100, a, 1);
	assert_int_equal(topology_read(guest->guest.root, &topology, &diag), 0);
	assert_int_equal(cgroup_mounts_open(guest->guest.root, &mounts), 0);
	assert_int_equal(cgroup_times_create(&mounts, &cgroups), 0);
	assert_int_equal(unit_roster_create(topology->cpu_count, &roster), 0);
	assert_int_equal(process_times_create(guest->guest.root, &guest->clock.clock, &times), 0);
	for (int step = 0; step < 4; step++) {
		assert_int_equal(cgroup_times_step(cgroups), 0);
		unit_roster_step(roster, cgroups, false);
		if (step == 0 || step == 3) {
			assert_int_equal(
			    process_times_look(times, cgroups, mounts.version, roster, topology),
			    0);
			assert_int_equal(process_times_find(times, 100)->ended, step == 3);
		}
		if (step == 0) {
			made_up_guest_end(guest, process);
			made_up_guest_rmdir(guest, a);
		}
	}
	process_times_forget(times);
	assert_null(process_times_find(times, 100));
	topology_destroy(topology);
	cgroup_mounts_close(&mounts);
	made_up_guest_remove(guest);
	free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_cgroup_goes_between_two_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
