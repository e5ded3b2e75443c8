/*
 * A request's way: libmicrohttpd calls with the head, and when the request is complete. The first
 * call turns away what is neither GET nor HEAD and what carries a body, before any of it is read.
 * The second one asks who it is: known at once, or the connection is suspended until the checker
 * knows, and there is a third call. Then the route's handler is run and the body handed over. HEAD
 * is answered like GET: libmicrohttpd leaves the body out.
 */
#include "common/cleanup.h"
#include "common/http_answer.h"
#include "common/http_loop_internal.h"

#include <errno.h>

static const struct web_headers *http_loop_headers(const struct http_loop *loop)
{
	return loop->guard != NULL ? &loop->guard->config.headers : NULL;
}

static bool http_has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_TRANSFER_ENCODING);

	return coding != NULL || (length != NULL && strcmp(length, "0") != 0);
}

static void http_dispatch(const struct http_loop *loop, const struct http_request *request,
			  struct http_response *response)
{
	for (size_t i = 0; i < loop->options.route_count; i++) {
		const struct http_route *route = &loop->options.routes[i];

		if (strcmp(route->path, request->path) != 0)
			continue;
		if (route->handle(loop->options.context, request, response) < 0)
			http_response_set(response, MHD_HTTP_INTERNAL_SERVER_ERROR,
					  "this page cannot be made now; try again\n");
		return;
	}
	http_response_set(response, MHD_HTTP_NOT_FOUND, "there is no such page\n");
}

/* What is wrong with a request that will never be answered: 0, or the status of the refusal. */
static unsigned int http_refusal(struct MHD_Connection *connection, const char *method,
				 struct http_response *response)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		http_response_set(response, MHD_HTTP_METHOD_NOT_ALLOWED,
				  "only GET and HEAD are answered here\n");
	else if (http_has_body(connection))
		http_response_set(response, MHD_HTTP_BAD_REQUEST, "a body is not expected here\n");
	else
		return 0;
	return response->status;
}

static enum http_verdict http_loop_ask(const struct http_loop *loop,
				       struct MHD_Connection *connection,
				       struct http_credentials *ret_credentials)
{
	if (loop->guard == NULL)
		return HTTP_VERDICT_GRANTED;
	return http_users_ask(
	    loop->guard->users,
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
	    ret_credentials);
}

/* Suspends the connection until the checker knows; -EBUSY where too many wait for it already. */
static int http_loop_check(struct http_loop *loop, struct http_seat *seat,
			   const struct http_credentials *credentials)
{
	struct http_check check = {.ticket = ++loop->seats.ticket_last};
	int status;

	if (http_seats_count(&loop->seats, &seat->network, HTTP_PHASE_CHECKING) >=
	    HTTP_CHECK_PER_NETWORK_MAX)
		return -EBUSY;
	check.digest = http_users_digest(loop->guard->users, credentials);
	(void)snprintf(check.hash, sizeof(check.hash), "%s",
		       http_users_hash(loop->guard->users, credentials->user, &check.decoy));
	memcpy(check.password, credentials->password, sizeof(check.password));
	status = http_checker_submit(loop->checker, &check);
	explicit_bzero(check.password, sizeof(check.password));
	if (status < 0)
		return status;
	seat->ticket = check.ticket;
	http_seat_enter(seat, HTTP_PHASE_CHECKING, http_loop_now(loop));
	MHD_suspend_connection(seat->connection);
	return 0;
}

static enum MHD_Result http_deny(const struct http_loop *loop, struct MHD_Connection *connection,
				 struct http_response *response)
{
	http_response_set(response, MHD_HTTP_UNAUTHORIZED,
			  "say who you are: this needs a user and a password\n");
	return http_answer_queue(connection, response, http_loop_headers(loop));
}

/* The request is complete: who is it? Returns MHD_YES with *ret_go false where it is not let in. */
static enum MHD_Result http_admit(struct http_loop *loop, struct http_seat *seat,
				  struct http_response *response, bool *ret_go)
{
	struct http_credentials credentials;
	enum MHD_Result result = MHD_YES;

	*ret_go = seat->granted;
	if (seat->granted)
		return MHD_YES;
	switch (http_loop_ask(loop, seat->connection, &credentials)) {
	case HTTP_VERDICT_GRANTED:
		*ret_go = true;
		return MHD_YES;
	case HTTP_VERDICT_DENIED:
		return http_deny(loop, seat->connection, response);
	case HTTP_VERDICT_UNKNOWN:
		if (http_loop_check(loop, seat, &credentials) < 0) {
			http_response_set(response, MHD_HTTP_TOO_MANY_REQUESTS,
					  "too many passwords are being checked; try again\n");
			result =
			    http_answer_queue(seat->connection, response, http_loop_headers(loop));
		}
		explicit_bzero(&credentials, sizeof(credentials));
		return result;
	}
	return MHD_NO;
}

/* The type is libmicrohttpd's MHD_AccessHandlerCallback: more parameters than we would choose. */
/* NOLINTNEXTLINE(readability-function-size) */
enum MHD_Result http_request_handle(void *context, struct MHD_Connection *connection,
				    const char *path, const char *method, const char *version,
				    const char *upload, size_t *upload_size, void **state)
{
	static char head_seen; /* only its address counts */
	struct http_loop *loop = context;
	struct http_seat *seat = http_seat_of(connection);
	struct http_credentials credentials;
	struct http_response response;
	enum MHD_Result result;
	bool go = false;
	const struct http_request request = {
	    .path = path,
	    .accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
	};

	(void)version;
	(void)upload;
	if (seat == NULL || seat->phase == HTTP_PHASE_ENDING)
		return MHD_NO;
	http_response_init(&response);
	if (*state == NULL) {
		*state = &head_seen;
		seat->granted = false;
		http_seat_enter(seat, HTTP_PHASE_ANSWERING, http_loop_now(loop));
		if (http_refusal(connection, method, &response) == 0)
			return MHD_YES;
		/* Whoever may not read pages is not told what is wrong with asking for them. */
		if (http_loop_ask(loop, connection, &credentials) != HTTP_VERDICT_GRANTED)
			return http_deny(loop, connection, &response);
		return http_answer_queue(connection, &response, http_loop_headers(loop));
	}
	if (*upload_size != 0)
		return MHD_NO;
	result = http_admit(loop, seat, &response, &go);
	if (!go)
		return result;
	http_dispatch(loop, &request, &response);
	return http_answer_queue(connection, &response, http_loop_headers(loop));
}
