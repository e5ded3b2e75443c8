#include "common/meter_client.h"
#include "common/cleanup.h"
#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int meter_connect(int runtime_fd, int *ret_fd, struct diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int length;

	if (fd < 0)
		return diag_error(diag, -errno, "cannot make a socket: %s", strerror(errno));
	/* There is no connectat(2): the process's own descriptor stands for the directory. */
	length = snprintf(address.sun_path, sizeof(address.sun_path), "/dev/fd/%d/%s", runtime_fd,
			  METER_SOCKET_NAME);
	assert(length > 0 && (size_t)length < sizeof(address.sun_path));
	(void)length;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_error(diag, -errno,
				  "cannot reach wattportd at %s in the runtime directory: %s; "
				  "does it run? systemctl start wattportd",
				  METER_SOCKET_NAME, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int meter_send(int fd, const char *request)
{
	size_t length = strlen(request);

	assert(length > 0 && length < METER_REQUEST_SIZE_MAX);
	for (;;) {
		/* One message or nothing: a SEQPACKET socket does not send a part. */
		if (send(fd, request, length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	}
}

int meter_receive(int fd, char *buffer, size_t size, size_t *ret_length)
{
	struct iovec part = {.iov_base = buffer, .iov_len = size - 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t got;

	assert(size > 1);
	do {
		got = recvmsg(fd, &message, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	/* wattportd sends no empty message, so this is the end. */
	if (got == 0)
		return -EPIPE;
	if ((message.msg_flags & MSG_TRUNC) != 0)
		return -EMSGSIZE;
	buffer[got] = '\0';
	*ret_length = (size_t)got;
	return 0;
}

int meter_ask(int fd, const char *request, uint64_t timeout_ns, char *buffer, size_t size,
	      size_t *ret_length)
{
	const struct clock *clock = clock_real();
	struct mono_time start = clock_now_mono(clock);
	int status = meter_send(fd, request);

	if (status < 0)
		return status;
	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		uint64_t elapsed_ns = clock_elapsed_ns(start, clock_now_mono(clock));
		uint64_t left_ns = elapsed_ns < timeout_ns ? timeout_ns - elapsed_ns : 0;
		struct timespec timeout = {
		    .tv_sec = (time_t)(left_ns / CLOCK_NS_PER_SECOND),
		    .tv_nsec = (long)(left_ns % CLOCK_NS_PER_SECOND),
		};

		status = meter_receive(fd, buffer, size, ret_length);
		if (status != -EAGAIN)
			return status;
		if (left_ns == 0)
			return -ETIMEDOUT;
		if (ppoll(&ready, 1, &timeout, NULL) < 0 && errno != EINTR)
			return -errno;
	}
}
