/* web_config.h: what the file may say, and how it is told what is wrong with it. */
#include "common/web_config.h"
#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH  "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define TLS   "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n"
#define USERS "basic_auth_users:\n  a: "

static int parse(const char *text, struct web_config *config, struct diag *diag)
{
	return web_config_parse("etc/web.yml", text, strlen(text), config, diag);
}

static void test_everything(void **state)
{
	cleanup_web_config struct web_config config = {.path = NULL};
	struct diag diag = DIAG_INIT;
	const struct web_tls *tls = &config.tls;

	(void)state;
	if (parse("tls_server_config:\n"
		  "  cert_file: c.pem\n"
		  "  key_file: /k.pem\n"
		  "  client_auth_type: RequireAndVerifyClientCert\n"
		  "  client_ca_file: ca/ca.pem\n"
		  "  client_allowed_sans: [a.example, 'b']\n"
		  "  min_version: TLS11\n"
		  "  max_version: TLS12\n"
		  "  cipher_suites:\n"
		  "    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n"
		  "    - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n"
		  "  prefer_server_cipher_suites: off\n"
		  "  curve_preferences: [X25519]\n"
		  "http_server_config:\n"
		  "  http2: false\n"
		  "  headers:\n"
		  "    X-Frame-Options: sameorigin\n"
		  "    X-XSS-Protection: 1\n"
		  "basic_auth_users:\n"
		  "  alice: " HASH "\n"
		  "  1: '" HASH "'\n",
		  &config, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_string_equal(config.path, "etc/web.yml");
	assert_true(tls->given);
	assert_string_equal(tls->certificate.path, "etc/c.pem");
	assert_string_equal(tls->key.path, "/k.pem");
	assert_string_equal(tls->client_ca.path, "etc/ca/ca.pem");
	assert_int_equal(tls->client_ca.line, 5);
	assert_int_equal(tls->client_auth, WEB_CLIENT_REQUIRE_AND_VERIFY);
	assert_int_equal(tls->client_sans.count, 2);
	assert_string_equal(tls->client_sans.entries[1], "b");
	assert_int_equal(tls->version_min, 11);
	assert_int_equal(tls->version_max, 12);
	assert_int_equal(tls->ciphers.count, 2);
	assert_int_equal(tls->ciphers.lines[1], 11);
	assert_false(tls->server_precedence);
	assert_int_equal(tls->curves.count, 1);
	assert_int_equal(config.headers.count, 2);
	assert_string_equal(config.headers.entries[1].name, "X-XSS-Protection");
	assert_string_equal(config.headers.entries[1].value, "1");
	assert_int_equal(config.user_count, 2);
	assert_string_equal(config.users[1].name, "1");
	assert_string_equal(config.users[1].hash, HASH);
}

static void test_little(void **state)
{
	static const char *const texts[] = {
	    "",
	    "# nothing\n",
	    "---\n",
	    "{}\n",
	    "tls_server_config:\nhttp_server_config: ~\nbasic_auth_users: null\n",
	    "tls_server_config:\n  min_version: TLS13\n", /* as the toolkit: no TLS */
	    "tls_server_config:\n  cert_file: ''\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cleanup_web_config struct web_config config = {.path = NULL};
		struct diag diag = DIAG_INIT;

		if (parse(texts[i], &config, &diag) < 0)
			fail_msg("%s", diag.text);
		assert_false(config.tls.given);
		assert_int_equal(config.user_count, 0);
		assert_int_equal(config.tls.version_max, 13);
		assert_true(config.tls.server_precedence);
	}
}

static void test_inline(void **state)
{
	cleanup_web_config struct web_config config = {.path = NULL};

	(void)state;
	assert_int_equal(
	    parse("tls_server_config:\n  cert: |\n    one\n    two\n  key: k\n", &config, NULL), 0);
	assert_true(config.tls.given);
	assert_null(config.tls.certificate.path);
	assert_string_equal(config.tls.certificate.text, "one\ntwo\n");
}

/* What is wrong, and the part of the message that says what to do about it. */
static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"foo: 1\n", "etc/web.yml:1: unknown key foo; there are: tls_server_config, "},
	    {"tls_server_config:\n  foo: 1\n", ":2: unknown key foo; there are: cert_file; key_f"},
	    {"http_server_config:\n  foo: 1\n", "there are: http2; headers"},
	    {"rate_limit: {}\n", "unknown key rate_limit"},
	    {"a: b: c\n", ":1: no YAML: "},
	    {"a:\n\tb: c\n", ":2: no YAML: "},
	    {"\xff\xff\n", "no YAML: "},
	    {"- a\n", ":1: the file takes keys"},
	    {"[a]: b\n", ":1: a key of the file is no word"},
	    {"hello\n", ":1: the file takes keys"},
	    {"a: &a [*a]\n", "unknown key a"},
	    {TLS "tls_server_config:\n", ":4: tls_server_config is there already"},
	    {TLS "  key_file: k.pem\n", ":4: key_file is there already"},
	    {"tls_server_config:\n  cert_file: c.pem\n", "lacks key_file"},
	    {"tls_server_config:\n  key_file: c.pem\n", "lacks cert_file"},
	    {"tls_server_config:\n  client_auth_type: NoClientCert\n", "lacks cert_file"},
	    {"tls_server_config:\n  cert_file: [c]\n", ":2: cert_file takes one value"},
	    {"tls_server_config:\n  cert_file: \"a\\0b\"\n", ":2: cert_file has a NUL"},
	    {TLS "  client_auth_type: Some\n",
	     ":4: client_auth_type: Some is not allowed: it takes NoClientCert; RequestClientCert"},
	    {TLS "  client_ca_file: ca.pem\n", ":4: client_ca_file is of no use without"},
	    {TLS "  client_allowed_sans: [a]\n", ":4: client_allowed_sans needs"},
	    {TLS "  min_version: TLS14\n", "it takes TLS13; TLS12; TLS11; TLS10"},
	    {TLS "  min_version: TLS13\n  max_version: TLS12\n",
	     "min_version is above max_version"},
	    {TLS "  cipher_suites: x\n", ":4: cipher_suites takes a list"},
	    {TLS "  prefer_server_cipher_suites: maybe\n",
	     ":4: prefer_server_cipher_suites: maybe"},
	    {"http_server_config:\n  http2: 2\n", "it takes true or false"},
	    {"http_server_config:\n  headers:\n    Foo: x\n", ":3: the header Foo cannot be set"},
	    {"http_server_config:\n  headers:\n    X-Frame-Options: x\n",
	     "\"x\" is not allowed: it takes deny or sameorigin"},
	    {"http_server_config:\n  headers:\n    X-XSS-Protection: \"1\\r\\nX: y\"\n",
	     "a header has one line"},
	    {USERS "x\n", ":2: the password of a is no bcrypt hash"},
	    {USERS "\n", "make one with htpasswd -nBC 10 a"},
	    {USERS HASH "x\n", "no bcrypt hash"},
	    {USERS "$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n", "no bcrypt"},
	    {USERS "$6$04$abcdefghijklmnopqrstuuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n", "no bcrypt"},
	    {USERS "$2b$04$abcdefghijklmnopqrst!u2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n", "no bcrypt"},
	    {USERS "$2b$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
	     "a bcrypt cost of 3: it takes 4 to 16"},
	    {USERS "$2b$17$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
	     "a bcrypt cost of 17: it takes 4 to 16"},
	    {USERS HASH "\n  a: " HASH "\n", ":3: a is there already"},
	    {"basic_auth_users:\n  'a:b': " HASH "\n", ":2: a user's name has"},
	    {"basic_auth_users: [a]\n", ":1: basic_auth_users takes keys"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct web_config config;
		struct diag diag = DIAG_INIT;

		if (parse(cases[i].text, &config, &diag) != -EINVAL)
			fail_msg("taken: %s", cases[i].text);
		if (strncmp(diag.text, "etc/web.yml:", 12) != 0 ||
		    strstr(diag.text, cases[i].message) == NULL)
			fail_msg("%s: %s", cases[i].text, diag.text);
		/* Secrets are not repeated. */
		assert_null(strstr(diag.text, "abcdefghijklmnopqrst"));
	}
}

/* As many users as there may be, and one more. */
static void test_most_users(void **state)
{
	char *text = malloc(WEB_FILE_SIZE_MAX);
	struct web_config config;
	struct diag diag = DIAG_INIT;
	int length = snprintf(text, WEB_FILE_SIZE_MAX, "basic_auth_users:\n");

	(void)state;
	for (int i = 0; i < WEB_USER_MAX; i++)
		length += snprintf(text + length, WEB_FILE_SIZE_MAX - (size_t)length,
				   "  user%d: %s\n", i, HASH);
	assert_int_equal(parse(text, &config, &diag), 0);
	assert_int_equal(config.user_count, WEB_USER_MAX);
	web_config_finish(&config);
	(void)snprintf(text + length, WEB_FILE_SIZE_MAX - (size_t)length, "  more: %s\n", HASH);
	assert_int_equal(parse(text, &config, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "more than 256 users"));
	free(text);
}

static void test_file(void **state)
{
	const struct tree *tree = *state;
	cleanup_web_config struct web_config config = {.path = NULL};
	struct diag diag = DIAG_INIT;
	char path[128];

	tree_write(tree, "web.yml", "%s", TLS);
	(void)snprintf(path, sizeof(path), "%s/web.yml", tree->path);
	assert_int_equal(web_config_read(path, &config, &diag), 0);
	assert_memory_equal(config.tls.key.path, tree->path, strlen(tree->path));
	(void)snprintf(path, sizeof(path), "%s/none.yml", tree->path);
	assert_int_equal(web_config_read(path, &config, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "cannot read the web configuration "));
	(void)snprintf(path, sizeof(path), "%s", tree->path);
	assert_int_equal(web_config_read(path, &config, &diag), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_everything), cmocka_unit_test(test_little),
	    cmocka_unit_test(test_inline),     cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_most_users), TREE_TEST(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
