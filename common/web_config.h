/*
 * web_config.h: the file of --web.config.file: TLS, headers and passwords of an HTTP server.
 *
 * The YAML file that Prometheus and its exporters share (exporter-toolkit, web-configuration.md):
 * tls_server_config, http_server_config, basic_auth_users. A file that `promtool check web-config`
 * refuses is refused here too. What is read here is only words: http_tls.c opens certificates.
 * Unknown keys, keys that stand twice, bad values: refused, with file, line and what is allowed.
 *
 * Where it differs from the toolkit: HTTP/2 is taken and not spoken; a bcrypt cost above
 * WEB_COST_MAX is refused, since one check would take longer than a client waits; rate_limit is
 * not known. No state; any thread.
 */
#ifndef WATTPORT_COMMON_WEB_CONFIG_H
#define WATTPORT_COMMON_WEB_CONFIG_H

#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_FILE_SIZE_MAX ((size_t)256 << 10)
#define WEB_TEXT_SIZE_MAX 4096 /* of a path, a name, a header's value */
#define WEB_PEM_SIZE_MAX  ((size_t)64 << 10)
#define WEB_USER_MAX	  256
#define WEB_USER_SIZE	  128 /* a name, with its NUL */
#define WEB_HASH_SIZE	  61  /* of bcrypt, with its NUL */
#define WEB_COST_MIN	  4
#define WEB_COST_MAX	  16
#define WEB_HEADER_MAX	  5
#define WEB_LIST_MAX	  32 /* cipher suites, curves, names of clients */

/* In the order of their strictness, as Go's crypto/tls names them. */
enum web_client_auth {
	WEB_CLIENT_UNSET,
	WEB_CLIENT_NONE,
	WEB_CLIENT_REQUEST,
	WEB_CLIENT_REQUIRE_ANY,
	WEB_CLIENT_VERIFY_IF_GIVEN,
	WEB_CLIENT_REQUIRE_AND_VERIFY,
};

/* Words of the file; `lines` tells where each stands. */
struct web_list {
	size_t count;
	char *entries[WEB_LIST_MAX];
	int lines[WEB_LIST_MAX];
};

/* A file's path, from the process's directory, or its content; both NULL: not given. */
struct web_source {
	char *path;
	char *text;
	int line;
};

struct web_tls {
	bool given; /* whether TLS is spoken at all */
	struct web_source certificate;
	struct web_source key;
	struct web_source client_ca;
	enum web_client_auth client_auth;
	struct web_list client_sans; /* not empty: one of these must be in a client's certificate */
	int version_min;	     /* 10 to 13: TLS 1.0 to 1.3 */
	int version_max;
	bool server_precedence;
	struct web_list ciphers; /* Go's names; empty: the library's choice */
	struct web_list curves;
};

struct web_header {
	const char *name; /* a literal */
	char *value;
};

struct web_headers {
	size_t count;
	struct web_header entries[WEB_HEADER_MAX];
};

struct web_user {
	char name[WEB_USER_SIZE];
	char hash[WEB_HASH_SIZE];
};

struct web_config {
	char *path;
	struct web_tls tls;
	struct web_headers headers;
	size_t user_count;
	struct web_user *users;
};

/*
 * Reads the file. On success `config` is to be finished. -EINVAL, -EFBIG, the error of opening it;
 * *diag begins with file and line.
 */
int web_config_read(const char *path, struct web_config *ret_config, struct diag *diag);

/* The same of text that was read from `path`, which relative paths are relative to. */
int web_config_parse(const char *path, const char *text, size_t size, struct web_config *ret_config,
		     struct diag *diag);

/* A configuration that is all zero is finished already. */
void web_config_finish(struct web_config *config);

static inline void cleanup_web_config_value(struct web_config *config)
{
	web_config_finish(config);
}
#define cleanup_web_config __attribute__((cleanup(cleanup_web_config_value)))

#endif
