/* All that one client may send, in pieces: through the whole server but its thread and its
 * listening socket. */
#include "common/http_loop.h"
#include "tests/fuzz/fuzz.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define USERS                                                                                      \
	"basic_auth_users:\n  a: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"

static int handle(void *context, const struct http_request *request, struct http_response *response)
{
	(void)context;
	response->body = request->accept != NULL ? request->accept : "page";
	response->body_size = strlen(response->body);
	return 0;
}

static void run(struct http_loop *loop, struct http_checker *checker, int fd)
{
	char reply[16384];

	for (int round = 0; round < 2; round++) {
		http_loop_run(loop);
		(void)http_checker_work(checker);
		while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
			;
	}
	FUZZ_CHECK(http_loop_count(loop) <= 1);
}

static struct http_guard *guard_of(bool users)
{
	struct web_config config;
	struct http_guard *guard = NULL;

	FUZZ_CHECK(web_config_parse("web.yml", USERS, users ? strlen(USERS) : 0, &config, NULL) ==
		   0);
	FUZZ_CHECK(http_guard_create(&config, &guard, NULL) == 0);
	return guard;
}

/* The first byte: whether there are users, and how long a piece is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_route routes[] = {{"/", handle}};
	const struct http_server_options options = {.routes = routes, .route_count = 1};
	const struct sockaddr_in name = {.sin_family = AF_INET};
	struct http_guard *guard = guard_of(size > 0 && (data[0] & 1) != 0);
	/* Not so many pieces that the fuzzer would sleep over them. */
	size_t piece = size / 32 + (size > 0 ? data[0] : 0) + 1;
	struct http_checker *checker = NULL;
	struct http_loop *loop = NULL;
	int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fds[2];

	FUZZ_CHECK(http_checker_create(wake_fd, &checker) == 0);
	FUZZ_CHECK(http_loop_create(&options, guard, checker, clock_real(), &loop) == 0);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	FUZZ_CHECK(http_loop_add(loop, fds[0], (const struct sockaddr *)&name, sizeof(name)) == 0);
	for (size_t at = 1; at < size; at += piece) {
		size_t length = size - at < piece ? size - at : piece;

		(void)send(fds[1], data + at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		run(loop, checker, fds[1]);
	}
	(void)close(fds[1]);
	for (int round = 0; round < 16 && http_loop_count(loop) > 0; round++) {
		http_loop_run(loop);
		(void)http_checker_work(checker);
	}
	FUZZ_CHECK(http_loop_count(loop) == 0);
	http_loop_destroy(loop);
	http_checker_destroy(checker);
	http_guard_drop(guard);
	(void)close(wake_fd);
	return 0;
}
