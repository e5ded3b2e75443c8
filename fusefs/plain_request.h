/*
 * plain_request.h: asking wattport-fs for a tree before its machine starts: RUNTIME/fs.sock.
 *
 * With plain files a directory has to be there when libvirt starts a machine, and one that was
 * never defined is known to nobody before that. libvirt's hook (`wattport prepare`) asks here. The
 * writer makes the tree itself, so that there is one process that writes, and none that is root.
 * For root alone (the socket's mode), unix SOCK_SEQPACKET, one request a connection:
 *     "make UUID SOCKETS"  -> "made UUID"   the tree is there
 *                             "error TEXT"
 * One thread an end.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_REQUEST_H
#define WATTPORT_FUSEFS_PLAIN_REQUEST_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/uuid.h"

#include <stddef.h>
#include <stdint.h>

#define PLAIN_REQUEST_SOCKET_NAME "fs.sock"
#define PLAIN_REQUEST_SIZE_MAX	  256
#define PLAIN_REQUEST_CLIENT_MAX  16
#define PLAIN_REQUEST_AGAIN_NS	  (50 * CLOCK_NS_PER_MS) /* between two tries to connect */

/* Makes the tree of a machine with so many sockets; a negative errno with *diag. */
typedef int plain_request_make(void *context, const struct uuid *uuid, uint32_t socket_count,
			       struct diag *diag);

struct plain_request;

/* Binds the socket; `make` is called by plain_request_process(). */
int plain_request_open(int runtime_fd, plain_request_make *make, void *context,
		       struct plain_request **ret_request, struct diag *diag);

/* Closes it and takes its name away where that is allowed. */
void plain_request_close(struct plain_request *request);

/* What to poll for input, at most 1 + PLAIN_REQUEST_CLIENT_MAX descriptors; returns how many. */
size_t plain_request_fds(const struct plain_request *request,
			 int ret_fds[static 1 + PLAIN_REQUEST_CLIENT_MAX]);

/* Deals with what is there, without waiting. */
void plain_request_process(struct plain_request *request);

/*
 * The other end: asks for the tree and waits at most wait_ns for it, also for a wattport-fs that is
 * being restarted. -ETIMEDOUT; -EACCES: not root; -EREMOTEIO: it cannot be made.
 */
int plain_request_ask(int runtime_fd, const struct uuid *uuid, uint32_t socket_count,
		      uint64_t wait_ns, struct diag *diag);

#endif
