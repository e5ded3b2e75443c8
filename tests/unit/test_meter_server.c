#include "common/cleanup.h"
#include "common/log.h"
#include "common/meter_client.h"
#include "host/meter_server.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define KNOWN	"11111111-2222-3333-4444-555555555555"
#define UNKNOWN "99999999-2222-3333-4444-555555555555"

struct fixture {
	struct tree tree;
	struct meter_server *server;
	unsigned refreshed, reloaded;
	int reload_status;
	bool no_memory;
};

static bool fake_refresh(void *context, const struct uuid *uuid)
{
	struct fixture *fixture = context;

	fixture->refreshed++;
	return uuid->bytes[0] == 0x11;
}

static char *fake_status(void *context)
{
	const struct fixture *fixture = context;

	return fixture->no_memory ? NULL : strdup("{\"samples\":3}");
}

static int fake_reload(void *context, struct diag *diag)
{
	struct fixture *fixture = context;

	fixture->reloaded++;
	return fixture->reload_status < 0 ? diag_error(diag, fixture->reload_status, "no such key")
					  : 0;
}

static char *fake_trace_head(void *context)
{
	(void)context;
	return strdup("{\"wattport_trace\":1}\n");
}

static const struct meter_server_ops fake_ops = {.refresh = fake_refresh,
						 .status = fake_status,
						 .reload = fake_reload,
						 .trace_head = fake_trace_head};

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	fixture = (struct fixture){.server = NULL};
	tree_create(&fixture.tree);
	log_init("test", LOG_LEVEL_ERROR);
	if (meter_server_open(fixture.tree.fd, &fake_ops, &fixture, &fixture.server, &diag) < 0)
		fail_msg("%s", diag.text);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	meter_server_close(fixture->server);
	assert_int_equal(faccessat(fixture->tree.fd, METER_SOCKET_NAME, F_OK, 0), -1);
	tree_remove(&fixture->tree);
	return 0;
}

static void handle_all(const struct fixture *fixture)
{
	struct pollfd polled = {.fd = meter_server_fd(fixture->server), .events = POLLIN};

	while (poll(&polled, 1, 0) > 0)
		meter_server_handle(fixture->server);
}

static int connect_one(const struct fixture *fixture)
{
	int fd = -1;

	assert_int_equal(meter_connect(fixture->tree.fd, &fd, NULL), 0);
	handle_all(fixture);
	return fd;
}

/* What the server says; it has answered, or will not. */
static void check_reply(const struct fixture *fixture, int fd, const char *request,
			const char *expected)
{
	char reply[METER_MESSAGE_SIZE_MAX];
	size_t length;

	assert_int_equal(meter_send(fd, request), 0);
	handle_all(fixture);
	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), 0);
	assert_string_equal(reply, expected);
}

static void check_cut_off(int fd)
{
	char reply[METER_MESSAGE_SIZE_MAX];
	size_t length;

	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), -EPIPE);
}

static void test_answers_what_it_is_asked(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = connect_one(fixture);
	char request[METER_REQUEST_SIZE_MAX];

	check_reply(fixture, fd, "refresh " KNOWN, "refreshed " KNOWN);
	check_reply(fixture, fd, "refresh " UNKNOWN, "unknown " UNKNOWN);
	assert_int_equal(fixture->refreshed, 2);
	check_reply(fixture, fd, "refresh 11111111", "error not a uuid");
	check_reply(fixture, fd, "refresh ", "error not a uuid");
	check_reply(fixture, fd, "refresh " KNOWN " ", "error not a uuid");
	assert_int_equal(fixture->refreshed, 2);
	check_reply(fixture, fd, "status", "{\"samples\":3}");
	check_reply(fixture, fd, "refresh", "error unknown request");
	check_reply(fixture, fd, "statusquo", "error unknown request");
	check_reply(fixture, fd, "Status", "error unknown request");
	memset(request, 'x', sizeof(request) - 1);
	request[sizeof(request) - 1] = '\0';
	check_reply(fixture, fd, request, "error unknown request");
}

static void test_replies_come_in_order(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = connect_one(fixture);
	char reply[256];
	size_t length;

	assert_int_equal(meter_send(fd, "refresh " UNKNOWN), 0);
	assert_int_equal(meter_send(fd, "refresh " KNOWN), 0);
	handle_all(fixture);
	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), 0);
	assert_string_equal(reply, "unknown " UNKNOWN);
	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), 0);
	assert_string_equal(reply, "refreshed " KNOWN);
}

static void test_reload_tells_what_came_of_it(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = -1;

	if (geteuid() != 0)
		skip();
	fd = connect_one(fixture);
	check_reply(fixture, fd, "reload", "ok");
	assert_int_equal(fixture->reloaded, 1);
	fixture->reload_status = -EINVAL;
	check_reply(fixture, fd, "reload", "error no such key");
}

/* The credentials are those of the moment of connecting. */
static int connect_as_nobody(const struct fixture *fixture)
{
	const uid_t nobody = 65534;
	int fd = -1;

	assert_int_equal(fchmod(fixture->tree.fd, 0755), 0);
	assert_int_equal(seteuid(nobody), 0);
	fd = connect_one(fixture);
	assert_int_equal(seteuid(0), 0);
	return fd;
}

static void test_only_root_may_reload_and_record(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = -1;

	if (geteuid() != 0)
		skip();
	fd = connect_as_nobody(fixture);
	check_reply(fixture, fd, "reload", "error only root may");
	check_reply(fixture, fd, "record", "error only root may");
	assert_int_equal(fixture->reloaded, 0);
	assert_false(meter_server_recording(fixture->server));
	/* What everybody may. */
	check_reply(fixture, fd, "refresh " KNOWN, "refreshed " KNOWN);
	check_reply(fixture, fd, "status", "{\"samples\":3}");
}

static void check_message(int fd, const char *expected)
{
	char message[METER_MESSAGE_SIZE_MAX + 1];
	size_t length;

	assert_int_equal(meter_receive(fd, message, sizeof(message), &length), 0);
	assert_string_equal(message, expected);
}

static void test_a_recording_is_the_head_and_then_the_lines(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = -1;
	cleanup_fd int other_fd = -1;

	if (geteuid() != 0)
		skip();
	fd = connect_one(fixture);
	other_fd = connect_one(fixture);
	assert_false(meter_server_recording(fixture->server));
	check_reply(fixture, fd, "record", "ok");
	assert_true(meter_server_recording(fixture->server));
	meter_server_record(fixture->server, "{\"t_ns\":1}\n", 11);
	meter_server_record(fixture->server, "{\"t_ns\":2}\n", 11);
	check_message(fd, "{\"wattport_trace\":1}\n");
	check_message(fd, "{\"t_ns\":1}\n");
	check_message(fd, "{\"t_ns\":2}\n");
	check_reply(fixture, other_fd, "status", "{\"samples\":3}");
	(void)close(TAKE_FD(fd));
	handle_all(fixture);
	assert_false(meter_server_recording(fixture->server));
}

static void test_a_long_line_comes_in_messages(void **state)
{
	struct fixture *fixture = *state;
	const size_t size = (size_t)METER_MESSAGE_SIZE_MAX * 2 + 1000;
	cleanup_free char *line = malloc(size);
	cleanup_free char *message = malloc(METER_MESSAGE_SIZE_MAX + 1);
	cleanup_fd int fd = -1;
	size_t taken = 0;

	if (geteuid() != 0)
		skip();
	CHECK_POINTER(line);
	CHECK_POINTER(message);
	for (size_t i = 0; i < size; i++)
		line[i] = (char)('a' + i % 23);
	fd = connect_one(fixture);
	check_reply(fixture, fd, "record", "ok");
	check_message(fd, "{\"wattport_trace\":1}\n");
	meter_server_record(fixture->server, line, size);
	while (taken < size) {
		size_t length;

		assert_int_equal(meter_receive(fd, message, METER_MESSAGE_SIZE_MAX + 1, &length),
				 0);
		assert_memory_equal(message, line + taken, length);
		taken += length;
	}
	assert_int_equal(taken, size);
}

static void test_a_slow_recorder_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	cleanup_free char *line = calloc(1, METER_MESSAGE_SIZE_MAX);
	cleanup_fd int fd = -1;
	cleanup_fd int other_fd = -1;
	unsigned lines = 0;

	if (geteuid() != 0)
		skip();
	CHECK_POINTER(line);
	fd = connect_one(fixture);
	other_fd = connect_one(fixture);
	check_reply(fixture, fd, "record", "ok");
	while (meter_server_recording(fixture->server) && lines < 100000) {
		meter_server_record(fixture->server, line, METER_MESSAGE_SIZE_MAX);
		lines++;
	}
	/* It may lag behind by megabytes, but not for ever; others are not touched. */
	assert_in_range(lines, 16, 1000);
	check_reply(fixture, other_fd, "status", "{\"samples\":3}");
}

static void test_64_clients_and_not_one_more(void **state)
{
	struct fixture *fixture = *state;
	int fds[METER_SERVER_CLIENT_MAX + 1];

	for (size_t i = 0; i <= METER_SERVER_CLIENT_MAX; i++)
		fds[i] = connect_one(fixture);
	check_cut_off(fds[METER_SERVER_CLIENT_MAX]);
	for (size_t i = 0; i < METER_SERVER_CLIENT_MAX; i++)
		check_reply(fixture, fds[i], "status", "{\"samples\":3}");
	/* One goes, and there is room for one. */
	(void)close(fds[5]);
	(void)close(fds[METER_SERVER_CLIENT_MAX]);
	handle_all(fixture);
	fds[5] = connect_one(fixture);
	fds[METER_SERVER_CLIENT_MAX] = connect_one(fixture);
	check_reply(fixture, fds[5], "status", "{\"samples\":3}");
	check_cut_off(fds[METER_SERVER_CLIENT_MAX]);
	for (size_t i = 0; i <= METER_SERVER_CLIENT_MAX; i++)
		(void)close(fds[i]);
}

static void test_a_client_that_vanishes_harms_nobody(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = connect_one(fixture);
	int vanishing = connect_one(fixture);

	assert_int_equal(meter_send(vanishing, "status"), 0);
	(void)close(vanishing);
	handle_all(fixture);
	/* One that never was there when it was accepted. */
	assert_int_equal(meter_connect(fixture->tree.fd, &vanishing, NULL), 0);
	(void)close(vanishing);
	handle_all(fixture);
	check_reply(fixture, fd, "refresh " KNOWN, "refreshed " KNOWN);
}

static void test_without_memory_for_a_reply_the_client_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = connect_one(fixture);

	fixture->no_memory = true;
	assert_int_equal(meter_send(fd, "status"), 0);
	handle_all(fixture);
	check_cut_off(fd);
}

static void test_one_that_takes_no_replies_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int fd = connect_one(fixture);
	cleanup_fd int other_fd = connect_one(fixture);
	int status = 0;

	for (unsigned i = 0; i < 100000 && status == 0; i++) {
		status = meter_send(fd, "status");
		handle_all(fixture);
	}
	assert_int_equal(status, -EPIPE);
	check_reply(fixture, other_fd, "status", "{\"samples\":3}");
}

static void test_a_stale_socket_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	cleanup_fd int fd = -1;

	/* What a server that was killed leaves behind: a name that nobody listens to. */
	meter_server_close(fixture->server);
	fixture->server = NULL;
	assert_int_equal(mknodat(fixture->tree.fd, METER_SOCKET_NAME, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(
	    meter_server_open(fixture->tree.fd, &fake_ops, fixture, &fixture->server, NULL), 0);
	assert_int_equal(fstatat(fixture->tree.fd, METER_SOCKET_NAME, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
	fd = connect_one(fixture);
	check_reply(fixture, fd, "status", "{\"samples\":3}");
}

static void test_turns_away_who_finds_no_descriptor(void **state)
{
	const struct fixture *fixture = *state;
	struct pollfd polled = {.fd = meter_server_fd(fixture->server), .events = POLLIN};
	struct rlimit limit, none;
	unsigned rounds = 0;
	int fd = -1, lowest;

	assert_int_equal(meter_connect(fixture->tree.fd, &fd, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	lowest = dup(fd);
	assert_true(lowest >= 0);
	(void)close(lowest);
	none = limit;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (; rounds < 10 && poll(&polled, 1, 0) > 0; rounds++)
		meter_server_handle(fixture->server);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	/* Else the loop that waits for it would go round and round. */
	assert_in_range(rounds, 1, 9);
	check_cut_off(fd);
	(void)close(fd);
	fd = connect_one(fixture);
	check_reply(fixture, fd, "status", "{\"samples\":3}");
	(void)close(fd);
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    SERVER_TEST(test_answers_what_it_is_asked),
	    SERVER_TEST(test_replies_come_in_order),
	    SERVER_TEST(test_reload_tells_what_came_of_it),
	    SERVER_TEST(test_only_root_may_reload_and_record),
	    SERVER_TEST(test_a_recording_is_the_head_and_then_the_lines),
	    SERVER_TEST(test_a_long_line_comes_in_messages),
	    SERVER_TEST(test_a_slow_recorder_is_cut_off),
	    SERVER_TEST(test_64_clients_and_not_one_more),
	    SERVER_TEST(test_a_client_that_vanishes_harms_nobody),
	    SERVER_TEST(test_without_memory_for_a_reply_the_client_is_cut_off),
	    SERVER_TEST(test_one_that_takes_no_replies_is_cut_off),
	    SERVER_TEST(test_a_stale_socket_is_replaced),
	    SERVER_TEST(test_turns_away_who_finds_no_descriptor),
	};

	return cmocka_run_group_tests_name("meter_server", tests, NULL, NULL);
}
