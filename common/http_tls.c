/*
 * Go, whose words the file uses, takes a list of cipher suites. GnuTLS takes lists of key
 * exchanges, ciphers and MACs, and allows every combination of them. So each suite of the list puts
 * its parts into the priority string, and then the combinations that came of it are looked at: one
 * that TLS 1.2 would take and the list does not name refuses the file. Nothing is ever allowed that
 * the file does not allow.
 */
#include "common/http_tls.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <stdbool.h>

#include <arpa/inet.h>

#define HTTP_PRIORITY_SIZE 2048

struct http_tls {
	const struct web_tls *config;
	const char *path; /* of the file, for messages */
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
};

/* A suite of Go's (crypto/tls, CipherSuites()), its parts and its name in GnuTLS. */
struct http_suite {
	const char *go;
	const char *parts; /* NULL: of TLS 1.3, where Go does not let anybody choose */
	const char *gnutls;
};

#define HTTP_GCM_128 ":+AES-128-GCM:+AEAD"
#define HTTP_GCM_256 ":+AES-256-GCM:+AEAD"
#define HTTP_CHACHA  ":+CHACHA20-POLY1305:+AEAD"
#define HTTP_CBC_128 ":+AES-128-CBC:+SHA1"
#define HTTP_CBC_256 ":+AES-256-CBC:+SHA1"
#define HTTP_CIPHERS ":-CIPHER-ALL:-KX-ALL:-MAC-ALL"

static const struct http_suite http_suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL, NULL},
    {"TLS_AES_256_GCM_SHA384", NULL, NULL},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, NULL},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ":+ECDHE-ECDSA" HTTP_GCM_128,
     "TLS_ECDHE_ECDSA_AES_128_GCM_SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ":+ECDHE-RSA" HTTP_GCM_128,
     "TLS_ECDHE_RSA_AES_128_GCM_SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ":+ECDHE-ECDSA" HTTP_GCM_256,
     "TLS_ECDHE_ECDSA_AES_256_GCM_SHA384"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ":+ECDHE-RSA" HTTP_GCM_256,
     "TLS_ECDHE_RSA_AES_256_GCM_SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ":+ECDHE-ECDSA" HTTP_CHACHA,
     "TLS_ECDHE_ECDSA_CHACHA20_POLY1305"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ":+ECDHE-RSA" HTTP_CHACHA,
     "TLS_ECDHE_RSA_CHACHA20_POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", ":+ECDHE-ECDSA" HTTP_CBC_128,
     "TLS_ECDHE_ECDSA_AES_128_CBC_SHA1"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", ":+ECDHE-RSA" HTTP_CBC_128,
     "TLS_ECDHE_RSA_AES_128_CBC_SHA1"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ":+ECDHE-ECDSA" HTTP_CBC_256,
     "TLS_ECDHE_ECDSA_AES_256_CBC_SHA1"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ":+ECDHE-RSA" HTTP_CBC_256,
     "TLS_ECDHE_RSA_AES_256_CBC_SHA1"},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", ":+RSA" HTTP_GCM_128, "TLS_RSA_AES_128_GCM_SHA256"},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", ":+RSA" HTTP_GCM_256, "TLS_RSA_AES_256_GCM_SHA384"},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", ":+RSA" HTTP_CBC_128, "TLS_RSA_AES_128_CBC_SHA1"},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", ":+RSA" HTTP_CBC_256, "TLS_RSA_AES_256_CBC_SHA1"},
};

#define HTTP_SUITE_COUNT (sizeof(http_suites) / sizeof(http_suites[0]))

static const struct {
	const char *go, *gnutls;
} http_curves[] = {
    {"CurveP256", ":+GROUP-SECP256R1"},
    {"CurveP384", ":+GROUP-SECP384R1"},
    {"CurveP521", ":+GROUP-SECP521R1"},
    {"X25519", ":+GROUP-X25519"},
};

static const struct http_suite *http_suite_find(const char *go)
{
	for (size_t i = 0; i < HTTP_SUITE_COUNT; i++)
		if (strcmp(http_suites[i].go, go) == 0)
			return &http_suites[i];
	return NULL;
}

static void http_priority_add(char *priority, const char *text)
{
	size_t length = strlen(priority);

	/* The lists are short: WEB_LIST_MAX entries each. */
	assert(length + strlen(text) < HTTP_PRIORITY_SIZE);
	memcpy(priority + length, text, strlen(text) + 1);
}

static int http_priority_suites(const struct http_tls *tls, char *priority, struct diag *diag)
{
	const struct web_list *list = &tls->config->ciphers;
	bool chosen = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct http_suite *suite = http_suite_find(list->entries[i]);

		if (suite == NULL)
			return diag_error(
			    diag, -EINVAL,
			    "%s:%d: unknown cipher suite %s; there are those that Go's crypto/tls "
			    "lists as secure: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 and so on",
			    tls->path, list->lines[i], list->entries[i]);
		if (suite->parts == NULL)
			continue;
		if (!chosen)
			http_priority_add(priority, HTTP_CIPHERS);
		chosen = true;
		http_priority_add(priority, suite->parts);
	}
	return 0;
}

static int http_priority_curves(const struct http_tls *tls, char *priority, struct diag *diag)
{
	const struct web_list *list = &tls->config->curves;

	if (list->count > 0)
		http_priority_add(priority, ":-GROUP-ALL");
	for (size_t i = 0; i < list->count; i++) {
		size_t curve = 0;

		while (curve < 4 && strcmp(http_curves[curve].go, list->entries[i]) != 0)
			curve++;
		if (curve == 4)
			return diag_error(diag, -EINVAL,
					  "%s:%d: unknown curve %s; there are: CurveP256, "
					  "CurveP384, CurveP521, X25519",
					  tls->path, list->lines[i], list->entries[i]);
		http_priority_add(priority, http_curves[curve].gnutls);
	}
	return 0;
}

static bool http_suite_is_listed(const struct web_list *list, const char *gnutls)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct http_suite *suite = http_suite_find(list->entries[i]);

		if (suite != NULL && suite->gnutls != NULL && strcmp(suite->gnutls, gnutls) == 0)
			return true;
	}
	return false;
}

/* What came of the list: exactly it, or the file is refused. */
static int http_priority_check(const struct http_tls *tls, struct diag *diag)
{
	const struct web_list *list = &tls->config->ciphers;
	unsigned int index, of_tls13 = 0, of_older = 0;

	for (unsigned int i = 0;; i++) {
		gnutls_protocol_t version = GNUTLS_VERSION_UNKNOWN;
		const char *name;
		int status = gnutls_priority_get_cipher_suite_index(tls->priority, i, &index);

		if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (status < 0)
			continue; /* a combination that is no suite */
		name = gnutls_cipher_suite_info(index, NULL, NULL, NULL, NULL, &version);
		if (name == NULL)
			continue;
		of_tls13 += version == GNUTLS_TLS1_3;
		of_older += version != GNUTLS_TLS1_3;
		for (size_t j = 0; version != GNUTLS_TLS1_3 && j < HTTP_SUITE_COUNT; j++)
			if (list->count > 0 && http_suites[j].gnutls != NULL &&
			    strcmp(http_suites[j].gnutls, name) == 0 &&
			    !http_suite_is_listed(list, name))
				return diag_error(diag, -EINVAL,
						  "%s:%d: cipher_suites would allow %s, too, as "
						  "GnuTLS combines their parts; add it, or leave "
						  "others out",
						  tls->path, list->lines[0], http_suites[j].go);
	}
	if (tls->config->version_max == 13 && of_tls13 == 0)
		return diag_error(
		    diag, -EINVAL,
		    "%s: no cipher of cipher_suites is one of TLS13; add "
		    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, or say max_version: TLS12",
		    tls->path);
	if (tls->config->version_min < 13 && of_older == 0)
		return diag_error(diag, -EINVAL,
				  "%s: no cipher suite is left for min_version: TLS%d", tls->path,
				  tls->config->version_min);
	return 0;
}

static int http_tls_set_priority(struct http_tls *tls, struct diag *diag)
{
	static const char *const versions[] = {":+VERS-TLS1.0", ":+VERS-TLS1.1", ":+VERS-TLS1.2",
					       ":+VERS-TLS1.3"};
	char priority[HTTP_PRIORITY_SIZE] = "NORMAL:-VERS-ALL";
	int status;

	for (int version = tls->config->version_max; version >= tls->config->version_min; version--)
		http_priority_add(priority, versions[version - 10]);
	status = http_priority_suites(tls, priority, diag);
	if (status == 0)
		status = http_priority_curves(tls, priority, diag);
	if (status < 0)
		return status;
	if (tls->config->server_precedence)
		http_priority_add(priority, ":%SERVER_PRECEDENCE");
	status = gnutls_priority_init(&tls->priority, priority, NULL);
	if (status < 0) {
		tls->priority = NULL;
		return diag_error(diag, -EINVAL,
				  "%s: GnuTLS cannot do what tls_server_config says "
				  "(versions, suites, curves): %s",
				  tls->path, gnutls_strerror(status));
	}
	return http_priority_check(tls, diag);
}

/* A source's content, with its NUL; to be freed, and wiped where it is a key. NULL: none. */
static char *http_tls_read(const struct http_tls *tls, const struct web_source *source,
			   size_t *ret_size, struct diag *diag)
{
	cleanup_free char *text = malloc(WEB_PEM_SIZE_MAX);
	size_t size = 0;
	int status;

	if (text == NULL) {
		(void)diag_error(diag, -ENOMEM, "out of memory");
		return NULL;
	}
	if (source->path != NULL) {
		status = file_read_at(AT_FDCWD, source->path, text, WEB_PEM_SIZE_MAX, &size);
		if (status < 0) {
			(void)diag_error(diag, status, "%s:%d: cannot read %s: %s", tls->path,
					 source->line, source->path, strerror(-status));
			return NULL;
		}
	} else {
		size = strlen(source->text);
		memcpy(text, source->text, size + 1);
	}
	*ret_size = size;
	return TAKE_PTR(text);
}

static const char *http_source_name(const struct web_source *source)
{
	return source->path != NULL ? source->path : "what stands there";
}

static int http_tls_load_pair(struct http_tls *tls, struct diag *diag)
{
	const struct web_tls *config = tls->config;
	cleanup_free char *certificate = NULL;
	cleanup_free char *key = NULL;
	gnutls_datum_t certificate_datum, key_datum;
	size_t size = 0;
	int status;

	certificate = http_tls_read(tls, &config->certificate, &size, diag);
	if (certificate == NULL)
		return -EINVAL;
	certificate_datum =
	    (gnutls_datum_t){.data = (unsigned char *)certificate, .size = (unsigned int)size};
	key = http_tls_read(tls, &config->key, &size, diag);
	if (key == NULL)
		return -EINVAL;
	key_datum = (gnutls_datum_t){.data = (unsigned char *)key, .size = (unsigned int)size};
	status = gnutls_certificate_set_x509_key_mem(tls->credentials, &certificate_datum,
						     &key_datum, GNUTLS_X509_FMT_PEM);
	explicit_bzero(key, size);
	if (status < 0)
		return diag_error(
		    diag, -EINVAL, "%s:%d: %s and %s are no certificate and its key in PEM: %s",
		    tls->path, config->certificate.line, http_source_name(&config->certificate),
		    http_source_name(&config->key), gnutls_strerror(status));
	return 0;
}

static int http_tls_load_trust(struct http_tls *tls, struct diag *diag)
{
	const struct web_source *source = &tls->config->client_ca;
	cleanup_free char *text = NULL;
	gnutls_datum_t datum;
	size_t size = 0;
	int status;

	if (tls->config->client_auth != WEB_CLIENT_VERIFY_IF_GIVEN &&
	    tls->config->client_auth != WEB_CLIENT_REQUIRE_AND_VERIFY)
		return 0;
	if (source->path == NULL && source->text == NULL) {
		/* As Go: the authorities that the machine trusts. */
		status = gnutls_certificate_set_x509_system_trust(tls->credentials);
		if (status <= 0)
			return diag_error(diag, -EINVAL,
					  "%s: this machine trusts no certificate authority; name "
					  "one: client_ca_file",
					  tls->path);
		return 0;
	}
	text = http_tls_read(tls, source, &size, diag);
	if (text == NULL)
		return -EINVAL;
	datum = (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned int)size};
	status =
	    gnutls_certificate_set_x509_trust_mem(tls->credentials, &datum, GNUTLS_X509_FMT_PEM);
	if (status <= 0)
		return diag_error(diag, -EINVAL, "%s:%d: %s has no certificate in PEM", tls->path,
				  source->line, http_source_name(source));
	return 0;
}

int http_tls_create(const struct web_tls *config, const char *path, struct http_tls **ret_tls,
		    struct diag *diag)
{
	cleanup_http_tls struct http_tls *tls = malloc(sizeof(*tls));
	int status;

	if (tls == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*tls = (struct http_tls){
	    .config = config, .path = path, .credentials = NULL, .priority = NULL};
	if (gnutls_certificate_allocate_credentials(&tls->credentials) < 0)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = http_tls_load_pair(tls, diag);
	if (status == 0)
		status = http_tls_load_trust(tls, diag);
	if (status == 0)
		status = http_tls_set_priority(tls, diag);
	if (status < 0)
		return status;
	*ret_tls = TAKE_PTR(tls);
	return 0;
}

void http_tls_destroy(struct http_tls *tls)
{
	if (tls == NULL)
		return;
	if (tls->priority != NULL)
		gnutls_priority_deinit(tls->priority);
	if (tls->credentials != NULL)
		gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

/* Whether one of a certificate's names (DNS, e-mail, URI, address) is in the list. */
static bool http_tls_is_allowed(const struct web_list *list, gnutls_x509_crt_t certificate)
{
	for (unsigned int i = 0;; i++) {
		char name[1024], text[INET6_ADDRSTRLEN];
		unsigned int type = 0;
		size_t size = sizeof(name) - 1;
		int status =
		    gnutls_x509_crt_get_subject_alt_name2(certificate, i, name, &size, &type, NULL);
		const char *shown = name;

		if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return false;
		if (status < 0)
			continue;
		name[size < sizeof(name) ? size : sizeof(name) - 1] = '\0';
		if (type == GNUTLS_SAN_IPADDRESS)
			shown = inet_ntop(size == 4 ? AF_INET : AF_INET6, name, text, sizeof(text));
		else if (strlen(name) != size)
			continue; /* a NUL within: not the name that it seems to be */
		for (size_t j = 0; shown != NULL && j < list->count; j++)
			if (strcmp(list->entries[j], shown) == 0)
				return true;
	}
}

/* GnuTLS's callback for a client's certificate: 0, or the handshake fails. */
static int http_tls_verify(gnutls_session_t session)
{
	const struct http_tls *tls = gnutls_session_get_ptr(session);
	unsigned int count = 0, problems = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t certificate;
	bool allowed;

	if (list == NULL || count == 0)
		return tls->config->client_auth == WEB_CLIENT_REQUIRE_ANY ||
			       tls->config->client_auth == WEB_CLIENT_REQUIRE_AND_VERIFY
			   ? GNUTLS_E_CERTIFICATE_ERROR
			   : 0;
	if (tls->config->client_auth == WEB_CLIENT_VERIFY_IF_GIVEN ||
	    tls->config->client_auth == WEB_CLIENT_REQUIRE_AND_VERIFY) {
		gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
						 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
						 .size = 0};

		if (gnutls_certificate_verify_peers(session, &purpose, 1, &problems) < 0 ||
		    problems != 0)
			return GNUTLS_E_CERTIFICATE_ERROR;
	}
	if (tls->config->client_sans.count == 0)
		return 0;
	if (gnutls_x509_crt_init(&certificate) < 0)
		return GNUTLS_E_MEMORY_ERROR;
	allowed = gnutls_x509_crt_import(certificate, &list[0], GNUTLS_X509_FMT_DER) >= 0 &&
		  http_tls_is_allowed(&tls->config->client_sans, certificate);
	gnutls_x509_crt_deinit(certificate);
	return allowed ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

int http_tls_attach(const struct http_tls *tls, gnutls_session_t session)
{
	void *self;

	/* GnuTLS's pointer is only not const. */
	memcpy(&self, &tls, sizeof(self));
	gnutls_session_set_ptr(session, self);
	if (gnutls_priority_set(session, tls->priority) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
		return -EPROTO;
	switch (tls->config->client_auth) {
	case WEB_CLIENT_UNSET:
	case WEB_CLIENT_NONE:
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_IGNORE);
		return 0;
	case WEB_CLIENT_REQUEST:
	case WEB_CLIENT_VERIFY_IF_GIVEN:
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
		break;
	case WEB_CLIENT_REQUIRE_ANY:
	case WEB_CLIENT_REQUIRE_AND_VERIFY:
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
		break;
	}
	gnutls_session_set_verify_function(session, http_tls_verify);
	return 0;
}
