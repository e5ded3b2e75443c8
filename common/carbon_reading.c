#include "common/carbon_reading.h"
#include "common/carbon.h"
#include "common/carbon_date.h"
#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#define READING_ALLOWED                                                                            \
	"known are a number (grams of CO2e per kWh), RTE's eCO2mix (JSON with taux_co2, or the "   \
	"tab-separated file with \"Taux de Co2\") and ElectricityMaps (JSON with carbonIntensity)"

/* More columns than eCO2mix has had so far (some 40). */
#define READING_COLUMN_MAX 128

static void reading_free_json(json_t *const *json)
{
	json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(reading_free_json)))

/* The records so far: the best of them, and what kept others from being it. */
struct reading_search {
	struct wall_time now;
	bool found;
	bool out_of_range;
	struct carbon_reading best;
};

static void reading_offer(struct reading_search *search, double g_per_kwh, struct wall_time time,
			  const char *source)
{
	struct carbon_reading *best = &search->best;

	if (time.ns > search->now.ns + CARBON_READING_AHEAD_NS ||
	    (search->found && time.ns <= best->time.ns))
		return;
	if (!(g_per_kwh >= 0 && g_per_kwh * 1000 <= (double)CARBON_MG_PER_KWH_MAX)) {
		search->out_of_range = true;
		return;
	}
	*best = (struct carbon_reading){.intensity_mg_per_kwh = (uint64_t)(g_per_kwh * 1000 + 0.5),
					.has_time = true,
					.time = time};
	(void)snprintf(best->source, sizeof(best->source), "%s", source);
	search->found = true;
}

/* Digits with a fraction at most, as far as they go; no sign, no exponent, whatever the locale. */
static int reading_parse_number(const char **cursor, double *ret_value)
{
	double value = 0, scale = 1;
	const char *c = *cursor;

	if (*c < '0' || *c > '9')
		return -EINVAL;
	for (; *c >= '0' && *c <= '9'; c++)
		value = value * 10 + (*c - '0');
	if (*c == '.' && c[1] >= '0' && c[1] <= '9')
		for (c++; *c >= '0' && *c <= '9'; c++)
			value += (*c - '0') * (scale /= 10);
	*cursor = c;
	*ret_value = value;
	return 0;
}

/* A zone goes into a source's name: only what zones are made of. */
static void reading_electricity_maps(struct reading_search *search, const json_t *record,
				     const char *zone)
{
	const json_t *intensity = json_object_get(record, "carbonIntensity");
	const char *time_text = json_string_value(json_object_get(record, "datetime"));
	const char *factors = json_string_value(json_object_get(record, "emissionFactorType"));
	const char *own_zone = json_string_value(json_object_get(record, "zone"));
	bool estimated = json_is_true(json_object_get(record, "isEstimated"));
	char source[CARBON_READING_SOURCE_SIZE];
	struct wall_time time;
	int zone_length;

	if (!json_is_number(intensity) || time_text == NULL ||
	    carbon_date_parse(time_text, &time) < 0)
		return;
	if (own_zone == NULL)
		own_zone = zone != NULL ? zone : "";
	zone_length = (int)strspn(own_zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	(void)snprintf(source, sizeof(source), "ElectricityMaps%s%.*s%s%s",
		       zone_length > 0 ? " " : "", zone_length > 24 ? 24 : zone_length, own_zone,
		       factors != NULL && strcmp(factors, "direct") == 0 ? ", direct emissions"
									 : ", lifecycle",
		       estimated ? ", estimated" : "");
	reading_offer(search, json_number_value(intensity), time, source);
}

static void reading_eco2mix(struct reading_search *search, const json_t *record)
{
	const json_t *intensity = json_object_get(record, "taux_co2");
	const char *time_text = json_string_value(json_object_get(record, "date_heure"));
	struct wall_time time;

	if (json_is_number(intensity) && time_text != NULL &&
	    carbon_date_parse(time_text, &time) == 0)
		reading_offer(search, json_number_value(intensity), time,
			      "RTE eCO2mix, direct emissions");
}

/* One object that may be a record, or have its record in `fields` (the older interface). */
static bool reading_record(struct reading_search *search, const json_t *object, const char *zone)
{
	const json_t *fields = json_object_get(object, "fields");

	if (fields != NULL)
		object = fields;
	if (json_object_get(object, "carbonIntensity") != NULL)
		reading_electricity_maps(search, object, zone);
	else if (json_object_get(object, "taux_co2") != NULL)
		reading_eco2mix(search, object);
	else
		return false;
	return true;
}

/* A list of records at the top or in one of the members in which they come. */
static bool reading_records(struct reading_search *search, const json_t *json)
{
	static const char *const lists[] = {"history", "data", "results", "records"};
	const char *zone = json_string_value(json_object_get(json, "zone"));
	bool known = reading_record(search, json, zone);

	for (size_t i = 0; i < json_array_size(json); i++)
		known = reading_record(search, json_array_get(json, i), NULL) || known;
	for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
		const json_t *array = json_object_get(json, lists[list]);

		for (size_t i = 0; i < json_array_size(array); i++)
			known = reading_record(search, json_array_get(array, i), zone) || known;
	}
	return known;
}

static int reading_json(struct reading_search *search, const char *text, size_t length,
			struct diag *diag)
{
	json_error_t error;
	cleanup_json json_t *json = json_loadb(text, length, 0, &error);

	if (json == NULL)
		return diag_error(diag, -EINVAL, "line %d: this is no JSON: %s", error.line,
				  error.text);
	if (!reading_records(search, json))
		return diag_error(diag, -EINVAL, "there is no carbon intensity in this JSON; %s",
				  READING_ALLOWED);
	return 0;
}

/* One field of a line; *cursor moves behind its tab, or to the end of the line. */
static const char *reading_field(const char **cursor, size_t *ret_length)
{
	const char *field = *cursor;

	*ret_length = strcspn(field, "\t\r\n");
	*cursor = field + *ret_length;
	if (**cursor == '\t')
		(*cursor)++;
	return field;
}

struct reading_columns {
	int date, hour, intensity; /* -1: there is none */
};

static bool reading_is(const char *field, size_t length, const char *name)
{
	return length == strlen(name) && strncasecmp(field, name, length) == 0;
}

static bool reading_header(const char *line, struct reading_columns *ret_columns)
{
	struct reading_columns columns = {-1, -1, -1};

	for (int i = 0; i < READING_COLUMN_MAX && *line != '\0' && *line != '\n'; i++) {
		size_t length;
		const char *field = reading_field(&line, &length);

		if (reading_is(field, length, "Date"))
			columns.date = i;
		else if (reading_is(field, length, "Heures") || reading_is(field, length, "Heure"))
			columns.hour = i;
		else if (reading_is(field, length, "Taux de Co2"))
			columns.intensity = i;
		if (*line == '\r')
			line++;
	}
	*ret_columns = columns;
	return columns.date >= 0 && columns.hour >= 0 && columns.intensity >= 0;
}

/* Lines of hours to come have no intensity yet, or "ND". */
static void reading_row(struct reading_search *search, const char *line,
			const struct reading_columns *columns)
{
	const char *day = NULL, *hour = NULL;
	bool has_intensity = false;
	struct wall_time time;
	double intensity = 0;

	for (int i = 0; i < READING_COLUMN_MAX && *line != '\0' && *line != '\n'; i++) {
		size_t length;
		const char *field = reading_field(&line, &length);
		const char *end = field;

		if (i == columns->date)
			day = field;
		else if (i == columns->hour)
			hour = field;
		else if (i == columns->intensity)
			has_intensity =
			    reading_parse_number(&end, &intensity) == 0 && end == field + length;
		if (*line == '\r')
			break;
	}
	if (!has_intensity || day == NULL || hour == NULL ||
	    carbon_date_parse_french(day, hour, &time) < 0)
		return;
	reading_offer(search, intensity, time, "RTE eCO2mix, direct emissions");
}

static int reading_tabs(struct reading_search *search, const char *text, struct diag *diag)
{
	struct reading_columns columns = {-1, -1, -1};
	bool header = false;

	for (const char *line = text; line != NULL && *line != '\0';) {
		const char *end = strchr(line, '\n');

		if (!header)
			header = reading_header(line, &columns);
		else
			reading_row(search, line, &columns);
		line = end != NULL ? end + 1 : NULL;
	}
	if (!header)
		return diag_error(diag, -EINVAL, "the format is not known; %s", READING_ALLOWED);
	return 0;
}

/* -EINVAL: not one number, alone. */
static int reading_plain(const char *text, struct carbon_reading *ret_reading, struct diag *diag)
{
	struct carbon_reading reading = {.has_time = false, .source = "a plain number"};
	double intensity;

	if (reading_parse_number(&text, &intensity) < 0 || text[strspn(text, " \t\r\n")] != '\0')
		return -EINVAL;
	if (intensity * 1000 > (double)CARBON_MG_PER_KWH_MAX)
		return diag_error(diag, -ERANGE, "more than %u g of CO2e per kWh cannot be",
				  (unsigned int)(CARBON_MG_PER_KWH_MAX / 1000));
	reading.intensity_mg_per_kwh = (uint64_t)(intensity * 1000 + 0.5);
	*ret_reading = reading;
	return 0;
}

int carbon_reading_parse(const char *text, size_t length, struct wall_time now,
			 struct carbon_reading *ret_reading, struct diag *diag)
{
	struct reading_search search = {.now = now, .found = false};
	const char *end = text + length;
	int status;

	if (memchr(text, '\0', length) != NULL)
		return diag_error(diag, -EINVAL, "this is no text: there is a NUL in it");
	if (strncmp(text, "\357\273\277", 3) == 0)
		text += 3;
	text += strspn(text, " \r\n");
	if (*text == '\0')
		return diag_error(diag, -ENODATA, "there is nothing in it");
	status = reading_plain(text, ret_reading, diag);
	if (status != -EINVAL)
		return status;
	if (*text == '{' || *text == '[')
		status = reading_json(&search, text, (size_t)(end - text), diag);
	else
		status = reading_tabs(&search, text, diag);
	if (status < 0)
		return status;
	if (!search.found && search.out_of_range)
		return diag_error(diag, -ERANGE, "no figure is between 0 and %u g of CO2e per kWh",
				  (unsigned int)(CARBON_MG_PER_KWH_MAX / 1000));
	if (!search.found)
		return diag_error(diag, -ENODATA,
				  "no record has both a carbon intensity and a time up to now");
	*ret_reading = search.best;
	return 0;
}
