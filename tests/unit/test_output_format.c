/* output_format.h: what the formats write, against golden files; and lines that are read back. */
#include "guest/output_format.h"
#include "guest/output_influx_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/golden.h"
#include "tests/unit/output_fixture.h"

#include <jansson.h>
#include <stdio.h>

#define ROUNDS 20000

/* free() it. */
static char *text_of(const struct output_format *format, const struct accounts_view *view,
		     size_t *ret_size)
{
	const struct output_tick tick = {OUTPUT_FIXTURE_HOST, view};
	char *text = NULL;
	FILE *stream = open_memstream(&text, ret_size);

	assert_non_null(stream);
	if (format->header != NULL)
		(void)fputs(format->header, stream);
	format->write(stream, &tick);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void check_view(const char *name, const struct accounts_view *view)
{
	static const char *const formats[] = {"csv", "json", "influx"};

	for (size_t i = 0; i < CHECK_COUNT(formats); i++) {
		const struct output_format *format = output_format_find(formats[i]);
		char file[64], *text;
		size_t size;

		CHECK_POINTER(format);
		text = text_of(format, view, &size);
		(void)snprintf(file, sizeof(file), "output-%s.%s", name, formats[i]);
		golden_check(file, text, size);
		free(text);
	}
}

static void test_golden(void **state)
{
	(void)state;
	check_view("full", output_fixture_view());
	check_view("bare", output_fixture_bare());
	check_view("stale", output_fixture_stale());
	check_view("away", output_fixture_away());
	check_view("silent", output_fixture_silent());
	check_view("nothing", output_fixture_nothing());
	assert_null(output_format_find("xml"));
}

/* Every line of JSON is an object that another reader takes, and no number came through a double.
 */
static void test_json_is_json(void **state)
{
	size_t size, lines = 0;
	char *text, *rest, *line;

	(void)state;
	text = rest = text_of(&output_json, output_fixture_view(), &size);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		json_t *object = json_loads(line, 0, NULL);

		assert_non_null(object);
		assert_int_equal(json_integer_value(json_object_get(object, "time_ns")),
				 OUTPUT_FIXTURE_WALL_NS);
		json_decref(object);
		lines++;
	}
	assert_true(lines > 20);
	free(text);
}

/* All rows have the columns of the header, and no cell is a formula to a spreadsheet. */
static void test_csv_cells(void **state)
{
	size_t size, columns = 0, cells = 0;
	bool quoted = false, start = true;
	char *text;

	(void)state;
	text = text_of(&output_csv, output_fixture_view(), &size);
	for (const char *at = text; *at != '\0'; at++) {
		if (start && *at == '"') {
			quoted = true;
			start = false;
			assert_null(strchr("=+-@\t\r", at[1]));
			continue;
		}
		if (start)
			assert_null(strchr("=+-@\t\r", *at));
		start = !quoted && (*at == ',' || *at == '\n');
		if (quoted && *at == '"' && at[1] == '"')
			at++;
		else if (quoted && *at == '"')
			quoted = false;
		cells += start;
		if (!quoted && *at == '\n') {
			columns = columns == 0 ? cells : columns;
			assert_int_equal(cells, columns);
			cells = 0;
		}
	}
	assert_int_equal(columns, 17);
	free(text);
}

/*
 * A reader of tags as InfluxDB 1.x is one (models/points.go: scanTagsValue, unescapeTag): a comma,
 * a space or an equals sign ends or spoils the value unless a backslash stands before it.
 */
static size_t read_tag(const char *text, char *ret_value)
{
	const char *at = text;
	char before = '=';

	for (; *at != '\0'; before = *at, at++) {
		if (before != '\\' && (*at == ',' || *at == ' '))
			break;
		assert_false(before != '\\' && *at == '=');
		assert_true(*at != '\n');
		if (before == '\\' && strchr(", =", *at) != NULL)
			ret_value--;
		*ret_value++ = *at;
	}
	*ret_value = '\0';
	return (size_t)(at - text);
}

/* What is left of a name: what is not UTF-8, control characters, and backslashes that would escape.
 */
static void clean(const char *name, char *ret_clean)
{
	char character[OUTPUT_CHARACTER_SIZE];

	*ret_clean = '\0';
	while (output_next_character(&name, character) > 0) {
		bool escapes = strcmp(character, "\\") == 0 &&
			       (*name == '\0' || strchr(", =\\", *name) != NULL);

		(void)strncat(ret_clean, escapes ? "?" : character, OUTPUT_CHARACTER_SIZE);
	}
}

static void check_tag(const char *name)
{
	char line[512], expected[128], value[512];
	FILE *stream = fmemopen(line, sizeof(line), "w");
	size_t length;

	assert_non_null(stream);
	output_influx_put_tag(stream, "unit", name);
	(void)fputs(" up=t 1\n", stream);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(strncmp(line, ",unit=", 6), 0);
	length = read_tag(line + 6, value);
	clean(name, expected);
	assert_string_equal(value, expected);
	assert_string_equal(line + 6 + length, " up=t 1\n");
}

static void test_tags_come_back(void **state)
{
	static const char letters[] = "ab\\\\,, ==\"\n\t\x7f\xc2\xa0\xff#'";
	uint64_t random = 1;

	(void)state;
	check_tag("dev-disk-by\\x2duuid.swap");
	check_tag("\\");
	check_tag("a\\,b");
	check_tag("a\\\\ b=");
	for (size_t i = 0; i < ROUNDS; i++) {
		char name[16];
		size_t length = 1 + check_random(&random) % (sizeof(name) - 1);

		for (size_t j = 0; j < length; j++)
			name[j] = letters[check_random(&random) % (sizeof(letters) - 1)];
		name[length] = '\0';
		check_tag(name);
	}
}

static void test_strings_come_back(void **state)
{
	char line[64];
	FILE *stream = fmemopen(line, sizeof(line), "w");

	(void)state;
	assert_non_null(stream);
	output_influx_put_string(stream, "a\\\"b\n,c= ");
	assert_int_equal(fclose(stream), 0);
	assert_string_equal(line, "\"a\\\\\\\"b?,c= \"");
}

/* A tag without a value is an error to the server. */
static void test_no_empty_tag(void **state)
{
	char line[64] = "";
	FILE *stream = fmemopen(line, sizeof(line), "w");

	(void)state;
	assert_non_null(stream);
	output_influx_put_tag(stream, "unit", "");
	assert_int_equal(fclose(stream), 0);
	assert_string_equal(line, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_json_is_json),
	    cmocka_unit_test(test_csv_cells),
	    cmocka_unit_test(test_tags_come_back),
	    cmocka_unit_test(test_strings_come_back),
	    cmocka_unit_test(test_no_empty_tag),
	};

	return cmocka_run_group_tests_name("output_format", tests, NULL, NULL);
}
