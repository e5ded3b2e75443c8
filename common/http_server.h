/*
 * http_server.h: answers GET and HEAD on a few paths, for the views of host and guest.
 *
 * Built on libmicrohttpd. One thread of the server's own runs all handlers, one after the other:
 * they need no locks among themselves. Everything that a client can make grow is bounded:
 * connections (http_seats.h), memory and time of each, passwords that wait for their check. Bodies
 * are compressed for clients that like gzip. TLS and passwords come from a web configuration
 * (web_config.h); its files are read when the server is opened, and again when it is told to.
 *
 *     http_address.c  where to listen
 *     http_server.c   the thread: accepts, and lets the loop run
 *     http_loop.c     connections, by libmicrohttpd
 *     http_request.c  what they ask, and who asks
 *     http_seats.c    who may stay
 *     http_answer.c   what goes out
 *     http_guard.c    one reading of the web configuration: web_config.c, http_tls.c, http_users.c
 *     http_checker.c  passwords, in a thread beside
 */
#ifndef WATTPORT_COMMON_HTTP_SERVER_H
#define WATTPORT_COMMON_HTTP_SERVER_H

#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CONNECTION_MEMORY_MAX ((size_t)32 << 10) /* request head and buffers of one */
#define HTTP_ARRIVAL_MAX	   16 /* connections that are taken between two rounds of answers */
#define HTTP_RELOAD_SECONDS	   30 /* how often programs look for renewed certificates */
#define HTTP_GZIP_SIZE_MIN	   1024 /* smaller bodies fit into a packet as they are */

struct http_request {
	const char *path;
	const char *accept; /* the Accept header, or NULL */
};

/* What a handler fills in; it comes as an empty 200 of text/plain. */
struct http_response {
	unsigned int status;
	const char *content_type; /* a literal */
	const char *body;	  /* must live until the handler is called again */
	size_t body_size;
	char *allocated; /* the server frees it when the body is sent: the body itself, or NULL */
};

struct http_route {
	const char *path; /* exact: "/metrics" */
	/* 0, or a negative errno that the client gets to see as 500. */
	int (*handle)(void *context, const struct http_request *request,
		      struct http_response *response);
};

struct http_server_options {
	const char *listen;	   /* "HOST:PORT", "[IPV6]:PORT", ":PORT" (every address) */
	const char *listen_option; /* how a person changes it, for messages: "--http.listen" */
	const struct http_route *routes;
	size_t route_count;
	void *context;		/* of the handlers */
	const char *web_config; /* the file of TLS and passwords (web_config.h); NULL: without */
};

struct http_server;

/*
 * Reads the web configuration and what it names, binds and listens, but answers nobody yet: what
 * may need privilege is then done. The routes must outlive the server. -EINVAL: not an address, or
 * a bad file; else the error of reading or binding, with *diag telling what to do.
 */
int http_server_open(const struct http_server_options *options, struct http_server **ret_server,
		     struct diag *diag);

/* Starts the threads, which inherit the signal mask. */
int http_server_start(struct http_server *server, struct diag *diag);

/* Whether it speaks TLS, for messages: "http" or "https". */
const char *http_server_scheme(const struct http_server *server);

/* A file with a key or a password's hash in it that everybody may read, or NULL: for a warning. */
const char *http_server_exposed(const struct http_server *server);

/*
 * Reads the web configuration again: always where `asked`, else only when one of its files was
 * changed since the last time. Returns 1 when new connections and requests go by it; 0 when there
 * was nothing to do; a negative errno with *diag when it is no good, or may not be read any more:
 * what was read before then goes on to hold. For the thread that opened the server.
 */
int http_server_reload(struct http_server *server, bool asked, struct diag *diag);

/* Where it listens: the port that the kernel chose for ":0". */
uint16_t http_server_port(const struct http_server *server);

/* Ends the threads and every connection. */
void http_server_close(struct http_server *server);

static inline void cleanup_http_server_value(struct http_server *const *server)
{
	http_server_close(*server);
}
#define cleanup_http_server __attribute__((cleanup(cleanup_http_server_value)))

#endif
