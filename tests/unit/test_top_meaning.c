/* top_meaning.h: grams of what came while somebody watched, and never of what nobody knows. */
#include "common/top_meaning.h"
#include "tests/unit/check.h"

#define KWH_UJ UINT64_C(3600000000000)

static struct top_frame frame_of(uint64_t energy_uj)
{
	struct top_frame frame = {.sampled = true, .fresh = true};

	frame.measured.energy_uj = energy_uj;
	return frame;
}

static void test_grams_are_of_what_came(void **state)
{
	const struct carbon_options options = {.spec = "56"};
	struct top_meaning meaning = {.carbon = NULL};
	struct diag diag = DIAG_INIT;
	struct top_frame frame = frame_of(1000 * KWH_UJ);

	(void)state;
	assert_int_equal(carbon_create(&options, clock_real(), &meaning.carbon, &diag), 0);
	top_meaning_tell(&meaning, &frame);
	assert_int_equal(meaning.sum.co2e_ug, 0);
	frame = frame_of(1001 * KWH_UJ);
	top_meaning_tell(&meaning, &frame);
	assert_string_equal(frame.grams, "56.0 g CO2e");
	/* A ledger made anew takes nothing back. */
	frame = frame_of(0);
	top_meaning_tell(&meaning, &frame);
	assert_string_equal(frame.grams, "56.0 g CO2e");
	carbon_destroy(meaning.carbon);
}

static void test_unknown_intensity_has_no_grams(void **state)
{
	const struct carbon_options options = {.spec = "file:/nonexistent/intensity"};
	struct top_meaning meaning = {.carbon = NULL};
	struct diag diag = DIAG_INIT;
	struct top_frame frame = frame_of(1);

	(void)state;
	assert_int_equal(carbon_create(&options, clock_real(), &meaning.carbon, &diag), 0);
	carbon_wait(meaning.carbon);
	top_meaning_tell(&meaning, &frame);
	frame = frame_of(KWH_UJ);
	top_meaning_tell(&meaning, &frame);
	assert_string_equal(frame.grams, "CO2e unknown");
	carbon_destroy(meaning.carbon);
}

static void test_a_thing_of_everyday_life(void **state)
{
	struct equivalents *table = NULL;
	struct top_meaning meaning = {.carbon = NULL};
	struct diag diag = DIAG_INIT;
	struct top_frame frame = frame_of(2 * KWH_UJ);

	(void)state;
	assert_int_equal(
	    equivalents_parse("test", "phone = 10 Wh : charges a phone {}\n", &table, &diag), 0);
	meaning.equivalents = table;
	top_meaning_tell(&meaning, &frame);
	assert_string_equal(frame.likeness, "charges a phone 200 times");
	frame = frame_of(0);
	top_meaning_tell(&meaning, &frame);
	assert_string_equal(frame.likeness, "");
	equivalents_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grams_are_of_what_came),
	    cmocka_unit_test(test_unknown_intensity_has_no_grams),
	    cmocka_unit_test(test_a_thing_of_everyday_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
