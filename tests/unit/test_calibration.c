#include "common/calibration.h"
#include "tests/unit/check.h"

#include <math.h>

#define SECOND_NS UINT64_C(1000000000)
#define CPUS	  16
#define VMS	  6

static const struct calibration_prior prior = {.load_ratio = 3, .shared = 0.05};

/* A machine that has nothing of the calibration's model but that it is additive in its VMs. */
struct machine {
	struct calibration *calibration;
	uint64_t random;
	double static_w;
	double costs_w[VMS]; /* of a busy thread */
	double loads[VMS];   /* in CPUs, now */
	double least, most;  /* of what a VM's load may be */
};

static void machine_start(struct machine *machine, uint64_t seed)
{
	assert_int_equal(calibration_create(CPUS, &prior, &machine->calibration), 0);
	machine->random = seed;
	for (size_t i = 0; i < VMS; i++)
		machine->loads[i] = machine->least;
}

static double machine_random(struct machine *machine)
{
	return (double)check_random_below(&machine->random, 1000000) / 1e6;
}

/* A second; every VM's load moves on its own. Returns the power. */
static double machine_second(struct machine *machine)
{
	double power_w = machine->static_w;

	for (size_t i = 0; i < VMS; i++) {
		struct features work;
		uint64_t busy_ns;

		if (machine_random(machine) < 0.2)
			machine->loads[i] = machine->least + machine_random(machine) *
								 (machine->most - machine->least);
		power_w += machine->loads[i] * machine->costs_w[i];
		busy_ns = (uint64_t)(machine->loads[i] * 1e9);
		work = features_of_time(busy_ns, busy_ns, 0);
		calibration_add_work(machine->calibration, i, &work,
				     calibration_cost(machine->calibration, &work, 0));
	}
	power_w *= 1 + 0.01 * (machine_random(machine) - 0.5);
	calibration_add(machine->calibration, SECOND_NS, (uint64_t)(power_w * 1e6), false);
	return power_w;
}

static void check_near(double found, double wanted, double percent)
{
	if (fabs(found - wanted) > wanted * percent / 100)
		fail_msg("found %g, wanted %g", found, wanted);
}

static double static_w(const struct machine *machine)
{
	return (double)calibration_state(machine->calibration).static_power_uw / 1e6;
}

/* What a second of one thread of that VM is said to cost. */
static double cost_w(const struct machine *machine, size_t key)
{
	struct features work = features_of_time(SECOND_NS, SECOND_NS, 0);

	return (double)calibration_cost(machine->calibration, &work, 0) / 1e9 *
	       (double)calibration_ratio(machine->calibration, key) / (double)CALIBRATION_RATIO_ONE;
}

/* Never below 30 % of load: the static power is seen by none of its seconds. */
static void test_static_power_of_a_host_that_never_rests(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct machine machine = {
		    .static_w = 35, .costs_w = {4, 4, 4, 4, 4, 4}, .least = 0.5, .most = 2.5};

		machine_start(&machine, seed);
		for (int second = 0; second < 900; second++)
			machine_second(&machine);
		check_near(static_w(&machine), 35, 5);
		assert_false(calibration_state(machine.calibration).learning);
		assert_in_range(calibration_state(machine.calibration).error_ppm, 100, 20000);
		calibration_destroy(machine.calibration);
	}
}

/* Without events: who costs three times as much as another is told by when the power moves. */
static void test_deviations_tell_heavy_from_light(void **state)
{
	struct machine machine = {
	    .static_w = 35, .costs_w = {2, 6, 3, 5, 4, 4}, .least = 0.1, .most = 2.5};

	(void)state;
	machine_start(&machine, 3);
	for (int second = 0; second < 900; second++)
		machine_second(&machine);
	check_near(static_w(&machine), 35, 5);
	for (size_t i = 0; i < VMS; i++)
		check_near(cost_w(&machine, i), machine.costs_w[i], 10);
	calibration_destroy(machine.calibration);
}

/* A load that never moves shows nothing: the prior stands, and it is no nonsense. */
static void test_level_load_gives_the_prior(void **state)
{
	struct machine machine = {
	    .static_w = 30, .costs_w = {4, 4, 4, 4, 4, 4}, .least = 1.5, .most = 1.5};

	(void)state;
	machine_start(&machine, 1);
	for (int second = 0; second < 900; second++)
		machine_second(&machine);
	assert_in_range((uint64_t)static_w(&machine), 12, 45);
	calibration_destroy(machine.calibration);
}

/*
 * Four VMs at level loads, each read a few milliseconds early or late, as is the energy: what one
 * interval has too much the next one lacks. All cost the same, and are told to.
 */
static void check_readings_that_slip(double slip_s, double percent)
{
	static const double loads[] = {1, 0.6, 0.3, 0.1};
	struct machine machine = {.least = 0, .most = 0};
	double early[5] = {0};

	machine_start(&machine, 7);
	for (int second = 0; second < 1800; second++) {
		double power_w = 20, now = slip_s * (2 * machine_random(&machine) - 1);

		for (size_t i = 0; i < 4; i++) {
			double late = slip_s * (2 * machine_random(&machine) - 1);
			uint64_t busy_ns = (uint64_t)(loads[i] * (1 + late - early[i]) * 1e9);
			struct features work = features_of_time(busy_ns, busy_ns, 0);

			early[i] = late;
			power_w += 10 * loads[i];
			calibration_add_work(machine.calibration, i, &work,
					     calibration_cost(machine.calibration, &work, 0));
		}
		power_w *= 1 + now - early[4];
		early[4] = now;
		calibration_add(machine.calibration, SECOND_NS, (uint64_t)(power_w * 1e6), false);
		for (size_t i = 0; i < 4; i++)
			check_near((double)calibration_ratio(machine.calibration, i),
				   (double)CALIBRATION_RATIO_ONE, percent);
	}
	calibration_destroy(machine.calibration);
}

static void test_the_moments_of_reading_are_no_deviation(void **state)
{
	(void)state;
	check_readings_that_slip(0.001, 2);
	check_readings_that_slip(0.005, 4);
	check_readings_that_slip(0.02, 10);
}

/*
 * A quiet minute has shown 20 W. Under load the power rises less and less, so that the line through
 * what is seen there leads to 35 W: an hour of it does not make the quiet minute forgotten.
 */
static void test_quiet_moments_are_remembered(void **state)
{
	struct machine machine = {.static_w = 0};

	(void)state;
	machine_start(&machine, 1);
	for (int second = 0; second < 4000; second++) {
		bool quiet = second >= 100 && second < 160;

		machine.static_w = quiet ? 20 : 35;
		for (size_t i = 0; i < VMS; i++)
			machine.costs_w[i] = 4;
		machine.least = quiet ? 0.01 : 1;
		machine.most = quiet ? 0.02 : 2;
		machine_second(&machine);
	}
	assert_in_range((uint64_t)static_w(&machine), 18, 24);
	calibration_destroy(machine.calibration);
}

/* Every twentieth second is far off. */
static void test_outliers_do_little(void **state)
{
	struct machine machine = {
	    .static_w = 35, .costs_w = {4, 4, 4, 4, 4, 4}, .least = 0.2, .most = 2.5};

	(void)state;
	machine_start(&machine, 5);
	for (int second = 0; second < 900; second++) {
		machine.static_w = second % 20 == 7 ? 120 : 35;
		machine_second(&machine);
	}
	check_near(static_w(&machine), 35, 7);
	calibration_destroy(machine.calibration);
}

/* The machine changes: after a quarter of an hour the figures are those of the new one. */
static void test_it_follows_a_change(void **state)
{
	struct machine machine = {
	    .static_w = 35, .costs_w = {4, 4, 4, 4, 4, 4}, .least = 0.1, .most = 2.5};

	(void)state;
	machine_start(&machine, 5);
	for (int second = 0; second < 900; second++)
		machine_second(&machine);
	for (size_t i = 0; i < VMS; i++)
		machine.costs_w[i] = 6;
	for (int second = 0; second < 1200; second++)
		machine_second(&machine);
	for (size_t i = 0; i < VMS; i++)
		check_near(cost_w(&machine, i), 6, 10);
	/* A VM that is new or too small for a deviation. */
	check_near(cost_w(&machine, VMS + 1), 6, 10);
	check_near(static_w(&machine), 35, 10);
	calibration_destroy(machine.calibration);
}

static void test_an_operator_knows_better(void **state)
{
	struct machine machine = {
	    .static_w = 35, .costs_w = {4, 4, 4, 4, 4, 4}, .least = 0.1, .most = 2.5};

	(void)state;
	machine_start(&machine, 5);
	calibration_fix_static(machine.calibration, true, 12345678);
	for (int second = 0; second < 100; second++)
		machine_second(&machine);
	assert_int_equal(calibration_state(machine.calibration).static_power_uw, 12345678);
	calibration_destroy(machine.calibration);
}

/* More work never costs less, whatever was learned from whatever. */
static void test_costs_are_monotonous_after_nonsense(void **state)
{
	uint64_t random = 11;

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct calibration *calibration;

		assert_int_equal(calibration_create(CPUS, &prior, &calibration), 0);
		for (int second = 0; second < 200; second++) {
			struct features work;
			struct calibration_state now;

			for (size_t i = 0; i < FEATURES_COUNT; i++)
				work.amount[i] =
				    check_random(&random) >> check_random_below(&random, 64);
			calibration_add_work(calibration, check_random_below(&random, 40), &work,
					     calibration_cost(calibration, &work, 0));
			calibration_add(calibration,
					check_random(&random) >> check_random_below(&random, 64),
					check_random(&random) >> check_random_below(&random, 64),
					round % 2 == 0);
			now = calibration_state(calibration);
			assert_true(now.static_power_uw <= UINT64_C(1000000000000001));
			assert_true(now.error_ppm <= 1000000);
			for (size_t i = 0; i < FEATURES_COUNT; i++) {
				uint64_t less = calibration_cost(calibration, &work, 3);

				work.amount[i] = work.amount[i] < UINT64_MAX / 2
						     ? 2 * work.amount[i] + 1
						     : UINT64_MAX;
				assert_true(calibration_cost(calibration, &work, 3) >= less);
			}
			for (size_t key = 0; key < 40; key++)
				assert_in_range(calibration_ratio(calibration, key),
						CALIBRATION_RATIO_ONE / 4,
						4 * CALIBRATION_RATIO_ONE);
		}
		calibration_destroy(calibration);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_static_power_of_a_host_that_never_rests),
	    cmocka_unit_test(test_deviations_tell_heavy_from_light),
	    cmocka_unit_test(test_level_load_gives_the_prior),
	    cmocka_unit_test(test_the_moments_of_reading_are_no_deviation),
	    cmocka_unit_test(test_quiet_moments_are_remembered),
	    cmocka_unit_test(test_outliers_do_little),
	    cmocka_unit_test(test_it_follows_a_change),
	    cmocka_unit_test(test_an_operator_knows_better),
	    cmocka_unit_test(test_costs_are_monotonous_after_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
