/*
 * http_loop_internal.h: the loop as its two halves see it: http_loop.c, the connections, and
 * http_request.c, what they ask.
 */
#ifndef WATTPORT_COMMON_HTTP_LOOP_INTERNAL_H
#define WATTPORT_COMMON_HTTP_LOOP_INTERNAL_H

#include "common/http_loop.h"

#include <microhttpd.h>
#include <stdbool.h>

struct http_loop {
	struct http_server_options options;
	const struct clock *clock;
	struct http_checker *checker;
	struct http_guard *guard; /* NULL: none was ever given */
	bool tls;
	struct MHD_Daemon *daemon;
	struct http_seat *arriving; /* while libmicrohttpd is given its connection */
	struct http_seats seats;
};

struct mono_time http_loop_now(const struct http_loop *loop);

/* The seat of a connection; NULL where it has none any more. */
struct http_seat *http_seat_of(struct MHD_Connection *connection);

/* libmicrohttpd's MHD_AccessHandlerCallback, with the loop as its context. */
enum MHD_Result http_request_handle(void *context, struct MHD_Connection *connection,
				    const char *path, const char *method, const char *version,
				    const char *upload, size_t *upload_size, void **state);

#endif
