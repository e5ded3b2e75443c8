/*
 * http_answer.h: what a handler filled in, into libmicrohttpd's response.
 *
 * Of http_loop.c: compression, the headers that every answer carries, and those that the web
 * configuration adds. One thread.
 */
#ifndef WATTPORT_COMMON_HTTP_ANSWER_H
#define WATTPORT_COMMON_HTTP_ANSWER_H

#include "common/http_server.h"
#include "common/web_config.h"

#include <microhttpd.h>

#define HTTP_TEXT "text/plain; charset=utf-8"

/* An empty 200. */
void http_response_init(struct http_response *response);

/* A sentence, in the place of what is there. */
void http_response_set(struct http_response *response, unsigned int status, const char *body);

/*
 * Queues it, and frees what it holds. `headers` may be NULL. MHD_NO: out of memory, the connection
 * ends.
 */
enum MHD_Result http_answer_queue(struct MHD_Connection *connection, struct http_response *response,
				  const struct web_headers *headers);

#endif
