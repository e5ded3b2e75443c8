/*
 * output_curl.h: libcurl, loaded when an output goes over HTTP, and only then.
 *
 * libcurl brings some twenty libraries along (Kerberos, LDAP, SSH, ...), which an image that writes
 * nothing over HTTP should neither have nor load. Loaded by the main thread before its system calls
 * are filtered, for the filter lets no library in; kept for the life of the process.
 */
#ifndef WATTPORT_GUEST_OUTPUT_CURL_H
#define WATTPORT_GUEST_OUTPUT_CURL_H

#include "common/diag.h"

#include <curl/curl.h>

struct output_curl {
	__typeof__(&curl_global_init) global_init;
	__typeof__(&curl_easy_init) init;
	__typeof__(&curl_easy_cleanup) cleanup;
	__typeof__(&curl_easy_setopt) setopt;
	__typeof__(&curl_easy_perform) perform;
	__typeof__(&curl_easy_getinfo) getinfo;
	__typeof__(&curl_easy_strerror) strerror;
	__typeof__(&curl_slist_append) slist_append;
	__typeof__(&curl_slist_free_all) slist_free_all;
};

/* -ENOENT with *diag, which says what to install. */
int output_curl_load(struct output_curl *ret_curl, struct diag *diag);

#endif
