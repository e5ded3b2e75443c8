/*
 * http_users.h: who may ask, by basic authentication (RFC 7617), and who is known already.
 *
 * A check of a password costs bcrypt's tens of milliseconds: on purpose, and too much for the
 * thread that answers. So this says what is known at once, and http_checker.c finds out the rest.
 * What was found is kept as a keyed hash, never as a password: for each user what was right, and
 * the last HTTP_REFUSED_MAX that were wrong, so that a scraper with a wrong password costs one
 * check and not one a scrape. Refusals cannot push out what is right. A name that is nobody's costs
 * a check, too, and so cannot be told from one with a wrong password. One thread.
 */
#ifndef WATTPORT_COMMON_HTTP_USERS_H
#define WATTPORT_COMMON_HTTP_USERS_H

#include "common/web_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PASSWORD_SIZE 256 /* bcrypt takes 72 bytes into account */
#define HTTP_REFUSED_MAX   64
#define HTTP_DIGEST_SIZE   32 /* SHA-256 */

enum http_verdict {
	HTTP_VERDICT_GRANTED, /* also: nobody needs to say who they are */
	HTTP_VERDICT_DENIED,
	HTTP_VERDICT_UNKNOWN, /* its password has to be checked */
};

struct http_credentials {
	char user[WEB_USER_SIZE];
	char password[HTTP_PASSWORD_SIZE];
};

struct http_digest {
	uint8_t bytes[HTTP_DIGEST_SIZE];
};

struct http_users;

/* The configuration must live as long. -ENOMEM or -EIO (no random numbers). */
int http_users_create(const struct web_config *config, struct http_users **ret_users);
void http_users_destroy(struct http_users *users);

/* The value of an Authorization header: -EINVAL where it is none of basic authentication. */
int http_credentials_parse(const char *authorization, struct http_credentials *ret_credentials);

/* What is known of a request with that header (or NULL). UNKNOWN: *ret_credentials are to check. */
enum http_verdict http_users_ask(const struct http_users *users, const char *authorization,
				 struct http_credentials *ret_credentials);

/*
 * The hash that a password is to be checked against; a decoy, which no password is right for,
 * for a name that is nobody's. It lives as long as the users.
 */
const char *http_users_hash(const struct http_users *users, const char *name, bool *ret_decoy);

/* What stands for credentials in http_users_learn(); none can be had from it. */
struct http_digest http_users_digest(const struct http_users *users,
				     const struct http_credentials *credentials);

/* The outcome of a check. */
void http_users_learn(struct http_users *users, const struct http_digest *digest, bool right);

static inline void cleanup_http_users_value(struct http_users *const *users)
{
	http_users_destroy(*users);
}
#define cleanup_http_users __attribute__((cleanup(cleanup_http_users_value)))

#endif
