#include "fusefs/plain_request.h"
#include "common/cleanup.h"
#include "common/meter_client.h"
#include "common/parse.h"
#include "common/vtree.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static_assert(PLAIN_REQUEST_SIZE_MAX > sizeof("make ") + UUID_TEXT_SIZE + 11, "a request fits");

struct plain_request {
	int listen_fd;
	plain_request_make *make;
	void *context;
	size_t client_count;
	int clients[PLAIN_REQUEST_CLIENT_MAX];
};

/* There is no bindat(2) or connectat(2): the process's own descriptor stands for the directory. */
static struct sockaddr_un plain_request_address(int runtime_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "/dev/fd/%d/%s",
			      runtime_fd, PLAIN_REQUEST_SOCKET_NAME);

	assert(length > 0 && (size_t)length < sizeof(address.sun_path));
	(void)length;
	return address;
}

/* --- wattport-fs --- */

int plain_request_open(int runtime_fd, plain_request_make *make, void *context,
		       struct plain_request **ret_request, struct diag *diag)
{
	struct sockaddr_un address = plain_request_address(runtime_fd);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct plain_request *request = NULL;

	/* What a predecessor has left: the lock of the runtime directory is ours. */
	(void)unlinkat(runtime_fd, PLAIN_REQUEST_SOCKET_NAME, 0);
	/* The name gets the mode of the socket: for nobody else from the first moment on. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, PLAIN_REQUEST_CLIENT_MAX) < 0)
		return diag_error(diag, -errno, "cannot make the socket %s: %s",
				  PLAIN_REQUEST_SOCKET_NAME, strerror(errno));
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	request->listen_fd = TAKE_FD(fd);
	request->make = make;
	request->context = context;
	*ret_request = request;
	return 0;
}

void plain_request_close(struct plain_request *request)
{
	if (request == NULL)
		return;
	for (size_t i = 0; i < request->client_count; i++)
		(void)close(request->clients[i]);
	(void)close(request->listen_fd);
	free(request);
}

size_t plain_request_fds(const struct plain_request *request,
			 int ret_fds[static 1 + PLAIN_REQUEST_CLIENT_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < request->client_count; i++)
		ret_fds[count++] = request->clients[i];
	ret_fds[count++] = request->listen_fd;
	return count;
}

/* "make UUID SOCKETS" */
static int plain_request_parse(char *text, struct uuid *ret_uuid, uint32_t *ret_socket_count)
{
	char *verb = strtok_r(text, " ", &text);
	char *uuid = strtok_r(NULL, " ", &text);
	char *count = strtok_r(NULL, " ", &text);

	if (verb == NULL || uuid == NULL || count == NULL || strcmp(verb, "make") != 0 ||
	    uuid_parse(uuid, ret_uuid) < 0 || uuid_is_nil(ret_uuid) ||
	    parse_u32(count, ret_socket_count) < 0 || *ret_socket_count == 0)
		return -EINVAL;
	if (*ret_socket_count > VTREE_SOCKET_MAX)
		*ret_socket_count = VTREE_SOCKET_MAX;
	return 0;
}

static void plain_request_answer(struct plain_request *request, int fd, char *text)
{
	char reply[PLAIN_REQUEST_SIZE_MAX], name[UUID_TEXT_SIZE];
	struct diag diag = DIAG_INIT;
	struct uuid uuid;
	uint32_t socket_count;
	int status = plain_request_parse(text, &uuid, &socket_count);

	if (status < 0)
		(void)diag_error(&diag, status, "the request makes no sense");
	else
		status = request->make(request->context, &uuid, socket_count, &diag);
	if (status < 0) {
		(void)snprintf(reply, sizeof(reply), "error %s", diag.text);
	} else {
		uuid_format(&uuid, name);
		(void)snprintf(reply, sizeof(reply), "made %s", name);
	}
	/* Who does not wait for the answer has its tree all the same. */
	(void)meter_send(fd, reply);
}

/* Whether the client is done with. */
static bool plain_request_serve(struct plain_request *request, int fd)
{
	char text[PLAIN_REQUEST_SIZE_MAX];
	size_t length;
	int status = meter_receive(fd, text, sizeof(text), &length);

	if (status == -EAGAIN)
		return false;
	if (status == 0)
		plain_request_answer(request, fd, text);
	return true;
}

void plain_request_process(struct plain_request *request)
{
	size_t kept = 0;
	int fd;

	while ((fd = accept4(request->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		/* Only root gets here: whoever stays without a word makes room for the next. */
		if (request->client_count == PLAIN_REQUEST_CLIENT_MAX)
			(void)close(request->clients[--request->client_count]);
		request->clients[request->client_count++] = fd;
	}
	for (size_t i = 0; i < request->client_count; i++) {
		if (plain_request_serve(request, request->clients[i]))
			(void)close(request->clients[i]);
		else
			request->clients[kept++] = request->clients[i];
	}
	request->client_count = kept;
}

/* --- whoever asks --- */

static int plain_request_try(int runtime_fd, const char *text, struct mono_time end,
			     struct diag *diag)
{
	struct sockaddr_un address = plain_request_address(runtime_fd);
	uint64_t left_ns = clock_elapsed_ns(clock_now_mono(clock_real()), end);
	char reply[PLAIN_REQUEST_SIZE_MAX];
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t length;
	int status;

	if (fd < 0)
		return diag_error(diag, -errno, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_error(diag, -errno,
				  "cannot reach wattport-fs at %s in the runtime directory: %s; "
				  "does it run? systemctl start wattport-fs",
				  PLAIN_REQUEST_SOCKET_NAME, strerror(errno));
	status = meter_ask(fd, text, left_ns, reply, sizeof(reply), &length);
	if (status < 0)
		return diag_error(diag, status, "wattport-fs does not answer: %s",
				  strerror(-status));
	if (strncmp(reply, "made ", strlen("made ")) == 0)
		return 0;
	if (strncmp(reply, "error ", strlen("error ")) == 0)
		return diag_error(diag, -EREMOTEIO, "%s", reply + strlen("error "));
	return diag_error(diag, -EPROTO, "wattport-fs answers what makes no sense");
}

int plain_request_ask(int runtime_fd, const struct uuid *uuid, uint32_t socket_count,
		      uint64_t wait_ns, struct diag *diag)
{
	const struct clock *clock = clock_real();
	struct mono_time end = {.ns = clock_now_mono(clock).ns + wait_ns};
	char name[UUID_TEXT_SIZE], text[PLAIN_REQUEST_SIZE_MAX];

	uuid_format(uuid, name);
	(void)snprintf(text, sizeof(text), "make %s %u", name, socket_count);
	for (;;) {
		int status = plain_request_try(runtime_fd, text, end, diag);
		uint64_t left_ns = clock_elapsed_ns(clock_now_mono(clock), end);
		uint64_t pause_ns =
		    left_ns < PLAIN_REQUEST_AGAIN_NS ? left_ns : PLAIN_REQUEST_AGAIN_NS;

		/* Away, or gone while we waited: it may be back in time. */
		if (status != -ENOENT && status != -ECONNREFUSED && status != -EPIPE &&
		    status != -EAGAIN)
			return status;
		if (left_ns == 0)
			return status;
		(void)ppoll(NULL, 0, &(struct timespec){.tv_nsec = (long)pause_ns}, NULL);
	}
}
