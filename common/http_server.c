/*
 * A request's way: http_handle() is called twice by libmicrohttpd, with the head and when the
 * request is complete. The first call turns away what is neither GET nor HEAD and what carries a
 * body, before any of it is read; the second one finds the route, runs its handler and hands the
 * body over. HEAD is answered like GET: libmicrohttpd leaves the body out.
 */
#include "common/http_server.h"
#include "common/accept.h"
#include "common/cleanup.h"
#include "common/http_address.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <zlib.h>

#define HTTP_TEXT "text/plain; charset=utf-8"

/* A page of ours may show itself and ask its own server; nothing from or to anywhere else. */
#define HTTP_CONTENT_POLICY                                                                        \
	"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "              \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct http_server {
	struct http_server_options options;
	struct MHD_Daemon *daemon;
	int fd; /* until the daemon owns it */
	uint16_t port;
};

static void http_response_set(struct http_response *response, unsigned int status, const char *body)
{
	free(response->allocated);
	*response = (struct http_response){
	    .status = status,
	    .content_type = HTTP_TEXT,
	    .body = body,
	    .body_size = strlen(body),
	};
}

/* The body in gzip's format, or NULL where that failed: it is then sent as it is. */
static char *http_compress(const struct http_response *response, size_t *ret_size)
{
	z_stream stream = {.next_in = NULL};
	cleanup_free char *compressed = NULL;
	uLong bound;
	int status;

	/* 15 bits of window, + 16: gzip instead of zlib's own head (zlib.h, deflateInit2). */
	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	bound = deflateBound(&stream, response->body_size);
	compressed = malloc(bound);
	if (compressed == NULL || bound > UINT32_MAX || response->body_size > UINT32_MAX) {
		(void)deflateEnd(&stream);
		return NULL;
	}
	/* zlib's interface is not const, but it does not write to its input. */
	memcpy(&stream.next_in, &response->body, sizeof(response->body));
	stream.avail_in = (uInt)response->body_size;
	stream.next_out = (Bytef *)compressed;
	stream.avail_out = (uInt)bound;
	status = deflate(&stream, Z_FINISH);
	*ret_size = stream.total_out;
	(void)deflateEnd(&stream);
	return status == Z_STREAM_END ? TAKE_PTR(compressed) : NULL;
}

static struct MHD_Response *http_make(struct http_response *response, bool gzip)
{
	struct MHD_Response *made;
	void *body;

	if (gzip && response->body_size >= HTTP_GZIP_SIZE_MIN) {
		size_t size;
		char *compressed = http_compress(response, &size);

		if (compressed != NULL) {
			made = MHD_create_response_from_buffer(size, compressed,
							       MHD_RESPMEM_MUST_FREE);
			if (made == NULL) {
				free(compressed);
				return NULL;
			}
			(void)MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_ENCODING,
						      "gzip");
			return made;
		}
	}
	/* libmicrohttpd copies it; its interface is only not const. */
	memcpy(&body, &response->body, sizeof(body));
	return MHD_create_response_from_buffer(response->body_size, body, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result http_send(struct MHD_Connection *connection, struct http_response *response)
{
	const char *coding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_ACCEPT_ENCODING);
	struct MHD_Response *made = http_make(response, accept_coding_quality(coding, "gzip") > 0);
	enum MHD_Result result;

	free(response->allocated);
	if (made == NULL)
		return MHD_NO; /* out of memory: the connection ends */
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	(void)MHD_add_response_header(made, "X-Content-Type-Options", "nosniff");
	(void)MHD_add_response_header(made, "Content-Security-Policy", HTTP_CONTENT_POLICY);
	if (response->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, response->status, made);
	MHD_destroy_response(made);
	return result;
}

static bool http_has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_TRANSFER_ENCODING);

	return coding != NULL || (length != NULL && strcmp(length, "0") != 0);
}

static void http_dispatch(const struct http_server *server, const struct http_request *request,
			  struct http_response *response)
{
	for (size_t i = 0; i < server->options.route_count; i++) {
		const struct http_route *route = &server->options.routes[i];

		if (strcmp(route->path, request->path) != 0)
			continue;
		if (route->handle(server->options.context, request, response) < 0)
			http_response_set(response, MHD_HTTP_INTERNAL_SERVER_ERROR,
					  "this page cannot be made now; try again\n");
		return;
	}
	http_response_set(response, MHD_HTTP_NOT_FOUND, "there is no such page\n");
}

/* The type is libmicrohttpd's MHD_AccessHandlerCallback: more parameters than we would choose. */
/* NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result http_handle(void *context, struct MHD_Connection *connection,
				   const char *path, const char *method, const char *version,
				   const char *upload, size_t *upload_size, void **state)
{
	static char head_seen; /* only its address counts */
	const struct http_server *server = context;
	struct http_response response = {.status = MHD_HTTP_OK,
					 .content_type = HTTP_TEXT,
					 .body = "",
					 .body_size = 0,
					 .allocated = NULL};
	const struct http_request request = {
	    .path = path,
	    .accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
	};

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		http_response_set(&response, MHD_HTTP_METHOD_NOT_ALLOWED,
				  "only GET and HEAD are answered here\n");
		return http_send(connection, &response);
	}
	if (http_has_body(connection)) {
		http_response_set(&response, MHD_HTTP_BAD_REQUEST, "a body is not expected here\n");
		return http_send(connection, &response);
	}
	if (*state == NULL) {
		*state = &head_seen;
		return MHD_YES;
	}
	if (*upload_size != 0)
		return MHD_NO;
	http_dispatch(server, &request, &response);
	return http_send(connection, &response);
}

static int http_bound_port(int fd, uint16_t *ret_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} name = {.in6 = {.sin6_port = 0}};
	socklen_t size = sizeof(name);

	if (getsockname(fd, &name.any, &size) < 0)
		return -errno;
	*ret_port = ntohs(name.any.sa_family == AF_INET6 ? name.in6.sin6_port : name.in.sin_port);
	return 0;
}

int http_server_open(const struct http_server_options *options, struct http_server **ret_server,
		     struct diag *diag)
{
	cleanup_http_server struct http_server *server = malloc(sizeof(*server));
	struct http_address address;
	int status;

	if (server == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*server = (struct http_server){.options = *options, .daemon = NULL, .fd = -1};
	status = http_address_parse(options->listen, &address, diag);
	if (status == 0)
		status = http_address_listen(&address, &server->fd, diag);
	if (status < 0) {
		diag_prefix(diag, "%s=%s", options->listen_option, options->listen);
		return status;
	}
	status = http_bound_port(server->fd, &server->port);
	if (status < 0)
		return diag_error(diag, status, "cannot see the port: %s", strerror(-status));
	*ret_server = TAKE_PTR(server);
	return 0;
}

int http_server_start(struct http_server *server, struct diag *diag)
{
	const struct MHD_OptionItem limits[] = {
	    {MHD_OPTION_LISTEN_SOCKET, server->fd, NULL},
	    {MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTION_MAX, NULL},
	    {MHD_OPTION_PER_IP_CONNECTION_LIMIT, HTTP_CONNECTION_PER_IP_MAX, NULL},
	    {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)HTTP_CONNECTION_MEMORY_MAX, NULL},
	    {MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_SECONDS_MAX, NULL},
	    {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
	    {MHD_OPTION_END, 0, NULL},
	};

	server->daemon =
	    MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, http_handle,
			     server, MHD_OPTION_ARRAY, limits, MHD_OPTION_END);
	if (server->daemon == NULL)
		return diag_error(diag, -EAGAIN,
				  "cannot start the HTTP server: no thread, descriptor or memory "
				  "left (see ulimit -a)");
	server->fd = -1; /* MHD_stop_daemon() closes it */
	return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_close(struct http_server *server)
{
	if (server == NULL)
		return;
	if (server->daemon != NULL)
		MHD_stop_daemon(server->daemon);
	if (server->fd >= 0)
		(void)close(server->fd);
	free(server);
}
