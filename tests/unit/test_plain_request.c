/* plain_request.h: what is asked, by whom, and how long it may take. */
#include "common/cleanup.h"
#include "common/meter_client.h"
#include "common/vtree.h"
#include "fusefs/plain_request.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define VM "00010203-0405-0607-0809-0a0b0c0d0e0f"

struct fixture {
	struct tree tree;
	struct plain_request *request;
	struct uuid vm;
	struct uuid made;
	uint32_t socket_count; /* 0: none was made */
	int status;
};

static int make(void *context, const struct uuid *uuid, uint32_t socket_count, struct diag *diag)
{
	struct fixture *fixture = context;

	if (fixture->status < 0)
		return diag_error(diag, fixture->status, "there is no room");
	fixture->made = *uuid;
	fixture->socket_count = socket_count;
	return 0;
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	fixture = (struct fixture){.status = 0};
	tree_create(&fixture.tree);
	assert_int_equal(uuid_parse(VM, &fixture.vm), 0);
	if (plain_request_open(fixture.tree.fd, make, &fixture, &fixture.request, &diag) < 0)
		fail_msg("%s", diag.text);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	plain_request_close(fixture->request);
	tree_remove(&fixture->tree);
	return 0;
}

static int connect_to(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" PLAIN_REQUEST_SOCKET_NAME,
		       fixture->tree.path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void check_answer(struct fixture *fixture, const char *text, const char *wanted)
{
	cleanup_fd int fd = connect_to(fixture);
	char reply[PLAIN_REQUEST_SIZE_MAX];
	size_t length;

	assert_int_equal(meter_send(fd, text), 0);
	plain_request_process(fixture->request);
	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), 0);
	assert_string_equal(reply, wanted);
	/* One request a connection. */
	assert_int_equal(meter_receive(fd, reply, sizeof(reply), &length), -EPIPE);
}

static void test_makes_what_is_asked_for(void **state)
{
	struct fixture *fixture = *state;

	check_answer(fixture, "make " VM " 2", "made " VM);
	assert_true(uuid_equal(&fixture->made, &fixture->vm));
	assert_int_equal(fixture->socket_count, 2);
	check_answer(fixture, "make " VM " 4294967295", "made " VM);
	assert_int_equal(fixture->socket_count, VTREE_SOCKET_MAX);
	fixture->status = -ENOSPC;
	check_answer(fixture, "make " VM " 2", "error there is no room");
}

static void test_refuses_what_makes_no_sense(void **state)
{
	static const char *const texts[] = {
	    "make",
	    "make " VM,
	    "make " VM " 0",
	    "make " VM " 4294967296",
	    "make " VM " -1",
	    "make " VM "/../x 1",
	    "make 00000000-0000-0000-0000-000000000000 1",
	    "made " VM " 1",
	    "    ",
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < CHECK_COUNT(texts); i++)
		check_answer(fixture, texts[i], "error the request makes no sense");
	assert_int_equal(fixture->socket_count, 0);
}

static void test_is_for_its_owner_alone(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;

	assert_int_equal(fstatat(fixture->tree.fd, PLAIN_REQUEST_SOCKET_NAME, &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

/* Whoever connects and says nothing keeps nobody else out. */
static void test_silent_clients(void **state)
{
	struct fixture *fixture = *state;
	int fds[3 * PLAIN_REQUEST_CLIENT_MAX], polled[1 + PLAIN_REQUEST_CLIENT_MAX];

	for (size_t i = 0; i < CHECK_COUNT(fds); i++) {
		fds[i] = connect_to(fixture);
		plain_request_process(fixture->request);
		assert_true(plain_request_fds(fixture->request, polled) <= CHECK_COUNT(polled));
	}
	check_answer(fixture, "make " VM " 1", "made " VM);
	for (size_t i = 0; i < CHECK_COUNT(fds); i++)
		(void)close(fds[i]);
	plain_request_process(fixture->request);
	assert_int_equal(plain_request_fds(fixture->request, polled), 1);
}

static void *serve_one(void *context)
{
	struct fixture *fixture = context;

	while (fixture->socket_count == 0 && fixture->status == 0)
		plain_request_process(fixture->request);
	return NULL;
}

static void test_asks(void **state)
{
	struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve_one, fixture), 0);
	assert_int_equal(
	    plain_request_ask(fixture->tree.fd, &fixture->vm, 3, 60 * CLOCK_NS_PER_SECOND, &diag),
	    0);
	(void)pthread_join(thread, NULL);
	assert_int_equal(fixture->socket_count, 3);
}

/* Hung, dead and never there: each within the time that is given. */
static void test_asks_in_vain(void **state)
{
	struct fixture *fixture = *state;
	struct diag diag = DIAG_INIT;

	assert_int_equal(
	    plain_request_ask(fixture->tree.fd, &fixture->vm, 1, CLOCK_NS_PER_MS, &diag),
	    -ETIMEDOUT);
	check_contains(diag.text, "does not answer");
	plain_request_close(fixture->request);
	fixture->request = NULL;
	assert_int_equal(
	    plain_request_ask(fixture->tree.fd, &fixture->vm, 1, CLOCK_NS_PER_MS, &diag),
	    -ECONNREFUSED);
	tree_delete(&fixture->tree, PLAIN_REQUEST_SOCKET_NAME);
	assert_int_equal(
	    plain_request_ask(fixture->tree.fd, &fixture->vm, 1, CLOCK_NS_PER_MS, &diag), -ENOENT);
	check_contains(diag.text, "systemctl start wattport-fs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_makes_what_is_asked_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_what_makes_no_sense, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_is_for_its_owner_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_silent_clients, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_asks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_asks_in_vain, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
