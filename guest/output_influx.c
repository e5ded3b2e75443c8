/*
 * InfluxDB's line protocol as 1.x reads it (models/points.go of InfluxDB 1.6: scanKey,
 * scanTagsValue, unescapeTag): MEASUREMENT,TAG=VALUE,... FIELD=VALUE,... TIME.
 *
 * In a tag's value a backslash stands before a comma, an equals sign and a space. A backslash
 * itself cannot be escaped: it stands for itself, unless one of these follows, so that one before
 * them or at the end would take away what they mean. Such a backslash becomes '?'. A tag without a
 * value is an error there and is left out. Tags are in the order of their names, which spares the
 * server the sorting.
 *
 * powerstat_package has the names of Telegraf's intel_powerstat (telegraf v1.21 and later,
 * plugins/inputs/intel_powerstat/README.md), so that dashboards made for it go on.
 */
#include "guest/output_format.h"
#include "guest/output_influx_internal.h"

#include <inttypes.h>
#include <string.h>

struct output_influx_tick {
	FILE *stream;
	const struct output_tick *tick;
	bool field; /* this line has one already */
};

void output_influx_put_tag(FILE *stream, const char *name, const char *value)
{
	char character[OUTPUT_CHARACTER_SIZE];

	if (*value == '\0')
		return;
	(void)fprintf(stream, ",%s=", name);
	while (output_next_character(&value, character) > 0) {
		if (strcmp(character, "\\") == 0 && (*value == '\0' || strchr(", =\\", *value)))
			(void)fputc('?', stream);
		else
			(void)fprintf(stream, "%s%s", strpbrk(character, ", =") ? "\\" : "",
				      character);
	}
}

/* A string field: in quotes, where a quote and a backslash have one in front. */
void output_influx_put_string(FILE *stream, const char *value)
{
	char character[OUTPUT_CHARACTER_SIZE];

	(void)fputc('"', stream);
	while (output_next_character(&value, character) > 0)
		(void)fprintf(stream, "%s%s", strpbrk(character, "\"\\") ? "\\" : "", character);
	(void)fputc('"', stream);
}

static void output_influx_begin(struct output_influx_tick *influx, const char *measurement)
{
	influx->field = false;
	(void)fputs(measurement, influx->stream);
}

static void output_influx_field(struct output_influx_tick *influx, const char *name)
{
	(void)fprintf(influx->stream, "%c%s=", influx->field ? ',' : ' ', name);
	influx->field = true;
}

/* Always with a point: a field keeps the type of its first value, and this is a float. */
static void output_influx_number(struct output_influx_tick *influx, const char *name,
				 struct output_value value, unsigned int places)
{
	if (!value.known)
		return;
	output_influx_field(influx, name);
	output_put_decimal(influx->stream, value.value, places);
	if (places == 0)
		(void)fputc('i', influx->stream);
}

static void output_influx_bool(struct output_influx_tick *influx, const char *name, bool value)
{
	output_influx_field(influx, name);
	(void)fputc(value ? 't' : 'f', influx->stream);
}

/* How far the figures of this line are to be believed, and when they were true. */
static void output_influx_end(struct output_influx_tick *influx)
{
	const struct meter_reading *reading = &influx->tick->view->reading;
	const struct output_value estimate = output_estimate(reading);

	output_influx_bool(influx, "up", reading->up);
	output_influx_number(influx, "age_seconds", output_age_ms(reading), 3);
	if (estimate.known)
		output_influx_bool(influx, "estimate", estimate.value != 0);
	if (*output_view_name(reading) != '\0') {
		output_influx_field(influx, "view");
		output_influx_put_string(influx->stream, output_view_name(reading));
	}
	(void)fprintf(influx->stream, " %" PRIu64 "\n", influx->tick->view->wall_ns);
}

/* "package-1" and "package-1-die-0" are of package 1, "dram-1" too: the digits, or 0 of them. */
static size_t output_influx_package(const char *zone, const char *kind, const char **ret_digits)
{
	size_t length = strlen(kind);

	if (strncmp(zone, kind, length) != 0 || zone[length] != '-')
		return 0;
	*ret_digits = zone + length + 1;
	return strspn(*ret_digits, "0123456789");
}

/* The power of that kind of zone in that package: of all its dies. */
static struct output_value output_influx_power(const struct meter_reading *reading,
					       const char *kind, const char *package)
{
	struct output_value power = {.known = false};

	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		const char *digits;
		size_t length = output_influx_package(zone->id, kind, &digits);

		if (length == 0 || length != strlen(package) ||
		    strncmp(digits, package, length) != 0)
			continue;
		/* Half of a package is not what it draws. */
		if (!zone->has_power)
			return (struct output_value){.known = false};
		power.known = true;
		power.value += zone->power_uw;
	}
	return power;
}

static void output_influx_powerstat(struct output_influx_tick *influx, const char *package)
{
	const struct meter_reading *reading = &influx->tick->view->reading;
	struct output_value power = output_influx_power(reading, "package", package);
	struct output_value dram = output_influx_power(reading, "dram", package);

	if (!power.known && !dram.known)
		return;
	output_influx_begin(influx, "powerstat_package");
	output_influx_put_tag(influx->stream, "host", influx->tick->host);
	output_influx_put_tag(influx->stream, "package_id", package);
	output_influx_number(influx, "current_power_consumption_watts", power, 6);
	output_influx_number(influx, "current_dram_power_consumption_watts", dram, 6);
	output_influx_end(influx);
}

/* Each package once, whether it has dies or not. */
static void output_influx_packages(struct output_influx_tick *influx)
{
	const struct meter_reading *reading = &influx->tick->view->reading;
	char last[ZONE_ID_SIZE] = "";

	for (size_t i = 0; i < reading->zone_count; i++) {
		char package[ZONE_ID_SIZE];
		const char *digits;
		size_t length = output_influx_package(reading->zones[i].id, "package", &digits);

		if (length == 0)
			continue;
		(void)snprintf(package, sizeof(package), "%.*s", (int)length, digits);
		if (strcmp(package, last) == 0)
			continue;
		memcpy(last, package, sizeof(last));
		output_influx_powerstat(influx, package);
	}
}

/* The tags of a row, named as the labels of the metrics are. */
static const struct output_influx_tags {
	const char *kind;
	const char *name;   /* NULL: none */
	const char *detail; /* the same */
} output_influx_tags[] = {
    {"unit", "unit", "slice"},
    {"user", "user", NULL},
    {"process", "comm", "unit"},
    {"slice", "slice", NULL},
    {"container", "container", "engine"},
    {"pod", "pod", NULL},
    {"job", "job", "scheduler"},
};

static void output_influx_put_names(FILE *stream, const struct output_row *row)
{
	for (size_t i = 0; i < sizeof(output_influx_tags) / sizeof(output_influx_tags[0]); i++) {
		const struct output_influx_tags *tags = &output_influx_tags[i];

		if (strcmp(tags->kind, row->kind) != 0)
			continue;
		output_influx_put_tag(stream, tags->name, row->name);
		if (tags->detail != NULL)
			output_influx_put_tag(stream, tags->detail, row->detail);
	}
}

static void output_influx_row(void *context, const struct output_row *row)
{
	struct output_influx_tick *influx = context;
	char pid[16] = "";

	/* The state of the machine has a line of its own. */
	if (strcmp(row->kind, "machine") == 0)
		return;
	if (row->pid > 0)
		(void)snprintf(pid, sizeof(pid), "%" PRId32, row->pid);
	(void)fputs("wattport_", influx->stream);
	output_influx_begin(influx, row->kind);
	output_influx_put_tag(influx->stream, "host", influx->tick->host);
	output_influx_put_names(influx->stream, row);
	output_influx_put_tag(influx->stream, "pid", pid);
	output_influx_put_tag(influx->stream, "zone", row->zone);
	output_influx_number(influx, "energy_joules", row->energy_uj, 6);
	output_influx_number(influx, "power_watts", row->power_uw, 6);
	output_influx_number(influx, "cpu_seconds", row->cpu_ns, 9);
	output_influx_number(influx, "processes", row->members, 0);
	output_influx_end(influx);
}

static void output_influx_write(FILE *stream, const struct output_tick *tick)
{
	struct output_influx_tick influx = {.stream = stream, .tick = tick};
	const struct meter_reading *reading = &tick->view->reading;

	output_influx_begin(&influx, "wattport_machine");
	output_influx_put_tag(stream, "host", tick->host);
	if (*output_source_name(reading) != '\0') {
		output_influx_field(&influx, "source");
		output_influx_put_string(stream, output_source_name(reading));
	}
	output_influx_end(&influx);
	if (reading->up)
		output_influx_packages(&influx);
	output_rows(tick->view, output_influx_row, &influx);
}

const struct output_format output_influx = {.name = "influx", .write = output_influx_write};
