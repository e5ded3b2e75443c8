#include "tests/raplsim/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/commands.h"

#define SOCKET_NAME    "raplsim.sock"
#define PACKET_MAX     32768
#define CLIENT_WAIT_S  30
#define SERVER_WAIT_MS 500

struct control {
	int dir_fd;
	int listen_fd;
	int client_fds[CONTROL_CLIENTS_MAX];
	size_t client_count;
};

/* By way of the descriptor, as a socket's path has at most 107 bytes and a directory's more. */
static struct sockaddr_un address_in(int dir_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SOCKET_NAME,
		       dir_fd);
	return address;
}

static int connect_in(int dir_fd)
{
	struct sockaddr_un address = address_in(dir_fd);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int control_create(int dir_fd, struct control **ret_control)
{
	struct sockaddr_un address = address_in(dir_fd);
	cleanup_free struct control *control = calloc(1, sizeof(*control));
	cleanup_fd int other_fd = connect_in(dir_fd);
	cleanup_fd int listen_fd = -1;
	cleanup_fd int kept_dir_fd = -1;

	if (!control)
		return -ENOMEM;
	if (other_fd >= 0)
		return -EADDRINUSE;
	if (unlinkat(dir_fd, SOCKET_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	kept_dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (kept_dir_fd < 0)
		return -errno;
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listen_fd < 0)
		return -errno;
	if (bind(listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (fchmodat(dir_fd, SOCKET_NAME, 0600, 0) < 0 ||
	    listen(listen_fd, CONTROL_CLIENTS_MAX) < 0)
		return -errno;
	control->dir_fd = TAKE_FD(kept_dir_fd);
	control->listen_fd = TAKE_FD(listen_fd);
	*ret_control = TAKE_PTR(control);
	return 0;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < control->client_count; i++)
		(void)close(control->client_fds[i]);
	(void)close(control->listen_fd);
	(void)unlinkat(control->dir_fd, SOCKET_NAME, 0);
	(void)close(control->dir_fd);
	free(control);
}

size_t control_poll_fds(const struct control *control, struct pollfd fds[CONTROL_POLL_FDS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < control->client_count; i++)
		fds[count++] = (struct pollfd){.fd = control->client_fds[i], .events = POLLIN};
	/* One more client waits in the kernel's queue until another has been served. */
	if (control->client_count < CONTROL_CLIENTS_MAX)
		fds[count++] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
	return count;
}

/* A client that takes its answer too slowly loses the rest of it, and nobody waits for it long. */
static void send_answer(int fd, enum command_status status, const char *text, size_t length)
{
	struct timeval wait = {.tv_usec = SERVER_WAIT_MS * 1000L};
	char byte = (char)status;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (send(fd, &byte, 1, MSG_NOSIGNAL) < 0)
		return;
	while (length > 0) {
		size_t size = length < PACKET_MAX ? length : PACKET_MAX;

		if (send(fd, text, size, MSG_NOSIGNAL) < 0)
			return;
		text += size;
		length -= size;
	}
}

static void serve_client(int fd, struct simulator *simulator)
{
	char request[CONTROL_REQUEST_MAX];
	char *words[COMMANDS_WORDS_MAX];
	cleanup_free char *text = NULL;
	size_t length = 0;
	size_t count = 0;
	enum command_status status;
	cleanup_file FILE *out = NULL;
	ssize_t size = recv(fd, request, sizeof(request), MSG_DONTWAIT);

	if (size <= 0 || request[size - 1] != '\0')
		return;
	for (char *at = request; at < request + size; at += strlen(at) + 1) {
		if (count == COMMANDS_WORDS_MAX)
			return;
		words[count++] = at;
	}
	out = open_memstream(&text, &length);
	if (!out)
		return;
	status = commands_run(simulator, count, words, out);
	if (fflush(out) == 0)
		send_answer(fd, status, text, length);
}

static void accept_client(struct control *control)
{
	int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		control->client_fds[control->client_count++] = fd;
}

static void drop_client(struct control *control, int fd)
{
	for (size_t i = 0; i < control->client_count; i++) {
		if (control->client_fds[i] == fd) {
			control->client_fds[i] = control->client_fds[--control->client_count];
			break;
		}
	}
	(void)close(fd);
}

void control_serve(struct control *control, struct simulator *simulator, const struct pollfd *fds,
		   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i].revents == 0)
			continue;
		if (fds[i].fd == control->listen_fd) {
			accept_client(control);
			continue;
		}
		serve_client(fds[i].fd, simulator);
		drop_client(control, fds[i].fd);
	}
}

static int send_request(int fd, size_t count, char *const *words)
{
	char request[CONTROL_REQUEST_MAX];
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(words[i]) + 1;

		if (size > sizeof(request) - length)
			return -E2BIG;
		memcpy(request + length, words[i], size);
		length += size;
	}
	return send(fd, request, length, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int control_request(const char *dir, size_t count, char *const *words)
{
	struct timeval wait = {.tv_sec = CLIENT_WAIT_S};
	cleanup_fd int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	cleanup_free char *packet = malloc(PACKET_MAX);
	ssize_t size;
	char status;
	int r;

	if (dir_fd < 0)
		return -errno;
	if (!packet)
		return -ENOMEM;
	fd = connect_in(dir_fd);
	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	r = send_request(fd, count, words);
	if (r < 0)
		return r;
	size = recv(fd, &status, 1, 0);
	if (size != 1)
		return size < 0 ? -errno : -EPROTO;
	for (;;) {
		size = recv(fd, packet, PACKET_MAX, 0);
		if (size < 0)
			return -errno;
		if (size == 0)
			return status;
		(void)fwrite(packet, 1, (size_t)size, status == COMMAND_OK ? stdout : stderr);
	}
}
