/* fusefs/keeper_internal.h: the spare worker, as the keeper has it. The processes are the test's.
 */
#include "fusefs/keeper_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REIGN 7

struct fixture {
	struct keeper keeper;
	struct fs_memory *memory;
	int memory_fd;
	int spare_end; /* of the socket by which the spare hears */
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	fixture = (struct fixture){
	    .keeper = {.clock = clock_real(), .spare_fd = -1, .go_fds = {-1, -1}, .serves = true},
	    .spare_end = -1};
	assert_int_equal(fs_memory_create(&fixture.memory, &fixture.memory_fd, &diag), 0);
	fixture.memory->heritage.reign = REIGN;
	fixture.keeper.connection.memory = fixture.memory;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	keeper_end_spare(&fixture->keeper);
	if (fixture->spare_end >= 0)
		(void)close(fixture->spare_end);
	fs_memory_destroy(fixture->memory);
	(void)close(fixture->memory_fd);
	return 0;
}

/* A process that waits until it is killed, and what it would hear by. */
static void make_spare(struct fixture *fixture)
{
	int fds[2];
	/* First: both ends are the test's alone. */
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fixture->keeper.spare = child;
	fixture->keeper.spare_fd = fds[0];
	fixture->spare_end = fds[1];
}

/* Where there is room for one process alone it has to be the worker: readers wait for that. */
static void test_no_spare_takes_the_place_of_the_worker(void **state)
{
	struct fixture *fixture = *state;

	fault_arm(FAULT_PROCESS, 1, EAGAIN);
	keeper_ensure_spare(&fixture->keeper);
	assert_false(fault_disarm());
	assert_int_equal(fixture->keeper.spare, 0);
	assert_int_equal(fixture->keeper.spare_ns, 0);

	/* With a worker one is made, and not again at once when that failed. */
	fixture->keeper.worker = getpid();
	fault_arm(FAULT_PROCESS, 1, EAGAIN);
	keeper_ensure_spare(&fixture->keeper);
	assert_true(fault_disarm());
	assert_true(fixture->keeper.spare_ns > clock_now_mono(clock_real()).ns);
	fault_arm(FAULT_PROCESS, 1, EAGAIN);
	keeper_ensure_spare(&fixture->keeper);
	assert_false(fault_disarm());
}

static void test_a_spare_becomes_the_worker_once(void **state)
{
	struct fixture *fixture = *state;
	struct keeper *keeper = &fixture->keeper;
	uint64_t reign = 0;
	pid_t spare;

	assert_false(keeper_use_spare(keeper));
	make_spare(fixture);
	spare = keeper->spare;
	assert_true(keeper_use_spare(keeper));
	assert_int_equal(keeper->worker, spare);
	assert_int_equal(keeper->spare, 0);
	assert_int_equal(keeper->spare_fd, -1);
	assert_false(keeper->serves);
	assert_int_equal(read(fixture->spare_end, &reign, sizeof(reign)), sizeof(reign));
	assert_int_equal(reign, REIGN);
	/* And that it may begin. */
	assert_int_equal(read(fixture->spare_end, &reign, sizeof(reign)), 1);
	assert_int_equal(read(fixture->spare_end, &reign, sizeof(reign)), 0);
	assert_false(keeper_use_spare(keeper));
	/* Not before the new worker serves. */
	fault_arm(FAULT_PROCESS, 1, EAGAIN);
	keeper_ensure_spare(keeper);
	assert_false(fault_disarm());
	keeper_end_worker(keeper);
	assert_int_equal(keeper->worker, 0);
	assert_int_equal(waitpid(spare, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_a_spare_that_hears_nothing_is_ended(void **state)
{
	struct fixture *fixture = *state;
	struct keeper *keeper = &fixture->keeper;
	pid_t spare;

	make_spare(fixture);
	spare = keeper->spare;
	assert_int_equal(close(fixture->spare_end), 0);
	fixture->spare_end = -1;
	assert_false(keeper_use_spare(keeper));
	assert_int_equal(keeper->worker, 0);
	assert_int_equal(keeper->spare, 0);
	assert_int_equal(keeper->spare_fd, -1);
	assert_int_equal(waitpid(spare, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_a_spare_that_died_is_noticed(void **state)
{
	struct fixture *fixture = *state;
	struct keeper *keeper = &fixture->keeper;
	siginfo_t info;
	pid_t spare;

	make_spare(fixture);
	spare = keeper->spare;
	keeper_watch_spare(keeper);
	assert_int_equal(keeper->spare, spare);
	assert_int_equal(kill(spare, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)spare, &info, WEXITED | WNOWAIT), 0);
	keeper_watch_spare(keeper);
	assert_int_equal(keeper->spare, 0);
	assert_int_equal(keeper->spare_fd, -1);
	assert_true(keeper->spare_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_no_spare_takes_the_place_of_the_worker, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_a_spare_becomes_the_worker_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_spare_that_hears_nothing_is_ended, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_a_spare_that_died_is_noticed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
