#include "common/http_server.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/http_address.h"
#include "common/http_loop.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define HTTP_SHORTAGE_MS 100 /* how long nobody is let in after descriptors ran out */

union http_name {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct http_server {
	int fd;	     /* listens */
	int wake_fd; /* eventfd(2): something for the thread to see */
	uint16_t port;
	struct http_loop *loop;
	struct http_checker *checker; /* NULL: there is no web configuration */
	struct http_guard *guard;     /* the one that was read last */
	struct timespec changed;      /* when its files were, at that time */
	const char *web_config;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* of the rest: what the thread is told */
	bool ending;
	struct http_guard *next;
};

static int http_bound_port(int fd, uint16_t *ret_port)
{
	union http_name name = {.in6 = {.sin6_port = 0}};
	socklen_t size = sizeof(name);

	if (getsockname(fd, &name.any, &size) < 0)
		return -errno;
	*ret_port = ntohs(name.any.sa_family == AF_INET6 ? name.in6.sin6_port : name.in.sin_port);
	return 0;
}

static int http_server_listen(struct http_server *server, const struct http_server_options *options,
			      struct diag *diag)
{
	struct http_address address;
	int status = http_address_parse(options->listen, &address, diag);

	if (status == 0)
		status = http_address_listen(&address, &server->fd, diag);
	if (status < 0) {
		diag_prefix(diag, "%s=%s", options->listen_option, options->listen);
		return status;
	}
	status = http_bound_port(server->fd, &server->port);
	if (status < 0)
		return diag_error(diag, status, "cannot see the port: %s", strerror(-status));
	return 0;
}

static int http_server_guard(struct http_server *server, struct diag *diag)
{
	int status = http_guard_open(server->web_config, &server->guard, diag);

	if (status < 0)
		return status;
	server->changed = http_guard_changed(server->guard);
	status = http_checker_create(server->wake_fd, &server->checker);
	return status < 0 ? diag_error(diag, status, "out of memory") : 0;
}

int http_server_open(const struct http_server_options *options, struct http_server **ret_server,
		     struct diag *diag)
{
	cleanup_http_server struct http_server *server = calloc(1, sizeof(*server));
	int status = 0;

	if (server == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	server->fd = -1;
	server->web_config = options->web_config;
	(void)pthread_mutex_init(&server->lock, NULL);
	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->wake_fd < 0)
		return diag_error(diag, -errno, "cannot make an eventfd: %s", strerror(errno));
	if (server->web_config != NULL)
		status = http_server_guard(server, diag);
	if (status == 0)
		status = http_server_listen(server, options, diag);
	if (status < 0)
		return status;
	status =
	    http_loop_create(options, server->guard, server->checker, clock_real(), &server->loop);
	if (status < 0)
		return diag_error(diag, status,
				  "cannot start the HTTP server: no descriptor or memory left "
				  "(see ulimit -a)");
	*ret_server = TAKE_PTR(server);
	return 0;
}

/* Takes what waits, but not more than the loop can answer before they push each other out. */
static bool http_server_accept(struct http_server *server)
{
	for (int i = 0; i < HTTP_ARRIVAL_MAX; i++) {
		union http_name name = {.in6 = {.sin6_port = 0}};
		socklen_t size = sizeof(name);
		int fd = accept4(server->fd, &name.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			/* It closes what it does not take. */
			(void)http_loop_add(server->loop, fd, &name.any, size);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			http_loop_shed(server->loop);
			return false;
		} else if (errno == EAGAIN) {
			break;
		}
		/* Else it was gone before it was taken (accept(2), "Error handling"). */
	}
	return true;
}

/* What the thread was told; false: to end. */
static bool http_server_hear(struct http_server *server)
{
	struct http_guard *next;
	uint64_t count;
	bool ending;

	/* Nothing to read is no error: the other descriptors wake it, too. */
	(void)!read(server->wake_fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&server->lock);
	ending = server->ending;
	next = TAKE_PTR(server->next);
	(void)pthread_mutex_unlock(&server->lock);
	if (next != NULL)
		http_loop_set_guard(server->loop, next);
	http_guard_drop(next);
	return !ending;
}

static void *http_server_run(void *context)
{
	struct http_server *server = context;
	bool open = true;
	bool going_on;

	do {
		struct pollfd fds[] = {
		    {.fd = server->wake_fd, .events = POLLIN},
		    {.fd = http_loop_fd(server->loop), .events = POLLIN},
		    {.fd = open ? server->fd : -1, .events = POLLIN},
		};
		int timeout_ms = http_loop_timeout_ms(server->loop);

		if (!open && (timeout_ms < 0 || timeout_ms > HTTP_SHORTAGE_MS))
			timeout_ms = HTTP_SHORTAGE_MS;
		(void)poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms);
		open = fds[2].revents == 0 || http_server_accept(server);
		/*
		 * Whoever wakes it has left something for it first. So nothing is missed: what is
		 * left before the eventfd is read is seen by the round that follows, and what is
		 * left later ends the next poll(2).
		 */
		going_on = http_server_hear(server);
		http_loop_run(server->loop);
	} while (going_on);
	return NULL;
}

int http_server_start(struct http_server *server, struct diag *diag)
{
	int status = 0;

	if (server->checker != NULL)
		status = http_checker_start(server->checker);
	if (status == 0)
		status = -pthread_create(&server->thread, NULL, http_server_run, server);
	if (status < 0)
		return diag_error(diag, status, "cannot start the HTTP server's thread: %s",
				  strerror(-status));
	server->started = true;
	return 0;
}

static void http_server_wake(struct http_server *server)
{
	const uint64_t one = 1;

	/* It fails only when it counts to 2^64 - 1: awake already. */
	(void)!write(server->wake_fd, &one, sizeof(one));
}

const char *http_server_scheme(const struct http_server *server)
{
	return server->guard != NULL && server->guard->tls != NULL ? "https" : "http";
}

const char *http_server_exposed(const struct http_server *server)
{
	return server->guard != NULL ? http_guard_exposed(server->guard) : NULL;
}

int http_server_reload(struct http_server *server, bool asked, struct diag *diag)
{
	struct http_guard *guard;
	struct timespec changed;
	int status;

	if (server->guard == NULL)
		return 0;
	changed = http_guard_changed(server->guard);
	if (!asked && changed.tv_sec == server->changed.tv_sec &&
	    changed.tv_nsec == server->changed.tv_nsec)
		return 0;
	/* Also where it is no good: it is told once, and not again before the next change. */
	server->changed = changed;
	status = http_guard_open(server->web_config, &guard, diag);
	if (status < 0)
		return status;
	if ((guard->tls != NULL) != (server->guard->tls != NULL)) {
		http_guard_drop(guard);
		return diag_error(diag, -EBUSY,
				  "%s: TLS cannot be turned on or off while the server runs: "
				  "restart it",
				  server->web_config);
	}
	http_guard_drop(server->guard);
	server->guard = guard;
	/* Other files may be named now. */
	server->changed = http_guard_changed(guard);
	(void)pthread_mutex_lock(&server->lock);
	http_guard_drop(server->next);
	server->next = http_guard_hold(guard);
	(void)pthread_mutex_unlock(&server->lock);
	http_server_wake(server);
	return 1;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_close(struct http_server *server)
{
	if (server == NULL)
		return;
	(void)pthread_mutex_lock(&server->lock);
	server->ending = true;
	(void)pthread_mutex_unlock(&server->lock);
	http_server_wake(server);
	if (server->started)
		(void)pthread_join(server->thread, NULL);
	http_loop_destroy(server->loop);
	http_checker_destroy(server->checker);
	http_guard_drop(server->next);
	http_guard_drop(server->guard);
	if (server->fd >= 0)
		(void)close(server->fd);
	if (server->wake_fd >= 0)
		(void)close(server->wake_fd);
	(void)pthread_mutex_destroy(&server->lock);
	free(server);
}
