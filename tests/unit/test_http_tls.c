/* http_tls.h: certificates, suites and curves, and real handshakes over a socket pair. */
#include "common/cleanup.h"
#include "common/http_tls.h"
#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <sys/socket.h>
#include <time.h>

#define PEM_SIZE 8192

struct fixture {
	struct tree tree;
	gnutls_certificate_credentials_t client; /* has a certificate of the authority's */
	gnutls_certificate_credentials_t anonymous;
};

/* A key and its certificate: of an authority's own, or signed by one. */
struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
};

static struct identity identity_make(const char *name, const struct identity *issuer)
{
	struct identity identity;
	uint8_t serial[8];

	assert_int_equal(gnutls_x509_privkey_init(&identity.key), 0);
	assert_int_equal(
	    gnutls_x509_privkey_generate(identity.key, GNUTLS_PK_ECDSA,
					 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	    0);
	assert_int_equal(gnutls_x509_crt_init(&identity.certificate), 0);
	assert_int_equal(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)), 0);
	serial[0] &= 0x7f;
	(void)gnutls_x509_crt_set_version(identity.certificate, 3);
	(void)gnutls_x509_crt_set_serial(identity.certificate, serial, sizeof(serial));
	(void)gnutls_x509_crt_set_activation_time(identity.certificate, time(NULL) - 3600);
	(void)gnutls_x509_crt_set_expiration_time(identity.certificate, time(NULL) + 3600);
	(void)gnutls_x509_crt_set_dn_by_oid(identity.certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
					    name, (unsigned int)strlen(name));
	(void)gnutls_x509_crt_set_subject_alt_name(identity.certificate, GNUTLS_SAN_DNSNAME, name,
						   (unsigned int)strlen(name), GNUTLS_FSAN_SET);
	(void)gnutls_x509_crt_set_basic_constraints(identity.certificate, issuer == NULL, -1);
	(void)gnutls_x509_crt_set_key(identity.certificate, identity.key);
	assert_int_equal(gnutls_x509_crt_sign2(
			     identity.certificate,
			     issuer != NULL ? issuer->certificate : identity.certificate,
			     issuer != NULL ? issuer->key : identity.key, GNUTLS_DIG_SHA256, 0),
			 0);
	return identity;
}

static void identity_write(const struct identity *identity, const struct tree *tree,
			   const char *name)
{
	char text[PEM_SIZE], path[64];
	size_t size = sizeof(text) - 1;

	assert_int_equal(
	    gnutls_x509_crt_export(identity->certificate, GNUTLS_X509_FMT_PEM, text, &size), 0);
	text[size] = '\0';
	(void)snprintf(path, sizeof(path), "%s.pem", name);
	tree_write(tree, path, "%s", text);
	size = sizeof(text) - 1;
	assert_int_equal(
	    gnutls_x509_privkey_export(identity->key, GNUTLS_X509_FMT_PEM, text, &size), 0);
	text[size] = '\0';
	(void)snprintf(path, sizeof(path), "%s.key", name);
	tree_write(tree, path, "%s", text);
}

static void identity_finish(struct identity *identity)
{
	gnutls_x509_crt_deinit(identity->certificate);
	gnutls_x509_privkey_deinit(identity->key);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct identity authority = identity_make("authority", NULL);
	struct identity server = identity_make("localhost", &authority);
	struct identity client = identity_make("prometheus", &authority);
	struct identity stranger = identity_make("stranger", NULL);

	assert_non_null(fixture);
	*state = fixture;
	tree_create(&fixture->tree);
	identity_write(&authority, &fixture->tree, "ca");
	identity_write(&server, &fixture->tree, "server");
	identity_write(&stranger, &fixture->tree, "stranger");
	tree_write(&fixture->tree, "garbage.pem", "no certificate\n");
	assert_int_equal(gnutls_certificate_allocate_credentials(&fixture->client), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&fixture->anonymous), 0);
	assert_int_equal(
	    gnutls_certificate_set_x509_key(fixture->client, &client.certificate, 1, client.key),
	    0);
	identity_finish(&authority);
	identity_finish(&server);
	identity_finish(&client);
	identity_finish(&stranger);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	gnutls_certificate_free_credentials(fixture->client);
	gnutls_certificate_free_credentials(fixture->anonymous);
	tree_remove(&fixture->tree);
	free(fixture);
	return 0;
}

/* What is read of `text`, whose files are in the fixture's tree. */
static int open_tls(const struct fixture *fixture, const char *text, struct web_config *config,
		    struct http_tls **ret_tls, struct diag *diag)
{
	char path[128];
	int status;

	(void)snprintf(path, sizeof(path), "%s/web.yml", fixture->tree.path);
	status = web_config_parse(path, text, strlen(text), config, diag);
	return status < 0 ? status : http_tls_create(&config->tls, config->path, ret_tls, diag);
}

#define TLS "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
		const char *message;
	} cases[] = {
	    {"tls_server_config:\n  cert_file: none.pem\n  key_file: server.key\n", -EINVAL,
	     "web.yml:2: cannot read "},
	    {"tls_server_config:\n  cert_file: server.pem\n  key_file: none.key\n", -EINVAL,
	     "web.yml:3: cannot read "},
	    {"tls_server_config:\n  cert_file: server.pem\n  key_file: stranger.key\n", -EINVAL,
	     "no certificate and its key in PEM"},
	    {"tls_server_config:\n  cert_file: garbage.pem\n  key_file: server.key\n", -EINVAL,
	     "no certificate and its key in PEM"},
	    {"tls_server_config:\n  cert_file: server.pem\n  key_file: server.pem\n", -EINVAL,
	     "no certificate and its key in PEM"},
	    {TLS "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: garbage.pem\n",
	     -EINVAL, "garbage.pem has no certificate in PEM"},
	    {TLS "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none.pem\n",
	     -EINVAL, "web.yml:5: cannot read "},
	    {TLS "  curve_preferences: [P256]\n", -EINVAL,
	     "web.yml:4: unknown curve P256; there a"},
	    {TLS "  cipher_suites: [TLS_RSA_WITH_3DES_EDE_CBC_SHA]\n", -EINVAL,
	     "web.yml:4: unknown cipher suite TLS_RSA_WITH_3DES_EDE_CBC_SHA"},
	    {TLS "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\n"
		 "    TLS_RSA_WITH_AES_256_CBC_SHA]\n",
	     -EINVAL, "would allow TLS_"},
	    {TLS "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,\n"
		 "    TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n",
	     -EINVAL, "no cipher of cipher_suites is one of TLS13"},
	};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup_web_config struct web_config config = {.path = NULL};
		struct http_tls *tls = NULL;
		struct diag diag = DIAG_INIT;

		if (open_tls(fixture, cases[i].text, &config, &tls, &diag) != cases[i].status ||
		    strstr(diag.text, cases[i].message) == NULL)
			fail_msg("%s: %s", cases[i].text, diag.text);
	}
}

static gnutls_session_t session_make(unsigned int flags, int fd)
{
	gnutls_session_t session;

	assert_int_equal(gnutls_init(&session, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), 0);
	gnutls_transport_set_int(session, fd);
	return session;
}

/* Both ends in turn until they are through or one gives up; the client also reads a byte, since in
 * TLS 1.3 only that tells it that its certificate was refused. */
static bool shake(gnutls_session_t server, gnutls_session_t client)
{
	int of_server = GNUTLS_E_AGAIN, of_client = GNUTLS_E_AGAIN;

	for (int round = 0; round < 100; round++) {
		if (of_client == GNUTLS_E_AGAIN)
			of_client = gnutls_handshake(client);
		if (of_server == GNUTLS_E_AGAIN)
			of_server = gnutls_handshake(server);
		if (of_server == 0 && of_client == 0)
			return true;
		if (of_server != GNUTLS_E_AGAIN && of_server < 0)
			return false;
		if (of_client != GNUTLS_E_AGAIN && of_client < 0)
			return false;
	}
	return false;
}

/* Whether a client comes in; with which suite, where that is asked for. */
static bool comes_in(const struct fixture *fixture, const char *text,
		     gnutls_certificate_credentials_t credentials, const char *priority,
		     const char **ret_suite)
{
	cleanup_web_config struct web_config config = {.path = NULL};
	cleanup_http_tls struct http_tls *tls = NULL;
	gnutls_session_t server, client;
	struct diag diag = DIAG_INIT;
	bool through;
	int fds[2];

	if (open_tls(fixture, text, &config, &tls, &diag) < 0)
		fail_msg("%s: %s", text, diag.text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	server = session_make(GNUTLS_SERVER, fds[0]);
	/* It shows its certificate also to a server that names other authorities. */
	client = session_make(GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT, fds[1]);
	assert_int_equal(http_tls_attach(tls, server), 0);
	assert_int_equal(gnutls_priority_set_direct(client, priority, NULL), 0);
	assert_int_equal(gnutls_credentials_set(client, GNUTLS_CRD_CERTIFICATE, credentials), 0);
	through = shake(server, client);
	if (through && ret_suite != NULL)
		*ret_suite = gnutls_ciphersuite_get(server);
	gnutls_deinit(server);
	gnutls_deinit(client);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return through;
}

static void test_versions(void **state)
{
	static const char only_11[] = "NORMAL:-VERS-ALL:+VERS-TLS1.1";
	static const char only_12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
	static const char only_13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
	const struct fixture *fixture = *state;

	assert_true(comes_in(fixture, TLS, fixture->anonymous, only_12, NULL));
	assert_true(comes_in(fixture, TLS, fixture->anonymous, only_13, NULL));
	assert_false(comes_in(fixture, TLS, fixture->anonymous, only_11, NULL));
	assert_false(
	    comes_in(fixture, TLS "  min_version: TLS13\n", fixture->anonymous, only_12, NULL));
	assert_false(
	    comes_in(fixture, TLS "  max_version: TLS12\n", fixture->anonymous, only_13, NULL));
	assert_true(
	    comes_in(fixture, TLS "  min_version: TLS11\n", fixture->anonymous, only_11, NULL));
}

static void test_suites(void **state)
{
	static const char listed[] =
	    TLS "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,\n"
		"    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n";
	const struct fixture *fixture = *state;
	const char *suite = NULL;

	assert_true(comes_in(fixture, listed, fixture->anonymous, "NORMAL", &suite));
	assert_non_null(strstr(suite, "AES_256_GCM"));
	assert_true(comes_in(fixture, listed, fixture->anonymous, "NORMAL:-VERS-TLS1.3", &suite));
	assert_string_equal(suite, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
	assert_false(comes_in(fixture, listed, fixture->anonymous,
			      "NORMAL:-VERS-TLS1.3:-AES-256-GCM", NULL));
}

static void test_curves(void **state)
{
	static const char one[] = TLS "  curve_preferences: [CurveP384]\n";
	const struct fixture *fixture = *state;

	assert_true(comes_in(fixture, one, fixture->anonymous, "NORMAL", NULL));
	assert_false(comes_in(fixture, one, fixture->anonymous, "NORMAL:-GROUP-SECP384R1", NULL));
}

static void test_clients(void **state)
{
	static const struct {
		const char *type; /* with what belongs to it */
		bool anonymous, known;
	} cases[] = {
	    {"", true, true},
	    {"  client_auth_type: NoClientCert\n", true, true},
	    {"  client_auth_type: RequestClientCert\n", true, true},
	    {"  client_auth_type: RequireAnyClientCert\n", false, true},
	    {"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", true, true},
	    {"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: stranger.pem\n", true,
	     false},
	    {"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n", false,
	     true},
	    {"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: stranger.pem\n",
	     false, false},
	    {"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	     "  client_allowed_sans: [other, prometheus]\n",
	     false, true},
	    {"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	     "  client_allowed_sans: [other, prometheu]\n",
	     false, false},
	    {"  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [other]\n", false,
	     false},
	};
	static const char *const versions[] = {"NORMAL", "NORMAL:-VERS-TLS1.3"};
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), "%s%s", TLS, cases[i].type);
		for (size_t v = 0; v < 2; v++) {
			if (comes_in(fixture, text, fixture->anonymous, versions[v], NULL) !=
			    cases[i].anonymous)
				fail_msg("anonymous, %s:\n%s", versions[v], text);
			if (comes_in(fixture, text, fixture->client, versions[v], NULL) !=
			    cases[i].known)
				fail_msg("known, %s:\n%s", versions[v], text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_suites),  cmocka_unit_test(test_curves),
	    cmocka_unit_test(test_clients),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
