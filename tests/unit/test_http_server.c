/* http_server.h: over a real loopback socket, spoken to byte by byte. */
#include "common/cleanup.h"
#include "common/http_address.h"
#include "common/http_server.h"
#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <zlib.h>

#define REPLY_SIZE	 262144
#define LARGE_SIZE	 100000
#define CLIENT_COUNT	 8
#define REQUESTS_PER_ONE 25

/* Passwords that cost next to nothing: bcrypt of "secret" with the least cost. */
#define WEB_CONFIG                                                                                 \
	"basic_auth_users:\n  alice: "                                                             \
	"$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"

/* What the handlers see; only the server's thread touches the counters while it runs. */
struct fixture {
	struct http_server *server;
	char large[LARGE_SIZE];
	int inside;
	int overlaps;
	int handled;
};

static int handle_accept(void *context, const struct http_request *request,
			 struct http_response *response)
{
	(void)context;
	response->body = request->accept != NULL ? request->accept : "(none)";
	response->body_size = strlen(response->body);
	return 0;
}

static int handle_large(void *context, const struct http_request *request,
			struct http_response *response)
{
	struct fixture *fixture = context;

	(void)request;
	if (fixture->inside++ != 0)
		fixture->overlaps++;
	fixture->handled++;
	response->body = fixture->large;
	response->body_size = sizeof(fixture->large);
	fixture->inside--;
	return 0;
}

static int handle_allocated(void *context, const struct http_request *request,
			    struct http_response *response)
{
	(void)context;
	(void)request;
	response->allocated = strdup("allocated");
	response->body = response->allocated;
	response->body_size = strlen(response->body);
	response->status = 503;
	return 0;
}

static int handle_failure(void *context, const struct http_request *request,
			  struct http_response *response)
{
	(void)handle_allocated(context, request, response);
	return -EIO;
}

static const struct http_route routes[] = {
    {"/accept", handle_accept},
    {"/large", handle_large},
    {"/allocated", handle_allocated},
    {"/failure", handle_failure},
};

static int setup_with(void **state, const char *web_config)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct http_server_options options = {
	    .listen = "127.0.0.1:0",
	    .listen_option = "--http.listen",
	    .routes = routes,
	    .route_count = sizeof(routes) / sizeof(routes[0]),
	    .context = fixture,
	    .web_config = web_config,
	};

	if (fixture == NULL)
		return -1;
	for (size_t i = 0; i < sizeof(fixture->large); i++)
		fixture->large[i] = (char)('a' + i * i % 23);
	*state = fixture;
	if (http_server_open(&options, &fixture->server, NULL) < 0)
		return -1;
	return http_server_start(fixture->server, NULL);
}

static int setup(void **state)
{
	return setup_with(state, NULL);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	http_server_close(fixture->server);
	free(fixture);
	return 0;
}

/* A hung server fails the test instead of hanging it. */
static int dial(const struct fixture *fixture)
{
	const struct sockaddr_in name = {.sin_family = AF_INET,
					 .sin_port = htons(http_server_port(fixture->server)),
					 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	const struct timeval patience = {.tv_sec = 60, .tv_usec = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		(void)close(fd);
		return -errno;
	}
	return fd;
}

/* Sends a request and reads up to the end of the connection; the size, or a negative errno. */
static ssize_t talk(const struct fixture *fixture, const char *request, char *reply)
{
	cleanup_fd int fd = dial(fixture);
	size_t size = 0;

	if (fd < 0)
		return fd;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return -errno;
	for (;;) {
		ssize_t got = recv(fd, reply + size, REPLY_SIZE - 1 - size, 0);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	reply[size] = '\0';
	return (ssize_t)size;
}

/* The reply to a request, to be freed. */
static char *ask(const struct fixture *fixture, const char *request)
{
	char *reply = malloc(REPLY_SIZE);

	assert_non_null(reply);
	assert_true(talk(fixture, request, reply) >= 0);
	return reply;
}

static void assert_status(const char *reply, const char *status)
{
	if (strncmp(reply, "HTTP/1.1 ", 9) != 0 || strncmp(reply + 9, status, 3) != 0)
		fail_msg("not %s: %.200s", status, reply);
}

static const char *body_of(const char *reply)
{
	const char *end = strstr(reply, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

#define REQUEST(method, path, headers)                                                             \
	method " " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" headers "\r\n"

static void test_get(void **state)
{
	cleanup_free char *reply = ask(*state, REQUEST("GET", "/accept", "Accept: x/y;q=0.5\r\n"));

	assert_status(reply, "200");
	assert_string_equal(body_of(reply), "x/y;q=0.5");
	assert_non_null(strstr(reply, "Content-Type: text/plain"));
	assert_non_null(strstr(reply, "Vary: Accept, Accept-Encoding"));
	assert_null(strstr(reply, "Content-Encoding"));
}

static void test_query_is_not_the_path(void **state)
{
	cleanup_free char *reply = ask(*state, REQUEST("GET", "/accept?x=y", ""));

	assert_status(reply, "200");
	assert_string_equal(body_of(reply), "(none)");
}

static void test_head(void **state)
{
	cleanup_free char *reply = ask(*state, REQUEST("HEAD", "/large", ""));

	assert_status(reply, "200");
	assert_non_null(strstr(reply, "Content-Length: 100000\r\n"));
	assert_string_equal(body_of(reply), "");
}

static void test_status_of_the_handler(void **state)
{
	cleanup_free char *reply = ask(*state, REQUEST("GET", "/allocated", ""));

	assert_status(reply, "503");
	assert_string_equal(body_of(reply), "allocated");
}

static void test_handler_fails(void **state)
{
	cleanup_free char *reply = ask(*state, REQUEST("GET", "/failure", ""));

	assert_status(reply, "500");
	assert_null(strstr(reply, "allocated"));
}

static void test_unknown_path(void **state)
{
	static const char *const requests[] = {
	    REQUEST("GET", "/", ""),
	    REQUEST("GET", "/accept/", ""),
	    REQUEST("GET", "/../etc/passwd", ""),
	    REQUEST("GET", "/%00", ""),
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		cleanup_free char *reply = ask(*state, requests[i]);

		assert_status(reply, "404");
	}
}

static void test_other_methods(void **state)
{
	static const char *const requests[] = {
	    REQUEST("PUT", "/accept", ""),
	    REQUEST("DELETE", "/accept", ""),
	    REQUEST("OPTIONS", "/accept", ""),
	    REQUEST("BREW", "/accept", ""),
	    REQUEST("POST", "/accept", "Content-Length: 3\r\n") "abc",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		cleanup_free char *reply = ask(*state, requests[i]);

		assert_status(reply, "405");
		assert_non_null(strstr(reply, "Allow: GET, HEAD\r\n"));
	}
}

/* Whatever comes: an error or the end of the connection, and the server still serves. */
static void test_bad_requests(void **state)
{
	static const char *const requests[] = {
	    REQUEST("GET", "/accept", "Content-Length: 3\r\n") "abc",
	    REQUEST("GET", "/accept", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n",
	    "\r\n\r\n\r\n",
	    "GET\r\n\r\n",
	    "GET /accept HTTP/9.9\r\n\r\n",
	    "GET /accept HTTP/1.1\r\nHost\r\n\r\n",
	    "\x16\x03\x01\x02\r\n\r\n",
	    "GET /accept HTTP/1.1\r\n\r\n", /* HTTP/1.1 without Host */
	};
	cleanup_free char *reply = malloc(REPLY_SIZE);

	assert_non_null(reply);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct fixture *fixture = *state;
		cleanup_fd int fd = dial(fixture);
		ssize_t got;

		assert_true(fd >= 0);
		assert_true(send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL) > 0);
		(void)shutdown(fd, SHUT_WR);
		got = recv(fd, reply, REPLY_SIZE - 1, 0);
		if (got <= 0)
			continue;
		reply[got] = '\0';
		if (strncmp(reply, "HTTP/1.", 7) != 0 || reply[9] < '4')
			fail_msg("request %zu: %.80s", i, reply);
	}
	test_get(state);
}

/* A head larger than a connection's memory is refused, not stored. */
static void test_endless_head(void **state)
{
	const size_t size = HTTP_CONNECTION_MEMORY_MAX * 2;
	cleanup_free char *request = malloc(size + 1);
	cleanup_free char *reply = malloc(REPLY_SIZE);
	cleanup_fd int fd = dial(*state);
	int length;
	ssize_t got;

	assert_non_null(request);
	assert_non_null(reply);
	assert_true(fd >= 0);
	length = snprintf(request, size, "GET /accept HTTP/1.1\r\nHost: localhost\r\nX: ");
	memset(request + length, 'x', size - (size_t)length);
	(void)send(fd, request, size, MSG_NOSIGNAL);
	got = recv(fd, reply, REPLY_SIZE - 1, 0);
	if (got > 0) {
		reply[got] = '\0';
		assert_status(reply, "431");
	}
	test_get(state);
}

static void test_gzip(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_free char *reply = malloc(REPLY_SIZE);
	cleanup_free char *inflated = malloc(LARGE_SIZE + 1);
	z_stream stream = {.next_in = NULL};
	const char *body;
	ssize_t size;

	assert_non_null(reply);
	assert_non_null(inflated);
	size = talk(fixture, REQUEST("GET", "/large", "Accept-Encoding: deflate, gzip;q=0.5\r\n"),
		    reply);
	assert_true(size > 0);
	assert_status(reply, "200");
	assert_non_null(strstr(reply, "Content-Encoding: gzip\r\n"));
	body = body_of(reply);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	memcpy(&stream.next_in, &body, sizeof(body));
	stream.avail_in = (uInt)(size - (body - reply));
	assert_true(stream.avail_in < LARGE_SIZE);
	stream.next_out = (Bytef *)inflated;
	stream.avail_out = LARGE_SIZE + 1;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, LARGE_SIZE);
	(void)inflateEnd(&stream);
	assert_memory_equal(inflated, fixture->large, LARGE_SIZE);
}

static void test_gzip_declined(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_free char *reply =
	    ask(fixture, REQUEST("GET", "/large", "Accept-Encoding: gzip;q=0\r\n"));

	assert_null(strstr(reply, "Content-Encoding"));
	assert_memory_equal(body_of(reply), fixture->large, LARGE_SIZE);
}

static void *client(void *context)
{
	const struct fixture *fixture = context;
	cleanup_free char *reply = malloc(REPLY_SIZE);
	size_t good = 0;

	for (size_t i = 0; reply != NULL && i < REQUESTS_PER_ONE; i++) {
		ssize_t size = talk(fixture, REQUEST("GET", "/large", ""), reply);

		if (size > LARGE_SIZE &&
		    memcmp(reply + size - LARGE_SIZE, fixture->large, LARGE_SIZE) == 0)
			good++;
	}
	return good == REQUESTS_PER_ONE ? context : NULL;
}

static void test_concurrent_clients(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[CLIENT_COUNT];

	for (size_t i = 0; i < CLIENT_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, client, fixture), 0);
	for (size_t i = 0; i < CLIENT_COUNT; i++) {
		void *result = NULL;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, fixture);
	}
	/* Ending the server's thread makes its counters ours. */
	http_server_close(fixture->server);
	fixture->server = NULL;
	assert_int_equal(fixture->overlaps, 0);
	assert_int_equal(fixture->handled, CLIENT_COUNT * REQUESTS_PER_ONE);
}

/* A check that is over before the loop has looked away from its request must not be missed. */
static void test_quick_checks(void **state)
{
	static const char *const requests[] = {
	    REQUEST("GET", "/accept", "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"),
	    REQUEST("GET", "/accept", "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"),
	};
	struct tree tree;
	char path[128];

	tree_create(&tree);
	tree_write(&tree, "web.yml", "%s", WEB_CONFIG);
	(void)snprintf(path, sizeof(path), "%s/web.yml", tree.path);
	for (int i = 0; i < 100; i++) {
		struct fixture *fixture;

		/* Each server has to learn anew. */
		assert_int_equal(setup_with(state, path), 0);
		fixture = *state;
		for (size_t j = 0; j < 2; j++) {
			cleanup_free char *reply = ask(fixture, requests[j]);

			assert_status(reply, j == 0 ? "200" : "401");
		}
		assert_string_equal(http_server_scheme(fixture->server), "http");
		(void)teardown(state);
	}
	tree_remove(&tree);
}

static void test_reload(void **state)
{
	static const char asking[] = REQUEST("GET", "/accept", "");
	struct tree tree;
	struct fixture *fixture;
	struct diag diag = DIAG_INIT;
	char path[128];

	tree_create(&tree);
	tree_write(&tree, "web.yml", "{}\n");
	(void)snprintf(path, sizeof(path), "%s/web.yml", tree.path);
	assert_int_equal(setup_with(state, path), 0);
	fixture = *state;
	for (int round = 0; round < 2; round++) {
		cleanup_free char *reply = ask(fixture, asking);

		assert_status(reply, "200");
		assert_int_equal(http_server_reload(fixture->server, false, &diag), 0);
	}
	/* Put in its place, as editors do. */
	tree_write(&tree, "new.yml", "%s", WEB_CONFIG);
	assert_int_equal(renameat(tree.fd, "new.yml", tree.fd, "web.yml"), 0);
	assert_int_equal(http_server_reload(fixture->server, false, &diag), 1);
	assert_int_equal(http_server_reload(fixture->server, false, &diag), 0);
	/* The thread may not have taken it yet. */
	for (bool taken = false; !taken;) {
		cleanup_free char *reply = ask(fixture, asking);

		taken = strncmp(reply, "HTTP/1.1 401", 12) == 0;
	}
	tree_write(&tree, "web.yml", "basic_auth_users: x\n");
	assert_int_equal(http_server_reload(fixture->server, true, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "web.yml:1: basic_auth_users takes keys"));
	/* Told once. */
	assert_int_equal(http_server_reload(fixture->server, false, &diag), 0);
	(void)teardown(state);
	tree_remove(&tree);
}

static void test_bad_web_config(void **state)
{
	const struct http_server_options options = {.listen = "127.0.0.1:0",
						    .listen_option = "--http.listen",
						    .web_config = "/nonexistent/web.yml"};
	struct http_server *server = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(http_server_open(&options, &server, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "cannot read the web configuration /nonexistent/web"));
}

static void test_port_in_use(void **state)
{
	const struct fixture *fixture = *state;
	char address[32];
	struct http_server_options options = {.listen = address, .listen_option = "--http.listen"};
	struct http_server *second = NULL;
	struct diag diag = DIAG_INIT;

	(void)snprintf(address, sizeof(address), "127.0.0.1:%u",
		       (unsigned int)http_server_port(fixture->server));
	assert_int_equal(http_server_open(&options, &second, &diag), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(diag.text, "--http.listen=127.0.0.1:"));
	assert_non_null(strstr(diag.text, "ss -ltnp"));
}

static void test_not_an_address_of_ours(void **state)
{
	/* TEST-NET-1, RFC 5737: no machine has it. */
	const struct http_server_options options = {.listen = "192.0.2.1:0",
						    .listen_option = "--http.listen"};
	struct http_server *server = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(http_server_open(&options, &server, &diag), -EADDRNOTAVAIL);
	assert_non_null(strstr(diag.text, "no interface"));
}

static void test_every_address(void **state)
{
	const struct http_server_options options = {.listen = ":0",
						    .listen_option = "--http.listen"};
	struct fixture other = {.server = NULL};
	int fd;

	(void)state;
	assert_int_equal(http_server_open(&options, &other.server, NULL), 0);
	assert_true(http_server_port(other.server) > 0);
	/* IPv4 reaches it, whichever family the socket has; never started, it closes all the same.
	 */
	fd = dial(&other);
	assert_true(fd >= 0);
	(void)close(fd);
	http_server_close(other.server);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
	    {":9771", "", 9771},
	    {"127.0.0.1:1", "127.0.0.1", 1},
	    {"[::1]:65535", "::1", 65535},
	    {"localhost:0", "localhost", 0},
	};
	static const char *const bad[] = {
	    "",	      "9771", "localhost", "localhost:", ":65536", ":-1",	"::1:1", "[::1]",
	    "[::1]1", "[]:1", "[:1",	   ":x",	 ":1 ",	   "[::1:9771", ":+1",
	};
	struct http_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(http_address_parse(good[i].text, &address, NULL), 0);
		assert_string_equal(address.host, good[i].host);
		assert_int_equal(address.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct diag diag = DIAG_INIT;

		if (http_address_parse(bad[i], &address, &diag) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(diag.text, "HOST:PORT"));
	}
}

static void test_host_at_its_maximum(void **state)
{
	char text[HTTP_HOST_SIZE + 8];
	struct http_address address;

	(void)state;
	memset(text, 'h', sizeof(text));
	memcpy(text + HTTP_HOST_SIZE - 1, ":1", 3);
	assert_int_equal(http_address_parse(text, &address, NULL), 0);
	assert_int_equal(strlen(address.host), HTTP_HOST_SIZE - 1);
	memset(text, 'h', sizeof(text));
	memcpy(text + HTTP_HOST_SIZE, ":1", 3);
	assert_int_equal(http_address_parse(text, &address, NULL), -EINVAL);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_get),
	    SERVED(test_query_is_not_the_path),
	    SERVED(test_head),
	    SERVED(test_status_of_the_handler),
	    SERVED(test_handler_fails),
	    SERVED(test_unknown_path),
	    SERVED(test_other_methods),
	    SERVED(test_bad_requests),
	    SERVED(test_endless_head),
	    SERVED(test_gzip),
	    SERVED(test_gzip_declined),
	    SERVED(test_concurrent_clients),
	    cmocka_unit_test(test_quick_checks),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_bad_web_config),
	    SERVED(test_port_in_use),
	    cmocka_unit_test(test_not_an_address_of_ours),
	    cmocka_unit_test(test_every_address),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_host_at_its_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
