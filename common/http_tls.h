/*
 * http_tls.h: the TLS of an HTTP server as the web configuration wants it, by GnuTLS.
 *
 * Opens certificates and keys once, when it is made (as root, where the process starts as root);
 * sessions are given to it as they come. It must outlive its sessions. After that it is constant:
 * any thread.
 */
#ifndef WATTPORT_COMMON_HTTP_TLS_H
#define WATTPORT_COMMON_HTTP_TLS_H

#include "common/diag.h"
#include "common/web_config.h"

#include <gnutls/gnutls.h>

struct http_tls;

/*
 * What stands in tls must live as long. -EINVAL, -ENOMEM; *diag says
 * which file and what is wrong with it.
 */
int http_tls_create(const struct web_tls *tls, const char *path, struct http_tls **ret_tls,
		    struct diag *diag);
void http_tls_destroy(struct http_tls *tls);

/* Makes a session of a new connection this one's: before its handshake. 0 or -EPROTO. */
int http_tls_attach(const struct http_tls *tls, gnutls_session_t session);

static inline void cleanup_http_tls_value(struct http_tls *const *tls)
{
	http_tls_destroy(*tls);
}
#define cleanup_http_tls __attribute__((cleanup(cleanup_http_tls_value)))

#endif
