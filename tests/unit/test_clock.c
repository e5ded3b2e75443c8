#include "common/clock.h"
#include "tests/unit/check.h"

static void test_elapsed(void **state)
{
	(void)state;
	assert_int_equal(clock_elapsed_ns((struct mono_time){3}, (struct mono_time){10}), 7);
	assert_int_equal(clock_elapsed_ns((struct mono_time){10}, (struct mono_time){10}), 0);
	assert_int_equal(clock_elapsed_ns((struct mono_time){10}, (struct mono_time){3}), 0);
}

static void test_the_manual_clock_moves_when_told(void **state)
{
	struct manual_clock manual;

	(void)state;
	manual_clock_init(&manual, (struct mono_time){5}, (struct wall_time){100});
	assert_int_equal(clock_now_mono(&manual.clock).ns, 5);
	assert_int_equal(clock_now_wall(&manual.clock).ns, 100);
	manual_clock_advance(&manual, 7);
	assert_int_equal(clock_now_mono(&manual.clock).ns, 12);
	assert_int_equal(clock_now_wall(&manual.clock).ns, 107);
	manual.wall.ns = 1; /* somebody set the clock */
	assert_int_equal(clock_now_wall(&manual.clock).ns, 1);
	assert_int_equal(clock_now_mono(&manual.clock).ns, 12);
}

static void test_a_machine_may_be_suspended(void **state)
{
	struct manual_clock manual;

	(void)state;
	manual_clock_init(&manual, (struct mono_time){5}, (struct wall_time){100});
	manual_clock_advance(&manual, 7);
	assert_int_equal(clock_suspended_ns(&manual.clock), 0);
	manual_clock_suspend(&manual, 20);
	manual_clock_advance(&manual, 1);
	assert_int_equal(clock_suspended_ns(&manual.clock), 20);
	assert_int_equal(clock_now_mono(&manual.clock).ns, 33);
	assert_int_equal(clock_now_wall(&manual.clock).ns, 128);
	/* Never more than there was. */
	assert_true(clock_suspended_ns(clock_real()) < clock_now_mono(clock_real()).ns);
}

static void test_the_real_clock_does_not_go_back(void **state)
{
	const struct clock *real = clock_real();
	struct mono_time before = clock_now_mono(real);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct mono_time now = clock_now_mono(real);

		assert_true(now.ns >= before.ns);
		before = now;
	}
	/* After 2020: it is the wall's time and in nanoseconds. */
	assert_true(clock_now_wall(real).ns > UINT64_C(1577836800) * CLOCK_NS_PER_SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_elapsed),
	    cmocka_unit_test(test_the_manual_clock_moves_when_told),
	    cmocka_unit_test(test_a_machine_may_be_suspended),
	    cmocka_unit_test(test_the_real_clock_does_not_go_back),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
