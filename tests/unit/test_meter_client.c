/* meter_client.h: against a server end that the test holds itself. */
#include "common/cleanup.h"
#include "common/meter_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	char path[64];
	int directory_fd;
	int listener_fd;
	int client_fd;
	int server_fd;
};

static int listen_in(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" METER_SOCKET_NAME, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct diag diag = DIAG_INIT;

	assert_non_null(fixture);
	(void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/test_meter_client.XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->directory_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture->listener_fd = listen_in(fixture->path);
	assert_int_equal(meter_connect(fixture->directory_fd, &fixture->client_fd, &diag), 0);
	fixture->server_fd = accept4(fixture->listener_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fixture->server_fd >= 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)close(fixture->client_fd);
	if (fixture->server_fd >= 0)
		(void)close(fixture->server_fd);
	(void)close(fixture->listener_fd);
	(void)unlinkat(fixture->directory_fd, METER_SOCKET_NAME, 0);
	(void)close(fixture->directory_fd);
	(void)rmdir(fixture->path);
	free(fixture);
	return 0;
}

static void server_end(struct fixture *fixture)
{
	(void)close(fixture->server_fd);
	fixture->server_fd = -1;
}

static void test_absent(void **state)
{
	struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	int fd = -1;

	/* Left behind by a killed wattportd, then not there at all. */
	(void)close(fixture->listener_fd);
	fixture->listener_fd = -1;
	assert_int_equal(meter_connect(fixture->directory_fd, &fd, &diag), -ECONNREFUSED);
	assert_non_null(strstr(diag.text, "systemctl start wattportd"));
	assert_int_equal(unlinkat(fixture->directory_fd, METER_SOCKET_NAME, 0), 0);
	assert_int_equal(meter_connect(fixture->directory_fd, &fd, &diag), -ENOENT);
	assert_int_equal(fd, -1);
}

static void test_messages_keep_their_bounds(void **state)
{
	struct fixture *fixture = *state;
	char buffer[METER_REQUEST_SIZE_MAX];
	size_t length = 0;

	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length),
			 -EAGAIN);
	assert_int_equal(meter_send(fixture->client_fd, "refresh a"), 0);
	assert_int_equal(meter_send(fixture->client_fd, "status"), 0);
	assert_int_equal(recv(fixture->server_fd, buffer, sizeof(buffer), 0), 9);
	assert_int_equal(recv(fixture->server_fd, buffer, sizeof(buffer), 0), 6);
	assert_int_equal(send(fixture->server_fd, "refreshed a", 11, 0), 11);
	assert_int_equal(send(fixture->server_fd, "{}", 2, 0), 2);
	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "refreshed a");
	assert_int_equal(length, 11);
	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "{}");
}

static void test_reply_too_long(void **state)
{
	struct fixture *fixture = *state;
	char buffer[8];
	size_t length = 0;

	/* One byte is the NUL's: 7 characters fit, 8 do not. */
	assert_int_equal(send(fixture->server_fd, "1234567", 7, 0), 7);
	assert_int_equal(send(fixture->server_fd, "12345678", 8, 0), 8);
	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "1234567");
	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length),
			 -EMSGSIZE);
}

static void test_server_gone(void **state)
{
	struct fixture *fixture = *state;
	char buffer[8];
	size_t length = 0;

	server_end(fixture);
	assert_int_equal(meter_send(fixture->client_fd, "status"), -EPIPE);
	assert_int_equal(meter_receive(fixture->client_fd, buffer, sizeof(buffer), &length),
			 -EPIPE);
	assert_int_equal(
	    meter_ask(fixture->client_fd, "status", 1000000, buffer, sizeof(buffer), &length),
	    -EPIPE);
}

static void test_server_too_far_behind(void **state)
{
	struct fixture *fixture = *state;
	int status = 0;

	for (size_t i = 0; i < 100000 && status == 0; i++)
		status = meter_send(fixture->client_fd, "status");
	assert_int_equal(status, -EAGAIN);
}

static void test_ask(void **state)
{
	struct fixture *fixture = *state;
	char buffer[8];
	size_t length = 0;

	assert_int_equal(
	    meter_ask(fixture->client_fd, "status", 1000, buffer, sizeof(buffer), &length),
	    -ETIMEDOUT);
	assert_int_equal(send(fixture->server_fd, "ok", 2, 0), 2);
	assert_int_equal(
	    meter_ask(fixture->client_fd, "reload", 1000, buffer, sizeof(buffer), &length), 0);
	assert_string_equal(buffer, "ok");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_absent),
	    CASE(test_messages_keep_their_bounds),
	    CASE(test_reply_too_long),
	    CASE(test_server_gone),
	    CASE(test_server_too_far_behind),
	    CASE(test_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
