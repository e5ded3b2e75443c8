#include "common/http_answer.h"
#include "common/accept.h"
#include "common/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

/*
 * A page of ours may load its own parts and ask its own server; nothing from or to anywhere else,
 * and nothing that stands in the page itself, where a name from outside could have got.
 */
#define HTTP_CONTENT_POLICY                                                                        \
	"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "                \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

void http_response_init(struct http_response *response)
{
	*response = (struct http_response){
	    .status = MHD_HTTP_OK, .content_type = HTTP_TEXT, .body = "", .body_size = 0};
}

void http_response_set(struct http_response *response, unsigned int status, const char *body)
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
static char *http_answer_compress(const struct http_response *response, size_t *ret_size)
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

static struct MHD_Response *http_answer_make(struct http_response *response, bool gzip)
{
	struct MHD_Response *made;
	void *body;

	if (gzip && response->body_size >= HTTP_GZIP_SIZE_MIN) {
		size_t size;
		char *compressed = http_answer_compress(response, &size);

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

/* A header of every answer, unless the operator gives it another value. */
static void http_answer_header(struct MHD_Response *made, const struct web_headers *headers,
			       const char *name, const char *value)
{
	for (size_t i = 0; headers != NULL && i < headers->count; i++)
		if (strcmp(headers->entries[i].name, name) == 0)
			return;
	(void)MHD_add_response_header(made, name, value);
}

enum MHD_Result http_answer_queue(struct MHD_Connection *connection, struct http_response *response,
				  const struct web_headers *headers)
{
	const char *coding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_ACCEPT_ENCODING);
	struct MHD_Response *made =
	    http_answer_make(response, accept_coding_quality(coding, "gzip") > 0);
	enum MHD_Result result;

	free(response->allocated);
	if (made == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(made, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	http_answer_header(made, headers, "X-Content-Type-Options", "nosniff");
	http_answer_header(made, headers, "Content-Security-Policy", HTTP_CONTENT_POLICY);
	for (size_t i = 0; headers != NULL && i < headers->count; i++)
		/* The toolkit: a header that is configured empty is left out. */
		if (headers->entries[i].value[0] != '\0')
			(void)MHD_add_response_header(made, headers->entries[i].name,
						      headers->entries[i].value);
	if (response->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (response->status == MHD_HTTP_UNAUTHORIZED)
		(void)MHD_add_response_header(made, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					      "Basic realm=\"wattport\", charset=\"UTF-8\"");
	if (response->status == MHD_HTTP_TOO_MANY_REQUESTS)
		(void)MHD_add_response_header(made, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	result = MHD_queue_response(connection, response->status, made);
	MHD_destroy_response(made);
	return result;
}
