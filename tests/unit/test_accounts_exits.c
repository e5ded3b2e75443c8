/* accounts.h: what the kernel tells of ended tasks is given to whose they were, once, by kernels of
 * all versions; and whoever lives keeps its account, whatever had its number before. */
#include "guest/accounts.h"
#include "tests/unit/check.h"
#include "tests/unit/made_up_exits.h"
#include "tests/unit/made_up_guest.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND	CLOCK_NS_PER_SECOND
#define MS	CLOCK_NS_PER_MS
#define WATT	UINT64_C(1000000) /* uJ a second */
#define TICK_MS 10

#define ALICE	4000000001
#define BOB	4000000002

static const struct accounts_options options = {
    .top = 500, .exits = true, .package = {.given = true, .power_uw = 10 * WATT}};

static const unsigned int versions[] = {8, 10, 11, 12, 14};

struct fixture {
	struct made_up_guest guest;
	unsigned int version;
	size_t unit;
	size_t shell; /* a process of Alice's */
};

static struct fixture *start(unsigned int version)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CHECK_POINTER(fixture);
	made_up_guest_create(&fixture->guest, 2);
	fixture->version = version;
	fixture->unit = made_up_guest_add(&fixture->guest, "/system.slice/a.service");
	fixture->shell = made_up_guest_start(&fixture->guest, 100, fixture->unit, ALICE);
	made_up_guest_pass(&fixture->guest, SECOND, 0);
	made_up_guest_open(&fixture->guest, &options);
	made_up_guest_tick(&fixture->guest);
	return fixture;
}

static void stop(struct fixture *fixture)
{
	made_up_guest_remove(&fixture->guest);
	free(fixture);
}

/* A while in which the machine draws what it draws at rest. */
static void rest(struct fixture *fixture, uint64_t time_ns)
{
	made_up_guest_pass(&fixture->guest, time_ns, 10 * WATT / 1000 * (time_ns / MS));
}

/* One second, in which the machine draws 20 W, of which 10 are work's. */
static void second(struct fixture *fixture)
{
	made_up_guest_pass(&fixture->guest, SECOND, 20 * WATT);
	made_up_guest_tick(&fixture->guest);
}

static uint64_t of_user(const struct fixture *fixture, const char *user)
{
	const struct account *account = made_up_guest_account(&fixture->guest, ACCOUNT_USER, user);

	return account != NULL ? account->total.energy_uj : 0;
}

static uint64_t of_process(const struct fixture *fixture, const char *name)
{
	const struct account *account =
	    made_up_guest_account(&fixture->guest, ACCOUNT_PROCESS, name);

	return account != NULL ? account->total.energy_uj : 0;
}

static void check_near(uint64_t got, uint64_t wanted)
{
	uint64_t off = got > wanted ? got - wanted : wanted - got;

	if (off > wanted / 200 + 2)
		fail_msg("%lu instead of %lu", got, wanted);
}

/* Of a process that is there: its end, as the kernel tells it. */
static struct made_up_exit exit_of(const struct fixture *fixture,
				   const struct made_up_process *process)
{
	uint64_t elapsed_ns = fixture->guest.clock.mono.ns - process->start_ticks * TICK_MS * MS;

	return (struct made_up_exit){.version = fixture->version,
				     .task = (uint32_t)process->pid,
				     .group = (uint32_t)process->pid,
				     .parent = (uint32_t)process->parent,
				     .uid = process->uid,
				     .cpu_ns = process->time_ns - process->others_ns,
				     .elapsed_ns = elapsed_ns,
				     .group_elapsed_ns = elapsed_ns,
				     .last = true};
}

static void end(struct fixture *fixture, size_t process)
{
	struct made_up_exit exit = exit_of(fixture, &fixture->guest.processes[process]);

	if (fixture->guest.processes[process].threads > 1)
		exit.group_ns = fixture->guest.processes[process].time_ns;
	made_up_guest_end(&fixture->guest, process);
	made_up_exits_tell(&exit);
}

/* Begins, works and ends between two looks. */
static void come_and_go(struct fixture *fixture, int32_t pid, uint32_t uid, uint64_t time_ns)
{
	size_t process = made_up_guest_start(&fixture->guest, pid, fixture->unit, uid);

	fixture->guest.processes[process].parent = 100;
	made_up_guest_work(&fixture->guest, process, time_ns);
	rest(fixture, 50 * MS);
	end(fixture, process);
}

static void end_thread(struct fixture *fixture, size_t process, uint32_t task, uint64_t time_ns)
{
	struct made_up_exit exit = exit_of(fixture, &fixture->guest.processes[process]);

	exit.task = task;
	exit.last = false;
	exit.cpu_ns = time_ns;
	exit.elapsed_ns = 30 * MS;
	made_up_exits_tell(&exit);
}

/* Programs that a shell starts, one after the other, each too short to be seen. */
static void test_short_processes(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct fixture *fixture = start(versions[i]);

		made_up_guest_work(&fixture->guest, fixture->shell, 100 * MS);
		for (int k = 0; k < 10; k++)
			come_and_go(fixture, 1000 + k, BOB, 30 * MS);
		second(fixture);
		check_near(of_user(fixture, "4000000001"), 10 * WATT / 4);
		check_near(of_user(fixture, "4000000002"), 10 * WATT / 4 * 3);
		assert_int_equal(fixture->guest.view->groups[ACCOUNT_PROCESS].lost_uj, 0);
		stop(fixture);
	}
}

/* A thread's time is in that of its process already, which lives on; another process of the same
 * unit must not pay for its being told twice. */
static void check_threads(unsigned int version, bool seen_alone_before)
{
	struct fixture *fixture = start(version);
	size_t process = made_up_guest_start(&fixture->guest, 200, fixture->unit, BOB);
	struct made_up_process *row = &fixture->guest.processes[process];

	row->parent = 100;
	row->threads = seen_alone_before ? 1 : 3;
	made_up_guest_work(&fixture->guest, process, 100 * MS);
	made_up_guest_work(&fixture->guest, fixture->shell, 100 * MS);
	second(fixture);
	check_near(of_user(fixture, "4000000002"), 5 * WATT);
	row->threads = 3;
	row->others_ns += 300 * MS;
	made_up_guest_work(&fixture->guest, process, 300 * MS);
	end_thread(fixture, process, 201, 300 * MS);
	made_up_guest_work(&fixture->guest, fixture->shell, 300 * MS);
	second(fixture);
	check_near(of_process(fixture, "work 100"), 10 * WATT);
	check_near(of_user(fixture, "4000000001"), 10 * WATT);
	/* With a descriptor on its first thread nobody saw the others yet: then it is the rest's.
	 */
	if (!seen_alone_before)
		check_near(of_process(fixture, "work 200"), 10 * WATT);
	stop(fixture);
}

static void test_threads_of_the_living(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		check_threads(versions[i], false);
		check_threads(versions[i], true);
	}
}

/* A process of three threads that nobody has seen: all that it has used is its own, once. */
static void test_a_short_process_of_several(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct fixture *fixture = start(versions[i]);
		size_t process = made_up_guest_start(&fixture->guest, 300, fixture->unit, BOB);
		struct made_up_process *row = &fixture->guest.processes[process];
		struct made_up_exit first;

		row->parent = 100;
		row->threads = 3;
		made_up_guest_work(&fixture->guest, process, 300 * MS);
		made_up_guest_work(&fixture->guest, fixture->shell, 100 * MS);
		rest(fixture, 100 * MS);
		/* The first thread ends first. */
		first = exit_of(fixture, row);
		first.cpu_ns = 100 * MS;
		first.last = false;
		first.forked = i % 2 == 0;
		made_up_exits_tell(&first);
		end_thread(fixture, process, 301, 100 * MS);
		first.task = 302;
		first.elapsed_ns = 20 * MS;
		first.last = true;
		first.group_ns = 300 * MS;
		made_up_exits_tell(&first);
		made_up_guest_end(&fixture->guest, process);
		second(fixture);
		check_near(of_user(fixture, "4000000002"), 10 * WATT / 4 * 3);
		check_near(of_process(fixture, "work 100"), 10 * WATT / 4);
		assert_int_equal(fixture->guest.view->groups[ACCOUNT_PROCESS].lost_uj, 0);
		stop(fixture);
	}
}

/* The first thread ends and the others go on: so does the process, with its account. */
static void test_the_first_thread_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct fixture *fixture = start(versions[i]);
		size_t process = made_up_guest_start(&fixture->guest, 200, fixture->unit, BOB);
		struct made_up_process *row = &fixture->guest.processes[process];
		struct made_up_exit first;

		row->threads = 3;
		made_up_guest_work(&fixture->guest, process, 200 * MS);
		second(fixture);
		row->threads = 2;
		row->state = 'Z';
		made_up_guest_work(&fixture->guest, process, 200 * MS);
		first = exit_of(fixture, row);
		first.last = false;
		made_up_exits_tell(&first);
		second(fixture);
		made_up_guest_work(&fixture->guest, process, 200 * MS);
		second(fixture);
		check_near(of_process(fixture, "work 200"), 30 * WATT);
		/* Its end is told as that of several, with what was told before. */
		made_up_guest_work(&fixture->guest, process, 200 * MS);
		end(fixture, process);
		second(fixture);
		check_near(of_process(fixture, "work 200"), 40 * WATT);
		assert_int_equal(fixture->guest.view->groups[ACCOUNT_PROCESS].lost_uj, 0);
		stop(fixture);
	}
}

/* A number that is given again between two looks: the end that is told is the earlier one's. */
static void test_a_number_is_given_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct fixture *fixture = start(versions[i]);
		size_t process = made_up_guest_start(&fixture->guest, 200, fixture->unit, ALICE);

		made_up_guest_work(&fixture->guest, process, 120 * MS);
		second(fixture);
		made_up_guest_work(&fixture->guest, process, 360 * MS);
		end(fixture, process);
		rest(fixture, 20 * MS);
		process = made_up_guest_start(&fixture->guest, 200, fixture->unit, BOB);
		made_up_guest_work(&fixture->guest, process, 120 * MS);
		second(fixture);
		check_near(of_user(fixture, "4000000001"), 10 * WATT + 10 * WATT / 4 * 3);
		check_near(of_user(fixture, "4000000002"), 10 * WATT / 4);
		check_near(of_process(fixture, "work 200"), 10 * WATT / 4);
		/* And of one that nobody saw: it had the number before who has it now. */
		end(fixture, process);
		rest(fixture, 20 * MS);
		come_and_go(fixture, 200, BOB, 120 * MS);
		rest(fixture, 20 * MS);
		process = made_up_guest_start(&fixture->guest, 200, fixture->unit, ALICE);
		made_up_guest_work(&fixture->guest, process, 120 * MS);
		second(fixture);
		made_up_guest_work(&fixture->guest, process, 120 * MS);
		second(fixture);
		check_near(of_user(fixture, "4000000002"), 10 * WATT / 4 + 5 * WATT);
		check_near(of_process(fixture, "work 200"), 15 * WATT);
		stop(fixture);
	}
}

/* One that lived long, and was never seen, has not used all of its time now. */
static void test_an_old_one_that_nobody_knew(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(versions); i++) {
		struct fixture *fixture = start(versions[i]);
		const struct made_up_exit old = {.version = versions[i],
						 .task = 500,
						 .group = 500,
						 .parent = 100,
						 .uid = BOB,
						 .cpu_ns = 100 * SECOND,
						 .elapsed_ns = 3500 * MS,
						 .group_elapsed_ns = 3500 * MS,
						 .last = true};

		second(fixture);
		second(fixture);
		made_up_guest_work(&fixture->guest, fixture->shell, 200 * MS);
		made_up_exits_tell(&old);
		second(fixture);
		check_near(of_user(fixture, "4000000001"), 10 * WATT);
		assert_int_equal(of_user(fixture, "4000000002"), 0);
		stop(fixture);
	}
}

/* Random machines with few numbers. */
#define NUMBERS 6

struct life {
	uint32_t serial;  /* 0: none */
	uint64_t time_ns; /* at the last view */
	uint64_t told_ns; /* what its account said */
	bool told;
};

static void random_event(struct fixture *fixture, uint64_t *random, size_t lives[NUMBERS],
			 uint32_t *serial)
{
	size_t number = check_random_below(random, NUMBERS);
	size_t process = lives[number];
	struct made_up_guest *guest = &fixture->guest;
	struct made_up_process *row = process != SIZE_MAX ? &guest->processes[process] : NULL;

	rest(fixture, 10 * MS + check_random_below(random, 20 * MS));
	switch (check_random_below(random, 4)) {
	case 0:
		if (process != SIZE_MAX) {
			end(fixture, process);
			lives[number] = SIZE_MAX;
		} else {
			come_and_go(fixture, 200 + (int32_t)number, BOB,
				    check_random_below(random, 20 * MS));
		}
		break;
	default:
		if (process == SIZE_MAX) {
			lives[number] =
			    made_up_guest_start(guest, 200 + (int32_t)number, fixture->unit, BOB);
			row = &guest->processes[lives[number]];
			row->life = ++*serial;
			row->threads = 1 + (uint32_t)check_random_below(random, 2);
			row->parent = row->threads > 1 ? 1 : 100;
			made_up_guest_work(guest, lives[number], 0);
		} else {
			uint64_t time_ns = check_random_below(random, 30 * MS);

			if (row->threads > 1) {
				row->others_ns += time_ns;
				end_thread(fixture, process, 900 + (uint32_t)number, time_ns);
			}
			made_up_guest_work(guest, process, time_ns);
		}
	}
}

/* Whoever lives goes on with its account, and gets what it has used: no other's end changes it. */
static void check_lives(const struct fixture *fixture, const size_t lives[NUMBERS],
			struct life known[NUMBERS])
{
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct made_up_process *row;
		const struct account *account;
		struct life now;
		char name[32];

		if (lives[i] == SIZE_MAX) {
			known[i] = (struct life){.serial = 0};
			continue;
		}
		row = &fixture->guest.processes[lives[i]];
		(void)snprintf(name, sizeof(name), "work %d.%u", row->pid, row->life);
		account = made_up_guest_account(&fixture->guest, ACCOUNT_PROCESS, name);
		now = (struct life){.serial = row->life,
				    .time_ns = row->time_ns,
				    .told_ns = account != NULL ? account->cpu_ns : 0,
				    .told = account != NULL};
		if (known[i].serial == now.serial && known[i].told) {
			/* Ticks are coarse. */
			const uint64_t slack_ns = TICK_MS * MS;
			uint64_t used_ns = now.time_ns - known[i].time_ns;

			assert_true(now.told);
			assert_true(now.told_ns + slack_ns >= known[i].told_ns + used_ns);
			assert_true(now.told_ns <= known[i].told_ns + used_ns + slack_ns);
		}
		known[i] = now;
	}
}

static void test_random_ends(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct fixture *fixture = start(versions[seed % CHECK_COUNT(versions)]);
		struct life known[NUMBERS] = {{.serial = 0}};
		size_t lives[NUMBERS];
		uint64_t random = seed;
		uint32_t serial = 0;

		for (size_t i = 0; i < NUMBERS; i++)
			lives[i] = SIZE_MAX;
		for (int tick = 0; tick < 30; tick++) {
			for (uint64_t i = check_random_below(&random, 20); i > 0; i--)
				random_event(fixture, &random, lives, &serial);
			second(fixture);
			check_lives(fixture, lives, known);
		}
		stop(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_short_processes),
	    cmocka_unit_test(test_threads_of_the_living),
	    cmocka_unit_test(test_a_short_process_of_several),
	    cmocka_unit_test(test_the_first_thread_ends),
	    cmocka_unit_test(test_a_number_is_given_again),
	    cmocka_unit_test(test_an_old_one_that_nobody_knew),
	    cmocka_unit_test(test_random_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
