/* refresh.h: waits, the breaker and a wattportd that comes and goes, with time in the test's hand.
 */
#include "common/cleanup.h"
#include "common/meter_client.h"
#include "fusefs/refresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MS	 CLOCK_NS_PER_MS
#define DONE_MAX 16

static const char first_text[] = "00000000-0000-0000-0000-000000000001";
static const char second_text[] = "00000000-0000-0000-0000-000000000002";

struct fixture {
	char path[64];
	int directory_fd;
	int listener_fd;
	int server_fd;
	struct refresh *refresh;
	bool told_away;
	struct uuid first, second;
	size_t done_count;
	uint32_t done[DONE_MAX];
	enum refresh_end ends[DONE_MAX];
};

static void note_done(void *context, uint32_t tag, enum refresh_end end)
{
	struct fixture *fixture = context;

	assert_true(fixture->done_count < DONE_MAX);
	fixture->ends[fixture->done_count] = end;
	fixture->done[fixture->done_count++] = tag;
}

static void server_listen(struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	fixture->listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fixture->listener_fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" METER_SOCKET_NAME,
		       fixture->path);
	(void)unlink(address.sun_path);
	assert_int_equal(
	    bind(fixture->listener_fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fixture->listener_fd, 4), 0);
}

static void server_accept(struct fixture *fixture)
{
	fixture->server_fd =
	    accept4(fixture->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fixture->server_fd >= 0);
}

static void server_end(struct fixture *fixture)
{
	if (fixture->server_fd >= 0)
		(void)close(fixture->server_fd);
	if (fixture->listener_fd >= 0)
		(void)close(fixture->listener_fd);
	fixture->server_fd = -1;
	fixture->listener_fd = -1;
}

static void server_expect(struct fixture *fixture, const char *uuid)
{
	char expected[METER_REQUEST_SIZE_MAX], request[METER_REQUEST_SIZE_MAX] = "";

	(void)snprintf(expected, sizeof(expected), "refresh %s", uuid);
	assert_true(recv(fixture->server_fd, request, sizeof(request) - 1, 0) > 0);
	assert_string_equal(request, expected);
}

static void server_expect_nothing(struct fixture *fixture)
{
	char request[METER_REQUEST_SIZE_MAX];

	assert_true(recv(fixture->server_fd, request, sizeof(request), 0) < 0);
}

static void server_say(struct fixture *fixture, const char *verb, const char *uuid)
{
	char reply[METER_REQUEST_SIZE_MAX];
	int length = snprintf(reply, sizeof(reply), "%s %s", verb, uuid);

	assert_int_equal(send(fixture->server_fd, reply, (size_t)length, 0), length);
}

static bool ask(struct fixture *fixture, uint32_t tag, const struct uuid *uuid, uint64_t ns)
{
	return refresh_ask(fixture->refresh, tag, uuid, (struct mono_time){ns});
}

static void process(struct fixture *fixture, uint64_t ns)
{
	refresh_process(fixture->refresh, (struct mono_time){ns});
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->server_fd = -1;
	(void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/test_refresh.XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->directory_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(uuid_parse(first_text, &fixture->first), 0);
	assert_int_equal(uuid_parse(second_text, &fixture->second), 0);
	server_listen(fixture);
	/* As a former worker left it: it logged that wattportd is away. */
	fixture->told_away = true;
	assert_int_equal(refresh_create(fixture->directory_fd, note_done, fixture,
					&fixture->told_away, &fixture->refresh),
			 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	refresh_destroy(fixture->refresh);
	server_end(fixture);
	(void)unlinkat(fixture->directory_fd, METER_SOCKET_NAME, 0);
	(void)close(fixture->directory_fd);
	(void)rmdir(fixture->path);
	free(fixture);
	return 0;
}

static void test_answer_ends_the_wait(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(refresh_deadline_ns(fixture->refresh), REFRESH_NO_DEADLINE);
	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	server_accept(fixture);
	server_expect(fixture, first_text);
	assert_int_equal(refresh_deadline_ns(fixture->refresh), 1020 * MS);
	/* A second reader waits for the same sample, one of another machine for its own. */
	assert_true(ask(fixture, 7, &fixture->first, 1001 * MS));
	server_expect_nothing(fixture);
	assert_true(ask(fixture, 8, &fixture->second, 1002 * MS));
	server_expect(fixture, second_text);
	process(fixture, 1003 * MS);
	assert_int_equal(fixture->done_count, 0);
	server_say(fixture, "refreshed", second_text);
	process(fixture, 1004 * MS);
	assert_int_equal(fixture->done_count, 1);
	assert_int_equal(fixture->done[0], 8);
	assert_int_equal(fixture->ends[0], REFRESH_KNOWN);
	server_say(fixture, "refreshed", first_text);
	process(fixture, 1005 * MS);
	assert_int_equal(fixture->done_count, 2);
	assert_int_equal(fixture->done[1], 7);
	assert_int_equal(refresh_deadline_ns(fixture->refresh), REFRESH_NO_DEADLINE);
}

static void test_breaker(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	server_accept(fixture);
	server_expect(fixture, first_text);
	process(fixture, 1020 * MS - 1);
	assert_int_equal(fixture->done_count, 0);
	process(fixture, 1020 * MS);
	assert_int_equal(fixture->done_count, 1);
	assert_int_equal(fixture->ends[0], REFRESH_SILENT);
	/* Open: nobody waits, nothing is sent. */
	assert_false(ask(fixture, 7, &fixture->first, 1020 * MS));
	assert_false(ask(fixture, 8, &fixture->second, 2020 * MS - 1));
	server_expect_nothing(fixture);
	/* One more try after a second; it times out too. */
	assert_true(ask(fixture, 8, &fixture->second, 2020 * MS));
	process(fixture, 2040 * MS);
	assert_int_equal(fixture->done_count, 2);
	assert_false(ask(fixture, 8, &fixture->second, 2041 * MS));
	/* A late answer closes it, and wakes nobody twice. */
	server_say(fixture, "refreshed", first_text);
	process(fixture, 2042 * MS);
	assert_int_equal(fixture->done_count, 2);
	assert_true(ask(fixture, 7, &fixture->first, 2043 * MS));
}

static void test_unknown_machine(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	server_accept(fixture);
	server_say(fixture, "unknown", first_text);
	process(fixture, 1001 * MS);
	assert_int_equal(fixture->done_count, 1);
	assert_int_equal(fixture->ends[0], REFRESH_UNKNOWN);
	assert_false(ask(fixture, 7, &fixture->first, 1101 * MS - 1));
	assert_true(ask(fixture, 8, &fixture->second, 1002 * MS));
	assert_true(ask(fixture, 7, &fixture->first, 1101 * MS));
}

/* Who only wants to know whether there is such a machine asks for itself, and each time. */
static void test_questions_after_names(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t tag = TREE_MAX;

	assert_true(ask(fixture, tag, &fixture->first, 1000 * MS));
	assert_true(ask(fixture, tag + 1, &fixture->first, 1000 * MS));
	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	assert_true(ask(fixture, REFRESH_TAG_MAX - 1, &fixture->second, 1000 * MS));
	server_accept(fixture);
	for (size_t i = 0; i < 3; i++) {
		server_expect(fixture, first_text);
		server_say(fixture, "unknown", first_text);
	}
	server_expect(fixture, second_text);
	process(fixture, 1001 * MS);
	assert_int_equal(fixture->done_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(fixture->done[i], i < 2 ? tag + i : 7);
		assert_int_equal(fixture->ends[i], REFRESH_UNKNOWN);
	}
	assert_true(ask(fixture, tag, &fixture->first, 1002 * MS));
	assert_false(ask(fixture, 7, &fixture->first, 1002 * MS));
	process(fixture, 1020 * MS);
	assert_int_equal(fixture->done[3], REFRESH_TAG_MAX - 1);
	assert_int_equal(fixture->ends[3], REFRESH_SILENT);
}

static void test_server_that_goes_and_comes(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	assert_true(ask(fixture, 8, &fixture->second, 1000 * MS));
	server_accept(fixture);
	server_end(fixture);
	process(fixture, 1001 * MS);
	assert_int_equal(fixture->done_count, 2);
	assert_int_equal(fixture->ends[0], REFRESH_SILENT);
	assert_int_equal(refresh_fd(fixture->refresh), -1);
	/* Looked for every 100 ms, not for each reader. */
	server_listen(fixture);
	assert_false(ask(fixture, 7, &fixture->first, 1101 * MS - 1));
	assert_true(ask(fixture, 7, &fixture->first, 1101 * MS));
	server_accept(fixture);
	server_expect(fixture, first_text);
}

static void test_server_that_is_away(void **state)
{
	struct fixture *fixture = *state;

	server_end(fixture);
	assert_false(ask(fixture, 7, &fixture->first, 1000 * MS));
	server_listen(fixture);
	assert_false(ask(fixture, 7, &fixture->first, 1099 * MS));
	assert_true(ask(fixture, 7, &fixture->first, 1100 * MS));
}

/* Whatever comes over the socket, nobody is woken wrongly and nothing breaks. */
static void test_answers_without_sense(void **state)
{
	static const char *const senseless[] = {"refreshed",
						"refreshed ",
						"refreshed x",
						"unknown",
						"ok",
						"{}",
						"\n",
						"refreshed 00000000-0000-0000-0000-000000000009",
						"unknown 00000000-0000-0000-0000-00000000000",
						"refreshed 00000000-0000-0000-0000-0000000000011"};
	struct fixture *fixture = *state;
	char huge[1024];

	assert_true(ask(fixture, 7, &fixture->first, 1000 * MS));
	server_accept(fixture);
	for (size_t i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++)
		assert_true(send(fixture->server_fd, senseless[i], strlen(senseless[i]), 0) > 0);
	process(fixture, 1001 * MS);
	assert_int_equal(fixture->done_count, 0);
	/* More than an answer can be: not wattportd; the connection ends, and so does the wait. */
	memset(huge, 'x', sizeof(huge));
	assert_true(send(fixture->server_fd, huge, sizeof(huge), 0) > 0);
	process(fixture, 1002 * MS);
	assert_int_equal(fixture->done_count, 1);
	assert_int_equal(refresh_fd(fixture->refresh), -1);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_answer_ends_the_wait),
	    CASE(test_breaker),
	    CASE(test_unknown_machine),
	    CASE(test_questions_after_names),
	    CASE(test_server_that_goes_and_comes),
	    CASE(test_server_that_is_away),
	    CASE(test_answers_without_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
