#include "common/config.h"
#include "common/cleanup.h"
#include "common/parse.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>

static const struct config_key *config_find(const struct config_key keys[], size_t count,
					    const char *section, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int config_check_range(const struct config_key *key, uint64_t value)
{
	return value >= key->minimum && value <= key->maximum ? 0 : -ERANGE;
}

static int config_store_choice(const struct config_key *key, const char *value, char *place)
{
	for (uint32_t i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(key->choices[i], value) == 0) {
			memcpy(place, &i, sizeof(i));
			return 0;
		}
	}
	return -EINVAL;
}

static int config_store_bool(const char *value, char *place)
{
	bool flag;
	int status = parse_bool(value, &flag);

	if (status == 0)
		memcpy(place, &flag, sizeof(flag));
	return status;
}

static int config_store_count(const struct config_key *key, const char *value, char *place)
{
	uint32_t count;
	int status = parse_u32(value, &count);

	if (status == 0)
		status = config_check_range(key, count);
	if (status == 0)
		memcpy(place, &count, sizeof(count));
	return status;
}

static int config_store_duration(const struct config_key *key, const char *value, char *place)
{
	uint64_t duration_ns;
	int status = parse_duration_ns(value, &duration_ns);

	if (status == 0)
		status = config_check_range(key, duration_ns);
	if (status == 0)
		memcpy(place, &duration_ns, sizeof(duration_ns));
	return status;
}

static int config_store_power(const struct config_key *key, const char *value, char *place)
{
	struct config_power power;
	int status = 0;

	/* With its padding, which is copied too. */
	memset(&power, 0, sizeof(power));
	if (strcmp(value, "auto") != 0) {
		power.given = true;
		status = parse_power_uw(value, &power.power_uw);
		if (status == 0)
			status = config_check_range(key, power.power_uw);
	}
	if (status == 0)
		memcpy(place, &power, sizeof(power));
	return status;
}

static int config_store_text(const char *value, char *place)
{
	size_t length = strlen(value);

	if (length >= CONFIG_TEXT_SIZE)
		return -ERANGE;
	memcpy(place, value, length + 1);
	return 0;
}

static int config_store(const struct config_key *key, const char *value, void *target)
{
	char *place = (char *)target + key->offset;

	switch (key->type) {
	case CONFIG_CHOICE:
		return config_store_choice(key, value, place);
	case CONFIG_BOOL:
		return config_store_bool(value, place);
	case CONFIG_COUNT:
		return config_store_count(key, value, place);
	case CONFIG_DURATION:
		return config_store_duration(key, value, place);
	case CONFIG_POWER:
		return config_store_power(key, value, place);
	case CONFIG_TEXT:
		return config_store_text(value, place);
	}
	return -EINVAL;
}

/* The sections or keys that there are, for the message about one that there is not. */
static void config_list(const struct config_key keys[], size_t count, const char *section,
			char *buffer, size_t size)
{
	bool known = false;
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
		known = known || strcmp(keys[i].section, section) == 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < count && used < size; i++) {
		const char *word = known ? keys[i].name : keys[i].section;

		if (known ? strcmp(keys[i].section, section) != 0
			  : i > 0 && strcmp(keys[i].section, keys[i - 1].section) == 0)
			continue;
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", used > 0 ? ", " : "",
					 word);
	}
}

int config_set(const struct config_key keys[], size_t count, const struct config_entry *entry,
	       void *target, struct diag *diag)
{
	const struct config_key *key = config_find(keys, count, entry->section, entry->name);
	char known[DIAG_SIZE_MAX / 2];
	int status;

	if (key == NULL) {
		config_list(keys, count, entry->section, known, sizeof(known));
		return diag_error(diag, -ENOENT, "unknown key %s.%s; there are: %s", entry->section,
				  entry->name, known);
	}
	status = config_store(key, entry->value, target);
	if (status < 0)
		return diag_error(diag, status, "%s.%s = %s is not allowed: it takes %s",
				  entry->section, entry->name, entry->value, key->allowed);
	return 0;
}

void config_defaults(const struct config_key keys[], size_t count, void *target)
{
	for (size_t i = 0; i < count; i++) {
		int status = config_store(&keys[i], keys[i].fallback, target);

		assert(status == 0);
		(void)status;
	}
}

struct config_reading {
	const struct config_key *keys;
	size_t count;
	void *target;
	struct diag *diag;
	FILE *file;
	int line;
	int status; /* of the first refusal, which is at `line`: nothing is read behind it */
};

/*
 * inih's source of lines. It would take an indented line for more of the value above, and the rest
 * of one that is longer than its buffer for the next.
 */
static char *config_read_line(char *buffer, int size, void *stream)
{
	struct config_reading *reading = stream;
	size_t length, blank;
	int c = '\0';

	if (reading->status < 0 || fgets(buffer, size, reading->file) == NULL)
		return NULL;
	reading->line++;
	length = strlen(buffer);
	blank = strspn(buffer, " \t");
	if (length == (size_t)size - 1 && buffer[length - 1] != '\n')
		while (c != '\n' && c != EOF)
			c = getc(reading->file);
	else if ((length == 0 || buffer[length - 1] != '\n') && !feof(reading->file))
		c = EOF; /* a NUL hides the rest */
	if (c != '\0' && buffer[blank] != '#' && buffer[blank] != ';') {
		reading->status =
		    diag_error(reading->diag, -EINVAL,
			       "a line has at most %d characters, none of them NUL", size - 2);
		return NULL;
	}
	memmove(buffer, buffer + blank, length - blank + 1);
	return buffer;
}

/* inih's callback: 1 to go on, 0 for a line that is refused. */
static int config_take(void *user, const char *section, const char *name, const char *value)
{
	const struct config_entry entry = {.section = section, .name = name, .value = value};
	struct config_reading *reading = user;

	reading->status =
	    config_set(reading->keys, reading->count, &entry, reading->target, reading->diag);
	return reading->status == 0;
}

int config_read_file(const struct config_key keys[], size_t count, const char *path, bool required,
		     void *target, struct diag *diag)
{
	cleanup_file FILE *file = fopen(path, "re");
	struct config_reading reading = {
	    .keys = keys, .count = count, .target = target, .diag = diag, .file = file};
	int line;

	if (file == NULL && errno == ENOENT && !required)
		return 0;
	if (file == NULL)
		return diag_error(diag, -errno, "cannot open the configuration %s: %s", path,
				  strerror(errno));
	/* The number of the first line that inih or config_take() refused. */
	line = ini_parse_stream(config_read_line, &reading, config_take, &reading);
	if (ferror(file) || line < 0)
		return diag_error(diag, -EIO, "cannot read the configuration %s", path);
	if (line > 0 && (reading.status == 0 || line < reading.line))
		return diag_error(diag, -EINVAL, "%s:%d: neither [section] nor key = value", path,
				  line);
	if (reading.status < 0)
		diag_prefix(diag, "%s:%d", path, reading.line);
	return reading.status;
}

int config_extract(int *argc, char **argv, struct config_overrides *ret_overrides,
		   struct diag *diag)
{
	int kept = 1;
	bool options = true;

	ret_overrides->count = 0;
	for (int i = 1; i < *argc; i++) {
		const char *equals = strchr(argv[i], '=');
		const char *dot = strchr(argv[i], '.');

		if (strcmp(argv[i], "--") == 0)
			options = false;
		if (!options || strncmp(argv[i], "--", 2) != 0 || equals == NULL || dot == NULL ||
		    dot > equals) {
			argv[kept++] = argv[i];
			continue;
		}
		if (ret_overrides->count == CONFIG_OVERRIDE_MAX)
			return diag_error(diag, -E2BIG,
					  "more than %d --section.key=value arguments",
					  CONFIG_OVERRIDE_MAX);
		ret_overrides->arguments[ret_overrides->count++] = argv[i];
	}
	*argc = kept;
	argv[kept] = NULL;
	return 0;
}

int config_apply(const struct config_key keys[], size_t count,
		 const struct config_overrides *overrides, void *target, struct diag *diag)
{
	for (size_t i = 0; i < overrides->count; i++) {
		const char *argument = overrides->arguments[i] + 2;
		const char *dot = strchr(argument, '.');
		const char *equals = strchr(argument, '=');
		char section[CONFIG_TEXT_SIZE], name[CONFIG_TEXT_SIZE];
		const struct config_entry entry = {
		    .section = section, .name = name, .value = equals + 1};
		int status;

		(void)snprintf(section, sizeof(section), "%.*s", (int)(dot - argument), argument);
		(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - dot - 1), dot + 1);
		status = config_set(keys, count, &entry, target, diag);
		if (status < 0) {
			diag_prefix(diag, "--%s", argument);
			return status;
		}
	}
	return 0;
}
