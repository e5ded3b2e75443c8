/*
 * http_guard.h: one reading of the web configuration, with all that was made of it.
 *
 * TLS, headers and users stand and fall together: a new reading is a new guard, and the old one
 * goes when the last connection that began under it has ended. It is constant, but for its users,
 * which are the loop's thread's; holders are counted in any thread.
 */
#ifndef WATTPORT_COMMON_HTTP_GUARD_H
#define WATTPORT_COMMON_HTTP_GUARD_H

#include "common/http_tls.h"
#include "common/http_users.h"
#include "common/web_config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

struct http_guard {
	struct web_config config;
	struct http_tls *tls; /* NULL: plain HTTP */
	struct http_users *users;
	atomic_uint holders;
};

/* Reads the file and what it names. The caller holds it. */
int http_guard_open(const char *path, struct http_guard **ret_guard, struct diag *diag);

/* The same of a configuration that was read already, and is now the guard's. */
int http_guard_create(struct web_config *config, struct http_guard **ret_guard, struct diag *diag);

struct http_guard *http_guard_hold(struct http_guard *guard);
void http_guard_drop(struct http_guard *guard);

/*
 * When its files were last changed, renamed or put in the place of others: where that differs from
 * before, there is something new to read. All zero where none can be seen.
 */
struct timespec http_guard_changed(const struct http_guard *guard);

/* The first of its files that holds a secret and may be read by everybody, or NULL. */
const char *http_guard_exposed(const struct http_guard *guard);

static inline void cleanup_http_guard_value(struct http_guard *const *guard)
{
	http_guard_drop(*guard);
}
#define cleanup_http_guard __attribute__((cleanup(cleanup_http_guard_value)))

#endif
