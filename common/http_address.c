#include "common/http_address.h"
#include "common/cleanup.h"
#include "common/parse.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* As long as the kernel allows: who waits here costs little, and is let in or turned away soon. */
#define HTTP_BACKLOG SOMAXCONN

static int http_address_refuse(const char *text, struct diag *diag)
{
	return diag_error(diag, -EINVAL,
			  "\"%s\" is no address to listen on; allowed are HOST:PORT, [IPV6]:PORT "
			  "and :PORT (every address), with PORT from 0 to 65535",
			  text);
}

int http_address_parse(const char *text, struct http_address *ret_address, struct diag *diag)
{
	struct http_address address = {.host = "", .port = 0};
	const char *host = text;
	const char *colon = strrchr(text, ':');
	const char *end = colon;
	uint32_t port;

	if (colon == NULL)
		return http_address_refuse(text, diag);
	if (*text == '[') {
		host = text + 1;
		end = colon - 1;
		if (end <= host || *end != ']')
			return http_address_refuse(text, diag);
	} else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
		/* IPv6 without brackets: where would its port begin? */
		return http_address_refuse(text, diag);
	}
	if ((size_t)(end - host) >= sizeof(address.host))
		return http_address_refuse(text, diag);
	if (parse_u32(colon + 1, &port) < 0 || port > UINT16_MAX)
		return http_address_refuse(text, diag);
	memcpy(address.host, host, (size_t)(end - host));
	address.port = (uint16_t)port;
	*ret_address = address;
	return 0;
}

static int http_address_listen_at(const struct sockaddr *name, socklen_t size, int *ret_fd)
{
	cleanup_fd int fd =
	    socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	const int yes = 1;
	const int no = 0;

	if (fd < 0)
		return -errno;
	/* A restart must not wait for the connections of the former process to time out. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (name->sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
		return -errno;
	if (bind(fd, name, size) < 0 || listen(fd, HTTP_BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int http_address_listen_everywhere(uint16_t port, int *ret_fd)
{
	const struct sockaddr_in6 both = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
	const struct sockaddr_in ipv4 = {.sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr = {.s_addr = htonl(INADDR_ANY)}};
	int status = http_address_listen_at((const struct sockaddr *)&both, sizeof(both), ret_fd);

	/* Booted with ipv6.disable=1, or with net.ipv6.conf.all.disable_ipv6=1. */
	if (status == -EAFNOSUPPORT || status == -EADDRNOTAVAIL)
		status =
		    http_address_listen_at((const struct sockaddr *)&ipv4, sizeof(ipv4), ret_fd);
	return status;
}

static void http_address_free_list(struct addrinfo *const *list)
{
	if (*list != NULL)
		freeaddrinfo(*list);
}

static int http_address_listen_on_host(const struct http_address *address, int *ret_fd,
				       struct diag *diag)
{
	__attribute__((cleanup(http_address_free_list))) struct addrinfo *list = NULL;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	int status = getaddrinfo(address->host, NULL, &hints, &list);

	if (status != 0)
		return diag_error(diag, -EADDRNOTAVAIL, "host %s: %s", address->host,
				  gai_strerror(status));
	status = -EADDRNOTAVAIL;
	for (struct addrinfo *entry = list; entry != NULL && status < 0; entry = entry->ai_next) {
		struct sockaddr_storage name = {.ss_family = AF_UNSPEC};

		if (entry->ai_addrlen > sizeof(name))
			continue;
		memcpy(&name, entry->ai_addr, entry->ai_addrlen);
		if (name.ss_family == AF_INET6)
			((struct sockaddr_in6 *)&name)->sin6_port = htons(address->port);
		else
			((struct sockaddr_in *)&name)->sin_port = htons(address->port);
		status = http_address_listen_at((const struct sockaddr *)&name, entry->ai_addrlen,
						ret_fd);
	}
	return status;
}

/* What a person can do about it. */
static const char *http_address_remedy(int error)
{
	switch (-error) {
	case EADDRINUSE:
		return "stop the program that listens there (ss -ltnp names it)";
	case EACCES:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "no interface of this machine has that address (see ip address)";
	default:
		return "see what the kernel says of sockets";
	}
}

int http_address_listen(const struct http_address *address, int *ret_fd, struct diag *diag)
{
	struct diag resolver = DIAG_INIT;
	int status;

	if (address->host[0] == '\0')
		status = http_address_listen_everywhere(address->port, ret_fd);
	else
		status = http_address_listen_on_host(address, ret_fd, &resolver);
	if (status < 0)
		return diag_error(diag, status, "cannot listen on port %u: %s; %s",
				  (unsigned int)address->port,
				  resolver.text[0] != '\0' ? resolver.text : strerror(-status),
				  http_address_remedy(status));
	return 0;
}
