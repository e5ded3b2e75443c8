/* output_spec.h, output_credentials.h, and what a server's answer means. */
#include "guest/output_credentials.h"
#include "guest/output_sink_http_internal.h"
#include "guest/output_spec.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <stdio.h>
#include <sys/stat.h>

static struct output_spec good(const char *text)
{
	struct diag diag = DIAG_INIT;
	struct output_spec spec;

	if (output_spec_parse(text, &spec, &diag) < 0)
		fail_msg("%s", diag.text);
	return spec;
}

static void bad(const char *text, const char *message)
{
	struct diag diag = DIAG_INIT;
	struct output_spec spec;

	assert_true(output_spec_parse(text, &spec, &diag) < 0);
	check_contains(diag.text, message);
}

static void test_good_specs(void **state)
{
	static struct output_spec spec;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(good("json:-").kind, OUTPUT_STDOUT);
	assert_int_equal(good("csv:/var/log/x y.csv").kind, OUTPUT_FILE);
	assert_int_equal(good("csv@1min:/x").period_ns, UINT64_C(60000000000));
	assert_int_equal(good("csv@100ms:/x").period_ns, OUTPUT_PERIOD_NS_MIN);
	assert_int_equal(good("influx:udp://[::1]:8089").kind, OUTPUT_UDP);
	assert_int_equal(good("json:udp://127.0.0.1:8089").kind, OUTPUT_UDP);
	assert_int_equal(
	    output_spec_parse("influx@24h:https://i.example:8086/a/telegraf", &spec, &diag), 0);
	assert_int_equal(spec.kind, OUTPUT_HTTP);
	assert_string_equal(output_spec_database(&spec), "telegraf");
	assert_int_equal(output_spec_base_length(&spec), strlen("https://i.example:8086/a"));
}

static void test_bad_specs(void **state)
{
	char longest[OUTPUT_SPEC_SIZE + 1];

	(void)state;
	bad("", "the format is csv, json or influx");
	bad("-", "the format is csv, json or influx");
	bad("xml:-", "the format is csv, json or influx");
	bad("csv@:/x", "a duration from 100ms to 24h");
	bad("csv@99ms:/x", "a duration from 100ms to 24h");
	bad("csv@25h:/x", "a duration from 100ms to 24h");
	bad("csv:relative", "where to?");
	bad("csv:", "where to?");
	bad("csv:udp://127.0.0.1:1", "no place for its header");
	bad("influx:udp://127.0.0.1", "udp://HOST:PORT");
	bad("influx:udp://127.0.0.1:0", "udp://HOST:PORT");
	bad("influx:udp://127.0.0.1:65536", "udp://HOST:PORT");
	bad("influx:udp://:8089", "udp://HOST:PORT");
	bad("json:http://127.0.0.1:8086/telegraf", "only influx goes over HTTP");
	bad("influx:http://127.0.0.1:8086", "a database is missing");
	bad("influx:http://127.0.0.1:8086/", "a database is missing");
	bad("influx:http:///telegraf", "a database is missing");
	bad("influx:http://me:secret@127.0.0.1/telegraf", "output.credentials");
	bad("influx:http://127.0.0.1/telegraf?u=me", "letters, digits");
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "csv:/", 5);
	longest[OUTPUT_SPEC_SIZE] = '\0';
	bad(longest, "at most 255 characters");
	longest[OUTPUT_SPEC_SIZE - 1] = '\0';
	(void)good(longest);
}

static void check_answer(long code, enum output_outcome expected, const char *message)
{
	struct diag diag = DIAG_INIT;
	static struct output_spec spec;

	assert_int_equal(output_spec_parse("influx:http://h:1/telegraf", &spec, &diag), 0);
	diag.text[0] = '\0';
	assert_int_equal(output_http_judge(code, "{\"error\":\"why\"}", &spec, &diag), expected);
	check_contains(diag.text, message);
}

static void test_answers(void **state)
{
	(void)state;
	check_answer(204, OUTPUT_SENT, "");
	check_answer(200, OUTPUT_SENT, "");
	check_answer(400, OUTPUT_REFUSED, "refuses what it was sent (400): {\"error\":\"why\"}");
	check_answer(413, OUTPUT_REFUSED, "(413)");
	check_answer(401, OUTPUT_LATER, "output.credentials");
	check_answer(403, OUTPUT_LATER, "output.credentials");
	check_answer(404, OUTPUT_LATER, "CREATE DATABASE \"telegraf\"");
	check_answer(301, OUTPUT_LATER, "not followed");
	check_answer(429, OUTPUT_LATER, "answers 429");
	check_answer(500, OUTPUT_LATER, "answers 500: {\"error\":\"why\"}");
	check_answer(503, OUTPUT_LATER, "answers 503");
	check_answer(0, OUTPUT_LATER, "answers 0");
}

static int read_credentials(const char *text, struct output_credentials **ret_credentials,
			    bool *ret_exposed, struct diag *diag)
{
	struct tree tree;
	char path[512];
	int status;

	tree_create(&tree);
	tree_write(&tree, "credentials", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/credentials", tree.path);
	assert_int_equal(chmod(path, *ret_exposed ? 0640 : 0600), 0);
	status = output_credentials_read(path, ret_credentials, ret_exposed, diag);
	tree_remove(&tree);
	return status;
}

static void test_credentials(void **state)
{
	struct output_credentials *credentials = NULL;
	const struct output_credential *found;
	struct diag diag = DIAG_INIT;
	bool exposed = false;

	(void)state;
	assert_int_equal(read_credentials("# servers\n\n"
					  "a.example:8086 basic alice secret\r\n"
					  "\tb.example\ttoken  t0ken\n"
					  "[::1]:8086 bearer a.b.c",
					  &credentials, &exposed, &diag),
			 0);
	assert_false(exposed);
	found = output_credentials_find(credentials, "http://a.example:8086/telegraf");
	CHECK_POINTER(found);
	assert_int_equal(found->kind, OUTPUT_BASIC);
	assert_string_equal(found->user, "alice");
	assert_string_equal(found->secret, "secret");
	found = output_credentials_find(credentials, "https://b.example/x/telegraf");
	CHECK_POINTER(found);
	assert_int_equal(found->kind, OUTPUT_TOKEN);
	assert_string_equal(found->secret, "t0ken");
	found = output_credentials_find(credentials, "http://[::1]:8086/d");
	CHECK_POINTER(found);
	assert_int_equal(found->kind, OUTPUT_BEARER);
	/* To no other server, however much its name begins like that. */
	assert_null(output_credentials_find(credentials, "http://a.example:80861/telegraf"));
	assert_null(output_credentials_find(credentials, "http://a.example/telegraf"));
	assert_null(output_credentials_find(credentials, "http://b.example.org/telegraf"));
	assert_null(output_credentials_find(NULL, "http://b.example/telegraf"));
	output_credentials_destroy(credentials);
	exposed = true;
	assert_int_equal(read_credentials("a basic u p\n", &credentials, &exposed, &diag), 0);
	assert_true(exposed);
	output_credentials_destroy(credentials);
}

static void test_bad_credentials(void **state)
{
	static const char *const lines[] = {
	    "a",	   "a basic",	    "a basic u", "a basic u p q", "a token",
	    "a token t u", "a hunter2 u p", "a TOKEN t", "a bearer t u v"};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(lines); i++) {
		struct output_credentials *credentials = NULL;
		struct diag diag = DIAG_INIT;
		bool exposed = false;
		char text[64];

		(void)snprintf(text, sizeof(text), "\n%s\n", lines[i]);
		assert_int_equal(read_credentials(text, &credentials, &exposed, &diag), -EINVAL);
		check_contains(diag.text, ":2: a line is HOST:PORT basic USER PASSWORD");
		assert_null(strstr(diag.text, "hunter2"));
	}
}

static void test_too_many_credentials(void **state)
{
	struct output_credentials *credentials = NULL;
	struct diag diag = DIAG_INIT;
	char text[OUTPUT_CREDENTIALS_MAX * 16 + 32] = "";
	bool exposed = false;

	(void)state;
	for (size_t i = 0; i < OUTPUT_CREDENTIALS_MAX; i++)
		(void)strncat(text, "a token t\n", 16);
	assert_int_equal(read_credentials(text, &credentials, &exposed, &diag), 0);
	output_credentials_destroy(credentials);
	(void)strncat(text, "a token t\n", 16);
	assert_int_equal(read_credentials(text, &credentials, &exposed, &diag), -E2BIG);
	assert_int_equal(
	    output_credentials_read("/nonexistent/file", &credentials, &exposed, &diag), -ENOENT);
	check_contains(diag.text, "cannot read the credentials /nonexistent/file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_specs),	    cmocka_unit_test(test_bad_specs),
	    cmocka_unit_test(test_answers),	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_bad_credentials), cmocka_unit_test(test_too_many_credentials),
	};

	return cmocka_run_group_tests_name("output_spec", tests, NULL, NULL);
}
