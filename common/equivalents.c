#include "common/equivalents.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>

#define EQUIVALENT_ALLOWED                                                                         \
	"an entry is NAME = AMOUNT : SENTENCE, like \"led-bulb = 9 W : lights a 9 W LED bulb for " \
	"{}\""

struct equivalents {
	size_t count;
	struct equivalent entries[EQUIVALENTS_MAX];
};

/* What packaging/equivalents.conf says, for machines without the file; a test compares them. */
static const char equivalents_built_in[] =
    "led-bulb = 9 W : lights a 9 W LED bulb for {}\n"
    "phone = 10 Wh : charges a phone of 10 Wh {}\n"
    "kettle = 335 kJ/l : brings {} of water to the boil\n"
    "e-bike = 0.72 Wh/km : moves an e-bike by {}\n"
    "laptop = 10 W : runs a laptop of 10 W for {}\n"
    "electric-car = 170 Wh/km : drives an electric car by {}\n"
    "washing-machine = 550 Wh : does a load of laundry {}\n"
    "tower = 73.6 kJ : lifts a person to the top of a tower of 100 m {}\n";

static bool equivalents_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks off both ends, in place. */
static char *equivalents_trim(char *text)
{
	size_t length;

	while (equivalents_is_blank(*text))
		text++;
	length = strlen(text);
	while (length > 0 && equivalents_is_blank(text[length - 1]))
		text[--length] = '\0';
	return text;
}

static int equivalents_parse_name(char *text, struct equivalent *entry, struct diag *diag)
{
	size_t length = strlen(text);

	if (length == 0 || length >= sizeof(entry->name) ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return diag_error(diag, -EINVAL,
				  "a name has 1 to %d of a-z, 0-9 and -; " EQUIVALENT_ALLOWED,
				  EQUIVALENT_NAME_SIZE - 1);
	memcpy(entry->name, text, length + 1);
	return 0;
}

/* Takes the blanks out, in place: a number may stand apart from its unit. */
static void equivalents_squeeze(char *text)
{
	char *target = text;

	for (const char *c = text; *c != '\0'; c++)
		if (!equivalents_is_blank(*c))
			*target++ = *c;
	*target = '\0';
}

/* "9W" and "0.72Wh/km". */
static int equivalents_parse_amount(char *text, struct equivalent *entry, struct diag *diag)
{
	char *slash;
	int status;

	equivalents_squeeze(text);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	entry->kind = EQUIVALENT_TIMES;
	status = parse_energy_uj(text, &entry->amount_uj);
	if (slash != NULL && strcmp(slash + 1, "km") == 0) {
		entry->kind = EQUIVALENT_DISTANCE;
	} else if (slash != NULL && strcmp(slash + 1, "l") == 0) {
		entry->kind = EQUIVALENT_VOLUME;
	} else if (slash != NULL) {
		status = -EINVAL;
	} else if (status < 0) {
		/* Microwatts are microjoules a second. */
		entry->kind = EQUIVALENT_TIME;
		status = parse_power_uw(text, &entry->amount_uj);
	}
	if (status < 0 || entry->amount_uj == 0)
		return diag_error(diag, -EINVAL,
				  "an amount is a power (uW, mW, W, kW), an energy (uJ, mJ, J, kJ, "
				  "MJ, Wh, kWh), or an energy per km or l, above 0: \"9 W\", "
				  "\"0.72 Wh/km\"");
	return 0;
}

static int equivalents_parse_sentence(char *text, struct equivalent *entry, struct diag *diag)
{
	const char *place = strstr(text, "{}");
	size_t length = strlen(text);

	if (length >= sizeof(entry->sentence) || place == NULL || strstr(place + 2, "{}") != NULL)
		return diag_error(diag, -EINVAL,
				  "a sentence has at most %d bytes, and {} once, where the figure "
				  "goes",
				  EQUIVALENT_SENTENCE_SIZE - 1);
	for (const char *c = text; *c != '\0'; c += utf8_length(c))
		if (utf8_length(c) == 0 || (unsigned char)*c < 0x20 || *c == 0x7f)
			return diag_error(diag, -EINVAL,
					  "a sentence is UTF-8 without control characters");
	memcpy(entry->sentence, text, length + 1);
	return 0;
}

static int equivalents_add(struct equivalents *table, char *line, struct diag *diag)
{
	struct equivalent entry = {.kind = EQUIVALENT_TIME};
	char *equals = strchr(line, '=');
	char *colon = equals != NULL ? strchr(equals, ':') : NULL;
	int status;

	if (colon == NULL)
		return diag_error(diag, -EINVAL, EQUIVALENT_ALLOWED);
	*equals = '\0';
	*colon = '\0';
	status = equivalents_parse_name(equivalents_trim(line), &entry, diag);
	if (status == 0)
		status = equivalents_parse_amount(equivalents_trim(equals + 1), &entry, diag);
	if (status == 0)
		status = equivalents_parse_sentence(equivalents_trim(colon + 1), &entry, diag);
	if (status < 0)
		return status;
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->entries[i].name, entry.name) == 0)
			return diag_error(diag, -EEXIST, "there is a %s already", entry.name);
	if (table->count == EQUIVALENTS_MAX)
		return diag_error(diag, -E2BIG, "more than %d entries", EQUIVALENTS_MAX);
	table->entries[table->count++] = entry;
	return 0;
}

int equivalents_parse(const char *name, const char *text, struct equivalents **ret_table,
		      struct diag *diag)
{
	cleanup_equivalents struct equivalents *table = calloc(1, sizeof(*table));
	cleanup_free char *copy = strdup(text);
	char *line = copy;

	if (table == NULL || copy == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	for (int number = 1; line != NULL; number++) {
		char *next = strchr(line, '\n'), *entry;
		int status = 0;

		if (next != NULL)
			*next++ = '\0';
		entry = equivalents_trim(line);
		if (*entry != '\0' && *entry != '#' && *entry != ';')
			status = equivalents_add(table, entry, diag);
		if (status < 0) {
			diag_prefix(diag, "%s:%d", name, number);
			return status;
		}
		line = next;
	}
	if (table->count == 0)
		return diag_error(diag, -ENODATA, "%s:1: there is no entry; " EQUIVALENT_ALLOWED,
				  name);
	*ret_table = TAKE_PTR(table);
	return 0;
}

int equivalents_load(const char *path, struct equivalents **ret_table, struct diag *diag)
{
	cleanup_free char *text = malloc(EQUIVALENTS_FILE_SIZE_MAX);
	size_t length = 0;
	int status;

	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = file_read_at(AT_FDCWD, path, text, EQUIVALENTS_FILE_SIZE_MAX, &length);
	if (status == -ENOENT)
		return equivalents_parse("built in", equivalents_built_in, ret_table, diag);
	if (status < 0)
		return diag_error(diag, status, "cannot read the equivalents in %s: %s", path,
				  strerror(-status));
	if (memchr(text, '\0', length) != NULL)
		return diag_error(diag, -EINVAL, "%s:1: this is no text: there is a NUL in it",
				  path);
	return equivalents_parse(path, text, ret_table, diag);
}

void equivalents_destroy(struct equivalents *table)
{
	free(table);
}

size_t equivalents_count(const struct equivalents *table)
{
	return table->count;
}

const struct equivalent *equivalents_get(const struct equivalents *table, size_t index)
{
	assert(index < table->count);
	return &table->entries[index];
}

#define EQUIVALENTS_DECIMALS_MAX 6

/* Three digits that mean something: "0.0123", "1.23", "12.3", "123"; without zeros behind them. */
static void equivalents_number(double value, char *text, size_t size)
{
	double scaled = value;
	int decimals = 0;
	size_t length;

	while (scaled < 99.5 && decimals < EQUIVALENTS_DECIMALS_MAX) {
		scaled *= 10;
		decimals++;
	}
	if (value > 0 && scaled < 0.5) {
		(void)snprintf(text, size, "less than 0.000001");
		return;
	}
	length = (size_t)snprintf(text, size, "%.*f", decimals, value);
	assert(length < size);
	while (decimals > 0 && text[length - 1] == '0') {
		text[--length] = '\0';
		decimals--;
	}
	if (text[length - 1] == '.')
		text[length - 1] = '\0';
}

/* The two largest units that have something to say. */
static void equivalents_time(double seconds, char *text, size_t size)
{
	static const struct {
		double seconds;
		const char *name, *part;
		double part_seconds;
	} units[] = {{365 * 86400, "y", "d", 86400},
		     {86400, "d", "h", 3600},
		     {3600, "h", "min", 60},
		     {60, "min", "s", 1}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double parts = (double)(uint64_t)(seconds / units[i].part_seconds + 0.5);
		double whole = (double)(uint64_t)(parts * units[i].part_seconds / units[i].seconds);
		double rest =
		    (double)(uint64_t)(parts - whole * units[i].seconds / units[i].part_seconds);

		if (whole < 1)
			continue;
		if (rest < 1)
			(void)snprintf(text, size, "%.0f %s", whole, units[i].name);
		else
			(void)snprintf(text, size, "%.0f %s %.0f %s", whole, units[i].name, rest,
				       units[i].part);
		return;
	}
	equivalents_number(seconds < 1 ? seconds * 1000 : seconds, text, size);
	(void)strncat(text, seconds < 1 ? " ms" : " s", size - strlen(text) - 1);
}

static void equivalents_figure(enum equivalent_kind kind, double figure, char *text, size_t size)
{
	const char *unit = "";

	switch (kind) {
	case EQUIVALENT_TIME:
		equivalents_time(figure, text, size);
		return;
	case EQUIVALENT_TIMES:
		equivalents_number(figure, text, size);
		unit = strcmp(text, "1") == 0 ? " time" : " times";
		break;
	case EQUIVALENT_DISTANCE:
		unit = figure < 1 ? " m" : " km";
		equivalents_number(figure < 1 ? figure * 1000 : figure, text, size);
		break;
	case EQUIVALENT_VOLUME:
		unit = figure < 1 ? " ml" : " l";
		equivalents_number(figure < 1 ? figure * 1000 : figure, text, size);
		break;
	}
	(void)strncat(text, unit, size - strlen(text) - 1);
}

const char *equivalent_text(const struct equivalent *equivalent, uint64_t energy_uj,
			    char text[static EQUIVALENT_TEXT_SIZE])
{
	const char *place = strstr(equivalent->sentence, "{}");
	char figure[64];

	assert(place != NULL);
	equivalents_figure(equivalent->kind, (double)energy_uj / (double)equivalent->amount_uj,
			   figure, sizeof(figure));
	(void)snprintf(text, EQUIVALENT_TEXT_SIZE, "%.*s%s%s", (int)(place - equivalent->sentence),
		       equivalent->sentence, figure, place + 2);
	return text;
}

/* By which factor the figure is off what a person can picture; 1 where it is not. */
static double equivalents_strangeness(const struct equivalent *entry, uint64_t energy_uj)
{
	static const struct {
		double least, most;
	} easy[] = {
	    [EQUIVALENT_TIME] = {1, 100 * 3600.0}, /* a second to some days */
	    [EQUIVALENT_TIMES] = {0.5, 1000},	   /* half a charge to a thousand */
	    [EQUIVALENT_DISTANCE] = {0.01, 1000},  /* ten metres to a thousand kilometres */
	    [EQUIVALENT_VOLUME] = {0.05, 1000},	   /* half a glass to a cubic metre */
	};
	double figure = (double)energy_uj / (double)entry->amount_uj;

	if (figure < easy[entry->kind].least)
		return figure > 0 ? easy[entry->kind].least / figure : 1e300;
	return figure > easy[entry->kind].most ? figure / easy[entry->kind].most : 1;
}

const struct equivalent *equivalents_choose(const struct equivalents *table, uint64_t energy_uj)
{
	const struct equivalent *best = &table->entries[0];
	double best_strangeness = equivalents_strangeness(best, energy_uj);

	for (size_t i = 1; i < table->count && best_strangeness > 1; i++) {
		double strangeness = equivalents_strangeness(&table->entries[i], energy_uj);

		if (strangeness < best_strangeness) {
			best = &table->entries[i];
			best_strangeness = strangeness;
		}
	}
	return best;
}
