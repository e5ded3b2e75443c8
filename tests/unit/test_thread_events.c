#include "tests/unit/check.h"

#include "host/thread_events.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Events that every kernel counts, so that the system call itself is tried. */
static const struct thread_events_source software = {
    .kinds =
	{
	    [THREAD_CYCLES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
	    [THREAD_INSTRUCTIONS] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
	    [THREAD_LLC_MISSES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
	},
    .open = thread_events_system_open,
};

/* A counter whose readings are written by hand into a pipe. No test has more than one. */
static struct {
	int pipe[2];
	int opened;  /* how many calls have been made */
	int failing; /* the number of the one that fails, from 1; 0: none */
	int error;
	uint64_t read_format;
	unsigned excluded;
	int groups[THREAD_EVENT_COUNT];
} fake;

static int fake_open(const struct perf_event_attr *attribute, int32_t tid, int group_fd)
{
	assert_int_equal(tid, 7);
	fake.groups[fake.opened % THREAD_EVENT_COUNT] = group_fd;
	fake.read_format = attribute->read_format;
	fake.excluded = (unsigned)attribute->exclude_user | (unsigned)attribute->exclude_kernel |
			(unsigned)attribute->exclude_host | (unsigned)attribute->exclude_guest |
			(unsigned)attribute->exclude_idle | (unsigned)attribute->inherit;
	if (++fake.opened == fake.failing)
		return -fake.error;
	return dup(fake.pipe[0]);
}

static const struct thread_events_source scripted = {.open = fake_open};

static void fake_begin(void)
{
	fake.opened = 0;
	fake.failing = 0;
	assert_int_equal(pipe2(fake.pipe, O_CLOEXEC), 0);
}

static void fake_end(void)
{
	(void)close(fake.pipe[0]);
	if (fake.pipe[1] >= 0)
		(void)close(fake.pipe[1]);
}

static void fake_write(const uint64_t values[], size_t count)
{
	assert_int_equal(write(fake.pipe[1], values, count * sizeof(values[0])),
			 (ssize_t)(count * sizeof(values[0])));
}

static size_t descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_one_group_leaves_nothing_out(void **state)
{
	const uint64_t values[] = {3, 100, 100, 10, 20, 30};
	struct thread_events_growth growth;
	struct thread_events events;
	size_t before = descriptors();

	(void)state;
	fake_begin();
	assert_int_equal(thread_events_open(&events, &scripted, 7), 0);
	assert_true(thread_events_opened(&events));
	assert_int_equal(fake.groups[0], -1);
	assert_int_equal(fake.groups[1], events.fds[0]);
	assert_int_equal(fake.groups[2], events.fds[0]);
	assert_int_equal(fake.excluded, 0);
	assert_int_equal(fake.read_format, PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
					       PERF_FORMAT_TOTAL_TIME_RUNNING);
	fake_write(values, CHECK_COUNT(values));
	assert_int_equal(thread_events_read(&events, &growth), 1);
	assert_true(events.counted);
	assert_int_equal(growth.count[THREAD_CYCLES], 10);
	assert_int_equal(growth.count[THREAD_INSTRUCTIONS], 20);
	assert_int_equal(growth.count[THREAD_LLC_MISSES], 30);
	thread_events_close(&events);
	assert_false(thread_events_opened(&events));
	thread_events_close(&events);
	fake_end();
	assert_int_equal(descriptors(), before);
}

static void test_all_or_nothing(void **state)
{
	static const int errors[] = {EACCES, EPERM, ENOENT, EOPNOTSUPP, EMFILE, ESRCH, ENOSYS};
	struct thread_events events;

	(void)state;
	fake_begin();
	for (size_t i = 0; i < CHECK_COUNT(errors); i++) {
		for (int nth = 1; nth <= THREAD_EVENT_COUNT; nth++) {
			size_t before = descriptors();

			fake.opened = 0;
			fake.failing = nth;
			fake.error = errors[i];
			assert_int_equal(thread_events_open(&events, &scripted, 7), -errors[i]);
			assert_false(thread_events_opened(&events));
			assert_int_equal(descriptors(), before);
		}
	}
	fake_end();
}

/* A group in an error state reads nothing; less than a reading, or another's, is no reading. */
static void test_what_is_no_reading(void **state)
{
	const uint64_t other[] = {2, 100, 100, 10, 20, 30};
	struct thread_events_growth growth;
	struct thread_events events;

	(void)state;
	fake_begin();
	assert_int_equal(thread_events_open(&events, &scripted, 7), 0);
	fake_write(other, CHECK_COUNT(other));
	assert_int_equal(thread_events_read(&events, &growth), -EIO);
	fake_write(other, 3);
	assert_int_equal(thread_events_read(&events, &growth), -EIO);
	(void)close(fake.pipe[1]);
	fake.pipe[1] = -1;
	assert_int_equal(thread_events_read(&events, &growth), -EIO);
	thread_events_close(&events);
	fake_end();
}

static void test_taking_turns_is_scaled(void **state)
{
	struct thread_events_reading last = {.enabled_ns = 1000, .running_ns = 500, .raw = {7}};
	struct thread_events_reading now;
	struct thread_events_growth growth;

	(void)state;
	/* A quarter of the time. */
	assert_true(thread_events_advance(&last,
					  &(struct thread_events_reading){
					      .enabled_ns = 1400,
					      .running_ns = 600,
					      .raw = {17, 1, 0},
					  },
					  &growth));
	assert_int_equal(growth.count[THREAD_CYCLES], 40);
	assert_int_equal(growth.count[THREAD_INSTRUCTIONS], 4);
	assert_int_equal(growth.count[THREAD_LLC_MISSES], 0);
	/* The thread ran and the group did not: it is brought in later. */
	assert_false(thread_events_advance(&last,
					   &(struct thread_events_reading){
					       .enabled_ns = 1500,
					       .running_ns = 600,
					       .raw = {17, 1, 0},
					   },
					   &growth));
	assert_int_equal(growth.count[THREAD_CYCLES], 0);
	assert_true(thread_events_advance(&last,
					  &(struct thread_events_reading){
					      .enabled_ns = 1600,
					      .running_ns = 700,
					      .raw = {27, 1, 0},
					  },
					  &growth));
	assert_int_equal(growth.count[THREAD_CYCLES], 20);
	/* It did not run at all: nothing is known, too. */
	now = last;
	assert_true(thread_events_advance(&last, &now, &growth));
	assert_int_equal(growth.count[THREAD_CYCLES], 0);
}

static void test_counters_that_wrap_or_go_back(void **state)
{
	struct thread_events_reading last = {
	    .enabled_ns = 100, .running_ns = 100, .raw = {UINT64_MAX - 2, 50, 0}};
	struct thread_events_growth growth;

	(void)state;
	assert_true(thread_events_advance(
	    &last,
	    &(struct thread_events_reading){.enabled_ns = 200, .running_ns = 200, .raw = {4, 40}},
	    &growth));
	assert_int_equal(growth.count[THREAD_CYCLES], 7);
	assert_int_equal(growth.count[THREAD_INSTRUCTIONS], 0);
	assert_true(thread_events_advance(
	    &last,
	    &(struct thread_events_reading){.enabled_ns = 300, .running_ns = 300, .raw = {4, 41}},
	    &growth));
	assert_int_equal(growth.count[THREAD_INSTRUCTIONS], 1);
	/* Past all that a trace can tell. */
	assert_true(thread_events_advance(&last,
					  &(struct thread_events_reading){
					      .enabled_ns = UINT64_MAX / 2,
					      .running_ns = 301,
					      .raw = {4, UINT64_MAX / 2},
					  },
					  &growth));
	assert_int_equal(growth.count[THREAD_INSTRUCTIONS], INT64_MAX);
}

/* Whatever the kernel says, sums of growth never go back and nothing overflows. */
static void test_random_readings_only_grow(void **state)
{
	struct thread_events_reading last = {.raw = {0}};
	struct thread_events_growth growth;
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct thread_events_reading now = last;

		now.enabled_ns += check_random_below(&seed, 1000);
		now.running_ns +=
		    check_random_below(&seed, 4) == 0 ? 0 : check_random_below(&seed, 1000);
		for (size_t k = 0; k < THREAD_EVENT_COUNT; k++)
			now.raw[k] += check_random_below(&seed, 100) - 5;
		(void)thread_events_advance(&last, &now, &growth);
		for (size_t k = 0; k < THREAD_EVENT_COUNT; k++)
			assert_true(growth.count[k] <= 1000 * 100);
	}
}

/* Its id, until it is told to end by a 0. */
static void *spin(void *argument)
{
	atomic_int *tid = argument;

	atomic_store(tid, (int)syscall(SYS_gettid));
	while (atomic_load(tid) != 0)
		;
	return NULL;
}

/* The real call, for another thread of this process, which stops when it is told to. */
static void test_the_kernel_counts(void **state)
{
	atomic_int tid = 0;
	struct thread_events_growth growth;
	struct thread_events events;
	uint64_t sum = 0;
	pthread_t thread;
	int status;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, spin, &tid), 0);
	while (atomic_load(&tid) == 0)
		;
	status = thread_events_open(&events, &software, atomic_load(&tid));
	while (status == 0 && sum < 1000000) {
		assert_true(thread_events_read(&events, &growth) >= 0);
		sum += growth.count[THREAD_CYCLES];
	}
	atomic_store(&tid, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (status == -EACCES || status == -EPERM || status == -ENOSYS)
		skip();
	assert_int_equal(status, 0);
	/* Its last word can still be had. */
	assert_true(thread_events_read(&events, &growth) >= 0);
	thread_events_close(&events);
	/* And there is no such thread any more. */
	assert_int_equal(thread_events_open(&events, &software, INT32_MAX), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_group_leaves_nothing_out),
	    cmocka_unit_test(test_all_or_nothing),
	    cmocka_unit_test(test_what_is_no_reading),
	    cmocka_unit_test(test_taking_turns_is_scaled),
	    cmocka_unit_test(test_counters_that_wrap_or_go_back),
	    cmocka_unit_test(test_random_readings_only_grow),
	    cmocka_unit_test(test_the_kernel_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
