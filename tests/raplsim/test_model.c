#include <errno.h>
#include <stdlib.h>

#include "tests/raplsim/model.h"
#include "tests/raplsim/test.h"

#define UNIT_PJ UINT64_C(61035000)
#define MS	UINT64_C(1000000)

static struct model *create(struct model_zone zone, uint64_t update_ns)
{
	struct model_config config = {.start_ns = 5000,
				      .update_ns = update_ns,
				      .cpu_count = 2,
				      .zone_count = 1,
				      .zones = &zone};
	struct model *model = NULL;
	uint64_t busy_ns[2] = {777, 888};

	assert_int_equal(model_create(&config, &model), 0);
	model_advance(model, 5000, busy_ns);
	return model;
}

/* Time and CPU times since the start that create() made. */
static void advance(struct model *model, uint64_t time_ns, uint64_t cpu0_ns, uint64_t cpu1_ns)
{
	uint64_t busy_ns[2] = {777 + cpu0_ns, 888 + cpu1_ns};

	model_advance(model, 5000 + time_ns, busy_ns);
}

static void test_zero_follows_the_highest_value(void **state)
{
	/* 61.035 W are one hardware unit in each microsecond. */
	struct model *model = create((struct model_zone){.power = {61035000, 0},
							 .unit_pj = UNIT_PJ,
							 .start_units = UINT32_MAX - 1},
				     1000);

	(void)state;
	advance(model, 1000, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, model_counter(model, 0).range_uj);
	assert_int_equal(model_counter(model, 0).wraps, 0);
	advance(model, 2000, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, 0);
	assert_int_equal(model_counter(model, 0).wraps, 1);
	advance(model, 3000, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, 61);
	model_destroy(model);
}

static void test_counter_prints_as_the_kernel(void **state)
{
	static const struct {
		uint64_t unit_pj;
		uint64_t range_uj;
	} units[] = {
	    {61035000, 262143328850}, {61035156, 262143328850},		 {15258789, 65532610987},
	    {15300000, 65712999613},  {1000000000000, 4294967295000000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct model *model =
		    create((struct model_zone){.unit_pj = units[i].unit_pj, .start_units = 3}, 1);
		struct model_counter counter = model_counter(model, 0);

		assert_int_equal(counter.range_uj, units[i].range_uj);
		assert_int_equal(counter.raw_uj, 3 * (units[i].unit_pj / 1000) / 1000);
		model_destroy(model);
	}
}

/* 15.2587890625 uJ are 15.258 uJ to the kernel: truth and counter part by 52 ppm. */
static void test_hardware_unit_is_not_the_kernels(void **state)
{
	struct model *model =
	    create((struct model_zone){.power = {100000000, 0}, .unit_pj = 15258789}, 1);

	(void)state;
	advance(model, 1000 * MS, 0, 0);
	assert_int_equal(model_energy(model, 0).true_uj, 100000000);
	/* 100 J are 6553600.03 units. */
	assert_int_equal(model_counter(model, 0).raw_uj, UINT64_C(6553600) * 15258 / 1000);
	model_destroy(model);
}

static void test_nothing_is_lost_to_rounding(void **state)
{
	struct model *model = create(
	    (struct model_zone){
		.power = {999, 333}, .unit_pj = UNIT_PJ, .cpu_first = 0, .cpu_count = 2},
	    1);

	(void)state;
	/* Each step is 999 + 333 femtojoules, a million steps 1.332 microjoules. */
	for (uint64_t i = 1; i <= 1000000; i++)
		advance(model, i, i, 0);
	assert_int_equal(model_energy(model, 0).idle_uj, 0);
	assert_int_equal(model_energy(model, 0).busy_uj, 0);
	assert_int_equal(model_energy(model, 0).true_uj, 1);
	advance(model, 1001001, 1001001, 0);
	assert_int_equal(model_energy(model, 0).idle_uj, 0);
	advance(model, 1001002, 1001002, 0);
	assert_int_equal(model_energy(model, 0).idle_uj, 1);
	model_destroy(model);
}

static void test_only_the_zones_cpus_count(void **state)
{
	struct model *model = create(
	    (struct model_zone){
		.power = {0, 10000000}, .unit_pj = UNIT_PJ, .cpu_first = 1, .cpu_count = 1},
	    1);

	(void)state;
	advance(model, 1000 * MS, 900 * MS, 500 * MS);
	assert_int_equal(model_energy(model, 0).busy_uj, 5000000);
	assert_int_equal(model_energy(model, 0).true_uj, 5000000);
	model_destroy(model);
}

static void test_power_changes_from_now_on(void **state)
{
	struct model *model = create(
	    (struct model_zone){
		.power = {10000000, 20000000}, .unit_pj = UNIT_PJ, .cpu_first = 0, .cpu_count = 2},
	    MS);

	(void)state;
	advance(model, 300 * MS, 100 * MS, 200 * MS);
	model_set_power(model, 0, (struct model_power){1000000, 2000000});
	advance(model, 700 * MS, 400 * MS, 200 * MS);
	model_set_power(model, 0, (struct model_power){0, 3000000});
	advance(model, 1000 * MS, 400 * MS, 500 * MS);
	/* 10 W * 0.3 s + 1 W * 0.4 s; 20 W * 0.3 s + 2 W * 0.3 s + 3 W * 0.3 s. */
	assert_int_equal(model_energy(model, 0).idle_uj, 3400000);
	assert_int_equal(model_energy(model, 0).busy_uj, 7500000);
	assert_int_equal(model_energy(model, 0).true_uj, 10900000);
	/* At a refresh the counter holds all of it, however often the power changed before. */
	assert_int_equal(model_counter(model, 0).raw_uj,
			 UINT64_C(10900000000000) / UNIT_PJ * 61035 / 1000);
	model_destroy(model);
}

static void test_counter_moves_at_its_refresh_only(void **state)
{
	struct model *model =
	    create((struct model_zone){.power = {1000000000, 0}, .unit_pj = 1000000}, MS);

	(void)state;
	advance(model, MS + MS / 2, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, 1000000);
	assert_int_equal(model_energy(model, 0).true_uj, 1500000);
	assert_true(model_is_fresh(model, 5000 + 2 * MS - 1));
	assert_false(model_is_fresh(model, 5000 + 2 * MS));
	advance(model, 2 * MS - 1, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, 1000000);
	advance(model, 2 * MS + 1, 0, 0);
	assert_int_equal(model_counter(model, 0).raw_uj, 2000000);
	model_destroy(model);
}

static void test_what_goes_back_adds_nothing(void **state)
{
	struct model *model = create(
	    (struct model_zone){
		.power = {1000000, 1000000}, .unit_pj = UNIT_PJ, .cpu_first = 0, .cpu_count = 1},
	    1);

	(void)state;
	advance(model, 100 * MS, 50 * MS, 0);
	advance(model, 90 * MS, 60 * MS, 0);
	assert_int_equal(model_energy(model, 0).true_uj, 150000);
	advance(model, 200 * MS, 40 * MS, 0);
	assert_int_equal(model_energy(model, 0).true_uj, 250000);
	advance(model, 300 * MS, 60 * MS, 0);
	assert_int_equal(model_energy(model, 0).true_uj, 360000);
	model_destroy(model);
}

/* However time is cut, the joules are the same, and a counter never moves back but at a wrap. */
static void test_steps_do_not_matter(void **state)
{
	struct model_zone zone = {.power = {12345678, 87654321},
				  .unit_pj = UNIT_PJ,
				  .start_units = UINT32_MAX - 100000,
				  .cpu_first = 0,
				  .cpu_count = 2};
	struct model *fine = create(zone, MS);
	struct model *coarse = create(zone, MS);
	struct model_counter last = model_counter(fine, 0);
	uint64_t seed = 1;
	uint64_t at[3] = {0, 0, 0};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct model_counter now;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		for (size_t j = 0; j < 3; j++)
			at[j] += (seed >> (20 * j)) & 0xfffff;
		advance(fine, at[0], at[1], at[2]);
		now = model_counter(fine, 0);
		assert_true(now.raw_uj >= last.raw_uj || now.wraps == last.wraps + 1);
		last = now;
	}
	advance(coarse, at[0], at[1], at[2]);
	assert_true(last.wraps > 0);
	assert_int_equal(model_energy(fine, 0).true_uj, model_energy(coarse, 0).true_uj);
	assert_int_equal(model_energy(fine, 0).busy_uj, model_energy(coarse, 0).busy_uj);
	model_destroy(fine);
	model_destroy(coarse);
}

static void test_bad_zones_are_refused(void **state)
{
	struct model_zone zone = {.unit_pj = 1000, .cpu_first = 0, .cpu_count = 2};
	struct model_config config = {
	    .update_ns = 1, .cpu_count = 2, .zone_count = 1, .zones = &zone};
	struct model *model = NULL;

	(void)state;
	assert_int_equal(model_create(&config, &model), 0);
	model_destroy(model);
	zone.cpu_first = 1;
	assert_int_equal(model_create(&config, &model), -EINVAL);
	zone = (struct model_zone){.unit_pj = 999};
	assert_int_equal(model_create(&config, &model), -EINVAL);
	model_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_zero_follows_the_highest_value),
	    cmocka_unit_test(test_counter_prints_as_the_kernel),
	    cmocka_unit_test(test_hardware_unit_is_not_the_kernels),
	    cmocka_unit_test(test_nothing_is_lost_to_rounding),
	    cmocka_unit_test(test_only_the_zones_cpus_count),
	    cmocka_unit_test(test_power_changes_from_now_on),
	    cmocka_unit_test(test_counter_moves_at_its_refresh_only),
	    cmocka_unit_test(test_what_goes_back_adds_nothing),
	    cmocka_unit_test(test_steps_do_not_matter),
	    cmocka_unit_test(test_bad_zones_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
