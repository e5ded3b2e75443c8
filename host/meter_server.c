#include "host/meter_server.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/meter_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SERVER_EVENT_MAX 16
/* What a recorder may lag behind before it is cut off. */
#define SERVER_SEND_BUFFER (8 * 1024 * 1024)

struct client {
	int fd; /* -1: free */
	bool privileged;
	bool recording;
};

struct meter_server {
	const struct meter_server_ops *ops;
	void *context;
	int runtime_fd;
	int listen_fd;
	int epoll_fd;
	int spare_fd; /* to let somebody in who is then turned away, when there is no other */
	struct client clients[METER_SERVER_CLIENT_MAX];
};

/* Paths of sockets are short (108 bytes): bind relative to the directory. No thread runs yet. */
static int server_bind(int runtime_fd, int socket_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = METER_SOCKET_NAME};
	cleanup_fd int former_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int status = 0;

	if (former_fd < 0 || fchdir(runtime_fd) < 0)
		return -errno;
	(void)unlink(METER_SOCKET_NAME);
	if (bind(socket_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(METER_SOCKET_NAME, 0666) < 0 || listen(socket_fd, METER_SERVER_CLIENT_MAX) < 0)
		status = -errno;
	if (fchdir(former_fd) < 0 && status == 0)
		status = -errno;
	return status;
}

static int server_watch(const struct meter_server *server, int fd, size_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int meter_server_open(int runtime_fd, const struct meter_server_ops *ops, void *context,
		      struct meter_server **ret_server, struct diag *diag)
{
	cleanup_meter_server struct meter_server *server = calloc(1, sizeof(*server));
	int status;

	if (server == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	server->ops = ops;
	server->context = context;
	server->runtime_fd = runtime_fd;
	server->listen_fd = -1;
	server->spare_fd = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < METER_SERVER_CLIENT_MAX; i++)
		server->clients[i].fd = -1;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0 || server->spare_fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	server->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listen_fd < 0)
		return diag_error(diag, -errno, "cannot make a socket: %s", strerror(errno));
	status = server_bind(runtime_fd, server->listen_fd);
	if (status == 0)
		status = server_watch(server, server->listen_fd, METER_SERVER_CLIENT_MAX);
	if (status < 0)
		return diag_error(diag, status, "cannot listen on %s in the runtime directory: %s",
				  METER_SOCKET_NAME, strerror(-status));
	*ret_server = TAKE_PTR(server);
	return 0;
}

void meter_server_close(struct meter_server *server)
{
	if (server == NULL)
		return;
	for (size_t i = 0; i < METER_SERVER_CLIENT_MAX; i++)
		if (server->clients[i].fd >= 0)
			(void)close(server->clients[i].fd);
	if (server->listen_fd >= 0) {
		(void)close(server->listen_fd);
		(void)unlinkat(server->runtime_fd, METER_SOCKET_NAME, 0);
	}
	if (server->epoll_fd >= 0)
		(void)close(server->epoll_fd);
	if (server->spare_fd >= 0)
		(void)close(server->spare_fd);
	free(server);
}

int meter_server_fd(const struct meter_server *server)
{
	return server->epoll_fd;
}

static void server_drop(struct client *client)
{
	/* Closing takes it out of the epoll set, as no duplicate exists. */
	(void)close(client->fd);
	*client = (struct client){.fd = -1};
}

/* Who is left waiting would wake us at once again, for as long as descriptors are short. */
static void server_turn_away(struct meter_server *server)
{
	int fd;

	if (server->spare_fd >= 0)
		(void)close(server->spare_fd);
	fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	server->spare_fd = eventfd(0, EFD_CLOEXEC);
}

static void server_accept(struct meter_server *server)
{
	cleanup_fd int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	size_t i = 0;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			server_turn_away(server);
		return;
	}
	while (i < METER_SERVER_CLIENT_MAX && server->clients[i].fd >= 0)
		i++;
	if (i == METER_SERVER_CLIENT_MAX)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    server_watch(server, fd, i) < 0)
		return;
	server->clients[i] = (struct client){.fd = TAKE_FD(fd), .privileged = peer.uid == 0};
}

/* Whether all of it went: a client that is too slow for its replies is cut off by the caller. */
static bool server_send(const struct client *client, const char *data, size_t size)
{
	return send(client->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

/* In as many messages as it takes. */
static bool server_send_stream(const struct client *client, const char *data, size_t size)
{
	while (size > 0) {
		size_t part = size < METER_MESSAGE_SIZE_MAX ? size : METER_MESSAGE_SIZE_MAX;

		if (!server_send(client, data, part))
			return false;
		data += part;
		size -= part;
	}
	return true;
}

static bool server_refresh(struct meter_server *server, const struct client *client,
			   const char *text)
{
	char reply[METER_REQUEST_SIZE_MAX];
	struct uuid uuid;
	int length;

	if (uuid_parse(text, &uuid) < 0)
		return server_send(client, "error not a uuid", strlen("error not a uuid"));
	length =
	    snprintf(reply, sizeof(reply), "%s %s",
		     server->ops->refresh(server->context, &uuid) ? "refreshed" : "unknown", text);
	return server_send(client, reply, (size_t)length);
}

static bool server_status(struct meter_server *server, const struct client *client)
{
	cleanup_free char *text = server->ops->status(server->context);

	if (text == NULL)
		return false;
	return server_send(client, text, strlen(text));
}

static bool server_reload(struct meter_server *server, const struct client *client)
{
	char reply[DIAG_SIZE_MAX + 16] = "ok";
	struct diag diag = DIAG_INIT;

	if (!client->privileged)
		return server_send(client, "error only root may", strlen("error only root may"));
	if (server->ops->reload(server->context, &diag) < 0)
		(void)snprintf(reply, sizeof(reply), "error %s", diag.text);
	return server_send(client, reply, strlen(reply));
}

static bool server_start_recording(struct meter_server *server, struct client *client)
{
	cleanup_free char *head = NULL;
	int size = SERVER_SEND_BUFFER;

	if (!client->privileged)
		return server_send(client, "error only root may", strlen("error only root may"));
	head = server->ops->trace_head(server->context);
	if (head == NULL)
		return false;
	(void)setsockopt(client->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	client->recording = true;
	return server_send(client, "ok", 2) && server_send_stream(client, head, strlen(head));
}

static bool server_answer(struct meter_server *server, struct client *client, const char *request)
{
	static const char refresh[] = "refresh ";

	if (strncmp(request, refresh, strlen(refresh)) == 0)
		return server_refresh(server, client, request + strlen(refresh));
	if (strcmp(request, "status") == 0)
		return server_status(server, client);
	if (strcmp(request, "reload") == 0)
		return server_reload(server, client);
	if (strcmp(request, "record") == 0)
		return server_start_recording(server, client);
	return server_send(client, "error unknown request", strlen("error unknown request"));
}

static void server_serve(struct meter_server *server, struct client *client)
{
	char request[METER_REQUEST_SIZE_MAX];
	ssize_t length = recv(client->fd, request, sizeof(request) - 1, MSG_DONTWAIT);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		server_drop(client);
		return;
	}
	request[length] = '\0';
	if (!server_answer(server, client, request))
		server_drop(client);
}

void meter_server_handle(struct meter_server *server)
{
	struct epoll_event events[SERVER_EVENT_MAX];
	int count = epoll_wait(server->epoll_fd, events, SERVER_EVENT_MAX, 0);

	for (int i = 0; i < count; i++) {
		size_t tag = (size_t)events[i].data.u64;

		if (tag == METER_SERVER_CLIENT_MAX)
			server_accept(server);
		else if (server->clients[tag].fd >= 0)
			server_serve(server, &server->clients[tag]);
	}
}

bool meter_server_recording(const struct meter_server *server)
{
	for (size_t i = 0; i < METER_SERVER_CLIENT_MAX; i++)
		if (server->clients[i].recording)
			return true;
	return false;
}

void meter_server_record(struct meter_server *server, const char *line, size_t length)
{
	for (size_t i = 0; i < METER_SERVER_CLIENT_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->recording && !server_send_stream(client, line, length)) {
			log_warning("a recorder was too slow and was cut off");
			server_drop(client);
		}
	}
}
