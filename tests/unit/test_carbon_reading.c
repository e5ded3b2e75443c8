/* carbon_reading.h: a sample of each format, and what is wrong with others. */
#include "common/carbon_reading.h"
#include "tests/unit/check.h"

/* 2024-05-31 12:10:00 UTC */
#define NOW (UINT64_C(1717157400) * CLOCK_NS_PER_SECOND)

static void check_reading(const char *text, uint64_t intensity_mg, uint64_t time_s,
			  const char *source)
{
	struct carbon_reading reading;
	struct diag diag = DIAG_INIT;

	if (carbon_reading_parse(text, strlen(text), (struct wall_time){NOW}, &reading, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(reading.intensity_mg_per_kwh, intensity_mg);
	assert_int_equal(reading.has_time, time_s != 0);
	assert_int_equal(reading.time.ns, time_s * CLOCK_NS_PER_SECOND);
	assert_string_equal(reading.source, source);
}

static void check_refused(const char *text, int status, const char *said)
{
	struct carbon_reading reading;
	struct diag diag = DIAG_INIT;

	assert_int_equal(
	    carbon_reading_parse(text, strlen(text), (struct wall_time){NOW}, &reading, &diag),
	    status);
	check_contains(diag.text, said);
}

static void test_plain_numbers(void **state)
{
	(void)state;
	check_reading("56", 56000, 0, "a plain number");
	check_reading("56.25\n", 56250, 0, "a plain number");
	check_reading(" 0\r\n", 0, 0, "a plain number");
	check_reading("5000", 5000000, 0, "a plain number");
	check_refused("5000.1", -ERANGE, "5000 g");
	check_refused("-5", -EINVAL, "the format is not known");
	check_refused("5e2", -EINVAL, "known are a number");
	check_refused("56 57", -EINVAL, "eCO2mix");
	check_refused("\n\n", -ENODATA, "nothing");
	check_refused("", -ENODATA, "nothing");
	check_refused("nan", -EINVAL, "ElectricityMaps");
}

static void test_eco2mix_json(void **state)
{
	(void)state;
	/* The present interface: newest first, hours to come have no figure yet. */
	check_reading(
	    "{\"total_count\": 3, \"results\": ["
	    "{\"perimetre\": \"France\", \"nature\": \"Donn\303\251es temps r\303\251el\", "
	    "\"date\": \"2024-05-31\", \"heure\": \"14:15\", "
	    "\"date_heure\": \"2024-05-31T12:15:00+00:00\", \"taux_co2\": null},"
	    "{\"date_heure\": \"2024-05-31T12:00:00+00:00\", \"taux_co2\": 17},"
	    "{\"date_heure\": \"2024-05-31T11:45:00+00:00\", \"taux_co2\": 18}]}",
	    17000, 1717156800, "RTE eCO2mix, direct emissions");
	/* The older one. */
	check_reading("{\"nhits\": 1, \"records\": [{\"datasetid\": \"eco2mix-national-tr\", "
		      "\"fields\": {\"date_heure\": \"2024-05-31T14:00:00+02:00\", "
		      "\"taux_co2\": 21, \"nucleaire\": 29374, \"eolien_offshore\": \"ND\"}}]}",
		      21000, 1717156800, "RTE eCO2mix, direct emissions");
	/* An export, oldest first. */
	check_reading("[{\"date_heure\": \"2024-05-31T11:45:00Z\", \"taux_co2\": 18},"
		      "{\"date_heure\": \"2024-05-31T12:00:00Z\", \"taux_co2\": 19.5}]",
		      19500, 1717156800, "RTE eCO2mix, direct emissions");
	check_refused("{\"results\": [{\"date_heure\": \"2024-05-31T12:00:00Z\", "
		      "\"taux_co2\": null}]}",
		      -ENODATA, "no record");
	check_refused("{\"results\": [{\"date_heure\": \"2024-05-31 12:00\", \"taux_co2\": 18}]}",
		      -ENODATA, "no record");
	/* Of tomorrow. */
	check_refused(
	    "{\"results\": [{\"date_heure\": \"2024-06-01T12:00:00Z\", \"taux_co2\": 1}]}",
	    -ENODATA, "up to now");
	check_refused("{\"results\": [{\"date_heure\": \"2024-05-31T12:00:00Z\", "
		      "\"taux_co2\": -3}]}",
		      -ERANGE, "5000 g");
	check_refused("{\"results\": [{\"date_heure\": \"2024-05-31T12:00:00Z\", "
		      "\"taux_co2\": 1e300}]}",
		      -ERANGE, "5000 g");
}

#define HEADER                                                                                     \
	"P\351rim\350tre\tNature\tDate\tHeures\tConsommation\tTaux de Co2\tEch. physiques\r\n"
#define TIME_ROW(date, hour, intensity)                                                            \
	"France\tDonn\351es temps r\351el\t" date "\t" hour "\t45000\t" intensity "\t-2000\r\n"

static void test_eco2mix_tabs(void **state)
{
	(void)state;
	/* French summer time: 14:00 is 12:00 UTC. */
	check_reading(HEADER TIME_ROW("2024-05-31", "13:45", "18")
			  TIME_ROW("2024-05-31", "14:00", "17") TIME_ROW("2024-05-31", "14:15", ""),
		      17000, 1717156800, "RTE eCO2mix, direct emissions");
	check_reading(HEADER TIME_ROW("31/05/2024", "14:00", "17")
			  TIME_ROW("31/05/2024", "14:05", "ND"),
		      17000, 1717156800, "RTE eCO2mix, direct emissions");
	/* Winter time, and its ends in 2024: 31 March and 27 October. */
	check_reading(HEADER TIME_ROW("2024-01-15", "12:00", "30"), 30000, 1705316400,
		      "RTE eCO2mix, direct emissions");
	check_reading(HEADER TIME_ROW("2024-03-31", "01:30", "30"), 30000, 1711845000,
		      "RTE eCO2mix, direct emissions");
	check_reading(HEADER TIME_ROW("2024-03-31", "03:30", "30"), 30000, 1711848600,
		      "RTE eCO2mix, direct emissions");
	check_reading(HEADER TIME_ROW("2023-10-29", "01:30", "30"), 30000, 1698535800,
		      "RTE eCO2mix, direct emissions");
	check_reading(HEADER TIME_ROW("2023-10-29", "03:30", "30"), 30000, 1698546600,
		      "RTE eCO2mix, direct emissions");
	/* Without its last line's end, and with a column elsewhere. */
	check_reading("Taux de CO2\tHeures\tDate\n44\t14:00\t2024-05-31", 44000, 1717156800,
		      "RTE eCO2mix, direct emissions");
	check_refused(HEADER, -ENODATA, "no record");
	check_refused(HEADER TIME_ROW("2024-02-31", "25:00", "30"), -ENODATA, "no record");
	check_refused(HEADER TIME_ROW("2024-05-31", "14:00", "99999"), -ERANGE, "5000 g");
	check_refused("Date\tHeures\tConsommation\n2024-05-31\t14:00\t5\n", -EINVAL, "Taux de Co2");
}

static void test_electricity_maps(void **state)
{
	(void)state;
	check_reading("{\"zone\":\"FR\",\"carbonIntensity\":58,\"datetime\":"
		      "\"2024-05-31T12:00:00.000Z\",\"updatedAt\":\"2024-05-31T12:05:12.113Z\","
		      "\"emissionFactorType\":\"lifecycle\",\"isEstimated\":true,"
		      "\"estimationMethod\":\"TIME_SLICER_AVERAGE\"}",
		      58000, 1717156800, "ElectricityMaps FR, lifecycle, estimated");
	check_reading("{\"zone\":\"DE\",\"history\":["
		      "{\"zone\":\"DE\",\"carbonIntensity\":302,\"datetime\":"
		      "\"2024-05-31T11:00:00.000Z\",\"emissionFactorType\":\"direct\"},"
		      "{\"zone\":\"DE\",\"carbonIntensity\":311,\"datetime\":"
		      "\"2024-05-31T12:00:00.000Z\",\"emissionFactorType\":\"direct\"}]}",
		      311000, 1717156800, "ElectricityMaps DE, direct emissions");
	check_reading("{\"zone\":\"US-CAL-CISO\",\"data\":[{\"carbonIntensity\":250,\"datetime\":"
		      "\"2024-05-31T12:00:00Z\"}]}",
		      250000, 1717156800, "ElectricityMaps US-CAL-CISO, lifecycle");
	/* A zone may hold anything: it comes to no terminal. */
	check_reading("{\"zone\":\"F\\u001b[2J\",\"carbonIntensity\":58,\"datetime\":"
		      "\"2024-05-31T12:00:00Z\"}",
		      58000, 1717156800, "ElectricityMaps F, lifecycle");
	check_refused("{\"zone\":\"FR\",\"carbonIntensity\":null,\"datetime\":"
		      "\"2024-05-31T12:00:00Z\"}",
		      -ENODATA, "no record");
	check_refused("{\"error\":\"Invalid auth-token\"}", -EINVAL, "no carbon intensity");
	check_refused("{\"zone\":\"FR\",", -EINVAL, "line 1: this is no JSON");
	check_refused("<html>busy</html>", -EINVAL, "the format is not known");
}

static void test_a_nul_is_no_text(void **state)
{
	struct carbon_reading reading;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(carbon_reading_parse("56\0x", 4, (struct wall_time){NOW}, &reading, &diag),
			 -EINVAL);
	check_contains(diag.text, "NUL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_numbers),    cmocka_unit_test(test_eco2mix_json),
	    cmocka_unit_test(test_eco2mix_tabs),     cmocka_unit_test(test_electricity_maps),
	    cmocka_unit_test(test_a_nul_is_no_text),
	};

	return cmocka_run_group_tests_name("carbon_reading", tests, NULL, NULL);
}
