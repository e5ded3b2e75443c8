/*
 * meter_client.h: asking wattportd over RUNTIME/meter.sock (unix, SOCK_SEQPACKET).
 *
 * For views that want a sample now instead of the last one. One message a request, one a reply:
 *     "refresh UUID"  -> "refreshed UUID"   a sample was taken (or one is younger than 1 ms)
 *                        "unknown UUID"     the VM provider does not know it
 *     "status"        -> JSON text
 *     "reload"        -> "ok" or "error TEXT"
 *     "record"        -> "ok", then a trace, in messages of at most METER_MESSAGE_SIZE_MAX bytes
 * Replies come in the order of the requests of one connection. One thread a client.
 */
#ifndef WATTPORT_COMMON_METER_CLIENT_H
#define WATTPORT_COMMON_METER_CLIENT_H

#include "common/diag.h"

#include <stddef.h>
#include <stdint.h>

#define METER_SOCKET_NAME      "meter.sock"
#define METER_REQUEST_SIZE_MAX 128
#define METER_MESSAGE_SIZE_MAX 65536
#define METER_REFRESH_WAIT_NS  UINT64_C(20000000) /* no reader waits longer */

/*
 * Connects to the socket in that directory; the descriptor is non-blocking, for poll(2), and the
 * caller's. -ENOENT or -ECONNREFUSED: wattportd does not run.
 */
int meter_connect(int runtime_fd, int *ret_fd, struct diag *diag);

/* Sends one request. -EAGAIN: wattportd is too far behind; -EPIPE: it has gone. */
int meter_send(int fd, const char *request);

/* Takes one reply, ended with a NUL. -EAGAIN: none yet; -EPIPE: wattportd has gone. */
int meter_receive(int fd, char *buffer, size_t size, size_t *ret_length);

/* Sends a request and waits for its reply: -ETIMEDOUT after timeout_ns. For the command line. */
int meter_ask(int fd, const char *request, uint64_t timeout_ns, char *buffer, size_t size,
	      size_t *ret_length);

#endif
