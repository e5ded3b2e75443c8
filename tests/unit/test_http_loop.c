/* http_loop.h: over socket pairs, with a clock in the hand and no thread: slow clients, passwords,
 * floods. */
#include "common/cleanup.h"
#include "common/http_loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define REPLY_SIZE   65536
#define LARGE_SIZE   ((size_t)8 << 20) /* more than a socket's buffers hold */
#define ROUND_MAX    64
#define CLIENT_MAX   400
#define HEAD	     "GET /page HTTP/1.1\r\nHost: localhost\r\n"
#define ALICE_SECRET "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
#define ALICE_WRONG  "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"
#define BOB_SECRET   "Authorization: Basic Ym9iOnNlY3JldA==\r\n"

/* bcrypt of "secret" with cost 4, the least. */
#define USERS                                                                                      \
	"basic_auth_users:\n  alice: "                                                             \
	"$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"

struct fixture {
	struct manual_clock clock;
	struct http_loop *loop;
	struct http_checker *checker;
	int wake_fd;
	char *large;
	int handled;
};

static int handle_page(void *context, const struct http_request *request,
		       struct http_response *response)
{
	struct fixture *fixture = context;

	(void)request;
	fixture->handled++;
	response->body = "page\n";
	response->body_size = 5;
	return 0;
}

static int handle_large(void *context, const struct http_request *request,
			struct http_response *response)
{
	struct fixture *fixture = context;

	(void)request;
	response->body = fixture->large;
	response->body_size = LARGE_SIZE;
	return 0;
}

static const struct http_route routes[] = {{"/page", handle_page}, {"/large", handle_large}};

static struct http_guard *guard_of(const char *text)
{
	struct web_config config;
	struct http_guard *guard = NULL;
	struct diag diag = DIAG_INIT;

	if (web_config_parse("web.yml", text, strlen(text), &config, &diag) < 0 ||
	    http_guard_create(&config, &guard, &diag) < 0)
		fail_msg("%s", diag.text);
	return guard;
}

static int setup_with(void **state, const char *web_config)
{
	const struct http_server_options options = {
	    .routes = routes, .route_count = 2, .context = calloc(1, sizeof(struct fixture))};
	struct fixture *fixture = options.context;
	struct http_guard *guard = web_config != NULL ? guard_of(web_config) : NULL;

	assert_non_null(fixture);
	*state = fixture;
	manual_clock_init(&fixture->clock, (struct mono_time){.ns = 1000 * CLOCK_NS_PER_SECOND},
			  (struct wall_time){.ns = 0});
	fixture->large = calloc(1, LARGE_SIZE);
	assert_non_null(fixture->large);
	fixture->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fixture->wake_fd >= 0);
	assert_int_equal(http_checker_create(fixture->wake_fd, &fixture->checker), 0);
	assert_int_equal(http_loop_create(&options, guard, fixture->checker, &fixture->clock.clock,
					  &fixture->loop),
			 0);
	http_guard_drop(guard);
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, NULL);
}

static int setup_guarded(void **state)
{
	return setup_with(state, USERS);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	http_loop_destroy(fixture->loop);
	http_checker_destroy(fixture->checker);
	(void)close(fixture->wake_fd);
	free(fixture->large);
	free(fixture);
	return 0;
}

/* Everything that can happen without anybody doing anything more. */
static void settle(struct fixture *fixture)
{
	for (int round = 0; round < ROUND_MAX; round++)
		http_loop_run(fixture->loop);
}

/* A connection from an address; the client's end. */
static int dial(struct fixture *fixture, uint32_t address)
{
	const struct sockaddr_in name = {.sin_family = AF_INET,
					 .sin_addr = {.s_addr = htonl(address)}};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	assert_int_equal(
	    http_loop_add(fixture->loop, fds[0], (const struct sockaddr *)&name, sizeof(name)), 0);
	return fds[1];
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come by now, and whether that is all that ever will. */
static bool hear(int fd, char *reply)
{
	size_t size = 0;
	ssize_t got;

	do {
		got = recv(fd, reply + size, REPLY_SIZE - 1 - size, MSG_DONTWAIT);
		size += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	reply[size] = '\0';
	return got == 0 || errno == ECONNRESET;
}

static bool is_over(int fd)
{
	char reply[REPLY_SIZE];

	return hear(fd, reply);
}

static void assert_heard(int fd, const char *text)
{
	char reply[REPLY_SIZE];

	(void)hear(fd, reply);
	if (strstr(reply, text) == NULL)
		fail_msg("no \"%s\" in: %.300s", text, reply);
}

static void test_byte_by_byte(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);
	const char *text = HEAD "\r\n";

	for (const char *c = text; *c != '\0'; c++) {
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
		http_loop_run(fixture->loop);
	}
	settle(fixture);
	assert_heard(fd, "HTTP/1.1 200 OK");
}

/* A head that never ends, a byte a second, stays no longer than one that says nothing. */
static void test_slow_head(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);
	cleanup_fd int silent = dial(fixture, 2);

	say(fd, HEAD "X: ");
	for (uint64_t second = 0; second < HTTP_HEAD_SECONDS_MAX; second++) {
		settle(fixture);
		assert_false(is_over(fd));
		assert_true(http_loop_timeout_ms(fixture->loop) > 0);
		say(fd, "x");
		manual_clock_advance(&fixture->clock, CLOCK_NS_PER_SECOND);
	}
	settle(fixture);
	assert_true(is_over(fd));
	assert_true(is_over(silent));
	assert_int_equal(http_loop_count(fixture->loop), 0);
	assert_int_equal(http_loop_timeout_ms(fixture->loop), -1);
}

/* Kept open between requests, then dribbling: the same, with a scrape's period to wait. */
static void test_slow_second_head(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	say(fd, HEAD "\r\n");
	settle(fixture);
	assert_heard(fd, "200 OK");
	for (uint64_t second = 0; second < HTTP_KEEP_SECONDS_MAX; second++) {
		settle(fixture);
		assert_false(is_over(fd));
		say(fd, second == 0 ? "G" : second == 1 ? "E" : "x");
		manual_clock_advance(&fixture->clock, CLOCK_NS_PER_SECOND);
	}
	settle(fixture);
	assert_true(is_over(fd));
}

static void test_answer_that_nobody_takes(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);
	cleanup_fd int other = dial(fixture, 1);

	say(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
	settle(fixture);
	say(other, HEAD "\r\n");
	settle(fixture);
	assert_heard(other, "200 OK");
	manual_clock_advance(&fixture->clock, HTTP_ANSWER_SECONDS_MAX * CLOCK_NS_PER_SECOND - 1);
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 2);
	manual_clock_advance(&fixture->clock, 1);
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 1);
}

/* A flood from one address ends its own connections; all are bounded; another address is served. */
static void test_flood(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int reader = dial(fixture, 1);
	int fds[CLIENT_MAX];

	for (size_t i = 0; i < CLIENT_MAX; i++) {
		fds[i] = dial(fixture, 2);
		http_loop_run(fixture->loop);
		assert_true(http_loop_count(fixture->loop) <= HTTP_CONNECTION_PER_NETWORK_MAX + 1);
	}
	say(reader, HEAD "\r\n");
	say(fds[CLIENT_MAX - 1], HEAD "\r\n");
	settle(fixture);
	assert_heard(reader, "200 OK");
	assert_heard(fds[CLIENT_MAX - 1], "200 OK");
	assert_true(is_over(fds[0]));
	for (size_t i = 0; i < CLIENT_MAX; i++)
		(void)close(fds[i]);
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 1);
}

/* Each from an address of its own, all holding on: the newcomer is served all the same. */
static void test_flood_from_everywhere(void **state)
{
	struct fixture *fixture = *state;
	int fds[CLIENT_MAX];

	for (uint32_t i = 0; i < CLIENT_MAX; i++) {
		fds[i] = dial(fixture, i);
		say(fds[i], HEAD "X: ");
		http_loop_run(fixture->loop);
		manual_clock_advance(&fixture->clock, CLOCK_NS_PER_MS);
		assert_true(http_loop_count(fixture->loop) <= HTTP_CONNECTION_MAX);
	}
	say(fds[CLIENT_MAX - 1], "\r\n\r\n");
	settle(fixture);
	assert_heard(fds[CLIENT_MAX - 1], "200 OK");
	for (size_t i = 0; i < CLIENT_MAX; i++)
		(void)close(fds[i]);
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 0);
}

/* Without a round in between nothing is closed yet: the seats of the ending ones are bounded, too.
 */
static void test_flood_without_rounds(void **state)
{
	struct fixture *fixture = *state;
	const struct sockaddr_in name = {.sin_family = AF_INET};
	int fds[CLIENT_MAX][2];

	for (size_t i = 0; i < CLIENT_MAX; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
		(void)http_loop_add(fixture->loop, fds[i][0], (const struct sockaddr *)&name,
				    sizeof(name));
	}
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), HTTP_CONNECTION_PER_NETWORK_MAX);
	for (size_t i = 0; i < CLIENT_MAX; i++)
		(void)close(fds[i][1]);
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 0);
}

static void test_shed(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int old = dial(fixture, 1);
	cleanup_fd int new = -1;

	manual_clock_advance(&fixture->clock, 1);
	new = dial(fixture, 2);
	http_loop_shed(fixture->loop);
	settle(fixture);
	assert_true(is_over(old));
	assert_false(is_over(new));
}

static void test_pipelined(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	say(fd, HEAD "\r\n" HEAD "\r\n" HEAD "\r\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	settle(fixture);
	assert_int_equal(fixture->handled, 3);
	assert_true(is_over(fd));
}

static void test_half_closed(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	say(fd, HEAD);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	settle(fixture);
	assert_true(is_over(fd));
	assert_int_equal(http_loop_count(fixture->loop), 0);
}

static void test_tls_to_a_plain_port(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	assert_int_equal(send(fd, "\x16\x03\x01\x00\xf8\x01", 6, MSG_NOSIGNAL), 6);
	settle(fixture);
	assert_heard(fd, "this port speaks plain HTTP");
	assert_true(is_over(fd));
	assert_int_equal(http_loop_count(fixture->loop), 0);
}

static void test_password(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	say(fd, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_int_equal(fixture->handled, 0);
	assert_true(http_checker_work(fixture->checker));
	settle(fixture);
	assert_heard(fd, "200 OK");
	/* From now on it is known, and costs nothing; another one is not. */
	say(fd, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_heard(fd, "200 OK");
	assert_false(http_checker_work(fixture->checker));
	assert_int_equal(fixture->handled, 2);
	say(fd, HEAD "\r\n");
	settle(fixture);
	assert_heard(fd, "401 Unauthorized");
	assert_int_equal(fixture->handled, 2);
}

static void test_wrong_password(void **state)
{
	static const char *const requests[] = {HEAD ALICE_WRONG "\r\n", HEAD BOB_SECRET "\r\n"};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < 2; i++) {
		cleanup_fd int fd = dial(fixture, 1);

		say(fd, requests[i]);
		settle(fixture);
		/* A name that is nobody's costs a check as well. */
		assert_true(http_checker_work(fixture->checker));
		settle(fixture);
		assert_heard(fd, "401 Unauthorized");
		say(fd, requests[i]);
		settle(fixture);
		assert_heard(fd, "WWW-Authenticate: Basic realm=");
		assert_false(http_checker_work(fixture->checker));
	}
	assert_int_equal(fixture->handled, 0);
}

static void test_who_must_say_who_they_are(void **state)
{
	static const char *const requests[] = {
	    HEAD "\r\n",
	    "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    "PUT /page HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    HEAD "Authorization: Bearer x\r\n\r\n",
	    HEAD "Authorization: Basic ====\r\n\r\n",
	    HEAD "Authorization: Basic YWxpY2U=\r\n\r\n", /* no colon */
	    HEAD
	    "Authorization: Basic YWxpY2U6c2VjcmV0AA==\r\n\r\n", /* a NUL behind the password */
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		cleanup_fd int fd = dial(fixture, 1);

		say(fd, requests[i]);
		settle(fixture);
		assert_heard(fd, "401 Unauthorized");
		assert_false(http_checker_work(fixture->checker));
	}
	assert_int_equal(fixture->handled, 0);
}

/* Guesses of one network wait two at a time; one who is known does not wait for them. */
static void test_guessing(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int known = dial(fixture, 1);
	cleanup_fd int stranger = -1;
	int fds[8];

	say(known, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_true(http_checker_work(fixture->checker));
	settle(fixture);
	assert_heard(known, "200 OK");
	for (size_t i = 0; i < 8; i++) {
		fds[i] = dial(fixture, 2);
		say(fds[i], HEAD ALICE_WRONG "\r\n");
		settle(fixture);
		if (i >= HTTP_CHECK_PER_NETWORK_MAX)
			assert_heard(fds[i], "429 Too Many Requests");
	}
	stranger = dial(fixture, 3);
	say(stranger, HEAD BOB_SECRET "\r\n");
	say(known, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_heard(known, "200 OK");
	for (size_t i = 0; i < 8; i++)
		(void)close(fds[i]);
	for (size_t i = 0; i < HTTP_CHECK_PER_NETWORK_MAX + 1; i++)
		assert_true(http_checker_work(fixture->checker));
	assert_false(http_checker_work(fixture->checker));
	settle(fixture);
	assert_heard(stranger, "401 Unauthorized");
	assert_int_equal(http_loop_count(fixture->loop), 2);
}

/* Pushed out while its password waits: nothing is checked for it any more. */
static void test_pushed_out_while_checking(void **state)
{
	struct fixture *fixture = *state;
	int fds[HTTP_CONNECTION_PER_NETWORK_MAX + 1];

	fds[0] = dial(fixture, 1);
	say(fds[0], HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	manual_clock_advance(&fixture->clock, 1);
	for (size_t i = 1; i <= HTTP_CONNECTION_PER_NETWORK_MAX; i++)
		fds[i] = dial(fixture, 1);
	settle(fixture);
	assert_true(is_over(fds[0]));
	assert_false(http_checker_work(fixture->checker));
	assert_int_equal(http_loop_count(fixture->loop), HTTP_CONNECTION_PER_NETWORK_MAX);
	for (size_t i = 0; i <= HTTP_CONNECTION_PER_NETWORK_MAX; i++)
		(void)close(fds[i]);
}

/* A check that nobody took the outcome of, at the end of everything. */
static void test_end_while_checking(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);

	say(fd, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_int_equal(http_loop_count(fixture->loop), 1);
}

/* Other users: what was known of the old ones is forgotten. */
static void test_new_guard(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = dial(fixture, 1);
	struct http_guard *guard = guard_of("http_server_config:\n  headers:\n"
					    "    X-Frame-Options: deny\n" USERS);

	say(fd, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	/* Changed while a password waits: the answer has the new headers. */
	http_loop_set_guard(fixture->loop, guard);
	http_guard_drop(guard);
	assert_true(http_checker_work(fixture->checker));
	settle(fixture);
	assert_heard(fd, "X-Frame-Options: deny");
	say(fd, HEAD ALICE_SECRET "\r\n");
	settle(fixture);
	assert_true(http_checker_work(fixture->checker));
	settle(fixture);
	assert_heard(fd, "200 OK");
}

#define PLAIN(test)   cmocka_unit_test_setup_teardown(test, setup, teardown)
#define GUARDED(test) cmocka_unit_test_setup_teardown(test, setup_guarded, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAIN(test_byte_by_byte),
	    PLAIN(test_slow_head),
	    PLAIN(test_slow_second_head),
	    PLAIN(test_answer_that_nobody_takes),
	    PLAIN(test_flood),
	    PLAIN(test_flood_from_everywhere),
	    PLAIN(test_flood_without_rounds),
	    PLAIN(test_shed),
	    PLAIN(test_pipelined),
	    PLAIN(test_half_closed),
	    PLAIN(test_tls_to_a_plain_port),
	    GUARDED(test_password),
	    GUARDED(test_wrong_password),
	    GUARDED(test_who_must_say_who_they_are),
	    GUARDED(test_guessing),
	    GUARDED(test_pushed_out_while_checking),
	    GUARDED(test_end_while_checking),
	    GUARDED(test_new_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
