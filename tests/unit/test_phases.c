/* phases.h and peak.h: runs of readings made by hand. */
#include "guest/peak.h"
#include "guest/phases.h"
#include "tests/unit/check.h"

#include <inttypes.h>
#include <stdio.h>

#define MS CLOCK_NS_PER_MS

/* A reading with a package, its core and a DRAM zone; the machine is the first and the last. */
static struct meter_reading reading_of(uint64_t time_ns, uint64_t energy_uj)
{
	struct meter_reading reading = {.time = {time_ns}, .up = true, .zone_count = 3};
	static const char *const ids[] = {"package-0", "core-0", "dram-0"};

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(reading.zones[i].id, ZONE_ID_SIZE, "%s", ids[i]);
		reading.zones[i].available = true;
		reading.zones[i].energy_uj = energy_uj * (i + 1);
	}
	return reading;
}

static void check_sum(const struct phases *phases, uint64_t energy_uj, uint64_t elapsed_ns)
{
	uint64_t sum_uj = phases_unlisted(phases)->energy_uj;
	uint64_t label_sum_uj = phases_other_labels(phases)->energy_uj;
	uint64_t sum_ns = phases_unlisted(phases)->elapsed_ns;
	uint64_t count = phases_unlisted(phases)->count + phases_count(phases);

	for (size_t i = 0; i < phases_count(phases); i++) {
		sum_uj += phases_get(phases, i)->energy_uj;
		sum_ns += phases_get(phases, i)->elapsed_ns;
	}
	for (size_t i = 0; i < phases_label_count(phases); i++)
		label_sum_uj += phases_label(phases, i)->energy_uj;
	assert_int_equal(sum_uj, energy_uj);
	assert_int_equal(label_sum_uj, energy_uj);
	assert_int_equal(sum_ns, elapsed_ns);
	assert_int_equal(phases_whole(phases)->energy_uj, energy_uj);
	assert_int_equal(phases_whole(phases)->elapsed_ns, elapsed_ns);
	assert_int_equal(phases_whole(phases)->count, count);
}

static void test_sums(void **state)
{
	struct meter_reading reading = reading_of(1000, 5000);
	cleanup_phases struct phases *phases = phases_create(&reading);
	static const char *const labels[] = {"train", "eval", "train", ""};

	(void)state;
	CHECK_POINTER(phases);
	for (uint64_t i = 0; i < 5; i++) {
		if (i > 0)
			phases_cut(phases, labels[i - 1]);
		reading = reading_of(1000 + (i + 1) * 10, 5000 + (i + 1) * (i + 1));
		phases_book(phases, &reading, NULL);
	}
	phases_end(phases);
	/* package and DRAM: four times what the package has. */
	check_sum(phases, UINT64_C(100), 50);
	assert_int_equal(phases_count(phases), 5);
	assert_int_equal(phases_get(phases, 1)->zones_uj[0], 3);
	assert_int_equal(phases_get(phases, 1)->zones_uj[1], 6);
	assert_int_equal(phases_get(phases, 1)->energy_uj, 12);
	assert_int_equal(phases_label_count(phases), 3);
	assert_string_equal(phases_label(phases, 1)->label, "train");
	assert_int_equal(phases_label(phases, 1)->count, 2);
	assert_int_equal(phases_label(phases, 1)->energy_uj, 12 + 28);
	/* The label that is empty is that of before the first. */
	assert_int_equal(phases_label(phases, 0)->count, 2);
}

/* A mark as the first thing of all leaves no empty phase before it. */
static void test_a_mark_at_once(void **state)
{
	struct meter_reading reading = reading_of(1000, 5000);
	cleanup_phases struct phases *phases = phases_create(&reading);

	(void)state;
	CHECK_POINTER(phases);
	phases_book(phases, &reading, NULL);
	phases_cut(phases, "a");
	phases_cut(phases, "b");
	phases_end(phases);
	assert_int_equal(phases_count(phases), 2);
	assert_string_equal(phases_get(phases, 0)->label, "a");
	check_sum(phases, 0, 0);
}

/* More phases and labels than there is room for: none of the energy is lost. */
static void test_more_than_fits(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_phases struct phases *phases = phases_create(&reading);
	const uint64_t count = PHASES_MAX + 10;

	(void)state;
	CHECK_POINTER(phases);
	for (uint64_t i = 1; i <= count; i++) {
		char label[MARK_SIZE];

		reading = reading_of(i * MS, i * 3);
		phases_book(phases, &reading, NULL);
		(void)snprintf(label, sizeof(label), "%" PRIu64, i % (PHASES_LABEL_MAX + 5));
		phases_cut(phases, label);
	}
	phases_end(phases);
	assert_int_equal(phases_count(phases), PHASES_MAX);
	assert_int_equal(phases_label_count(phases), PHASES_LABEL_MAX);
	assert_int_equal(phases_unlisted(phases)->count, 11);
	assert_true(phases_other_labels(phases)->count > 0);
	check_sum(phases, count * 12, count * MS);
}

/* A zone that cannot be read for a while: its energy comes with the next reading. */
static void test_a_zone_that_is_away(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_phases struct phases *phases = phases_create(&reading);

	(void)state;
	CHECK_POINTER(phases);
	reading.time.ns = MS;
	reading.zones[0].available = false;
	phases_book(phases, &reading, NULL);
	phases_cut(phases, "next");
	reading = reading_of(2 * MS, 100);
	phases_book(phases, &reading, NULL);
	phases_end(phases);
	check_sum(phases, 400, 2 * MS);
}

static void test_grams_by_phase(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_phases struct phases *phases = phases_create(&reading);
	struct carbon_figure figure = {.known = true, .intensity_mg_per_kwh = 360000};

	(void)state;
	CHECK_POINTER(phases);
	reading = reading_of(MS, 2500000);
	phases_book(phases, &reading, &figure);
	phases_give(phases, 0, (const uint64_t[ZONE_MAX]){2500000, 0, 2500000});
	phases_cut(phases, "dirty");
	figure.intensity_mg_per_kwh = 720000;
	reading = reading_of(2 * MS, 5000000);
	phases_book(phases, &reading, &figure);
	phases_cut(phases, "unknown");
	/* What is told when the phase has ended is in all its sums. */
	phases_give(phases, 1, (const uint64_t[ZONE_MAX]){2500000});
	figure.known = false;
	reading = reading_of(3 * MS, 7500000);
	phases_book(phases, &reading, &figure);
	phases_give(phases, 2, (const uint64_t[ZONE_MAX]){1000000});
	phases_end(phases);
	assert_int_equal(phases_get(phases, 0)->command_co2e.co2e_ug, 500);
	assert_int_equal(phases_get(phases, 1)->command_co2e.co2e_ug, 500);
	assert_int_equal(phases_label(phases, 1)->command_co2e.co2e_ug, 500);
	assert_int_equal(phases_whole(phases)->command_co2e.co2e_ug, 1000);
	assert_int_equal(phases_whole(phases)->command_co2e.energy_uj, 7500000);
	assert_int_equal(phases_whole(phases)->command_co2e.unknown_uj, 1000000);
	assert_int_equal(phases_get(phases, 0)->co2e.co2e_ug, 1000);
	assert_int_equal(phases_get(phases, 1)->co2e.co2e_ug, 2000);
	assert_int_equal(phases_get(phases, 2)->co2e.co2e_ug, 0);
	assert_int_equal(phases_get(phases, 2)->co2e.unknown_uj, 10000000);
	assert_int_equal(phases_whole(phases)->co2e.co2e_ug, 3000);
	assert_int_equal(phases_whole(phases)->co2e.energy_uj, 20000000);
}

/* 10 W of the package with 50 ms at 110 W in it: over 100 ms that is 60 W at most. */
static void test_peak_over_a_window(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_peak struct peak *peak = peak_create(100 * MS, &reading);
	uint64_t energy_uj = 0, power_uw;

	(void)state;
	CHECK_POINTER(peak);
	for (uint64_t i = 1; i <= 100; i++) {
		assert_int_equal(peak_of_total(peak, &power_uw), i > 10);
		energy_uj += i > 40 && i <= 45 ? 1100000 : 100000;
		reading = reading_of(i * 10 * MS, energy_uj);
		peak_take(peak, &reading);
	}
	assert_true(peak_of_zone(peak, 0, &power_uw));
	assert_int_equal(power_uw, 60000000);
	assert_true(peak_of_zone(peak, 2, &power_uw));
	assert_int_equal(power_uw, 180000000);
	assert_true(peak_of_total(peak, &power_uw));
	assert_int_equal(power_uw, 240000000);
	assert_false(peak_of_zone(peak, 3, &power_uw));
}

/*
 * What a counter that is refreshed every millisecond adds to a window is a hundredth: readings that
 * see one refresh more or less do not make a peak.
 */
static void test_peak_of_a_counter_with_steps(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_peak struct peak *peak = peak_create(PEAK_WINDOW_NS_MIN, &reading);
	uint64_t power_uw, random = 7;

	(void)state;
	CHECK_POINTER(peak);
	for (uint64_t time_ns = 0; time_ns < 2000 * MS;) {
		time_ns += 9 * MS + check_random_below(&random, 2 * MS);
		reading = reading_of(time_ns, time_ns / MS * 10000);
		peak_take(peak, &reading);
	}
	assert_true(peak_of_zone(peak, 0, &power_uw));
	assert_in_range(power_uw, 10000000, 10100000);
}

/* Readings that lack a zone or that took long are left out; more than fit are thinned out. */
static void test_peak_of_bad_readings(void **state)
{
	struct meter_reading reading = reading_of(0, 0);
	cleanup_peak struct peak *peak = peak_create(100 * MS, &reading);
	uint64_t power_uw;

	(void)state;
	CHECK_POINTER(peak);
	reading = reading_of(100 * MS, 1000000);
	reading.zones[0].available = false;
	peak_take(peak, &reading);
	reading = reading_of(110 * MS, 1000000);
	reading.read_ns = 6 * MS;
	peak_take(peak, &reading);
	assert_false(peak_of_total(peak, &power_uw));
	for (uint64_t i = 1; i <= 10000; i++) {
		reading = reading_of(120 * MS + i * 20000, 1000000 + i * 200);
		peak_take(peak, &reading);
	}
	assert_true(peak_of_zone(peak, 0, &power_uw));
	assert_in_range(power_uw, 9000000, 10100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_a_mark_at_once),
	    cmocka_unit_test(test_more_than_fits),
	    cmocka_unit_test(test_a_zone_that_is_away),
	    cmocka_unit_test(test_grams_by_phase),
	    cmocka_unit_test(test_peak_over_a_window),
	    cmocka_unit_test(test_peak_of_a_counter_with_steps),
	    cmocka_unit_test(test_peak_of_bad_readings),
	};

	return cmocka_run_group_tests_name("phases", tests, NULL, NULL);
}
