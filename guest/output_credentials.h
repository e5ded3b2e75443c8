/*
 * output_credentials.h: who we are to the servers that outputs write to, from a file of its own.
 *
 * One line a server, named as it is in the output's URL (HOST or HOST:PORT), so that a password
 * goes to the server that it is for and to no other:
 *
 *     influx.example:8086  basic  USER PASSWORD
 *     [::1]:8086           token  TOKEN          InfluxDB 2's, and 1.8's USER:PASSWORD
 *     127.0.0.1:8086       bearer TOKEN          a JSON web token
 *
 * Empty lines and lines that begin with # are skipped. Read once, by root. Immutable then.
 */
#ifndef WATTPORT_GUEST_OUTPUT_CREDENTIALS_H
#define WATTPORT_GUEST_OUTPUT_CREDENTIALS_H

#include "common/diag.h"

#include <stdbool.h>

#define OUTPUT_CREDENTIALS_SIZE_MAX 16384 /* of the file */
#define OUTPUT_CREDENTIALS_MAX	    16
#define OUTPUT_SECRET_SIZE	    2048

enum output_credential_kind {
	OUTPUT_BASIC,
	OUTPUT_TOKEN,
	OUTPUT_BEARER,
};

struct output_credential {
	const char *server;
	enum output_credential_kind kind;
	const char *user;   /* of OUTPUT_BASIC; else NULL */
	const char *secret; /* the password or token */
};

struct output_credentials;

/*
 * -errno with *diag, which never shows a secret. *ret_exposed: others than its owner may read the
 * file.
 */
int output_credentials_read(const char *path, struct output_credentials **ret_credentials,
			    bool *ret_exposed, struct diag *diag);
void output_credentials_destroy(struct output_credentials *credentials);

/* Of the server of that URL, or NULL. */
const struct output_credential *
output_credentials_find(const struct output_credentials *credentials, const char *url);

#endif
