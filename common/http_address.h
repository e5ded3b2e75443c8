/*
 * http_address.h: "HOST:PORT" into a socket that listens there.
 *
 * The part of http_server.c that a person's typing error reaches first. No state.
 */
#ifndef WATTPORT_COMMON_HTTP_ADDRESS_H
#define WATTPORT_COMMON_HTTP_ADDRESS_H

#include "common/diag.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_HOST_SIZE 256 /* a DNS name with its NUL */

struct http_address {
	char host[HTTP_HOST_SIZE]; /* without brackets; empty: every address */
	uint16_t port;		   /* 0: the kernel chooses */
};

/* "HOST:PORT", "IPV4:PORT", "[IPV6]:PORT", ":PORT"; anything else is -EINVAL. */
int http_address_parse(const char *text, struct http_address *ret_address, struct diag *diag);

/*
 * A listening socket (non-blocking) of the caller's. ":PORT" takes IPv6 and IPv4 where the kernel
 * has both.
 */
int http_address_listen(const struct http_address *address, int *ret_fd, struct diag *diag);

#endif
