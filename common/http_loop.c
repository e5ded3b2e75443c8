#include "common/http_loop.h"
#include "common/cleanup.h"
#include "common/http_loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <limits.h>
#include <sys/socket.h>

/* What is read of a greeting in the wrong language, at most: the rest may come to nobody. */
#define HTTP_GREETING_SIZE ((size_t)64 << 10)

/* TLS's record of a handshake (RFC 8446, 5.1). */
#define TLS_RECORD_HANDSHAKE 0x16

struct mono_time http_loop_now(const struct http_loop *loop)
{
	return clock_now_mono(loop->clock);
}

struct http_seat *http_seat_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

/*
 * Shut down, a connection reads its end and fails to write: libmicrohttpd then closes it in its
 * next round, and tells so to http_notify(), which frees the seat.
 */
static void http_loop_end(struct http_loop *loop, struct http_seat *seat)
{
	bool suspended = seat->phase == HTTP_PHASE_CHECKING;

	if (seat->ticket != 0)
		http_checker_cancel(loop->checker, seat->ticket);
	seat->ticket = 0;
	http_seat_enter(seat, HTTP_PHASE_ENDING, http_loop_now(loop));
	(void)shutdown(seat->fd, SHUT_RDWR);
	if (suspended)
		MHD_resume_connection(seat->connection);
}

/* libmicrohttpd tells of a connection's first and last moment. */
static void http_notify(void *context, struct MHD_Connection *connection, void **socket_context,
			enum MHD_ConnectionNotificationCode code)
{
	struct http_loop *loop = context;
	struct http_seat *seat;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		seat = loop->arriving;
		seat->connection = connection;
		*socket_context = seat;
		return;
	}
	seat = *socket_context;
	if (seat == NULL)
		return;
	if (seat->ticket != 0)
		http_checker_cancel(loop->checker, seat->ticket);
	http_guard_drop(seat->guard);
	*seat = (struct http_seat){.phase = HTTP_PHASE_FREE, .fd = -1};
}

/* The type is libmicrohttpd's. An answer is out, or came to nothing. */
static void http_completed(void *context, struct MHD_Connection *connection, void **state,
			   enum MHD_RequestTerminationCode code)
{
	struct http_loop *loop = context;
	struct http_seat *seat = http_seat_of(connection);

	(void)state;
	(void)code;
	if (seat != NULL && seat->phase == HTTP_PHASE_ANSWERING)
		http_seat_enter(seat, HTTP_PHASE_KEPT, http_loop_now(loop));
}

/* Every session brings its credentials; this only lets libmicrohttpd start without any. */
/* NOLINTNEXTLINE(readability-function-size): the type is GnuTLS's. */
static int http_no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
			       int authority_count, const gnutls_pk_algorithm_t *algorithms,
			       int algorithm_count, gnutls_pcert_st **pcert,
			       unsigned int *pcert_length, gnutls_privkey_t *key)
{
	(void)session;
	(void)authorities;
	(void)authority_count;
	(void)algorithms;
	(void)algorithm_count;
	(void)pcert;
	(void)pcert_length;
	(void)key;
	return -1;
}

static struct MHD_Daemon *http_loop_start(struct http_loop *loop)
{
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
	const struct MHD_OptionItem limits[] = {
	    {MHD_OPTION_CONNECTION_LIMIT, HTTP_SEAT_MAX, NULL},
	    {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)HTTP_CONNECTION_MEMORY_MAX, NULL},
	    {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
	    {MHD_OPTION_END, 0, NULL},
	};

	if (loop->tls)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, http_request_handle, loop,
				MHD_OPTION_NOTIFY_CONNECTION, http_notify, loop,
				MHD_OPTION_NOTIFY_COMPLETED, http_completed, loop, MHD_OPTION_ARRAY,
				limits, loop->tls ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END,
				http_no_certificate, MHD_OPTION_END);
}

int http_loop_create(const struct http_server_options *options, struct http_guard *guard,
		     struct http_checker *checker, const struct clock *clock,
		     struct http_loop **ret_loop)
{
	struct http_loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return -ENOMEM;
	loop->options = *options;
	loop->clock = clock;
	loop->checker = checker;
	loop->guard = http_guard_hold(guard);
	loop->tls = guard != NULL && guard->tls != NULL;
	loop->daemon = http_loop_start(loop);
	if (loop->daemon == NULL) {
		http_guard_drop(loop->guard);
		free(loop);
		return -EAGAIN;
	}
	*ret_loop = loop;
	return 0;
}

void http_loop_destroy(struct http_loop *loop)
{
	if (loop == NULL)
		return;
	for (size_t i = 0; i < HTTP_SEAT_MAX; i++)
		if (loop->seats.seats[i].phase == HTTP_PHASE_CHECKING)
			http_loop_end(loop, &loop->seats.seats[i]);
	/* A connection that is suspended must not be left when the daemon stops. */
	(void)MHD_run(loop->daemon);
	MHD_stop_daemon(loop->daemon);
	http_guard_drop(loop->guard);
	free(loop);
}

void http_loop_set_guard(struct http_loop *loop, struct http_guard *guard)
{
	assert((guard->tls != NULL) == loop->tls);
	http_guard_drop(loop->guard);
	loop->guard = http_guard_hold(guard);
}

static int http_loop_attach_tls(struct http_loop *loop, struct http_seat *seat)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(seat->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (info == NULL || info->tls_session == NULL)
		return -EPROTO;
	seat->guard = http_guard_hold(loop->guard);
	return http_tls_attach(loop->guard->tls, info->tls_session);
}

int http_loop_add(struct http_loop *loop, int fd, const struct sockaddr *name, socklen_t size)
{
	struct http_network network = http_network_of(name);
	struct http_seat *victim = http_seats_victim(&loop->seats, &network);
	struct http_seat *seat = http_seats_take(&loop->seats, &network, http_loop_now(loop));
	int status = 0;

	if (seat == NULL) {
		(void)close(fd);
		return -EBUSY;
	}
	if (victim != NULL)
		http_loop_end(loop, victim);
	seat->fd = fd;
	loop->arriving = seat;
	if (MHD_add_connection(loop->daemon, fd, name, size) != MHD_YES) {
		/* libmicrohttpd closes it. */
		*seat = (struct http_seat){.phase = HTTP_PHASE_FREE, .fd = -1};
		return -ENOMEM;
	}
	if (loop->tls)
		status = http_loop_attach_tls(loop, seat);
	if (status < 0)
		http_loop_end(loop, seat);
	return status;
}

void http_loop_shed(struct http_loop *loop)
{
	struct http_seat *oldest = NULL;

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &loop->seats.seats[i];

		if (seat->phase != HTTP_PHASE_FREE && seat->phase != HTTP_PHASE_ENDING &&
		    (oldest == NULL || seat->since.ns < oldest->since.ns))
			oldest = seat;
	}
	if (oldest != NULL)
		http_loop_end(loop, oldest);
}

/*
 * Who speaks TLS to a plain port, or plain HTTP to one of TLS, is told so, in the words of HTTP:
 * clients of both kinds show them. The library would wait for a line, or send an alert.
 */
static void http_loop_greet(struct http_loop *loop, struct http_seat *seat)
{
	static const char plain[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
				    "Content-Type: text/plain\r\nContent-Length: 41\r\n\r\n"
				    "this port speaks plain HTTP: use http://\n";
	static const char tls[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
				  "Content-Type: text/plain\r\nContent-Length: 35\r\n\r\n"
				  "this port speaks TLS: use https://\n";
	const char *text = loop->tls ? tls : plain;
	unsigned char first;
	char rest[4096];
	size_t taken = 0;
	ssize_t size;

	if (recv(seat->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return; /* nothing is there yet, or nothing will ever be */
	seat->greeted = true;
	if (loop->tls ? (first < 'A' || first > 'Z') : first != TLS_RECORD_HANDSHAKE)
		return;
	/* Bytes that nobody reads would make a reset of the end, and the text be lost. */
	do {
		size = recv(seat->fd, rest, sizeof(rest), MSG_DONTWAIT);
		taken += size > 0 ? (size_t)size : 0;
	} while (size > 0 && taken < HTTP_GREETING_SIZE);
	(void)send(seat->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	http_loop_end(loop, seat);
}

static void http_loop_take_verdicts(struct http_loop *loop)
{
	struct http_check check;

	while (http_checker_take(loop->checker, &check)) {
		if (loop->guard != NULL)
			http_users_learn(loop->guard->users, &check.digest, check.right);
		for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
			struct http_seat *seat = &loop->seats.seats[i];

			if (seat->phase != HTTP_PHASE_CHECKING || seat->ticket != check.ticket)
				continue;
			seat->ticket = 0;
			seat->granted = check.right;
			http_seat_enter(seat, HTTP_PHASE_ANSWERING, http_loop_now(loop));
			MHD_resume_connection(seat->connection);
		}
	}
}

static bool http_loop_is_busy(const struct http_loop *loop)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	return MHD_get_timeout(loop->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

/*
 * Whoever has sent all and closed its side: libmicrohttpd, which waits for a change that epoll(7)
 * tells of once, does not see an end that came together with the last bytes.
 */
static void http_loop_end_closed(struct http_loop *loop)
{
	unsigned char next;

	if (http_loop_is_busy(loop))
		return; /* it still has requests in its hands */
	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &loop->seats.seats[i];

		if ((seat->phase == HTTP_PHASE_NEW || seat->phase == HTTP_PHASE_KEPT) &&
		    recv(seat->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			http_loop_end(loop, seat);
	}
}

void http_loop_run(struct http_loop *loop)
{
	struct mono_time now = http_loop_now(loop);

	if (loop->checker != NULL)
		http_loop_take_verdicts(loop);
	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &loop->seats.seats[i];

		if (seat->phase == HTTP_PHASE_NEW && !seat->greeted)
			http_loop_greet(loop, seat);
		if (http_seat_overdue(seat, now))
			http_loop_end(loop, seat);
	}
	(void)MHD_run(loop->daemon);
	http_loop_end_closed(loop);
}

int http_loop_fd(const struct http_loop *loop)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info->epoll_fd;
}

int http_loop_timeout_ms(const struct http_loop *loop)
{
	struct mono_time now = http_loop_now(loop);
	struct mono_time next = http_seats_next(&loop->seats);
	MHD_UNSIGNED_LONG_LONG library_ms;
	uint64_t ms = UINT64_MAX;

	if (next.ns != UINT64_MAX)
		/* Rounded up: woken a moment early, it would find nothing to do. */
		ms = clock_elapsed_ns(now, next) / CLOCK_NS_PER_MS + 1;
	if (MHD_get_timeout(loop->daemon, &library_ms) == MHD_YES && library_ms < ms)
		ms = library_ms;
	if (ms == UINT64_MAX)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

size_t http_loop_count(const struct http_loop *loop)
{
	return http_seats_living(&loop->seats);
}
