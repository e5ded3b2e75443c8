/*
 * http_loop.h: connections of an HTTP server, without the thread and the socket that listens.
 *
 * Between http_server.c, which accepts, and libmicrohttpd, which speaks HTTP. It seats connections
 * (http_seats.h), ends those whose time is over, tells who speaks TLS to a plain port or the
 * reverse, holds back requests until their passwords are checked, and finds their routes. It never
 * blocks: http_loop_run() does what can be done now. One thread, but for the checker's part.
 */
#ifndef WATTPORT_COMMON_HTTP_LOOP_H
#define WATTPORT_COMMON_HTTP_LOOP_H

#include "common/clock.h"
#include "common/http_checker.h"
#include "common/http_guard.h"
#include "common/http_server.h"

#include <stddef.h>
#include <sys/socket.h>

struct http_loop;

/*
 * Routes and their context are copied from the options. `guard` may be NULL: plain HTTP for
 * everybody; whether TLS is spoken is decided by it for good. The clock and the checker must
 * outlive the loop; the guard is held.
 */
int http_loop_create(const struct http_server_options *options, struct http_guard *guard,
		     struct http_checker *checker, const struct clock *clock,
		     struct http_loop **ret_loop);
void http_loop_destroy(struct http_loop *loop);

/* From now on this one, for new connections and new requests. */
void http_loop_set_guard(struct http_loop *loop, struct http_guard *guard);

/* Takes the connection, which is closed on failure; another one may have to go for it. */
int http_loop_add(struct http_loop *loop, int fd, const struct sockaddr *name, socklen_t size);

/* Ends the connection that has waited longest: where descriptors have run out. */
void http_loop_shed(struct http_loop *loop);

/* One round. */
void http_loop_run(struct http_loop *loop);

/* Readable when there is something to do for http_loop_run(). */
int http_loop_fd(const struct http_loop *loop);

/* After how many milliseconds there is in any case, for poll(2); -1: never. */
int http_loop_timeout_ms(const struct http_loop *loop);

/* How many connections there are. */
size_t http_loop_count(const struct http_loop *loop);

static inline void cleanup_http_loop_value(struct http_loop *const *loop)
{
	http_loop_destroy(*loop);
}
#define cleanup_http_loop __attribute__((cleanup(cleanup_http_loop_value)))

#endif
