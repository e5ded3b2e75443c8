/*
 * http_server.h: answers GET and HEAD on a few paths, for the views of host and guest.
 *
 * Built on libmicrohttpd. One thread of the server's own runs all handlers, one after the other:
 * they need no locks among themselves. Everything that a client can make grow is bounded:
 * connections, memory and idle time of each. Bodies are compressed for clients that like gzip.
 */
#ifndef WATTPORT_COMMON_HTTP_SERVER_H
#define WATTPORT_COMMON_HTTP_SERVER_H

#include "common/diag.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_CONNECTION_MAX	   64
#define HTTP_CONNECTION_PER_IP_MAX 32
#define HTTP_CONNECTION_MEMORY_MAX ((size_t)32 << 10) /* request head and buffers of one */
#define HTTP_IDLE_SECONDS_MAX	   15
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
	void *context; /* of the handlers */
};

struct http_server;

/*
 * Binds and listens, but answers nobody yet: what may need privilege is then done. The routes must
 * outlive the server. -EINVAL: not an address; else the error of binding, with *diag telling what
 * to do.
 */
int http_server_open(const struct http_server_options *options, struct http_server **ret_server,
		     struct diag *diag);

/* Starts the thread, which inherits the signal mask. */
int http_server_start(struct http_server *server, struct diag *diag);

/* Where it listens: the port that the kernel chose for ":0". */
uint16_t http_server_port(const struct http_server *server);

/* Ends the thread and every connection. */
void http_server_close(struct http_server *server);

static inline void cleanup_http_server_value(struct http_server *const *server)
{
	http_server_close(*server);
}
#define cleanup_http_server __attribute__((cleanup(cleanup_http_server_value)))

#endif
